//! Effects of the caller, second half: clones init, feeds it, talks with it until the container is created.
//!
//! ```text
//! caller                                     init
//! [network namespace ─────────────────────── ]      made by a child beside all this, and sent to init by it: see network.rs
//! program, descriptors ──────────┐           sent ahead, unless a limit has to wait for exec or the namespace is not there
//! clone3, execveat ──────────────┼─────────► fresh image, one descriptor
//! [late limits]                  └─────────► check, run the ops
//! [second process ◄─ Respawned]                      only if a namespace needs another clone; it goes on meanwhile
//! [maps ◄──────── NeedMaps, Go ────────────► ]      only with a new user namespace
//! [master ◄────── Terminal]                         only with a terminal
//! [what it asks ◄ Ask(what), Go ───────────► ]      for each `ask` of the program: see ask.rs
//! [agent gets it ◄ Listener, the descriptor ─► ]      only if the filter asks an agent: see agent.rs
//! record the pid, attach the device filter (meanwhile)
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
pub(crate) mod network;
mod peer;
mod pid_file;
pub(crate) mod reap;
pub(crate) mod report;
mod stub;
mod talk;
mod trace;

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use teu_init::wire;

pub use self::carrier::init_size;
pub(crate) use self::exec::{Entered, Entering};
use self::network::Network;
pub(crate) use self::peer::Peer;
use crate::container::Container;
use crate::plan::{Plan, Rlimit};
use crate::prepare::{HostRoot, Prepared};
use crate::resctrl::Resctrl;
use crate::state::InitRecord;
use crate::sys;
use crate::sys::process::Processors;
use crate::{Error, ErrorKind, Result, systemd};

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
    peer: Peer,
    /// Network devices on their way.
    devices: Option<net_devices::Devices>,
    /// The descriptor that came with a question.
    offered: Option<OwnedFd>,
    recorded: bool,
    prepared: Prepared,
}

impl Launch {
    fn new(mut prepared: Prepared) -> Result<Self> {
        let (encoded, len) = &prepared.program;
        let mut peer = match prepared.peer.take() {
            Some(peer) => peer,
            None => Peer::new(prepared.until.clone())?,
        };
        peer.load(encoded, *len, prepared.plan.respawns)?;
        Ok(Self { peer, devices: None, offered: None, recorded: false, prepared })
    }

    /// Clones init and feeds it. What nothing has to come before is sent first: init finds it waiting.
    fn start(&mut self) -> Result<()> {
        let Prepared { plan, cgroup, network, .. } = &self.prepared;
        let parts = network.as_ref().is_some_and(Network::is_in_the_making);
        let placed = plan.cgroup.destination().is_some();
        let waits = parts || plan.oom_score_adj.is_some() || cgroup.has_late() || placed;
        if !waits {
            self.feed()?;
        }
        self.spawn()?;
        if parts {
            self.part();
        }
        if waits {
            self.place()?;
            let limited = self.prepared.cgroup.apply_late();
            limited.map_err(|error| self.rather(error))?;
            if let Some(score) = self.prepared.plan.oom_score_adj {
                idmap::write_oom_score(self.peer.pid(), score)?;
            }
            self.feed()?;
        }
        Ok(())
    }

    fn spawn(&mut self) -> Result<()> {
        let Prepared { plan, cgroup, .. } = &self.prepared;
        if self.peer.child().is_some() {
            trace::cloned(plan, self.peer.pid());
            return Ok(());
        }
        let cgroup = plan.into_cgroup.and_then(|dir| cgroup.directory(&plan.cgroup, dir));
        let spawned = self.peer.spawn(plan.clone_flags, cgroup);
        spawned.map_err(|error| unplaced(error, plan))?;
        trace::cloned(plan, self.peer.pid());
        Ok(())
    }

    /// Sends init, which waits for its program, to another processor. We awake on its own if the maker of the network has the other one, and it would wait
    /// for what we do meanwhile.
    fn part(&self) {
        if let Some(processors) = Processors::of_thread() {
            processors.move_away(self.peer.pid());
        }
    }

    /// Has init moved into the cgroup, if we may neither clone it there nor move it.
    fn place(&self) -> Result<()> {
        match self.prepared.plan.cgroup.destination() {
            Some(destination) => systemd::attach(destination, self.peer.pid(), self.peer.until()),
            None => Ok(()),
        }
    }

    fn feed(&mut self) -> Result<()> {
        self.peer.feed(std::mem::take(&mut self.prepared.slots))
    }

    fn converse(&mut self) -> Result<()> {
        if !self.prepared.plan.respawns {
            self.record()?;
        }
        let attached = self.prepared.cgroup.attach_beside();
        attached.map_err(|error| self.rather(error))?;
        if let Some(network) = self.prepared.network.take() {
            network.finish(&self.prepared.until)?;
        }
        loop {
            let heard = self.peer.next(&self.prepared.plan)?;
            let Some(heard) = heard else { return Err(self.obituary()) };
            match heard.frame.kind {
                wire::READY => {
                    log::debug!("child process in init(): ready");
                    break;
                }
                wire::LISTENER => self.introduce_agent(heard)?,
                wire::ASK => {
                    self.offered = heard.fd;
                    self.answer(heard.frame.value, heard.frame.detail)?;
                    self.peer.say(wire::GO)?;
                }
                wire::NEED_MAPS => {
                    idmap::settle(self.peer.pid(), self.prepared.plan.id_maps.as_ref())?;
                    self.peer.say(wire::GO)?;
                }
                other => return Err(Error::new(ErrorKind::Internal, format!("init said {other}"))),
            }
        }
        if !self.recorded {
            self.record()?;
        }
        self.prepared.cgroup.apply_ready()?;
        set_limits(&self.prepared.plan.rlimits, self.peer.pid())
    }

    fn introduce_agent(&mut self, heard: talk::Heard) -> Result<()> {
        let Some(child) = self.peer.child() else { return Ok(()) };
        let subject = agent::Subject { plan: &self.prepared.plan, status: "creating", init: child.pid };
        self.peer.listener = agent::introduce(&subject, child, heard)?;
        Ok(())
    }

    fn record(&mut self) -> Result<()> {
        let Some(child) = self.peer.child() else { return Ok(()) };
        self.prepared.record.init = Some(InitRecord::of(child.pid, &child.pidfd));
        self.recorded = true;
        let dir = self.prepared.claim.dir();
        dir.write_config(&self.prepared.plan.config)?;
        dir.write(&self.prepared.record)
    }

    fn commit(mut self) -> Result<Container> {
        self.peer.hand_out(&self.prepared.receivers, "standard")?;
        let pid_file = self.prepared.pid_file.take();
        let pid_file = pid_file.map(|path| pid_file::write(&path, self.peer.pid())).transpose()?;
        self.prepared.claim.dir().publish_gate()?;
        log::debug!("init: closing the pipe to signal completion");
        self.peer.say(wire::COMMIT)?;
        if let Some(devices) = self.devices.take() {
            devices.keep();
        }
        if let Some(written) = pid_file {
            written.keep();
        }
        let pidfd = self.peer.release().map(|child| child.pidfd);
        let (terminal, listener) = (self.peer.terminal.take(), self.peer.listener.take());
        let Prepared { mut cgroup, resctrl, host_root, claim, record, .. } = self.prepared;
        cgroup.commit();
        resctrl.into_iter().for_each(Resctrl::keep);
        host_root.into_iter().for_each(HostRoot::keep);
        Ok(Container::created(claim.keep(), record, pidfd, terminal, listener))
    }

    /// A scope goes with its last process: what cannot be done to the cgroup of an init that has failed is no reason. What init has said is.
    fn rather(&mut self, error: Error) -> Error {
        match self.peer.ended_silently(&self.prepared.plan) {
            Err(said) => said,
            Ok(true) => self.obituary(),
            Ok(false) => error,
        }
    }

    /// Init ended without a word.
    fn obituary(&mut self) -> Error {
        let ended = self.peer.bury();
        report::obituary(&self.prepared.plan, &self.prepared.cgroup, self.peer.progress(), ended)
    }
}

/// A clone into a cgroup is denied where a move into it would be: the kernel says no more than that.
fn unplaced(error: Error, plan: &Plan) -> Error {
    let dir = plan.into_cgroup.and_then(|dir| plan.cgroup.dirs.get(dir));
    match dir.filter(|_| error.errno() == Some(libc::EACCES)) {
        Some(dir) => error.remark(format!(
            "into the cgroup {}: the caller has to be in a cgroup of his own above it, or beside it below one of his own",
            dir.root.join(&dir.path).display()
        )),
        None => error,
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

#[cfg(test)]
mod tests {
    use super::peer::tests::plan;
    use super::*;
    use crate::plan::{CgroupDir, CgroupPlan};

    #[test]
    fn a_clone_into_a_cgroup_that_is_denied_says_where_the_caller_has_to_be() {
        let denied = |errno: i32| Error::os("clone init", errno);
        let dir = CgroupDir {
            root: "/sys/fs/cgroup".into(),
            path: "a/b".into(),
            hierarchy: String::new(),
            required: true,
        };
        let cgroup = CgroupPlan { dirs: vec![dir], ..CgroupPlan::default() };
        let into = Plan { into_cgroup: Some(0), cgroup, ..plan() };
        let text = unplaced(denied(libc::EACCES), &into).to_string();
        assert!(text.contains("/sys/fs/cgroup/a/b") && text.contains("above it"), "{text}");
        for (errno, plan) in [(libc::EBUSY, &into), (libc::EACCES, &plan())] {
            let text = unplaced(denied(errno), plan).to_string();
            assert_eq!(text, denied(errno).to_string());
        }
    }
}
