//! The mount calls of the caller: copying a tree of the host, detached. Everything else about mounts happens in init.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::Padded;

const OPEN_TREE_CLONE: u32 = 1;
const ATTR_PROPAGATION: usize = 16;

/// A detached copy of the mount that `dir` is on, from that directory on (Linux 5.2), cut off from the host's mount events where the kernel can
/// (Linux 5.12; before, init does it).
pub(crate) fn copy_tree(dir: BorrowedFd<'_>, recursive: bool) -> io::Result<OwnedFd> {
    let all = if recursive { libc::AT_RECURSIVE as u32 } else { 0 };
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32 | libc::AT_EMPTY_PATH as u32 | all;
    // SAFETY: libc has no wrapper; the path is a static NUL-ended string.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), c"".as_ptr(), flags) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let tree = super::fs::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })?;
    match enslave(&tree) {
        Err(error) if error.raw_os_error() != Some(libc::ENOSYS) => Err(error),
        _ => Ok(tree),
    }
}

fn enslave(tree: &OwnedFd) -> io::Result<()> {
    let mut attr = Padded::new();
    attr.put(ATTR_PROPAGATION, &libc::MS_SLAVE.to_ne_bytes());
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
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
