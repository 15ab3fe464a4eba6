//! The unit of systemd that a container's cgroup belongs to, as a value: name, slice, properties. Pure.
//!
//! A *scope* has the container's init in it from the start. A container may be a *slice* instead, which systemd makes empty.

mod annotations;
mod destination;
mod devices;
mod name;
mod properties;
mod text;
mod value;

use std::fmt;

use oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};

pub use self::destination::Destination;
pub(super) use self::properties::of_v1;
pub use self::value::Value;
use super::{CgroupDir, DeviceRule, Setting, When, owner};
use crate::cgroup::RecordedUnit;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{CgroupLayout, Host};

/// Which of systemd's managers has the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// The machine's, PID 1.
    System,
    /// The user's own, for callers without privilege.
    User,
}

/// A unit to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitPlan {
    /// Who starts it.
    pub manager: Manager,
    /// Its name.
    pub name: String,
    /// Its properties in order.
    pub properties: Vec<Property>,
    /// A group in the unit's, which is the container's own then.
    pub subgroup: Option<String>,
    /// Where systemd has to move a process into a unit that runs, because the caller may not.
    pub destination: Option<Destination>,
}

/// A property of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// The place in config.json that asks for it, or `default`.
    pub pointer: String,
}

/// The pointer of what every unit of a container has.
const DEFAULT: &str = "default";

impl Manager {
    /// The one that a caller has to ask.
    pub(crate) fn of(host: &Host) -> Self {
        if host.privileged { Self::System } else { Self::User }
    }
}

impl UnitPlan {
    /// A unit of the machine's manager without anything but its name.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            manager: Manager::System,
            name: name.to_owned(),
            properties: Vec::new(),
            subgroup: None,
            destination: None,
        }
    }

    /// Whether it is a slice, which has no processes of its own at the start.
    pub fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }
}

/// Where the unit's cgroup is expected, and the unit without limits.
pub(super) fn plan(config: &Spec, id: &str, host: &Host) -> Result<(UnitPlan, Vec<CgroupDir>)> {
    let manager = Manager::of(host);
    let linux = config.linux().as_ref();
    let path = linux.and_then(|linux| linux.cgroups_path().as_deref());
    let named = name::unit_name(path, id, manager)?;
    let folder = name::slice_path(&named.slice).unwrap_or_default();
    let above = match manager {
        Manager::System => String::new(),
        Manager::User => of_user(host),
    };
    let subgroup = owner::subgroup(config, host)?;
    let parts = [above.as_str(), &folder, &named.name, subgroup.as_deref().unwrap_or_default()];
    let place = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    let dirs = dirs(&place, host)?;
    let mut unit = UnitPlan { manager, subgroup, ..UnitPlan::named(&named.name) };
    if unit.is_slice() && dirs.iter().any(|dir| dir.hierarchy.is_empty()) {
        unit.destination = unit.destination(&place, &host.own_cgroup);
    }
    unit.add_defaults(id, &named.slice);
    unit.properties.extend(annotations::properties(config)?);
    Ok((unit, dirs))
}

/// One directory for each hierarchy, all at the same place.
fn dirs(place: &str, host: &Host) -> Result<Vec<CgroupDir>> {
    if host.cgroup == CgroupLayout::None {
        let message = "cgroup: no cgroup filesystem is mounted at /sys/fs/cgroup";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let dir =
        |(root, hierarchy)| CgroupDir { root, path: place.to_owned(), hierarchy, required: host.privileged };
    Ok(super::path::mounts(&host.cgroup).into_iter().map(dir).collect())
}

/// The cgroup of the user's manager: the caller is often below it, and else it is where systemd always puts it.
fn of_user(host: &Host) -> String {
    let own = host.own_cgroup.path("").unwrap_or_default();
    // Root of a user namespace is somebody else outside.
    let uid = of_session(own).map_or_else(|| host.euid.to_string(), str::to_owned);
    let usual = || format!("user.slice/user-{uid}.slice/user@{uid}.service");
    of_manager(own).map_or_else(usual, str::to_owned)
}

/// The user that a session's cgroup is of: systemd has a slice for each.
fn of_session(path: &str) -> Option<&str> {
    let uid = path.split('/').find_map(|part| part.strip_prefix("user-")?.strip_suffix(".slice"))?;
    (!uid.is_empty() && uid.bytes().all(|byte| byte.is_ascii_digit())).then_some(uid)
}

/// The beginning of a path that is the cgroup of a user's manager.
pub(crate) fn of_manager(path: &str) -> Option<&str> {
    let path = path.trim_matches('/');
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    let is_manager = |part: &str| part.starts_with("user@") && part.ends_with(".service");
    ends.filter_map(|end| path.get(..end)).find(|above| above.rsplit('/').next().is_some_and(is_manager))
}

impl UnitPlan {
    fn add_defaults(&mut self, id: &str, slice: &str) {
        self.add("Description", Value::text(format!("container {id}")));
        if self.is_slice() {
            // Its own name says where it is; the slice of the path has to be there.
            self.add("Wants", Value::Array("s".to_owned(), vec![Value::text(slice)]));
        } else {
            self.add("Slice", Value::text(slice));
            self.add("Delegate", Value::Bool(true));
        }
        for accounting in ["CPUAccounting", "IOAccounting", "MemoryAccounting", "TasksAccounting"] {
            self.add(accounting, Value::Bool(true));
        }
        self.add("DefaultDependencies", Value::Bool(false));
        // One that failed would keep its name.
        self.add("CollectMode", Value::text("inactive-or-failed"));
    }

    fn add(&mut self, name: &str, value: Value) {
        self.properties.push(Property { name: name.to_owned(), value, pointer: DEFAULT.to_owned() });
    }
}

/// Makes the settings such that systemd can keep them, and adds them as properties before those of annotations.
pub(super) fn add_limits(unit: &mut UnitPlan, settings: &mut [Setting]) {
    settings.iter_mut().for_each(properties::round_quota);
    let asked = unit.properties.iter().position(|property| property.pointer != DEFAULT);
    let asked = asked.unwrap_or(unit.properties.len());
    let own = unit.properties.split_off(asked);
    let limits = properties::properties(settings);
    let limits = limits.into_iter().filter(|limit| !own.iter().any(|other| other.name == limit.name));
    unit.properties.extend(limits);
    unit.properties.extend(own);
}

/// What an update changes of a unit. The settings become such that systemd can keep them.
pub(super) fn changed(unit: &RecordedUnit, settings: &mut [Setting]) -> UnitPlan {
    settings.iter_mut().for_each(properties::round_quota);
    let properties = properties::properties(settings);
    UnitPlan { manager: unit.manager, properties, ..UnitPlan::named(&unit.name) }
}

/// Other rules for devices in the place of those that systemd was told.
pub(super) fn changed_devices(manager: Manager, rules: &[DeviceRule], when: When) -> Vec<Property> {
    let told = device_properties(manager, rules, when);
    if told.is_empty() { told } else { std::iter::once(devices::reset()).chain(told).collect() }
}

/// What systemd is told about devices; see `devices`.
pub(super) fn device_properties(manager: Manager, rules: &[DeviceRule], when: When) -> Vec<Property> {
    // The user's manager may load no filter. Before init is ready it makes nodes that the rules may forbid.
    if manager == Manager::User || when == When::AtReady { Vec::new() } else { devices::properties(rules) }
}

impl fmt::Display for UnitPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manager = match self.manager {
            Manager::System => "system",
            Manager::User => "user",
        };
        writeln!(f, "unit     {} of the {manager} manager", self.name)?;
        if let Some(subgroup) = &self.subgroup {
            writeln!(f, "subgroup {subgroup:<42} /annotations/{}", owner::SUBGROUP)?;
        }
        if let Some(Destination { unit, below, .. }) = &self.destination {
            writeln!(f, "moved    to {below} of {unit}")?;
        }
        for property in &self.properties {
            writeln!(f, "property {:<42} {}", property.to_string(), property.pointer)?;
        }
        Ok(())
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::{of_manager, of_session};

    #[test]
    fn a_session_tells_whose_it_is() {
        for (path, expected) in [
            ("/user.slice/user-7.slice/session-1.scope", Some("7")),
            ("/user.slice/user-7.slice", Some("7")),
            ("/user.slice/user-.slice", None),
            ("/user.slice/user-a-b.slice", None),
            ("/system.slice/cron.service", None),
            ("", None),
        ] {
            assert_eq!(of_session(path), expected, "{path}");
        }
    }

    #[test]
    fn a_users_manager_is_found_in_a_path_by_its_name() {
        let manager = "user.slice/user-7.slice/user@7.service";
        for (path, expected) in [
            ("/user.slice/user-7.slice/user@7.service/app.slice/x.scope", Some(manager)),
            (manager, Some(manager)),
            ("/user.slice/user-7.slice/session-1.scope", None),
            ("/", None),
            ("", None),
            ("/user@7.services/x", None),
        ] {
            assert_eq!(of_manager(path), expected, "{path}");
        }
    }
}
