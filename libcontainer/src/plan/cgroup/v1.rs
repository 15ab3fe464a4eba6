//! cgroup v1: resources to settings. Compare row by row with `v2`.
//!
//! Nothing is late here: init is placed by pid after it has exec'd, and finds every limit in force.

use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};

use super::{Setting, amount, invalid, list, swap_alone};
use crate::error::Result;

pub(super) fn settings(resources: &LinuxResources) -> Result<Vec<Setting>> {
    let mut out = Vec::new();
    if let Some(cpu) = resources.cpu() {
        cpu_settings(cpu, &mut out);
    }
    if let Some(pids) = resources.pids() {
        out.push(pids_max(pids.limit()));
    }
    if let Some(memory) = resources.memory() {
        memory_settings(memory, &mut out)?;
    }
    Ok(out)
}

fn cpu_settings(cpu: &LinuxCpu, out: &mut Vec<Setting>) {
    let cpus =
        list(cpu.cpus().as_ref()).map(|v| Setting::early("cpuset.cpus", v, "/linux/resources/cpu/cpus"));
    let mems =
        list(cpu.mems().as_ref()).map(|v| Setting::early("cpuset.mems", v, "/linux/resources/cpu/mems"));
    let idle =
        cpu.idle().map(|v| Setting::early("cpu.idle", v, "/linux/resources/cpu/idle").missing_is(&["0"]));
    // The kernel refuses shares for an idle group.
    let shares = cpu.shares().filter(|v| *v != 0 && cpu.idle() != Some(1));
    let shares = shares.map(|v| Setting::early("cpu.shares", v, "/linux/resources/cpu/shares"));
    // A runtime or quota may not be above the period, a burst not above the quota: the order is theirs.
    let rt_period = cpu.realtime_period().filter(|v| *v != 0);
    let rt_period =
        rt_period.map(|v| Setting::early("cpu.rt_period_us", v, "/linux/resources/cpu/realtimePeriod"));
    let rt_runtime = cpu.realtime_runtime().filter(|v| *v != 0);
    let rt_runtime =
        rt_runtime.map(|v| Setting::early("cpu.rt_runtime_us", v, "/linux/resources/cpu/realtimeRuntime"));
    let period = cpu.period().filter(|v| *v != 0);
    let period = period.map(|v| Setting::early("cpu.cfs_period_us", v, "/linux/resources/cpu/period"));
    let quota = cpu.quota().filter(|v| *v != 0).map(|v| v.max(-1));
    let quota = quota.map(|v| Setting::early("cpu.cfs_quota_us", v, "/linux/resources/cpu/quota"));
    let burst = cpu.burst();
    let burst =
        burst.map(|v| Setting::early("cpu.cfs_burst_us", v, "/linux/resources/cpu/burst").missing_is(&["0"]));
    out.extend([cpus, mems, idle, shares, rt_period, rt_runtime, period, quota, burst].into_iter().flatten());
}

fn pids_max(limit: i64) -> Setting {
    Setting::early(
        "pids.max",
        if limit < 0 { "max".to_owned() } else { limit.to_string() },
        "/linux/resources/pids/limit",
    )
}

fn memory_settings(memory: &LinuxMemory, out: &mut Vec<Setting>) -> Result<()> {
    let low = amount(memory.reservation(), "/linux/resources/memory/reservation")?;
    let limit = amount(memory.limit(), "/linux/resources/memory/limit")?;
    // The same checks as v2, but v1 counts memory and swap together.
    let swap = swap_alone(memory.swap().unwrap_or(0), limit.unwrap_or(0))?;
    let swap = swap.map(|_| memory.swap().filter(|v| *v != 0).unwrap_or(-1));
    let swappiness = swappiness(memory)?;
    let oom = memory.disable_oom_killer().filter(|disable| *disable);

    let low =
        low.map(|v| Setting::early("memory.soft_limit_in_bytes", v, "/linux/resources/memory/reservation"));
    let limit = limit.map(|v| Setting::early("memory.limit_in_bytes", v, "/linux/resources/memory/limit"));
    // Law: memory before swap. Memory and swap together may not be below memory.
    let swap = swap.map(|v| Setting::early("memory.memsw.limit_in_bytes", v, "/linux/resources/memory/swap"));
    let swap = swap.map(|setting| setting.missing_is(&["-1"]));
    let swappiness =
        swappiness.map(|v| Setting::early("memory.swappiness", v, "/linux/resources/memory/swappiness"));
    let oom =
        oom.map(|_| Setting::early("memory.oom_control", 1, "/linux/resources/memory/disableOOMKiller"));
    out.extend([low, limit, swap, swappiness, oom].into_iter().flatten());
    Ok(())
}

fn swappiness(memory: &LinuxMemory) -> Result<Option<u64>> {
    match memory.swappiness() {
        Some(value) if value > 100 => Err(invalid(
            format!("invalid memory swappiness value: {value} (valid range is 0-100)"),
            "/linux/resources/memory/swappiness",
        )),
        value => Ok(value),
    }
}
