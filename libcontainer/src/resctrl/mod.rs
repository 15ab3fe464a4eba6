//! The resctrl group of one container on this machine: made from an [`RdtPlan`], removed by what the state file keeps.
//!
//! Groups are scarce (8 to 16 on most machines), so whatever was made is recorded before it is made, and goes with the
//! container. What was there before belongs to somebody else.

mod schemata;
mod update;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use self::update::{check, update};
use crate::plan::intel_rdt::{RdtGroup, RdtPlan};
use crate::{Error, ErrorKind, Result};

const POINTER: &str = "/linux/intelRdt";

/// A group that a create made, or is going to make, as the state file keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordedGroup {
    /// Its directory.
    pub path: PathBuf,
    /// It is named by a configuration, so that other containers may have come to use it.
    #[serde(default)]
    pub shared: bool,
}

/// The groups of a container that is being created. Dropping it removes what it made, unless it is kept.
#[derive(Debug)]
pub(crate) struct Resctrl {
    group: PathBuf,
    monitor: Option<PathBuf>,
    made: Vec<RecordedGroup>,
}

/// What `plan` is going to make, as far as it can be told beforehand: kept before anything is made, it lets `delete` clean up
/// after a creator that died.
pub(crate) fn intent(plan: &RdtPlan) -> Vec<RecordedGroup> {
    let (group, monitor) = places(plan);
    let shared = matches!(plan.group, RdtGroup::Named(_));
    let made = match plan.group {
        RdtGroup::Own(_) => true,
        RdtGroup::Named(_) => !group.exists(),
        RdtGroup::Configured(_) | RdtGroup::Root => false,
    };
    let group = made.then_some(RecordedGroup { path: group, shared });
    group.into_iter().chain(monitor.map(|path| RecordedGroup { path, shared: false })).collect()
}

/// Removes recorded groups, the last one first. What is gone already is no error, and what others use is left to them.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn remove(groups: &[RecordedGroup]) -> Result<()> {
    for RecordedGroup { path, shared } in groups.iter().rev() {
        if *shared && is_used(path).unwrap_or(false) {
            log::debug!("intelRdt: {} is used by others, it stays", path.display());
            continue;
        }
        match std::fs::remove_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(format!("remove {}", path.display()), &error));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Resctrl {
    /// Makes the groups with everything in force.
    ///
    /// # Errors
    /// A group is missing, occupied or has other schemata, or the kernel refuses a step. What was made is removed.
    pub fn create(plan: &RdtPlan) -> Result<Self> {
        let mut groups = Self::make(plan)?;
        groups.configure(plan)?;
        Ok(groups)
    }

    fn make(plan: &RdtPlan) -> Result<Self> {
        let (group, monitor) = places(plan);
        let mut groups = Self { group: group.clone(), monitor: None, made: Vec::new() };
        match &plan.group {
            RdtGroup::Own(_) => groups.make_own(&group)?,
            RdtGroup::Named(_) => {
                if mkdir(&group)? {
                    groups.made.push(RecordedGroup { path: group, shared: true });
                }
            }
            RdtGroup::Configured(name) if !group.is_dir() => {
                let message =
                    format!("intelRdt: the group {name} does not exist, and no schema says how to make it");
                return Err(Error::new(ErrorKind::InvalidSpec, message).at("/linux/intelRdt/closID"));
            }
            RdtGroup::Configured(_) | RdtGroup::Root => {}
        }
        if let Some(monitor) = monitor {
            groups.make_own(&monitor)?;
            groups.monitor = Some(monitor);
        }
        Ok(groups)
    }

    /// A group that bears the container's name is the container's, also an empty one that was left behind.
    fn make_own(&mut self, path: &Path) -> Result<()> {
        let occupied = !mkdir(path)?
            && is_used(path).map_err(|e| failed(format!("read tasks of {}", path.display()), &e))?;
        if occupied {
            let message = format!("intelRdt: the group {} is used by others", path.display());
            return Err(Error::new(ErrorKind::Busy, message).at(POINTER));
        }
        self.made.push(RecordedGroup { path: path.to_owned(), shared: false });
        Ok(())
    }

    /// Writes the schemata of a new group; those of one that was there are compared.
    fn configure(&mut self, plan: &RdtPlan) -> Result<()> {
        if plan.schemata.is_empty() {
            return Ok(());
        }
        let file = self.group.join("schemata");
        if self.made.iter().any(|made| made.path == self.group) {
            let text = plan.schemata.iter().map(|line| format!("{line}\n")).collect::<String>();
            let written = std::fs::OpenOptions::new().write(true).open(&file);
            let written = written.and_then(|mut opened| io::Write::write_all(&mut opened, text.as_bytes()));
            return written.map_err(|error| refused(plan, &file, &error));
        }
        let present = std::fs::read_to_string(&file);
        let present = present.map_err(|error| failed(format!("read {}", file.display()), &error))?;
        schemata::compare(&plan.schemata, &present, granularity(&plan.root)).map_err(|why| {
            Error::new(ErrorKind::InvalidSpec, format!("{}: {why}", file.display())).at(POINTER)
        })
    }

    /// The file by which a process enters the group, or the monitoring group below it.
    pub fn entrance(&self, monitor: bool) -> Result<OwnedFd> {
        tasks(if monitor { self.monitor.as_ref().unwrap_or(&self.group) } else { &self.group })
    }

    /// What it made, for the state file.
    pub fn made(&self) -> Vec<RecordedGroup> {
        self.made.clone()
    }

    /// Keeps the groups: from here on only [`remove`] removes them.
    pub fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for Resctrl {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.made) {
            log::warn!("rollback: {error}");
        }
    }
}

/// The file by which one more process enters groups that are there.
///
/// # Errors
/// A group is gone, or the caller may not write to it.
pub(crate) fn entrance(plan: &RdtPlan, monitor: bool) -> Result<OwnedFd> {
    let (group, below) = places(plan);
    tasks(&below.filter(|_| monitor).unwrap_or(group))
}

fn tasks(group: &Path) -> Result<OwnedFd> {
    let file = group.join("tasks");
    let opened = std::fs::OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(&file);
    opened
        .and_then(|file| crate::sys::fs::above_stdio(file.into()))
        .map_err(|error| failed(format!("open {}", file.display()), &error))
}

/// The group of a plan, and the monitoring group below it.
pub(crate) fn places(plan: &RdtPlan) -> (PathBuf, Option<PathBuf>) {
    let group = match plan.group.name() {
        "" => plan.root.clone(),
        name => plan.root.join(name),
    };
    let monitor = plan.monitor.as_ref().map(|name| group.join("mon_groups").join(name));
    (group, monitor)
}

/// `false` if it was there already.
fn mkdir(path: &Path) -> Result<bool> {
    match std::fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
            Err(failed(format!("mkdir {}", path.display()), &error).remark("the machine has no more groups"))
        }
        Err(error) => Err(failed(format!("mkdir {}", path.display()), &error)),
    }
}

fn is_used(group: &Path) -> io::Result<bool> {
    Ok(!std::fs::read_to_string(group.join("tasks"))?.trim().is_empty())
}

/// The step of memory bandwidths: the kernel rounds up to it.
fn granularity(root: &Path) -> u64 {
    let text = std::fs::read_to_string(root.join("info/MB/bandwidth_gran")).unwrap_or_default();
    text.trim().parse().ok().filter(|step| *step > 0).unwrap_or(1)
}

/// The kernel says what was wrong with schemata in a file of its own.
fn refused(plan: &RdtPlan, file: &Path, error: &io::Error) -> Error {
    let what = format!("write {:?} to {}", plan.schemata.join("\n"), file.display());
    let status = std::fs::read_to_string(plan.root.join("info/last_cmd_status")).unwrap_or_default();
    match status.lines().next().filter(|line| !line.is_empty() && *line != "ok") {
        Some(status) => failed(what, error).remark(status),
        None => failed(what, error),
    }
}

fn failed(what: impl std::fmt::Display, error: &io::Error) -> Error {
    Error::io(format!("intelRdt: {what}"), error).at(POINTER)
}

#[cfg(test)]
mod tests;
