//! Scheduling, I/O priority, processors and memory policy, as the kernel tells them to the program.

use serde_json::json;

use super::tests;
use crate::ctx::Ctx;
use crate::driver::Driver;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, same};

tests! {
    without_a_scheduler_it_is_the_ordinary_one,
    the_scheduler_of_the_caller_is_not_inherited [Need::Cli],
    policy_and_nice_are_set,
    a_flag_of_the_scheduler_is_set,
    real_time_policies_are_set_or_refused_in_words,
    a_deadline_is_set_or_refused_in_words,
    a_scheduler_that_contradicts_itself_is_refused,
    the_io_priority_is_set,
    an_unknown_io_priority_is_refused,
    processors_are_those_of_the_cpuset_whatever_the_caller_has [Need::Cli, Need::Controller("cpuset")],
    affinities_of_exec_are_checked_and_do_not_touch_init,
    the_memory_policy_is_set,
    a_memory_policy_of_nodes_that_are_not_there_is_refused,
    a_memory_policy_that_contradicts_itself_is_refused,
    the_memory_policy_of_the_caller_stays_as_it_is,
}

fn scheduled(ctx: &Ctx<'_>, scheduler: serde_json::Value) -> Result<Report, Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/scheduler", scheduler);
    ctx.see(&mut bundle, &["sched"])
}

fn without_a_scheduler_it_is_the_ordinary_one(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["sched"])?;
    same!(report.get("sched")["policy"], 0, "policy");
    same!(report.get("sched")["nice"], 0, "nice");
    same!(report.get("sched")["flags"], 0, "flags");
    Ok(())
}

fn the_scheduler_of_the_caller_is_not_inherited(ctx: &Ctx<'_>) -> Outcome {
    let cli = ctx.cli()?.behind(&["chrt", "--idle", "0", "nice", "-n", "5"]);
    let mut bundle = ctx.bundle()?;
    let reply = cli.run(ctx.new_of(bundle.ops(&["sched"]))?).good()?;
    let report = Report::parse(&reply.out)?;
    same!(report.get("sched")["policy"], 0, "policy");
    same!(report.get("sched")["nice"], 0, "nice");
    Ok(())
}

fn policy_and_nice_are_set(ctx: &Ctx<'_>) -> Outcome {
    for (policy, number, nice) in
        [("SCHED_OTHER", 0, 10), ("SCHED_BATCH", 3, 19), ("SCHED_IDLE", 5, 0), ("SCHED_OTHER", 0, -7)]
    {
        let report = scheduled(ctx, json!({ "policy": policy, "nice": nice }))?;
        same!(report.get("sched")["policy"], number, "policy {policy}");
        same!(report.get("sched")["nice"], nice, "nice of {policy}");
    }
    Ok(())
}

fn a_flag_of_the_scheduler_is_set(ctx: &Ctx<'_>) -> Outcome {
    let report = scheduled(ctx, json!({ "policy": "SCHED_BATCH", "flags": ["SCHED_FLAG_RESET_ON_FORK"] }))?;
    same!(report.get("sched")["flags"], 1, "flags");
    Ok(())
}

/// A container that has what it asked for, or does not exist where the kernel allows it to nobody.
fn set_or_refused(
    ctx: &Ctx<'_>,
    allowed: bool,
    scheduler: serde_json::Value,
    expected: &[(&str, u64)],
) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/scheduler", scheduler.clone());
    let reply = ctx.run(bundle.ops(&["sched"]))?;
    if !allowed {
        return crate::ctx::refusal(&reply, &["error setting scheduler: operation not permitted"]);
    }
    let reply = reply.good()?;
    let report = Report::parse(&reply.out)?;
    for (key, value) in expected {
        same!(report.get("sched")[*key], *value, "{key} of {scheduler}");
    }
    Ok(())
}

/// CAP_SYS_NICE, without which the limits of the caller decide.
fn may_be_nice() -> Result<bool, Trouble> {
    const CAP_SYS_NICE: u64 = 1 << 23;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).map(str::trim);
    Ok(effective.and_then(|set| u64::from_str_radix(set, 16).ok()).unwrap_or(0) & CAP_SYS_NICE != 0)
}

/// A new v1 cgroup of a kernel with RT_GROUP_SCHED has no real-time budget.
fn real_time_policies_are_set_or_refused_in_words(ctx: &Ctx<'_>) -> Outcome {
    let group = ctx.host.parent("cpu").filter(|dir| dir.join("cpu.rt_runtime_us").exists());
    let allowed = may_be_nice()? && group.is_none();
    for (policy, number) in [("SCHED_FIFO", 1), ("SCHED_RR", 2)] {
        let expected = [("policy", number), ("priority", 33)];
        set_or_refused(ctx, allowed, json!({ "policy": policy, "priority": 33 }), &expected)?;
    }
    Ok(())
}

fn a_deadline_is_set_or_refused_in_words(ctx: &Ctx<'_>) -> Outcome {
    let times = json!({ "policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 50_000_000, "period": 60_000_000 });
    let expected = [("policy", 6), ("runtime", 1_000_000), ("deadline", 50_000_000), ("period", 60_000_000)];
    set_or_refused(ctx, may_be_nice()?, times, &expected)
}

fn a_scheduler_that_contradicts_itself_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for (scheduler, text) in [
        (
            json!({ "policy": "SCHED_OTHER", "nice": 20 }),
            "invalid scheduler.nice: 20 when scheduler.policy is SCHED_OTHER",
        ),
        (
            json!({ "policy": "SCHED_BATCH", "priority": 1 }),
            "scheduler.priority can only be specified for SchedFIFO or SchedRR policy",
        ),
        (
            json!({ "policy": "SCHED_OTHER", "runtime": 1 }),
            "scheduler runtime/deadline/period can only be specified for SchedDeadline policy",
        ),
    ] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/process/scheduler", scheduler);
        ctx.refused(&bundle, &[text])?;
    }
    Ok(())
}

fn the_io_priority_is_set(ctx: &Ctx<'_>) -> Outcome {
    for (class, level, seen) in
        [("IOPRIO_CLASS_RT", 0, "1:0"), ("IOPRIO_CLASS_BE", 7, "2:7"), ("IOPRIO_CLASS_IDLE", 3, "3:3")]
    {
        let mut bundle = ctx.bundle()?;
        bundle.set("/process/ioPriority", json!({ "class": class, "priority": level }));
        same!(ctx.see(&mut bundle, &["ioprio"])?.text("ioprio"), seen, "{class}");
    }
    Ok(())
}

fn an_unknown_io_priority_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 8 }));
    ctx.refused(&bundle, &["invalid ioPriority.Priority: 8"])
}

/// runc #3922: a caller that is pinned passed its mask on.
fn processors_are_those_of_the_cpuset_whatever_the_caller_has(ctx: &Ctx<'_>) -> Outcome {
    let mut all = ctx.bundle()?;
    let free = ctx.see(&mut all, &["status"])?.status("Cpus_allowed_list").to_owned();
    let cli = ctx.cli()?.behind(&["taskset", "--cpu-list", "0"]);
    let mut bundle = ctx.bundle()?;
    let reply = cli.run(ctx.new_of(bundle.ops(&["status"]))?).good()?;
    same!(Report::parse(&reply.out)?.status("Cpus_allowed_list"), free, "processors of a pinned caller");
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/cpu/cpus", "0");
    same!(ctx.see(&mut bundle, &["status"])?.status("Cpus_allowed_list"), "0", "processors of a cpuset");
    Ok(())
}

fn affinities_of_exec_are_checked_and_do_not_touch_init(ctx: &Ctx<'_>) -> Outcome {
    let mut plain = ctx.bundle()?;
    let free = ctx.see(&mut plain, &["status"])?.status("Cpus_allowed_list").to_owned();
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/execCPUAffinity", json!({ "initial": "0", "final": "0" }));
    same!(ctx.see(&mut bundle, &["status"])?.status("Cpus_allowed_list"), free, "processors of init");
    bundle.set("/process/execCPUAffinity", json!({ "initial": "1-0" }));
    ctx.refused(&bundle, &["invalid execCPUAffinity \"1-0\""])
}

fn with_policy(ctx: &Ctx<'_>, policy: serde_json::Value) -> Result<String, Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/memoryPolicy", policy);
    Ok(ctx.see(&mut bundle, &["mempolicy"])?.text("mempolicy").to_owned())
}

fn the_memory_policy_is_set(ctx: &Ctx<'_>) -> Outcome {
    for (policy, seen) in [
        (json!({ "mode": "MPOL_DEFAULT" }), "0x0:0x0"),
        (json!({ "mode": "MPOL_PREFERRED", "nodes": "0" }), "0x1:0x1"),
        (json!({ "mode": "MPOL_BIND", "nodes": "0" }), "0x2:0x1"),
        (json!({ "mode": "MPOL_INTERLEAVE", "nodes": "0-0" }), "0x3:0x1"),
        (json!({ "mode": "MPOL_LOCAL" }), "0x4:0x0"),
        (json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"] }), "0x8002:0x1"),
        (json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"] }), "0x4002:0x1"),
        (json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"] }), "0x2002:0x1"),
    ] {
        same!(with_policy(ctx, policy.clone())?, seen, "{policy}");
    }
    Ok(())
}

fn a_memory_policy_of_nodes_that_are_not_there_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for nodes in ["63", "1500", "32767"] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/memoryPolicy", json!({ "mode": "MPOL_BIND", "nodes": nodes }));
        ctx.refused(&bundle, &["set_mempolicy bind"])?;
    }
    Ok(())
}

fn a_memory_policy_that_contradicts_itself_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for (policy, text) in [
        (json!({ "mode": "MPOL_LOCAL", "nodes": "0" }), "memory policy mode requires 0 nodes but got 1"),
        (json!({ "mode": "MPOL_BIND" }), "memory policy mode requires at least one node but got 0"),
        (json!({ "mode": "MPOL_BIND", "nodes": "0-" }), "invalid memory policy nodes \"0-\""),
    ] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/memoryPolicy", policy);
        ctx.refused(&bundle, &[text])?;
    }
    Ok(())
}

/// crun sets it for the calling process when it is used as a library.
fn the_memory_policy_of_the_caller_stays_as_it_is(ctx: &Ctx<'_>) -> Outcome {
    let own = || std::fs::read_to_string("/proc/thread-self/numa_maps").map(|maps| maps.contains(" bind"));
    with_policy(ctx, json!({ "mode": "MPOL_BIND", "nodes": "0" }))?;
    same!(own()?, false, "a bound mapping of the caller");
    Ok(())
}
