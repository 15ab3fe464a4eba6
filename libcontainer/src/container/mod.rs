//! A container that exists: its state, its start, its signals, its end.

mod events;
mod exec;
mod mounts;
mod notify;
mod pause;
pub(crate) mod remove;
mod salvage;
mod start;
mod stats;
mod update;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

pub use self::exec::Process;
use crate::cgroup::Cgroup;
use crate::launch::reap;
use crate::lifecycle::{Operation, permits};
use crate::options::Delete;
use crate::spec::Id;
use crate::state::{self, Record, State, StateDir, Summary, dir::not_found};
use crate::sys::pidfd::pidfd_send_signal;
use crate::sys::process::Ended;
use crate::terminal::Terminal;
use crate::until::{self, Patience, Until};
use crate::{Error, ErrorKind, Result, Status, Warning, sys};

/// A container. Dropping it changes nothing: containers outlive their handles.
///
/// Every method may be called from any thread. `start`, `pause`, `resume`, `update` and `delete` of one container exclude each other, across processes too.
#[derive(Debug)]
pub struct Container {
    dir: Arc<StateDir>,
    record: Record,
    pidfd: Option<OwnedFd>,
    terminal: Option<Terminal>,
    listener: Option<OwnedFd>,
    exit: OnceLock<Exit>,
}

/// How the container's init ended. Both are absent if somebody else took the status and the kernel does not keep it (Linux < 6.15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, 0 to 255.
    pub code: Option<i32>,
    /// The signal that killed it.
    pub signal: Option<i32>,
}

impl Exit {
    /// One number as shells make it: the code, or 128 and the signal; 255 if it is not known.
    pub fn status(&self) -> i32 {
        match (self.code, self.signal) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => 255,
        }
    }
}

impl From<Option<Ended>> for Exit {
    fn from(ended: Option<Ended>) -> Self {
        match ended {
            Some(Ended::Code(code)) => Self { code: Some(code), signal: None },
            Some(Ended::Signal(signal)) => Self { code: None, signal: Some(signal) },
            None => Self::default(),
        }
    }
}

impl Container {
    pub(crate) fn created(
        dir: Arc<StateDir>,
        record: Record,
        pidfd: Option<OwnedFd>,
        terminal: Option<Terminal>,
        listener: Option<OwnedFd>,
    ) -> Self {
        Self { dir, record, pidfd, terminal, listener, exit: OnceLock::new() }
    }

    pub(crate) fn opened(dir: Arc<StateDir>, record: Record) -> Result<Self> {
        // A process that cannot be asked for is not a process that is gone.
        let open = |init: &state::InitRecord| {
            init.open().map_err(|error| {
                Error::io(format!("open process {}, the container's init", init.pid), &error)
            })
        };
        let pidfd = record.init.as_ref().map(open).transpose()?.flatten();
        Ok(Self { dir, record, pidfd, terminal: None, listener: None, exit: OnceLock::new() })
    }

    /// The terminal of a container that was just created with one and without a `console_socket`; once. Left in the handle it is closed with it, and the
    /// container's session gets a hangup.
    pub fn take_terminal(&mut self) -> Option<Terminal> {
        self.terminal.take()
    }

    /// The listener of the filter of a container that was just created with `keep_seccomp_listener`; once. Who has it answers the calls of
    /// SCMP_ACT_NOTIFY (`ioctl` SECCOMP_IOCTL_NOTIF_RECV). Left in the handle it is closed with it, and what waits for an answer gets ENOSYS.
    pub fn take_seccomp_listener(&mut self) -> Option<OwnedFd> {
        self.listener.take()
    }

    /// The container's id.
    pub fn id(&self) -> &Id {
        self.dir.id()
    }

    /// Init's pid in the creator's pid namespace, alive or not. A pid may be used again: to act on the process, use [`Container::pidfd`].
    pub fn pid(&self) -> Option<i32> {
        self.record.init.as_ref().map(|init| init.pid)
    }

    /// A descriptor of init: readable when it has ended. `None` if it had ended before this handle was made.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// The state as the specification defines it.
    ///
    /// # Errors
    /// `NotFound` if the container was deleted meanwhile.
    pub fn state(&self) -> Result<State> {
        self.current(|now| Ok(State::of(&now.dir, &now.record, now.observe()?)))
    }

    /// What is asked for most often.
    ///
    /// # Errors
    /// As [`Container::state`].
    pub fn summary(&self) -> Result<Summary> {
        self.current(|now| Ok(Summary::of(&now.record, now.observe()?)))
    }

    /// The status alone.
    ///
    /// # Errors
    /// As [`Container::state`].
    pub fn status(&self) -> Result<Status> {
        self.current(Self::observe)
    }

    /// Lets init execute the container's program. With `startContainer` or `poststart` hooks it returns when these have run, and then an error of the
    /// execution is seen here as well.
    ///
    /// # Errors
    /// `InvalidState` if it is not created: running, stopped, or its init died while waiting. `InvalidSpec` if its configuration had no `process`. `Hook`: the
    /// container has been ended; it is to be deleted.
    pub fn start(&self) -> Result<()> {
        self.start_within(&Patience::default())
    }

    /// The same, and the hooks may take no longer than `patience`.
    ///
    /// # Errors
    /// As [`Container::start`]; `TimedOut` and `Cancelled`: the container has been ended if a hook ran.
    pub fn start_within(&self, patience: &Patience) -> Result<()> {
        let until = Until::from(patience);
        until.check()?;
        let locked = self.locked_until(&until)?;
        let status = self.status()?;
        if !permits(status, Operation::Start) {
            return Err(cannot_start(status));
        }
        if self.record.no_program {
            let message = "cannot start a container without a program: process property must not be empty";
            return Err(Error::new(ErrorKind::InvalidSpec, message).at("/process"));
        }
        self.current(|now| match now.record.hooks.need_door() {
            true => start::start(now, &locked, &until),
            false if locked.pass_gate()? => Ok(()),
            false => Err(cannot_start(Status::Stopped)),
        })
    }

    /// Sends a signal to init. SIGKILL reaches every process of a container that shares its pid namespace, also those that have outlived init.
    ///
    /// # Errors
    /// `NotRunning` if the container has stopped; `InvalidArgument` for a number that is no signal.
    pub fn kill(&self, signal: i32) -> Result<()> {
        self.current(|now| {
            let status = now.observe()?;
            let permitted = permits(status, Operation::Kill);
            if signal == libc::SIGKILL && !now.record.own_pid_namespace {
                let cgroup = Cgroup::open(&now.record.cgroup)?;
                return if permitted || !cgroup.procs()?.is_empty() {
                    cgroup.kill_all(signal)
                } else {
                    Err(not_running())
                };
            }
            let init = now.pidfd.as_ref().filter(|_| permitted).ok_or_else(not_running)?;
            send(init, signal)?;
            if signal == libc::SIGKILL && status == Status::Paused {
                // A frozen process of cgroup v1 dies only when it is thawed.
                Cgroup::open(&now.record.cgroup)?.thaw()?;
            }
            Ok(())
        })
    }

    /// Sends a signal to every process of the container's cgroup.
    ///
    /// # Errors
    /// `NotRunning` if the container has stopped; the kernel refuses.
    pub fn kill_all(&self, signal: i32) -> Result<()> {
        self.current(|now| match permits(now.observe()?, Operation::Kill) {
            true => Cgroup::open(&now.record.cgroup)?.kill_all(signal),
            false => Err(not_running()),
        })
    }

    /// Where the container's cgroup is: the cgroup2 directory, on a machine without one that of the first hierarchy. A handle (O_PATH), close-on-exec.
    ///
    /// # Errors
    /// `Unsupported` for a container without a cgroup; `NotRunning` if it is gone with the container; the kernel refuses.
    pub fn cgroup_directory(&self) -> Result<(PathBuf, OwnedFd)> {
        self.current(|now| {
            let dirs = &now.record.cgroup.dirs;
            let dir = dirs.iter().find(|dir| dir.hierarchy.is_empty()).or(dirs.first()).ok_or_else(|| {
                Error::new(ErrorKind::Unsupported, "the container was made without a cgroup")
            })?;
            let path = dir.root.join(&dir.path);
            match sys::fs::open_directory_plain(&path) {
                Ok(fd) => Ok((path, fd)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(not_running()),
                Err(error) => Err(Error::io(format!("open {}", path.display()), &error)),
            }
        })
    }

    /// Waits for the end of init and tells how it ended; again and again the same.
    ///
    /// # Errors
    /// `NotRunning` if it had ended before this handle was made: its status is not known then.
    pub fn wait(&self) -> Result<Exit> {
        if let Some(exit) = self.exit.get() {
            return Ok(*exit);
        }
        let pidfd = self.pidfd.as_ref().ok_or_else(not_running)?;
        let exit = Exit::from(reap::wait(pidfd));
        Ok(*self.exit.get_or_init(|| exit))
    }

    /// The same, and no longer than `patience`: the container goes on then.
    ///
    /// # Errors
    /// As [`Container::wait`]; `TimedOut`, `Cancelled`.
    pub fn wait_within(&self, patience: &Patience) -> Result<Exit> {
        if self.exit.get().is_none() {
            until::ended(self.pidfd.as_ref().ok_or_else(not_running)?, patience)?;
        }
        self.wait()
    }

    /// Removes the container; see [`crate::Runtime::delete`].
    ///
    /// # Errors
    /// As [`crate::Runtime::delete`].
    pub fn delete(&self, mode: Delete) -> Result<Vec<Warning>> {
        self.delete_within(mode, &Patience::default())
    }

    /// The same, and another operation on the container is waited for no longer than `patience`. Once begun it goes on to its end.
    ///
    /// # Errors
    /// As [`crate::Runtime::delete`]; `TimedOut`, `Cancelled`.
    pub fn delete_within(&self, mode: Delete, patience: &Patience) -> Result<Vec<Warning>> {
        let until = Until::from(patience);
        until.check()?;
        if self.pidfd.as_ref().is_some_and(|init| !state::is_alive(init)) {
            // The status is kept for a wait that comes later.
            let _ = self.wait();
        }
        let removed = self
            .locked_until(&until)
            .and_then(|_locked| self.current(|now| remove::remove_locked(now, mode)));
        match removed {
            Err(error) if error.kind() == ErrorKind::NotFound && mode == Delete::Force => Ok(Vec::new()),
            other => other,
        }
    }

    fn observe(&self) -> Result<Status> {
        state::status(&self.dir, &self.record, self.pidfd.as_ref())
    }

    /// Acts on this handle, or on a newer one if this was made while `create` was at work. A record that names init does not change any more.
    fn current<T>(&self, act: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        if !self.dir.is_linked() {
            return Err(not_found());
        }
        match self.record.init {
            Some(_) => act(self),
            None => act(&Self::opened(Arc::clone(&self.dir), self.dir.read()?)?),
        }
    }

    /// This container's directory with its lock: on a descriptor of its own, because a lock belongs to the descriptor and not to the thread.
    fn locked_until(&self, until: &Until) -> Result<StateDir> {
        let fresh = self.dir.reopen()?;
        fresh.lock_until(until)?;
        if fresh.is_linked() { Ok(fresh) } else { Err(not_found()) }
    }
}

fn send(init: &OwnedFd, signal: i32) -> Result<()> {
    pidfd_send_signal(init.as_fd(), signal).map_err(|error| match error.raw_os_error() {
        Some(libc::ESRCH) => not_running(),
        Some(libc::EINVAL) => Error::new(ErrorKind::InvalidArgument, format!("unknown signal {signal}")),
        _ => Error::io(format!("send signal {signal}"), &error),
    })
}

fn not_running() -> Error {
    Error::new(ErrorKind::NotRunning, "container not running")
}

fn cannot_start(status: Status) -> Error {
    let message = match status {
        Status::Stopped => "cannot start a container that has stopped".to_owned(),
        Status::Running => "cannot start an already running container".to_owned(),
        other => format!("cannot start a container in the {other} state"),
    };
    Error::new(ErrorKind::InvalidState, message)
}
