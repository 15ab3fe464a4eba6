//! The unit of systemd that a cgroup belongs to: started with init in it, changed, stopped.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::{Cgroup, Dir, RecordedUnit, failed};
use crate::error::Result;
use crate::host::OwnCgroup;
use crate::plan::cgroup::{CgroupDir, CgroupPlan, UnitPlan};
use crate::sys::fs::open_directory_plain;
use crate::systemd::{self, Systemd};
use crate::until::Until;

impl Cgroup {
    /// Starts the unit, a scope with the process `init` in it, and finds out where that is now.
    ///
    /// # Errors
    /// systemd does not answer, or does not like the unit.
    pub(crate) fn start_unit(
        &mut self,
        unit: &UnitPlan,
        init: Option<i32>,
        dirs: &mut [CgroupDir],
        until: &Until,
    ) -> Result<()> {
        let pids: Vec<i32> = init.into_iter().collect();
        let started = Systemd::connect(unit.manager, until)?.start(unit, &pids);
        // What was refused is somebody else's, or nobody's.
        if started.as_ref().err().is_none_or(|failure| failure.accepted) {
            self.unit = Some(RecordedUnit::of(unit));
        }
        started.map_err(|failure| failure.error)?;
        let Some(init) = init else { return Ok(()) };
        self.find(init, &unit.name, dirs)?;
        match &unit.subgroup {
            Some(subgroup) => dirs
                .iter_mut()
                .filter(|dir| dir.hierarchy.is_empty() && self.placed.contains(&dir.hierarchy))
                .try_for_each(|dir| go_below(init, subgroup, dir)),
            None => Ok(()),
        }
    }

    /// systemd need not have all hierarchies of v1, and those of a user begin where its manager is.
    fn find(&mut self, init: i32, unit: &str, dirs: &mut [CgroupDir]) -> Result<()> {
        let path = format!("/proc/{init}/cgroup");
        let text = std::fs::read_to_string(&path).map_err(|e| failed(format!("read {path}"), &e))?;
        let own = OwnCgroup::parse(&text);
        for dir in dirs {
            let found = own.path(&dir.hierarchy).map(|path| path.trim_start_matches('/'));
            if let Some(found) = found.filter(|path| path.rsplit('/').next() == Some(unit)) {
                found.clone_into(&mut dir.path);
                self.placed.push(dir.hierarchy.clone());
            }
        }
        Ok(())
    }

    /// Tells systemd the new limits, which are in force already, so that it does not write the old ones again.
    ///
    /// # Errors
    /// systemd does not answer, or does not like one.
    pub(super) fn change_unit(plan: &CgroupPlan, until: &Until) -> Result<()> {
        match plan.unit.as_ref().filter(|unit| !unit.properties.is_empty()) {
            Some(unit) => Systemd::connect(unit.manager, until)?.set(unit),
            None => Ok(()),
        }
    }

    /// Stops the unit, whose processes have ended. If systemd does not answer, what is empty is removed all the same: it finds that out by itself.
    pub(super) fn stop_unit(&self, deadline: Duration) -> Result<()> {
        let Some(unit) = self.unit.as_ref().filter(|_| self.is_there()) else { return Ok(()) };
        let until = Until { deadline: Instant::now().checked_add(deadline), cancel: None };
        systemd::stop(unit, &until)
    }

    /// The path in cgroup2 of a container that systemd has a unit for.
    pub(crate) fn path_of_unit(&self) -> Option<String> {
        self.dir_of_unit().map(|(dir, _)| format!("/{}", dir.path))
    }

    /// The group that the unit is in, which systemd does not remove with it.
    pub(crate) fn above_unit(&self) -> Option<OwnedFd> {
        let (dir, unit) = self.dir_of_unit()?;
        // A group in the unit goes with it.
        let above = dir.path.split('/').take_while(|part| *part != unit.name);
        let path = above.fold(dir.root.clone(), |path, part| path.join(part));
        open_directory_plain(&path).ok()
    }

    fn dir_of_unit(&self) -> Option<(&Dir, &RecordedUnit)> {
        self.dirs.iter().find(|dir| dir.is_v2()).zip(self.unit.as_ref())
    }

    /// Whether one of its directories is there; a scope goes with its last process. One that was never looked for may come still: its creator died after it
    /// had asked systemd, which has not got to it.
    pub(crate) fn is_there(&self) -> bool {
        let may_be = |dir: &Dir| dir.inode == 0 || dir.open(libc::O_PATH).is_ok();
        self.dirs.is_empty() || self.dirs.iter().any(may_be)
    }
}

/// Makes the group in the unit that is the container's, and moves init there: a group with processes of its own can enable no controllers below.
fn go_below(init: i32, subgroup: &str, dir: &mut CgroupDir) -> Result<()> {
    dir.path = format!("{}/{subgroup}", dir.path);
    let place = dir.root.join(&dir.path);
    let enter = |()| std::fs::write(place.join("cgroup.procs"), init.to_string());
    let made = std::fs::create_dir(&place).and_then(enter);
    made.map_err(|e| failed(format!("make {} for init", place.display()), &e))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::super::{CgroupRecord, RecordedDir};
    use super::*;
    use crate::plan::cgroup::systemd::Manager;

    #[test]
    fn what_was_never_looked_for_may_be_there_and_what_was_made_and_is_gone_is_not() {
        let dir = |inode| RecordedDir {
            root: std::env::temp_dir(),
            path: format!("teu-no-such-{}", std::process::id()),
            hierarchy: String::new(),
            inode,
        };
        let is_there = |inode| {
            let record = CgroupRecord { v2: true, dirs: vec![dir(inode)], unit: None };
            Cgroup::open(&record).unwrap().is_there()
        };
        assert!(is_there(0));
        assert!(!is_there(7));
    }

    #[test]
    fn the_slice_is_above_the_unit_whose_group_the_container_may_be_below() {
        let root = std::env::temp_dir().join(format!("teu-above-unit-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a.slice")).unwrap();
        let unit = |name: &str| RecordedUnit { manager: Manager::System, name: name.to_owned() };
        let above = |path: &str, unit: Option<RecordedUnit>| {
            let dir =
                RecordedDir { root: root.clone(), path: path.to_owned(), hierarchy: String::new(), inode: 1 };
            let cgroup = Cgroup::open(&CgroupRecord { v2: true, dirs: vec![dir], unit }).unwrap();
            let fd = cgroup.above_unit()?;
            Some(std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap())
        };
        let slice = Some(root.join("a.slice"));
        assert_eq!(above("a.slice/x.scope", Some(unit("x.scope"))), slice);
        assert_eq!(above("a.slice/x.scope/below", Some(unit("x.scope"))), slice);
        assert_eq!(above("x.scope", Some(unit("x.scope"))), Some(root.clone()));
        assert_eq!(above("gone.slice/x.scope", Some(unit("x.scope"))), None);
        assert_eq!(above("a.slice/x", None), None, "systemd has nothing to do with it");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
