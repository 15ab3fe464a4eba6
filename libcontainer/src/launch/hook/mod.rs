//! Hooks, the caller's half: what they are told, their streams, their time, and what their end means.
//!
//! Every hook is a child of a `teu-init`: that of the container for hooks in the container's namespaces, a helper of its own for those of the
//! runtime's. So no hook is a child of the host, whose `waitpid(-1)` could take its status. The conversation is the same in all cases: init asks
//! for the hook of an index, the answer carries its streams, init tells its end.

pub(crate) mod helper;
mod signals;
pub(crate) mod started;
mod state;
mod streams;

use std::ffi::OsStr;
use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use teu_init::wire;

pub(crate) use self::state::pid_inside;
use self::streams::Streams;
use super::talk;
use crate::plan::{Hook, HookKind, Hooks};
use crate::state::Record;
use crate::sys::poll::poll_each;
use crate::until::{self, Until};
use crate::{Error, ErrorKind, Result, Status, Warning};

/// How long a killed hook may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the hooks of one moment have in common.
pub(crate) struct Stage<'a> {
    pub record: &'a Record,
    pub status: Status,
    /// Init's pid as the hook sees it; 0: there is none.
    pub pid: i32,
    /// When all of the operation must be done.
    pub until: &'a Until,
    /// The container's init, if the conversation is with somebody else: its death ends the hook.
    pub watch: Option<BorrowedFd<'a>>,
}

/// One hook and its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn<'a> {
    pub kind: HookKind,
    pub index: usize,
    pub hook: &'a Hook,
}

/// The hooks of these kinds, in order.
pub(crate) fn turns<'a>(hooks: &'a Hooks, kinds: &[HookKind]) -> Vec<Turn<'a>> {
    let of = |kind: HookKind| {
        hooks.list(kind).iter().enumerate().map(move |(index, hook)| Turn { kind, index, hook })
    };
    kinds.iter().flat_map(|kind| of(*kind)).collect()
}

/// Runs the hooks that come when the container is gone. What they do wrong is a warning.
pub(crate) fn poststop(record: &Record) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |error: Error| {
        let pointer = error.pointer().unwrap_or("/hooks/poststop").to_owned();
        warnings.push(Warning { pointer, message: error.message().to_owned() });
        Ok(())
    };
    let stage = Stage { record, status: Status::Stopped, pid: 0, until: &Until::default(), watch: None };
    let turns = turns(&record.hooks, &[HookKind::Poststop]);
    let done = helper::run(&turns, &stage, &mut warn);
    let _ = done.or_else(&mut warn);
    warnings
}

/// How a hook ended.
enum End {
    /// With this status of wait(2).
    Status(u32),
    /// It was not executed: an errno.
    Unexecuted(i32),
    /// It ran for too long and was killed.
    Overrun,
    /// The operation ran for too long.
    Late,
    /// The operation was cancelled.
    Cancelled,
    /// The container's init died meanwhile.
    Orphaned,
}

impl Stage<'_> {
    /// Answers the question for a hook and waits for its end; the word to go on is left to the caller.
    pub fn run(&self, socket: &OwnedFd, turn: Turn<'_>) -> Result<()> {
        let unstarted = |what: &dyn Display, error: &io::Error| {
            fault(turn, Error::io(what, error).message(), None).kind_is(ErrorKind::Hook)
        };
        let text = self.text()?;
        let (given, mut streams) = streams::make(&self.record.annotations, &text)
            .map_err(|(what, error)| unstarted(&what, &error))?;
        let program = self
            .program(turn)
            .map_err(|error| unstarted(&format_args!("open {}", turn.hook.path.display()), &error))?;
        let fds: Vec<_> = given.iter().chain(&program).map(AsRawFd::as_raw_fd).collect();
        talk::give(socket, wire::GO, &fds).map_err(|error| Error::io("speak to init", &error))?;
        drop((given, program));
        let end = self.wait(socket, turn, &mut streams)?;
        // What is there now: another process may hold the streams for as long as it likes.
        streams.take();
        self.judge(turn, &end, &streams)
    }

    /// A hook that runs in the container's mount namespace is found in the runtime's.
    fn program(&self, turn: Turn<'_>) -> io::Result<Option<OwnedFd>> {
        (turn.kind == HookKind::CreateContainer).then(|| open(&turn.hook.path)).transpose()
    }

    fn wait(&self, socket: &OwnedFd, turn: Turn<'_>, streams: &mut Streams) -> Result<End> {
        let own =
            turn.hook.timeout.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
        let (mut limit, cause) = match (own, self.until.deadline) {
            (Some(own), Some(all)) if all < own => (Some(all), End::Late),
            (Some(own), _) => (Some(own), End::Overrun),
            (None, all) => (all, End::Late),
        };
        let (mut killed, mut unexecuted, mut cause) = (None, None, Some(cause));
        loop {
            let heard = self.next(socket, limit, streams, killed.is_some())?;
            let end = match heard {
                Next::Output => continue,
                Next::Init(wire::UNEXECUTED, errno) => {
                    unexecuted = Some(errno as i32);
                    continue;
                }
                Next::Init(wire::ENDED, status) => {
                    let end = unexecuted.map_or(End::Status(status), End::Unexecuted);
                    return Ok(killed.unwrap_or(end));
                }
                Next::Init(other, _) => {
                    return Err(Error::new(ErrorKind::Internal, format!("init said {other}")));
                }
                Next::Late if killed.is_some() => {
                    return Err(fault(turn, "it was killed and does not end", Some(streams)));
                }
                // Dead already: what is heard next is the hook's end.
                Next::Orphaned if killed.is_some() => continue,
                Next::Late => cause.take().unwrap_or(End::Late),
                Next::Orphaned => End::Orphaned,
                Next::Cancelled => End::Cancelled,
            };
            killed = Some(end);
            limit = Some(Instant::now() + PATIENCE);
            talk::say(socket, wire::KILL).map_err(|error| Error::io("speak to init", &error))?;
        }
    }

    /// What happens next; output is taken on the way.
    fn next(
        &self,
        socket: &OwnedFd,
        limit: Option<Instant>,
        streams: &mut Streams,
        killed: bool,
    ) -> Result<Next> {
        let limit = limit.unwrap_or_else(|| Instant::now() + super::reap::FOREVER);
        let (pipes, watch) = (streams.open(), self.watch);
        let cancel = self.until.cancel.as_ref().filter(|_| !killed).map(AsFd::as_fd);
        let mut files = vec![socket.as_fd()];
        files.extend(cancel);
        files.extend(pipes);
        files.extend(watch);
        let files: Vec<_> = files.into_iter().map(|fd| (fd, libc::POLLIN)).collect();
        let found = poll_each(&files, limit).map_err(|error| Error::io("wait for a hook", &error))?;
        let orphaned = watch.is_some() && found.last() == Some(&true);
        let spoken = found.first() == Some(&true);
        let cancelled = cancel.is_some() && found.get(1) == Some(&true);
        streams.take();
        if spoken {
            let heard = talk::hear(socket).map_err(|error| Error::io("hear from init", &error))?;
            let heard =
                heard.ok_or_else(|| Error::new(ErrorKind::Died, "container init died while a hook ran"))?;
            return Ok(Next::Init(heard.frame.kind, heard.frame.value));
        }
        Ok(match found.contains(&true) {
            _ if orphaned => Next::Orphaned,
            _ if cancelled => Next::Cancelled,
            true => Next::Output,
            false => Next::Late,
        })
    }

    fn judge(&self, turn: Turn<'_>, end: &End, streams: &Streams) -> Result<()> {
        let why = match *end {
            End::Status(0) => return Ok(()),
            End::Status(status) => outcome(status),
            End::Unexecuted(errno) => {
                let what = format!("exec {}", turn.hook.path.display());
                Error::os(what, errno).message().to_owned()
            }
            End::Overrun => {
                let seconds = turn.hook.timeout.unwrap_or(0);
                format!("hook ran past specified timeout of {seconds}.0s")
            }
            End::Late => {
                let error = fault(turn, "the time for the whole operation is over", Some(streams));
                return Err(error.kind_is(ErrorKind::TimedOut));
            }
            End::Cancelled => {
                return Err(until::cancelled().at(format!("/hooks/{}/{}", turn.kind.as_str(), turn.index)));
            }
            End::Orphaned => return Err(Error::new(ErrorKind::Died, "container init died while a hook ran")),
        };
        Err(fault(turn, &why, Some(streams)))
    }
}

/// What a hook that is waited for lets happen.
enum Next {
    /// It wrote, or closed, a stream.
    Output,
    /// Init said this: kind and value.
    Init(u32, u32),
    /// Its time is over.
    Late,
    /// The operation is not wanted any more.
    Cancelled,
    /// The container's init is dead.
    Orphaned,
}

/// The file itself, wherever its path leads for others.
fn open(path: &Path) -> io::Result<OwnedFd> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_PATH).open::<&OsStr>(path.as_os_str())?;
    crate::sys::fs::above_stdio(file.into())
}

/// The words of Go for the end of a process.
fn outcome(status: u32) -> String {
    let status = status as i32;
    if libc::WIFSIGNALED(status) {
        let core = if libc::WCOREDUMP(status) { " (core dumped)" } else { "" };
        format!("signal: {}{core}", signals::words(libc::WTERMSIG(status)))
    } else {
        format!("exit status {}", libc::WEXITSTATUS(status))
    }
}

fn fault(turn: Turn<'_>, why: &str, streams: Option<&Streams>) -> Error {
    let Turn { kind, index, .. } = turn;
    let name = kind.as_str();
    let streams = streams.map_or_else(String::new, |streams| format!(", {streams}"));
    Error::new(ErrorKind::Hook, format!("error running {name} hook #{index}: {why}{streams}"))
        .at(format!("/hooks/{name}/{index}"))
}

#[cfg(test)]
mod tests;
