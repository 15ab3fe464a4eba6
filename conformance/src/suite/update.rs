//! Other limits for a container that exists: seen in the files of its cgroup and from inside, kept, and taken back when one of them is refused.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::exec::{enter, process};
use super::tests;
use crate::ctx::{Container, Ctx, refusal};
use crate::host::Need;
use crate::{Outcome, Trouble, check, same};

const CPU: Need = Need::Controller("cpu");
const MEMORY: Need = Need::Controller("memory");
const PIDS: Need = Need::Controller("pids");
const HUGE: Need = Need::Controller("hugetlb");

tests! {
    a_limit_changes_and_the_others_stay [PIDS, MEMORY],
    a_limit_of_huge_pages_changes [HUGE],
    a_new_limit_of_processes_holds_inside [PIDS],
    a_created_and_a_paused_container_can_be_updated [Need::Controller("freezer")],
    an_update_knows_the_limits_of_the_one_before [Need::V1, MEMORY],
    memory_and_swap_go_up_and_down_together [Need::V1, MEMORY],
    memory_without_limit_has_swap_without_limit [Need::V1, MEMORY],
    quota_and_period_change_one_at_a_time [CPU, Need::Cgroupfs],
    a_burst_changes_with_its_quota_or_is_refused_by_name [CPU],
    cpus_change_and_the_rest_stays [Need::V1, Need::Controller("cpuset")],
    a_refused_limit_takes_back_those_before_it,
    a_limit_below_what_is_in_use_can_be_refused [Need::V1, MEMORY],
    unified_keys_can_be_changed [Need::V2],
    device_rules_can_be_changed [Need::Root],
    device_rules_stay_when_others_change [Need::Root],
    grants_of_others_stay_when_the_same_device_rules_are_given [Need::V1, Need::Cgroupfs, Need::Controller("devices")],
    an_exec_after_an_update_is_in_the_same_cgroup,
    contradictions_are_refused_and_change_nothing,
    schemata_are_refused_where_the_machine_has_none [Need::Cli],
    a_stopped_and_an_unknown_container_are_not_updated,
    every_option_has_its_file [Need::Cli, Need::V1, CPU, MEMORY, PIDS],
    options_count_no_more_beside_a_document [Need::Cli],
    bad_values_of_options_are_refused [Need::Cli],
    documents_that_cannot_be_read_are_refused [Need::Cli],
    a_container_without_a_cgroup_has_no_limits [Need::Cli, Need::Cgroupfs],
}

/// A file of the container's cgroup, without the newline at its end.
fn read(ctx: &Ctx<'_>, controller: &str, id: &str, file: &str) -> Result<String, Trouble> {
    let path = place(ctx, controller, id, file)?;
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim_end().to_owned())
}

fn place(ctx: &Ctx<'_>, controller: &str, id: &str, file: &str) -> Result<PathBuf, Trouble> {
    Ok(ctx.host.cgroup(controller, id).ok_or_else(|| format!("no {controller}"))?.join(file))
}

/// The name of a file in the layout at hand.
fn named<'a>(ctx: &Ctx<'_>, v1: &'a str, v2: &'a str) -> &'a str {
    if ctx.host.is_v2() { v2 } else { v1 }
}

fn huge_file<'a>(ctx: &Ctx<'_>) -> &'a str {
    named(ctx, "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max")
}

fn huge(pages: u64) -> Value {
    json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": pages << 21 }] })
}

/// A limit that every layout has: of processes on v1, of the depth of groups on v2.
fn some(ctx: &Ctx<'_>, limit: u64) -> Value {
    match ctx.host.is_v2() {
        true => json!({ "unified": { "cgroup.max.depth": limit.to_string() } }),
        false => json!({ "pids": { "limit": limit } }),
    }
}

fn some_is(ctx: &Ctx<'_>, container: &Container<'_>, limit: u64, when: &str) -> Outcome {
    let (controller, file) =
        if ctx.host.is_v2() { ("freezer", "cgroup.max.depth") } else { ("pids", "pids.max") };
    same!(read(ctx, controller, &container.id, file)?, limit.to_string(), "{file} {when}");
    Ok(())
}

fn running<'a>(ctx: &'a Ctx<'_>, resources: &Value) -> Result<Container<'a>, Trouble> {
    let mut bundle = ctx.bundle()?;
    for (key, value) in resources.as_object().into_iter().flatten() {
        bundle.set(&format!("/linux/resources/{key}"), value.clone());
    }
    Ok(ctx.sleeping(&mut bundle, &[])?.0)
}

fn update(ctx: &Ctx<'_>, container: &Container<'_>, resources: &Value) -> Outcome {
    ctx.driver.update(&container.id, &resources.to_string()).good()?;
    Ok(())
}

fn a_limit_changes_and_the_others_stay(ctx: &Ctx<'_>) -> Outcome {
    let memory = named(ctx, "memory.limit_in_bytes", "memory.max");
    let container = running(ctx, &json!({ "pids": { "limit": 100 }, "memory": { "limit": 64 << 20 } }))?;
    update(ctx, &container, &json!({ "pids": { "limit": 50 } }))?;
    same!(read(ctx, "pids", &container.id, "pids.max")?, "50", "pids.max");
    same!(read(ctx, "memory", &container.id, memory)?, (64 << 20).to_string(), "{memory}");
    update(ctx, &container, &json!({ "memory": { "limit": 96 << 20 }, "pids": null }))?;
    same!(read(ctx, "memory", &container.id, memory)?, (96 << 20).to_string(), "{memory}");
    same!(read(ctx, "pids", &container.id, "pids.max")?, "50", "pids.max");
    update(ctx, &container, &json!({ "pids": { "limit": -1 } }))?;
    same!(read(ctx, "pids", &container.id, "pids.max")?, "max", "pids.max");
    Ok(())
}

fn a_limit_of_huge_pages_changes(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &huge(4))?;
    update(ctx, &container, &huge(2))?;
    same!(read(ctx, "hugetlb", &container.id, huge_file(ctx))?, (4 << 20).to_string(), "limit");
    Ok(())
}

fn a_new_limit_of_processes_holds_inside(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({ "pids": { "limit": 100 } }))?;
    let forks = |count: &str| {
        let op = format!("forks:{count}");
        Ok::<_, Trouble>(enter(ctx, &container.id, &process(&[&op]))?.get(&op).to_string())
    };
    same!(forks("20")?, "20", "processes that could be made before");
    update(ctx, &container, &json!({ "pids": { "limit": 5 } }))?;
    let made = forks("20")?.parse::<u32>().map_err(|error| error.to_string())?;
    check!(made < 5, "{made} processes could be made under a limit of 5");
    Ok(())
}

fn a_created_and_a_paused_container_can_be_updated(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&["sleep"]))?;
    update(ctx, &container, &some(ctx, 30))?;
    some_is(ctx, &container, 30, "while created")?;
    same!(container.status()?, "created", "status");
    container.start()?;
    ctx.driver.pause(&container.id).good()?;
    update(ctx, &container, &some(ctx, 50))?;
    some_is(ctx, &container, 50, "while paused")?;
    same!(container.status()?, "paused", "status");
    ctx.driver.resume(&container.id).good()?;
    Ok(())
}

/// The limit of memory and swap is not below the one of memory, whichever update said it.
fn an_update_knows_the_limits_of_the_one_before(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({}))?;
    update(ctx, &container, &json!({ "memory": { "limit": 64 << 20 } }))?;
    update(ctx, &container, &json!({ "memory": { "swap": 128 << 20 } }))?;
    same!(
        read(ctx, "memory", &container.id, "memory.memsw.limit_in_bytes")?,
        (128 << 20).to_string(),
        "swap"
    );
    let reply = ctx.driver.update(&container.id, &json!({ "memory": { "limit": 256 << 20 } }).to_string());
    refusal(&reply, &["memory+swap limit should be >= memory limit"])?;
    check!(reply.err.contains("/linux/resources/memory/swap"), "no place: {}", reply.err);
    same!(read(ctx, "memory", &container.id, "memory.limit_in_bytes")?, (64 << 20).to_string(), "memory");
    Ok(())
}

fn memory_and_swap_go_up_and_down_together(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({ "memory": { "limit": 64 << 20, "swap": 64 << 20 } }))?;
    for megabytes in [256_u64, 32, 128] {
        let (limit, swap) = (megabytes << 20, (megabytes + 16) << 20);
        update(ctx, &container, &json!({ "memory": { "limit": limit, "swap": swap } }))?;
        same!(read(ctx, "memory", &container.id, "memory.limit_in_bytes")?, limit.to_string(), "memory");
        same!(read(ctx, "memory", &container.id, "memory.memsw.limit_in_bytes")?, swap.to_string(), "swap");
    }
    Ok(())
}

fn memory_without_limit_has_swap_without_limit(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({ "memory": { "limit": 64 << 20, "swap": 96 << 20 } }))?;
    let above = ctx.host.parent("memory").ok_or("no memory")?.join("memory.memsw.limit_in_bytes");
    let unlimited = fs::read_to_string(&above).map_err(|error| format!("{}: {error}", above.display()))?;
    let unlimited = unlimited.trim_end();
    update(ctx, &container, &json!({ "memory": { "limit": -1 } }))?;
    for file in ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"] {
        same!(read(ctx, "memory", &container.id, file)?, unlimited, "{file}");
    }
    Ok(())
}

/// systemd keeps a period to itself for as long as there is no quota.
fn quota_and_period_change_one_at_a_time(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({ "cpu": { "quota": 50_000, "period": 100_000 } }))?;
    let steps = [
        (json!({ "period": 200_000 }), ["50000", "200000"]),
        (json!({ "quota": 70_000 }), ["70000", "200000"]),
        (json!({ "quota": 20_000, "period": 50_000 }), ["20000", "50000"]),
        (json!({ "quota": -1 }), ["-1", "50000"]),
    ];
    for (cpu, wanted) in steps {
        update(ctx, &container, &json!({ "cpu": cpu }))?;
        let [quota, period] = wanted;
        if ctx.host.is_v2() {
            let quota = if quota == "-1" { "max" } else { quota };
            same!(read(ctx, "cpu", &container.id, "cpu.max")?, format!("{quota} {period}"), "cpu.max");
            continue;
        }
        same!(read(ctx, "cpu", &container.id, "cpu.cfs_quota_us")?, quota, "quota");
        same!(read(ctx, "cpu", &container.id, "cpu.cfs_period_us")?, period, "period");
    }
    Ok(())
}

/// Linux has it since 5.14.
fn a_burst_changes_with_its_quota_or_is_refused_by_name(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({ "cpu": { "quota": 50_000, "period": 100_000 } }))?;
    let file = if ctx.host.is_v2() { "cpu.max.burst" } else { "cpu.cfs_burst_us" };
    let dir = ctx.host.cgroup("cpu", &container.id).ok_or("no cgroup of cpu")?;
    let wanted = json!({ "cpu": { "quota": 20_000, "burst": 10_000, "period": 50_000 } });
    if dir.join(file).exists() {
        update(ctx, &container, &wanted)?;
        same!(read(ctx, "cpu", &container.id, file)?, "10000", "burst");
        return Ok(());
    }
    let reply = ctx.driver.update(&container.id, &wanted.to_string());
    refusal(&reply, &[file, "does not exist", "/linux/resources/cpu/burst"])?;
    let (file, before) =
        if ctx.host.is_v2() { ("cpu.max", "50000 100000") } else { ("cpu.cfs_quota_us", "50000") };
    same!(read(ctx, "cpu", &container.id, file)?, before, "what was asked for beside it");
    Ok(())
}

fn cpus_change_and_the_rest_stays(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({ "cpu": { "mems": "0" } }))?;
    let before = read(ctx, "cpuset", &container.id, "cpuset.cpus")?;
    update(ctx, &container, &json!({ "cpu": { "cpus": "0" } }))?;
    same!(read(ctx, "cpuset", &container.id, "cpuset.cpus")?, "0", "cpus");
    same!(read(ctx, "cpuset", &container.id, "cpuset.mems")?, "0", "mems");
    let reply = ctx.driver.update(&container.id, &json!({ "cpu": { "cpus": "0,8191" } }).to_string());
    refusal(&reply, &["cpuset.cpus"])?;
    update(ctx, &container, &json!({ "cpu": { "cpus": before } }))?;
    same!(read(ctx, "cpuset", &container.id, "cpuset.cpus")?, before, "cpus");
    Ok(())
}

/// The kernel refuses the last one; the one before is taken back, and nothing is kept of them.
fn a_refused_limit_takes_back_those_before_it(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &some(ctx, 40))?;
    let config = ctx.driver.root().join(&container.id).join("config.json");
    let kept = fs::read(&config)?;
    let mut bad = some(ctx, 20);
    match ctx.host.is_v2() {
        true => bad["unified"]["cgroup.max.descendants"] = json!("x"),
        false => bad["hugepageLimits"] = json!([{ "pageSize": "3MB", "limit": 0 }]),
    }
    let reply = ctx.driver.update(&container.id, &bad.to_string());
    refusal(&reply, &["hugetlb", "cgroup.max.descendants"])?;
    some_is(ctx, &container, 40, "after the refusal")?;
    same!(fs::read(&config)?, kept, "the configuration that is kept");
    let names = fs::read_dir(ctx.driver.root().join(&container.id))?.flatten().map(|entry| entry.file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().ends_with(".new")).collect();
    check!(left.is_empty(), "files are left: {left:?}");
    update(ctx, &container, &some(ctx, 10))
}

fn a_limit_below_what_is_in_use_can_be_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({ "memory": { "limit": 64 << 20 } }))?;
    let checked = json!({ "memory": { "limit": 4096, "checkBeforeUpdate": true } });
    refusal(&ctx.driver.update(&container.id, &checked.to_string()), &["rejecting memory limit 4096"])?;
    same!(read(ctx, "memory", &container.id, "memory.limit_in_bytes")?, (64 << 20).to_string(), "memory");
    same!(container.status()?, "running", "status");
    Ok(())
}

fn unified_keys_can_be_changed(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({ "unified": { "cgroup.max.depth": "5" } }))?;
    let read = |file: &str| {
        let dir = ctx.host.hierarchies.first().map(|one| ctx.host.dir(one, &container.id));
        fs::read_to_string(dir.unwrap_or_default().join(file)).map(|text| text.trim_end().to_owned())
    };
    update(ctx, &container, &json!({ "unified": { "cgroup.max.descendants": "9" } }))?;
    same!((read("cgroup.max.depth")?, read("cgroup.max.descendants")?), ("5".into(), "9".into()), "both");
    let bad = json!({ "unified": { "cgroup.max.depth": "7", "cgroup.max.descendants": "x" } });
    refusal(&ctx.driver.update(&container.id, &bad.to_string()), &["cgroup.max.descendants"])?;
    same!((read("cgroup.max.depth")?, read("cgroup.max.descendants")?), ("5".into(), "9".into()), "after it");
    for (key, text) in [("a/b", "must be a file name"), ("cgroup.procs", "is no setting")] {
        let bad = json!({ "unified": { key: "1" } });
        refusal(&ctx.driver.update(&container.id, &bad.to_string()), &[text])?;
    }
    Ok(())
}

/// A node that every container may make and none may open by default.
const NODE: &str = "/tmp/fuse";

/// Whether the device cgroup lets it be opened; the machine may have no such device.
fn can_open(ctx: &Ctx<'_>, container: &Container<'_>) -> Result<bool, Trouble> {
    let ops = [format!("mknod:{NODE}:c:10:229"), format!("openrw:{NODE}"), format!("unlink:{NODE}")];
    let mut process = process(&ops.each_ref().map(String::as_str));
    for set in ["bounding", "effective", "permitted"] {
        process["capabilities"][set] = json!(["CAP_MKNOD"]);
    }
    let report = enter(ctx, &container.id, &process)?;
    same!(report.text(&ops[0]), "ok", "making the node");
    Ok(report.text(&ops[1]) != "EPERM")
}

fn fuse(allow: bool) -> Value {
    json!({ "devices": [{ "allow": false }, { "allow": allow, "type": "c", "major": 10, "minor": 229, "access": "rw" }] })
}

fn writable<'a>(ctx: &'a Ctx<'_>, resources: &Value) -> Result<Container<'a>, Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/tmp", "tmpfs", "tmpfs", &["rw"]);
    bundle.set("/linux/resources/devices", resources["devices"].clone());
    Ok(ctx.sleeping(&mut bundle, &[])?.0)
}

fn device_rules_can_be_changed(ctx: &Ctx<'_>) -> Outcome {
    let container = writable(ctx, &fuse(false))?;
    same!(can_open(ctx, &container)?, false, "before");
    update(ctx, &container, &fuse(true))?;
    same!(can_open(ctx, &container)?, true, "with the rule");
    update(ctx, &container, &fuse(false))?;
    same!(can_open(ctx, &container)?, false, "without it");
    let report = enter(ctx, &container.id, &process(&["openrw:/dev/null", "openrw:/dev/zero"]))?;
    same!(report.text("openrw:/dev/null"), "ok", "a device that every container gets");
    Ok(())
}

fn device_rules_stay_when_others_change(ctx: &Ctx<'_>) -> Outcome {
    let container = writable(ctx, &fuse(true))?;
    let other = match ctx.host.is_v2() {
        true => json!({ "unified": { "cgroup.max.depth": "5" } }),
        false => json!({ "cpu": { "shares": 300 } }),
    };
    update(ctx, &container, &other)?;
    same!(can_open(ctx, &container)?, true, "an allowed device");
    let mut bad = fuse(false);
    bad["devices"][0]["access"] = json!("x");
    refusal(&ctx.driver.update(&container.id, &bad.to_string()), &["/linux/resources/devices/0/access"])?;
    same!(can_open(ctx, &container)?, true, "after a refused update");
    Ok(())
}

/// As a plugin for graphics cards does, and as engines send the rules that they know with every update.
fn grants_of_others_stay_when_the_same_device_rules_are_given(ctx: &Ctx<'_>) -> Outcome {
    let container = writable(ctx, &fuse(false))?;
    fs::write(place(ctx, "devices", &container.id, "devices.allow")?, "c 195:* rw")?;
    let mut same = fuse(false);
    same["pids"] = json!({ "limit": 70 });
    update(ctx, &container, &same)?;
    let list = read(ctx, "devices", &container.id, "devices.list")?;
    check!(list.lines().any(|line| line == "c 195:* rw"), "the grant is gone: {list}");
    Ok(())
}

fn an_exec_after_an_update_is_in_the_same_cgroup(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &some(ctx, 40))?;
    let before = enter(ctx, &container.id, &process(&["cgroup"]))?;
    update(ctx, &container, &some(ctx, 20))?;
    let after = enter(ctx, &container.id, &process(&["cgroup"]))?;
    same!(after.get("cgroup"), before.get("cgroup"), "cgroups");
    Ok(())
}

fn contradictions_are_refused_and_change_nothing(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &some(ctx, 40))?;
    for (resources, text) in [
        (json!({ "cpu": { "period": 5 } }), "/linux/resources/cpu/period"),
        (json!({ "cpu": { "quota": 10 } }), "/linux/resources/cpu/quota"),
        (json!({ "cpu": { "quota": 5000, "burst": 6000 } }), "/linux/resources/cpu/burst"),
        (json!({ "cpu": { "idle": 2 } }), "/linux/resources/cpu/idle"),
        (json!({ "cpu": { "cpus": "two" } }), "/linux/resources/cpu/cpus"),
        (json!({ "cpu": { "shares": -1 } }), "/linux/resources/cpu/shares"),
        (json!({ "memory": { "limit": -5 } }), "/linux/resources/memory/limit"),
        (json!({ "memory": { "limit": "64M" } }), "/linux/resources/memory/limit"),
        (json!({ "memory": { "limit": 8192, "swap": 4096 } }), "memory+swap limit should be >= memory limit"),
        (json!({ "memory": { "swap": 4096 } }), "unable to set swap limit without memory limit"),
        (json!({ "pids": { "limit": -7 } }), "/linux/resources/pids/limit"),
        (json!({ "blockIO": { "weight": 5 } }), "/linux/resources/blockIO/weight"),
        (
            json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": 0 }, { "pageSize": "2MB", "limit": 1 }] }),
            "/linux/resources/hugepageLimits/1/pageSize",
        ),
        (json!([]), "resources is not a JSON object"),
        (json!("x"), "resources is not a JSON object"),
    ] {
        let mut resources = resources;
        if let (Some(given), Some(more)) = (resources.as_object_mut(), some(ctx, 20).as_object()) {
            more.iter().for_each(|(key, value)| {
                given.entry(key).or_insert_with(|| value.clone());
            });
        }
        let reply = ctx.driver.update(&container.id, &resources.to_string());
        refusal(&reply, &[text]).map_err(|trouble| trouble.at(&resources))?;
        some_is(ctx, &container, 40, &format!("after {resources}"))?;
    }
    for text in ["", "{", "{}{}", "null"] {
        refusal(&ctx.driver.update(&container.id, text), &["resources is not"])?;
    }
    Ok(())
}

fn schemata_are_refused_where_the_machine_has_none(ctx: &Ctx<'_>) -> Outcome {
    if fs::read_to_string("/proc/self/mountinfo")?.lines().any(|line| line.contains(" - resctrl ")) {
        return Err(Trouble::Skipped("resctrl is mounted".into()));
    }
    let container = running(ctx, &json!({}))?;
    let cli = ctx.cli()?;
    for (option, line, text) in [
        ("--l3-cache-schema", "L3:0=f", "Intel RDT/CAT: l3 cache schema is not enabled"),
        ("--mem-bw-schema", "MB:0=20", "Intel RDT/MBA: memory bandwidth schema is not enabled"),
    ] {
        refusal(&cli.call(&["update", option, line, &container.id]), &[text])?;
    }
    Ok(())
}

fn a_stopped_and_an_unknown_container_are_not_updated(ctx: &Ctx<'_>) -> Outcome {
    refusal(&ctx.driver.update("nobody", "{}"), &["container does not exist"])?;
    let mut bundle = ctx.bundle()?;
    let container = ctx.started(bundle.ops(&[]))?;
    container.ended()?;
    refusal(&ctx.driver.update(&container.id, "{}"), &["container not running"])?;
    container.delete()
}

fn every_option_has_its_file(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({}))?;
    #[rustfmt::skip]
    let args = [
        "update", "--cpu-period", "50000", "--cpu-quota=20000", "-cpu-share", "512", "--memory", "64M", "--memory-reservation", "32m",
        "--memory-swap", "96MiB", "--pids-limit", "44", "--cpuset-cpus", "0", "--cpuset-mems", "0", "--cpu-burst", "10000",
        "--kernel-memory", "50M", "--kernel-memory-tcp", "5", &container.id,
    ];
    same!(ctx.cli()?.call(&args).good()?.out, "", "output");
    for (controller, file, wanted) in [
        ("cpu", "cpu.cfs_period_us", "50000"),
        ("cpu", "cpu.cfs_quota_us", "20000"),
        ("cpu", "cpu.cfs_burst_us", "10000"),
        ("cpu", "cpu.shares", "512"),
        ("memory", "memory.limit_in_bytes", "67108864"),
        ("memory", "memory.soft_limit_in_bytes", "33554432"),
        ("memory", "memory.memsw.limit_in_bytes", "100663296"),
        ("pids", "pids.max", "44"),
        ("cpuset", "cpuset.cpus", "0"),
    ] {
        same!(read(ctx, controller, &container.id, file)?, wanted, "{file}");
    }
    ctx.cli()?.call(&["update", "--cpu-idle", "1", &container.id]).good()?;
    same!(read(ctx, "cpu", &container.id, "cpu.idle")?, "1", "cpu.idle");
    ctx.cli()?.call(&["update", "--cpu-idle", "0", &container.id]).good()?;
    same!(read(ctx, "cpu", &container.id, "cpu.shares")?, "512", "shares after an idle time");
    let idle = ctx.cli()?.call(&["update", &container.id]);
    same!((idle.code, idle.err.as_str()), (0, ""), "an update of nothing");
    Ok(())
}

fn options_count_no_more_beside_a_document(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &some(ctx, 40))?;
    let file = ctx.dir.join("limits.json");
    fs::write(&file, some(ctx, 20).to_string())?;
    let path = file.to_string_lossy().into_owned();
    ctx.cli()?.call(&["update", "-r", &path, "--memory", "nonsense", &container.id]).good()?;
    some_is(ctx, &container, 20, "afterwards")
}

fn bad_values_of_options_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({}))?;
    for (args, text) in [
        (["--memory", "lots"], "invalid value for memory: invalid size: 'lots'"),
        (["--memory-swap", "1x"], "invalid value for memory-swap: invalid suffix: 'x'"),
        (["--memory-reservation", "-3"], "invalid value for memory-reservation: invalid size: '-3'"),
        (
            ["--cpu-share", "-1"],
            "invalid value for cpu-share: strconv.ParseUint: parsing \"-1\": invalid syntax",
        ),
        (
            ["--cpu-quota", "x"],
            "invalid value for cpu-quota: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        (["--cpu-idle", "5"], "/linux/resources/cpu/idle"),
        (["--cpu-period", "18446744073709551616"], "value out of range"),
        (["--pids-limit", "few"], "invalid value \"few\" for flag -pids-limit: parse error"),
        (["--blkio-weight", "1001"], "/linux/resources/blockIO/weight"),
        (["--blkio-weight", "70000"], "/linux/resources/blockIO/weight"),
    ] {
        let reply = ctx.cli()?.call(&["update", args[0], args[1], &container.id]);
        refusal(&reply, &[text]).map_err(|trouble| trouble.at(args.join(" ")))?;
    }
    let reply = ctx.cli()?.call(&["update", "--memory"]);
    same!(reply.code, 1, "exit code");
    check!(reply.err.contains("flag needs an argument: --memory"), "text: {}", reply.err);
    let reply = ctx.cli()?.call(&["update"]);
    check!(reply.code == 1 && reply.err.contains("requires exactly 1 argument(s)"), "text: {}", reply.err);
    Ok(())
}

fn documents_that_cannot_be_read_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = running(ctx, &json!({}))?;
    let cli = ctx.cli()?;
    let missing = cli.call(&["update", "--resources", "/nowhere/limits.json", &container.id]);
    refusal(&missing, &["open /nowhere/limits.json: no such file or directory"])?;
    refusal(&cli.call(&["update", "--resources", "/tmp", &container.id]), &["read /tmp: is a directory"])?;
    // The stdin of commands is the null device here: a document that ends before it begins.
    refusal(&cli.call(&["update", "--resources", "-", &container.id]), &["resources is not valid JSON"])
}

fn a_container_without_a_cgroup_has_no_limits(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.remove("/linux/cgroupsPath").remove("/linux/resources").ops(&["sleep"]).write()?;
    let (cli, dir) = (ctx.cli()?, bundle.dir.to_string_lossy().into_owned());
    cli.call(&["--cgroup-manager", "disabled", "run", "-d", "-b", &dir, &bundle.id]).good()?;
    let replies = ["5", "0"].map(|limit| cli.call(&["update", "--pids-limit", limit, &bundle.id]));
    let pid = ctx.state(&bundle.id)?["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    ctx.driver.delete(&bundle.id, true).good()?;
    crate::sys::reap_one(pid.ok_or("no pid")?);
    replies.iter().try_for_each(|reply| {
        refusal(reply, &["cannot set pids.max: the container was made without a cgroup"])
    })
}
