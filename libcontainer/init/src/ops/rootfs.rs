//! Files that the runtime makes in the rootfs, and the switch into it.

use crate::abi::{
    AT_SYMLINK_NOFOLLOW, EEXIST, FSCONFIG_CMD_CREATE, MNT_DETACH, MOUNT_ATTR_RDONLY, MOVE_MOUNT_F_EMPTY_PATH,
    O_CLOEXEC, O_DIRECTORY, O_PATH, OpenHow, PROC_SUPER_MAGIC, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS,
    S_IFMT, SYSFS_MAGIC,
};
use crate::machine::{At, Fault, Machine, Outcome};
use crate::path::{self, Leaf, Name};
use crate::program::Str;
use crate::sys::{self, Fd};
use crate::wire::step;
use core::ffi::CStr;

/// A device node or fifo as the program describes it.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Where.
    pub path: Str,
    /// Type and permission bits.
    pub mode: u32,
    /// Device numbers.
    pub device: (u32, u32),
    /// Owner: user and group.
    pub owner: (u32, u32),
}

/// Makes a device node.
pub fn device(machine: &mut Machine<'_>, node: Node) -> Outcome {
    let (directory, name) = place(machine, node.path)?;
    let name = name.as_c_str()?;
    match sys::mknodat(directory, name, node.mode, makedev(node.device)) {
        Ok(()) if node.owner != (0, 0) => {
            sys::fchownat(directory, name, node.owner.0, node.owner.1).map_err(Fault::from)
        }
        Err(EEXIST) => {
            let found = sys::statx(directory, name, AT_SYMLINK_NOFOLLOW)?;
            let same = is_node(&found, node.mode, node.device);
            if same { Ok(()) } else { Err(Fault { errno: EEXIST, step: step::MISMATCH }) }
        }
        other => other.map_err(Fault::from),
    }
}

/// The directory in which something is made, and its name there. The directory stays open: the next one is mostly made in the same.
fn place(machine: &mut Machine<'_>, path: Str) -> Result<(Fd, Name), Fault> {
    let (head, tail) = path::split(machine.text(path))?;
    let name = Name::new(tail)?;
    match machine.directory {
        Some((known, directory)) if known == head => Ok((directory, name)),
        _ => {
            let directory = path::directory(machine.root, head).at(step::TARGET)?;
            machine.keep_directory(Some((head, directory)));
            Ok((directory, name))
        }
    }
}

/// Whether a file is the node of that type (the type bits of `mode`) and number.
pub(super) fn is_node(found: &crate::abi::Statx, mode: u32, device: (u32, u32)) -> bool {
    u32::from(found.mode) & S_IFMT == mode & S_IFMT && (found.rdev_major, found.rdev_minor) == device
}

/// The kernel's encoding of device numbers in `mknod`.
pub(super) fn makedev((major, minor): (u32, u32)) -> u32 {
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12
}

/// Makes a symbolic link. What exists already stays: an image may ship its own.
pub fn symlink(machine: &mut Machine<'_>, target: Str, path: Str) -> Outcome {
    let (directory, name) = place(machine, path)?;
    match sys::symlinkat(machine.text(target), directory, name.as_c_str()?) {
        Err(EEXIST) => Ok(()),
        other => Ok(other?),
    }
}

/// Makes a symbolic link, or accepts one that says the same.
pub fn same_symlink(machine: &mut Machine<'_>, link: &CStr, path: Str) -> Outcome {
    let (directory, name) = place(machine, path)?;
    match sys::symlinkat(link, directory, name.as_c_str()?) {
        Err(EEXIST) => {
            let mut text = [0u8; 4096];
            let length = sys::readlinkat(directory, name.as_c_str()?, &mut text).unwrap_or(0);
            let same = text.get(..length) == Some(link.to_bytes());
            if same { Ok(()) } else { Err(Fault { errno: EEXIST, step: step::MISMATCH }) }
        }
        other => Ok(other?),
    }
}

/// Takes the host's procfs and sysfs out of sight. A namespace that still has them whole lets the container mount its own in a user namespace,
/// and whoever leaves a chroot reaches them. Mounts that are locked together are covered instead.
pub fn hide_host() -> Outcome {
    let how = OpenHow { flags: u64::from(O_PATH | O_CLOEXEC), ..OpenHow::default() };
    for path in [c"/proc", c"/sys"] {
        while sys::umount(path, MNT_DETACH).is_ok() {}
        if let Ok(left) = sys::openat2(Fd::CWD, path, &how) {
            if matches!(sys::filesystem(left)?.kind, PROC_SUPER_MAGIC | SYSFS_MAGIC) {
                cover(path)?;
            }
            left.close();
        }
    }
    Ok(())
}

fn cover(path: &CStr) -> Outcome {
    let context = sys::fsopen(c"tmpfs").at(step::FSOPEN)?;
    sys::fsconfig(context, FSCONFIG_CMD_CREATE, None, None).at(step::SUPERBLOCK)?;
    let mount = sys::fsmount(context, MOUNT_ATTR_RDONLY).at(step::SUPERBLOCK)?;
    context.close();
    sys::move_mount(mount, Fd::CWD, path, MOVE_MOUNT_F_EMPTY_PATH).at(step::ATTACH)?;
    mount.close();
    Ok(())
}

/// Labels a directory.
pub fn label(machine: &Machine<'_>, path: Str, label: Str) -> Outcome {
    let how = OpenHow {
        flags: u64::from(O_DIRECTORY | O_CLOEXEC),
        mode: 0,
        resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    let directory = sys::openat2(machine.root, machine.text(path), &how).at(step::TARGET)?;
    let set = sys::fsetxattr(directory, c"security.selinux", machine.text(label).to_bytes_with_nul());
    directory.close();
    Ok(set?)
}

/// Makes the root handle the root of the namespace and drops the host's tree.
pub fn pivot(machine: &mut Machine<'_>) -> Outcome {
    machine.keep_directory(None);
    sys::fchdir(machine.root)?;
    // The same directory twice: the old root comes to lie over the new one and is dropped from there.
    sys::pivot_root(c".", c".")?;
    sys::umount(c".", MNT_DETACH)?;
    Ok(sys::chdir(c"/")?)
}

/// Makes the root handle the root of the process.
pub fn chroot(machine: &mut Machine<'_>) -> Outcome {
    machine.keep_directory(None);
    if machine.root_below {
        // As without hooks: nothing of the host lies above the root.
        sys::move_mount(machine.root, Fd::CWD, c"/", MOVE_MOUNT_F_EMPTY_PATH).at(step::ATTACH)?;
    }
    sys::fchdir(machine.root)?;
    sys::chroot(c".")?;
    Ok(sys::chdir(c"/")?)
}

/// Makes the working directory.
pub fn make_cwd(machine: &Machine<'_>, path: Str) -> Outcome {
    path::open_or_make(machine.root, machine.text(path), Leaf::Directory, false)?.close();
    Ok(())
}

#[cfg(test)]
mod tests;
