//! What happens to a container, behind one descriptor: memory that ran out, the end of init, frozen and thawed, pressure.
//!
//! The descriptor is an epoll of everything that the kernel tells about the container; there is no thread behind it. Law: memory that ran out is told before
//! the end that it caused.

mod above;
mod kernel_log;
mod oom;
mod pressure;
mod witness;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::cgroup::{Cgroup, key};
use crate::sys::fs::{Resolve, above_stdio, open_below, read_at_start};
use crate::until::{self, Patience, Until, Woken};
use crate::{Error, ErrorKind, Result};
use oom::OomSource;
use pressure::PressureSource;
pub use pressure::{PressureResource, PressureTrigger};

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventOptions {
    /// Leave out [`Event::Oom`]; otherwise a container without a memory controller has none.
    pub no_oom: bool,
    /// Thresholds of pressure.
    pub pressure: Vec<PressureTrigger>,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Memory ran out. Who is killed within a second of it belongs to it and is not told again, unless the container's own limit was reached once more.
    ///
    /// systemd removes the cgroup of a unit as soon as it is empty, often before its counters could be read. Then, on cgroup v2 alone, the kernel's log is
    /// asked (`/dev/kmsg`, mostly for CAP_SYSLOG alone), and by who may not read it the counters of the slice. Only [`Event::Exit`] is told if these do not
    /// know either, among others:
    /// - the log of one victim that is not init, without `memory.oom.group`, if more than ten in five seconds were killed for memory on the machine; of a
    ///   line that the kernel has split, cut or overwritten; and of what is behind a million records;
    /// - the slice if it is gone too, is the root, or does not count what is below (`memory_localevents`), or if the caller comes more than a second late.
    ///
    /// The slice counts others as well: who reaches his limit in his last second, while somebody in the same slice is killed for memory, passes for a victim.
    /// The log knows a container by its path: a caller who has not looked while the unit ended and was made again takes the later one's death for this one's.
    Oom {
        /// How many processes were killed for it since the container was made, up to now: the limit is counted before the first. Absent where the kernel
        /// does not count (Linux < 4.13 on v1), and when the counters were gone.
        kills: Option<u64>,
        /// Why.
        cause: OomCause,
    },
    /// Init has ended: [`crate::Container::wait`] tells how.
    Exit,
    /// There is no process left in the container's cgroup, or no cgroup. Told by cgroup2, also on hybrid hosts.
    Empty,
    /// All processes stand. Told by v2 alone: the freezer of v1 tells nobody.
    Frozen,
    /// They go on.
    Thawed,
    /// A threshold was passed: the index in [`EventOptions::pressure`].
    Pressure(usize),
}

/// Whose limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomCause {
    /// The container's own.
    Limit,
    /// Not the container's own: a group above, or the machine's memory.
    Outside,
}

/// The events of one container. Dropping it ends nothing but the telling.
#[derive(Debug)]
pub struct Events {
    epoll: Epoll,
    sources: Vec<Source>,
    pending: VecDeque<Event>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    Init(OwnedFd),
    Oom(OomSource),
    Cgroup(CgroupSource),
    Pressure(PressureSource),
}

/// `cgroup.events` of cgroup2.
#[derive(Debug)]
struct CgroupSource {
    file: OwnedFd,
    /// Of a hybrid host it tells who is there, and nothing of the freezer.
    freezes: bool,
    populated: bool,
    frozen: bool,
}

impl Events {
    /// Listens to a container: `init` is its first process.
    pub(crate) fn new(init: OwnedFd, cgroup: &Cgroup, options: &EventOptions) -> Result<Self> {
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| failed("epoll_create1", errno))?;
        let epoll = Epoll(above_stdio(epoll.0).map_err(|error| Error::io("epoll_create1", &error))?);
        let mut events =
            Self { epoll, sources: Vec::new(), pending: VecDeque::with_capacity(8), buffer: vec![0; 4096] };
        let oom =
            if options.no_oom { None } else { OomSource::open(cgroup, init.as_fd(), &mut events.buffer)? };
        if let Some(oom) = oom {
            events.add(Source::Oom(oom))?;
        }
        if let Some(source) = events.cgroup_source(cgroup) {
            events.add(Source::Cgroup(source))?;
        }
        for (index, trigger) in options.pressure.iter().enumerate() {
            events.add(Source::Pressure(PressureSource::open(cgroup, *trigger, index)?))?;
        }
        events.add(Source::Init(init))?;
        Ok(events)
    }

    fn cgroup_source(&mut self, cgroup: &Cgroup) -> Option<CgroupSource> {
        let dir = cgroup.hierarchy("")?;
        let file = open_below(dir.as_fd(), "cgroup.events", libc::O_RDONLY, Resolve::Beneath).ok()?;
        let mut source = CgroupSource { file, freezes: cgroup.is_v2(), populated: true, frozen: false };
        // What is so already is no event; and only a file that was read tells of changes.
        source.read(&mut self.buffer, &mut VecDeque::new());
        Some(source)
    }

    fn add(&mut self, source: Source) -> Result<()> {
        let flags = match &source {
            Source::Init(_) | Source::Oom(OomSource::V1 { .. }) => EpollFlags::EPOLLIN,
            // Told once each time: that the file has gone since looks the same.
            Source::Oom(OomSource::V2 { .. }) => EpollFlags::EPOLLPRI | EpollFlags::EPOLLET,
            Source::Cgroup(_) | Source::Pressure(_) => EpollFlags::EPOLLPRI,
        };
        let index = self.sources.len() as u64;
        self.epoll
            .add(source.fd(), EpollEvent::new(flags, index))
            .map_err(|errno| failed("epoll_ctl", errno))?;
        self.sources.push(source);
        Ok(())
    }

    /// The descriptor: readable when [`Events::next`] has something to say. It may be readable for nothing.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// The next event that has happened, if there is one. Does not wait. After [`Event::Exit`] and [`Event::Empty`] nothing more comes.
    ///
    /// # Errors
    /// The kernel does not tell.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Event>> {
        self.within(Some(Duration::ZERO))
    }

    /// The next event, waited for until `deadline`, or for ever.
    ///
    /// # Errors
    /// As [`Events::next`].
    pub fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<Event>> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.within(left)? {
                None if left.is_none_or(|left| !left.is_zero()) => {}
                event => return Ok(event),
            }
        }
    }

    /// The next event, waited for no longer than `patience`.
    ///
    /// # Errors
    /// As [`Events::next`]; `TimedOut`, `Cancelled`.
    pub fn wait_within(&mut self, patience: &Patience) -> Result<Event> {
        let until = Until::from(patience);
        loop {
            if let Some(event) = self.next()? {
                return Ok(event);
            }
            match until.wait(&[self.fd()], libc::POLLIN) {
                Ok(Woken::Ready) => {}
                Ok(Woken::Late) => return Err(until::late()),
                Ok(Woken::Cancelled) => return Err(until::cancelled()),
                Err(error) => return Err(Error::io("wait for an event", &error)),
            }
        }
    }

    fn within(&mut self, limit: Option<Duration>) -> Result<Option<Event>> {
        if let Some(event) = self.pending.pop_front() {
            return Ok(Some(event));
        }
        // Rounded up: a wait that ends early would be one more turn.
        let limit = limit.map(|limit| limit.as_micros().div_ceil(1000));
        let timeout = match limit.map(i32::try_from) {
            Some(Ok(limit)) => EpollTimeout::try_from(limit).unwrap_or(EpollTimeout::ZERO),
            Some(Err(_)) => EpollTimeout::MAX,
            None => EpollTimeout::NONE,
        };
        let mut ready = [EpollEvent::empty(); 16];
        let count = match self.epoll.wait(&mut ready, timeout) {
            Err(nix::Error::EINTR) => 0,
            other => other.map_err(|errno| failed("epoll_wait", errno))?,
        };
        self.all_happened(ready.get_mut(..count).unwrap_or_default())?;
        if count == 0 {
            self.look_at_pressure();
        }
        Ok(self.pending.pop_front())
    }

    /// Memory is the first source: that the kernel has told of it counts when the end is looked at.
    fn all_happened(&mut self, ready: &mut [EpollEvent]) -> Result<()> {
        ready.sort_unstable_by_key(EpollEvent::data);
        ready.iter().try_for_each(|event| self.happened(usize::try_from(event.data()).unwrap_or(usize::MAX)))
    }

    fn happened(&mut self, index: usize) -> Result<()> {
        // Who else is told that the group is empty may remove it, and its counters with it: they come first.
        match self.sources.get(index) {
            Some(Source::Cgroup(_)) => self.look_at_memory(false),
            Some(Source::Init(_)) => {
                self.look_at_memory(true);
                self.pending.push_back(Event::Exit);
            }
            _ => {}
        }
        let Some(source) = self.sources.get_mut(index) else { return Ok(()) };
        let goes_on = match source {
            Source::Oom(oom) => oom.happened(true, &mut self.buffer, &mut self.pending),
            Source::Cgroup(cgroup) => cgroup.read(&mut self.buffer, &mut self.pending),
            Source::Pressure(pressure) => pressure.happened(&mut self.buffer, &mut self.pending),
            Source::Init(_) => false,
        };
        if !goes_on {
            self.epoll.delete(source.fd()).map_err(|errno| failed("epoll_ctl", errno))?;
        }
        Ok(())
    }

    /// What is the cause of the end may not have been looked at when that is told.
    fn look_at_memory(&mut self, ended: bool) {
        for source in &mut self.sources {
            if let Source::Oom(oom) = source {
                oom.happened(false, &mut self.buffer, &mut self.pending);
                if ended {
                    oom.ended();
                }
            }
        }
    }

    /// Who polls the descriptor of the epoll takes the event of a trigger from it: then the counter tells that it was there.
    fn look_at_pressure(&mut self) {
        for source in &mut self.sources {
            if let Source::Pressure(pressure) = source {
                pressure.look(&mut self.buffer, &mut self.pending);
            }
        }
    }
}

impl Source {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Init(fd) => fd.as_fd(),
            Self::Oom(oom) => oom.fd(),
            Self::Cgroup(source) => source.file.as_fd(),
            Self::Pressure(pressure) => pressure.fd(),
        }
    }
}

impl CgroupSource {
    /// Notes what changed. False when there is no cgroup any more.
    fn read(&mut self, buffer: &mut Vec<u8>, pending: &mut VecDeque<Event>) -> bool {
        let text = text(&self.file, buffer);
        let (populated, frozen) = match text {
            Some(text) => (key(text, "populated") != Some(0), self.freezes && key(text, "frozen") == Some(1)),
            None => (false, false),
        };
        if frozen != self.frozen {
            pending.push_back(if frozen { Event::Frozen } else { Event::Thawed });
        }
        if self.populated && !populated {
            pending.push_back(Event::Empty);
        }
        (self.populated, self.frozen) = (populated, frozen);
        text.is_some()
    }
}

/// What a file says now; `None` if its group is gone.
fn text<'a>(file: &OwnedFd, buffer: &'a mut Vec<u8>) -> Option<&'a str> {
    let length = read_at_start(file, buffer).ok()?;
    std::str::from_utf8(buffer.get(..length)?).ok()
}

fn failed(what: &str, errno: nix::Error) -> Error {
    Error::os(what, errno as i32)
}

fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests;
