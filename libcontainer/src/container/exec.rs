//! `exec`: one more process in a container that exists.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;

use serde_json::Value;

use super::{Container, Exit};
use crate::cgroup::Cgroup;
use crate::host::Host;
use crate::launch::{Entered, Entering, Peer, reap};
use crate::options::ExecOptions;
use crate::plan::{self, Plan, Shape, Target};
use crate::prepare;
use crate::spec::Spec;
use crate::sys::pidfd::pidfd_send_signal;
use crate::terminal::Terminal;
use crate::until::{self, Patience, Until};
use crate::{Error, ErrorKind, Result, Status, image, sys};

/// A process that [`Container::exec`] started. Dropping it changes nothing: the process goes on.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    pidfd: OwnedFd,
    terminal: Option<Terminal>,
    listener: Option<OwnedFd>,
    exit: OnceLock<Exit>,
}

impl Container {
    /// Starts one more process in the container: a `process` of the specification as JSON. The container's own filter, labels, umask and namespaces apply to
    /// it; when this returns, its program has been executed.
    ///
    /// # Errors
    /// `InvalidState` in a stopped container, `Paused` without [`ExecOptions::ignore_paused`] in a paused one; `InvalidSpec` with the place in the process;
    /// `CommandNotFound` and `CommandNotExecutable`; what the process reports while it enters. Nothing is left then.
    pub fn exec(&self, process: &[u8], options: ExecOptions) -> Result<Process> {
        self.enter(|_| Ok(process.to_vec()), options)
    }

    /// The same with a process that `change` makes from the one that the container was created with, both as JSON (`{}` if it has none): for a caller who
    /// would ask for [`Container::process`] first, and cheaper.
    ///
    /// # Errors
    /// As [`Container::exec`], and those of `change`.
    pub fn exec_changed(
        &self,
        change: impl FnOnce(&str) -> Result<String>,
        options: ExecOptions,
    ) -> Result<Process> {
        self.enter(|own| change(own).map(String::into_bytes), options)
    }

    /// The same with another program and, if given, another working directory in the container's own process; without a terminal, whose size would be
    /// another one's.
    ///
    /// # Errors
    /// As [`Container::exec`].
    pub fn exec_program(&self, args: &[String], cwd: Option<&str>, options: ExecOptions) -> Result<Process> {
        self.exec_changed(|own| with_program(own, args, cwd), options)
    }

    fn enter(
        &self,
        process: impl FnOnce(&str) -> Result<Vec<u8>>,
        mut options: ExecOptions,
    ) -> Result<Process> {
        let paused = self.enterable(options.ignore_paused)?;
        let until = Until::from(&Patience { timeout: options.timeout, cancel: options.cancel.take() });
        until.check()?;
        let peer = Peer::begin(0, None, until)?;
        let spec = Spec::of_process(&self.record.bundle, &self.dir.read_config()?, process)?;
        for warning in spec.warnings().iter().filter(|warning| warning.pointer.starts_with("/process/")) {
            log::warn!("config.json: {}: {}", warning.pointer, warning.message);
        }
        let plan = self.plan_exec(&spec, &options)?;
        let receivers =
            prepare::Receivers::connect(options.console_socket.take(), options.pidfd_socket.take())?;
        let pid_file = options.pid_file.take();
        let slots = prepare::open_entry(&plan, self, options)?;
        let entering = Entering::new(peer, plan, self.pid().unwrap_or(0), slots, receivers)?;
        if paused {
            log::debug!("exec into a paused container: it goes on when the container does");
        }
        let Entered { pid, pidfd, terminal, listener } = entering.enter(pid_file)?;
        Ok(Process { pid, pidfd, terminal, listener, exit: OnceLock::new() })
    }

    /// The configuration that the container was created with.
    ///
    /// # Errors
    /// `Internal` if the copy that `create` made is gone or unreadable.
    pub fn spec(&self) -> Result<Spec> {
        Spec::from_json(&self.record.bundle, &self.dir.read_config()?)
    }

    /// The `process` that the container was created with, as JSON: what a further one may start from.
    ///
    /// # Errors
    /// As [`Container::spec`].
    pub fn process(&self) -> Result<String> {
        Spec::process_of(&self.dir.read_config()?)
    }

    /// What [`Container::exec`] would do.
    ///
    /// # Errors
    /// As [`Container::exec`], as far as they show without doing anything.
    pub fn plan_exec(&self, spec: &Spec, options: &ExecOptions) -> Result<Plan> {
        let mut shape = Shape::of_exec(options)?;
        if let Some(uid) = plan::wants_home(spec) {
            shape.home = Some(format!("HOME={}", image::home(&self.record.rootfs, uid)));
        }
        let mut host = Host::probe()?;
        if plan::wants_security_modules(spec.config()) {
            host.probe_security_modules();
        }
        if plan::intel_rdt::wants_resctrl(spec.config()) {
            host.probe_resctrl();
        }
        let target = Target { id: self.id(), spec, cgroup: &self.record.cgroup };
        plan::compile_exec(&target, &host, &shape)
    }

    /// Whether it is paused; an error if nothing can enter it.
    fn enterable(&self, ignore_paused: bool) -> Result<bool> {
        let error = |kind, message: &str| Err(Error::new(kind, message));
        let refused = |message: &str| error(ErrorKind::InvalidState, message);
        match self.status()? {
            Status::Created | Status::Running => Ok(false),
            Status::Paused if ignore_paused => Ok(true),
            Status::Paused => {
                let message = "cannot exec in a paused container (use --ignore-paused to override)";
                error(ErrorKind::Paused, message)
            }
            Status::Stopped => refused("cannot exec in a stopped container"),
            Status::Creating => refused("cannot exec in a container that is being created"),
        }
    }

    /// A descriptor of init: it stands for all of its namespaces.
    pub(crate) fn init(&self) -> Result<OwnedFd> {
        let pidfd = self.pidfd.as_ref().ok_or_else(super::not_running)?;
        pidfd.try_clone().and_then(sys::fs::above_stdio).map_err(|error| Error::io("copy the pidfd", &error))
    }

    /// The root directory of init. Init is the process that was recorded, before and after the look at its pid.
    pub(crate) fn init_root(&self) -> Result<OwnedFd> {
        let path = format!("/proc/{}/root", self.pid().unwrap_or(0));
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(&path);
        let root = opened.and_then(|root| sys::fs::above_stdio(root.into()));
        match self.status()? {
            Status::Stopped => Err(super::not_running()),
            _ => root.map_err(|error| Error::io(format!("open {path}"), &error)),
        }
    }

    pub(crate) fn cgroup(&self) -> Result<Cgroup> {
        Cgroup::open(&self.record.cgroup)
    }
}

fn with_program(own: &str, args: &[String], cwd: Option<&str>) -> Result<String> {
    let unreadable = |error| Error::new(ErrorKind::Internal, format!("process: {error}"));
    let mut process: Value = serde_json::from_str(own).map_err(unreadable)?;
    if let Some(process) = process.as_object_mut() {
        process.insert("args".to_owned(), args.into());
        process.insert("terminal".to_owned(), false.into());
        process.remove("consoleSize");
        if let Some(cwd) = cwd {
            process.insert("cwd".to_owned(), cwd.into());
        }
    }
    Ok(process.to_string())
}

impl Process {
    /// Its pid in the caller's pid namespace. A pid may be used again: to act on the process, use [`Process::pidfd`].
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// A descriptor of the process: readable when it has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The terminal of a process with one and without a `console_socket`; once.
    pub fn take_terminal(&mut self) -> Option<Terminal> {
        self.terminal.take()
    }

    /// The listener of its filter (`ioctl` SECCOMP_IOCTL_NOTIF_RECV), if it was kept for the caller; once. Left in the handle it is closed with it, and what
    /// waits for an answer gets ENOSYS.
    pub fn take_seccomp_listener(&mut self) -> Option<OwnedFd> {
        self.listener.take()
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// `NotRunning` if it has ended; `InvalidArgument` for a number that is no signal.
    pub fn kill(&self, signal: i32) -> Result<()> {
        pidfd_send_signal(self.pidfd.as_fd(), signal).map_err(|error| match error.raw_os_error() {
            Some(libc::ESRCH) => Error::new(ErrorKind::NotRunning, "process not running"),
            Some(libc::EINVAL) => Error::new(ErrorKind::InvalidArgument, format!("{signal} is no signal")),
            _ => Error::io("signal the process", &error),
        })
    }

    /// Waits for the end of the process and tells how it ended; again and again the same.
    pub fn wait(&self) -> Exit {
        *self.exit.get_or_init(|| Exit::from(reap::wait(&self.pidfd)))
    }

    /// The same, and no longer than `patience`: the process goes on then.
    ///
    /// # Errors
    /// `TimedOut`, `Cancelled`.
    pub fn wait_within(&self, patience: &Patience) -> Result<Exit> {
        until::ended(&self.pidfd, patience)?;
        Ok(self.wait())
    }
}
