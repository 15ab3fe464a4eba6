//! Delete: from every state that a container, or an attempt at one, can be left in. Doing it again after an interruption finishes it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Container, salvage};
use crate::cgroup::Cgroup;
use crate::launch::{hook, reap};
use crate::lifecycle::{Operation, permits};
use crate::options::Delete;
use crate::prepare::remove_host_root;
use crate::spec::Id;
use crate::state::{StateDir, dir::not_found, is_of_the_caller};
use crate::sys::pidfd::pidfd_send_signal;
use crate::{Error, ErrorKind, Result, Status, Warning};

/// How long a killed init, and then its cgroup, may take to go.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// Removes the container `id`.
pub(crate) fn remove(root: &Path, id: &Id, mode: Delete) -> Result<Vec<Warning>> {
    let removed = StateDir::open(root, id).and_then(|dir| {
        if mode == Delete::Force && !dir.is_idle() {
            unblock(&dir);
        }
        dir.lock()?;
        if dir.is_linked() { remove_claimed(root, dir, mode) } else { Err(not_found()) }
    });
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound && mode == Delete::Force => Ok(Vec::new()),
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

/// Removes what a locked directory holds, be it a container or less.
fn remove_claimed(root: &Path, dir: StateDir, mode: Delete) -> Result<Vec<Warning>> {
    let lost = match dir.read() {
        Ok(record) => return remove_locked(&Container::opened(Arc::new(dir), record)?, mode),
        // What keeps us from reading says nothing of the record.
        Err(error) if is_of_the_caller(&error) => return Err(error),
        Err(error) => error,
    };
    match (lost.kind(), mode) {
        // Cut short before the record was whole: there is nothing but the directory.
        (ErrorKind::NotFound, _) => dir.remove().and(Err(lost)),
        (_, Delete::Force) => salvage::remove(root, &dir, &lost).map(|()| Vec::new()),
        _ => Err(lost.remark("delete --force removes it")),
    }
}

/// Removes the container whose lock is held.
pub(super) fn remove_locked(container: &Container, mode: Delete) -> Result<Vec<Warning>> {
    // With the lock held nobody is creating: what looks like it is what a dead creator left.
    let record = &container.record;
    let status = if record.init.is_some() { container.observe()? } else { Status::Stopped };
    if mode == Delete::OnlyStopped && !permits(status, Operation::Delete) {
        let message = format!("cannot delete container {} that is not stopped: {status}", record.id);
        return Err(Error::new(ErrorKind::InvalidState, message));
    }
    let cgroup = Cgroup::open(&record.cgroup)?;
    if record.init.is_some() {
        end(container, status, &cgroup)?;
    }
    cgroup.remove(DEADLINE)?;
    crate::resctrl::remove(&record.intel_rdt)?;
    remove_host_root(&record.rootfs, record.root_mount.as_ref())?;
    container.dir.remove()?;
    Ok(hook::poststop(record))
}

fn kill(init: &OwnedFd) -> Result<()> {
    match pidfd_send_signal(init.as_fd(), libc::SIGKILL) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
            Err(Error::io("kill the container's init", &error))
        }
        _ => Ok(()),
    }
}

/// Ends every process of the container.
pub(super) fn end(container: &Container, status: Status, cgroup: &Cgroup) -> Result<()> {
    if status == Status::Stopped {
        // A caller who is the parent and never waited for it would keep the zombie.
        let _ = container.pidfd.as_ref().map(|init| reap::wait_until(init, Instant::now()));
    } else if let Some(init) = &container.pidfd {
        kill(init)?;
        if status == Status::Paused {
            cgroup.thaw()?;
        }
        if reap::wait_until(init, Instant::now() + DEADLINE).is_none() {
            // An init that has ended is not gone before all of its pid namespace: the parent of a process that was added is asked for its status first.
            return Err(Error::new(ErrorKind::Busy, "container init still running")
                .remark("or the parent of a process that exec added has not reaped it"));
        }
    }
    // The end of a pid namespace ends everybody in it. Without one the cgroup tells who belongs to the container.
    if container.record.own_pid_namespace { Ok(()) } else { cgroup.kill_all(libc::SIGKILL) }
}
