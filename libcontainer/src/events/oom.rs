//! Memory that ran out: an eventfd on v1, `memory.events` on v2.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::witness::Witness;
use super::{Event, OomCause, failed, text};
use crate::cgroup::{Cgroup, key};
use crate::sys::fs::{Resolve, above_stdio, open_below};
use crate::{Error, Result};

/// The kernel's telling, and the counters as they were last.
#[derive(Debug)]
pub(super) enum OomSource {
    /// The eventfd is bound to `memory.oom_control`; `failures` is how often the group's own limit was in the way.
    V1 { event: OwnedFd, control: OwnedFd, failcnt: OwnedFd, failures: u64 },
    /// `memory.events` of the group and those below.
    V2 { file: OwnedFd, counts: Counts, witness: Option<Witness> },
}

/// `memory.events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// An allocation was about to fail for the group's limit.
    pub oom: u64,
    /// Processes that were killed, whatever for.
    pub kills: u64,
}

impl OomSource {
    /// `None` for a container without a memory controller.
    pub fn open(cgroup: &Cgroup, buffer: &mut Vec<u8>) -> Result<Option<Self>> {
        let Some(dir) = cgroup.hierarchy(if cgroup.is_v2() { "" } else { "memory" }) else { return Ok(None) };
        let open = |name: &str, flags| open_below(dir.as_fd(), name, flags, Resolve::Beneath);
        if cgroup.is_v2() {
            let Ok(file) = open("memory.events", libc::O_RDONLY) else { return Ok(None) };
            let witness = Witness::open(cgroup, buffer);
            let counts = text(&file, buffer).map(Counts::of).unwrap_or_default();
            return Ok(Some(Self::V2 { file, counts, witness }));
        }
        let failed_at =
            |name: &str, error: &std::io::Error| Error::io(format!("open {name} of the container"), error);
        let open = |name: &str, flags| open(name, flags).map_err(|error| failed_at(name, &error));
        let (control, failcnt) =
            (open("memory.oom_control", libc::O_RDONLY)?, open("memory.failcnt", libc::O_RDONLY)?);
        let register = open("cgroup.event_control", libc::O_WRONLY)?;
        let event = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let event = event.map_err(|errno| failed("eventfd2", errno))?;
        let event = above_stdio(event.into()).map_err(|error| Error::io("eventfd2", &error))?;
        // The kernel keeps the files for as long as the group, or we, live.
        let line = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
        nix::unistd::write(&register, line.as_bytes())
            .map_err(|errno| failed("write cgroup.event_control", errno))?;
        let failures = number(&failcnt, buffer);
        Ok(Some(Self::V1 { event, control, failcnt, failures }))
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::V1 { event, .. } => event.as_fd(),
            Self::V2 { file, .. } => file.as_fd(),
        }
    }

    /// Notes what is new. False when the group is gone. `spoken`: the kernel has told that something is new.
    pub fn happened(&mut self, spoken: bool, buffer: &mut Vec<u8>, pending: &mut VecDeque<Event>) -> bool {
        match self {
            Self::V1 { event, control, failcnt, failures } => {
                let told = nix::unistd::read(&*event, &mut [0; 8]).is_ok();
                // The end of a group is told in the same way.
                let Some(kills) = text(control, buffer).map(|text| key(text, "oom_kill")) else {
                    return false;
                };
                let now = number(failcnt, buffer);
                if told {
                    let cause = if now > *failures { OomCause::Limit } else { OomCause::Outside };
                    pending.push_back(Event::Oom { kills, cause });
                }
                *failures = now;
                true
            }
            Self::V2 { file, counts, witness } => {
                if let Some(witness) = witness {
                    witness.look(buffer);
                }
                let Some(now) = text(file, buffer).map(Counts::of) else {
                    let cause = witness.take().and_then(|witness| witness.told(spoken));
                    pending.extend(cause.map(|cause| Event::Oom { kills: None, cause }));
                    return false;
                };
                let news = now.since(*counts);
                match (witness, news) {
                    (Some(witness), None) => witness.settle(spoken),
                    (Some(witness), Some(_)) => witness.forget(buffer),
                    (None, _) => {}
                }
                pending.extend(news);
                *counts = now;
                true
            }
        }
    }

    /// Init has ended: of a group that goes now there is nothing more to say.
    pub fn ended(&mut self) {
        if let Self::V2 { witness, .. } = self {
            *witness = None;
        }
    }
}

fn number(file: &OwnedFd, buffer: &mut Vec<u8>) -> u64 {
    text(file, buffer).and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

impl Counts {
    pub fn of(text: &str) -> Self {
        Self { oom: key(text, "oom").unwrap_or(0), kills: key(text, "oom_kill").unwrap_or(0) }
    }

    /// What has happened since `before`.
    pub fn since(self, before: Self) -> Option<Event> {
        self.cause(before).map(|cause| Event::Oom { kills: Some(self.kills), cause })
    }

    /// Whose limit was reached since `before`. A kill without the group's own limit was somebody else's doing.
    pub fn cause(self, before: Self) -> Option<OomCause> {
        match (self.oom > before.oom, self.kills > before.kills) {
            (true, _) => Some(OomCause::Limit),
            (false, true) => Some(OomCause::Outside),
            (false, false) => None,
        }
    }
}
