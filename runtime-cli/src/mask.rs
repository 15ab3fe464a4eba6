//! The signals of this program while a container is made and while one runs in the foreground: all are blocked, and read from
//! descriptors when it suits. No handler, no thread.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use std::os::fd::{AsFd, BorrowedFd};

use teu::{Cancel, Error, Exit, Result};

use crate::foreground::Foreground;

/// The signal that stays as it is: it means nothing to a container.
const LEFT_ALONE: Signal = Signal::SIGURG;

/// Signals that ask this program to give up.
const INTERRUPTS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// All signals blocked, and the two ways to see them.
pub struct Blocked {
    before: SigSet,
    all: SignalFd,
    interrupts: SignalFd,
}

impl Blocked {
    /// Blocks the signals.
    pub fn all() -> Result<Self> {
        let mut set = SigSet::all();
        set.remove(LEFT_ALONE);
        let mut interrupts = SigSet::empty();
        INTERRUPTS.into_iter().for_each(|signal| interrupts.add(signal));
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let open = |set: &SigSet| SignalFd::with_flags(set, flags).map_err(failed("signalfd"));
        let (all, interrupts) = (open(&set)?, open(&interrupts)?);
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(failed("sigprocmask"))?;
        Ok(Self { before, all, interrupts })
    }

    /// Whether somebody asked this program to give up. The signal stays pending.
    pub fn interrupted(&self) -> bool {
        let mut fds = [PollFd::new(self.interrupts.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// What ends the calls that wait, as soon as somebody asks this program to give up.
    pub fn cancel(&self) -> Result<Cancel> {
        let copy = self.interrupts.as_fd().try_clone_to_owned();
        copy.map(Cancel::from).map_err(|error| Error::io("copy a descriptor", &error))
    }

    /// Lets the pending signals act, which may end the program here.
    pub fn release(self) -> Result<()> {
        self.before.thread_set_mask().map_err(failed("sigprocmask"))
    }

    /// Passes signals on to the container until it has ended.
    pub fn forward_until_exit(&self, container: &impl Foreground) -> Result<Exit> {
        let Some(pidfd) = container.pidfd() else { return container.wait() };
        loop {
            let mut fds = [pidfd, self.all.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed("poll")(errno)),
            }
            if fds[0].any() == Some(true) {
                return container.wait();
            }
            self.forward_pending(container)?;
        }
    }

    fn forward_pending(&self, container: &impl Foreground) -> Result<()> {
        while let Some(signal) = self.read(container)? {
            pass_on(container, signal);
        }
        Ok(())
    }

    /// The next pending signal that is meant for the container. Children that end besides are reaped: processes that the container left behind, if this
    /// program is their subreaper.
    pub fn read(&self, container: &impl Foreground) -> Result<Option<i32>> {
        loop {
            let info = self.all.read_signal().map_err(failed("read signalfd"))?;
            // A signal number is below 65.
            match info.map(|info| i32::try_from(info.ssi_signo).unwrap_or_default()) {
                Some(signal) if signal == Signal::SIGCHLD as i32 => reap_others(container.pid()),
                other => return Ok(other),
            }
        }
    }
}

/// Reaps what has ended, but not `kept`: its end is seen through its pidfd.
fn reap_others(kept: Option<i32>) {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Some(pid) = waitid(Id::All, look).ok().and_then(|status| status.pid()) {
        if Some(pid.as_raw()) == kept || waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_err() {
            return;
        }
    }
}

/// Readable when a signal is pending.
impl AsFd for Blocked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.all.as_fd()
    }
}

/// Sends a signal that was meant for the container's program.
pub fn pass_on(container: &impl Foreground, signal: i32) {
    if let Err(error) = container.kill(signal) {
        log::warn!("signal {signal} could not be passed on: {error}");
    }
}

/// An error of a kernel call.
pub fn failed(what: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::os(what, errno as i32)
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{SigSet, Signal, raise};

    use super::Blocked;

    #[test]
    fn only_an_interrupt_interrupts_and_it_stays_pending() {
        let before = SigSet::thread_get_mask().unwrap();
        let signals = Blocked::all().unwrap();
        raise(Signal::SIGUSR1).unwrap();
        assert!(!signals.interrupted());
        raise(Signal::SIGTERM).unwrap();
        assert!(signals.interrupted());
        assert!(signals.interrupted());
        // Taken away before the release, or the test program would end here.
        let mut pending: Vec<_> =
            std::iter::from_fn(|| signals.all.read_signal().unwrap()).map(|info| info.ssi_signo).collect();
        pending.sort_unstable();
        assert_eq!(pending, [Signal::SIGUSR1 as u32, Signal::SIGTERM as u32]);
        assert!(!signals.interrupted());
        signals.release().unwrap();
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }

    #[test]
    fn all_but_one_signal_are_blocked() {
        let signals = Blocked::all().unwrap();
        let mask = SigSet::thread_get_mask().unwrap();
        assert!(!mask.contains(Signal::SIGURG));
        assert!(mask.contains(Signal::SIGWINCH) && mask.contains(Signal::SIGTSTP));
        signals.release().unwrap();
    }
}
