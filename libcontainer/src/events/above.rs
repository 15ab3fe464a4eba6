//! Memory that ran out in a group that is gone, as the counters of the group above tell it: they count what happens below, and nobody needs a right to them.
//!
//! Others are counted there too. That it was this group is believed if the kernel has spoken of its memory just before: so it does whenever a limit is reached.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use super::oom::{Counts, RECENT};
use super::{OomCause, text};
use crate::cgroup::Cgroup;
use crate::sys::fs::{Resolve, open_below};

/// `memory.events` of the slice that a unit is in.
#[derive(Debug)]
pub(super) struct Above {
    file: OwnedFd,
    /// What has nothing to do with what comes.
    known: Counts,
    seen: Counts,
    /// When the kernel last told the group itself that something has happened to its memory.
    spoken: Option<Instant>,
}

impl Above {
    /// `None` for a container without a unit, which is removed by who deletes it.
    pub fn open(cgroup: &Cgroup, buffer: &mut Vec<u8>) -> Option<Self> {
        let dir = cgroup.above_unit()?;
        let file = open_below(dir.as_fd(), "memory.events", libc::O_RDONLY, Resolve::Beneath).ok()?;
        Some(Self::of(file, buffer))
    }

    pub(super) fn of(file: OwnedFd, buffer: &mut Vec<u8>) -> Self {
        let counts = text(&file, buffer).map(Counts::of).unwrap_or_default();
        Self { file, known: counts, seen: counts, spoken: None }
    }

    /// Looks at the counters. The kernel counts from below: what is seen here can be seen in the group from now on.
    pub fn look(&mut self, buffer: &mut Vec<u8>) {
        self.seen = text(&self.file, buffer).map_or(self.known, Counts::of);
    }

    /// What was spoken stays recent, however slow the machine is.
    #[cfg(test)]
    pub fn stays_recent(&mut self) {
        self.spoken = self.spoken.and_then(|at| at.checked_add(std::time::Duration::from_secs(3600)));
    }

    /// The group was there after the look.
    pub fn settle(&mut self, spoken: bool) {
        self.known = self.seen;
        if spoken {
            self.spoken = Some(Instant::now());
        }
    }

    /// Whose limit was reached, as it was seen by the last look.
    pub fn told(&self, spoken: bool) -> Option<OomCause> {
        let spoken = spoken || self.spoken.is_some_and(|at| at.elapsed() < RECENT);
        self.seen.cause(self.known).filter(|_| spoken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: &str = "max 3\noom 1\noom_kill 1\n";
    const KILLED: &str = "max 9\noom 2\noom_kill 3\n";
    const MACHINE: &str = "max 3\noom 1\noom_kill 2\n";

    /// What is told of a group that is gone. The slice says `texts` one after the other; between the looks at them the group is there and `acts` are done.
    fn told(texts: &[&str], acts: impl Fn(&mut Above), spoken: bool) -> Option<OomCause> {
        let path = std::env::temp_dir().join(format!(
            "teu-above-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let (mut buffer, (last, before)) = (vec![0; 64], texts.split_last().unwrap());
        std::fs::write(&path, before[0]).unwrap();
        let mut above = Above::of(std::fs::File::open(&path).unwrap().into(), &mut buffer);
        for text in before {
            std::fs::write(&path, text).unwrap();
            above.look(&mut buffer);
            acts(&mut above);
        }
        std::fs::write(&path, last).unwrap();
        above.look(&mut buffer);
        std::fs::remove_file(&path).unwrap();
        above.told(spoken)
    }

    #[test]
    fn who_was_spoken_of_and_is_gone_was_killed_if_somebody_was() {
        assert_eq!(told(&[QUIET, KILLED], |_| (), true), Some(OomCause::Limit));
        assert_eq!(told(&[QUIET, MACHINE], |_| (), true), Some(OomCause::Outside));
        let lately = |above: &mut Above| {
            above.settle(true);
            above.stays_recent();
        };
        assert_eq!(told(&[QUIET, KILLED], lately, false), Some(OomCause::Limit));
        assert_eq!(told(&[QUIET, QUIET], |above| above.settle(true), true), None, "nobody was");
    }

    #[test]
    fn of_whom_nothing_was_said_lately_it_was_another() {
        assert_eq!(told(&[QUIET, KILLED], |_| (), false), None);
        assert_eq!(told(&[QUIET, KILLED], |above| above.settle(false), false), None);
        let long_ago = |above: &mut Above| above.spoken = Instant::now().checked_sub(RECENT);
        assert_eq!(told(&[QUIET, KILLED], long_ago, false), None);
    }

    #[test]
    fn what_was_before_the_group_was_last_there_is_known() {
        assert_eq!(told(&[QUIET, KILLED, KILLED], |above| above.settle(true), true), None);
        assert_eq!(told(&[KILLED, ""], |_| (), true), None, "a slice that is gone says nothing");
    }
}
