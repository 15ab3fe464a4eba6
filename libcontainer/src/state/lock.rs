//! One operation at a time on one container: `flock` on its directory, waited for by events and not by polling.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::sys::fs::flock;
use crate::until::{self, Until, Woken};
use crate::{Error, ErrorKind, Result};

/// How long an operation waits for another one on the same container.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// The kernel tells of a descriptor's end before it takes the lock away: after an event the lock is tried again soon, and then less and less often.
const SOON: Duration = Duration::from_millis(1);

/// Takes the lock of an open directory; it lasts until the last copy of the descriptor is closed.
///
/// # Errors
/// `Busy` when the deadline passes, this one or the caller's; `Cancelled`.
pub(super) fn acquire(dir: &File, path: &std::path::Path, until: &Until) -> Result<()> {
    if try_acquire(dir)? {
        return Ok(());
    }
    // The holder's descriptor is of the directory: closing it is an event there. The watch comes before the next try, so none is missed.
    let failed = |errno: nix::Error| Error::os(format!("watch {}", path.display()), errno as i32);
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(failed)?;
    let events =
        AddWatchFlags::IN_CLOSE_NOWRITE | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
    match inotify.add_watch(path, events) {
        Ok(_) | Err(nix::Error::ENOENT) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let deadline = Instant::now() + DEADLINE;
    let last = until.deadline.map_or(deadline, |end| end.min(deadline));
    let mut again = None;
    while !try_acquire(dir)? {
        let limit = again.map_or(deadline, |again| deadline.min(Instant::now() + again));
        let woken = until.wait_before(&[inotify.as_fd()], libc::POLLIN, Some(limit));
        match woken.map_err(|error| Error::io("ppoll", &error))? {
            Woken::Ready => again = Some(SOON),
            Woken::Cancelled => return Err(until::cancelled()),
            Woken::Late if Instant::now() < last => again = again.map(|again| again * 2),
            Woken::Late => {
                let message = format!("container is busy: another operation holds {}", path.display());
                return Err(Error::new(ErrorKind::Busy, message));
            }
        }
        let _ = inotify.read_events();
    }
    Ok(())
}

/// Whether nobody holds the lock; does not keep it.
pub(super) fn is_free(dir: &File) -> bool {
    let free = matches!(flock(dir.as_fd(), libc::LOCK_SH | libc::LOCK_NB), Ok(true));
    if free {
        release(dir);
    }
    free
}

/// Gives the lock back.
pub(super) fn release(dir: &File) {
    let _ = flock(dir.as_fd(), libc::LOCK_UN);
}

fn try_acquire(dir: &File) -> Result<bool> {
    flock(dir.as_fd(), libc::LOCK_EX | libc::LOCK_NB).map_err(|error| Error::io("lock the container", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_given_back_after_its_event_is_not_missed() {
        let path = std::env::temp_dir().join(format!("teu-lock-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let open = || File::open(&path).unwrap();
        let holder = open();
        assert!(try_acquire(&holder).unwrap());
        let waiter = open();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| acquire(&waiter, &path, &Until::default()));
            // The last event comes before the lock is free.
            for _ in 0..20 {
                drop(open());
                std::thread::sleep(Duration::from_millis(5));
            }
            release(&holder);
            waiting.join().unwrap().unwrap();
        });
        std::fs::remove_dir(&path).unwrap();
    }
}
