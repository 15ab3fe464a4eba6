//! `linux.intelRdt`: groups of resctrl, what is written to them, and when they go.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::tests;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::{Outcome, Trouble, check, same};

tests! {
    cache_allocation_is_refused_where_the_machine_has_none,
    names_of_resctrl_groups_that_are_none_are_refused,
    a_container_is_in_its_own_group_which_goes_with_it [Need::Resctrl],
    a_container_is_in_the_group_that_it_names [Need::Resctrl],
    a_container_is_watched_in_a_monitoring_group [Need::Resctrl],
    schemata_that_differ_from_those_of_an_existing_group_are_refused [Need::Resctrl],
    a_container_in_the_root_group_leaves_it_alone [Need::Resctrl],
}

const ROOT: &str = "/sys/fs/resctrl";

/// Even an empty object asks for a group.
fn cache_allocation_is_refused_where_the_machine_has_none(ctx: &Ctx<'_>) -> Outcome {
    if ctx.host.missing(Need::Resctrl).is_none() {
        return Err(Trouble::Skipped("resctrl is mounted".into()));
    }
    for rdt in [
        json!({}),
        json!({ "closID": "gold" }),
        json!({ "memBwSchema": "MB:0=20", "enableMonitoring": true }),
    ] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/intelRdt", rdt.clone());
        let refused = ctx.refused(&bundle, &["intelRdt is specified in config, but Intel RDT is not"]);
        refused.map_err(|trouble| trouble.at(rdt))?;
    }
    Ok(())
}

fn names_of_resctrl_groups_that_are_none_are_refused(ctx: &Ctx<'_>) -> Outcome {
    for id in [".", "..", "a/b", "/a", "info"] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/intelRdt/closID", id);
        ctx.refused(&bundle, &["invalid intelRdt.ClosID"]).map_err(|trouble| trouble.at(id))?;
    }
    Ok(())
}

/// What the machine allows everybody: a line of the root group's schemata for the resource, which any group may have.
fn schema(resource: &str) -> Option<String> {
    let all = fs::read_to_string(Path::new(ROOT).join("schemata")).ok()?;
    let line = all.lines().map(str::trim).find(|line| line.starts_with(&format!("{resource}:")))?;
    Some(line.to_owned())
}

/// All that a group can be given here. A behaviour that is skipped needs values as well.
fn section(group: Option<&str>) -> Value {
    let cache = schema("L3");
    let mut section = json!({ "l3CacheSchema": cache.clone().unwrap_or_else(|| "L3:0=f".into()) });
    let band = schema("MB");
    if band.is_some() || cache.is_none() {
        section["memBwSchema"] = json!(band.unwrap_or_else(|| "MB:0=100".into()));
    }
    section["schemata"] = json!([section["l3CacheSchema"]]);
    if let Some(group) = group {
        section["closID"] = json!(group);
    }
    section
}

fn has_task(group: &Path, pid: i32) -> Result<bool, Trouble> {
    Ok(fs::read_to_string(group.join("tasks"))?.lines().any(|line| line == pid.to_string()))
}

fn has_schema(group: &Path, line: &Value) -> Result<bool, Trouble> {
    let all = fs::read_to_string(group.join("schemata"))?;
    Ok(all.lines().any(|one| Some(one.trim()) == line.as_str()))
}

fn a_container_is_in_its_own_group_which_goes_with_it(ctx: &Ctx<'_>) -> Outcome {
    let (mut bundle, section) = (ctx.bundle()?, section(None));
    bundle.set("/linux/intelRdt", section.clone());
    let group = Path::new(ROOT).join(&bundle.id);
    let container = ctx.created(&bundle)?;
    check!(has_task(&group, container.pid)?, "init is not in {}", group.display());
    check!(has_schema(&group, &section["l3CacheSchema"])?, "the schema is not that of the configuration");
    container.delete_by_force()?;
    check!(!group.exists(), "{} is left", group.display());
    Ok(())
}

/// A group that the test makes and removes.
struct Group(PathBuf);

impl Group {
    fn new(ctx: &Ctx<'_>) -> Result<Self, Trouble> {
        let path = Path::new(ROOT).join(ctx.id());
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn name(&self) -> String {
        self.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// It was there before, so it stays.
fn a_container_is_in_the_group_that_it_names(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/intelRdt", section(Some("gold"))).write()?;
    let group = Group::new(ctx)?;
    bundle.set("/linux/intelRdt", section(Some(&group.name())));
    let container = ctx.created(&bundle)?;
    check!(has_task(&group.0, container.pid)?, "init is not in {}", group.0.display());
    container.delete_by_force()?;
    check!(group.0.exists(), "a group of somebody else was removed");
    Ok(())
}

fn a_container_is_watched_in_a_monitoring_group(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/intelRdt", json!({ "enableMonitoring": true })).write()?;
    if !Path::new(ROOT).join("mon_groups").exists() {
        return Err(Trouble::Skipped("the machine cannot monitor".into()));
    }
    let group = Path::new(ROOT).join(&bundle.id);
    let container = ctx.created(&bundle)?;
    let watched = group.join("mon_groups").join(&bundle.id);
    check!(has_task(&watched, container.pid)?, "init is not in {}", watched.display());
    container.delete_by_force()?;
    check!(!group.exists(), "{} is left", group.display());
    Ok(())
}

fn schemata_that_differ_from_those_of_an_existing_group_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/intelRdt", json!({ "closID": "gold", "l3CacheSchema": "L3:0=1" })).write()?;
    let group = Group::new(ctx)?;
    bundle.set("/linux/intelRdt/closID", group.name());
    let before = fs::read_to_string(group.0.join("schemata"))?;
    ctx.refused(&bundle, &["/linux/intelRdt"])?;
    same!(fs::read_to_string(group.0.join("schemata"))?, before, "schemata of the group");
    Ok(())
}

fn a_container_in_the_root_group_leaves_it_alone(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/intelRdt", json!({ "closID": "/" }));
    let container = ctx.created(&bundle)?;
    check!(has_task(Path::new(ROOT), container.pid)?, "init is not in the root group");
    container.delete_by_force()?;
    check!(!Path::new(ROOT).join(&bundle.id).exists(), "a group was made");
    Ok(())
}
