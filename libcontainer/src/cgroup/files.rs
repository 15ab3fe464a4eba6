//! Reading and writing files of a cgroup. A value is one write, a file is opened below the cgroup's own descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::{Dir, RecordedDir, failed};
use crate::error::Result;
use crate::plan::cgroup::{FileWrite, Tolerate};
use crate::sys::fs::{Resolve, above_stdio, open_below};

/// Room for a file that says one word.
const WORD: usize = 64;

impl RecordedDir {
    /// The hierarchy's root.
    pub(super) fn open_root(&self) -> io::Result<OwnedFd> {
        above_stdio(open(&self.root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)
    }

    /// The directory itself, if it is still the one that was made.
    pub(super) fn open(&self, flags: i32) -> io::Result<OwnedFd> {
        let fd =
            open_below(self.open_root()?.as_fd(), &self.path, flags | libc::O_DIRECTORY, Resolve::Beneath)?;
        if self.inode != 0 && nix::sys::stat::fstat(&fd)?.st_ino != self.inode {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        Ok(fd)
    }

    /// Whether a file in it says `word`. Allocates nothing.
    pub(super) fn says(&self, name: &str, word: &str) -> io::Result<bool> {
        let file = open_below(self.open(libc::O_PATH)?.as_fd(), name, libc::O_RDONLY, Resolve::Beneath)?;
        let mut buffer = [0; WORD];
        let read = nix::unistd::read(&file, &mut buffer)?;
        Ok(buffer.get(..read).unwrap_or_default().trim_ascii() == word.as_bytes())
    }
}

impl Dir {
    /// A file in it.
    pub(super) fn open_file(&self, name: &str, flags: i32) -> io::Result<OwnedFd> {
        match &self.fd {
            Some(fd) => open_below(fd.as_fd(), name, flags, Resolve::Beneath),
            None => open_below(self.open(libc::O_PATH)?.as_fd(), name, flags, Resolve::Beneath),
        }
    }

    pub(super) fn read(&self, name: &str) -> io::Result<String> {
        read(self.open_file(name, libc::O_RDONLY)?.as_fd())
    }

    pub(super) fn write(&self, name: &str, value: &str) -> io::Result<()> {
        write(self.open_file(name, libc::O_WRONLY)?.as_fd(), value)
    }
}

/// One write of the plan to its open file. `path` is for the message.
pub(super) fn write_open(fd: BorrowedFd<'_>, planned: &FileWrite, path: &str) -> Result<()> {
    match write(fd, &planned.value) {
        Ok(()) => Ok(()),
        Err(e) if is_tolerated(&e, planned.tolerate) => Ok(()),
        Err(e) => {
            let what = format!("unable to apply cgroup configuration: write {:?} to {path}", planned.value);
            Err(failed(what, &e).at(planned.pointer.clone()))
        }
    }
}

pub(super) fn is_tolerated(error: &io::Error, tolerate: Tolerate) -> bool {
    match tolerate {
        Tolerate::Nothing => false,
        Tolerate::Missing => error.raw_os_error() == Some(libc::ENOENT),
        Tolerate::Denied => {
            matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EPERM | libc::EACCES | libc::EROFS))
        }
    }
}

/// The files of cgroups take a value in one write or not at all.
pub(super) fn write(fd: BorrowedFd<'_>, value: &str) -> io::Result<()> {
    loop {
        match nix::unistd::write(fd, value.as_bytes()) {
            Ok(_) => return Ok(()),
            Err(nix::Error::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// The whole file. Most fit one page; lists of processes may not.
pub(super) fn read(fd: BorrowedFd<'_>) -> io::Result<String> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match nix::unistd::read(fd, &mut buffer) {
            Ok(0) => return Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(count) => text.extend(buffer.iter().take(count)),
            Err(nix::Error::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// The number behind `name` in a file of `name number` lines.
pub(crate) fn key(text: &str, name: &str) -> Option<u64> {
    let number = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(number)
}

/// The lines of `cgroup.procs`. 0 is a process that the reader's pid namespace cannot see.
pub(super) fn pids(text: &str) -> impl Iterator<Item = i32> {
    text.lines().filter_map(|line| line.parse().ok())
}

/// A file that was read before, from its start.
pub(super) fn read_again(fd: BorrowedFd<'_>) -> io::Result<String> {
    nix::unistd::lseek(fd, 0, nix::unistd::Whence::SeekSet)?;
    read(fd)
}
