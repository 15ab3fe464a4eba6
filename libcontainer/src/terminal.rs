//! The caller's end of a container's terminal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::{Error, Result, sys};

/// The master of a container's terminal. When the last copy is closed, the container's session gets a hangup (SIGHUP).
#[derive(Debug)]
pub struct Terminal {
    master: OwnedFd,
    number: u32,
}

impl Terminal {
    pub(crate) fn new(master: OwnedFd, number: u32) -> Self {
        Self { master, number }
    }

    /// The name of the slave in the container, such as `/dev/pts/0`.
    pub fn name(&self) -> String {
        format!("/dev/pts/{}", self.number)
    }

    /// Sets the size, in characters; whoever reads the terminal gets SIGWINCH if it is another one.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        sys::terminal::set_size(self.master.as_fd(), rows, columns)
            .map_err(|error| Error::io("resize the terminal", &error))
    }

    /// The size of any terminal, in rows and columns.
    ///
    /// # Errors
    /// `fd` is no terminal.
    pub fn size_of(fd: BorrowedFd<'_>) -> Result<(u16, u16)> {
        sys::terminal::size(fd).map_err(|error| Error::io("size of the terminal", &error))
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }
}

impl From<Terminal> for OwnedFd {
    fn from(terminal: Terminal) -> Self {
        terminal.master
    }
}
