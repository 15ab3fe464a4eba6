//! What a command in the foreground waits for and passes signals to: a container's init, or a process that was added.

use std::os::fd::BorrowedFd;

use teu::{Container, Exit, Process, Result};

/// A process that ends once.
pub trait Foreground {
    /// Readable when it has ended; `None` if it had ended before.
    fn pidfd(&self) -> Option<BorrowedFd<'_>>;
    /// Its pid; `None` if it had ended before.
    fn pid(&self) -> Option<i32>;
    /// Sends it a signal.
    fn kill(&self, signal: i32) -> Result<()>;
    /// How it ended.
    fn wait(&self) -> Result<Exit>;
}

impl Foreground for Container {
    fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        Container::pidfd(self)
    }
    fn pid(&self) -> Option<i32> {
        Container::pid(self)
    }
    fn kill(&self, signal: i32) -> Result<()> {
        Container::kill(self, signal)
    }
    fn wait(&self) -> Result<Exit> {
        Container::wait(self)
    }
}

impl Foreground for Process {
    fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        Some(Process::pidfd(self))
    }
    fn pid(&self) -> Option<i32> {
        Some(Process::pid(self))
    }
    fn kill(&self, signal: i32) -> Result<()> {
        Process::kill(self, signal)
    }
    fn wait(&self) -> Result<Exit> {
        Ok(Process::wait(self))
    }
}
