//! Cgroups that are not as they should be: elsewhere, frozen above, read-only, or gone. A clear error, and nothing left.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::exec::process;
use super::tests;
use crate::ctx::{Ctx, refusal};
use crate::driver::{Driver, Exec};
use crate::host::Need;
use crate::{Outcome, Trouble, check, same};

const FREEZER: Need = Need::Controller("freezer");

tests! {
    a_path_that_leaves_its_hierarchy_is_refused [Need::Cgroupfs],
    a_cgroup_below_a_frozen_one_is_refused [Need::Cgroupfs, FREEZER],
    a_hierarchy_that_cannot_be_written_is_told [Need::Cli, Need::Cgroupfs, Need::Root],
    limits_that_the_kernel_refuses_are_told_with_their_place [Need::Controller("cpu")],
    a_stopped_container_without_its_cgroup_is_deleted [Need::Cgroupfs],
    a_running_container_without_its_cgroup_is_told_and_deleted [Need::Cgroupfs, Need::Root],
    what_init_says_is_told_and_not_what_became_of_its_cgroup,
}

fn a_path_that_leaves_its_hierarchy_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for path in ["/../out", "../out", "/a/../../out", "..", "/"] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/cgroupsPath", path);
        ctx.refused(&bundle, &["/linux/cgroupsPath"]).map_err(|trouble| trouble.at(path))?;
    }
    Ok(())
}

fn a_cgroup_below_a_frozen_one_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let parent = ctx.host.cgroup("freezer", &format!("{}-above", bundle.id)).ok_or("no freezer")?;
    fs::create_dir(&parent)?;
    bundle.set("/linux/cgroupsPath", format!("/{}/below", ctx.host.inside(&format!("{}-above", bundle.id))));
    let (file, frozen, thawed) =
        if ctx.host.is_v2() { ("cgroup.freeze", "1", "0") } else { ("freezer.state", "FROZEN", "THAWED") };
    fs::write(parent.join(file), frozen)?;
    let outcome = ctx.refused(&bundle, &["container's cgroup unexpectedly frozen"]);
    if parent.exists() {
        fs::write(parent.join(file), thawed)?;
        let _ = fs::remove_dir(&parent);
    }
    outcome
}

fn a_hierarchy_that_cannot_be_written_is_told(ctx: &Ctx<'_>) -> Outcome {
    let bundle = ctx.bundle()?;
    let points = ctx.host.hierarchies.iter().map(|one| one.root.to_string_lossy().into_owned());
    let remount = points.map(|point| format!("mount -o remount,bind,ro {point}")).collect::<Vec<_>>();
    let script = format!("{} && exec \"$@\"", remount.join(" && "));
    let cli = ctx.cli()?.behind(&["unshare", "--mount", "/bin/sh", "-c", &script, "sh"]);
    refusal(&cli.create(ctx.new_of(&bundle)?), &["read-only file system"])?;
    check!(ctx.driver.state(&bundle.id).code != 0, "the container exists after a failed create");
    Ok(())
}

fn limits_that_the_kernel_refuses_are_told_with_their_place(ctx: &Ctx<'_>) -> Outcome {
    for (limits, place) in [
        (json!({ "quota": 5, "period": 100_000 }), "/linux/resources/cpu/quota"),
        (json!({ "quota": 50_000, "period": 7 }), "/linux/resources/cpu/"),
        (json!({ "cpus": "7000" }), "/linux/resources/cpu/cpus"),
        (json!({ "mems": "900" }), "/linux/resources/cpu/mems"),
    ] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/resources/cpu", limits.clone());
        ctx.refused(&bundle, &[place]).map_err(|trouble| trouble.at(limits))?;
    }
    Ok(())
}

/// The container's directories, wherever they are.
fn directories(ctx: &Ctx<'_>, id: &str) -> Vec<PathBuf> {
    let dirs = ctx.host.hierarchies.iter().map(|one| ctx.host.dir(one, id));
    dirs.filter(|dir| dir.exists()).collect()
}

fn a_stopped_container_without_its_cgroup_is_deleted(ctx: &Ctx<'_>) -> Outcome {
    let container = ctx.started(ctx.bundle()?.ops(&[]))?;
    container.ended()?;
    for dir in directories(ctx, &container.id) {
        fs::remove_dir(dir)?;
    }
    same!(container.status()?, "stopped", "status");
    container.delete()?;
    check!(ctx.driver.state(&container.id).code != 0, "the container outlives its delete");
    Ok(())
}

/// Its processes were moved to the top, and its directories removed.
fn a_running_container_without_its_cgroup_is_told_and_deleted(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    for hierarchy in &ctx.host.hierarchies {
        let dir = ctx.host.dir(hierarchy, &container.id);
        if dir.exists() {
            fs::write(hierarchy.root.join("cgroup.procs"), container.pid.to_string())?;
            fs::remove_dir(&dir)?;
        }
    }
    let (driver, id) = (ctx.driver, container.id.as_str());
    same!(container.status()?, "running", "status");
    refusal(&driver.pause(id), &["cgroup"]).map_err(|trouble| trouble.at("pause"))?;
    refusal(&driver.stats(id), &["cgroup"]).map_err(|trouble| trouble.at("stats"))?;
    let process = process(&["pid"]).to_string();
    let entered = driver.exec(Exec { id, process, ..Exec::default() });
    check!(entered.code != 0 && entered.err.contains("cgroup"), "exec: {entered:?}");
    if ctx.host.controller("pids").is_some() {
        let changed = driver.update(id, r#"{"pids": {"limit": 100}}"#);
        refusal(&changed, &["cgroup"]).map_err(|trouble| trouble.at("update"))?;
    }
    same!(container.status()?, "running", "status");
    container.delete_by_force().map_err(|trouble| Trouble::from(format!("delete: {trouble:?}")))?;
    check!(driver.state(id).code != 0, "the container outlives its delete");
    Ok(())
}

/// The filter for so many rules can take longer than init needs to fail, and systemd to see that nobody is in the scope.
fn what_init_says_is_told_and_not_what_became_of_its_cgroup(ctx: &Ctx<'_>) -> Outcome {
    let rule = |minor| json!({ "allow": true, "type": "c", "major": 10, "minor": minor, "access": "r" });
    let rules: Vec<_> = (0..100).map(rule).collect();
    let mut bundle = ctx.bundle()?;
    bundle.set("/annotations", json!({ "teu.cpu-affinity": "8191" })).set("/linux/resources/devices", rules);
    ctx.refused(&bundle, &["teu.cpu-affinity"])
}
