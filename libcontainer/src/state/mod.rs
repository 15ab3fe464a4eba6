//! What is known of a container: its record, and its status derived from the kernel on every question.

pub(crate) mod clock;
pub(crate) mod dir;
pub(crate) mod format;
mod identity;
pub(crate) mod lock;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

pub(crate) use self::dir::{GateState, StateDir};
pub(crate) use self::format::{InitRecord, Record};
use crate::cgroup::Cgroup;
use crate::sys::poll::poll;
use crate::{Error, Result, Status};

/// The runtime-spec version that this runtime implements.
pub const OCI_VERSION: &str = "1.3.0";

/// The state of a container (runtime-spec "State").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The specification's version that the runtime implements.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// Its status at the time of asking.
    pub status: Status,
    /// Init's pid in the creator's pid namespace; 0 when stopped.
    pub pid: i32,
    /// The bundle, absolute.
    pub bundle: PathBuf,
    /// The rootfs, absolute.
    pub rootfs: PathBuf,
    /// When it was created: RFC 3339, UTC, nanoseconds.
    pub created: String,
    /// Annotations of the configuration.
    pub annotations: BTreeMap<String, String>,
    /// The user who made it.
    pub owner_uid: u32,
}

/// Init as it is now, and the status that follows.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Init, if it lives.
    pub init: Option<OwnedFd>,
    /// The status.
    pub status: Status,
}

/// Derives the status: nothing of it is stored.
///
/// # Errors
/// The kernel refuses a question.
pub(crate) fn observe(dir: &StateDir, record: &Record) -> Result<Observed> {
    let Some(init) = &record.init else {
        // No init yet. A creator at work holds the lock; a dead one has left only this record.
        let status = if dir.is_idle() { Status::Stopped } else { Status::Creating };
        return Ok(Observed { init: None, status });
    };
    let alive = init
        .open()
        .map_err(|error| Error::io(format!("open process {}", init.pid), &error))?
        .filter(is_alive);
    let Some(init) = alive else { return Ok(Observed { init: None, status: Status::Stopped }) };
    let status = match dir.gate().map_err(|error| Error::io("look at the gate", &error))? {
        _ if is_frozen(record) => Status::Paused,
        GateState::Unpublished => Status::Creating,
        GateState::Closed => Status::Created,
        GateState::Open => Status::Running,
    };
    Ok(Observed { init: Some(init), status })
}

/// A pidfd is readable as soon as its process is dead, also as a zombie.
pub(crate) fn is_alive(pidfd: &OwnedFd) -> bool {
    !poll(&[pidfd.as_fd()], libc::POLLIN, Instant::now()).unwrap_or(true)
}

fn is_frozen(record: &Record) -> bool {
    Cgroup::open(&record.cgroup).is_ok_and(|cgroup| cgroup.frozen())
}

impl State {
    pub(crate) fn of(dir: &StateDir, record: Record, observed: &Observed) -> Self {
        let pid = match (&observed.init, &record.init) {
            (Some(_), Some(init)) => init.pid,
            _ => 0,
        };
        Self {
            oci_version: OCI_VERSION.to_owned(),
            id: record.id,
            status: observed.status,
            pid,
            bundle: record.bundle,
            rootfs: record.rootfs,
            created: record.created,
            annotations: record.annotations,
            owner_uid: dir.owner(),
        }
    }
}
