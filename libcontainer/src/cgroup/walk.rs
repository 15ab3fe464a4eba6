//! Walks the cgroups below a cgroup. A container may nest them as deep as it likes, so the walk holds one descriptor,
//! whatever the depth, and goes up by `..`: directories of cgroup filesystems never move to another parent.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::files::pids;
use super::{Dir, files, is_gone};
use crate::error::Result;
use crate::sys::fs::{Resolve, above_stdio, open_below, subdirectories};

const DIRECTORY: i32 = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;

/// A place in the tree: the directory, and for it and each one above it the subdirectories that are still to be visited.
pub(super) struct Walk {
    at: OwnedFd,
    rest: Vec<Vec<String>>,
}

impl Walk {
    /// Starts at the top.
    pub(super) fn new(dir: &Dir) -> io::Result<Self> {
        let at = dir.open(DIRECTORY)?;
        let rest = vec![subdirectories(at.as_fd())?];
        Ok(Self { at, rest })
    }

    /// The directory that the walk is at.
    pub(super) fn at(&self) -> BorrowedFd<'_> {
        self.at.as_fd()
    }

    /// The next subdirectory that is still to be visited here.
    pub(super) fn next_child(&mut self) -> Option<String> {
        self.rest.last_mut()?.pop()
    }

    /// Goes down. `false` if the subdirectory is gone.
    pub(super) fn enter(&mut self, child: &str) -> io::Result<bool> {
        let opened = open_below(self.at(), child, DIRECTORY, Resolve::Beneath);
        let listed = opened.and_then(|fd| Ok((subdirectories(fd.as_fd())?, fd)));
        match listed {
            Ok((names, fd)) => {
                self.at = fd;
                self.rest.push(names);
                Ok(true)
            }
            Err(e) if is_gone(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Goes up. `false` at the top: the walk is over.
    pub(super) fn leave(&mut self) -> io::Result<bool> {
        self.rest.pop();
        if self.rest.is_empty() {
            return Ok(false);
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        self.at = above_stdio(openat(&self.at, "..", flags, Mode::empty())?)?;
        Ok(true)
    }
}

impl Dir {
    /// Calls `visit` with every cgroup from this one down. One that vanishes meanwhile is left out.
    pub(super) fn each(&self, mut visit: impl FnMut(BorrowedFd<'_>) -> io::Result<()>) -> io::Result<()> {
        let mut visit = |at: BorrowedFd<'_>| match visit(at) {
            Err(e) if is_gone(&e) => Ok(()),
            other => other,
        };
        let mut walk = match Walk::new(self) {
            Err(e) if is_gone(&e) => return Ok(()),
            walk => walk?,
        };
        visit(walk.at())?;
        loop {
            match walk.next_child() {
                Some(child) if walk.enter(&child)? => visit(walk.at())?,
                None if !walk.leave()? => return Ok(()),
                _ => {}
            }
        }
    }

    /// The ids of the processes in this cgroup and below.
    pub(super) fn procs(&self) -> Result<Vec<i32>> {
        Ok(self.listed()?.into_iter().filter(|pid| *pid > 0).collect())
    }

    /// The same with those that the reader's pid namespace cannot see, which all have the id 0.
    pub(super) fn listed(&self) -> Result<Vec<i32>> {
        let mut found = Vec::new();
        let walked = self.each(|at| {
            let file = open_below(at, "cgroup.procs", libc::O_RDONLY, Resolve::Beneath)?;
            found.extend(pids(&files::read(file.as_fd())?));
            Ok(())
        });
        match walked {
            Ok(()) => Ok(found),
            Err(e) => Err(super::failed(format!("cgroup: read processes of {}", self.display()), &e)),
        }
    }
}
