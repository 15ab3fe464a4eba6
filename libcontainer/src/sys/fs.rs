//! Filesystem calls that nix lacks: openat2 with a padded struct, directory entries by descriptor, extended attributes.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::NixPath;

use super::Padded;

/// How a path is resolved (`struct open_how`'s `resolve`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolve {
    /// Everything stays below the directory on its own filesystem, and nothing is a link.
    Beneath,
    /// The directory is the root of the walk, for links too.
    InRoot,
}

impl Resolve {
    fn bits(self) -> u64 {
        match self {
            Self::Beneath => {
                libc::RESOLVE_BENEATH
                    | libc::RESOLVE_NO_SYMLINKS
                    | libc::RESOLVE_NO_MAGICLINKS
                    | libc::RESOLVE_NO_XDEV
            }
            Self::InRoot => libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS,
        }
    }
}

const HOW_FLAGS: usize = 0;
const HOW_RESOLVE: usize = 16;

/// Opens an existing file or directory below `dir`, close-on-exec.
pub(crate) fn open_below(
    dir: BorrowedFd<'_>,
    path: &str,
    flags: i32,
    resolve: Resolve,
) -> io::Result<OwnedFd> {
    let flags = u64::try_from(flags | libc::O_CLOEXEC).unwrap_or_default();
    let mut how = Padded::new();
    how.put(HOW_FLAGS, &flags.to_ne_bytes());
    how.put(HOW_RESOLVE, &resolve.bits().to_ne_bytes());
    // A path of usual length needs no memory to end with NUL.
    path.with_nix_path(|path| openat2_again(dir, path, &mut how))?
}

fn openat2_again(dir: BorrowedFd<'_>, path: &CStr, how: &mut Padded) -> io::Result<OwnedFd> {
    loop {
        match openat2(dir, path, how) {
            // EAGAIN: a rename elsewhere raced with the walk.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {}
            Err(e) => return Err(e),
            Ok(fd) => return above_stdio(fd),
        }
    }
}

/// Opens a file of a rootfs.
pub(crate) fn open_in_root(root: BorrowedFd<'_>, path: &str, flags: i32) -> io::Result<OwnedFd> {
    open_below(root, path, flags, Resolve::InRoot)
}

fn openat2(dir: BorrowedFd<'_>, path: &CStr, how: &mut Padded) -> io::Result<OwnedFd> {
    // SAFETY: libc has no wrapper; `path` ends with NUL and `how` is a zeroed `struct open_how` of 256 bytes.
    let fd = unsafe {
        libc::syscall(libc::SYS_openat2, dir.as_raw_fd(), path.as_ptr(), how.as_mut_ptr(), Padded::SIZE)
    };
    how.check();
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Moves a descriptor that landed on 0, 1 or 2 to a higher number: a caller may have closed its standard streams, and
/// whoever opens them again must not get ours.
pub(crate) fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    above(fd, 2)
}

/// Moves a descriptor above `number`, if it is not there already.
pub(crate) fn above(fd: OwnedFd, number: i32) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > number { Ok(fd) } else { duplicate(fd.as_raw_fd(), number + 1) }
}

/// A copy of the caller's descriptor `number`, from `lowest` on, close-on-exec.
pub(crate) fn duplicate(number: i32, lowest: i32) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_DUPFD_CLOEXEC only makes a new descriptor; a number that is not open is EBADF.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, lowest) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Opens a directory as a handle; no component of the path may be a symbolic link.
pub(crate) fn open_directory_plain(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let flags = (libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) as u64;
    let mut how = Padded::new();
    how.put(HOW_FLAGS, &flags.to_ne_bytes());
    how.put(HOW_RESOLVE, &libc::RESOLVE_NO_SYMLINKS.to_ne_bytes());
    // SAFETY: any directory will do, the path is absolute; a borrow of AT_FDCWD is never closed.
    let here = unsafe { BorrowedFd::borrow_raw(libc::AT_FDCWD) };
    above_stdio(openat2(here, &path, &mut how)?)
}

/// No file that is read at once is larger.
const MAX_SMALL: usize = 1 << 20;

/// The text of a small file of procfs or sysfs: open, read and close, where the standard library asks for its size and its end as well.
pub(crate) fn read_small(path: &str) -> io::Result<String> {
    use std::io::Read;
    let mut file = std::fs::File::open(path)?;
    let mut buffer = [0u8; 4096];
    let length = file.read(&mut buffer)?;
    let mut text = buffer.get(..length).unwrap_or(&[]).to_vec();
    if length == buffer.len() {
        file.read_to_end(&mut text)?;
    }
    String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Reads a small file from its start into `buffer`, which grows if it must; gives how much it is. The files of cgroups give themselves in one read.
pub(crate) fn read_at_start(file: &OwnedFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        match nix::sys::uio::pread(file, buffer, 0) {
            Ok(length) if length < buffer.len() || length >= MAX_SMALL => return Ok(length),
            Ok(length) => buffer.resize(length.saturating_mul(2).max(4096), 0),
            Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Locks or unlocks an open file (LOCK_*). False if somebody else holds it and the operation does not wait.
pub(crate) fn flock(file: BorrowedFd<'_>, operation: i32) -> io::Result<bool> {
    loop {
        // SAFETY: the call takes two numbers.
        if unsafe { libc::flock(file.as_raw_fd(), operation) } == 0 {
            return Ok(true);
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error),
        }
    }
}

/// The CLONE_NEW* flag of the namespace behind an open file (Linux 4.11).
pub(crate) fn namespace_kind(file: BorrowedFd<'_>) -> io::Result<u32> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the request takes no argument.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    u32::try_from(kind).map_err(|_| io::Error::last_os_error())
}

/// The calling thread's own namespace of a CLONE_NEW* kind.
pub(crate) fn own_namespace(kind: u32) -> io::Result<OwnedFd> {
    let name = match i32::try_from(kind) {
        Ok(libc::CLONE_NEWNET) => "net",
        Ok(libc::CLONE_NEWIPC) => "ipc",
        Ok(libc::CLONE_NEWUTS) => "uts",
        Ok(libc::CLONE_NEWUSER) => "user",
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    above_stdio(std::fs::File::open(format!("/proc/thread-self/ns/{name}"))?.into())
}

/// The names of the directories in `dir`, which is open for reading.
pub(crate) fn subdirectories(dir: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut buffer = [0u64; 512];
    loop {
        let size = size_of_val(&buffer);
        // SAFETY: the buffer is ours, aligned for `struct linux_dirent64`, and as long as the kernel is told.
        let read = unsafe { libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), size) };
        match usize::try_from(read) {
            Err(_) => return Err(io::Error::last_os_error()),
            Ok(0) => return Ok(names),
            Ok(read) => {
                let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_ne_bytes()).take(read).collect();
                names.extend(directory_entries(&bytes));
            }
        }
    }
}

/// `struct linux_dirent64`: inode 8, offset 8, record length 2, type 1, name up to a NUL.
fn directory_entries(mut bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    while let Some((length, kind, name)) = entry(bytes) {
        if kind == libc::DT_DIR && name != "." && name != ".." {
            names.push(name.to_owned());
        }
        bytes = bytes.get(length..).unwrap_or_default();
    }
    names
}

fn entry(bytes: &[u8]) -> Option<(usize, u8, &str)> {
    let length = usize::from(u16::from_ne_bytes(bytes.get(16..18)?.try_into().ok()?));
    let kind = *bytes.get(18)?;
    let name = CStr::from_bytes_until_nul(bytes.get(19..length)?).ok()?;
    Some((length, kind, name.to_str().unwrap_or_default()))
}

/// Gives a file an extended attribute without a value.
pub(crate) fn set_mark(path: &Path, name: &CStr) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: nix has no wrapper; both strings end with NUL, and a value of no bytes is not read.
    match unsafe { libc::lsetxattr(path.as_ptr(), name.as_ptr(), std::ptr::null(), 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a file has that extended attribute.
pub(crate) fn has_mark(path: &Path, name: &CStr) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: nix has no wrapper; both strings end with NUL, and with no bytes of room nothing is written.
    unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) >= 0 }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn paths_that_leave_the_directory_or_follow_links_are_refused() {
        let dir = File::open("/proc/self").unwrap();
        for path in ["../self", "/proc/self", "cwd", "exe", "ns/mnt"] {
            assert!(open_below(dir.as_fd(), path, libc::O_RDONLY, Resolve::Beneath).is_err(), "{path}");
        }
        open_below(dir.as_fd(), "attr/../status", libc::O_RDONLY, Resolve::Beneath).unwrap();
        assert!(open_below(dir.as_fd(), "a\0b", libc::O_RDONLY, Resolve::Beneath).is_err());
    }

    #[test]
    fn subdirectories_are_the_ones_the_standard_library_finds() {
        for path in ["/proc", "/sys/kernel", "/dev"] {
            let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
            let mut expected: Vec<_> = entries
                .filter(|entry| entry.file_type().unwrap().is_dir())
                .map(|entry| entry.file_name().into_string().unwrap())
                .filter(|name| name.parse::<u32>().is_err())
                .collect();
            let mut found = subdirectories(File::open(path).unwrap().as_fd()).unwrap();
            found.retain(|name| name.parse::<u32>().is_err());
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{path}");
        }
    }
}
