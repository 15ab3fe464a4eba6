//! Stopping all processes of a cgroup at once: freezing, and killing.
//!
//! Law: what this module freezes it thaws on every path. A cgroup that stays frozen cannot be killed on v1.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::files::key;
use super::{Cgroup, CgroupRecord, Dir, RecordedDir, failed, files, is_gone};
use crate::error::{Error, ErrorKind, Result};
use crate::sys;
use crate::sys::fs::{Resolve, open_below};
use crate::sys::pidfd::{pidfd_open, pidfd_send_signal};

/// How long the kernel may take to freeze before the signal is sent anyway: a task in uninterruptible sleep never freezes.
const FREEZE: Duration = Duration::from_millis(500);
/// How long to wait before v1 is asked again, whose freezer has no event: a sleeping process stands after some microseconds, and each wait is twice as long
/// as the one before, up to the second limit.
const SOON: Duration = Duration::from_micros(20);
const AGAIN: Duration = Duration::from_millis(1);
/// How many generations of forks are chased in a cgroup that cannot be frozen.
const GENERATIONS: usize = 16;

impl Cgroup {
    /// Whether the cgroup's processes are stopped by the freezer. A cgroup that is gone is not.
    ///
    /// On v2 this is what was asked for: a signal wakes a frozen process for a moment, and the state reached would flicker.
    pub fn frozen(&self) -> bool {
        self.freezer().is_some_and(|dir| dir.is_stopped().unwrap_or(false))
    }

    /// Stops every process of the cgroup and of those below it, and returns when all of them stand. If that takes longer than `limit`, they go on.
    ///
    /// # Errors
    /// `Unsupported` without a freezer; `TimedOut`; the cgroup is gone, or the kernel refuses.
    pub fn pause(&self, limit: Duration) -> Result<()> {
        let dir = self.freezer().ok_or_else(no_freezer)?;
        let deadline = Instant::now() + limit;
        let undo = Thaw(self);
        let stands = match dir.is_v2() {
            true => freeze(dir, deadline),
            false => freeze_v1(dir, deadline),
        };
        match stands {
            Ok(true) => std::mem::forget(undo),
            Ok(false) => return Err(not_in_time(dir, limit)),
            Err(e) => return Err(changed(dir, "freeze", &e)),
        }
        Ok(())
    }

    /// Lets the processes go on. What was frozen below on its own stays so.
    ///
    /// # Errors
    /// As [`Cgroup::pause`], without a limit.
    pub fn resume(&self) -> Result<()> {
        let dir = self.freezer().ok_or_else(no_freezer)?;
        let (file, word) = if dir.is_v2() { ("cgroup.freeze", "0") } else { ("freezer.state", "THAWED") };
        dir.write(file, word).map_err(|e| changed(dir, "thaw", &e))
    }

    /// Sends `signal` to every process of the cgroup and of those below it. A cgroup that is gone has none.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn kill_all(&self, signal: i32) -> Result<()> {
        if signal == libc::SIGKILL && self.kill_at_once()? {
            // A v1 freezer holds back even SIGKILL.
            return self.thaw();
        }
        let thaw = self.freeze(signal == libc::SIGKILL)?;
        let sent = self.signal_each(signal);
        drop(thaw);
        sent
    }

    /// Lets the processes run again, on v1 also those of cgroups below that were frozen on their own.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn thaw(&self) -> Result<()> {
        let Some(dir) = self.freezer() else { return Ok(()) };
        let thawed = match dir.is_v2() {
            true => dir.write("cgroup.freeze", "0"),
            false => dir.each(|at| {
                files::write(
                    open_below(at, "freezer.state", libc::O_WRONLY, Resolve::Beneath)?.as_fd(),
                    "THAWED",
                )
            }),
        };
        match thawed {
            Err(e) if !is_gone(&e) => Err(failed(format!("cgroup: thaw {}", dir.display()), &e)),
            _ => Ok(()),
        }
    }

    /// `cgroup.kill`, since Linux 5.14: reaches every process, also those that are being forked. `false` without it.
    fn kill_at_once(&self) -> Result<bool> {
        let Some(dir) = self.dirs.iter().find(|dir| dir.is_v2()) else { return Ok(false) };
        match dir.write("cgroup.kill", "1") {
            Ok(()) => Ok(true),
            Err(e) if is_gone(&e) => Ok(false),
            Err(e) => Err(failed(format!("cgroup: kill {}", dir.display()), &e)),
        }
    }

    fn freezer(&self) -> Option<&Dir> {
        self.dirs.get(freezer(self.dirs.iter().map(|dir| &dir.at))?)
    }

    /// Freezes until the guard is dropped. What was frozen before stays so, unless `thaw_always`.
    fn freeze(&self, thaw_always: bool) -> Result<Option<Thaw<'_>>> {
        let Some(dir) = self.freezer() else { return Ok(None) };
        let thaw = if thaw_always || !self.frozen() { Some(Thaw(self)) } else { None };
        // The processes of v1 cannot fork from the write on, which is enough here.
        let asked = match dir.is_v2() {
            true => freeze(dir, Instant::now() + FREEZE).map(drop),
            false => dir.write("freezer.state", "FROZEN"),
        };
        match asked {
            Err(e) if !is_gone(&e) => Err(failed(format!("cgroup: freeze {}", dir.display()), &e)),
            _ => Ok(thaw),
        }
    }

    fn signal_each(&self, signal: i32) -> Result<()> {
        let mut reached = HashSet::new();
        for _ in 0..GENERATIONS {
            let new: Vec<_> = self.procs()?.into_iter().filter(|pid| reached.insert(*pid)).collect();
            if new.is_empty() {
                break;
            }
            for pid in new {
                send(pid, signal)
                    .map_err(|e| Error::io(format!("kill process {pid} of the container"), &e))?;
            }
        }
        Ok(())
    }
}

impl CgroupRecord {
    /// As [`Cgroup::frozen`], with the reason why it cannot be told. Hosts ask again and again: it allocates nothing.
    pub fn frozen(&self) -> Result<bool> {
        self.check()?;
        let dir = freezer(self.dirs.iter()).and_then(|index| self.dirs.get(index));
        let stopped = dir.map_or(Ok(false), RecordedDir::is_stopped);
        stopped.map_err(|e| Error::io("look whether the cgroup is frozen", &e))
    }
}

impl RecordedDir {
    fn is_stopped(&self) -> io::Result<bool> {
        match self.is_v2() {
            true => self.says("cgroup.freeze", "1"),
            false => Ok(!self.says("freezer.state", "THAWED")?),
        }
    }
}

/// The index of the hierarchy that freezes. On a hybrid host that of cgroup2 can as well; the v1 freezer is what engines there use.
fn freezer<'a>(mut dirs: impl Iterator<Item = &'a RecordedDir> + Clone) -> Option<usize> {
    let v1 = dirs.clone().position(|dir| dir.serves("freezer"));
    v1.or_else(|| dirs.position(RecordedDir::is_v2))
}

/// A process that is gone meanwhile needs no signal.
fn send(pid: i32, signal: i32) -> io::Result<()> {
    match pidfd_open(pid).and_then(|pidfd| pidfd_send_signal(pidfd.as_fd(), signal)) {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other,
    }
}

/// Thaws when it is dropped.
struct Thaw<'a>(&'a Cgroup);

impl Drop for Thaw<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.thaw() {
            log::warn!("{error}");
        }
    }
}

/// Freezes a cgroup of v2 and tells whether it stood at the deadline.
fn freeze(dir: &Dir, deadline: Instant) -> io::Result<bool> {
    let events = dir.open_file("cgroup.events", libc::O_RDONLY)?;
    dir.write("cgroup.freeze", "1")?;
    while key(&files::read_again(events.as_fd())?, "frozen") != Some(1) {
        if !sys::poll::poll(&[events.as_fd()], libc::POLLPRI, deadline)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The same for v1. Asking again also reaches what came into the cgroup after the last time.
fn freeze_v1(dir: &Dir, deadline: Instant) -> io::Result<bool> {
    let mut again = SOON;
    loop {
        dir.write("freezer.state", "FROZEN")?;
        if dir.read("freezer.state")?.trim() == "FROZEN" {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sys::poll::poll(&[], 0, Instant::now() + again)?;
        again = AGAIN.min(again * 2);
    }
}

fn no_freezer() -> Error {
    let why = "the container was made without a cgroup that can be frozen";
    Error::new(ErrorKind::Unsupported, format!("cgroup not exist: {why}"))
}

fn not_in_time(dir: &Dir, limit: Duration) -> Error {
    let why = "a process in an uninterruptible sleep cannot be stopped; the container goes on";
    let message = format!("cgroup: {} is not frozen after {} s: {why}", dir.display(), limit.as_secs());
    Error::new(ErrorKind::TimedOut, message)
}

fn changed(dir: &Dir, verb: &str, error: &io::Error) -> Error {
    let failed = failed(format!("cgroup: {verb} {}", dir.display()), error);
    if is_gone(error) { failed.context("cgroup not exist") } else { failed }
}
