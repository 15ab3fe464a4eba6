//! Init as its caller has it while they talk: the process, the socket, the program it was given. The same for `create` and for `exec`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use teu_init::wire;

use super::clone::{self, Child};
use super::reap;
use super::talk::{self, Heard};
use super::{carrier, failed, pair, report};
use crate::plan::Plan;
use crate::prepare::Receivers;
use crate::state::is_alive;
use crate::sys::process::Ended;
use crate::terminal::Terminal;
use crate::until::Until;
use crate::{Error, ErrorKind, Result, sys};

/// Dropped before its process is taken from it, it kills the process.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Option<Child>,
    pub socket: OwnedFd,
    /// Init's end of the conversation, until init has it.
    theirs: Option<OwnedFd>,
    /// The program, into which init writes how far it has come, and its length in bytes.
    pub program: (OwnedFd, usize),
    /// The terminal's master, once init has sent it.
    pub terminal: Option<Terminal>,
    /// The listener of the filter, if the caller keeps it.
    pub listener: Option<OwnedFd>,
    until: Until,
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            reap::kill(&child.pidfd);
        }
    }
}

impl Peer {
    /// A peer without a process.
    pub fn new(encoded: &[u8], len: usize, until: Until) -> Result<Self> {
        let program = carrier::program(encoded, len).map_err(failed("make the program"))?;
        let (socket, theirs) = pair().map_err(failed("socketpair"))?;
        let (theirs, program) = (Some(theirs), (program, len));
        Ok(Self { child: None, socket, theirs, program, terminal: None, listener: None, until })
    }

    /// Clones init; again is too late.
    pub fn spawn(&mut self, flags: u32, cgroup: Option<BorrowedFd<'_>>) -> Result<()> {
        let Some(theirs) = self.theirs.take() else { return Ok(()) };
        let init = carrier::init().map_err(failed("make the init program"))?;
        let child = clone::spawn(flags, cgroup, theirs.as_fd(), init.as_fd());
        self.child = Some(child.map_err(failed("clone init"))?);
        Ok(())
    }

    /// Sends the program and its descriptors. Our copies are closed: only init holds the gate.
    pub fn feed(&self, slots: Vec<OwnedFd>) -> Result<()> {
        let (program, len) = &self.program;
        match talk::send_program(&self.socket, program, *len, &slots) {
            Err(error) if error.raw_os_error() != Some(libc::EPIPE) => {
                Err(Error::io("send the program to init", &error))
            }
            _ => Ok(()), // a dead init shows in the conversation
        }
    }

    /// What init says next; `None` if it ended without a word.
    pub fn hear(&self, plan: &Plan) -> Result<Option<Heard>> {
        let heard = talk::hear_until(&self.socket, &self.until);
        heard.map_err(|error| report::unheard(plan, &self.program.0, &error))
    }

    /// What init says next that does not mean the same in every launch.
    pub fn next(&mut self, plan: &Plan) -> Result<Option<Heard>> {
        loop {
            let Some(heard) = self.hear(plan)? else { return Ok(None) };
            match heard.frame.kind {
                wire::FAILED => return Err(report::failure(plan, &heard)),
                wire::RESPAWNED => self.adopt(heard.fd)?,
                wire::TERMINAL => self.terminal = heard.fd.map(|fd| Terminal::new(fd, heard.frame.value)),
                _ => return Ok(Some(heard)),
            }
        }
    }

    /// Init goes on in another child of ours; the first one is done.
    fn adopt(&mut self, pidfd: Option<OwnedFd>) -> Result<()> {
        let pidfd =
            pidfd.ok_or_else(|| Error::new(ErrorKind::Internal, "init respawned without a descriptor"))?;
        let pid =
            sys::pidfd::pid_of(pidfd.as_fd()).map_err(|error| Error::io("find the pid of init", &error))?;
        let first = self.child.replace(Child { pid, pidfd });
        // It goes on while the first one ends.
        let said = self.say(wire::GO);
        if let Some(first) = first {
            reap::wait(&first.pidfd);
        }
        said
    }

    pub fn say(&self, word: u32) -> Result<()> {
        talk::say(&self.socket, word).map_err(|error| Error::io("speak to init", &error))
    }

    /// Gives descriptors to those who wait for them; `how` is the word that goes with the pidfd.
    /// A terminal that was handed out is not kept: its reader decides when it hangs up.
    pub fn hand_out(&mut self, receivers: &Receivers, how: &str) -> Result<()> {
        if receivers.want_terminal() {
            let terminal = self.terminal.take();
            let terminal =
                terminal.ok_or_else(|| Error::new(ErrorKind::Internal, "init has sent no terminal"))?;
            receivers.send_terminal(terminal.as_fd(), &terminal.name())?;
        }
        self.child.as_ref().map_or(Ok(()), |child| receivers.send_pidfd(how, child.pidfd.as_fd()))
    }

    /// How long the conversation may take.
    pub fn until(&self) -> &Until {
        &self.until
    }

    /// The process, once there is one.
    pub fn child(&self) -> Option<&Child> {
        self.child.as_ref()
    }

    /// Its pid here, 0 before there is a process.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().map_or(0, |child| child.pid)
    }

    /// Lets go of the process.
    pub fn release(&mut self) -> Option<Child> {
        self.child.take()
    }

    /// Whether there is a process and it has ended.
    pub fn is_dead(&self) -> bool {
        self.child.as_ref().is_some_and(|child| !is_alive(&child.pidfd))
    }

    /// How a process ended that went without a word.
    pub fn bury(&mut self) -> Option<Ended> {
        self.release().and_then(|child| reap::wait(&child.pidfd))
    }
}
