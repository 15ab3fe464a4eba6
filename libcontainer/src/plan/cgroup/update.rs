//! What an update writes: the settings that were asked for, and those that other fields make different. Pure.
//!
//! Law: a setting comes from the same table as at create, and from the limits as they are afterwards: a period that is given alone is written with the
//! quota that is there. What was not asked for and did not change is not written: somebody else may have set it.

use oci_spec::runtime::LinuxResources;

use super::devices::{DeviceRule, rules};
use super::{
    Care, CgroupDir, CgroupPlan, Setting, Tolerate, When, ignored, settings, systemd, without_cgroup,
};
use crate::cgroup::CgroupRecord;
use crate::error::Result;

/// The limits before and after.
pub(crate) struct Update<'a> {
    /// What was asked for.
    pub given: &'a LinuxResources,
    /// All limits as they were.
    pub before: &'a LinuxResources,
    /// All limits as they are to be.
    pub after: &'a LinuxResources,
    /// The container has the device rules that every container gets.
    pub default_devices: bool,
    /// As [`crate::Host::privileged`]; asked for only where device rules are given.
    pub privileged: bool,
}

/// Plans the writes of an update to the cgroup of a container. They are all `early`.
///
/// # Errors
/// A controller is missing; rules for devices that v1 cannot express; the container has no cgroup.
pub(crate) fn update(update: &Update<'_>, record: &CgroupRecord) -> Result<CgroupPlan> {
    let mut settings = changed(update, record.v2)?;
    if record.dirs.is_empty() {
        return without_cgroup(&settings, "the container was made without a cgroup");
    }
    let dirs = record.dirs.iter().map(|dir| CgroupDir {
        root: dir.root.clone(),
        path: dir.path.clone(),
        hierarchy: dir.hierarchy.clone(),
        required: true,
    });
    let ignored = ignored(update.given, record.v2);
    let unit = match &record.unit {
        Some(unit) if record.v2 => Some(systemd::changed(unit, &mut settings)),
        Some(unit) => {
            let mut words = systemd::of_v1(changed(update, true)?, changed(update, false)?);
            Some(systemd::changed(unit, &mut words))
        }
        None => None,
    };
    let dirs = dirs.collect();
    let mut plan = CgroupPlan { v2: record.v2, unit, dirs, ignored, ..CgroupPlan::default() };
    plan.add_settings(settings)?;
    let mut late = std::mem::take(&mut plan.late);
    plan.early.append(&mut late);
    if let Some(rules) = other_rules(update)? {
        plan.add_devices(rules, update.privileged, When::AtReady)?;
        if let Some(unit) = &mut plan.unit {
            let told = systemd::changed_devices(unit.manager, &plan.devices.rules, update.since());
            unit.properties.extend(told);
        }
    }
    Ok(plan)
}

impl Update<'_> {
    /// When the container's filter came into force: systemd, which was told nothing where init had to go before it, is told nothing now.
    fn since(&self) -> When {
        if self.default_devices { When::BeforeInit } else { When::AtReady }
    }
}

/// The files that the fields stand for, those of `unified` aside.
pub(crate) fn files(resources: &LinuxResources, v2: bool) -> Vec<String> {
    let mut fields = resources.clone();
    fields.set_unified(None);
    asked(&fields, v2).unwrap_or_default()
}

fn asked(given: &LinuxResources, v2: bool) -> Result<Vec<String>> {
    let names = |setting: Setting| {
        let instead = setting.care.instead.map(|(file, _)| file.into_owned());
        std::iter::once(setting.file).chain(instead)
    };
    Ok(settings(given, v2)?.into_iter().flat_map(names).collect())
}

fn changed(update: &Update<'_>, v2: bool) -> Result<Vec<Setting>> {
    let asked = asked(update.given, v2)?;
    let before = settings(update.before, v2)?;
    let same =
        |one: &Setting| before.iter().any(|other| (&other.file, &other.value) == (&one.file, &one.value));
    let mut settings = settings(update.after, v2)?;
    settings.retain(|setting| asked.contains(&setting.file) || !same(setting));
    if !v2 && disables_oom_killer(update.before) && !disables_oom_killer(update.after) {
        settings.push(oom_killer());
    }
    Ok(settings)
}

fn disables_oom_killer(resources: &LinuxResources) -> bool {
    resources.memory().as_ref().and_then(|memory| memory.disable_oom_killer()).unwrap_or(false)
}

/// At create there is nothing to take back, and no row for it.
fn oom_killer() -> Setting {
    Setting {
        file: "memory.oom_control".to_owned(),
        value: "0".to_owned(),
        pointer: "/linux/resources/memory/disableOOMKiller".to_owned(),
        late: false,
        tolerate: Tolerate::Nothing,
        care: Care::default(),
    }
}

/// The device rules, if others than before are asked for. Engines send the ones that they know with every update, while a plugin may have granted more:
/// these grants stay.
fn other_rules(update: &Update<'_>) -> Result<Option<Vec<DeviceRule>>> {
    if update.given.devices().is_none() {
        return Ok(None);
    }
    let of = |resources: &LinuxResources| {
        rules(resources.devices().as_deref().unwrap_or_default(), update.default_devices)
    };
    let meaning = |rule: &DeviceRule| (rule.allow, rule.kind, rule.major, rule.minor, rule.access);
    let (before, after) = (of(update.before)?, of(update.after)?);
    Ok((!before.iter().map(meaning).eq(after.iter().map(meaning))).then_some(after))
}

#[cfg(test)]
mod tests;
