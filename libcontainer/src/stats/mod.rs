//! What a container uses, as its cgroups and its resctrl group count it.
//!
//! Law: what the machine does not count is absent, and never zero. One table (`table.rs`) says for each version of cgroups which file fills which field, and the
//! parsers (`parse.rs`) are pure. A [`StatsReader`] holds the files open and fills the same [`Stats`] again and again without allocating.

mod open;
mod parse;
mod rdt;
mod runc;
mod table;

use std::os::fd::OwnedFd;

pub(crate) use self::rdt::RdtReader;
pub use self::rdt::{RdtDomain, RdtStats};
use crate::cgroup::Cgroup;
use crate::sys::fs::read_at_start;
use crate::{Error, ErrorKind, Result};
use table::Parse;

/// No limit, where a limit is asked for.
pub const UNLIMITED: u64 = u64::MAX;

/// Room for a file: it grows for the few that need more.
const BUFFER: usize = 1 << 14;

/// Usage and events of one container. Times are in nanoseconds, sizes in bytes, unless a field says otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Time on CPUs.
    pub cpu: CpuStats,
    /// CPUs and memory nodes, as cgroup v1 tells them.
    pub cpuset: CpusetStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Processes and threads.
    pub pids: PidsStats,
    /// Block devices.
    pub block_io: BlockIoStats,
    /// Huge pages, an entry for each size.
    pub huge_pages: Vec<HugePageStats>,
    /// Rdma devices.
    pub rdma: Vec<RdmaStats>,
    /// Caches and memory bandwidth, for a container with `intelRdt`.
    pub intel_rdt: Option<RdtStats>,
}

/// Time on CPUs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuStats {
    /// All of it.
    pub usage: Option<u64>,
    /// In programs.
    pub user: Option<u64>,
    /// In the kernel.
    pub kernel: Option<u64>,
    /// For each CPU; v1 only.
    pub per_cpu: Vec<u64>,
    /// For each CPU, in programs; v1 only.
    pub per_cpu_user: Vec<u64>,
    /// For each CPU, in the kernel; v1 only.
    pub per_cpu_kernel: Vec<u64>,
    /// Periods of the quota that have passed.
    pub periods: Option<u64>,
    /// Those in which the quota was used up.
    pub throttled_periods: Option<u64>,
    /// Time spent waiting for the next period.
    pub throttled: Option<u64>,
    /// Periods in which saved-up time was used (Linux 5.14).
    pub bursts: Option<u64>,
    /// Time beyond the quota.
    pub burst: Option<u64>,
    /// Pressure (PSI).
    pub pressure: Option<Pressure>,
}

/// What `cpuset` of cgroup v1 tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpusetStats {
    /// The CPUs.
    pub cpus: Vec<u64>,
    /// The memory nodes.
    pub mems: Vec<u64>,
    /// `cpuset.cpu_exclusive`.
    pub cpu_exclusive: Option<u64>,
    /// `cpuset.mem_hardwall`.
    pub mem_hardwall: Option<u64>,
    /// `cpuset.mem_exclusive`.
    pub mem_exclusive: Option<u64>,
    /// `cpuset.memory_migrate`.
    pub memory_migrate: Option<u64>,
    /// `cpuset.memory_spread_page`.
    pub memory_spread_page: Option<u64>,
    /// `cpuset.memory_spread_slab`.
    pub memory_spread_slab: Option<u64>,
    /// `cpuset.memory_pressure`.
    pub memory_pressure: Option<u64>,
    /// `cpuset.sched_load_balance`.
    pub sched_load_balance: Option<u64>,
    /// `cpuset.sched_relax_domain_level`; -1 means the machine's.
    pub sched_relax_domain_level: Option<i64>,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryStats {
    /// Memory.
    pub usage: Counter,
    /// Swap: on v1 together with memory, on v2 alone.
    pub swap: Counter,
    /// Memory of the kernel.
    pub kernel: Counter,
    /// Buffers of TCP.
    pub kernel_tcp: Counter,
    /// Pages of files.
    pub cache: Option<u64>,
    /// Every line of `memory.stat`, in the kernel's order and units.
    pub stat: Counters,
    /// How often memory ran out (`memory.events`; v2).
    pub oom: Option<u64>,
    /// How many processes were killed for it.
    pub oom_kill: Option<u64>,
    /// Pressure (PSI).
    pub pressure: Option<Pressure>,
}

/// One thing that is counted and limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// In use.
    pub usage: Option<u64>,
    /// The limit; [`UNLIMITED`] on v2, a number close to 2^63 on v1 for none.
    pub limit: Option<u64>,
    /// The most that was in use (v2: Linux 5.19).
    pub max: Option<u64>,
    /// How often the limit was in the way.
    pub failures: Option<u64>,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PidsStats {
    /// There are.
    pub current: Option<u64>,
    /// The limit, or [`UNLIMITED`].
    pub limit: Option<u64>,
}

/// Block devices. v2 tells the first two, v1 what its scheduler counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockIoStats {
    /// Bytes.
    pub bytes: Vec<BlockIoEntry>,
    /// Operations.
    pub operations: Vec<BlockIoEntry>,
    /// Operations that wait.
    pub queued: Vec<BlockIoEntry>,
    /// Time of service.
    pub service_time: Vec<BlockIoEntry>,
    /// Time of waiting.
    pub wait_time: Vec<BlockIoEntry>,
    /// Merged requests.
    pub merged: Vec<BlockIoEntry>,
    /// Time of the device in milliseconds.
    pub time: Vec<BlockIoEntry>,
    /// Sectors of 512 bytes.
    pub sectors: Vec<BlockIoEntry>,
    /// Pressure (PSI).
    pub pressure: Option<Pressure>,
}

/// One number about one block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockIoEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// What was done: `Read`, `Write`, `Sync`, `Async`, `Discard` or `Total`; empty where it is not told apart.
    pub op: &'static str,
    /// The number.
    pub value: u64,
}

/// Huge pages of one size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HugePageStats {
    /// The size, as `2MB`.
    pub size: String,
    /// Bytes.
    pub counter: Counter,
}

/// One rdma device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RdmaStats {
    /// Its name.
    pub device: String,
    /// Open handles.
    pub handles: Option<u64>,
    /// Objects.
    pub objects: Option<u64>,
    /// The limit of handles, or [`UNLIMITED`].
    pub handle_limit: Option<u64>,
    /// The limit of objects, or [`UNLIMITED`].
    pub object_limit: Option<u64>,
}

/// How much of the time something had to wait (`Documentation/accounting/psi.rst`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// At least one task waited.
    pub some: PressureLine,
    /// All of them did.
    pub full: PressureLine,
}

/// One line of pressure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PressureLine {
    /// Percent of the last ten seconds.
    pub avg10: f64,
    /// Percent of the last minute.
    pub avg60: f64,
    /// Percent of the last five minutes.
    pub avg300: f64,
    /// Microseconds in all.
    pub total: u64,
}

/// Named numbers, in the order in which the kernel tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(Vec<(String, u64)>);

impl Counters {
    /// The number of that name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// The open files of one container's cgroups. Filling needs no path and, once the buffers are large enough, no memory.
#[derive(Debug)]
pub struct StatsReader {
    files: Vec<OpenFile>,
    /// The sizes of huge pages that are counted.
    sizes: Vec<String>,
    rdt: Option<RdtReader>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct OpenFile {
    fd: OwnedFd,
    /// What the name of the file said beside what it is: a size of huge pages.
    key: usize,
    parse: Parse,
}

impl StatsReader {
    /// Opens what there is of the files of a container's cgroups.
    pub(crate) fn new(cgroup: &Cgroup, rdt: Option<RdtReader>) -> Self {
        let (files, sizes) = open::files(cgroup);
        Self { files, sizes, rdt, buffer: vec![0; BUFFER] }
    }

    /// Reads everything anew into `stats`, which keeps its memory.
    ///
    /// # Errors
    /// `NotRunning` if the cgroups are gone.
    pub fn fill(&mut self, stats: &mut Stats) -> Result<()> {
        stats.clear(&self.sizes);
        let mut gone = 0;
        for file in &self.files {
            match read_at_start(&file.fd, &mut self.buffer) {
                // Bytes that are no UTF-8 are none of the kernel's.
                Ok(length) => {
                    let text = self.buffer.get(..length).and_then(|text| std::str::from_utf8(text).ok());
                    file.parse.apply(text.unwrap_or_default(), file.key, stats);
                }
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => gone += 1,
                // Pressure may be switched off for a group, and files for some kinds of groups.
                Err(error) => log::debug!("stats: {error}"),
            }
        }
        if gone > 0 && gone == self.files.len() {
            return Err(Error::new(ErrorKind::NotRunning, "container not running: its cgroup is gone"));
        }
        stats.rdma.retain(|entry| !entry.says_nothing());
        match &self.rdt {
            Some(rdt) => rdt.fill(stats.intel_rdt.get_or_insert_default()),
            None => stats.intel_rdt = None,
        }
        Ok(())
    }
}

impl Stats {
    /// Everything becomes absent, and what has memory keeps it. Names stay: they are the same next time.
    fn clear(&mut self, sizes: &[String]) {
        let mut kept = std::mem::take(self);
        kept.cpu.lists().into_iter().chain(kept.cpuset.lists()).for_each(Vec::clear);
        kept.block_io.lists().into_iter().for_each(Vec::clear);
        let CpuStats { per_cpu, per_cpu_user, per_cpu_kernel, .. } = kept.cpu;
        self.cpu = CpuStats { per_cpu, per_cpu_user, per_cpu_kernel, ..CpuStats::default() };
        let CpusetStats { cpus, mems, .. } = kept.cpuset;
        self.cpuset = CpusetStats { cpus, mems, ..CpusetStats::default() };
        self.memory.stat = kept.memory.stat;
        self.block_io = BlockIoStats { pressure: None, ..kept.block_io };
        self.huge_pages = kept.huge_pages;
        if !self.huge_pages.iter().map(|entry| &entry.size).eq(sizes) {
            let entry = |size: &String| HugePageStats { size: size.clone(), counter: Counter::default() };
            self.huge_pages = sizes.iter().map(entry).collect();
        }
        self.huge_pages.iter_mut().for_each(|entry| entry.counter = Counter::default());
        self.rdma = kept.rdma;
        self.rdma.iter_mut().for_each(RdmaStats::clear);
        self.intel_rdt = kept.intel_rdt;
    }
}

impl CpuStats {
    fn lists(&mut self) -> [&mut Vec<u64>; 3] {
        [&mut self.per_cpu, &mut self.per_cpu_user, &mut self.per_cpu_kernel]
    }
}

impl CpusetStats {
    fn lists(&mut self) -> [&mut Vec<u64>; 2] {
        [&mut self.cpus, &mut self.mems]
    }
}

impl RdmaStats {
    fn clear(&mut self) {
        *self = Self { device: std::mem::take(&mut self.device), ..Self::default() };
    }

    fn says_nothing(&self) -> bool {
        [self.handles, self.objects, self.handle_limit, self.object_limit].iter().all(Option::is_none)
    }
}

impl BlockIoStats {
    fn lists(&mut self) -> [&mut Vec<BlockIoEntry>; 8] {
        let Self { bytes, operations, queued, service_time, wait_time, merged, time, sectors, pressure: _ } =
            self;
        [bytes, operations, queued, service_time, wait_time, merged, time, sectors]
    }
}

#[cfg(test)]
mod tests;
