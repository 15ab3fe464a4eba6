//! Children of init and what it hears meanwhile: hooks run as such.

use super::arch::{nr, syscall};
use super::{Fd, Result, at_mut, check, done, fd};
use crate::abi::{CLONE_PIDFD, EINTR, POLLIN, SIGCHLD, SIGKILL, SOCK_CLOEXEC};

/// A child process.
#[derive(Clone, Copy, Debug)]
pub struct Child {
    pub pid: i32,
    /// Readable once it has ended.
    pub pidfd: Fd,
}

/// Makes a child that goes on from here with memory of its own: `None` in the child.
pub fn fork() -> Result<Option<Child>> {
    let mut pidfd = -1i32;
    let flags = CLONE_PIDFD as usize | SIGCHLD as usize;
    // Not clone3, which profiles refuse because a filter cannot look into its struct. SAFETY: the descriptor's place is borrowed for writing.
    // Neither memory nor stack is shared (no CLONE_VM).
    match check(unsafe { syscall(nr::CLONE, [flags, 0, at_mut(&mut pidfd), 0, 0, 0]) })? {
        0 => Ok(None),
        pid => Ok(Some(Child { pid: pid as i32, pidfd: Fd(pidfd) })),
    }
}

/// Takes the status of a child that has ended, as wait(2) encodes it.
pub fn wait(pid: i32) -> Result<u32> {
    let mut status = 0u32;
    loop {
        // SAFETY: the status is borrowed for writing; the usage is not asked for.
        match check(unsafe { syscall(nr::WAIT4, [pid as usize, at_mut(&mut status), 0, 0, 0, 0]) }) {
            Err(EINTR) => {}
            other => return other.map(|_| status),
        }
    }
}

/// Makes the caller the leader of a process group of its own.
pub fn lead_group() -> Result<()> {
    // SAFETY: takes no pointer.
    done(unsafe { syscall(nr::SETPGID, [0; 6]) })
}

/// Kills a child that has not been waited for, and every process of the group that it leads. It comes first: it may not lead yet.
pub fn kill_group(leader: i32) {
    for target in [leader as isize, -(leader as isize)] {
        // SAFETY: takes no pointer.
        let _ = unsafe { syscall(nr::KILL, [target as usize, SIGKILL as usize, 0, 0, 0, 0]) };
    }
}

/// `struct pollfd`.
#[repr(C)]
struct Polled {
    fd: i32,
    events: u16,
    found: u16,
}

/// Waits until one of the two has something to read or has ended; tells which.
pub fn poll(files: [Fd; 2]) -> Result<[bool; 2]> {
    let mut list = files.map(|file| Polled { fd: file.0, events: POLLIN, found: 0 });
    loop {
        // SAFETY: the list is borrowed for writing with its length; without a timeout and a mask.
        match check(unsafe { syscall(nr::PPOLL, [list.as_mut_ptr() as usize, list.len(), 0, 0, 0, 0]) }) {
            Err(EINTR) => {}
            other => return other.map(|_| list.map(|polled| polled.found != 0)),
        }
    }
}

/// Takes the next connection of a listening socket.
pub fn accept(listener: Fd) -> Result<Fd> {
    loop {
        let flags = SOCK_CLOEXEC as usize;
        // SAFETY: the address of the other side is not asked for.
        match fd(unsafe { syscall(nr::ACCEPT4, [listener.arg(), 0, 0, flags, 0, 0]) }) {
            Err(EINTR) => {}
            other => return other,
        }
    }
}
