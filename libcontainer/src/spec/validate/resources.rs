//! `linux.resources`: values that no cgroup accepts, and pairs that contradict each other.

use oci_spec::runtime::{
    LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxPids, LinuxResources, Spec as Config,
};

use super::{Warnings, invalid, limit_entries, limits, list, warning};
use crate::Result;

const MEMORY: &str = "/linux/resources/memory";
const CPU: &str = "/linux/resources/cpu";

/// The kernel's bounds of a CFS period and of a quota, in microseconds.
const PERIOD: std::ops::RangeInclusive<u64> = 1_000..=1_000_000;
const MIN_QUOTA: i64 = 1_000;

pub fn resources(config: &Config, warnings: &mut Warnings) -> Result<()> {
    let Some(resources) = config.linux().as_ref().and_then(|linux| linux.resources().as_ref()) else {
        return Ok(());
    };
    devices(resources, warnings)?;
    resources.memory().as_ref().map_or(Ok(()), |limits| memory(limits, warnings))?;
    resources.cpu().as_ref().map_or(Ok(()), cpu)?;
    resources.pids().as_ref().map_or(Ok(()), pids)?;
    limits::limits(resources)
}

fn devices(resources: &LinuxResources, warnings: &mut Warnings) -> Result<()> {
    let rules = list(resources.devices());
    limit_entries(rules.len(), "/linux/resources/devices")?;
    rules.iter().enumerate().try_for_each(|(index, rule)| {
        device_rule(rule, &format!("/linux/resources/devices/{index}"), warnings)
    })
}

fn device_rule(rule: &LinuxDeviceCgroup, pointer: &str, warnings: &mut Warnings) -> Result<()> {
    let at = |key: &str, why: String| Err(invalid(format!("{pointer}/{key}"), format!("device rule: {why}")));
    if let Some(typ @ (LinuxDeviceType::U | LinuxDeviceType::P)) = rule.typ() {
        return at("type", format!("type {} is not one of a, b and c", typ.as_str()));
    }
    // -1 is the old way to write "any".
    for (number, key) in [(rule.major(), "major"), (rule.minor(), "minor")] {
        if let Some(number) = number.filter(|number| !(-1..=i64::from(u32::MAX)).contains(number)) {
            return at(key, format!("{key} {number} is out of range"));
        }
    }
    let access = rule.access().as_deref().unwrap_or_default();
    let known = access.bytes().filter(|byte| b"rwm".contains(byte)).count();
    if known == 0 && !access.is_empty() {
        return at("access", format!("access {access:?} has none of r, w and m"));
    }
    // As runc: the letters that are there count.
    if known < access.len() {
        let message = format!("access {access:?} has more than r, w and m: the rest is ignored");
        warnings.push(warning(format!("{pointer}/access"), message));
    }
    Ok(())
}

fn memory(memory: &LinuxMemory, warnings: &mut Warnings) -> Result<()> {
    let at = |key: &str, why: String| Err(invalid(format!("{MEMORY}/{key}"), why));
    let (limit, swap) = (memory.limit().unwrap_or(0), memory.swap().unwrap_or(0));
    for (value, key) in [(limit, "limit"), (memory.reservation().unwrap_or(0), "reservation"), (swap, "swap")]
    {
        if value < -1 {
            return at(key, format!("memory {key} {value} is negative, only -1 (no limit) may be"));
        }
    }
    if swap > 0 && limit == 0 {
        return at("swap", "unable to set swap limit without memory limit".into());
    }
    if swap > 0 && swap < limit {
        return at("swap", "memory+swap limit should be >= memory limit".into());
    }
    if let Some(swappiness) = memory.swappiness().filter(|swappiness| *swappiness > 100) {
        return at("swappiness", format!("memory swappiness {swappiness} is not within 0 and 100"));
    }
    ignored_kernel_limits(memory, warnings);
    Ok(())
}

/// The kernel is giving these limits up: written by old engines, ignored here as by runc.
#[allow(deprecated)]
fn ignored_kernel_limits(memory: &LinuxMemory, warnings: &mut Warnings) {
    for (value, key) in [(memory.kernel(), "kernel"), (memory.kernel_tcp(), "kernelTCP")] {
        if value.is_some_and(|value| value != 0) {
            warnings.push(warning(format!("{MEMORY}/{key}"), format!("memory {key} limit is ignored")));
        }
    }
    if memory.use_hierarchy() == Some(false) {
        let message = "memory useHierarchy is ignored: limits hold for the groups below as well";
        warnings.push(warning(format!("{MEMORY}/useHierarchy"), message));
    }
}

fn cpu(cpu: &LinuxCpu) -> Result<()> {
    let at = |key: &str, why: String| Err(invalid(format!("{CPU}/{key}"), why));
    let (quota, period) = (cpu.quota().unwrap_or(0), cpu.period().unwrap_or(0));
    if period != 0 && !PERIOD.contains(&period) {
        return at("period", format!("cpu period {period} is not within 1000 and 1000000 microseconds"));
    }
    if quota > 0 && quota < MIN_QUOTA {
        return at("quota", format!("cpu quota {quota} is below 1000 microseconds"));
    }
    if quota > 0 && cpu.burst().unwrap_or(0) > quota.unsigned_abs() {
        return at("burst", "cpu burst is larger than the quota".into());
    }
    let (runtime, rt_period) = (cpu.realtime_runtime().unwrap_or(0), cpu.realtime_period().unwrap_or(0));
    if runtime < -1 {
        return at("realtimeRuntime", format!("cpu realtimeRuntime {runtime} is negative, only -1 may be"));
    }
    if rt_period > 0 && runtime > 0 && runtime.unsigned_abs() > rt_period {
        return at("realtimeRuntime", "cpu realtimeRuntime is larger than the realtimePeriod".into());
    }
    if let Some(idle) = cpu.idle().filter(|idle| !(0..=1).contains(idle)) {
        return at("idle", format!("cpu idle {idle} is neither 0 nor 1"));
    }
    for (cpus, key) in [(cpu.cpus(), "cpus"), (cpu.mems(), "mems")] {
        if let Some(cpus) = cpus.as_deref().filter(|cpus| !cpus.is_empty() && !is_cpu_list(cpus)) {
            return at(key, format!("{cpus:?} is not a list of numbers and ranges"));
        }
    }
    Ok(())
}

/// The kernel's list format: `0-3,7`. Its rarer forms (`0-31:1/2`, `all`) have words or colons and are left to the kernel.
fn is_cpu_list(cpus: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().ok();
    cpus.trim().split(',').all(|item| match item.trim().split_once('-') {
        _ if item.contains([':', 'a', 'N']) => !item.contains(char::is_control),
        None => number(item.trim()).is_some(),
        Some((first, last)) => {
            number(first).is_some_and(|first| number(last).is_some_and(|last| first <= last))
        }
    })
}

fn pids(pids: &LinuxPids) -> Result<()> {
    if pids.limit() < -1 {
        let message = format!("pids limit {} is negative, only -1 (no limit) may be", pids.limit());
        return Err(invalid("/linux/resources/pids/limit", message));
    }
    Ok(())
}
