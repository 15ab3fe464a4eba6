//! Memory that ran out: an eventfd on v1, `memory.events` on v2.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::witness::Witness;
use super::{Event, OomCause, failed, text};
use crate::cgroup::{Cgroup, key};
use crate::sys::fs::{Resolve, above_stdio, open_below};
use crate::{Error, Result};

/// How long what happens to memory is the same thing as before. The kernel tells of it at most every ten milliseconds, a slow console takes some for each
/// line about it, and the listener has to get there.
pub(super) const RECENT: Duration = Duration::from_secs(1);

/// The kernel's telling, and the counters as they were last.
#[derive(Debug)]
pub(super) enum OomSource {
    /// The eventfd is bound to `memory.oom_control`; `failures` is how often the group's own limit was in the way.
    V1 { event: OwnedFd, control: OwnedFd, failcnt: OwnedFd, failures: u64 },
    /// `memory.events` of the group and those below.
    V2 { file: OwnedFd, known: Known, witness: Option<Witness> },
}

/// What the counters have told.
#[derive(Debug, Default)]
pub(super) struct Known {
    counts: Counts,
    /// When somebody was last killed, or the limit reached.
    grown: Option<Instant>,
}

/// `memory.events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// An allocation was in need of the limit's enforcement, mostly without anybody's harm.
    pub max: u64,
    /// An allocation was about to fail for the group's limit.
    pub oom: u64,
    /// Processes that were killed, whatever for.
    pub kills: u64,
}

impl OomSource {
    /// `None` for a container without a memory controller.
    pub fn open(cgroup: &Cgroup, init: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> Result<Option<Self>> {
        let Some(dir) = cgroup.hierarchy(if cgroup.is_v2() { "" } else { "memory" }) else { return Ok(None) };
        let open = |name: &str, flags| open_below(dir.as_fd(), name, flags, Resolve::Beneath);
        if cgroup.is_v2() {
            let Ok(file) = open("memory.events", libc::O_RDONLY) else { return Ok(None) };
            let witness = Witness::open(cgroup, init, buffer);
            let counts = text(&file, buffer).map(Counts::of).unwrap_or_default();
            return Ok(Some(Self::V2 { file, known: Known::at(counts, None), witness }));
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
            Self::V2 { file, known, witness } => {
                if let Some(witness) = witness {
                    witness.look(buffer);
                }
                let Some(now) = text(file, buffer).map(Counts::of) else {
                    let witness = witness.take().filter(|_| !known.is_going_on());
                    let cause = witness.and_then(|witness| witness.told(spoken));
                    pending.extend(cause.map(|cause| Event::Oom { kills: None, cause }));
                    return false;
                };
                let before = known.counts;
                pending.extend(known.news(now));
                match witness {
                    Some(witness) if now.cause(before).is_some() => witness.forget(buffer),
                    Some(witness) => witness.settle(spoken || now.max > before.max),
                    None => {}
                }
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

impl Known {
    pub fn at(counts: Counts, grown: Option<Instant>) -> Self {
        Self { counts, grown }
    }

    /// What is going on does so, however slow the machine is.
    #[cfg(test)]
    pub fn stays_recent(&mut self) {
        self.grown = self.grown.and_then(|at| at.checked_add(Duration::from_secs(3600)));
    }

    /// What is new. The kernel counts the limit first and who is killed for it later, one by one: for a second after the counters last grew only the limit
    /// begins something new, and other kills belong to what was told.
    pub fn news(&mut self, now: Counts) -> Option<Event> {
        let (before, goes_on) = (std::mem::replace(&mut self.counts, now), self.is_going_on());
        let cause = now.cause(before)?;
        self.grown = Some(Instant::now());
        (cause == OomCause::Limit || !goes_on).then_some(Event::Oom { kills: Some(now.kills), cause })
    }

    /// Whether more of what was told may come.
    fn is_going_on(&self) -> bool {
        self.grown.is_some_and(|at| at.elapsed() < RECENT)
    }
}

impl Counts {
    pub fn of(text: &str) -> Self {
        let number = |name| key(text, name).unwrap_or(0);
        Self { max: number("max"), oom: number("oom"), kills: number("oom_kill") }
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
