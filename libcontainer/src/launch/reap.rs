//! Ending and reaping what was launched.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::sys::pidfd::pidfd_send_signal;
use crate::sys::poll::poll;
use crate::sys::process::{Ended, exit_information, reap};

/// Far enough to mean "until it happens".
pub(crate) const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Waits for the end of a process and takes its status: as its parent, or from what the kernel remembers. `None` if neither is to be had.
pub(crate) fn wait(pidfd: &OwnedFd) -> Option<Ended> {
    wait_until(pidfd, Instant::now() + FOREVER).flatten()
}

/// The same with a deadline; the outer `None` means that the process is still alive then.
pub(crate) fn wait_until(pidfd: &OwnedFd, deadline: Instant) -> Option<Option<Ended>> {
    if !poll(&[pidfd.as_fd()], libc::POLLIN, deadline).unwrap_or(false) {
        return None;
    }
    Some(reap(pidfd.as_fd()).ok().flatten().or_else(|| exit_information(pidfd.as_fd())))
}

/// How long a killed process may take: the kernel may hold it in a call that no signal ends.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Kills a process and waits until it is gone; false if it does not go.
pub(crate) fn kill(pidfd: &OwnedFd) -> bool {
    // What cannot be killed any more is gone already, and may have to be reaped.
    let _ = pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
    let gone = wait_until(pidfd, Instant::now() + PATIENCE).is_some();
    if !gone {
        log::warn!("a killed process does not end");
    }
    gone
}
