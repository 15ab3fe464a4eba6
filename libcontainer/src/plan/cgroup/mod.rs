//! Turns `linux.cgroupsPath` and `linux.resources` into directories to make and files to write. Pure.
//!
//! v1 and v2 differ in translation only: `table` has a row for each field, with its file and value in both. What a row yields
//! is a *setting*; it becomes a [`FileWrite`] as soon as its directory is known. *Early* writes are done before init is
//! cloned. *Late* ones wait until init has exec'd: up to then init shares its creator's memory, and an OOM kill in the
//! cgroup could choose the creator.

mod blkio;
mod cpu;
mod devices;
mod memory;
mod other;
pub(crate) mod owner;
mod path;
pub mod systemd;
mod table;
pub(crate) mod update;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use oci_spec::runtime::{LinuxResources, Spec};

pub(crate) use self::devices::{DEFAULT_RULE, device_transition};
pub use self::devices::{DeviceKind, DevicePlan, DeviceProgram, DeviceRule, When};
pub use self::owner::Delegate;
pub use self::systemd::{Destination, UnitPlan};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{CgroupLayout, Host};
use crate::options::CgroupManager;
use crate::plan::Shape;
use crate::spec::Warning;
use table::{Cell, Formula, Item, TABLE};

/// Everything that is done to the cgroup filesystem for one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupPlan {
    /// The container's cgroup is in one cgroup2 hierarchy: init is cloned into it instead of being placed by pid.
    pub v2: bool,
    /// The unit of systemd that makes the cgroup, if the caller wants one.
    pub unit: Option<UnitPlan>,
    /// The container's cgroup, once for each hierarchy.
    pub dirs: Vec<CgroupDir>,
    /// Written before init is cloned.
    pub early: Vec<FileWrite>,
    /// Written after init has exec'd and before it gets its program.
    pub late: Vec<FileWrite>,
    /// Written when init is ready: device rules that forbid what init itself has to do before.
    pub ready: Vec<FileWrite>,
    /// The device filter.
    pub devices: DevicePlan,
    /// The host's user who gets the cgroup2 directory and those of its files that the kernel lists for it.
    pub owner: Option<u32>,
    /// A group below, for the container to manage.
    pub delegate: Option<Delegate>,
    /// Fields that this version of cgroups has nothing for.
    pub ignored: Vec<Warning>,
}

/// The container's cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupDir {
    /// Where the hierarchy is mounted.
    pub root: PathBuf,
    /// The cgroup's path below the root, clean and without a leading slash.
    pub path: String,
    /// The hierarchy's controllers as in `/proc/self/cgroup`; empty for cgroup2.
    pub hierarchy: String,
    /// Failing to make it is an error. Otherwise the hierarchy is left out when permission is missing.
    pub required: bool,
}

/// One value for one file of the container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileWrite {
    /// Index of the directory in [`CgroupPlan::dirs`].
    pub dir: usize,
    /// The file's name.
    pub file: Cow<'static, str>,
    /// What is written, in one call.
    pub value: String,
    /// The place in config.json that asks for it.
    pub pointer: Cow<'static, str>,
    /// Which refusal of the kernel is no error.
    pub tolerate: Tolerate,
    /// What else there is to it; nothing for most.
    pub care: Care,
}

/// What a write needs beyond being done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Care {
    /// Where the file does not exist: another file, and its value.
    pub instead: Option<(Cow<'static, str>, String)>,
    /// EINVAL may be due to an older value that a later write changes: it is tried once more after all others.
    pub again: bool,
    /// A file, and what the number in it must be below: how much is in use, and the new limit.
    pub usage: Option<(&'static str, u64)>,
}

/// Which refusal of the kernel is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerate {
    /// None.
    Nothing,
    /// The file does not exist: the value is what the kernel does anyway.
    Missing,
    /// The file does not exist or may not be written: an unprivileged caller cannot have the setting.
    Denied,
}

/// A value for a file before its directory is known: what a row of the table yields.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    file: String,
    value: String,
    pointer: String,
    late: bool,
    tolerate: Tolerate,
    care: Care,
}

/// Plans the cgroup of container `id`.
///
/// # Errors
/// A path that leaves the hierarchy, limits that contradict each other, or limits that this machine cannot enforce.
pub fn plan(config: &Spec, id: &str, host: &Host, shape: &Shape) -> Result<CgroupPlan> {
    let linux = config.linux().as_ref();
    let none = LinuxResources::default();
    let resources = linux.and_then(|linux| linux.resources().as_ref()).unwrap_or(&none);
    let v2 = matches!(host.cgroup, CgroupLayout::V2 { .. });
    let mut settings = settings(resources, v2)?;
    if shape.cgroup_manager == CgroupManager::Disabled {
        owner::delegate(config, host, None)?;
        return without_cgroup(&settings, "the cgroup manager is disabled");
    }
    let (unit, dirs) = match shape.cgroup_manager {
        CgroupManager::Systemd => systemd::plan(config, id, host).map(|(unit, dirs)| (Some(unit), dirs))?,
        _ => {
            let cgroups_path = linux.and_then(|linux| linux.cgroups_path().as_deref());
            (None, path::dirs(cgroups_path, id, host)?)
        }
    };
    if dirs.is_empty() {
        return match host.privileged {
            true => Err(Error::new(
                ErrorKind::Unsupported,
                "cgroup: no cgroup filesystem is mounted at /sys/fs/cgroup",
            )),
            false => without_cgroup(&settings, "no cgroup filesystem is mounted at /sys/fs/cgroup"),
        };
    }
    let mut plan = CgroupPlan { v2, unit, dirs, ignored: ignored(resources, v2), ..CgroupPlan::default() };
    plan.add_limits(resources, &mut settings)?;
    plan.add_settings(settings)?;
    let configured = resources.devices().as_deref().unwrap_or_default();
    let rules = devices::rules(configured, !shape.no_default_device_rules)?;
    let when = match config.hooks() {
        _ if shape.no_default_device_rules => When::AtReady,
        Some(_) => When::BeforeInit,
        None => When::BesideInit,
    };
    plan.add_devices(rules, host.privileged, when)?;
    plan.tell_devices(when);
    plan.owner = if v2 { owner::owner(config, host) } else { None };
    plan.delegate = owner::delegate(config, host, v2.then_some(0))?;
    Ok(plan)
}

/// Where the cgroup of container `id` can be, for who does not know which manager made it: that of the caller's own hand, and the one that systemd makes
/// for a path in its form. A slice is left out: what else is in it cannot be told.
///
/// # Errors
/// A path that leaves the hierarchy.
pub(crate) fn places(config: &Spec, id: &str, host: &Host) -> Result<Vec<CgroupPlan>> {
    let v2 = matches!(host.cgroup, CgroupLayout::V2 { .. });
    let place = |unit, dirs| CgroupPlan { v2, unit, dirs, ..CgroupPlan::default() };
    let cgroups_path = config.linux().as_ref().and_then(|linux| linux.cgroups_path().as_deref());
    let mut places = vec![place(None, path::dirs(cgroups_path, id, host)?)];
    match systemd::plan(config, id, host) {
        Ok((unit, dirs)) if !unit.is_slice() => places.push(place(Some(unit), dirs)),
        _ => {}
    }
    Ok(places)
}

impl CgroupPlan {
    /// Whether the file of that name is written.
    pub fn has_file(&self, name: &str) -> bool {
        self.early.iter().chain(&self.late).any(|write| write.file == name)
    }

    /// systemd is told the limits too. It has one set of words, which are those of v2.
    fn add_limits(&mut self, resources: &LinuxResources, settings: &mut [Setting]) -> Result<()> {
        match &mut self.unit {
            None => {}
            Some(unit) if self.v2 => systemd::add_limits(unit, settings),
            Some(unit) => {
                let mut words =
                    systemd::of_v1(self::settings(resources, true)?, self::settings(resources, false)?);
                systemd::add_limits(unit, &mut words);
            }
        }
        Ok(())
    }

    fn tell_devices(&mut self, when: When) {
        let Some(mut unit) = self.unit.take() else { return };
        unit.properties.extend(systemd::device_properties(unit.manager, &self.devices.rules, when));
        self.unit = Some(unit);
    }

    /// systemd makes a scope of it, with init in it.
    pub(crate) fn is_scope(&self) -> bool {
        self.unit.as_ref().is_some_and(|unit| !unit.is_slice())
    }

    /// systemd puts init into it, which is born outside.
    pub(crate) fn is_placed(&self) -> bool {
        self.is_scope() || self.destination().is_some()
    }

    /// Where systemd has to move a process that the caller has started outside of the cgroup.
    pub(crate) fn destination(&self) -> Option<&Destination> {
        self.unit.as_ref()?.destination.as_ref()
    }

    fn add_settings(&mut self, settings: Vec<Setting>) -> Result<()> {
        for setting in settings {
            let dir = self.dir_of(setting.controller());
            let dir = dir.ok_or_else(|| self.lacks(setting.controller()).at(setting.pointer.clone()))?;
            if let Some(dir) = self.dirs.get_mut(dir) {
                dir.required = true;
            }
            let Setting { file, value, pointer, late, tolerate, care } = setting;
            let write = FileWrite { dir, file: file.into(), value, pointer: pointer.into(), tolerate, care };
            if late { self.late.push(write) } else { self.early.push(write) }
        }
        Ok(())
    }

    /// v1 takes the rules as files, cgroup2 as a program; a hybrid host without the v1 controller takes the program too.
    fn add_devices(&mut self, rules: Vec<DeviceRule>, privileged: bool, when: When) -> Result<()> {
        let v1 = (!self.v2).then(|| self.dir_of("devices")).flatten();
        let program = self.dirs.iter().position(|dir| dir.hierarchy.is_empty());
        match (v1, program) {
            (Some(dir), _) => {
                let writes = devices::writes(&rules, dir, privileged)?;
                if when == When::AtReady { self.ready = writes } else { self.early.extend(writes) }
            }
            (None, Some(dir)) => {
                let tolerate_denied = !privileged;
                let insns = devices::program(&rules)?;
                self.devices.program = Some(DeviceProgram { dir, insns, tolerate_denied, when });
            }
            (None, None) if privileged => return Err(self.lacks("devices")),
            (None, None) => {}
        }
        self.devices.rules = rules;
        Ok(())
    }

    fn dir_of(&self, controller: &str) -> Option<usize> {
        let serves = |dir: &CgroupDir| match self.v2 {
            true => dir.hierarchy.is_empty(),
            false => dir.hierarchy.split(',').any(|name| name == controller),
        };
        self.dirs.iter().position(serves)
    }

    fn lacks(&self, controller: &str) -> Error {
        let mounts =
            self.dirs.first().and_then(|dir| dir.root.parent()).map(|root| root.display().to_string());
        let mounts = mounts.unwrap_or_default();
        Error::new(
            ErrorKind::Unsupported,
            format!("cgroup: the {controller} controller is not available in {mounts}"),
        )
    }
}

impl FileWrite {
    /// The controller that the file belongs to.
    pub fn controller(&self) -> &str {
        controller(&self.file)
    }
}

impl Setting {
    /// The values that one cell of the table yields.
    fn of(field: &str, cell: &Cell, resources: &LinuxResources) -> Vec<Self> {
        let items = cell.formula.items(resources);
        // Both files have the same entries.
        let other = cell.instead.map(|(file, formula)| (file, formula.items(resources)));
        let other = |index: usize| {
            let (file, items) = other.as_ref()?;
            Some((Cow::Borrowed(*file), items.get(index)?.value.clone()))
        };
        let usage = cell.usage.and_then(|(file, limit)| Some((file, limit(resources)?)));
        let setting = |(index, item): (usize, Item)| {
            let file = cell.file.replace("{}", &item.key);
            let tolerate = match cell.optional || cell.absent_means.contains(&item.value.as_str()) {
                true => Tolerate::Missing,
                false => Tolerate::Nothing,
            };
            Self {
                late: (cell.late)(&file, &item.value),
                pointer: format!("/linux/resources/{field}{}", item.below),
                care: Care { instead: other(index), again: cell.again, usage },
                tolerate,
                value: item.value,
                file,
            }
        };
        items.into_iter().enumerate().map(setting).collect()
    }

    fn controller(&self) -> &str {
        controller(&self.file)
    }
}

/// What the resources ask for, in the order of the table.
fn settings(resources: &LinuxResources, v2: bool) -> Result<Vec<Setting>> {
    if !v2 && resources.unified().as_ref().is_some_and(|unified| !unified.is_empty()) {
        let message = "invalid configuration: cannot use unified on cgroup v1";
        return Err(Error::new(ErrorKind::Unsupported, message).at("/linux/resources/unified"));
    }
    let cell = |row: &table::Row| if v2 { row.v2 } else { row.v1 };
    Ok(TABLE.iter().flat_map(|row| Setting::of(row.field, &cell(row), resources)).collect())
}

/// Fields that are set and that this version of cgroups has nothing for, each once.
fn ignored(resources: &LinuxResources, v2: bool) -> Vec<Warning> {
    let version = if v2 { "v2" } else { "v1" };
    let warning = |row: &table::Row| {
        let (here, there) = if v2 { (row.v2, row.v1) } else { (row.v1, row.v2) };
        let first = match here.formula {
            Formula::Nothing => there.formula.items(resources).into_iter().next()?,
            _ => return None,
        };
        let place = format!("{}{}", row.field, first.below);
        let words: Vec<_> = place.split('/').filter(|word| word.parse::<usize>().is_err()).collect();
        let message = format!("cgroup {version} has no {}, it is ignored", words.join(" "));
        Some(Warning { pointer: format!("/linux/resources/{place}"), message })
    };
    TABLE.iter().filter_map(warning).collect()
}

/// Controller files are named `controller.rest` in both versions.
fn controller(file: &str) -> &str {
    file.split('.').next().unwrap_or(file)
}

fn without_cgroup(settings: &[Setting], why: &str) -> Result<CgroupPlan> {
    match settings.first() {
        Some(setting) => {
            let message = format!("cgroup: cannot set {}: {why}", setting.file);
            Err(Error::new(ErrorKind::Unsupported, message).at(setting.pointer.clone()))
        }
        None => Ok(CgroupPlan::default()),
    }
}

fn invalid(message: impl Into<String>, pointer: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSpec, message).at(pointer)
}

impl fmt::Display for CgroupPlan {
    /// One line for each directory and each write, in the order of execution.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(unit) = &self.unit {
            unit.fmt(f)?;
        }
        for dir in &self.dirs {
            writeln!(f, "cgroup   {}/{}", dir.root.display(), dir.path)?;
        }
        for (verb, writes) in [("write", &self.early), ("late", &self.late), ("ready", &self.ready)] {
            for write in writes {
                writeln!(f, "{verb:<8} {:<42} {}", write.to_string(), write.pointer)?;
            }
        }
        self.devices.fmt(f)?;
        if let Some(owner) = self.owner {
            writeln!(f, "owner    uid {owner}")?;
        }
        if let Some(Delegate { name, owner, .. }) = &self.delegate {
            let owner = owner.map(|owner| format!(" of uid {owner}")).unwrap_or_default();
            writeln!(f, "delegate {:<42} /annotations/{}", format!("{name}{owner}"), owner::DELEGATE)?;
        }
        for warning in &self.ignored {
            writeln!(f, "ignored  {:<42} {}", warning.message, warning.pointer)?;
        }
        Ok(())
    }
}

impl fmt::Display for FileWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.file, self.value.trim_end())?;
        if let Some((file, value)) = &self.care.instead {
            write!(f, ", else {file} {value}")?;
        }
        if self.care.again {
            f.write_str(", again")?;
        }
        match self.care.usage {
            Some((file, limit)) => write!(f, ", if {file} < {limit}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
