//! Cgroups: where the process is, which limits are written, what they do, and what is left.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{SIGKILL, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::Ctx;
use crate::host::{Need, cgroups_below};
use crate::{Outcome, Trouble, check, same, sys};

tests! {
    the_process_is_in_its_cgroup_before_it_runs,
    a_created_container_is_in_its_cgroup,
    the_cgroup_is_gone_after_delete,
    the_cgroup_is_gone_after_a_failed_create,
    missing_parents_are_made [Need::Cgroupfs],
    without_a_path_the_cgroup_is_named_after_the_id [Need::Cgroupfs],
    memory_limit_is_written [Need::Controller("memory")],
    memory_swap_is_written [Need::Controller("memory")],
    memory_reservation_is_written [Need::Controller("memory")],
    cpu_shares_are_written [Need::Controller("cpu")],
    cpu_quota_and_period_are_written [Need::Controller("cpu")],
    cpuset_is_written [Need::Controller("cpuset")],
    pids_limit_is_written [Need::Controller("pids")],
    an_unlimited_pids_limit_is_max [Need::Controller("pids")],
    a_pids_limit_of_zero_is_one [Need::Controller("pids")],
    pids_limit_is_enforced [Need::Controller("pids")],
    memory_limit_is_enforced [Need::Controller("memory")],
    a_memory_limit_too_low_to_start_says_so [Need::Cgroupfs, Need::Controller("memory")],
    a_small_memory_limit_still_starts [Need::Controller("memory")],
    limits_hold_before_the_program_runs [Need::Controller("pids")],
    a_limit_without_its_controller_is_refused [Need::V2],
    a_unified_key_is_written [Need::V2],
    a_unified_key_with_a_slash_is_refused [Need::V2],
    a_cgroup_that_is_not_empty_is_refused [Need::Cgroupfs],
    a_frozen_cgroup_is_refused [Need::Cgroupfs, Need::Controller("freezer")],
    an_empty_cgroup_can_be_used_again [Need::Cgroupfs],
    cgroups_made_by_the_container_are_removed,
    the_cgroup_mount_shows_the_container_s_cgroup,
    the_cgroup_mount_is_read_only_as_asked,
    a_swap_limit_below_the_memory_limit_is_refused [Need::Controller("memory")],
}

/// Every directory the container's cgroup has, one in each hierarchy that the runtime uses for it.
fn directories(ctx: &Ctx<'_>, id: &str) -> Vec<PathBuf> {
    let dirs = ctx.host.hierarchies.iter().map(|one| ctx.host.dir(one, id));
    dirs.filter(|dir| dir.exists()).collect()
}

fn read(ctx: &Ctx<'_>, controller: &str, id: &str, file: &str) -> Result<String, Trouble> {
    let dir = ctx.host.cgroup(controller, id).ok_or_else(|| format!("no {controller}"))?;
    let text = fs::read_to_string(dir.join(file)).map_err(|error| format!("{file}: {error}"))?;
    Ok(text.trim().into())
}

/// A sleeping container with these resources; the files must read as given. The names are those of v1 and v2.
fn writes(
    ctx: &Ctx<'_>,
    controller: &str,
    resources: &Value,
    v1: &[(&str, &str)],
    v2: &[(&str, &str)],
) -> Outcome {
    let mut bundle = ctx.bundle()?;
    for (key, value) in resources.as_object().into_iter().flatten() {
        bundle.set(&format!("/linux/resources/{key}"), value.clone());
    }
    let container = ctx.created(bundle.ops(&["pid"]))?;
    for (file, wanted) in if ctx.host.is_v2() { v2 } else { v1 } {
        same!(read(ctx, controller, &container.id, file)?, *wanted, "{file}");
    }
    Ok(())
}

fn the_process_is_in_its_cgroup_before_it_runs(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("cgroup");
    let report = ctx.see(&mut bundle, &["cgroup"])?;
    let path = format!("/{}", ctx.host.inside(&bundle.id));
    let lines = report.get("cgroup").as_array().cloned().unwrap_or_default();
    let text = |line: &Value| line.as_str().unwrap_or_default().to_string();
    for hierarchy in ctx.host.hierarchies.iter().filter(|one| !one.controllers.is_empty()) {
        let wanted = |line: &Value| {
            let line = text(line);
            let names = line.split(':').nth(1).unwrap_or_default();
            let is_v2 = line.starts_with("0:");
            if hierarchy.v2 {
                is_v2
            } else {
                names.split(',').any(|name| hierarchy.controllers.iter().any(|one| one == name))
            }
        };
        let line = lines.iter().find(|line| wanted(line)).map(text).unwrap_or_default();
        check!(line.ends_with(&path), "{}: the first instruction ran in {line:?}", hierarchy.root.display());
    }
    Ok(())
}

fn a_created_container_is_in_its_cgroup(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&["pid"]))?;
    let dirs = directories(ctx, &container.id);
    check!(!dirs.is_empty(), "there is no cgroup");
    for dir in dirs {
        let pids = fs::read_to_string(dir.join("cgroup.procs"))?;
        let wanted = container.pid.to_string();
        check!(pids.lines().any(|pid| pid == wanted), "{}: {pids:?} without {wanted}", dir.display());
    }
    Ok(())
}

fn the_cgroup_is_gone_after_delete(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    check!(!directories(ctx, &container.id).is_empty(), "there is no cgroup");
    container.delete_by_force()?;
    same!(directories(ctx, &container.id), Vec::<PathBuf>::new(), "cgroups");
    Ok(())
}

fn the_cgroup_is_gone_after_a_failed_create(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/x", "nosuchfs", "x", &[]);
    ctx.refused(&bundle, &[])?;
    same!(directories(ctx, &bundle.id), Vec::<PathBuf>::new(), "cgroups");
    Ok(())
}

/// Parents may stay: other containers can be in them. The test removes them.
fn missing_parents_are_made(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/cgroupsPath", format!("/{}/one/two/three", ctx.host.tag));
    let container = ctx.created(bundle.ops(&["pid"]))?;
    let made = directories(ctx, "one/two/three");
    container.delete()?;
    let left = directories(ctx, "one/two/three");
    for hierarchy in &ctx.host.hierarchies {
        for dir in cgroups_below(&hierarchy.root.join(&ctx.host.tag).join("one")).iter().rev() {
            let _ = fs::remove_dir(dir);
        }
    }
    check!(!made.is_empty(), "there was no cgroup");
    same!(left, Vec::<PathBuf>::new(), "cgroups after delete");
    Ok(())
}

fn without_a_path_the_cgroup_is_named_after_the_id(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.remove("/linux/cgroupsPath").without_namespace("cgroup");
    let report = ctx.see(&mut bundle, &["cgroup"])?;
    let lines = report.get("cgroup").as_array().cloned().unwrap_or_default();
    let named =
        lines.iter().filter_map(Value::as_str).filter(|line| line.ends_with(&format!("/{}", bundle.id)));
    check!(named.count() > 0, "no cgroup has the id in its name: {lines:?}");
    Ok(())
}

const MIB: u64 = 1 << 20;

fn memory_limit_is_written(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "memory": { "limit": 64 * MIB } });
    writes(ctx, "memory", &resources, &[("memory.limit_in_bytes", "67108864")], &[("memory.max", "67108864")])
}

/// v1 counts memory and swap together, v2 counts swap alone.
fn memory_swap_is_written(ctx: &Ctx<'_>) -> Outcome {
    let file = if ctx.host.is_v2() { "memory.swap.max" } else { "memory.memsw.limit_in_bytes" };
    let parent = ctx.host.parent("memory").ok_or("no memory")?;
    if !parent.join(file).exists() {
        return Err(Trouble::Skipped(format!("the kernel has no {file}")));
    }
    let resources = json!({ "memory": { "limit": 64 * MIB, "swap": 96 * MIB } });
    writes(ctx, "memory", &resources, &[(file, "100663296")], &[(file, "33554432")])
}

fn memory_reservation_is_written(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "memory": { "reservation": 32 * MIB } });
    writes(
        ctx,
        "memory",
        &resources,
        &[("memory.soft_limit_in_bytes", "33554432")],
        &[("memory.low", "33554432")],
    )
}

/// runc 1.1 and crun 1.8 turn shares into a weight by a straight line: 39 for 1024.
fn cpu_shares_are_written(ctx: &Ctx<'_>) -> Outcome {
    // 1024 is what every cgroup has.
    let resources = json!({ "cpu": { "shares": 512 } });
    writes(ctx, "cpu", &resources, &[("cpu.shares", "512")], &[("cpu.weight", "59")])
}

fn cpu_quota_and_period_are_written(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "cpu": { "quota": 25_000, "period": 50_000 } });
    let v1 = [("cpu.cfs_quota_us", "25000"), ("cpu.cfs_period_us", "50000")];
    writes(ctx, "cpu", &resources, &v1, &[("cpu.max", "25000 50000")])
}

fn cpuset_is_written(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "cpu": { "cpus": "0", "mems": "0" } });
    let files = [("cpuset.cpus", "0"), ("cpuset.mems", "0")];
    writes(ctx, "cpuset", &resources, &files, &files)
}

fn pids_limit_is_written(ctx: &Ctx<'_>) -> Outcome {
    writes(ctx, "pids", &json!({ "pids": { "limit": 42 } }), &[("pids.max", "42")], &[("pids.max", "42")])
}

fn an_unlimited_pids_limit_is_max(ctx: &Ctx<'_>) -> Outcome {
    writes(ctx, "pids", &json!({ "pids": { "limit": -1 } }), &[("pids.max", "max")], &[("pids.max", "max")])
}

fn a_pids_limit_of_zero_is_one(ctx: &Ctx<'_>) -> Outcome {
    writes(ctx, "pids", &json!({ "pids": { "limit": 0 } }), &[("pids.max", "1")], &[("pids.max", "1")])
}

fn pids_limit_is_enforced(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/pids/limit", 20);
    same!(ctx.see(&mut bundle, &["forks:100"])?.get("forks:100"), &json!(19), "children beside init");
    Ok(())
}

fn memory_limit_is_enforced(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/memory/limit", 32 * MIB);
    same!(ctx.run(bundle.ops(&["touch:1000000"]))?.code, 0, "exit code of a small program");
    let bundle = bundle.ops(&["touch:100000000"]);
    same!(ctx.run(bundle)?.code, 128 + 9, "exit code of a big program");
    Ok(())
}

/// systemd removes the scope with its last process, and with it the count of what the limit has killed.
fn a_memory_limit_too_low_to_start_says_so(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/memory/limit", 4096);
    ctx.refused(bundle.ops(&["pid"]), &["container init was OOM-killed (memory limit too low?)"])
}

/// crun 1.8 starts at about 1 MiB, runc at 4 MiB.
fn a_small_memory_limit_still_starts(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/memory/limit", 512 * 1024);
    let container = ctx.created(bundle.ops(&["exit:0"]))?;
    container.start()
}

/// A limit of one process: the program itself, which can fork no more.
fn limits_hold_before_the_program_runs(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/pids/limit", 1);
    let (_container, report) = ctx.sleeping(&mut bundle, &["forks:3"])?;
    same!(report.get("forks:3"), &json!(0), "children");
    Ok(())
}

/// The controllers of v1 are elsewhere or compiled out; a limit that cannot be kept must not be dropped silently.
fn a_limit_without_its_controller_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let limits = [("memory", json!({ "limit": 64 * MIB })), ("pids", json!({ "limit": 10 }))];
    let (name, limit) = limits
        .into_iter()
        .find(|(name, _)| ctx.host.controller(name).is_none())
        .ok_or_else(|| Trouble::Skipped("every controller is there".into()))?;
    let mut bundle = ctx.bundle()?;
    bundle.set(&format!("/linux/resources/{name}"), limit);
    ctx.refused(&bundle, &[name])
}

fn a_unified_key_is_written(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/unified", json!({ "cgroup.max.depth": "7" }));
    let container = ctx.created(bundle.ops(&["pid"]))?;
    same!(read(ctx, "freezer", &container.id, "cgroup.max.depth")?, "7", "cgroup.max.depth");
    Ok(())
}

fn a_unified_key_with_a_slash_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for key in ["../cgroup.max.depth", "x/cgroup.max.depth", ".."] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/resources/unified", json!({ key: "7" }));
        ctx.refused(&bundle, &["unified"])?;
    }
    Ok(())
}

/// A child of the test, in a cgroup that a container will ask for.
fn occupied(ctx: &Ctx<'_>, bundle: &Bundle, body: impl FnOnce() -> Outcome) -> Outcome {
    let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn()?;
    for hierarchy in ctx
        .host
        .hierarchies
        .iter()
        .filter(|one| one.v2 || one.controllers.iter().any(|name| name == "pids" || name == "devices"))
    {
        let dir = ctx.host.dir(hierarchy, &bundle.id);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("cgroup.procs"), child.id().to_string())?;
    }
    let outcome = body();
    let survived = child.try_wait()?.is_none();
    kill(Pid::from_raw(sys::pid_of(&child)), SIGKILL)?;
    child.wait()?;
    directories(ctx, &bundle.id).iter().for_each(|dir| drop(fs::remove_dir(dir)));
    check!(survived, "the other process was killed");
    outcome
}

/// runc 1.1 warns and goes on.
fn a_cgroup_that_is_not_empty_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let bundle = ctx.bundle()?;
    let text = "container's cgroup is not empty: 1 process(es) found";
    occupied(ctx, &bundle, || ctx.refused(&bundle, &[text]))
}

fn a_frozen_cgroup_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let bundle = ctx.bundle()?;
    let dir = ctx.host.cgroup("freezer", &bundle.id).ok_or("no freezer")?;
    fs::create_dir(&dir)?;
    let (file, frozen, thawed) =
        if ctx.host.is_v2() { ("cgroup.freeze", "1", "0") } else { ("freezer.state", "FROZEN", "THAWED") };
    fs::write(dir.join(file), frozen)?;
    let outcome = ctx.refused(&bundle, &["container's cgroup unexpectedly frozen"]);
    if dir.exists() {
        fs::write(dir.join(file), thawed)?;
        let _ = fs::remove_dir(&dir);
    }
    outcome
}

fn an_empty_cgroup_can_be_used_again(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    for hierarchy in
        ctx.host.hierarchies.iter().filter(|one| !one.controllers.iter().any(|name| name == "cpuset"))
    {
        fs::create_dir(ctx.host.dir(hierarchy, &bundle.id))?;
    }
    let seen = ctx.see(&mut bundle, &["pid"]);
    directories(ctx, &bundle.id).iter().for_each(|dir| drop(fs::remove_dir(dir)));
    seen.map(|_| ())
}

/// The container makes a tree of cgroups below its own and leaves a process in the deepest.
fn cgroups_made_by_the_container_are_removed(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    for dir in directories(ctx, &container.id).iter().filter(|dir| !dir.starts_with("/sys/fs/cgroup/cpuset"))
    {
        fs::create_dir_all(dir.join("own/deeper"))?;
        fs::create_dir(dir.join("beside"))?;
        fs::write(dir.join("own/deeper/cgroup.procs"), container.pid.to_string())?;
    }
    container.delete_by_force()?;
    check!(sys::ended_within(container.pid, sys::PATIENCE)?, "init survived");
    same!(directories(ctx, &container.id), Vec::<PathBuf>::new(), "cgroups");
    Ok(())
}

fn the_cgroup_mount_shows_the_container_s_cgroup(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let dir = if ctx.host.is_v2() { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/devices" };
    let op = format!("read:{dir}/cgroup.procs");
    let report = ctx.see(&mut bundle, &[&op, "mounts"])?;
    same!(report.text(&op), "1", "processes in {dir}");
    let kind = if ctx.host.is_v2() { "cgroup2" } else { "tmpfs" };
    same!(report.mount("/sys/fs/cgroup")["type"], kind, "filesystem");
    Ok(())
}

fn the_cgroup_mount_is_read_only_as_asked(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let dir = if ctx.host.is_v2() { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/devices" };
    let (make, write) = (format!("mkdir:{dir}/sub"), format!("write:{dir}/cgroup.procs=1"));
    let report = ctx.see(&mut bundle, &[&make, &write])?;
    same!(report.text(&make), "EROFS", "making a cgroup");
    same!(report.text(&write), "EROFS", "moving a process");
    Ok(())
}

fn a_swap_limit_below_the_memory_limit_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/memory", json!({ "limit": 64 * MIB, "swap": 32 * MIB }));
    ctx.refused(
        &bundle,
        &["memory+swap limit should be >= memory limit", "memory.memsw.limit_in_bytes", "swap"],
    )
}
