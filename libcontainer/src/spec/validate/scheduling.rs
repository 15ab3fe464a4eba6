//! `process.scheduler`, `process.ioPriority`, `process.execCPUAffinity` and `linux.memoryPolicy`.

use oci_spec::runtime::{
    ExecCPUAffinity, LinuxIOPriority, LinuxMemoryPolicy, LinuxSchedulerPolicy as Policy,
    MemoryPolicyFlagType as Flag, MemoryPolicyModeType as Mode, Scheduler, Spec as Config,
};

use super::{Warnings, invalid, list};
use crate::Result;
use crate::spec::numbers;

/// The most processors of any kernel (NR_CPUS).
pub const MAX_CPUS: u32 = 8192;
/// The most memory nodes that set_mempolicy(2) takes: a page of bits.
pub const MAX_NODES: u32 = 32_768;

pub fn scheduling(config: &Config, _: &mut Warnings) -> Result<()> {
    if let Some(policy) = config.linux().as_ref().and_then(|linux| linux.memory_policy().as_ref()) {
        memory_policy(policy)?;
    }
    let Some(process) = config.process() else { return Ok(()) };
    process.scheduler().as_ref().map_or(Ok(()), scheduler)?;
    process.io_priority().as_ref().map_or(Ok(()), io_priority)?;
    process.exec_cpu_affinity().as_ref().map_or(Ok(()), affinity)
}

fn scheduler(scheduler: &Scheduler) -> Result<()> {
    let policy = *scheduler.policy();
    let refused = |key: &str, message: String| Err(invalid(format!("/process/scheduler/{key}"), message));
    if policy == Policy::SchedIso {
        return refused("policy", "SCHED_ISO is a reserved name: no kernel has it".into());
    }
    let nice = scheduler.nice().unwrap_or(0);
    let has_nice = matches!(policy, Policy::SchedOther | Policy::SchedBatch | Policy::SchedIdle);
    if has_nice && !(-20..=19).contains(&nice) {
        return refused("nice", format!("invalid scheduler.nice: {nice} when scheduler.policy is {policy}"));
    }
    let priority = scheduler.priority().unwrap_or(0);
    match policy {
        Policy::SchedFifo | Policy::SchedRr if !(1..=99).contains(&priority) => {
            return refused("priority", format!("scheduler.priority {priority} is not within 1 and 99"));
        }
        Policy::SchedFifo | Policy::SchedRr => {}
        _ if priority != 0 => {
            let message = "scheduler.priority can only be specified for SchedFIFO or SchedRR policy";
            return refused("priority", message.into());
        }
        _ => {}
    }
    let times = [
        (scheduler.runtime(), "runtime"),
        (scheduler.deadline(), "deadline"),
        (scheduler.period(), "period"),
    ];
    match times.iter().find(|(time, _)| time.is_some_and(|time| time != 0)) {
        Some((_, key)) if policy != Policy::SchedDeadline => refused(
            key,
            "scheduler runtime/deadline/period can only be specified for SchedDeadline policy".into(),
        ),
        _ => Ok(()),
    }
}

fn io_priority(priority: &LinuxIOPriority) -> Result<()> {
    match priority.priority() {
        0..=7 => Ok(()),
        level => {
            Err(invalid("/process/ioPriority/priority", format!("invalid ioPriority.Priority: {level}")))
        }
    }
}

/// For `exec`: checked here, where the whole configuration is.
fn affinity(affinity: &ExecCPUAffinity) -> Result<()> {
    for (cpus, key) in [(affinity.initial(), "initial"), (affinity.cpu_affinity_final(), "final")] {
        let Some(cpus) = cpus else { continue };
        if numbers::parse(cpus, MAX_CPUS).is_none() {
            let message =
                format!("invalid execCPUAffinity {cpus:?}: not a list of processors below {MAX_CPUS}");
            return Err(invalid(format!("/process/execCPUAffinity/{key}"), message));
        }
    }
    Ok(())
}

fn memory_policy(policy: &LinuxMemoryPolicy) -> Result<()> {
    let text = policy.nodes().as_deref().unwrap_or_default();
    let pointer = "/linux/memoryPolicy/nodes";
    let nodes = numbers::parse(text, MAX_NODES)
        .ok_or_else(|| invalid(pointer, format!("invalid memory policy nodes {text:?}")))?;
    match policy.mode() {
        Mode::MpolDefault | Mode::MpolLocal if !nodes.is_empty() => {
            let count: u32 = nodes.iter().map(|(first, last)| last - first + 1).sum();
            return Err(invalid(pointer, format!("memory policy mode requires 0 nodes but got {count}")));
        }
        Mode::MpolDefault | Mode::MpolLocal | Mode::MpolPreferred => {}
        _ if nodes.is_empty() => {
            return Err(invalid(pointer, "memory policy mode requires at least one node but got 0"));
        }
        _ => {}
    }
    let flags = list(policy.flags());
    if flags.contains(&Flag::MpolFRelativeNodes) && flags.contains(&Flag::MpolFStaticNodes) {
        let message = "MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other";
        return Err(invalid("/linux/memoryPolicy/flags", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
