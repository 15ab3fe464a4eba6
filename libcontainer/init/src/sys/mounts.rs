//! Calls about mounts.

use super::{Fd, Result, at, common, done, fd, nr, syscall, text};
use crate::abi::MountAttr;
use core::ffi::CStr;

pub fn open_tree(directory: Fd, path: &CStr, flags: u32) -> Result<Fd> {
    // SAFETY: the path is borrowed.
    fd(unsafe { syscall(common::OPEN_TREE, [directory.arg(), text(path), flags as usize, 0, 0, 0]) })
}

/// Attaches the mount of `from` at `to`, both by descriptor.
pub fn move_mount(from: Fd, to: Fd, to_path: &CStr, flags: u32) -> Result<()> {
    // SAFETY: both paths are borrowed.
    done(unsafe {
        syscall(common::MOVE_MOUNT, [from.arg(), text(c""), to.arg(), text(to_path), flags as usize, 0])
    })
}

pub fn fsopen(filesystem: &CStr) -> Result<Fd> {
    // SAFETY: the name is borrowed.
    fd(unsafe {
        syscall(common::FSOPEN, [text(filesystem), crate::abi::FSOPEN_CLOEXEC as usize, 0, 0, 0, 0])
    })
}

pub fn fsconfig(context: Fd, command: u32, key: Option<&CStr>, value: Option<&CStr>) -> Result<()> {
    let (key, value) = (key.map_or(0, text), value.map_or(0, text));
    // SAFETY: key and value are borrowed or NULL, as the command wants.
    done(unsafe { syscall(common::FSCONFIG, [context.arg(), command as usize, key, value, 0, 0]) })
}

/// A context that changes the filesystem that `mount` is the root of.
pub fn fspick(mount: Fd) -> Result<Fd> {
    let flags = (crate::abi::FSPICK_CLOEXEC | crate::abi::FSPICK_EMPTY_PATH) as usize;
    // SAFETY: the path is static.
    fd(unsafe { syscall(common::FSPICK, [mount.arg(), text(c""), flags, 0, 0, 0]) })
}

pub fn fsmount(context: Fd, attributes: u64) -> Result<Fd> {
    // SAFETY: takes no pointer.
    fd(unsafe {
        syscall(
            common::FSMOUNT,
            [context.arg(), crate::abi::FSMOUNT_CLOEXEC as usize, attributes as usize, 0, 0, 0],
        )
    })
}

pub fn mount_setattr(mount: Fd, path: &CStr, flags: u32, attr: &MountAttr) -> Result<()> {
    // SAFETY: path and struct are borrowed, the struct with its length.
    done(unsafe {
        syscall(
            common::MOUNT_SETATTR,
            [mount.arg(), text(path), flags as usize, at(attr), size_of::<MountAttr>(), 0],
        )
    })
}

/// `mount` without source, type and data: propagation, remount and move.
pub fn mount_flags(source: Option<&CStr>, target: &CStr, flags: u64) -> Result<()> {
    let source = source.map_or(0, text);
    // SAFETY: the paths are borrowed; NULL is allowed for the others with these flags.
    done(unsafe { syscall(nr::MOUNT, [source, text(target), 0, flags as usize, 0, 0]) })
}

/// `mount` of a new filesystem with its data as one string.
pub fn mount_data(source: &CStr, target: &CStr, filesystem: &CStr, data: &CStr) -> Result<()> {
    // SAFETY: all four strings are borrowed.
    done(unsafe { syscall(nr::MOUNT, [text(source), text(target), text(filesystem), 0, text(data), 0]) })
}

pub fn umount(path: &CStr, flags: u32) -> Result<()> {
    // SAFETY: the path is borrowed.
    done(unsafe { syscall(nr::UMOUNT2, [text(path), flags as usize, 0, 0, 0, 0]) })
}
