//! Gives the container's cgroup to who runs in it, and makes the group below that is delegated to it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Uid, fchownat};

use super::create::CONTEXT;
use super::{Cgroup, failed};
use crate::error::Result;
use crate::plan::cgroup::{CgroupPlan, Delegate};
use crate::sys::fs::{Resolve, open_below};

/// The kernel's list of files that an owner may have, one a line. Since Linux 4.15.
const LIST: &str = "/sys/kernel/cgroup/delegate";
/// The list of the specification for kernels without one.
const DEFAULT: [&str; 3] = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"];

impl Cgroup {
    /// Does what the plan says about owners. Nothing for most containers.
    pub(super) fn give(&self, plan: &CgroupPlan) -> Result<()> {
        if let Some(owner) = plan.owner {
            let dir = plan.dirs.iter().position(|dir| dir.hierarchy.is_empty()).unwrap_or(0);
            if let Some(fd) = self.directory(plan, dir) {
                give(fd, owner).map_err(|e| failed(format!("{CONTEXT}: chown to {owner}"), &e))?;
            }
        }
        plan.delegate.as_ref().map_or(Ok(()), |delegate| self.delegate(plan, delegate))
    }

    fn delegate(&self, plan: &CgroupPlan, delegate: &Delegate) -> Result<()> {
        let Some(above) = self.directory(plan, delegate.dir) else { return Ok(()) };
        let made = make(above, &delegate.name, delegate.owner);
        made.map_err(|e| failed(format!("{CONTEXT}: make the delegated cgroup {}", delegate.name), &e))
    }
}

fn make(above: BorrowedFd<'_>, name: &str, owner: Option<u32>) -> io::Result<()> {
    match mkdirat(above, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(e) => return Err(e.into()),
    }
    let Some(owner) = owner else { return Ok(()) };
    give(open_below(above, name, libc::O_PATH | libc::O_DIRECTORY, Resolve::Beneath)?.as_fd(), owner)
}

/// The directory and the files that the kernel lists. Those of controllers that are not enabled do not exist.
fn give(dir: BorrowedFd<'_>, owner: u32) -> io::Result<()> {
    let owner = Some(Uid::from_raw(owner));
    fchownat(dir, "", owner, None, AtFlags::AT_EMPTY_PATH)?;
    let listed = crate::sys::fs::read_small(LIST).unwrap_or_else(|_| DEFAULT.join("\n"));
    for file in listed.lines().filter(|file| !file.contains('/')) {
        match fchownat(dir, file, owner, None, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
