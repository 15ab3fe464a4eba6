//! Effects of the caller, second half: clones init, feeds it, talks with it until the container is created.
//!
//! ```text
//! caller                                     init
//! clone3, execveat ────────────────────────► fresh image, one descriptor
//! late limits
//! program, descriptors ────────────────────► check, run the ops
//! [maps ◄──────── NeedMaps, Go ────────────► ]      only with a new user namespace
//! record the pid (meanwhile)
//! ◄──────────────────────────────── Ready            or Failed, or end of file: it died
//! rlimits, publish the gate
//! Commit ──────────────────────────────────► may outlive its creator; waits at the gate
//! ```

mod carrier;
mod clone;
mod idmap;
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
use crate::container::Container;
use crate::prepare::Prepared;
use crate::state::InitRecord;
use crate::sys;
use crate::{Error, ErrorKind, Result};

impl Prepared {
    /// Creates the container: on success init waits at the gate, on failure nothing is left.
    ///
    /// # Errors
    /// What init reports, with the place in config.json that it comes from.
    pub fn launch(mut self) -> Result<Container> {
        let mut launch = Launch::start(&self)?;
        launch.feed(&mut self)?;
        launch.converse(&mut self)?;
        launch.commit(self)
    }
}

/// Init while it is ours alone. Dropping it kills init.
struct Launch {
    child: Option<Child>,
    socket: OwnedFd,
    program: OwnedFd,
    recorded: bool,
}

impl Launch {
    fn start(prepared: &Prepared) -> Result<Self> {
        let failed = |what: &'static str| {
            move |error: io::Error| Error::io(what, &error).context("unable to start container process")
        };
        let (socket, theirs) = pair().map_err(failed("socketpair"))?;
        let init = carrier::init().map_err(failed("make the init program"))?;
        let (encoded, len) = &prepared.program;
        let program = carrier::program(encoded, *len).map_err(failed("make the program"))?;
        let cgroup = prepared.plan.into_cgroup.and_then(|dir| prepared.cgroup.directory(dir));
        let child = clone::spawn(prepared.plan.clone_flags, cgroup, theirs.as_fd(), init.as_fd())
            .map_err(failed("clone init"))?;
        Ok(Self { child: Some(child), socket, program, recorded: false })
    }

    /// Limits that had to wait for exec, then the program. Our copies of the descriptors are closed: only init holds the gate.
    fn feed(&mut self, prepared: &mut Prepared) -> Result<()> {
        prepared.cgroup.apply_late()?;
        if let Some(score) = prepared.plan.oom_score_adj {
            idmap::write_oom_score(self.pid(), score)?;
        }
        let slots = std::mem::take(&mut prepared.slots);
        match talk::send_program(&self.socket, &self.program, prepared.program.1, &slots) {
            Err(error) if error.raw_os_error() != Some(libc::EPIPE) => {
                Err(Error::io("send the program to init", &error))
            }
            _ => Ok(()), // a dead init shows in the conversation
        }
    }

    fn converse(&mut self, prepared: &mut Prepared) -> Result<()> {
        if !prepared.plan.respawns {
            self.record(prepared)?;
        }
        loop {
            let heard = talk::hear(&self.socket).map_err(|error| Error::io("hear from init", &error))?;
            let Some(heard) = heard else { return Err(self.obituary(prepared)) };
            match heard.frame.kind {
                wire::READY => break,
                wire::FAILED => return Err(report::failure(&prepared.plan, &heard)),
                wire::RESPAWNED => self.adopt(heard.fd)?,
                wire::NEED_MAPS => {
                    idmap::write(self.pid(), prepared.plan.id_maps.as_ref())?;
                    self.say(wire::GO)?;
                }
                other => return Err(Error::new(ErrorKind::Internal, format!("init said {other}"))),
            }
        }
        if !self.recorded {
            self.record(prepared)?;
        }
        set_limits(prepared, self.pid())
    }

    /// Init goes on in another child of ours; the first one is done.
    fn adopt(&mut self, pidfd: Option<OwnedFd>) -> Result<()> {
        let pidfd =
            pidfd.ok_or_else(|| Error::new(ErrorKind::Internal, "init respawned without a descriptor"))?;
        let pid =
            sys::pidfd::pid_of(pidfd.as_fd()).map_err(|error| Error::io("find the pid of init", &error))?;
        if let Some(first) = self.child.replace(Child { pid, pidfd }) {
            reap::wait(&first.pidfd);
        }
        Ok(())
    }

    fn record(&mut self, prepared: &mut Prepared) -> Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        prepared.record.init = Some(InitRecord::of(child.pid, &child.pidfd));
        self.recorded = true;
        prepared.claim.dir().replace(&prepared.record)
    }

    fn commit(mut self, mut prepared: Prepared) -> Result<Container> {
        let pid_file = prepared.pid_file.take();
        let written = pid_file.map(|path| pid_file::write(&path, self.pid())).transpose()?;
        prepared.claim.dir().publish_gate()?;
        self.say(wire::COMMIT)?;
        prepared.cgroup.commit();
        if let Some(written) = written {
            written.keep();
        }
        let pidfd = self.child.take().map(|child| child.pidfd);
        Ok(Container::created(prepared.claim.keep(), prepared.record, pidfd))
    }

    fn say(&self, word: u32) -> Result<()> {
        talk::say(&self.socket, word).map_err(|error| Error::io("speak to init", &error))
    }

    fn pid(&self) -> i32 {
        self.child.as_ref().map_or(0, |child| child.pid)
    }

    /// Init ended without a word.
    fn obituary(&mut self, prepared: &Prepared) -> Error {
        let ended = self.child.take().and_then(|child| reap::wait(&child.pidfd));
        report::obituary(&prepared.plan, &prepared.cgroup, &self.program, ended)
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            reap::kill(&child.pidfd);
        }
    }
}

/// Both ends close-on-exec and above the number at which init looks for its own.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((sys::fs::above_stdio(ours)?, sys::fs::above(theirs, wire::SOCKET_FD)?))
}

/// Limits come last: one may be too small for what init still has to do.
fn set_limits(prepared: &Prepared, pid: i32) -> Result<()> {
    for limit in &prepared.plan.rlimits {
        sys::process::set_limit(pid, limit.resource, limit.soft, limit.hard).map_err(|error| {
            let name =
                crate::plan::rlimits::NAMES.get(limit.resource as usize).unwrap_or(&"?").to_uppercase();
            let what = format!("error setting rlimits: RLIMIT_{name} {}:{}", limit.soft, limit.hard);
            Error::io(what, &error).at(format!("/process/rlimits/{}", limit.index))
        })?;
    }
    Ok(())
}
