//! A rootfs with mounts in the caller's own mount namespace: a copy of the rootfs is put over it, cut off from the host's mount events, and all that
//! init mounts lies on that copy. Taking the copy away takes everything away.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use nix::sys::stat::fstat;

use crate::state::{MountRecord, Record, StateDir};
use crate::sys;
use crate::{Error, ErrorKind, Result};

const POINTER: &str = "/root/path";

/// The copy over its rootfs. Dropping it takes it away.
#[derive(Debug)]
pub(crate) struct HostRoot {
    rootfs: PathBuf,
    mount: MountRecord,
    kept: bool,
}

impl HostRoot {
    /// Puts the copy there. The record says so before it happens: who is killed meanwhile leaves enough for `delete`.
    ///
    /// # Errors
    /// The kernel has no numbers of mounts that last (Linux 6.8); another directory lies at the path by now.
    pub fn attach(tree: BorrowedFd<'_>, record: &mut Record, dir: &StateDir) -> Result<Self> {
        let rootfs = record.rootfs.clone();
        let failed = |what: &str, error: &std::io::Error| {
            Error::io(format!("{what} the rootfs {}", rootfs.display()), error).at(POINTER)
        };
        // Of a tree that hears the host, unmounting would be heard by the host.
        sys::mount::cut_off(tree).map_err(|error| failed("cut off the copy of", &error))?;
        let mount = sys::mount::id(tree).map_err(|error| {
            let error = failed("number the copy of", &error).kind_is(ErrorKind::Unsupported);
            error.remark("mounts without a private mount namespace need Linux 6.8")
        })?;
        let target = sys::fs::open_directory_plain(&rootfs).map_err(|error| failed("open", &error))?;
        let inode = |fd: BorrowedFd<'_>| fstat(fd).map(|found| (found.st_dev, found.st_ino));
        if inode(tree) != inode(target.as_fd()) {
            let message = format!("{} is another directory by now", rootfs.display());
            return Err(Error::new(ErrorKind::Busy, message).at(POINTER));
        }
        let mount = MountRecord::of(mount);
        record.root_mount = Some(mount.clone());
        dir.write(record)?;
        sys::mount::attach(tree, target.as_fd()).map_err(|error| failed("mount a copy over", &error))?;
        Ok(Self { rootfs, mount, kept: false })
    }

    /// Leaves it to `delete`.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for HostRoot {
    fn drop(&mut self) {
        if let Err(error) = self.take_away() {
            log::warn!("rollback: {error}");
        }
    }
}

impl HostRoot {
    fn take_away(&self) -> Result<()> {
        if self.kept { Ok(()) } else { remove(&self.rootfs, Some(&self.mount)) }
    }
}

/// Takes away what was put over the rootfs, if it is still there.
///
/// # Errors
/// `Busy` while another mount lies over it; the kernel refuses.
pub(crate) fn remove(rootfs: &Path, mount: Option<&MountRecord>) -> Result<()> {
    let Some(mount) = mount.and_then(MountRecord::number) else { return Ok(()) };
    let top = sys::fs::open_directory_plain(rootfs).and_then(|top| sys::mount::id(top.as_fd()));
    if top.ok() != Some(mount) {
        return match sys::mount::exists(mount) {
            Ok(true) => {
                let message =
                    format!("unmount {}: another mount lies over the container's", rootfs.display());
                Err(Error::new(ErrorKind::Busy, message)
                    .remark("unmount that one, or delete its container, first"))
            }
            _ => Ok(()),
        };
    }
    umount2(rootfs, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
        .map_err(|errno| Error::io(format!("unmount {}", rootfs.display()), &errno.into()))
}
