//! Which file fills which field: one row for each file, for v1 and for v2. A hybrid host is v1, with the pressure from its cgroup2.

use super::parse;
use super::{BlockIoEntry, Counter, Counters, HugePageStats, Pressure, Stats};

/// One file and what it says.
pub struct Row {
    /// The controller that it belongs to; empty for what every group of cgroup2 has.
    pub controller: &'static str,
    /// Its name; `{}` stands for a size of huge pages.
    pub file: &'static str,
    /// What its text becomes.
    pub parse: Parse,
}

type Number = fn(&mut Stats) -> &mut Option<u64>;

/// How a text fills fields.
#[derive(Clone, Copy, Debug)]
pub enum Parse {
    /// One number.
    Number(Number),
    /// One number that may be negative.
    Signed(fn(&mut Stats) -> &mut Option<i64>),
    /// Lines with a name and a number, which is multiplied.
    Keys(&'static [(&'static str, u64, Number)]),
    /// `memory.stat`: all lines, and the names of those that have fields.
    Counters(fn(&mut Stats) -> &mut Counters, &'static [(&'static str, Number)]),
    /// Numbers between blanks.
    Numbers(fn(&mut Stats) -> &mut Vec<u64>),
    /// A list of ranges.
    Ranges(fn(&mut Stats) -> &mut Vec<u64>),
    /// `cpuacct.usage_all`.
    PerCpu,
    /// A file of blkio. Of several for one field the first that says something counts.
    Blocks(fn(&mut Stats) -> &mut Vec<BlockIoEntry>),
    /// `io.stat`.
    IoStat,
    /// A file of pressure.
    Pressure(fn(&mut Stats) -> &mut Option<Pressure>),
    /// `rdma.current`, or `rdma.max`.
    Rdma(bool),
    /// A number about huge pages of one size.
    Huge(fn(&mut Counter) -> &mut Option<u64>),
    /// How often the limit of huge pages was in the way, in a file of events.
    HugeEvents,
}

/// The kernel counts in a hundredth of a second there, whatever its own clock is (USER_HZ).
const TICK: u64 = 10_000_000;
const MICROSECOND: u64 = 1000;

// table: file, field.
#[rustfmt::skip]
pub const V1: &[Row] = &[
    row("cpuacct", "cpuacct.usage",                   Parse::Number(|s| &mut s.cpu.usage)),
    row("cpuacct", "cpuacct.stat",                    Parse::Keys(&[("user", TICK, |s| &mut s.cpu.user), ("system", TICK, |s| &mut s.cpu.kernel)])),
    row("cpuacct", "cpuacct.usage_percpu",            Parse::Numbers(|s| &mut s.cpu.per_cpu)),
    row("cpuacct", "cpuacct.usage_all",               Parse::PerCpu),
    row("cpu",     "cpu.stat",                        Parse::Keys(&[
        ("nr_periods", 1, |s| &mut s.cpu.periods), ("nr_throttled", 1, |s| &mut s.cpu.throttled_periods), ("throttled_time", 1, |s| &mut s.cpu.throttled),
        ("nr_bursts", 1, |s| &mut s.cpu.bursts), ("burst_time", 1, |s| &mut s.cpu.burst)])),
    row("cpuset",  "cpuset.cpus",                     Parse::Ranges(|s| &mut s.cpuset.cpus)),
    row("cpuset",  "cpuset.mems",                     Parse::Ranges(|s| &mut s.cpuset.mems)),
    row("cpuset",  "cpuset.cpu_exclusive",            Parse::Number(|s| &mut s.cpuset.cpu_exclusive)),
    row("cpuset",  "cpuset.mem_hardwall",             Parse::Number(|s| &mut s.cpuset.mem_hardwall)),
    row("cpuset",  "cpuset.mem_exclusive",            Parse::Number(|s| &mut s.cpuset.mem_exclusive)),
    row("cpuset",  "cpuset.memory_migrate",           Parse::Number(|s| &mut s.cpuset.memory_migrate)),
    row("cpuset",  "cpuset.memory_spread_page",       Parse::Number(|s| &mut s.cpuset.memory_spread_page)),
    row("cpuset",  "cpuset.memory_spread_slab",       Parse::Number(|s| &mut s.cpuset.memory_spread_slab)),
    row("cpuset",  "cpuset.memory_pressure",          Parse::Number(|s| &mut s.cpuset.memory_pressure)),
    row("cpuset",  "cpuset.sched_load_balance",       Parse::Number(|s| &mut s.cpuset.sched_load_balance)),
    row("cpuset",  "cpuset.sched_relax_domain_level", Parse::Signed(|s| &mut s.cpuset.sched_relax_domain_level)),
    row("memory",  "memory.stat",                     Parse::Counters(|s| &mut s.memory.stat, &[("cache", |s| &mut s.memory.cache)])),
    row("memory",  "memory.usage_in_bytes",           Parse::Number(|s| &mut s.memory.usage.usage)),
    row("memory",  "memory.max_usage_in_bytes",       Parse::Number(|s| &mut s.memory.usage.max)),
    row("memory",  "memory.limit_in_bytes",           Parse::Number(|s| &mut s.memory.usage.limit)),
    row("memory",  "memory.failcnt",                  Parse::Number(|s| &mut s.memory.usage.failures)),
    row("memory",  "memory.memsw.usage_in_bytes",     Parse::Number(|s| &mut s.memory.swap.usage)),
    row("memory",  "memory.memsw.max_usage_in_bytes", Parse::Number(|s| &mut s.memory.swap.max)),
    row("memory",  "memory.memsw.limit_in_bytes",     Parse::Number(|s| &mut s.memory.swap.limit)),
    row("memory",  "memory.memsw.failcnt",            Parse::Number(|s| &mut s.memory.swap.failures)),
    row("memory",  "memory.kmem.usage_in_bytes",      Parse::Number(|s| &mut s.memory.kernel.usage)),
    row("memory",  "memory.kmem.max_usage_in_bytes",  Parse::Number(|s| &mut s.memory.kernel.max)),
    row("memory",  "memory.kmem.limit_in_bytes",      Parse::Number(|s| &mut s.memory.kernel.limit)),
    row("memory",  "memory.kmem.failcnt",             Parse::Number(|s| &mut s.memory.kernel.failures)),
    row("memory",  "memory.kmem.tcp.usage_in_bytes",     Parse::Number(|s| &mut s.memory.kernel_tcp.usage)),
    row("memory",  "memory.kmem.tcp.max_usage_in_bytes", Parse::Number(|s| &mut s.memory.kernel_tcp.max)),
    row("memory",  "memory.kmem.tcp.limit_in_bytes",     Parse::Number(|s| &mut s.memory.kernel_tcp.limit)),
    row("memory",  "memory.kmem.tcp.failcnt",            Parse::Number(|s| &mut s.memory.kernel_tcp.failures)),
    row("memory",  "memory.oom_control",              Parse::Keys(&[("oom_kill", 1, |s| &mut s.memory.oom_kill)])),
    row("pids",    "pids.current",                    Parse::Number(|s| &mut s.pids.current)),
    row("pids",    "pids.max",                        Parse::Number(|s| &mut s.pids.limit)),
    // The scheduler's own counters before those of the throttle, which counts only where there is a scheduler no more.
    row("blkio",   "blkio.bfq.io_service_bytes_recursive", Parse::Blocks(|s| &mut s.block_io.bytes)),
    row("blkio",   "blkio.bfq.io_serviced_recursive",      Parse::Blocks(|s| &mut s.block_io.operations)),
    row("blkio",   "blkio.bfq.io_queued_recursive",        Parse::Blocks(|s| &mut s.block_io.queued)),
    row("blkio",   "blkio.bfq.io_service_time_recursive",  Parse::Blocks(|s| &mut s.block_io.service_time)),
    row("blkio",   "blkio.bfq.io_wait_time_recursive",     Parse::Blocks(|s| &mut s.block_io.wait_time)),
    row("blkio",   "blkio.bfq.io_merged_recursive",        Parse::Blocks(|s| &mut s.block_io.merged)),
    row("blkio",   "blkio.bfq.time_recursive",             Parse::Blocks(|s| &mut s.block_io.time)),
    row("blkio",   "blkio.bfq.sectors_recursive",          Parse::Blocks(|s| &mut s.block_io.sectors)),
    row("blkio",   "blkio.io_service_bytes_recursive",     Parse::Blocks(|s| &mut s.block_io.bytes)),
    row("blkio",   "blkio.io_serviced_recursive",          Parse::Blocks(|s| &mut s.block_io.operations)),
    row("blkio",   "blkio.io_queued_recursive",            Parse::Blocks(|s| &mut s.block_io.queued)),
    row("blkio",   "blkio.io_service_time_recursive",      Parse::Blocks(|s| &mut s.block_io.service_time)),
    row("blkio",   "blkio.io_wait_time_recursive",         Parse::Blocks(|s| &mut s.block_io.wait_time)),
    row("blkio",   "blkio.io_merged_recursive",            Parse::Blocks(|s| &mut s.block_io.merged)),
    row("blkio",   "blkio.time_recursive",                 Parse::Blocks(|s| &mut s.block_io.time)),
    row("blkio",   "blkio.sectors_recursive",              Parse::Blocks(|s| &mut s.block_io.sectors)),
    row("blkio",   "blkio.throttle.io_service_bytes_recursive", Parse::Blocks(|s| &mut s.block_io.bytes)),
    row("blkio",   "blkio.throttle.io_serviced_recursive",      Parse::Blocks(|s| &mut s.block_io.operations)),
    row("blkio",   "blkio.throttle.io_service_bytes",           Parse::Blocks(|s| &mut s.block_io.bytes)),
    row("blkio",   "blkio.throttle.io_serviced",                Parse::Blocks(|s| &mut s.block_io.operations)),
    row("hugetlb", "hugetlb.{}.usage_in_bytes",       Parse::Huge(|c| &mut c.usage)),
    row("hugetlb", "hugetlb.{}.max_usage_in_bytes",   Parse::Huge(|c| &mut c.max)),
    row("hugetlb", "hugetlb.{}.limit_in_bytes",       Parse::Huge(|c| &mut c.limit)),
    row("hugetlb", "hugetlb.{}.failcnt",              Parse::Huge(|c| &mut c.failures)),
    row("rdma",    "rdma.current",                    Parse::Rdma(false)),
    row("rdma",    "rdma.max",                        Parse::Rdma(true)),
    row("",        "cpu.pressure",                    Parse::Pressure(|s| &mut s.cpu.pressure)),
    row("",        "memory.pressure",                 Parse::Pressure(|s| &mut s.memory.pressure)),
    row("",        "io.pressure",                     Parse::Pressure(|s| &mut s.block_io.pressure)),
];

// table: file, field.
#[rustfmt::skip]
pub const V2: &[Row] = &[
    row("", "cpu.stat",            Parse::Keys(&[
        ("usage_usec", MICROSECOND, |s| &mut s.cpu.usage), ("user_usec", MICROSECOND, |s| &mut s.cpu.user), ("system_usec", MICROSECOND, |s| &mut s.cpu.kernel),
        ("nr_periods", 1, |s| &mut s.cpu.periods), ("nr_throttled", 1, |s| &mut s.cpu.throttled_periods), ("throttled_usec", MICROSECOND, |s| &mut s.cpu.throttled),
        ("nr_bursts", 1, |s| &mut s.cpu.bursts), ("burst_usec", MICROSECOND, |s| &mut s.cpu.burst)])),
    row("", "cpu.pressure",        Parse::Pressure(|s| &mut s.cpu.pressure)),
    row("", "memory.stat",         Parse::Counters(|s| &mut s.memory.stat, &[("file", |s| &mut s.memory.cache), ("kernel", |s| &mut s.memory.kernel.usage)])),
    row("", "memory.current",      Parse::Number(|s| &mut s.memory.usage.usage)),
    row("", "memory.max",          Parse::Number(|s| &mut s.memory.usage.limit)),
    row("", "memory.peak",         Parse::Number(|s| &mut s.memory.usage.max)),
    row("", "memory.events",       Parse::Keys(&[
        ("max", 1, |s| &mut s.memory.usage.failures), ("oom", 1, |s| &mut s.memory.oom), ("oom_kill", 1, |s| &mut s.memory.oom_kill)])),
    row("", "memory.swap.current", Parse::Number(|s| &mut s.memory.swap.usage)),
    row("", "memory.swap.max",     Parse::Number(|s| &mut s.memory.swap.limit)),
    row("", "memory.swap.peak",    Parse::Number(|s| &mut s.memory.swap.max)),
    row("", "memory.swap.events",  Parse::Keys(&[("fail", 1, |s| &mut s.memory.swap.failures)])),
    row("", "memory.pressure",     Parse::Pressure(|s| &mut s.memory.pressure)),
    row("", "pids.current",        Parse::Number(|s| &mut s.pids.current)),
    row("", "pids.max",            Parse::Number(|s| &mut s.pids.limit)),
    row("", "io.stat",             Parse::IoStat),
    row("", "io.pressure",         Parse::Pressure(|s| &mut s.block_io.pressure)),
    row("", "hugetlb.{}.current",  Parse::Huge(|c| &mut c.usage)),
    row("", "hugetlb.{}.max",      Parse::Huge(|c| &mut c.limit)),
    row("", "hugetlb.{}.events",   Parse::HugeEvents),
    row("", "rdma.current",        Parse::Rdma(false)),
    row("", "rdma.max",            Parse::Rdma(true)),
];

const fn row(controller: &'static str, file: &'static str, parse: Parse) -> Row {
    Row { controller, file, parse }
}

impl Parse {
    /// Puts what `text` says into its fields. `key` is the index of the size of huge pages that the file is about.
    pub fn apply(&self, text: &str, key: usize, stats: &mut Stats) {
        match self {
            Self::Number(field) => *field(stats) = parse::number(text),
            Self::Signed(field) => *field(stats) = text.trim().parse().ok(),
            Self::Keys(keys) => {
                for (name, value) in parse::pairs(text) {
                    if let Some((_, factor, field)) = keys.iter().find(|(key, ..)| *key == name) {
                        *field(stats) = Some(value.saturating_mul(*factor));
                    }
                }
            }
            Self::Counters(list, names) => {
                parse::counters(text, list(stats));
                for (name, field) in *names {
                    let value = list(stats).get(name);
                    *field(stats) = value;
                }
            }
            Self::Numbers(list) => parse::numbers(text, list(stats)),
            Self::Ranges(list) => parse::ranges(text, list(stats)),
            Self::PerCpu => parse::per_cpu(text, &mut stats.cpu.per_cpu_user, &mut stats.cpu.per_cpu_kernel),
            Self::Blocks(list) if list(stats).is_empty() => parse::blocks(text, list(stats)),
            Self::Blocks(_) => {}
            Self::IoStat => parse::io_stat(text, &mut stats.block_io.bytes, &mut stats.block_io.operations),
            Self::Pressure(field) => *field(stats) = parse::pressure(text),
            Self::Rdma(limits) => parse::rdma(text, *limits, &mut stats.rdma),
            Self::Huge(field) => huge(stats, key, |counter| *field(counter) = parse::number(text)),
            Self::HugeEvents => {
                let max = parse::pairs(text).find(|(name, _)| *name == "max").map(|(_, value)| value);
                huge(stats, key, |counter| counter.failures = max);
            }
        }
    }
}

fn huge(stats: &mut Stats, key: usize, act: impl FnOnce(&mut Counter)) {
    if let Some(HugePageStats { counter, .. }) = stats.huge_pages.get_mut(key) {
        act(counter);
    }
}
