//! `linux.resources` as data: one row for each field, with what it becomes in either version of cgroups.
//!
//! The rows stand in the order of the writes. A limit that another one may not exceed comes after it; where an older value
//! of a cgroup that is used again could be in the way, the write is `again`: tried once more after all others.

use oci_spec::runtime::LinuxResources;

use super::{blkio, cpu, memory, other};

/// One field of `linux.resources`.
pub(super) struct Row {
    /// Its place below `/linux/resources`.
    pub field: &'static str,
    /// What it becomes on v1.
    pub v1: Cell,
    /// What it becomes on v2.
    pub v2: Cell,
}

/// What a field becomes in one version: a file and how its value is made.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    /// The file's name; `{}` stands for the entry's key.
    pub file: &'static str,
    /// Its values.
    pub formula: Formula,
    /// Where the file does not exist: another one, and its values.
    pub instead: Option<(&'static str, Formula)>,
    /// See [`super::Care::again`].
    pub again: bool,
    /// See [`super::Care::usage`].
    pub usage: Option<(&'static str, Limit)>,
    /// Values that are in force where the file does not exist.
    pub absent_means: &'static [&'static str],
    /// The file may be missing whatever the value.
    pub optional: bool,
    /// Whether file and value have to wait until init has exec'd.
    pub late: fn(&str, &str) -> bool,
}

/// The number that a usage must be below.
pub(super) type Limit = fn(&LinuxResources) -> Option<u64>;

/// How the values of a file come from the resources.
#[derive(Clone, Copy)]
pub(super) enum Formula {
    /// One value, or none if the field is not set.
    One(fn(&LinuxResources) -> Option<String>),
    /// One for each entry of a list or map.
    Each(fn(&LinuxResources) -> Vec<Item>),
    /// Another row of the same field says it: the versions want another order.
    OtherRow,
    /// This version has nothing like it. Asking for it is worth a warning.
    Nothing,
}

/// The value of one entry.
pub(super) struct Item {
    /// What the `{}` of the file's name stands for.
    pub key: String,
    /// The value.
    pub value: String,
    /// The entry's place below the field, with its slash; empty for the field itself.
    pub below: String,
}

const NOTHING: Cell = Cell::new("", Formula::Nothing);
const OTHER_ROW: Cell = Cell::new("", Formula::OtherRow);

// table: field, v1, v2.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    row("cpu/cpus",             one("cpuset.cpus", cpu::cpus),                                      one("cpuset.cpus", cpu::cpus)),
    row("cpu/mems",             one("cpuset.mems", cpu::mems),                                      one("cpuset.mems", cpu::mems)),
    row("cpu/idle",             one("cpu.idle", cpu::idle).absent_means(&["0"]),                    one("cpu.idle", cpu::idle).absent_means(&["0"])),
    row("cpu/shares",           one("cpu.shares", cpu::shares),                                     one("cpu.weight", cpu::weight)),
    row("cpu/realtimePeriod",   one("cpu.rt_period_us", cpu::rt_period).again(),                    NOTHING),
    row("cpu/realtimeRuntime",  one("cpu.rt_runtime_us", cpu::rt_runtime),                          NOTHING),
    row("cpu/burst",            one("cpu.cfs_burst_us", cpu::burst).absent_means(&["0"]).again(),   one("cpu.max.burst", cpu::burst).absent_means(&["0"]).again()),
    row("cpu/period",           one("cpu.cfs_period_us", cpu::period).again(),                      one("cpu.max", cpu::max_without_quota)),
    row("cpu/quota",            one("cpu.cfs_quota_us", cpu::quota),                                one("cpu.max", cpu::max)),
    row("pids/limit",           one("pids.max", other::pids),                                       one("pids.max", other::pids)),
    row("memory/reservation",   one("memory.soft_limit_in_bytes", memory::reservation),             one("memory.low", memory::low)),
    // v1 counts memory and swap together, and together they may not be below memory. On v2 swap comes first.
    row("memory/limit",         one("memory.limit_in_bytes", memory::limit).usage("memory.usage_in_bytes", memory::checked).again(), OTHER_ROW),
    row("memory/swap",          one("memory.memsw.limit_in_bytes", memory::with_swap).usage("memory.memsw.usage_in_bytes", memory::checked_swap).absent_means(&["-1"]), one("memory.swap.max", memory::swap).usage("memory.current", memory::checked_swap).absent_means(&["max", "0"]).late(always)),
    row("memory/limit",         OTHER_ROW,                                                           one("memory.max", memory::max).usage("memory.current", memory::checked).late(always)),
    row("memory/swappiness",    one("memory.swappiness", memory::swappiness),                       NOTHING),
    row("memory/disableOOMKiller", one("memory.oom_control", memory::oom_control),                  NOTHING),
    row("blockIO/weight",       one("blkio.weight", blkio::weight).instead("blkio.bfq.weight", Formula::One(blkio::weight)),
                                one("io.bfq.weight", blkio::weight).instead("io.weight", Formula::One(blkio::converted))),
    row("blockIO/leafWeight",   one("blkio.leaf_weight", blkio::leaf_weight),                       NOTHING),
    row("blockIO/weightDevice", each("blkio.weight_device", blkio::weights).instead("blkio.bfq.weight_device", Formula::Each(blkio::weights)),
                                each("io.bfq.weight", blkio::weights).instead("io.weight", Formula::Each(blkio::converted_weights))),
    row("blockIO/weightDevice", each("blkio.leaf_weight_device", blkio::leaf_weights),              NOTHING),
    row("blockIO/throttleReadBpsDevice",   each("blkio.throttle.read_bps_device", blkio::read_bps),   each("io.max", blkio::rbps)),
    row("blockIO/throttleWriteBpsDevice",  each("blkio.throttle.write_bps_device", blkio::write_bps), each("io.max", blkio::wbps)),
    row("blockIO/throttleReadIOPSDevice",  each("blkio.throttle.read_iops_device", blkio::read_iops), each("io.max", blkio::riops)),
    row("blockIO/throttleWriteIOPSDevice", each("blkio.throttle.write_iops_device", blkio::write_iops), each("io.max", blkio::wiops)),
    row("hugepageLimits",       each("hugetlb.{}.limit_in_bytes", other::hugepages),                each("hugetlb.{}.max", other::hugepages)),
    // Reservations are counted since Linux 5.7; without that the specification is content with the limit of use.
    row("hugepageLimits",       each("hugetlb.{}.rsvd.limit_in_bytes", other::hugepages).optional(), each("hugetlb.{}.rsvd.max", other::hugepages).optional()),
    row("network/classID",      one("net_cls.classid", other::class_id),                            NOTHING),
    row("network/priorities",   each("net_prio.ifpriomap", other::priorities),                      NOTHING),
    row("rdma",                 each("rdma.max", other::rdma),                                      each("rdma.max", other::rdma)),
    // Last: what it says about a file that a field above stands for is what counts. On v1 it is an error, see `plan`.
    row("unified",              OTHER_ROW,                                                           each("{}", other::unified).late(is_about_memory_or_processes)),
];

const fn row(field: &'static str, v1: Cell, v2: Cell) -> Row {
    Row { field, v1, v2 }
}

const fn one(file: &'static str, formula: fn(&LinuxResources) -> Option<String>) -> Cell {
    Cell::new(file, Formula::One(formula))
}

const fn each(file: &'static str, formula: fn(&LinuxResources) -> Vec<Item>) -> Cell {
    Cell::new(file, Formula::Each(formula))
}

fn never(_: &str, _: &str) -> bool {
    false
}

fn always(_: &str, _: &str) -> bool {
    true
}

/// A clone into a cgroup is counted before it exists: with a limit of 0 init could not be cloned.
/// Up to its exec init shares memory with its creator, whom an OOM kill could choose; and it has to be cloned at all.
fn is_about_memory_or_processes(file: &str, _: &str) -> bool {
    file.starts_with("memory.") || file.starts_with("pids.")
}

impl Cell {
    const fn new(file: &'static str, formula: Formula) -> Self {
        Self {
            file,
            formula,
            instead: None,
            again: false,
            usage: None,
            absent_means: &[],
            optional: false,
            late: never,
        }
    }

    const fn instead(self, file: &'static str, formula: Formula) -> Self {
        Self { instead: Some((file, formula)), ..self }
    }

    const fn again(self) -> Self {
        Self { again: true, ..self }
    }

    const fn usage(self, file: &'static str, limit: Limit) -> Self {
        Self { usage: Some((file, limit)), ..self }
    }

    const fn absent_means(self, values: &'static [&'static str]) -> Self {
        Self { absent_means: values, ..self }
    }

    const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    const fn late(self, late: fn(&str, &str) -> bool) -> Self {
        Self { late, ..self }
    }
}

impl Formula {
    /// The values that the resources ask for.
    pub fn items(self, resources: &LinuxResources) -> Vec<Item> {
        match self {
            Self::One(formula) => formula(resources).map(Item::of_field).into_iter().collect(),
            Self::Each(formula) => formula(resources),
            Self::OtherRow | Self::Nothing => Vec::new(),
        }
    }
}

impl Item {
    fn of_field(value: String) -> Self {
        Self { key: String::new(), value, below: String::new() }
    }

    /// The value of an entry of a list.
    pub fn at(index: usize, value: String) -> Self {
        Self { key: String::new(), value, below: format!("/{index}") }
    }
}
