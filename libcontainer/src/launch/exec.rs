//! The launch of one more process of a container: as `create`'s, without a container to make and without a gate.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use teu_init::wire;

use super::peer::Peer;
use super::{agent, hook, idmap, pid_file, report, talk, trace};
use crate::plan::Plan;
use crate::prepare::Receivers;
use crate::terminal::Terminal;
use crate::{Error, ErrorKind, Result, systemd};

/// A process that runs its program in a container.
pub(crate) struct Entered {
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub terminal: Option<Terminal>,
    pub listener: Option<OwnedFd>,
}

/// A process on its way into a container. Dropped before it runs its program, it is killed.
pub(crate) struct Entering {
    peer: Peer,
    slots: Vec<OwnedFd>,
    receivers: Receivers,
    plan: Plan,
    /// The pid of the container's init.
    container: i32,
}

impl Entering {
    /// Brings `peer` in, the init that was begun.
    pub fn new(
        mut peer: Peer,
        plan: Plan,
        container: i32,
        slots: Vec<OwnedFd>,
        receivers: Receivers,
    ) -> Result<Self> {
        let encoded = plan.program.encode()?;
        let len = plan.program.encoded_len(&encoded);
        let len = len.ok_or_else(|| Error::new(ErrorKind::Internal, "program without a length"))?;
        peer.load(&encoded, len, plan.respawns)?;
        Ok(Self { peer, slots, receivers, plan, container })
    }

    /// Brings the process in, up to the execution of its program.
    pub fn enter(mut self, pid_file: Option<PathBuf>) -> Result<Entered> {
        trace::cloned(&self.plan, self.peer.pid());
        if self.plan.oom_score_adj.is_some() || self.plan.cgroup.destination().is_some() {
            // The score is of all who share a memory, and so is the end of one of them for lack of it.
            self.peer.settle()?;
        }
        if let Some(score) = self.plan.oom_score_adj {
            idmap::write_oom_score(self.peer.pid(), score)?;
        }
        if let Some(destination) = self.plan.cgroup.destination() {
            systemd::attach(destination, self.peer.pid(), self.peer.until())?;
        }
        self.peer.feed(std::mem::take(&mut self.slots))?;
        let ahead = pid_file.is_none() && self.goes_ahead();
        if ahead {
            self.peer.say_ahead(wire::COMMIT)?;
        }
        self.converse()?;
        super::set_limits(&self.plan.rlimits, self.peer.pid())?;
        self.peer.hand_out(&self.receivers, "setns")?;
        let written = pid_file.map(|path| pid_file::write(&path, self.peer.pid())).transpose()?;
        log::debug!("setns_init: about to exec");
        if !ahead {
            self.peer.say(wire::COMMIT)?;
        }
        self.executed()?;
        if let Some(written) = written {
            written.keep();
        }
        let child = self.peer.release();
        let child = child.ok_or_else(|| Error::new(ErrorKind::Internal, "exec without a process"))?;
        let (terminal, listener) = (self.peer.terminal.take(), self.peer.listener.take());
        Ok(Entered { pid: child.pid, pidfd: child.pidfd, terminal, listener })
    }

    /// Whether there is nothing that we have to do between its last step and its program: then it does not wait for us.
    fn goes_ahead(&self) -> bool {
        let asks = self.plan.filter.as_ref().is_some_and(|filter| filter.listener.is_some() || filter.kept);
        self.receivers.is_empty() && self.plan.rlimits.is_empty() && !asks
    }

    fn converse(&mut self) -> Result<()> {
        loop {
            let Some(heard) = self.peer.next(&self.plan)? else { return Err(self.obituary()) };
            match heard.frame.kind {
                wire::READY => {
                    log::debug!("child process in init(): ready");
                    return Ok(());
                }
                wire::LISTENER => self.introduce_agent(heard)?,
                other => return Err(Error::new(ErrorKind::Internal, format!("init said {other}"))),
            }
        }
    }

    fn introduce_agent(&mut self, heard: talk::Heard) -> Result<()> {
        let Some(child) = self.peer.child() else { return Ok(()) };
        let subject = agent::Subject { plan: &self.plan, status: "running", init: self.container };
        self.peer.listener = agent::introduce(&subject, child, heard)?;
        Ok(())
    }

    /// The conversation ends by itself when the program is executed, because its descriptor is closed then.
    fn executed(&mut self) -> Result<()> {
        match self.peer.hear(&self.plan)? {
            None => Ok(()),
            Some(heard) => Err(hook::started::unexecuted(&heard.note, heard.frame.value as i32)),
        }
    }

    fn obituary(&mut self) -> Error {
        let ended = self.peer.bury();
        report::death(&self.plan, self.peer.progress(), ended)
    }
}
