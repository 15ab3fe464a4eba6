//! What the state file keeps of a cgroup, so that another process finds it again.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use super::{Cgroup, Dir};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::CgroupPlan;
use crate::plan::cgroup::systemd::{Manager, UnitPlan};

/// A cgroup as the state file keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupRecord {
    /// The container's cgroup is in one cgroup2 hierarchy.
    pub v2: bool,
    /// Where it is in each hierarchy.
    pub dirs: Vec<RecordedDir>,
    /// The unit of systemd that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<RecordedUnit>,
}

/// A unit of systemd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedUnit {
    /// Which manager has it.
    pub manager: Manager,
    /// Its name.
    pub name: String,
}

impl RecordedUnit {
    pub(super) fn of(unit: &UnitPlan) -> Self {
        Self { manager: unit.manager, name: unit.name.clone() }
    }
}

/// The cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedDir {
    /// Where the hierarchy is mounted.
    pub root: PathBuf,
    /// The path below the root.
    pub path: String,
    /// The hierarchy's controllers; empty for cgroup2.
    pub hierarchy: String,
    /// The directory's inode; 0 while it is not made yet. Cgroup filesystems use none again: another one means another cgroup.
    #[serde(default)]
    pub inode: u64,
}

impl CgroupRecord {
    /// What `plan` is going to make: kept before anything is made, it lets `delete` clean up after a creator that died.
    /// It must not be used for a create that was refused: the cgroup is somebody else's then.
    pub fn intent(plan: &CgroupPlan) -> Self {
        let dirs = plan.dirs.iter().map(|dir| RecordedDir {
            root: dir.root.clone(),
            path: dir.path.clone(),
            hierarchy: dir.hierarchy.clone(),
            inode: 0,
        });
        Self { v2: plan.v2, dirs: dirs.collect(), unit: plan.unit.as_ref().map(RecordedUnit::of) }
    }
}

impl CgroupRecord {
    /// # Errors
    /// It names a place outside its hierarchy.
    pub(super) fn check(&self) -> Result<()> {
        let outside = |dir: &&RecordedDir| {
            dir.path.is_empty()
                || dir.path.split('/').any(|part| matches!(part, "" | "." | ".."))
                || dir.path.contains('\0')
        };
        self.dirs.iter().find(outside).map_or(Ok(()), |dir| {
            let message = format!("cgroup: the recorded path {:?} is not below its hierarchy", dir.path);
            Err(Error::new(ErrorKind::Cgroup, message))
        })
    }
}

impl Cgroup {
    /// What the state file keeps.
    pub fn record(&self) -> CgroupRecord {
        let dirs = self.dirs.iter().map(|dir| dir.at.clone());
        CgroupRecord { v2: self.v2, dirs: dirs.collect(), unit: self.unit.clone() }
    }

    /// The cgroup of a container that exists. Asks the kernel nothing yet: a cgroup that is gone shows later, as one
    /// without processes.
    ///
    /// # Errors
    /// The record names a place outside its hierarchy.
    pub fn open(record: &CgroupRecord) -> Result<Self> {
        record.check()?;
        let dirs = record.dirs.iter().map(|dir| Dir { at: dir.clone(), fd: None, found: false });
        let mut cgroup = Self::of(record.v2, dirs.collect(), false);
        cgroup.unit.clone_from(&record.unit);
        Ok(cgroup)
    }
}
