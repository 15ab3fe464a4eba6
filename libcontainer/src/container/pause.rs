//! `pause` and `resume`: the freezer; and who is there to be frozen.

use std::time::Duration;

use super::Container;
use crate::cgroup::Cgroup;
use crate::lifecycle::{Operation, permits};
use crate::until::{Patience, Until};
use crate::{Error, ErrorKind, Result, Status};

/// How long the processes may take to stand.
const LIMIT: Duration = Duration::from_secs(10);

impl Container {
    /// Stops every process of the container by the cgroup's freezer, and returns when all of them stand. If they do not within ten seconds, they go on.
    ///
    /// # Errors
    /// `NotRunning` if the container has stopped; `InvalidState` if it is paused already; `Unsupported` if it has no cgroup that can be frozen; `TimedOut`;
    /// `Denied` or `Cgroup`: the kernel refuses.
    pub fn pause(&self) -> Result<()> {
        self.pause_within(&Patience::default())
    }

    /// The same, and no longer than `patience` allows; a cancellation counts until the freezer is asked.
    ///
    /// # Errors
    /// As [`Container::pause`]; `Cancelled`.
    pub fn pause_within(&self, patience: &Patience) -> Result<()> {
        let until = Until::from(patience);
        until.check()?;
        let _locked = self.locked_until(&until)?;
        self.current(|now| match now.observe()? {
            status if permits(status, Operation::Pause) => now.cgroup()?.pause(until.within(LIMIT)),
            Status::Paused => {
                Err(Error::new(ErrorKind::InvalidState, "container not running: container paused"))
            }
            _ => Err(super::not_running()),
        })
    }

    /// Lets the processes of a paused container go on.
    ///
    /// # Errors
    /// `InvalidState` if it is not paused; `Denied` or `Cgroup`: the kernel refuses.
    pub fn resume(&self) -> Result<()> {
        self.resume_within(&Patience::default())
    }

    /// The same, and another operation on the container is waited for no longer than `patience`.
    ///
    /// # Errors
    /// As [`Container::resume`]; `TimedOut`, `Cancelled`.
    pub fn resume_within(&self, patience: &Patience) -> Result<()> {
        let until = Until::from(patience);
        until.check()?;
        let _locked = self.locked_until(&until)?;
        self.current(|now| match permits(now.observe()?, Operation::Resume) {
            true => now.cgroup()?.resume(),
            false => Err(Error::new(ErrorKind::InvalidState, "container not paused")),
        })
    }

    /// The ids of all processes of the container's cgroup and of those below it, in rising order, in the caller's pid namespace: one that cannot be seen from
    /// there is left out. A stopped container may still have some if it shares its pid namespace.
    ///
    /// # Errors
    /// `Unsupported` for a container without a cgroup; the kernel does not tell.
    pub fn processes(&self) -> Result<Vec<i32>> {
        self.current(|now| {
            if now.record.cgroup.dirs.is_empty() && now.observe()? != Status::Stopped {
                let why = "the container was made without a cgroup, which would tell its processes";
                return Err(Error::new(ErrorKind::Unsupported, format!("cgroup not exist: {why}")));
            }
            let mut pids = Cgroup::open(&now.record.cgroup)?.procs()?;
            pids.sort_unstable();
            pids.dedup();
            Ok(pids)
        })
    }
}
