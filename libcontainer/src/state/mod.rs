//! What is known of a container: its record, and its status derived from the kernel on every question.

pub(crate) mod clock;
pub(crate) mod dir;
pub(crate) mod format;
mod identity;
pub(crate) mod lock;
pub(crate) mod notify;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) use self::dir::{GateState, StateDir};
pub(crate) use self::format::{InitRecord, MountRecord, Record};
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

/// What programs ask for most often, without texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The status at the time of asking.
    pub status: Status,
    /// Init's pid in the creator's pid namespace; 0 when stopped.
    pub pid: i32,
    /// When it was created, since 1970.
    pub created: Duration,
}

/// Derives the status: nothing of it is stored. `init` is the recorded process, if it was found.
///
/// # Errors
/// The kernel refuses a question.
pub(crate) fn status(dir: &StateDir, record: &Record, init: Option<&OwnedFd>) -> Result<Status> {
    if record.init.is_none() {
        // A creator at work holds the lock; a dead one has left only this record.
        return Ok(if dir.is_idle() { Status::Stopped } else { Status::Creating });
    }
    if !init.is_some_and(is_alive) {
        return Ok(Status::Stopped);
    }
    if is_frozen(record)? {
        return Ok(Status::Paused);
    }
    let gate = dir.gate().map_err(|error| Error::io("look at the gate", &error))?;
    Ok(match gate {
        GateState::Unpublished => Status::Creating,
        GateState::Closed => Status::Created,
        GateState::Open => Status::Running,
    })
}

/// A pidfd is readable as soon as its process is dead, also as a zombie.
pub(crate) fn is_alive(pidfd: &OwnedFd) -> bool {
    !poll(&[pidfd.as_fd()], libc::POLLIN, Instant::now()).unwrap_or(true)
}

fn is_frozen(record: &Record) -> Result<bool> {
    match record.cgroup.frozen() {
        Err(error) if is_of_the_caller(&error) => Err(error),
        answer => Ok(answer.unwrap_or(false)),
    }
}

/// The error says something of the caller and nothing of what it asked for.
pub(crate) fn is_of_the_caller(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::ENOSYS | libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

impl Summary {
    pub(crate) fn of(record: &Record, status: Status) -> Self {
        let pid = record.init.as_ref().filter(|_| status != Status::Stopped).map_or(0, |init| init.pid);
        Self { status, pid, created: clock::parse(&record.created).unwrap_or_default() }
    }
}

impl State {
    /// The same without texts.
    pub fn summary(&self) -> Summary {
        Summary {
            status: self.status,
            pid: self.pid,
            created: clock::parse(&self.created).unwrap_or_default(),
        }
    }

    /// The state as the specification's JSON on one line, with `rootfs`, `created` and `ownerUid` beside what it demands.
    pub fn to_json(&self) -> String {
        let mut document = serde_json::json!({
            "ociVersion": self.oci_version,
            "id": self.id,
            "status": self.status.as_str(),
            "pid": self.pid,
            "bundle": self.bundle,
            "rootfs": self.rootfs,
            "created": self.created,
            "ownerUid": self.owner_uid,
        });
        if !self.annotations.is_empty() {
            document["annotations"] = serde_json::json!(self.annotations);
        }
        document.to_string()
    }

    pub(crate) fn of(dir: &StateDir, record: &Record, status: Status) -> Self {
        let pid = record.init.as_ref().filter(|_| status != Status::Stopped).map_or(0, |init| init.pid);
        Self {
            oci_version: OCI_VERSION.to_owned(),
            id: record.id.clone(),
            status,
            pid,
            bundle: record.bundle.clone(),
            rootfs: record.rootfs.clone(),
            created: record.created.clone(),
            annotations: record.annotations.clone(),
            owner_uid: dir.owner(),
        }
    }
}
