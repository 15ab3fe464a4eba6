//! Calls that only copying needs.

use super::{Fd, Result, check, done, nr, syscall, text};
use core::ffi::CStr;

/// Reads directory entries (`struct linux_dirent64`).
pub fn getdents(directory: Fd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is borrowed for writing with its length.
    check(unsafe {
        syscall(nr::GETDENTS64, [directory.arg(), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0])
    })
}

/// Copies up to `len` bytes from one open file to another, both at their offsets.
pub fn sendfile(to: Fd, from: Fd, len: usize) -> Result<usize> {
    // SAFETY: the offset is NULL: no pointer.
    check(unsafe { syscall(nr::SENDFILE, [to.arg(), from.arg(), 0, len, 0, 0]) })
}

/// Sets the permission bits of `path`; a symbolic link is followed.
pub fn fchmodat(directory: Fd, path: &CStr, mode: u32) -> Result<()> {
    // SAFETY: the path is borrowed.
    done(unsafe { syscall(nr::FCHMODAT, [directory.arg(), text(path), mode as usize, 0, 0, 0]) })
}
