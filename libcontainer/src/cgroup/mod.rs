//! The container's cgroup on this machine: made from a [`CgroupPlan`](crate::plan::CgroupPlan), found again from a [`CgroupRecord`].
//!
//! A [`Cgroup`] that [`Cgroup::create`] made removes itself when it is dropped before [`Cgroup::commit`]. From a successful
//! create on, the directory belongs to the container, also if an empty one was found there; the parents that had to be
//! made are marked in the cgroup filesystem, and go when the last container below them goes.

mod create;
mod devices;
mod enter;
mod files;
mod freeze;
mod owner;
mod parents;
mod previous;
mod record;
mod remove;
mod unit;
mod update;
mod walk;
mod write;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

pub use self::devices::DeviceCache;
pub(crate) use self::enter::{Oom, oom};
pub(crate) use self::files::key;
pub use self::record::{CgroupRecord, RecordedDir, RecordedUnit};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::DeviceProgram;

/// How long a rollback waits for a killed init to leave the cgroup.
const ROLLBACK: Duration = Duration::from_secs(2);

/// The cgroup of one container, in each hierarchy.
#[derive(Debug)]
pub struct Cgroup {
    v2: bool,
    dirs: Vec<Dir>,
    late: Vec<Late>,
    ready: Vec<Late>,
    /// Not attached yet.
    filter: Option<DeviceFilter>,
    /// Set as soon as systemd has it.
    unit: Option<RecordedUnit>,
    /// Hierarchies in which systemd has put init into the cgroup.
    placed: Vec<String>,
    rollback: bool,
}

/// A device filter on its way to a directory.
#[derive(Debug)]
struct DeviceFilter {
    dir: usize,
    program: DeviceProgram,
    cache: DeviceCache,
}

/// The cgroup in one hierarchy.
#[derive(Debug)]
struct Dir {
    at: RecordedDir,
    /// Held from create to commit.
    fd: Option<OwnedFd>,
    /// It was there before, with the settings of whoever left it.
    found: bool,
}

/// A write that waits until init has exec'd: its file is open already, so that it cannot fail for want of the file.
#[derive(Debug)]
struct Late {
    fd: OwnedFd,
    dir: usize,
    write: crate::plan::cgroup::FileWrite,
}

impl Cgroup {
    fn of(v2: bool, dirs: Vec<Dir>, rollback: bool) -> Self {
        Self {
            v2,
            dirs,
            late: Vec::new(),
            ready: Vec::new(),
            filter: None,
            unit: None,
            placed: Vec::new(),
            rollback,
        }
    }

    /// Whether there are limits that have to wait until init has exec'd.
    pub(crate) fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// Writes the limits that had to wait until init had exec'd.
    ///
    /// # Errors
    /// The kernel refuses a value.
    pub fn apply_late(&self) -> Result<()> {
        self.apply(&self.late)
    }

    /// Puts the device rules in force that had to wait until init was ready. Mostly there are none.
    ///
    /// # Errors
    /// The kernel refuses a rule, or the filter.
    pub(crate) fn apply_ready(&mut self) -> Result<()> {
        self.apply(&self.ready)?;
        self.attach()
    }

    fn apply(&self, writes: &[Late]) -> Result<()> {
        for late in writes {
            let path = self.dirs.get(late.dir).map(|dir| dir.file(&late.write.file)).unwrap_or_default();
            files::write_open(late.fd.as_fd(), &late.write, &path)?;
        }
        Ok(())
    }

    /// How many processes the memory limit has killed. `None` without a memory controller.
    pub fn oom_kills(&self) -> Option<u64> {
        let events = |dir: &Dir| {
            let file = if dir.is_v2() { "memory.events" } else { "memory.oom_control" };
            files::key(&dir.read(file).ok()?, "oom_kill")
        };
        self.dirs.iter().find_map(events)
    }

    /// Keeps the cgroup: from here on only [`Cgroup::remove`] removes it.
    pub fn commit(&mut self) {
        self.rollback = false;
        self.late.clear();
        self.ready.clear();
        self.dirs.iter_mut().for_each(|dir| dir.fd = None);
    }

    /// The ids of the processes in the cgroup and in those below it, in the caller's pid namespace.
    ///
    /// # Errors
    /// The kernel does not tell. A cgroup that is gone has no processes.
    pub fn procs(&self) -> Result<Vec<i32>> {
        self.members().map_or(Ok(Vec::new()), Dir::procs)
    }

    /// The container's cgroup is in one cgroup2 hierarchy.
    pub(crate) fn is_v2(&self) -> bool {
        self.v2
    }

    /// The directory that a controller counts in; the empty name is that of cgroup2.
    pub(crate) fn hierarchy(&self, controller: &str) -> Option<OwnedFd> {
        let dir = self.dirs.iter().find(|dir| dir.serves(controller))?;
        dir.open(libc::O_PATH).ok()
    }

    /// The hierarchy that is asked which processes there are: the one in which a cgroup tells when it is empty, else the
    /// one in which it can be frozen.
    fn members(&self) -> Option<&Dir> {
        let v2 = self.dirs.iter().find(|dir| dir.is_v2());
        v2.or_else(|| self.dirs.iter().find(|dir| dir.serves("freezer"))).or(self.dirs.first())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if !self.rollback {
            return;
        }
        if let Err(error) = self.remove(ROLLBACK) {
            log::warn!("cgroup: rollback: {error}");
        }
    }
}

impl std::ops::Deref for Dir {
    type Target = RecordedDir;

    fn deref(&self) -> &RecordedDir {
        &self.at
    }
}

impl RecordedDir {
    fn is_v2(&self) -> bool {
        self.hierarchy.is_empty()
    }

    fn serves(&self, controller: &str) -> bool {
        self.hierarchy.split(',').any(|name| name == controller)
    }

    /// The path of a file in it, for messages.
    fn file(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.root.display(), self.path)
    }

    fn display(&self) -> String {
        format!("{}/{}", self.root.display(), self.path)
    }
}

/// An error of the cgroup filesystem.
fn failed(what: impl std::fmt::Display, error: &std::io::Error) -> Error {
    let error = Error::io(what, error);
    if error.kind() == ErrorKind::Kernel { error.kind_is(ErrorKind::Cgroup) } else { error }
}

/// The cgroup does not exist any more: ENODEV is what an open file of it says.
fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

#[cfg(test)]
mod tests;
