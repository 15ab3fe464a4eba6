//! Thresholds of pressure (`Documentation/accounting/psi.rst`, Linux 5.2), on cgroup2 and on the cgroup2 of a hybrid host.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::{Event, text, unsupported};
use crate::cgroup::Cgroup;
use crate::sys::fs::{Resolve, open_below};
use crate::{Error, ErrorKind, Result};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PressureResource {
    /// CPUs.
    Cpu,
    /// Memory.
    Memory,
    /// Block devices.
    Io,
}

/// More waiting than `stall` within a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PressureTrigger {
    /// What is waited for.
    pub resource: PressureResource,
    /// Only the time in which all tasks wait; else that in which at least one does.
    pub full: bool,
    /// So much waiting.
    pub stall: Duration,
    /// Within so much time: 500 milliseconds to 10 seconds, without CAP_SYS_RESOURCE a multiple of two seconds.
    pub window: Duration,
}

/// A trigger that is set. It lives as long as its descriptor.
#[derive(Debug)]
pub(super) struct PressureSource {
    trigger: PressureTrigger,
    file: OwnedFd,
    index: usize,
    /// The microseconds of waiting when it last fired.
    total: u64,
}

impl PressureTrigger {
    /// What is written to the file.
    pub(super) fn line(&self) -> Result<String> {
        let micros = |time: Duration| u32::try_from(time.as_micros()).ok().filter(|time| *time > 0);
        let (Some(stall), Some(window)) = (micros(self.stall), micros(self.window)) else {
            return Err(invalid("a threshold of pressure has no time, or too much of it"));
        };
        if stall > window || !(500_000..=10_000_000).contains(&window) {
            return Err(invalid("a threshold of pressure is a time within a window of 0.5 to 10 seconds"));
        }
        Ok(format!("{} {stall} {window}", self.word()))
    }

    fn word(&self) -> &'static str {
        if self.full { "full" } else { "some" }
    }

    fn file(&self) -> &'static str {
        match self.resource {
            PressureResource::Cpu => "cpu.pressure",
            PressureResource::Memory => "memory.pressure",
            PressureResource::Io => "io.pressure",
        }
    }
}

impl PressureSource {
    pub fn open(cgroup: &Cgroup, trigger: PressureTrigger, index: usize) -> Result<Self> {
        let (line, name) = (trigger.line()?, trigger.file());
        let dir =
            cgroup.hierarchy("").ok_or_else(|| unsupported(format!("{name}: pressure needs cgroup2")))?;
        let opened = open_below(dir.as_fd(), name, libc::O_RDWR, Resolve::Beneath);
        let file = opened.map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT) => unsupported(format!("{name}: this kernel does not measure pressure")),
            _ => Error::io(format!("open {name} of the container"), &error),
        })?;
        let written = nix::unistd::write(&file, line.as_bytes());
        written.map_err(|errno| Error::os(format!("write {line:?} to {name}"), errno as i32))?;
        let mut source = Self { trigger, file, index, total: 0 };
        source.total = source.total_now(&mut vec![0; 512]).unwrap_or(0);
        Ok(source)
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Notes the event. False when the group is gone.
    pub fn happened(&mut self, buffer: &mut Vec<u8>, pending: &mut VecDeque<Event>) -> bool {
        let Some(total) = self.total_now(buffer) else { return false };
        self.total = total;
        pending.push_back(Event::Pressure(self.index));
        true
    }

    /// Notes an event that somebody else took: there was as much waiting as the threshold says.
    pub fn look(&mut self, buffer: &mut Vec<u8>, pending: &mut VecDeque<Event>) {
        let waited = self.total_now(buffer).and_then(|total| total.checked_sub(self.total));
        if waited.is_some_and(|waited| u128::from(waited) >= self.trigger.stall.as_micros()) {
            self.happened(buffer, pending);
        }
    }

    fn total_now(&self, buffer: &mut Vec<u8>) -> Option<u64> {
        let text = text(&self.file, buffer)?;
        let line = text.lines().find_map(|line| line.strip_prefix(self.trigger.word()))?;
        line.split_ascii_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
