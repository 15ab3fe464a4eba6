//! Waiting for descriptors with a deadline on the monotonic clock.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Waits until one of `fds` has one of `events` (POLLIN, POLLPRI, ...) or `deadline` is past; tells whether one has.
/// Without descriptors it waits for the deadline. Allocates nothing.
pub(crate) fn poll<const N: usize>(
    fds: &[BorrowedFd<'_>; N],
    events: i16,
    deadline: Instant,
) -> io::Result<bool> {
    wait(&mut fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 }), deadline)
}

/// The same, for each descriptor with events of its own: whether it has one of them, has ended or is broken.
pub(crate) fn poll_each(fds: &[(BorrowedFd<'_>, i16)], deadline: Instant) -> io::Result<Vec<bool>> {
    let polled = |(fd, events): &(BorrowedFd<'_>, i16)| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: *events,
        revents: 0,
    };
    let mut list: Vec<_> = fds.iter().map(polled).collect();
    wait(&mut list, deadline)?;
    Ok(list.iter().map(|polled| polled.revents != 0).collect())
}

/// Whether something has happened to one of them.
fn wait(list: &mut [libc::pollfd], deadline: Instant) -> io::Result<bool> {
    let count = list.len() as libc::nfds_t;
    loop {
        let timeout = timespec(deadline.saturating_duration_since(Instant::now()));
        // SAFETY: the list has `count` entries and outlives the call, as does the timeout.
        let ready = unsafe { libc::ppoll(list.as_mut_ptr(), count, &timeout, std::ptr::null()) };
        if ready >= 0 {
            return Ok(ready > 0);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    // The field's type has no name that every libc keeps.
    let tv_sec = duration.as_secs().min(u32::MAX.into()).try_into().unwrap_or_default();
    libc::timespec { tv_sec, tv_nsec: duration.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use std::io::{Write, pipe};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_descriptor_that_is_ready_ends_the_wait_and_a_past_deadline_does_not_wait() {
        let (reader, mut writer) = pipe().unwrap();
        assert!(!poll(&[reader.as_fd()], libc::POLLIN, Instant::now()).unwrap());
        assert!(!poll(&[], 0, Instant::now()).unwrap());
        writer.write_all(b"x").unwrap();
        assert!(poll(&[reader.as_fd()], libc::POLLIN, Instant::now() + Duration::from_secs(60)).unwrap());
    }
}
