//! Delete: from every state that a container, or an attempt at one, can be left in. Doing it again after an interruption finishes it.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::cgroup::Cgroup;
use crate::launch::reap;
use crate::lifecycle::{Operation, permits};
use crate::options::Delete;
use crate::spec::Id;
use crate::state::{self, Observed, Record, StateDir, dir::not_found};
use crate::sys::pidfd::pidfd_send_signal;
use crate::{Error, ErrorKind, Result, Status};

/// How long a killed init, and then its cgroup, may take to go.
const DEADLINE: Duration = Duration::from_secs(10);

/// Removes the container `id`.
pub(crate) fn remove(root: &Path, id: &Id, mode: Delete) -> Result<()> {
    let removed = StateDir::open(root, id).and_then(|dir| {
        if mode == Delete::Force && !dir.is_idle() {
            unblock(&dir);
        }
        dir.lock()?;
        if dir.is_linked() { remove_locked(&dir, mode) } else { Err(not_found()) }
    });
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound && mode == Delete::Force => Ok(()),
        other => other,
    }
}

/// Another operation holds the container. If it is a create that waits for init, init's death makes it give up.
fn unblock(dir: &StateDir) {
    let init = dir.read().ok().and_then(|record| record.init).and_then(|init| init.open().ok().flatten());
    if let Some(init) = init {
        let _ = pidfd_send_signal(init.as_fd(), libc::SIGKILL);
    }
}

/// Removes the container whose lock is held.
pub(crate) fn remove_locked(dir: &StateDir, mode: Delete) -> Result<()> {
    let record = match dir.read() {
        Ok(record) => record,
        // Cut short before the record was whole: there is nothing but the directory.
        Err(error) if error.kind() == ErrorKind::NotFound => return dir.remove().and(Err(error)),
        Err(_) if mode == Delete::Force => return dir.remove(),
        Err(error) => return Err(error),
    };
    let observed = state::observe(dir, &record)?;
    if mode == Delete::OnlyStopped && !permits(observed.status, Operation::Delete) {
        let message =
            format!("cannot delete container {} that is not stopped: {}", record.id, observed.status);
        return Err(Error::new(ErrorKind::InvalidState, message));
    }
    let cgroup = Cgroup::open(&record.cgroup)?;
    end(&record, &observed, &cgroup)?;
    cgroup.remove(DEADLINE)?;
    dir.remove()
}

/// Ends every process of the container.
fn end(record: &Record, observed: &Observed, cgroup: &Cgroup) -> Result<()> {
    let ours = record.init.is_some();
    if let Some(init) = &observed.init {
        let _ = pidfd_send_signal(init.as_fd(), libc::SIGKILL);
        if observed.status == Status::Paused {
            cgroup.thaw()?;
        }
        if reap::wait_until(init, Instant::now() + DEADLINE).is_none() {
            return Err(Error::new(ErrorKind::Busy, "container init still running"));
        }
    }
    // The end of a pid namespace ends everybody in it. Without one the cgroup tells who belongs to the container. A creator that died before it
    // had recorded init leaves no process: init follows it.
    if ours && !record.own_pid_namespace { cgroup.kill_all(libc::SIGKILL) } else { Ok(()) }
}
