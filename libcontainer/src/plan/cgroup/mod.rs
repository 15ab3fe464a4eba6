//! Turns `linux.cgroupsPath` and `linux.resources` into directories to make and files to write. Pure.
//!
//! v1 and v2 differ in translation only: `v1` and `v2` turn the same resources into *settings*, a setting becomes a
//! [`FileWrite`] as soon as its directory is known. *Early* writes are done before init is cloned. *Late* ones wait until
//! init has exec'd: up to then init shares its creator's memory, and an OOM kill in the cgroup could choose the creator.

mod devices;
mod path;
mod v1;
mod v2;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use oci_spec::runtime::{LinuxResources, Spec};

pub use self::devices::{DeviceKind, DevicePlan, DeviceProgram, DeviceRule};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{CgroupLayout, Host};
use crate::options::CgroupManager;

/// Everything that is done to the cgroup filesystem for one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupPlan {
    /// The container's cgroup is in one cgroup2 hierarchy: init is cloned into it instead of being placed by pid.
    pub v2: bool,
    /// The container's cgroup, once for each hierarchy.
    pub dirs: Vec<CgroupDir>,
    /// Written before init is cloned.
    pub early: Vec<FileWrite>,
    /// Written after init has exec'd and before it gets its program.
    pub late: Vec<FileWrite>,
    /// The device filter.
    pub devices: DevicePlan,
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

/// A value for a file before its directory is known: what [`v1`] and [`v2`] produce.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    file: &'static str,
    value: String,
    pointer: &'static str,
    late: bool,
    tolerate: Tolerate,
}

/// Plans the cgroup of container `id`.
///
/// # Errors
/// A path that leaves the hierarchy, limits that contradict each other, or limits that this machine cannot enforce.
pub fn plan(config: &Spec, id: &str, host: &Host, manager: CgroupManager) -> Result<CgroupPlan> {
    let linux = config.linux().as_ref();
    let none = LinuxResources::default();
    let resources = linux.and_then(|linux| linux.resources().as_ref()).unwrap_or(&none);
    refuse_unplanned(resources)?;
    let v2 = matches!(host.cgroup, CgroupLayout::V2 { .. });
    let settings = if v2 { v2::settings(resources)? } else { v1::settings(resources)? };
    if manager == CgroupManager::Disabled {
        return without_cgroup(&settings, "the cgroup manager is disabled");
    }
    let cgroups_path = linux.and_then(|linux| linux.cgroups_path().as_deref());
    let dirs = path::dirs(cgroups_path, id, host)?;
    if dirs.is_empty() {
        return match host.privileged {
            true => Err(Error::new(
                ErrorKind::Unsupported,
                "cgroup: no cgroup filesystem is mounted at /sys/fs/cgroup",
            )),
            false => without_cgroup(&settings, "no cgroup filesystem is mounted at /sys/fs/cgroup"),
        };
    }
    let mut plan = CgroupPlan { v2, dirs, ..CgroupPlan::default() };
    plan.add_settings(settings)?;
    plan.add_devices(devices::rules(resources.devices().as_deref().unwrap_or_default())?, host)?;
    Ok(plan)
}

impl CgroupPlan {
    fn add_settings(&mut self, settings: Vec<Setting>) -> Result<()> {
        for setting in settings {
            let dir = self
                .dir_of(setting.controller())
                .ok_or_else(|| self.lacks(setting.controller()).at(setting.pointer))?;
            if let Some(dir) = self.dirs.get_mut(dir) {
                dir.required = true;
            }
            let Setting { file, value, pointer, late, tolerate } = setting;
            let write = FileWrite { dir, file: file.into(), value, pointer: pointer.into(), tolerate };
            if late { self.late.push(write) } else { self.early.push(write) }
        }
        Ok(())
    }

    /// v1 takes the rules as files, cgroup2 as a program; a hybrid host without the v1 controller takes the program too.
    fn add_devices(&mut self, rules: Vec<DeviceRule>, host: &Host) -> Result<()> {
        let v1 = (!self.v2).then(|| self.dir_of("devices")).flatten();
        let program = self.dirs.iter().position(|dir| dir.hierarchy.is_empty());
        match (v1, program) {
            (Some(dir), _) => self.early.extend(devices::writes(&rules, dir, host.privileged)?),
            (None, Some(dir)) => {
                let tolerate_denied = !host.privileged;
                self.devices.program =
                    Some(DeviceProgram { dir, insns: devices::program(&rules)?, tolerate_denied });
            }
            (None, None) if host.privileged => return Err(self.lacks("devices")),
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
    fn early(file: &'static str, value: impl ToString, pointer: &'static str) -> Self {
        Self { file, value: value.to_string(), pointer, late: false, tolerate: Tolerate::Nothing }
    }

    fn late(self) -> Self {
        Self { late: true, ..self }
    }

    /// A missing file is no error when the value is what a kernel without the file does.
    fn missing_is(self, values: &[&str]) -> Self {
        let tolerate = if values.contains(&self.value.as_str()) { Tolerate::Missing } else { self.tolerate };
        Self { tolerate, ..self }
    }

    fn controller(&self) -> &'static str {
        controller(self.file)
    }
}

/// Controller files are named `controller.rest` in both versions.
fn controller(file: &str) -> &str {
    file.split('.').next().unwrap_or(file)
}

fn without_cgroup(settings: &[Setting], why: &str) -> Result<CgroupPlan> {
    match settings.first() {
        Some(setting) => {
            let message = format!("cgroup: cannot set {}: {why}", setting.file);
            Err(Error::new(ErrorKind::Unsupported, message).at(setting.pointer))
        }
        None => Ok(CgroupPlan::default()),
    }
}

/// A limit that is asked for and not enforced would be worse than an error.
fn refuse_unplanned(resources: &LinuxResources) -> Result<()> {
    let block_io = resources.block_io().as_ref().is_some_and(|io| {
        io.weight().is_some_and(|weight| weight != 0)
            || io.leaf_weight().is_some_and(|weight| weight != 0)
            || io.weight_device().as_ref().is_some_and(|list| !list.is_empty())
            || [
                io.throttle_read_bps_device(),
                io.throttle_write_bps_device(),
                io.throttle_read_iops_device(),
                io.throttle_write_iops_device(),
            ]
            .iter()
            .any(|list| list.as_ref().is_some_and(|list| !list.is_empty()))
    });
    let network = resources.network().as_ref().is_some_and(|network| {
        network.class_id().is_some_and(|class| class != 0)
            || network.priorities().as_ref().is_some_and(|list| !list.is_empty())
    });
    let asked = [
        ("blockIO", block_io),
        ("hugepageLimits", resources.hugepage_limits().as_ref().is_some_and(|list| !list.is_empty())),
        ("network", network),
        ("rdma", resources.rdma().as_ref().is_some_and(|map| !map.is_empty())),
        ("unified", resources.unified().as_ref().is_some_and(|map| !map.is_empty())),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        Some((name, _)) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("cgroup: {name} is not supported by this version"),
        )
        .at(format!("/linux/resources/{name}"))),
        None => Ok(()),
    }
}

fn invalid(message: impl Into<String>, pointer: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSpec, message).at(pointer)
}

/// The limit in bytes of `memory.swap` as v2 counts it (without memory), or `None` if it is unset. -1 is no limit.
fn swap_alone(memswap: i64, memory: i64) -> Result<Option<i64>> {
    const POINTER: &str = "/linux/resources/memory/swap";
    match (memswap, memory) {
        (0, -1) => Ok(Some(-1)),
        (0, _) => Ok(None),
        (-1, _) => Ok(Some(-1)),
        (_, -1) => Ok(Some(memswap)),
        (_, 0) => Err(invalid("unable to set swap limit without memory limit", POINTER)),
        (_, memory) if memory < 0 => {
            Err(invalid(format!("invalid memory value: {memory}"), "/linux/resources/memory/limit"))
        }
        (memswap, memory) if memswap < memory => {
            Err(invalid("memory+swap limit should be >= memory limit", POINTER))
        }
        (memswap, memory) => Ok(Some(memswap - memory)),
    }
}

/// A memory amount: 0 is unset, -1 no limit.
fn amount(value: Option<i64>, pointer: &'static str) -> Result<Option<i64>> {
    match value {
        None | Some(0) => Ok(None),
        Some(value) if value < -1 => Err(invalid(format!("invalid memory value: {value}"), pointer)),
        value => Ok(value),
    }
}

fn list(value: Option<&String>) -> Option<&str> {
    value.map(|list| list.trim()).filter(|list| !list.is_empty())
}

impl fmt::Display for CgroupPlan {
    /// One line for each directory and each write, in the order of execution.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for dir in &self.dirs {
            writeln!(f, "cgroup   {}/{}", dir.root.display(), dir.path)?;
        }
        for (verb, writes) in [("write", &self.early), ("late", &self.late)] {
            for write in writes {
                let text = format!("{} {}", write.file, write.value);
                writeln!(f, "{verb:<8} {text:<42} {}", write.pointer)?;
            }
        }
        self.devices.fmt(f)
    }
}

#[cfg(test)]
mod tests;
