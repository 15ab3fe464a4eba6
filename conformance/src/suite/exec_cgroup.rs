//! Where a further process runs: in a cgroup below the container's, and on which processors.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::exec::process;
use super::exec_calls::refused;
use super::tests;
use crate::ctx::{Container, Ctx};
use crate::driver::{Exec, Reply};
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same};

tests! {
    a_process_runs_in_the_cgroup_below_that_it_names,
    each_controller_can_have_a_path_of_its_own [Need::V1],
    a_cgroup_below_must_exist,
    no_cgroup_outside_of_the_container_can_be_named,
    a_controller_that_is_not_there_is_refused,
    a_named_cgroup_that_can_hold_no_process_is_refused [Need::V2, Need::Controller("pids")],
    a_limit_below_the_container_holds [Need::Controller("pids")],
    a_process_runs_on_the_processors_of_its_affinity,
    the_affinity_of_the_configuration_is_that_of_every_process,
    the_affinity_of_the_annotation_is_that_of_init_too,
    a_process_without_affinity_has_the_container_s_processors,
    processors_that_are_not_there_are_refused,
}

fn sleeping<'a>(ctx: &'a Ctx<'a>) -> Result<Container<'a>, Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("cgroup");
    Ok(ctx.sleeping(&mut bundle, &[])?.0)
}

/// The container's directory in each hierarchy.
fn directories(ctx: &Ctx<'_>, id: &str) -> Vec<PathBuf> {
    ctx.host.hierarchies.iter().map(|one| ctx.host.dir(one, id)).collect()
}

/// Makes a group below the container's, everywhere. A v1 cpuset takes no process before it is filled.
fn make_below(ctx: &Ctx<'_>, id: &str, name: &str) -> Outcome {
    for dir in directories(ctx, id) {
        let below = dir.join(name);
        fs::create_dir(&below)?;
        for file in ["cpuset.cpus", "cpuset.mems"].iter().filter(|file| dir.join(file).exists()) {
            if !ctx.host.is_v2() {
                fs::write(below.join(file), fs::read(dir.join(file))?)?;
            }
        }
    }
    Ok(())
}

fn in_cgroup(ctx: &Ctx<'_>, id: &str, cgroups: &[&str]) -> Reply {
    let process = process(&["cgroup"]).to_string();
    ctx.driver.exec(Exec { id, process, cgroups: cgroups.to_vec(), ..Exec::default() })
}

/// The lines of /proc/self/cgroup of a process in these cgroups.
fn seen(ctx: &Ctx<'_>, id: &str, cgroups: &[&str]) -> Result<Vec<String>, Trouble> {
    let report = Report::parse(&in_cgroup(ctx, id, cgroups).good()?.out)?;
    let lines = report.get("cgroup").as_array().cloned().unwrap_or_default();
    Ok(lines.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// The line of a controller. On v2 there is one for all.
fn line_of<'a>(ctx: &Ctx<'_>, lines: &'a [String], controller: &str) -> &'a str {
    let controller = if ctx.host.is_v2() { "" } else { controller };
    let has = |line: &&String| {
        let names = line.split(':').nth(1).unwrap_or_default();
        names.split(',').any(|name| name == controller)
    };
    lines.iter().find(has).map_or("", |line| line)
}

fn a_process_runs_in_the_cgroup_below_that_it_names(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    make_below(ctx, &container.id, "jobs")?;
    for (named, below) in [("jobs", "/jobs"), ("/jobs/", "/jobs"), ("jobs/..", ""), ("/", "")] {
        let lines = seen(ctx, &container.id, &[named])?;
        let end = format!("/{}{below}", ctx.host.inside(&container.id));
        check!(line_of(ctx, &lines, "freezer").ends_with(&end), "{named}: not in {end}: {lines:?}");
        check!(line_of(ctx, &lines, "memory").ends_with(&end), "{named}: not in {end}: {lines:?}");
    }
    Ok(())
}

fn each_controller_can_have_a_path_of_its_own(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    make_below(ctx, &container.id, "a")?;
    make_below(ctx, &container.id, "b")?;
    let lines = seen(ctx, &container.id, &["freezer:a", "memory:b"])?;
    for (controller, below) in [("freezer", "/a"), ("memory", "/b"), ("devices", "")] {
        let end = format!("/{}{below}", ctx.host.inside(&container.id));
        check!(line_of(ctx, &lines, controller).ends_with(&end), "{controller} is not in {end}: {lines:?}");
    }
    let twice = in_cgroup(ctx, &container.id, &["freezer,memory:a"]).good()?.out;
    let twice = Report::parse(&twice)?;
    let count =
        twice.get("cgroup").to_string().matches(&format!("/{}/a\"", ctx.host.inside(&container.id))).count();
    same!(count, 2, "hierarchies in a: {}", twice.get("cgroup"));
    Ok(())
}

fn a_cgroup_below_must_exist(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    refused(&in_cgroup(ctx, &container.id, &["nowhere"]), &["error adding pid"])?;
    refused(&in_cgroup(ctx, &container.id, &["nowhere"]), &["no such file or directory"])?;
    for dir in directories(ctx, &container.id) {
        check!(!dir.join("nowhere").exists(), "{} was made", dir.join("nowhere").display());
    }
    Ok(())
}

/// A neighbour's name that starts with the container's own leads out as well.
fn no_cgroup_outside_of_the_container_can_be_named(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let neighbour = format!("../{}-neighbour", container.id);
    for path in ["..", "/..", "a/../..", &neighbour] {
        refused(&in_cgroup(ctx, &container.id, &[path]), &["bad sub cgroup path"])?;
    }
    Ok(())
}

fn a_controller_that_is_not_there_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let unknown = "unknown controller nosuch in SubCgroupPaths";
    refused(&in_cgroup(ctx, &container.id, &["nosuch:/"]), &[unknown])
}

/// Where init has moved down to, a process follows by default, but not if the upper cgroup was named.
fn a_named_cgroup_that_can_hold_no_process_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    make_below(ctx, &container.id, "leaf")?;
    let dir = ctx.host.cgroup("pids", &container.id).ok_or("no cgroup")?;
    fs::write(dir.join("leaf/cgroup.procs"), container.pid.to_string())?;
    fs::write(dir.join("cgroup.subtree_control"), "+pids")?;
    refused(&in_cgroup(ctx, &container.id, &["/"]), &["device or resource busy"])?;
    let end = format!("/{}/leaf", ctx.host.inside(&container.id));
    for cgroups in [&["leaf"][..], &[]] {
        let lines = seen(ctx, &container.id, cgroups)?;
        check!(line_of(ctx, &lines, "pids").ends_with(&end), "{cgroups:?}: not in {end}: {lines:?}");
    }
    Ok(())
}

fn a_limit_below_the_container_holds(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let dir = ctx.host.cgroup("pids", &container.id).ok_or("no cgroup")?;
    if ctx.host.is_v2() {
        // A cgroup with processes can give no controllers away.
        make_below(ctx, &container.id, "init")?;
        fs::write(dir.join("init/cgroup.procs"), container.pid.to_string())?;
        fs::write(dir.join("cgroup.subtree_control"), "+pids")?;
    }
    make_below(ctx, &container.id, "tight")?;
    fs::write(dir.join("tight/pids.max"), "0")?;
    match ctx.host.is_v2() {
        // Whoever is born there counts from the start.
        true => refused(&in_cgroup(ctx, &container.id, &["tight"]), &["resource temporarily unavailable"]),
        // Whoever moves there is let in, and cannot make a second process.
        false => {
            refused(&in_cgroup(ctx, &container.id, &["pids:tight"]), &["resource temporarily unavailable"])
        }
    }
}

/// The processors that a process with this affinity may run on.
fn processors(ctx: &Ctx<'_>, id: &str, affinity: Option<Value>) -> Result<String, Trouble> {
    let mut process = process(&["status"]);
    if let Some(affinity) = affinity {
        process["execCPUAffinity"] = affinity;
    }
    let reply = ctx.driver.exec(Exec { id, process: process.to_string(), ..Exec::default() }).good()?;
    Ok(Report::parse(&reply.out)?.status("Cpus_allowed_list").to_owned())
}

/// Two processors of this machine.
fn two() -> Result<(String, String), Trouble> {
    match std::thread::available_parallelism()?.get() {
        1 => Err(Trouble::Skipped("the machine has one processor".into())),
        _ => Ok(("0".to_owned(), "1".to_owned())),
    }
}

fn a_process_runs_on_the_processors_of_its_affinity(ctx: &Ctx<'_>) -> Outcome {
    let (first, second) = two()?;
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let both = json!({ "initial": first, "final": second });
    same!(processors(ctx, &container.id, Some(both))?, second, "initial and final");
    let last = json!({ "final": format!("{first}-{second}") });
    same!(processors(ctx, &container.id, Some(last))?, format!("{first}-{second}"), "a range");
    let last = json!({ "final": first });
    same!(processors(ctx, &container.id, Some(last))?, first, "final alone");
    Ok(())
}

fn the_affinity_of_the_configuration_is_that_of_every_process(ctx: &Ctx<'_>) -> Outcome {
    let (first, second) = two()?;
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/execCPUAffinity", json!({ "initial": second, "final": first }));
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    same!(processors(ctx, &container.id, None)?, first, "of the configuration");
    let own = json!({ "final": second });
    same!(processors(ctx, &container.id, Some(own))?, second, "of the process itself");
    Ok(())
}

/// The annotation is for init and for every process that says nothing of its own.
fn the_affinity_of_the_annotation_is_that_of_init_too(ctx: &Ctx<'_>) -> Outcome {
    let (first, second) = two()?;
    let mut bundle = ctx.bundle()?;
    bundle.set("/annotations", json!({ "teu.cpu-affinity": second }));
    let (container, init) = ctx.sleeping(&mut bundle, &["status"])?;
    same!(init.status("Cpus_allowed_list"), second, "processors of init");
    same!(processors(ctx, &container.id, None)?, second, "processors of a further process");
    let own = json!({ "final": first });
    same!(processors(ctx, &container.id, Some(own))?, first, "of the process itself");
    for list in ["1-0", "8191"] {
        let mut bundle = ctx.bundle()?;
        ctx.refused(bundle.set("/annotations", json!({ "teu.cpu-affinity": list })), &["teu.cpu-affinity"])?;
    }
    Ok(())
}

/// Not those of a pinned caller.
fn a_process_without_affinity_has_the_container_s_processors(ctx: &Ctx<'_>) -> Outcome {
    let (container, init) = ctx.sleeping(&mut ctx.bundle()?, &["status"])?;
    same!(processors(ctx, &container.id, None)?, init.status("Cpus_allowed_list"), "processors");
    Ok(())
}

fn processors_that_are_not_there_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    for key in ["initial", "final"] {
        let mut process = process(&["pid"]);
        process["execCPUAffinity"] = json!({ key: "8191" });
        let exec = Exec { id: &container.id, process: process.to_string(), ..Exec::default() };
        refused(&ctx.driver.exec(exec), &["8191"])?;
    }
    Ok(())
}
