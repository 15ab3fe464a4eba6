//! Effects of the caller, second half: clones init, feeds it, talks with it until the container is created.
//!
//! ```text
//! caller                                     init
//! program, descriptors ──────────┐           sent ahead, unless a limit has to wait for exec
//! clone3, execveat ──────────────┼─────────► fresh image, one descriptor
//! [late limits]                  └─────────► check, run the ops
//! [second process ◄─ Respawned, Go ─────────► ]      only if a namespace needs another clone
//! [maps ◄──────── NeedMaps, Go ────────────► ]      only with a new user namespace
//! [master ◄────── Terminal]                         only with a terminal
//! [what it asks ◄ Ask(what), Go ───────────► ]      for each `ask` of the program: see ask.rs
//! [agent gets it ◄ Listener, the descriptor ─► ]      only if the filter asks an agent: see agent.rs
//! record the pid (meanwhile)
//! ◄──────────────────────────────── Ready            or Failed, or end of file: it died
//! rlimits, publish the gate
//! [terminal, pidfd to their receivers, pid file]
//! Commit ──────────────────────────────────► may outlive its creator; waits at the gate
//! ```

mod agent;
mod ask;
mod carrier;
mod clone;
mod exec;
mod hint;
pub(crate) mod hook;
mod idmap;
pub(crate) mod mount_ids;
mod net_devices;
mod pid_file;
pub(crate) mod reap;
mod report;
mod stub;
mod talk;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use teu_init::wire;

pub use self::carrier::init_size;
use self::clone::Child;
pub(crate) use self::exec::Entering;
use crate::container::Container;
use crate::plan::Rlimit;
use crate::prepare::Prepared;
use crate::resctrl::Resctrl;
use crate::state::InitRecord;
use crate::sys;
use crate::terminal::Terminal;
use crate::{Error, ErrorKind, Result};

impl Prepared {
    /// Creates the container: on success init waits at the gate, on failure nothing is left.
    ///
    /// # Errors
    /// What init reports, with the place in config.json that it comes from.
    pub fn launch(self) -> Result<Container> {
        let last = (!self.record.hooks.poststop.is_empty()).then(|| self.record.clone());
        let launched = self.launch_or_undo();
        if let (Err(_), Some(record)) = (&launched, last) {
            // The error of the create is the one to report.
            for warning in hook::poststop(&record) {
                log::warn!("{}: {}", warning.pointer, warning.message);
            }
        }
        launched
    }

    fn launch_or_undo(self) -> Result<Container> {
        let mut launch = Launch::new(self)?;
        launch.start()?;
        launch.converse()?;
        launch.commit()
    }
}

/// A container on its way. Dropped before the commit it takes everything back: init first, then what init stands on.
struct Launch {
    init: Init,
    /// Network devices on their way.
    devices: Option<net_devices::Devices>,
    /// The descriptor that came with a question.
    offered: Option<OwnedFd>,
    socket: OwnedFd,
    /// Init's end of the conversation, until init has it.
    theirs: Option<OwnedFd>,
    program: OwnedFd,
    recorded: bool,
    terminal: Option<Terminal>,
    prepared: Prepared,
}

/// Init while it is ours alone. Dropping it kills it.
struct Init(Option<Child>);

impl Drop for Init {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            reap::kill(&child.pidfd);
        }
    }
}

impl Launch {
    fn new(prepared: Prepared) -> Result<Self> {
        let (encoded, len) = &prepared.program;
        let program = carrier::program(encoded, *len).map_err(failed("make the program"))?;
        let (socket, theirs) = pair().map_err(failed("socketpair"))?;
        Ok(Self {
            init: Init(None),
            devices: None,
            offered: None,
            socket,
            theirs: Some(theirs),
            program,
            recorded: false,
            terminal: None,
            prepared,
        })
    }

    /// Clones init and feeds it. What nothing has to come before is sent first: init finds it waiting.
    fn start(&mut self) -> Result<()> {
        let waits = self.prepared.plan.oom_score_adj.is_some() || self.prepared.cgroup.has_late();
        if !waits {
            self.feed()?;
        }
        self.spawn()?;
        if waits {
            self.prepared.cgroup.apply_late()?;
            if let Some(score) = self.prepared.plan.oom_score_adj {
                idmap::write_oom_score(self.pid(), score)?;
            }
            self.feed()?;
        }
        Ok(())
    }

    fn spawn(&mut self) -> Result<()> {
        let Some(theirs) = self.theirs.take() else { return Ok(()) };
        let Prepared { plan, cgroup, .. } = &self.prepared;
        let init = carrier::init().map_err(failed("make the init program"))?;
        let cgroup = plan.into_cgroup.and_then(|dir| cgroup.directory(&plan.cgroup, dir));
        let child = clone::spawn(plan.clone_flags, cgroup, theirs.as_fd(), init.as_fd());
        self.init = Init(Some(child.map_err(failed("clone init"))?));
        Ok(())
    }

    /// Sends the program and its descriptors. Our copies are closed: only init holds the gate.
    fn feed(&mut self) -> Result<()> {
        let slots = std::mem::take(&mut self.prepared.slots);
        match talk::send_program(&self.socket, &self.program, self.prepared.program.1, &slots) {
            Err(error) if error.raw_os_error() != Some(libc::EPIPE) => {
                Err(Error::io("send the program to init", &error))
            }
            _ => Ok(()), // a dead init shows in the conversation
        }
    }

    fn converse(&mut self) -> Result<()> {
        if !self.prepared.plan.respawns {
            self.record()?;
        }
        loop {
            let heard = talk::hear(&self.socket, self.prepared.deadline);
            let heard = heard.map_err(|error| report::unheard(&self.prepared.plan, &self.program, &error))?;
            let Some(heard) = heard else { return Err(self.obituary()) };
            match heard.frame.kind {
                wire::READY => break,
                wire::FAILED => return Err(report::failure(&self.prepared.plan, &heard)),
                wire::RESPAWNED => self.adopt(heard.fd)?,
                wire::TERMINAL => self.terminal = heard.fd.map(|fd| Terminal::new(fd, heard.frame.value)),
                wire::LISTENER => self.introduce_agent(heard)?,
                wire::ASK => {
                    self.offered = heard.fd;
                    self.answer(heard.frame.value, heard.frame.detail)?;
                    self.say(wire::GO)?;
                }
                wire::NEED_MAPS => {
                    idmap::settle(self.pid(), self.prepared.plan.id_maps.as_ref())?;
                    self.say(wire::GO)?;
                }
                other => return Err(Error::new(ErrorKind::Internal, format!("init said {other}"))),
            }
        }
        if !self.recorded {
            self.record()?;
        }
        self.prepared.cgroup.apply_ready()?;
        set_limits(&self.prepared.plan.rlimits, self.pid())
    }

    fn introduce_agent(&self, heard: talk::Heard) -> Result<()> {
        let Some(child) = &self.init.0 else { return Ok(()) };
        let subject = agent::Subject { plan: &self.prepared.plan, status: "creating", init: child.pid };
        agent::introduce(&subject, child, heard)
    }

    /// Init goes on in another child of ours; the first one is done.
    fn adopt(&mut self, pidfd: Option<OwnedFd>) -> Result<()> {
        let pidfd =
            pidfd.ok_or_else(|| Error::new(ErrorKind::Internal, "init respawned without a descriptor"))?;
        let pid =
            sys::pidfd::pid_of(pidfd.as_fd()).map_err(|error| Error::io("find the pid of init", &error))?;
        if let Some(first) = self.init.0.replace(Child { pid, pidfd }) {
            reap::wait(&first.pidfd);
        }
        self.say(wire::GO)
    }

    fn record(&mut self) -> Result<()> {
        let Some(child) = &self.init.0 else { return Ok(()) };
        self.prepared.record.init = Some(InitRecord::of(child.pid, &child.pidfd));
        self.recorded = true;
        let dir = self.prepared.claim.dir();
        dir.write_config(&self.prepared.plan.config)?;
        dir.write(&self.prepared.record)
    }

    fn commit(mut self) -> Result<Container> {
        self.hand_out()?;
        let pid_file = self.prepared.pid_file.take();
        let pid_file = pid_file.map(|path| pid_file::write(&path, self.pid())).transpose()?;
        self.prepared.claim.dir().publish_gate()?;
        self.say(wire::COMMIT)?;
        if let Some(devices) = self.devices.take() {
            devices.keep();
        }
        if let Some(written) = pid_file {
            written.keep();
        }
        let pidfd = self.init.0.take().map(|child| child.pidfd);
        let Prepared { mut cgroup, resctrl, claim, record, .. } = self.prepared;
        cgroup.commit();
        resctrl.into_iter().for_each(Resctrl::keep);
        Ok(Container::created(claim.keep(), record, pidfd, self.terminal))
    }

    /// Gives descriptors to those who wait for them. A terminal that was handed out is not kept: its reader decides when it hangs up.
    fn hand_out(&mut self) -> Result<()> {
        let receivers = &self.prepared.receivers;
        if receivers.want_terminal() {
            let terminal = self
                .terminal
                .take()
                .ok_or_else(|| Error::new(ErrorKind::Internal, "init has sent no terminal"))?;
            receivers.send_terminal(terminal.as_fd(), &terminal.name())?;
        }
        match &self.init.0 {
            Some(child) => receivers.send_pidfd("standard", child.pidfd.as_fd()),
            None => Ok(()),
        }
    }

    fn say(&self, word: u32) -> Result<()> {
        talk::say(&self.socket, word).map_err(|error| Error::io("speak to init", &error))
    }

    fn pid(&self) -> i32 {
        self.init.0.as_ref().map_or(0, |child| child.pid)
    }

    /// Init ended without a word.
    fn obituary(&mut self) -> Error {
        let ended = self.init.0.take().and_then(|child| reap::wait(&child.pidfd));
        report::obituary(&self.prepared.plan, &self.prepared.cgroup, &self.program, ended)
    }
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::io(what, &error).context("unable to start container process")
}

/// Both ends close-on-exec and above the number at which init looks for its own.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((sys::fs::above_stdio(ours)?, sys::fs::above(theirs, wire::SOCKET_FD)?))
}

/// Limits that init could not set itself.
fn set_limits(limits: &[Rlimit], pid: i32) -> Result<()> {
    for limit in limits {
        sys::process::set_limit(pid, limit.resource, limit.soft, limit.hard).map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
            report::limit(limit.resource, limit.soft, limit.hard, errno)
                .at(format!("/process/rlimits/{}", limit.index))
        })?;
    }
    Ok(())
}
