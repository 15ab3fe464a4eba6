//! What the state file keeps of a cgroup, so that another process finds it again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};

use super::{Cgroup, Dir, failed, is_gone};
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
    /// What is there now of a cgroup that nobody has recorded: the directories that exist, with the inodes that they have.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(crate) fn found(mut self) -> Result<Self> {
        self.check()?;
        for dir in std::mem::take(&mut self.dirs) {
            let inode = match dir.open(libc::O_PATH).and_then(|fd| Ok(fstat(&fd)?.st_ino)) {
                Err(e) if is_gone(&e) => continue,
                inode => inode.map_err(|e| failed(format!("cgroup: look for {}", dir.display()), &e))?,
            };
            self.dirs.push(RecordedDir { inode, ..dir });
        }
        Ok(self)
    }

    /// Whether one of its directories is, or is above, a directory of `other` that is still there.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        let below = |theirs: &RecordedDir, ours: &RecordedDir| {
            let rest = theirs.path.strip_prefix(&ours.path);
            theirs.root == ours.root && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let held = |theirs: &&RecordedDir| self.dirs.iter().any(|ours| below(theirs, ours));
        other.dirs.iter().filter(held).any(|theirs| theirs.open(libc::O_PATH).is_ok())
    }

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

    /// As [`Cgroup::procs`], those of every hierarchy; 0 stands for those that the caller's pid namespace cannot see.
    ///
    /// # Errors
    /// As [`Cgroup::procs`].
    pub(crate) fn procs_anywhere(&self) -> Result<BTreeSet<i32>> {
        let mut found = BTreeSet::new();
        for dir in &self.dirs {
            found.extend(dir.listed()?);
        }
        Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_is_found_and_it_holds_itself_and_what_is_below() {
        let root = std::env::temp_dir().join(format!("teu-record-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir_all(root.join("ab")).unwrap();
        let record = |paths: &[&str]| {
            let dir = |path: &&str| RecordedDir {
                root: root.clone(),
                path: (*path).to_owned(),
                hierarchy: String::new(),
                inode: 0,
            };
            CgroupRecord { v2: true, dirs: paths.iter().map(dir).collect(), unit: None }
        };
        let found = record(&["a", "gone"]).found().unwrap();
        assert_eq!(found.dirs.iter().map(|dir| dir.path.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_ne!(found.dirs.first().map_or(0, |dir| dir.inode), 0);
        for (other, held) in [("a", true), ("a/b", true), ("ab", false), ("a/gone", false)] {
            assert_eq!(found.holds(&record(&[other])), held, "{other}");
        }
        let mut earlier = found.clone();
        earlier.dirs.iter_mut().for_each(|dir| dir.inode += 1);
        assert!(!found.holds(&earlier), "another directory had its name");
        assert!(record(&["../a"]).found().is_err());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
