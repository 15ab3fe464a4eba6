//! The mount calls of the caller: copying a tree of the host, detached. Everything else about mounts happens in init.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::Padded;

const OPEN_TREE_CLONE: u32 = 1;
const ATTR_SET: usize = 0;
const ATTR_CLEAR: usize = 8;
const ATTR_PROPAGATION: usize = 16;
const ATTR_USERNS: usize = 24;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

/// A detached copy of the mount that `dir` is on, from that directory on (Linux 5.2), cut off from the host's mount events where the kernel can
/// (Linux 5.12; before, init does it): MS_SLAVE, or MS_PRIVATE for both directions.
pub(crate) fn copy_tree(dir: BorrowedFd<'_>, recursive: bool, cut: libc::c_ulong) -> io::Result<OwnedFd> {
    let all = if recursive { libc::AT_RECURSIVE as u32 } else { 0 };
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32 | libc::AT_EMPTY_PATH as u32 | all;
    // SAFETY: libc has no wrapper; the path is a static NUL-ended string.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), c"".as_ptr(), flags) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let tree = super::fs::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })?;
    let mut attr = Padded::new();
    attr.put(ATTR_PROPAGATION, &cut.to_ne_bytes());
    match set_attributes(tree.as_fd(), libc::AT_RECURSIVE, &mut attr) {
        Err(error) if error.raw_os_error() != Some(libc::ENOSYS) => Err(error),
        _ => Ok(tree),
    }
}

/// Gives a detached tree, or with `below` all of its mounts, the ids of a user namespace (Linux 5.12).
pub(crate) fn map_ids(tree: BorrowedFd<'_>, userns: BorrowedFd<'_>, below: bool) -> io::Result<()> {
    let mut attr = Padded::new();
    attr.put(ATTR_SET, &MOUNT_ATTR_IDMAP.to_ne_bytes());
    attr.put(ATTR_USERNS, &i64::from(userns.as_raw_fd()).to_ne_bytes());
    set_attributes(tree, if below { libc::AT_RECURSIVE } else { 0 }, &mut attr)
}

/// Sets and clears attributes of a detached tree, or with `below` of all of its mounts (Linux 5.12).
pub(crate) fn change(tree: BorrowedFd<'_>, (set, clear): (u64, u64), below: bool) -> io::Result<()> {
    if set | clear == 0 {
        return Ok(());
    }
    let mut attr = Padded::new();
    attr.put(ATTR_SET, &set.to_ne_bytes());
    attr.put(ATTR_CLEAR, &clear.to_ne_bytes());
    set_attributes(tree, if below { libc::AT_RECURSIVE } else { 0 }, &mut attr)
}

fn set_attributes(tree: BorrowedFd<'_>, depth: i32, attr: &mut Padded) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | depth;
    let path: &CStr = c"";
    // SAFETY: libc has no wrapper; the path is static and `attr` is a zeroed `struct mount_attr` of 256 bytes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            path.as_ptr(),
            flags,
            attr.as_mut_ptr(),
            Padded::SIZE,
        )
    };
    attr.check();
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
