//! How long a call may wait, and what ends it before: a deadline, a cancellation from another thread, or nothing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::launch::reap::FOREVER;
use crate::sys::poll::poll_each;
use crate::{Error, ErrorKind, Result, sys};

/// Ends waiting calls from elsewhere, once and for all: a call that it was given to takes back what it has done and fails with `Cancelled`.
///
/// Clones are the same cancellation. A signal handler may write 8 bytes other than zero to the descriptor instead of calling [`Cancel::trigger`].
#[derive(Clone, Debug)]
pub struct Cancel(Arc<OwnedFd>);

impl Cancel {
    /// One that is not triggered.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn new() -> Result<Self> {
        let made = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let high = made.map_err(io::Error::from).and_then(|event| sys::fs::above_stdio(event.into()));
        let event = high.map_err(|error| Error::io("eventfd", &error))?;
        Ok(Self(Arc::new(event)))
    }

    /// Ends every call that waits with it, now and later.
    pub fn trigger(&self) {
        // Full means that it was triggered before.
        let _ = nix::unistd::write(&self.0, &1u64.to_ne_bytes());
    }
}

/// One that a descriptor of the caller's triggers by becoming readable, such as a signalfd. It is never read.
impl From<OwnedFd> for Cancel {
    fn from(fd: OwnedFd) -> Self {
        Self(Arc::new(fd))
    }
}

impl AsFd for Cancel {
    /// Readable once it is triggered.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How long a call may wait; the default is for ever.
#[derive(Clone, Debug, Default)]
pub struct Patience {
    /// From the beginning of the call, on the monotonic clock.
    pub timeout: Option<Duration>,
    /// What ends it before.
    pub cancel: Option<Cancel>,
}

/// A patience that has begun.
#[derive(Clone, Debug, Default)]
pub(crate) struct Until {
    pub deadline: Option<Instant>,
    pub cancel: Option<Cancel>,
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    Ready,
    Late,
    Cancelled,
}

impl From<&Patience> for Until {
    fn from(patience: &Patience) -> Self {
        let deadline = patience.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self { deadline, cancel: patience.cancel.clone() }
    }
}

impl Until {
    /// Nothing ends it: no question has to be asked of the kernel.
    pub fn is_endless(&self) -> bool {
        self.deadline.is_none() && self.cancel.is_none()
    }

    /// An error if it is over already.
    pub fn check(&self) -> Result<()> {
        match self.is_endless() {
            true => Ok(()),
            false => match self.wait_before(&[], libc::POLLIN, Some(Instant::now())) {
                Ok(Woken::Cancelled) => Err(cancelled()),
                Ok(Woken::Late) if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                    Err(late())
                }
                _ => Ok(()),
            },
        }
    }

    /// The time that is left of `limit`.
    pub fn within(&self, limit: Duration) -> Duration {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.map_or(limit, |left| left.min(limit))
    }

    /// Waits until one of `fds` has one of `events`. What is ready comes before what ends the wait.
    pub fn wait(&self, fds: &[BorrowedFd<'_>], events: i16) -> io::Result<Woken> {
        self.wait_before(fds, events, None)
    }

    /// The same, and no longer than to `limit`.
    pub fn wait_before(
        &self,
        fds: &[BorrowedFd<'_>],
        events: i16,
        limit: Option<Instant>,
    ) -> io::Result<Woken> {
        let deadline =
            self.deadline.into_iter().chain(limit).min().unwrap_or_else(|| Instant::now() + FOREVER);
        let mut all: Vec<_> = fds.iter().map(|fd| (*fd, events)).collect();
        // A cancellation is always writable.
        all.extend(self.cancel.as_ref().map(|cancel| (cancel.as_fd(), libc::POLLIN)));
        let found = poll_each(&all, deadline)?;
        Ok(match found.iter().position(|ready| *ready) {
            Some(index) if index < fds.len() => Woken::Ready,
            Some(_) => Woken::Cancelled,
            None => Woken::Late,
        })
    }
}

/// Waits for the end of a process, before its status is taken. A patience without an end leaves the waiting to who takes it.
pub(crate) fn ended(pidfd: &OwnedFd, patience: &Patience) -> Result<()> {
    let until = Until::from(patience);
    if until.is_endless() {
        return Ok(());
    }
    match until.wait(&[pidfd.as_fd()], libc::POLLIN) {
        Ok(Woken::Ready) => Ok(()),
        Ok(Woken::Late) => Err(late()),
        Ok(Woken::Cancelled) => Err(cancelled()),
        Err(error) => Err(Error::io("wait for a process", &error)),
    }
}

pub(crate) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the operation was cancelled")
}

pub(crate) fn late() -> Error {
    Error::new(ErrorKind::TimedOut, "the time for the operation is over")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancellation_ends_waits_for_ever_and_what_is_ready_comes_first() {
        let cancel = Cancel::new().unwrap();
        let until = Until::from(&Patience { timeout: None, cancel: Some(cancel.clone()) });
        until.check().unwrap();
        cancel.trigger();
        cancel.trigger();
        assert_eq!(until.check().unwrap_err().kind(), ErrorKind::Cancelled);
        let (reader, writer) = std::io::pipe().unwrap();
        assert_eq!(until.wait(&[reader.as_fd()], libc::POLLIN).unwrap(), Woken::Cancelled);
        drop(writer);
        assert_eq!(until.wait(&[reader.as_fd()], libc::POLLIN).unwrap(), Woken::Ready);
    }

    #[test]
    fn who_waits_for_room_is_not_cancelled_by_a_cancellation_that_nobody_triggered() {
        use std::io::Write;
        let (reader, mut writer) = std::os::unix::net::UnixStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        while writer.write(&[0; 4096]).is_ok() {}
        let cancel = Cancel::new().unwrap();
        let timeout = Some(Duration::from_millis(1));
        let until = Until::from(&Patience { timeout, cancel: Some(cancel.clone()) });
        assert_eq!(until.wait(&[writer.as_fd()], libc::POLLOUT).unwrap(), Woken::Late);
        cancel.trigger();
        assert_eq!(until.wait(&[writer.as_fd()], libc::POLLOUT).unwrap(), Woken::Cancelled);
        drop(reader);
    }

    #[test]
    fn any_descriptor_that_becomes_readable_cancels() {
        let (reader, writer) = std::io::pipe().unwrap();
        let cancel = Cancel::from(OwnedFd::from(reader));
        let until = Until::from(&Patience { timeout: None, cancel: Some(cancel) });
        until.check().unwrap();
        drop(writer);
        assert_eq!(until.check().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn a_time_that_is_over_is_late_and_no_time_is_endless() {
        let until = Until::from(&Patience { timeout: Some(Duration::ZERO), cancel: None });
        assert_eq!(until.check().unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(until.within(Duration::from_secs(9)), Duration::ZERO);
        let endless = Until::default();
        assert!(endless.is_endless() && endless.check().is_ok());
        assert_eq!(endless.within(Duration::from_secs(9)), Duration::from_secs(9));
    }
}
