//! `process.rlimits`: set by init just before it gives its rights up, when nothing is opened any more: a limit may be too small for init itself.
//!
//! Root of a new user namespace may not raise a limit. There the caller sets them, on an init that is ready.

use oci_spec::runtime::{PosixRlimitType, Process};

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// The resource's number (RLIMIT_*).
    pub resource: u32,
    /// The limit in force, in the resource's own unit (bytes, seconds, a count: see `getrlimit(2)`); `u64::MAX` is none.
    pub soft: u64,
    /// The limit up to which the process may raise it; the same unit.
    pub hard: u64,
    /// Index in `process.rlimits`.
    pub index: usize,
}

/// The word of a resource.
pub fn name(resource: u32) -> &'static str {
    NAMES.get(resource as usize).unwrap_or(&"?")
}

/// Words of the resources in the order of their numbers.
const NAMES: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// Reads the limits.
pub fn rlimits(process: &Process) -> Vec<Rlimit> {
    let listed = process.rlimits().as_deref().unwrap_or(&[]);
    let limits = listed.iter().enumerate().map(|(index, limit)| Rlimit {
        resource: number(limit.typ()),
        soft: limit.soft(),
        hard: limit.hard(),
        index,
    });
    limits.collect()
}

fn number(resource: PosixRlimitType) -> u32 {
    match resource {
        PosixRlimitType::RlimitCpu => 0,
        PosixRlimitType::RlimitFsize => 1,
        PosixRlimitType::RlimitData => 2,
        PosixRlimitType::RlimitStack => 3,
        PosixRlimitType::RlimitCore => 4,
        PosixRlimitType::RlimitRss => 5,
        PosixRlimitType::RlimitNproc => 6,
        PosixRlimitType::RlimitNofile => 7,
        PosixRlimitType::RlimitMemlock => 8,
        PosixRlimitType::RlimitAs => 9,
        PosixRlimitType::RlimitLocks => 10,
        PosixRlimitType::RlimitSigpending => 11,
        PosixRlimitType::RlimitMsgqueue => 12,
        PosixRlimitType::RlimitNice => 13,
        PosixRlimitType::RlimitRtprio => 14,
        PosixRlimitType::RlimitRttime => 15,
    }
}
