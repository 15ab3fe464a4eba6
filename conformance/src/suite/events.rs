//! What a container uses and what happens to it: compared with the files of its cgroup, and seen when it is made to happen.

use std::fs;

use serde_json::{Value, json};

use super::exec::process;
use super::tests;
use crate::ctx::{Container, Ctx, refusal};
use crate::driver::Exec;
use crate::host::Need;
use crate::{Outcome, Trouble, check, same, sys};

const MEMORY: Need = Need::Controller("memory");
const CPU: Need = Need::Controller("cpu");
const PRESSURE: Need = Need::Pressure;

tests! {
    stats_are_what_the_files_say [Need::V1, MEMORY, Need::Controller("pids"), Need::Controller("cpuacct")],
    stats_of_a_layout_without_controllers_have_no_numbers [Need::V2],
    time_on_cpus_grows_with_work,
    a_created_and_a_paused_container_have_stats [Need::Controller("freezer")],
    a_stopped_and_an_unknown_container_have_no_stats,
    memory_that_ran_out_is_told_before_the_end [MEMORY],
    an_oom_of_a_process_that_is_not_init_is_told [MEMORY],
    an_oom_takes_everybody_where_the_group_dies_as_one [Need::V2, MEMORY],
    below_a_limit_of_memory_the_caller_waits_for_init_to_leave_its_memory [Need::Cli, Need::V2, MEMORY],
    waiting_is_in_the_stats_as_in_the_files [PRESSURE],
    a_container_that_starves_is_told [PRESSURE, CPU],
    the_end_is_told,
    a_frozen_container_is_told [Need::V2],
    stats_are_one_line_of_json [Need::Cli],
    events_print_stats_at_each_interval_until_the_end [Need::Cli],
    events_print_that_memory_ran_out [Need::Cli, MEMORY],
    bad_intervals_are_refused [Need::Cli],
    a_container_without_a_cgroup_has_no_stats [Need::Cli, Need::Cgroupfs],
}

/// The stats of a container, as `events --stats` prints them below `data`.
fn stats(ctx: &Ctx<'_>, id: &str) -> Result<Value, Trouble> {
    let text = ctx.driver.stats(id).good()?.out;
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}").into())
}

fn number(stats: &Value, pointer: &str) -> Result<u64, Trouble> {
    let number = stats.pointer(pointer).and_then(Value::as_u64);
    number.ok_or_else(|| format!("no number at {pointer} of {stats}").into())
}

fn read(ctx: &Ctx<'_>, controller: &str, id: &str, file: &str) -> Result<String, Trouble> {
    let dir = ctx.host.cgroup(controller, id).ok_or_else(|| format!("no {controller}"))?;
    let text = fs::read_to_string(dir.join(file)).map_err(|error| format!("{file}: {error}"))?;
    Ok(text.trim_end().to_owned())
}

fn limited<'a>(ctx: &'a Ctx<'_>, resources: &Value) -> Result<Container<'a>, Trouble> {
    let mut bundle = ctx.bundle()?;
    for (key, value) in resources.as_object().into_iter().flatten() {
        bundle.set(&format!("/linux/resources/{key}"), value.clone());
    }
    Ok(ctx.sleeping(&mut bundle, &["touch:4194304"])?.0)
}

// table: a file of v1 and where its number is in the stats
const FILES: [(&str, &str, &str); 6] = [
    ("cpuacct", "cpuacct.usage", "/cpu/usage/total"),
    ("memory", "memory.usage_in_bytes", "/memory/usage/usage"),
    ("memory", "memory.max_usage_in_bytes", "/memory/usage/max"),
    ("memory", "memory.memsw.usage_in_bytes", "/memory/swap/usage"),
    ("memory", "memory.memsw.limit_in_bytes", "/memory/swap/limit"),
    ("memory", "memory.failcnt", "/memory/usage/failcnt"),
];

fn files(ctx: &Ctx<'_>, id: &str) -> Result<Vec<String>, Trouble> {
    let others = [("memory", "memory.stat"), ("cpuacct", "cpuacct.usage_percpu")];
    let names = FILES.iter().map(|(controller, file, _)| (*controller, *file)).chain(others);
    names.map(|(controller, file)| read(ctx, controller, id, file)).collect()
}

/// Stats between two looks at the files that saw the same: a container that falls asleep takes a moment, and the kernel takes pages away when it likes.
fn stats_at_rest(ctx: &Ctx<'_>, id: &str) -> Result<(Value, Vec<String>), Trouble> {
    for _ in 0..100 {
        let (before, stats) = (files(ctx, id)?, stats(ctx, id)?);
        if files(ctx, id)? == before {
            return Ok((stats, before));
        }
    }
    Err("a container that sleeps is never at rest".into())
}

fn stats_are_what_the_files_say(ctx: &Ctx<'_>) -> Outcome {
    let container = limited(ctx, &json!({ "pids": { "limit": 77 }, "memory": { "limit": 64 << 20 } }))?;
    let (stats, files) = stats_at_rest(ctx, &container.id)?;
    same!(number(&stats, "/pids/current")?, 1, "processes");
    same!(number(&stats, "/pids/limit")?, 77, "limit of processes");
    same!(number(&stats, "/memory/usage/limit")?, 64 << 20, "limit of memory");
    let [numbers @ .., raw, percpu] = files.as_slice() else { return Err("files are missing".into()) };
    for ((_, file, pointer), text) in FILES.iter().zip(numbers) {
        same!(number(&stats, pointer)?.to_string(), *text, "{pointer} and {file}");
    }
    for line in raw.lines() {
        let (name, value) = line.split_once(' ').ok_or("a line without a number")?;
        same!(stats["memory"]["raw"][name].to_string(), value, "raw {name}");
    }
    let percpu: Vec<u64> = percpu.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    same!(stats["cpu"]["usage"]["percpu"], json!(percpu), "time on each CPU");
    Ok(())
}

/// Every group of cgroup2 counts time, also where nothing can be limited.
fn stats_of_a_layout_without_controllers_have_no_numbers(ctx: &Ctx<'_>) -> Outcome {
    let container = limited(ctx, &json!({}))?;
    let stats = stats(ctx, &container.id)?;
    check!(number(&stats, "/cpu/usage/total")? > 0, "no time on CPUs: {stats}");
    if ctx.host.controller("memory").is_none() {
        same!(stats["memory"]["usage"], json!({ "limit": 0, "failcnt": 0 }), "memory");
    }
    if ctx.host.controller("pids").is_none() {
        same!(stats["pids"], json!({}), "processes");
    }
    Ok(())
}

fn time_on_cpus_grows_with_work(ctx: &Ctx<'_>) -> Outcome {
    let container = limited(ctx, &json!({}))?;
    let before = number(&stats(ctx, &container.id)?, "/cpu/usage/total")?;
    let process = process(&["touch:33554432", "exit:0"]);
    ctx.driver.exec(Exec { id: &container.id, process: process.to_string(), ..Exec::default() }).good()?;
    let after = number(&stats(ctx, &container.id)?, "/cpu/usage/total")?;
    check!(after > before, "{after} ns after work, {before} ns before it");
    Ok(())
}

fn a_created_and_a_paused_container_have_stats(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&["sleep"]))?;
    stats(ctx, &container.id)?;
    container.start()?;
    ctx.driver.pause(&container.id).good()?;
    stats(ctx, &container.id)?;
    ctx.driver.resume(&container.id).good()?;
    Ok(())
}

fn a_stopped_and_an_unknown_container_have_no_stats(ctx: &Ctx<'_>) -> Outcome {
    refusal(&ctx.driver.stats("nobody"), &["container does not exist"])?;
    let mut bundle = ctx.bundle()?;
    let container = ctx.started(bundle.ops(&[]))?;
    container.ended()?;
    refusal(&ctx.driver.stats(&container.id), &["is not running", "container not running"])?;
    refusal(&ctx.driver.events(&container.id, &[&|| Ok(())])?, &["is not running", "container not running"])?;
    container.delete()
}

/// The lines of events until the end, of which the last of `acts` is the cause.
fn told(ctx: &Ctx<'_>, id: &str, acts: &[&dyn Fn() -> Outcome]) -> Result<Vec<String>, Trouble> {
    let text = ctx.driver.events(id, acts)?.good()?.out;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The lines of memory that ran out, and of the end.
fn words(id: &str) -> [String; 2] {
    [format!("{{\"type\":\"oom\",\"id\":\"{id}\"}}"), "end".to_owned()]
}

/// The container's own program takes more than there is.
fn memory_that_ran_out_is_told_before_the_end(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/memory", json!({ "limit": 16 << 20, "swap": 16 << 20 }));
    let container = ctx.created(bundle.ops(&["touch:268435456", "sleep"]))?;
    let lines = told(ctx, &container.id, &[&|| container.start()])?;
    let [oom, end] = words(&container.id);
    check!(lines.contains(&oom), "no oom among {lines:?}");
    same!(lines.last(), Some(&end), "the last line");
    Ok(())
}

/// The one that is killed is not init, which ends when it is told to.
fn an_oom_of_a_process_that_is_not_init_is_told(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/memory", json!({ "limit": 16 << 20, "swap": 16 << 20 }));
    let container = ctx.sleeping(&mut bundle, &[])?.0;
    let lines = told(
        ctx,
        &container.id,
        &[&|| {
            let process = process(&["touch:268435456"]);
            let reply =
                ctx.driver.exec(Exec { id: &container.id, process: process.to_string(), ..Exec::default() });
            same!(reply.code, 137, "exit code of the process that took too much");
            container.kill("KILL")
        }],
    )?;
    let [oom, end] = words(&container.id);
    check!(lines.contains(&oom), "no oom among {lines:?}");
    same!(lines.last(), Some(&end), "the last line");
    Ok(())
}

/// `memory.oom.group`: who takes too much is not init, and init dies with it.
fn an_oom_takes_everybody_where_the_group_dies_as_one(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/memory", json!({ "limit": 16 << 20, "swap": 16 << 20 }));
    bundle.set("/linux/resources/unified", json!({ "memory.oom.group": "1" }));
    let container = ctx.sleeping(&mut bundle, &[])?.0;
    same!(read(ctx, "memory", &container.id, "memory.oom.group")?, "1", "memory.oom.group");
    let greedy = || {
        let process = process(&["touch:268435456"]).to_string();
        let reply = ctx.driver.exec(Exec { id: &container.id, process, ..Exec::default() });
        same!(reply.code, 137, "exit code of the process that took too much");
        Ok(())
    };
    let lines = told(ctx, &container.id, &[&greedy])?;
    let [oom, end] = words(&container.id);
    same!(lines.iter().filter(|line| **line == oom).count(), 1, "memory ran out once: {lines:?}");
    same!(lines.last(), Some(&end), "the last line");
    container.ended()?;
    same!(container.status()?, "stopped", "status");
    container.delete()
}

/// Without CLONE_VFORK the kernel could choose init there while it still shares the caller's memory, and take the caller with it.
fn below_a_limit_of_memory_the_caller_waits_for_init_to_leave_its_memory(ctx: &Ctx<'_>) -> Outcome {
    let (first, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let limit = ctx.host.parent("memory").ok_or("no memory controller")?.join("memory.max");
    for (value, waits) in [("1073741824", true), ("max", false)] {
        fs::write(&limit, value)?;
        let mut bundle = ctx.bundle()?;
        bundle.write()?;
        let dir = bundle.dir.display().to_string();
        let reply = ctx.cli()?.call(&["plan", "--bundle", &dir, &bundle.id]);
        let clone = reply.out.lines().find(|line| line.starts_with("clone")).unwrap_or_default().to_owned();
        // With a unit of systemd always: what limits it shows too late.
        let waits = waits || ctx.host.systemd;
        same!(clone.contains(" vfork"), waits, "{value} in {}: {clone}", limit.display());
        ctx.sleeping(&mut bundle, &[])?.0.delete_by_force()?;
    }
    first.delete_by_force()
}

/// The numbers grow, so those of the stats lie between two looks at the file.
fn waiting_is_in_the_stats_as_in_the_files(ctx: &Ctx<'_>) -> Outcome {
    let container = limited(ctx, &json!({}))?;
    for (resource, pointer) in [("cpu", "/cpu"), ("memory", "/memory"), ("io", "/blkio")] {
        let total = || waited(ctx, &container.id, &format!("{resource}.pressure"));
        let (before, stats, after) = (total()?, stats(ctx, &container.id)?, total()?);
        let told = number(&stats, &format!("{pointer}/psi/some/total"))?;
        check!((before..=after).contains(&told), "{resource}: {told} us are not from {before} to {after}");
    }
    Ok(())
}

/// How long at least one process waited, in microseconds.
fn waited(ctx: &Ctx<'_>, id: &str, file: &str) -> Result<u64, Trouble> {
    let dir = ctx.host.hierarchies.iter().find(|one| one.v2).map(|one| ctx.host.dir(one, id));
    let text = fs::read_to_string(dir.ok_or("no cgroup2")?.join(file)).map_err(|e| format!("{file}: {e}"))?;
    let some = text.lines().find_map(|line| line.strip_prefix("some ")?.rsplit_once("total="));
    let total = some.and_then(|(_, total)| total.parse().ok());
    total.ok_or_else(|| format!("{file} has no total: {text}").into())
}

/// Who may use a twentieth of a CPU and wants all of it waits most of the time.
fn a_container_that_starves_is_told(ctx: &Ctx<'_>) -> Outcome {
    let container = limited(ctx, &json!({ "cpu": { "quota": 5000, "period": 100_000 } }))?;
    let work = || {
        let process = process(&["touch:16777216", "exit:0"]).to_string();
        ctx.driver.exec(Exec { id: &container.id, process, ..Exec::default() }).good()?;
        Ok(())
    };
    let text =
        ctx.driver.events_of_starvation(&container.id, &[&work, &|| container.kill("KILL")])?.good()?.out;
    let lines: Vec<_> = text.lines().collect();
    same!(lines.first(), Some(&"pressure(0)"), "the first of {lines:?}");
    same!(lines.last(), Some(&"end"), "the last of {lines:?}");
    Ok(())
}

fn the_end_is_told(ctx: &Ctx<'_>) -> Outcome {
    let container = ctx.sleeping(&mut ctx.bundle()?, &[])?.0;
    let lines = told(ctx, &container.id, &[&|| container.kill("KILL")])?;
    let [oom, end] = words(&container.id);
    check!(!lines.contains(&oom), "memory ran out: {lines:?}");
    same!(lines.last(), Some(&end), "the last line");
    Ok(())
}

fn a_frozen_container_is_told(ctx: &Ctx<'_>) -> Outcome {
    if ctx.driver.cli().is_some() {
        return Err(Trouble::Skipped("the command prints no such event".into()));
    }
    let container = ctx.sleeping(&mut ctx.bundle()?, &[])?.0;
    let acts: [&dyn Fn() -> Outcome; 3] = [
        &|| ctx.driver.pause(&container.id).good().map(drop).map_err(Trouble::from),
        &|| ctx.driver.resume(&container.id).good().map(drop).map_err(Trouble::from),
        &|| container.kill("KILL"),
    ];
    let lines = told(ctx, &container.id, &acts)?;
    same!(lines.get(..2), Some(["frozen".to_owned(), "thawed".to_owned()].as_slice()), "the first two lines");
    same!(lines.last().map(String::as_str), Some("end"), "the last line");
    Ok(())
}

fn parsed(line: &str) -> Result<Value, Trouble> {
    serde_json::from_str(line).map_err(|error| format!("{error}: {line}").into())
}

fn stats_are_one_line_of_json(ctx: &Ctx<'_>) -> Outcome {
    let container = limited(ctx, &json!({}))?;
    let text = ctx.cli()?.call(&["events", "--stats", &container.id]).good()?.out;
    check!(text.ends_with("}\n") && text.lines().count() == 1, "output: {text}");
    check!(
        text.starts_with(&format!(
            "{{\"type\":\"stats\",\"id\":\"{}\",\"data\":{{\"cpu\":{{\"usage\":",
            container.id
        )),
        "output: {text}"
    );
    let line = parsed(&text)?;
    for key in ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"] {
        check!(line["data"].get(key).is_some(), "no {key} in {text}");
    }
    Ok(())
}

fn events_print_stats_at_each_interval_until_the_end(ctx: &Ctx<'_>) -> Outcome {
    let container = ctx.sleeping(&mut ctx.bundle()?, &[])?.0;
    let (out, stdout) = sys::pipe()?;
    let events = ctx.cli()?.spawn_to(&["events", "--interval", "10ms", &container.id], stdout)?;
    let mut lines = crate::ctx::Lines::new(out);
    for _ in 0..3 {
        let line = lines.next(sys::PATIENCE)?.ok_or("the lines ended")?;
        same!(parsed(&line)?["type"], "stats", "type");
    }
    container.kill("KILL")?;
    while lines.next(sys::PATIENCE)?.is_some() {}
    same!(events.finish().code, 0, "exit code");
    Ok(())
}

fn events_print_that_memory_ran_out(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/memory", json!({ "limit": 16 << 20, "swap": 16 << 20 }));
    let container = ctx.sleeping(&mut bundle, &[])?.0;
    let (out, stdout) = sys::pipe()?;
    let events = ctx.cli()?.spawn_to(&["events", "--interval=20ms", &container.id], stdout)?;
    let mut lines = crate::ctx::Lines::new(out);
    // A first line of stats tells that it listens.
    lines.next(sys::PATIENCE)?.ok_or("the lines ended")?;
    let process = process(&["touch:268435456"]);
    ctx.driver.exec(Exec { id: &container.id, process: process.to_string(), ..Exec::default() });
    let wanted = words(&container.id)[0].clone();
    while lines.next(sys::PATIENCE)?.ok_or("the lines ended without an oom")? != wanted {}
    container.kill("KILL")?;
    while lines.next(sys::PATIENCE)?.is_some() {}
    same!(events.finish().code, 0, "exit code");
    Ok(())
}

fn bad_intervals_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = ctx.sleeping(&mut ctx.bundle()?, &[])?.0;
    for (interval, text) in [
        ("0", "duration interval must be greater than 0"),
        ("0s", "duration interval must be greater than 0"),
        ("-5s", "duration interval must be greater than 0"),
        ("soon", "invalid value \"soon\" for flag -interval: parse error"),
    ] {
        refusal(&ctx.cli()?.call(&["events", "--interval", interval, &container.id]), &[text])?;
    }
    refusal(&ctx.cli()?.call(&["events", "nobody"]), &["container does not exist"])?;
    container.kill("KILL")?;
    container.ended()?;
    let text = format!("container with id {} is not running", container.id);
    refusal(&ctx.cli()?.call(&["events", &container.id]), &[&text])?;
    refusal(&ctx.cli()?.call(&["events", "--stats", &container.id]), &[&text])
}

fn a_container_without_a_cgroup_has_no_stats(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.remove("/linux/cgroupsPath").remove("/linux/resources").ops(&["sleep"]).write()?;
    let (cli, dir) = (ctx.cli()?, bundle.dir.to_string_lossy().into_owned());
    cli.call(&["--cgroup-manager", "disabled", "run", "-d", "-b", &dir, &bundle.id]).good()?;
    let reply = cli.call(&["events", "--stats", &bundle.id]);
    let pid = ctx.state(&bundle.id)?["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    ctx.driver.delete(&bundle.id, true).good()?;
    sys::reap_one(pid.ok_or("no pid")?);
    refusal(&reply, &["cgroup not exist"])
}
