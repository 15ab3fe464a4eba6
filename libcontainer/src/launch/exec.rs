//! The launch of one more process of a container: as `create`'s, without a container to make and without a gate.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

use teu_init::wire;

use super::clone::{self, Child};
use super::{Init, agent, carrier, failed, hook, idmap, pair, pid_file, reap, report, talk};
use crate::plan::Plan;
use crate::prepare::Receivers;
use crate::terminal::Terminal;
use crate::{Error, ErrorKind, Result, sys};

/// A process on its way into a container. Dropped before it runs its program, it is killed.
pub(crate) struct Entering {
    init: Init,
    socket: OwnedFd,
    theirs: Option<OwnedFd>,
    program: (OwnedFd, usize),
    slots: Vec<OwnedFd>,
    terminal: Option<Terminal>,
    receivers: Receivers,
    plan: Plan,
    /// The pid of the container's init.
    container: i32,
    deadline: Option<Instant>,
}

impl Entering {
    pub fn new(
        plan: Plan,
        container: i32,
        slots: Vec<OwnedFd>,
        receivers: Receivers,
        deadline: Option<Instant>,
    ) -> Result<Self> {
        let encoded = plan.program.encode()?;
        let len = plan.program.encoded_len(&encoded);
        let len = len.ok_or_else(|| Error::new(ErrorKind::Internal, "program without a length"))?;
        let program = carrier::program(&encoded, len).map_err(failed("make the program"))?;
        let (socket, theirs) = pair().map_err(failed("socketpair"))?;
        let (init, theirs, program) = (Init(None), Some(theirs), (program, len));
        Ok(Self {
            init,
            socket,
            theirs,
            program,
            slots,
            terminal: None,
            receivers,
            plan,
            container,
            deadline,
        })
    }

    /// Brings the process in, up to the execution of its program.
    pub fn enter(mut self, pid_file: Option<PathBuf>) -> Result<((i32, OwnedFd), Option<Terminal>)> {
        self.spawn()?;
        if let Some(score) = self.plan.oom_score_adj {
            idmap::write_oom_score(self.pid(), score)?;
        }
        self.feed()?;
        self.converse()?;
        super::set_limits(&self.plan.rlimits, self.pid())?;
        self.hand_out()?;
        let written = pid_file.map(|path| pid_file::write(&path, self.pid())).transpose()?;
        self.say(wire::COMMIT)?;
        self.executed()?;
        if let Some(written) = written {
            written.keep();
        }
        let child = self.init.0.take();
        let child = child.ok_or_else(|| Error::new(ErrorKind::Internal, "exec without a process"))?;
        Ok(((child.pid, child.pidfd), self.terminal.take()))
    }

    fn spawn(&mut self) -> Result<()> {
        let Some(theirs) = self.theirs.take() else { return Ok(()) };
        let init = carrier::init().map_err(failed("make the init program"))?;
        let child = clone::spawn(0, None, theirs.as_fd(), init.as_fd());
        self.init = Init(Some(child.map_err(failed("clone init"))?));
        Ok(())
    }

    fn feed(&mut self) -> Result<()> {
        let slots = std::mem::take(&mut self.slots);
        let (program, len) = &self.program;
        match talk::send_program(&self.socket, program, *len, &slots) {
            Err(error) if error.raw_os_error() != Some(libc::EPIPE) => {
                Err(Error::io("send the program to init", &error))
            }
            _ => Ok(()), // a dead init shows in the conversation
        }
    }

    fn converse(&mut self) -> Result<()> {
        loop {
            let Some(heard) = self.hear()? else { return Err(self.obituary()) };
            match heard.frame.kind {
                wire::READY => return Ok(()),
                wire::FAILED => return Err(report::failure(&self.plan, &heard)),
                wire::RESPAWNED => self.adopt(heard.fd)?,
                wire::LISTENER => self.introduce_agent(heard)?,
                wire::TERMINAL => self.terminal = heard.fd.map(|fd| Terminal::new(fd, heard.frame.value)),
                other => return Err(Error::new(ErrorKind::Internal, format!("init said {other}"))),
            }
        }
    }

    fn introduce_agent(&self, heard: talk::Heard) -> Result<()> {
        let Some(child) = &self.init.0 else { return Ok(()) };
        let subject = agent::Subject { plan: &self.plan, status: "running", init: self.container };
        agent::introduce(&subject, child, heard)
    }

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

    /// The conversation ends by itself when the program is executed, because its descriptor is closed then.
    fn executed(&mut self) -> Result<()> {
        match self.hear()? {
            None => Ok(()),
            Some(heard) => Err(hook::started::unexecuted(&heard.note, heard.frame.value as i32)),
        }
    }

    fn hand_out(&mut self) -> Result<()> {
        if self.receivers.want_terminal() {
            let terminal = self.terminal.take();
            let terminal =
                terminal.ok_or_else(|| Error::new(ErrorKind::Internal, "init has sent no terminal"))?;
            self.receivers.send_terminal(terminal.as_fd(), &terminal.name())?;
        }
        self.init.0.as_ref().map_or(Ok(()), |child| self.receivers.send_pidfd("setns", child.pidfd.as_fd()))
    }

    fn hear(&self) -> Result<Option<talk::Heard>> {
        let heard = talk::hear(&self.socket, self.deadline);
        heard.map_err(|error| report::unheard(&self.plan, &self.program.0, &error))
    }

    fn say(&self, word: u32) -> Result<()> {
        talk::say(&self.socket, word).map_err(|error| Error::io("speak to init", &error))
    }

    fn pid(&self) -> i32 {
        self.init.0.as_ref().map_or(0, |child| child.pid)
    }

    fn obituary(&mut self) -> Error {
        let ended = self.init.0.take().and_then(|child| reap::wait(&child.pidfd));
        report::death(&self.plan, &self.program.0, ended)
    }
}
