//! Other settings for a cgroup that exists, and the way back.
//!
//! Law: whatever is written is noted first with what was there. A [`Change`] that is dropped and not kept takes everything back, the last step first.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::files::is_tolerated;
use super::previous::previous;
use super::write::Writer;
use super::{Cgroup, Dir, create, devices, failed};
use crate::error::{Error, Result};
use crate::plan::cgroup::{Care, CgroupPlan, DeviceProgram, FileWrite, Tolerate, device_transition};
use crate::sys::bpf;
use crate::until::Until;

const RULES: &str = "devices.list";

/// Settings that are in force and not kept yet.
#[derive(Debug)]
pub(crate) struct Change {
    cgroup: Cgroup,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    /// A file, and the value that was in it.
    File { dir: usize, file: String, value: String },
    /// The device rules of v1 as they were listed.
    Rules { dir: usize, list: String },
    /// The device filter that was attached, and the one that is.
    Filter { dir: OwnedFd, old: Option<OwnedFd>, new: OwnedFd },
}

impl Cgroup {
    /// Puts the settings of an update in force.
    ///
    /// # Errors
    /// The kernel refuses one; then all are what they were.
    pub(crate) fn update(self, plan: &CgroupPlan, until: &Until) -> Result<Change> {
        let mut change = Change { cgroup: self, steps: Vec::new() };
        let (cgroup, steps) = (&change.cgroup, &mut change.steps);
        Writer::new(cgroup, plan).noting(&mut |dir, write| note(cgroup, dir, write, steps)).write_all()?;
        if !plan.ready.is_empty() {
            change.rules(plan)?;
        }
        if let Some(program) = &plan.devices.program {
            change.filter(plan, program)?;
        }
        Self::change_unit(plan, until)?;
        Ok(change)
    }
}

fn note(cgroup: &Cgroup, index: usize, write: &FileWrite, steps: &mut Vec<Step>) {
    let Some(dir) = cgroup.dirs.get(index) else { return };
    match dir.read(&write.file) {
        Ok(text) => {
            let value = previous(&write.file, &write.value, &text);
            steps.push(Step::File { dir: index, file: write.file.clone().into_owned(), value });
        }
        Err(error) => log::debug!("cgroup: {} has no way back: {error}", dir.file(&write.file)),
    }
}

impl Change {
    /// Keeps the settings.
    pub fn keep(mut self) {
        self.steps.clear();
    }

    fn rules(&mut self, plan: &CgroupPlan) -> Result<()> {
        let found = plan.ready.first().and_then(|write| self.cgroup.made(plan, write.dir));
        let Some((index, dir)) = found.and_then(|index| Some((index, self.cgroup.dirs.get(index)?))) else {
            return Ok(());
        };
        let list = dir
            .read(RULES)
            .map_err(|e| failed(format!("{}: read {}", create::CONTEXT, dir.file(RULES)), &e))?;
        let writes = device_transition(&plan.ready, &list);
        self.steps.push(Step::Rules { dir: index, list });
        let mut writer = Writer::new(&self.cgroup, plan);
        writes.iter().try_for_each(|write| writer.write(write))
    }

    /// The filter takes the place of ours in one step: there is no moment without one.
    fn filter(&mut self, plan: &CgroupPlan, program: &DeviceProgram) -> Result<()> {
        let dir = self.cgroup.made(plan, program.dir).and_then(|index| self.cgroup.dirs.get(index));
        let Some(dir) = dir else { return Ok(()) };
        match replaced(dir, program) {
            Ok(step) => self.steps.push(step),
            Err(e) if program.tolerate_denied && is_tolerated(&e, Tolerate::Denied) => {}
            Err(e) => return Err(filter_failed(dir, &e)),
        }
        Ok(())
    }

    fn undo(&self, step: &Step) -> io::Result<()> {
        match step {
            Step::File { dir, file, value } => self.dir(*dir)?.write(file, value),
            Step::Rules { dir, list } => undo_rules(self.dir(*dir)?, list),
            Step::Filter { dir, old: Some(old), new } => {
                bpf::attach_device_filter(dir.as_fd(), old.as_fd(), Some(new.as_fd()))
            }
            Step::Filter { dir, old: None, new } => bpf::detach_device_filter(dir.as_fd(), new.as_fd()),
        }
    }

    fn dir(&self, index: usize) -> io::Result<&Dir> {
        self.cgroup.dirs.get(index).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Change {
    /// A value that another one is still in the way of gets a second try.
    fn drop(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        let refused: Vec<_> = steps.iter().rev().filter(|step| self.undo(step).is_err()).collect();
        for step in refused {
            if let Err(error) = self.undo(step) {
                log::warn!("cgroup: cannot take {step} back: {error}");
            }
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { file, .. } => f.write_str(file),
            Self::Rules { .. } => f.write_str("the device rules"),
            Self::Filter { .. } => f.write_str("the device filter"),
        }
    }
}

fn replaced(dir: &Dir, program: &DeviceProgram) -> io::Result<Step> {
    let new = bpf::load_device_filter(&program.insns)?;
    let dir = dir.open(libc::O_PATH)?;
    let old = devices::replace(dir.as_fd(), new.as_fd())?;
    Ok(Step::Filter { dir, old, new })
}

fn filter_failed(dir: &Dir, error: &io::Error) -> Error {
    failed(format!("{}: device filter of {}", create::CONTEXT, dir.display()), error)
        .at("/linux/resources/devices")
}

/// From the rules that are there now to the ones that were listed.
fn undo_rules(dir: &Dir, list: &str) -> io::Result<()> {
    let write = |file: &'static str, value: &str| FileWrite {
        dir: 0,
        file: file.into(),
        value: value.to_owned(),
        pointer: "/linux/resources/devices".into(),
        tolerate: Tolerate::Nothing,
        care: Care::default(),
    };
    let planned = match list.lines().any(|line| line.starts_with("a ")) {
        true => vec![write("devices.allow", "a")],
        false => {
            let rules = list.lines().map(|line| write("devices.allow", line));
            std::iter::once(write("devices.deny", "a")).chain(rules).collect()
        }
    };
    let writes = device_transition(&planned, &dir.read(RULES)?);
    writes.iter().try_for_each(|write| dir.write(&write.file, &write.value))
}

#[cfg(test)]
mod tests;
