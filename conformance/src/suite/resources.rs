//! Limits of `linux.resources` beyond memory, shares and processes: written on the host, and the same from inside.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use super::tests;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::{Outcome, Trouble, check, same};

tests! {
    block_io_throttles_are_written,
    block_io_weight_is_written,
    block_io_weight_of_a_device_is_written,
    block_io_weights_of_leaves_are_refused [Need::V1, Need::Controller("blkio")],
    memory_is_counted_with_everything_below [Need::V1, Need::Controller("memory")],
    huge_page_limits_are_written [Need::Controller("hugetlb")],
    a_huge_page_size_that_the_kernel_lacks_is_refused [Need::Controller("hugetlb")],
    cpu_burst_is_written_beside_its_quota [Need::Controller("cpu")],
    an_idle_cgroup_takes_no_shares [Need::Controller("cpu")],
    a_realtime_budget_is_written [Need::V1, Need::Controller("cpu")],
    memory_swappiness_is_written [Need::V1, Need::Controller("memory")],
    the_oom_killer_can_be_disabled [Need::V1, Need::Controller("memory")],
    the_network_class_is_written [Need::Controller("net_cls")],
    network_priorities_are_written [Need::Controller("net_prio")],
    rdma_limits_are_written [Need::Controller("rdma")],
    unified_keys_are_written_last [Need::V2],
    unified_keys_of_a_missing_controller_are_refused [Need::V2],
    unified_keys_are_refused_on_v1 [Need::V1],
    limits_that_make_no_sense_are_refused,
    who_runs_the_program_owns_a_cgroup_that_it_can_write [Need::V2, Need::Users],
    a_read_only_cgroup_mount_gives_nothing_away [Need::V2, Need::Users],
    a_delegated_cgroup_is_entered_below_the_limits [Need::V2],
    a_delegated_cgroup_is_refused_on_v1 [Need::V1],
}

/// A file and what must be in it: one of its lines, the whole file mostly.
type Files<'a> = &'a [(&'a str, &'a str)];

/// A container with these resources; the files of the controller read as given, on the host and from inside.
fn written(
    ctx: &Ctx<'_>,
    controllers: [&str; 2],
    resources: &Value,
    v1: Files<'_>,
    v2: Files<'_>,
) -> Outcome {
    let mut bundle = ctx.bundle()?;
    for (key, value) in resources.as_object().into_iter().flatten() {
        bundle.set(&format!("/linux/resources/{key}"), value.clone());
    }
    // What is skipped below tells by its file what it would have set.
    bundle.write()?;
    let (controller, files) = if ctx.host.is_v2() { (controllers[1], v2) } else { (controllers[0], v1) };
    let parent = ctx
        .host
        .cgroup(controller, "")
        .ok_or_else(|| Trouble::Skipped(format!("no {controller} controller in this layout")))?;
    if let Some((file, _)) = files.iter().find(|(file, _)| !parent.join(file).exists()) {
        return Err(Trouble::Skipped(format!("the kernel has no {file}")));
    }
    let mount = if ctx.host.is_v2() {
        "/sys/fs/cgroup".to_owned()
    } else {
        let root = ctx.host.controller(controller).map(|one| one.root.display().to_string());
        root.unwrap_or_default()
    };
    let ops: Vec<String> = files.iter().map(|(file, _)| format!("read:{mount}/{file}")).collect();
    let (container, report) =
        ctx.sleeping(&mut bundle, &ops.iter().map(String::as_str).collect::<Vec<_>>())?;
    let dir = parent.join(&container.id);
    for ((file, wanted), op) in files.iter().zip(&ops) {
        let has = |text: &str| text.lines().any(|line| line.trim() == *wanted);
        let host = fs::read_to_string(dir.join(file))?;
        check!(has(&host), "{file} on the host: {host:?} without {wanted:?}");
        check!(has(report.text(op)), "{op} inside: {} without {wanted:?}", report.get(op));
    }
    Ok(())
}

/// A block device that is there on every machine with loop devices or a disk.
fn block_device() -> Result<(u64, u64, String), Trouble> {
    for entry in fs::read_dir("/sys/block")?.flatten() {
        let number = fs::read_to_string(entry.path().join("dev"))?.trim().to_owned();
        let halves = number.split_once(':').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        if let Some((major, minor)) = halves {
            return Ok((major, minor, number));
        }
    }
    Err(Trouble::Skipped("the machine has no block device".into()))
}

fn block_io_throttles_are_written(ctx: &Ctx<'_>) -> Outcome {
    let (major, minor, number) = block_device()?;
    let limit = |rate: u64| json!([{ "major": major, "minor": minor, "rate": rate }]);
    let resources = json!({ "blockIO": {
        "throttleReadBpsDevice": limit(1 << 20), "throttleWriteBpsDevice": limit(2 << 20),
        "throttleReadIOPSDevice": limit(300), "throttleWriteIOPSDevice": limit(400) } });
    let v1 = [
        ("blkio.throttle.read_bps_device", format!("{number} 1048576")),
        ("blkio.throttle.write_bps_device", format!("{number} 2097152")),
        ("blkio.throttle.read_iops_device", format!("{number} 300")),
        ("blkio.throttle.write_iops_device", format!("{number} 400")),
    ];
    let v1: Vec<(&str, &str)> = v1.iter().map(|(file, line)| (*file, line.as_str())).collect();
    let v2 = format!("{number} rbps=1048576 wbps=2097152 riops=300 wiops=400");
    written(ctx, ["blkio", "io"], &resources, &v1, &[("io.max", &v2)])
}

/// The file is the scheduler's: without bfq (or on v2 the cost model) there is none, and the limit is refused.
fn block_io_weight_is_written(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "blockIO": { "weight": 500 } });
    // systemd enables a controller for as long as somebody needs it.
    let (_somebody, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let parent = ctx.host.parent(if ctx.host.is_v2() { "io" } else { "blkio" });
    let parent = parent.ok_or_else(|| Trouble::Skipped("no block I/O controller in this layout".into()))?;
    let names = ["blkio.weight", "blkio.bfq.weight", "io.bfq.weight"];
    if let Some(file) = names.into_iter().find(|file| parent.join(file).exists()) {
        let files = [(file, if ctx.host.is_v2() { "default 500" } else { "500" })];
        return written(ctx, ["blkio", "io"], &resources, &files, &files);
    }
    if parent.join("io.weight").exists() {
        return written(ctx, ["blkio", "io"], &resources, &[], &[("io.weight", "default 4950")]);
    }
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/blockIO", resources["blockIO"].clone());
    ctx.refused(&bundle, &["weight does not exist", "weight"])
}

/// A block device whose scheduler is bfq.
fn weighed_device() -> Result<Option<(u64, u64, String)>, Trouble> {
    for entry in fs::read_dir("/sys/block")?.flatten() {
        let scheduler = fs::read_to_string(entry.path().join("queue/scheduler")).unwrap_or_default();
        let number = fs::read_to_string(entry.path().join("dev"))?.trim().to_owned();
        let halves = number.split_once(':').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        if let (true, Some((major, minor))) = (scheduler.contains("[bfq]"), halves) {
            return Ok(Some((major, minor, number)));
        }
    }
    Ok(None)
}

/// The weight is the scheduler's: the kernel refuses it for a device with another one.
fn block_io_weight_of_a_device_is_written(ctx: &Ctx<'_>) -> Outcome {
    let device = |major: u64, minor: u64| json!({ "major": major, "minor": minor, "weight": 300 });
    let Some((major, minor, number)) = weighed_device()? else {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/resources/blockIO", json!({ "weightDevice": [device(7, 0)] }));
        return ctx.refused(&bundle, &["/linux/resources/blockIO/weightDevice/0"]);
    };
    let device = device(major, minor);
    let resources = json!({ "blockIO": { "weight": 500, "weightDevice": [device] } });
    let line = format!("{number} 300");
    let v1 = [("blkio.bfq.weight_device", line.as_str())];
    written(ctx, ["blkio", "io"], &resources, &v1, &[("io.bfq.weight", &line)])
}

/// Their scheduler left the kernel with 5.0; v2 never had them, and they are ignored there with a warning, as in runc.
fn block_io_weights_of_leaves_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let leaf = ctx.host.parent("blkio").is_some_and(|parent| parent.join("blkio.leaf_weight").exists());
    let device = json!({ "major": 8, "minor": 0, "leafWeight": 300 });
    for block_io in [json!({ "leafWeight": 300 }), json!({ "weightDevice": [device] })] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/resources/blockIO", block_io).write()?;
        if leaf {
            return Err(Trouble::Skipped("the kernel is older than 5.0".into()));
        }
        ctx.refused(&bundle, &["leaf", "Leaf"])?;
    }
    Ok(())
}

fn memory_is_counted_with_everything_below(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "memory": { "limit": 64 << 20, "useHierarchy": true } });
    written(ctx, ["memory"; 2], &resources, &[("memory.use_hierarchy", "1")], &[])
}

fn huge_page_limits_are_written(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": 4 << 20 }] });
    let v1 = [("hugetlb.2MB.limit_in_bytes", "4194304"), ("hugetlb.2MB.rsvd.limit_in_bytes", "4194304")];
    let v2 = [("hugetlb.2MB.max", "4194304"), ("hugetlb.2MB.rsvd.max", "4194304")];
    written(ctx, ["hugetlb"; 2], &resources, &v1, &v2)
}

fn a_huge_page_size_that_the_kernel_lacks_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/hugepageLimits", json!([{ "pageSize": "3MB", "limit": 0 }]));
    ctx.refused(&bundle, &["hugetlb.3MB"])
}

fn cpu_burst_is_written_beside_its_quota(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "cpu": { "quota": 50_000, "period": 100_000, "burst": 20_000 } });
    let v1 = [("cpu.cfs_burst_us", "20000"), ("cpu.cfs_quota_us", "50000")];
    written(ctx, ["cpu"; 2], &resources, &v1, &[("cpu.max.burst", "20000"), ("cpu.max", "50000 100000")])
}

/// The kernel would refuse them.
fn an_idle_cgroup_takes_no_shares(ctx: &Ctx<'_>) -> Outcome {
    let idle = [("cpu.idle", "1")];
    written(ctx, ["cpu"; 2], &json!({ "cpu": { "idle": 1, "shares": 512 } }), &idle, &idle)
}

/// The budget of the groups above is zero until somebody gives them one: the kernel then refuses any other.
fn a_realtime_budget_is_written(ctx: &Ctx<'_>) -> Outcome {
    let parent = ctx.host.parent("cpu").ok_or("no cpu")?;
    if !parent.join("cpu.rt_runtime_us").exists() {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/resources/cpu/realtimeRuntime", 1000);
        return ctx.refused(&bundle, &["cpu.rt_runtime_us"]);
    }
    fs::write(parent.join("cpu.rt_runtime_us"), "20000")?;
    let resources = json!({ "cpu": { "realtimeRuntime": 1000, "realtimePeriod": 500_000 } });
    let files = [("cpu.rt_runtime_us", "1000"), ("cpu.rt_period_us", "500000")];
    let outcome = written(ctx, ["cpu"; 2], &resources, &files, &[]);
    let _ = fs::write(parent.join("cpu.rt_runtime_us"), "0");
    outcome
}

fn memory_swappiness_is_written(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "memory": { "swappiness": 30 } });
    written(ctx, ["memory"; 2], &resources, &[("memory.swappiness", "30")], &[])
}

fn the_oom_killer_can_be_disabled(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "memory": { "limit": 64 << 20, "disableOOMKiller": true } });
    written(ctx, ["memory"; 2], &resources, &[("memory.oom_control", "oom_kill_disable 1")], &[])
}

fn the_network_class_is_written(ctx: &Ctx<'_>) -> Outcome {
    written(
        ctx,
        ["net_cls"; 2],
        &json!({ "network": { "classID": 1_048_577 } }),
        &[("net_cls.classid", "1048577")],
        &[],
    )
}

fn network_priorities_are_written(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "network": { "priorities": [{ "name": "lo", "priority": 7 }] } });
    written(ctx, ["net_prio"; 2], &resources, &[("net_prio.ifpriomap", "lo 7")], &[])
}

fn rdma_limits_are_written(ctx: &Ctx<'_>) -> Outcome {
    let device = fs::read_dir("/sys/class/infiniband").ok().and_then(|mut list| list.next());
    let name = device.and_then(Result::ok).map(|device| device.file_name().to_string_lossy().into_owned());
    let there = name.is_some();
    // A behaviour that is skipped needs a name as well.
    let name = name.unwrap_or_else(|| "mlx5_0".to_owned());
    let resources = json!({ "rdma": { &name: { "hcaHandles": 3, "hcaObjects": 1000 } } });
    if !there && ctx.host.controller("rdma").is_some() {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/resources/rdma", resources["rdma"].clone());
        return ctx.refused(&bundle, &["rdma.max"]);
    }
    let files = [("rdma.max", format!("{name} hca_handle=3 hca_object=1000"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(file, line)| (*file, line.as_str())).collect();
    written(ctx, ["rdma"; 2], &resources, &files, &files)
}

fn unified_keys_are_written_last(ctx: &Ctx<'_>) -> Outcome {
    let resources = json!({ "unified": { "cgroup.max.depth": "5", "cgroup.max.descendants": "9" } });
    let files = [("cgroup.max.depth", "5"), ("cgroup.max.descendants", "9")];
    written(ctx, ["freezer"; 2], &resources, &[], &files)?;
    if ctx.host.controller("pids").is_none() {
        return Ok(());
    }
    let resources = json!({ "pids": { "limit": 20 }, "unified": { "pids.max": "30" } });
    written(ctx, ["pids"; 2], &resources, &[], &[("pids.max", "30")])
}

fn unified_keys_of_a_missing_controller_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let keys = [("memory", "memory.high"), ("pids", "pids.max"), ("nonsense", "nonsense.max")];
    for (_, key) in keys.into_iter().filter(|(name, _)| ctx.host.controller(name).is_none()) {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/resources/unified", json!({ key: "1" }));
        ctx.refused(&bundle, &[key, "controller"])?;
    }
    Ok(())
}

fn unified_keys_are_refused_on_v1(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/unified", json!({ "pids.max": "7" }));
    ctx.refused(&bundle, &["cannot use unified on cgroup v1"])
}

fn limits_that_make_no_sense_are_refused(ctx: &Ctx<'_>) -> Outcome {
    for (place, value, text) in [
        ("blockIO", json!({ "weight": 5 }), "blockIO/weight"),
        ("blockIO", json!({ "weightDevice": [{ "major": 8, "minor": 0 }] }), "blockIO/weightDevice/0"),
        ("blockIO", json!({ "throttleReadBpsDevice": [{ "major": -1, "minor": 0, "rate": 1 }] }), "major"),
        ("hugepageLimits", json!([{ "pageSize": "../2MB", "limit": 1 }]), "hugepageLimits/0/pageSize"),
        ("hugepageLimits", json!([{ "pageSize": "2MB", "limit": -1 }]), "hugepageLimits/0/limit"),
        ("network", json!({ "priorities": [{ "name": "a b", "priority": 1 }] }), "priorities/0/name"),
        ("rdma", json!({ "mlx5_0": {} }), "rdma/mlx5_0"),
        ("unified", json!({ "cgroup.procs": "1" }), "unified/cgroup.procs"),
        ("unified", json!({ "a/b": "1" }), "unified/a~1b"),
        ("cpu", json!({ "realtimeRuntime": -5 }), "cpu/realtimeRuntime"),
        ("cpu", json!({ "quota": 5000, "burst": 6000 }), "cpu/burst"),
    ] {
        let mut bundle = ctx.bundle()?;
        bundle.set(&format!("/linux/resources/{place}"), value.clone());
        ctx.refused(&bundle, &[text]).map_err(|trouble| trouble.at(format!("{place} {value}")))?;
    }
    Ok(())
}

const INSIDE: &str = "/sys/fs/cgroup";

/// A writable cgroup mount in a user namespace, and the program as a user of it.
fn mapped(ctx: &Ctx<'_>, option: &str) -> Result<crate::bundle::Bundle, Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    let mounts = bundle.config["mounts"].as_array().cloned().unwrap_or_default();
    let kept: Vec<Value> = mounts.into_iter().filter(|mount| mount["destination"] != INSIDE).collect();
    bundle.set("/mounts", kept);
    bundle.mount(INSIDE, "cgroup", "cgroup", &["nosuid", "noexec", "nodev", option]);
    bundle.set("/process/user", json!({ "uid": 7, "gid": 7 }));
    Ok(bundle)
}

fn who_runs_the_program_owns_a_cgroup_that_it_can_write(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = mapped(ctx, "rw")?;
    let make = format!("mkdir:{INSIDE}/own");
    let limit = format!("write:{INSIDE}/cgroup.max.depth=3");
    let (container, report) = ctx.sleeping(&mut bundle, &[&make, &limit])?;
    same!(report.text(&make), "ok", "making a cgroup inside");
    same!(report.text(&limit), "EACCES", "changing a limit inside");
    let dir = ctx.host.cgroup("freezer", &container.id).ok_or("no cgroup")?;
    for (file, uid) in [("", 100_007), ("cgroup.procs", 100_007), ("cgroup.max.depth", 0)] {
        same!(fs::metadata(dir.join(file))?.uid(), uid, "owner of {file:?}");
    }
    Ok(())
}

fn a_read_only_cgroup_mount_gives_nothing_away(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = mapped(ctx, "ro")?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let dir = ctx.host.cgroup("freezer", &container.id).ok_or("no cgroup")?;
    same!(fs::metadata(&dir)?.uid(), 0, "owner");
    Ok(())
}

fn a_delegated_cgroup_is_entered_below_the_limits(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/annotations", json!({ "run.oci.delegate-cgroup": "payload" }));
    bundle.set("/linux/resources/unified", json!({ "cgroup.max.depth": "5" }));
    let (container, report) = ctx.sleeping(&mut bundle, &["cgroup"])?;
    // The root of the cgroup namespace is the group with the limits.
    let lines = report.get("cgroup").as_array().cloned().unwrap_or_default();
    check!(lines.iter().any(|line| line == "0::/payload"), "inside: {lines:?}");
    let dir = ctx.host.cgroup("freezer", &container.id).ok_or("no cgroup")?;
    let procs = fs::read_to_string(dir.join("payload/cgroup.procs"))?;
    same!(procs.trim(), container.pid.to_string(), "processes of the delegated cgroup");
    same!(fs::read_to_string(dir.join("cgroup.procs"))?, "", "processes above it");
    same!(fs::read_to_string(dir.join("cgroup.max.depth"))?.trim(), "5", "limit above");
    same!(fs::read_to_string(dir.join("payload/cgroup.max.depth"))?.trim(), "max", "limit of its own");
    container.delete_by_force()?;
    check!(!dir.exists(), "{} is left", dir.display());
    let mut bundle = ctx.bundle()?;
    bundle.set("/annotations", json!({ "run.oci.delegate-cgroup": "../payload" }));
    ctx.refused(&bundle, &["run.oci.delegate-cgroup"])
}

fn a_delegated_cgroup_is_refused_on_v1(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/annotations", json!({ "run.oci.delegate-cgroup": "payload" }));
    ctx.refused(&bundle, &["run.oci.delegate-cgroup"])
}
