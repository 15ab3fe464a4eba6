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

/// Makes a tree private, all of it (Linux 5.12).
pub(crate) fn cut_off(tree: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = Padded::new();
    attr.put(ATTR_PROPAGATION, &libc::MS_PRIVATE.to_ne_bytes());
    set_attributes(tree, libc::AT_RECURSIVE, &mut attr)
}

/// The number of the mount that a descriptor is on, which no other mount ever has (Linux 6.8).
pub(crate) fn id(fd: BorrowedFd<'_>) -> io::Result<u64> {
    // libc does not know it yet.
    const STATX_MNT_ID_UNIQUE: u32 = 0x4000;
    let mut found = std::mem::MaybeUninit::<libc::statx>::zeroed();
    let (fd, path, flags) = (fd.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH);
    // Not libc's function: the standard library refers to it weakly, and a linker that optimises a static program then leaves it out. SAFETY: the path is
    // static and NUL-ended, and `found` is a whole struct statx.
    let result =
        unsafe { libc::syscall(libc::SYS_statx, fd, path, flags, STATX_MNT_ID_UNIQUE, found.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed, which is a value of it, and filled by the kernel since.
    let found = unsafe { found.assume_init() };
    match found.stx_mask & STATX_MNT_ID_UNIQUE {
        0 => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
        _ => Ok(found.stx_mnt_id),
    }
}

/// Whether the mount of that number is in our mount namespace (Linux 6.8).
pub(crate) fn exists(id: u64) -> io::Result<bool> {
    const STATMOUNT: libc::c_long = 457;
    // struct mnt_id_req: its size, the number, nothing asked for.
    let mut request = Padded::new();
    request.put(0, &24_u32.to_ne_bytes());
    request.put(8, &id.to_ne_bytes());
    let mut answer = [0_u64; 64];
    let (from, to) = (request.as_mut_ptr(), answer.as_mut_ptr());
    // SAFETY: libc has no wrapper; the kernel reads 24 bytes and writes at most as many as it is told.
    let result = unsafe { libc::syscall(STATMOUNT, from, to, size_of_val(&answer), 0) };
    match io::Error::last_os_error() {
        _ if result == 0 => Ok(true),
        error if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        error => Err(error),
    }
}

/// Attaches a detached tree to a directory (Linux 5.2).
pub(crate) fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    // MOVE_MOUNT_F_EMPTY_PATH and MOVE_MOUNT_T_EMPTY_PATH.
    const BOTH_BY_DESCRIPTOR: u32 = 0x04 | 0x40;
    let (from, to, path) = (tree.as_raw_fd(), target.as_raw_fd(), c"".as_ptr());
    // SAFETY: libc has no wrapper; both paths are the same static NUL-ended string.
    let result = unsafe { libc::syscall(libc::SYS_move_mount, from, path, to, path, BOTH_BY_DESCRIPTOR) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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
