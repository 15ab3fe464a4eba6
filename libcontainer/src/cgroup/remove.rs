//! Removes a cgroup, with what the container made below it.
//!
//! The usual case is one rmdir for each hierarchy. Only when the kernel says that the cgroup is in use is it looked into:
//! waiting is for an event (the end of a process, `cgroup.events`), except where v1 has none.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::files::key;
use super::walk::Walk;
use super::{Cgroup, Dir, failed, files, is_gone, parents};
use crate::error::{Error, ErrorKind, Result};
use crate::sys;

/// v1 counts a process that is just dying, but does not list it and tells nobody when it is gone. Asked again after this.
const DYING: Duration = Duration::from_millis(1);
/// How many processes a message names.
const NAMED: usize = 8;

impl Cgroup {
    /// Removes the cgroup from every hierarchy, waiting until `deadline` has passed for processes that are ending.
    /// What is gone already is no error; what is not the container's (another inode) is left alone.
    ///
    /// # Errors
    /// `Busy`: processes are left.
    pub fn remove(&self, deadline: Duration) -> Result<()> {
        let until = Instant::now() + deadline;
        let stopped = self.stop_unit(deadline);
        // cgroup2 first: it tells when its processes are gone, and a process leaves all hierarchies at once.
        let (v2, v1): (Vec<&Dir>, Vec<&Dir>) = self.dirs.iter().partition(|dir| dir.is_v2());
        // Every hierarchy is tried, the first error is told.
        let failures =
            v2.into_iter().chain(v1).filter_map(|dir| remove(dir, until).err()).collect::<Vec<_>>();
        match (failures.into_iter().next(), stopped) {
            (None, Ok(())) => Ok(()),
            (None, Err(error)) => {
                log::warn!("{error}; its cgroup has been removed without it");
                Ok(())
            }
            (Some(_), Err(error)) | (Some(error), Ok(())) => Err(error),
        }
    }
}

fn remove(dir: &Dir, until: Instant) -> Result<()> {
    let told = |e: io::Error| failed(format!("cgroup: remove {}", dir.display()), &e);
    let root = match dir.open_root() {
        Err(e) if is_gone(&e) => return Ok(()),
        root => root.map_err(told)?,
    };
    if dir.inode != 0 {
        match fstatat(&root, dir.path.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) if found.st_ino == dir.inode => {}
            Ok(_) | Err(Errno::ENOENT | Errno::ENODEV) => return Ok(()),
            Err(e) => return Err(told(e.into())),
        }
    }
    while !rmdir(root.as_fd(), &dir.path).map_err(told)? {
        wait_empty(dir, until)?;
        remove_below(dir, until)?;
    }
    parents::remove_marked(root.as_fd(), dir);
    Ok(())
}

/// `false` if it has processes or cgroups in it. Gone is as good as removed.
fn rmdir(parent: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT | Errno::ENODEV) => Ok(true),
        Err(Errno::EBUSY | Errno::ENOTEMPTY) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Returns when the processes that are in the cgroup or below it now have ended.
fn wait_empty(dir: &Dir, until: Instant) -> Result<()> {
    let listed = dir.procs()?;
    let waited = match (listed.is_empty(), dir.is_v2()) {
        (false, _) => wait_dead(&listed, until),
        (true, true) => wait_unpopulated(dir, until),
        (true, false) => wait_dying(until),
    };
    match waited {
        Ok(true) => Ok(()),
        Ok(false) => Err(occupied(dir)),
        Err(e) if is_gone(&e) => Ok(()),
        Err(e) => Err(failed(format!("cgroup: wait for {}", dir.display()), &e)),
    }
}

/// The end of a process is told at once. `cgroup.events` may be silent for 10 ms: the kernel limits its rate.
fn wait_dead(pids: &[i32], until: Instant) -> io::Result<bool> {
    for &pid in pids {
        match sys::pidfd::pidfd_open(pid) {
            Ok(pidfd) if !sys::poll::poll(&[pidfd.as_fd()], libc::POLLIN, until)? => return Ok(false),
            Err(e) if e.raw_os_error() != Some(libc::ESRCH) => return Err(e),
            _ => {}
        }
    }
    Ok(true)
}

/// Processes that are not listed: dying, or of a pid namespace that the caller cannot see.
fn wait_unpopulated(dir: &Dir, until: Instant) -> io::Result<bool> {
    let events = dir.open_file("cgroup.events", libc::O_RDONLY)?;
    while key(&files::read_again(events.as_fd())?, "populated") != Some(0) {
        if !sys::poll::poll(&[events.as_fd()], libc::POLLPRI, until)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn wait_dying(until: Instant) -> io::Result<bool> {
    let again = Instant::now() + DYING;
    sys::poll::poll(&[], 0, again.min(until))?;
    Ok(again < until)
}

fn occupied(dir: &Dir) -> Error {
    let mut pids = dir.procs().unwrap_or_default();
    pids.sort_unstable();
    let names: Vec<_> = pids.iter().take(NAMED).map(i32::to_string).collect();
    let more = if pids.len() > NAMED { ", ..." } else { "" };
    let message = format!(
        "cgroup: {} still has {} process(es): {}{more}",
        dir.display(),
        pids.len(),
        if names.is_empty() { "dying or not visible here".to_owned() } else { names.join(", ") }
    );
    Error::new(ErrorKind::Busy, message)
}

/// Removes the cgroups below, from the deepest up. One that is in use again is left for the caller's next round.
fn remove_below(dir: &Dir, until: Instant) -> Result<()> {
    let removed = match Walk::new(dir) {
        Ok(mut walk) => clear(&mut walk, until),
        Err(e) => Err(e),
    };
    match removed {
        Ok(()) => Ok(()),
        Err(e) if is_gone(&e) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::TimedOut => Err(occupied(dir)),
        Err(e) => Err(failed(format!("cgroup: remove what is below {}", dir.display()), &e)),
    }
}

fn clear(walk: &mut Walk, until: Instant) -> io::Result<()> {
    // The name of each directory on the way down: it is removed after the walk has left it.
    let mut entered: Vec<String> = Vec::new();
    loop {
        if Instant::now() > until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match walk.next_child() {
            Some(child) => {
                if !rmdir(walk.at(), &child)? && walk.enter(&child)? {
                    entered.push(child);
                }
            }
            None if !walk.leave()? => return Ok(()),
            None => {
                let child = entered.pop().unwrap_or_default();
                rmdir(walk.at(), &child)?;
            }
        }
    }
}
