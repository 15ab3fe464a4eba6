//! Who can still be asked when a group is gone before its counters were read. systemd removes a unit's as soon as it is empty, whoever looks at it.

use std::os::fd::BorrowedFd;

use super::OomCause;
use super::above::Above;
use super::kernel_log::KernelLog;
use crate::cgroup::Cgroup;

/// The log knows exactly; the counters above are for everybody.
#[derive(Debug)]
pub(super) enum Witness {
    Log(KernelLog),
    Above(Above),
}

impl Witness {
    /// `None` for a container without a unit, which is removed by who deletes it.
    pub fn open(cgroup: &Cgroup, init: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> Option<Self> {
        let above = |buffer| Above::open(cgroup, buffer).map(Self::Above);
        KernelLog::open(cgroup, init).map(Self::Log).or_else(|| above(buffer))
    }

    /// Law: looks before the group's own counters are read.
    pub fn look(&mut self, buffer: &mut Vec<u8>) {
        if let Self::Above(above) = self {
            above.look(buffer);
        }
    }

    /// The counters could be read and said nothing new; `spoken`: the kernel has told of the group's memory.
    pub fn settle(&mut self, spoken: bool) {
        if let Self::Above(above) = self {
            above.settle(spoken);
        }
    }

    /// All that has happened up to now is known. Who is killed between the group's own counters and this is passed over: he dies within moments of what is told,
    /// and otherwise the same death could be told twice.
    pub fn forget(&mut self, buffer: &mut Vec<u8>) {
        match self {
            Self::Log(log) => log.forget(),
            Self::Above(above) => {
                above.look(buffer);
                above.settle(true);
            }
        }
    }

    /// The counters are gone: whose limit was reached, if memory ran out.
    pub fn told(self, spoken: bool) -> Option<OomCause> {
        match self {
            Self::Log(mut log) => log.told(),
            Self::Above(above) => above.told(spoken),
        }
    }
}
