//! `process.scheduler`, `process.ioPriority`, `process.execCPUAffinity` and `linux.memoryPolicy`: the words of the specification as the kernel's numbers.

use oci_spec::runtime::{
    IOPriorityClass, LinuxIOPriority, LinuxMemoryPolicy, LinuxSchedulerFlag as SchedFlag,
    LinuxSchedulerPolicy as Policy, MemoryPolicyFlagType as NodeFlag, MemoryPolicyModeType as Mode, Process,
    Scheduler, Spec,
};
use teu_init::program::Op;

use super::program::Builder;
use crate::spec::{MAX_CPUS, MAX_NODES, numbers, own};

/// Policies by their numbers (linux/sched.h), with the word of a printed plan.
pub(super) const POLICIES: [&str; 7] = ["other", "fifo", "rr", "batch", "iso", "idle", "deadline"];
/// Memory policies by their numbers (linux/mempolicy.h).
pub(super) const MODES: [&str; 7] =
    ["default", "preferred", "bind", "interleave", "local", "preferred-many", "weighted-interleave"];
/// Flags of memory policies, in the bits of the mode from this one on.
pub(super) const FIRST_NODE_FLAG: u32 = 13;
pub(super) const NODE_FLAGS: [&str; 3] = ["numa-balancing", "relative-nodes", "static-nodes"];
/// Classes of I/O by their numbers (linux/ioprio.h).
pub(super) const IO_CLASSES: [&str; 4] = ["none", "rt", "be", "idle"];
/// The class lies above the level.
pub(super) const IO_CLASS_SHIFT: u32 = 13;

/// What the kernel is asked to prefer, if anything, while init still has its rights.
pub(super) fn push(config: &Spec, process: &Process, out: &mut Builder) {
    if let Some(wanted) = process.scheduler() {
        out.push(scheduler(wanted), "/process/scheduler");
    }
    if let Some(wanted) = process.io_priority() {
        out.push(Op::IoPriority { priority: io_priority(wanted) }, "/process/ioPriority");
    }
    if let Some(wanted) = config.linux().as_ref().and_then(|linux| linux.memory_policy().as_ref()) {
        let nodes = out.bytes(&bit_mask(wanted.nodes().as_deref().unwrap_or_default(), MAX_NODES));
        out.push(Op::MemoryPolicy { mode: mode(wanted), nodes }, "/linux/memoryPolicy");
    }
}

/// The processors on which one more process starts, and those on which it goes on once it is in the container's cgroup.
pub(super) struct Affinity<'a> {
    initial: &'a str,
    last: (&'a str, &'static str),
}

impl<'a> Affinity<'a> {
    pub(super) fn of(config: &'a Spec, process: &'a Process) -> Self {
        let wanted = process.exec_cpu_affinity().as_ref();
        let initial = wanted.and_then(|wanted| wanted.initial().as_deref()).unwrap_or_default();
        let last = wanted.and_then(|wanted| wanted.cpu_affinity_final().as_deref());
        let last = last.filter(|last| !last.is_empty()).map(|last| (last, "/process/execCPUAffinity/final"));
        let last = last.unwrap_or_else(|| container(config));
        Self { initial, last }
    }

    /// Before a cgroup is entered.
    pub(super) fn push_initial(&self, out: &mut Builder) {
        push_affinity(self.initial, "/process/execCPUAffinity/initial", out);
    }

    /// When all are.
    pub(super) fn push_final(&self, out: &mut Builder) {
        push_affinity(self.last.0, self.last.1, out);
    }
}

/// The processors of all processes of the container, and the place that says so.
fn container(config: &Spec) -> (&str, &'static str) {
    (own::cpus(config), own::CPUS_SITE)
}

/// The processors of init.
pub(super) fn push_own_affinity(config: &Spec, out: &mut Builder) {
    let (list, site) = container(config);
    push_affinity(list, site, out);
}

fn push_affinity(list: &str, site: &'static str, out: &mut Builder) {
    let mask = bit_mask(list, MAX_CPUS);
    if !mask.is_empty() {
        let cpus = out.bytes(&mask);
        out.push(Op::Affinity { cpus }, site);
    }
}

fn scheduler(wanted: &Scheduler) -> Op {
    let flags = wanted.flags().iter().flatten();
    Op::Scheduler {
        policy: policy(*wanted.policy()),
        // A signed number in the bits of an unsigned one.
        nice: wanted.nice().unwrap_or(0) as u32,
        priority: wanted.priority().unwrap_or(0) as u32,
        flags: flags.fold(0, |all, flag| all | scheduler_flag(*flag)),
        runtime: wanted.runtime().unwrap_or(0),
        deadline: wanted.deadline().unwrap_or(0),
        period: wanted.period().unwrap_or(0),
    }
}

fn policy(policy: Policy) -> u32 {
    match policy {
        Policy::SchedOther => 0,
        Policy::SchedFifo => 1,
        Policy::SchedRr => 2,
        Policy::SchedBatch => 3,
        Policy::SchedIso => 4,
        Policy::SchedIdle => 5,
        Policy::SchedDeadline => 6,
    }
}

fn scheduler_flag(flag: SchedFlag) -> u64 {
    match flag {
        SchedFlag::SchedResetOnFork => 0x01,
        SchedFlag::SchedFlagReclaim => 0x02,
        SchedFlag::SchedFlagDLOverrun => 0x04,
        SchedFlag::SchedFlagKeepPolicy => 0x08,
        SchedFlag::SchedFlagKeepParams => 0x10,
        SchedFlag::SchedFlagUtilClampMin => 0x20,
        SchedFlag::SchedFlagUtilClampMax => 0x40,
    }
}

fn io_priority(wanted: &LinuxIOPriority) -> u32 {
    let class = match wanted.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    class << IO_CLASS_SHIFT | u32::try_from(wanted.priority()).unwrap_or(0)
}

fn mode(wanted: &LinuxMemoryPolicy) -> u32 {
    let mode = match wanted.mode() {
        Mode::MpolDefault => 0,
        Mode::MpolPreferred => 1,
        Mode::MpolBind => 2,
        Mode::MpolInterleave => 3,
        Mode::MpolLocal => 4,
        Mode::MpolPreferredMany => 5,
        Mode::MpolWeightedInterleave => 6,
    };
    let flag = |flag: &NodeFlag| match flag {
        NodeFlag::MpolFNumaBalancing => 1 << FIRST_NODE_FLAG,
        NodeFlag::MpolFRelativeNodes => 1 << (FIRST_NODE_FLAG + 1),
        NodeFlag::MpolFStaticNodes => 1 << (FIRST_NODE_FLAG + 2),
    };
    wanted.flags().iter().flatten().map(flag).fold(mode, |all, flag| all | flag)
}

/// A bit for each number of a list, in as many 64-bit words as the highest one needs.
fn bit_mask(list: &str, limit: u32) -> Vec<u8> {
    let ranges = numbers::parse(list, limit).unwrap_or_default();
    let mut words: Vec<u64> = Vec::new();
    for number in ranges.into_iter().flat_map(|(first, last)| first..=last) {
        let word = number as usize / 64;
        words.resize(words.len().max(word + 1), 0);
        if let Some(word) = words.get_mut(word) {
            *word |= 1 << (number % 64);
        }
    }
    words.into_iter().flat_map(u64::to_ne_bytes).collect()
}

/// The numbers of a mask, for printing.
pub(super) fn numbers_of(mask: &[u8]) -> Vec<u32> {
    let set = |(index, byte): (u32, &u8)| {
        (0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| index * 8 + bit).collect::<Vec<_>>()
    };
    // The words are little-endian on every architecture that init knows.
    (0..).zip(mask).flat_map(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(list: &str) -> Vec<u8> {
        bit_mask(list, MAX_NODES)
    }

    #[test]
    fn the_mask_is_as_long_as_the_highest_node_needs() {
        assert!(mask("").is_empty());
        assert_eq!(mask("0-1,3"), [0b1011, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(mask("64").len(), 16);
        assert_eq!(mask("1500").len(), 192, "beyond 1024 nodes");
        for nodes_of in [vec![0], vec![0, 5, 63, 64, 1023, 1024, 32_767]] {
            let text: Vec<String> = nodes_of.iter().map(u32::to_string).collect();
            assert_eq!(numbers_of(&mask(&text.join(","))), nodes_of);
        }
    }
}
