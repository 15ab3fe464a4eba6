//! How init gets into the cgroup: cloned into the cgroup2 directory, and by its own hand into those of v1.
//!
//! A thread that moves itself by writing 0 to `tasks` costs microseconds; moving a process from outside waits for a grace period of the whole machine.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Cgroup, failed};
use crate::sys::fs::{Resolve, open_below};
use crate::{Error, ErrorKind, Result};

impl Cgroup {
    /// The directory of that index, open while the container is being created.
    pub(crate) fn directory(&self, index: usize) -> Option<BorrowedFd<'_>> {
        self.dirs.get(index)?.fd.as_ref().map(AsFd::as_fd)
    }

    /// The `tasks` file of the v1 directory of that index, open for writing.
    pub(crate) fn tasks(&self, index: usize) -> Result<OwnedFd> {
        let missing = || Error::new(ErrorKind::Internal, format!("the cgroup has no directory {index}"));
        let dir = self.dirs.get(index).ok_or_else(missing)?;
        let fd = self.directory(index).ok_or_else(missing)?;
        open_below(fd, "tasks", libc::O_WRONLY, Resolve::Beneath)
            .map_err(|error| failed(format!("open {}", dir.file("tasks")), &error))
    }
}
