//! Effects of the caller, second half: feeds init, which prepare has begun, and talks with it until the container is created.
//!
//! ```text
//! caller                                     init
//! [network namespace ─────────────────────── ]      made by a child beside all this, and sent to init by it: see network.rs
//! clone3, execveat ────────────────────────► fresh image, one descriptor
//! prepare the rest               ┌─────────►
//! [late limits, after exec]      │
//! program, descriptors ──────────┘           check, run the ops
//! [filter, compiled meanwhile] ────────────►         awaited where it is loaded
//! [second process ◄─ Respawned]                      only if a namespace needs another clone; it goes on meanwhile
//! [maps ◄──────── NeedMaps, Go ────────────► ]      only with a new user namespace
//! [master ◄────── Terminal]                         only with a terminal
//! [what it asks ◄ Ask(what), Go ───────────► ]      for each `ask` of the program: see ask.rs
//! [agent gets it ◄ Listener, the descriptor ─► ]      only if the filter asks an agent: see agent.rs
//! record the pid, attach the device filter (meanwhile)
//! ◄──────────────────────────────── Ready            or Failed, or end of file: it died
//! rlimits, publish the gate
//! [terminal, pidfd to their receivers, pid file]
//! Commit ──────────────────────────────────► may outlive its creator; undoes the signals, waits at the gate
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
pub(crate) use self::peer::Peer;
use crate::cgroup::Cgroup;
use crate::container::Container;
use crate::plan::namespaces::kind;
use crate::plan::{Code, Plan, Rlimit};
use crate::prepare::{HostRoot, Prepared};
use crate::resctrl::Resctrl;
use crate::state::InitRecord;
use crate::sys;
use crate::until::Until;
use crate::{Error, ErrorKind, Result, systemd};

impl Prepared {
    /// Creates the container: on success init waits at the gate, on failure nothing is left.
    ///
    /// # Errors
    /// What init reports, with the place in config.json that it comes from.
    pub fn launch(self) -> Result<Container> {
        self.launch_with(None)
    }

    /// The same with the code of a filter that follows the program.
    pub(crate) fn launch_with(self, code: Option<Code<'_>>) -> Result<Container> {
        let last = (!self.record.hooks.poststop.is_empty()).then(|| self.record.clone());
        let launched = self.launch_or_undo(code);
        if let (Err(_), Some(record)) = (&launched, last) {
            // The error of the create is the one to report.
            for warning in hook::poststop(&record) {
                log::warn!("{}: {}", warning.pointer, warning.message);
            }
        }
        launched
    }

    fn launch_or_undo(self, code: Option<Code<'_>>) -> Result<Container> {
        let mut launch = Launch::new(self)?;
        launch.start()?;
        if let Some(code) = code {
            launch.peer.say_filter(&code.instructions().map_err(|error| error.during("plan"))?)?;
        }
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
        let peer = prepared.peer.take();
        let mut peer = peer.ok_or_else(|| Error::new(ErrorKind::Internal, "prepared without init"))?;
        let (encoded, len) = &prepared.program;
        peer.load(encoded, *len, prepared.plan.respawns)?;
        Ok(Self { peer, devices: None, offered: None, recorded: false, prepared })
    }

    /// Feeds init, after what has to come before.
    fn start(&mut self) -> Result<()> {
        let Prepared { plan, cgroup, .. } = &self.prepared;
        trace::cloned(plan, self.peer.pid());
        let score = plan.oom_score_adj;
        if score.is_some() || cgroup.has_late() || plan.cgroup.destination().is_some() {
            self.peer.settle()?;
            self.place()?;
            let limited = self.prepared.cgroup.apply_late();
            limited.map_err(|error| self.rather(error))?;
        }
        if let Some(score) = score {
            idmap::write_oom_score(self.peer.pid(), score)?;
        }
        self.peer.feed(std::mem::take(&mut self.prepared.slots))
    }

    /// Has init moved into the cgroup, if we may neither clone it there nor move it.
    fn place(&self) -> Result<()> {
        match self.prepared.plan.cgroup.destination() {
            Some(destination) => systemd::attach(destination, self.peer.pid(), self.peer.until()),
            None => Ok(()),
        }
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

/// Clones init, which waits for its program.
pub(crate) fn begin(plan: &Plan, cgroup: &Cgroup, until: Until) -> Result<Peer> {
    let into = plan.into_cgroup.and_then(|dir| cgroup.directory(&plan.cgroup, dir));
    let begin = if plan.suspends { Peer::begin_suspended } else { Peer::begin };
    begin(plan.clone_flags, into, until).map_err(|error| unprivileged(unplaced(error, plan), plan))
}

/// Without the right to namespaces a container needs one of users first. One that has it was refused for something else.
fn unprivileged(error: Error, plan: &Plan) -> Error {
    match error.errno() == Some(libc::EPERM) && plan.clone_flags & kind::USER == 0 && plan.clone_flags != 0 {
        true => error.remark("the caller needs CAP_SYS_ADMIN, or the container a user namespace of its own"),
        false => error,
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

/// The same for a process on our memory.
fn uncloned(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| apart(failed(what)(error))
}

/// Where the children of a thread get another time namespace, older kernels let none of them share its memory: they say no more than EINVAL.
fn apart(error: Error) -> Error {
    let namespace = |name| std::fs::read_link(format!("/proc/thread-self/ns/{name}")).ok();
    match error.errno() {
        Some(libc::EINVAL) if namespace("time") != namespace("time_for_children") => error
            .remark("before Linux 6.2 the caller must not have unshared the time namespace of its children"),
        _ => error,
    }
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
    fn the_right_to_namespaces_is_named_where_it_is_what_is_missing() {
        let named = |flags: u32, errno: i32| {
            let plan = Plan { clone_flags: flags, ..plan() };
            unprivileged(Error::os("clone init", errno), &plan).to_string().contains("CAP_SYS_ADMIN")
        };
        assert!(named(kind::MOUNT | kind::PID, libc::EPERM));
        assert!(!named(kind::MOUNT | kind::USER, libc::EPERM), "it has a namespace of users");
        assert!(!named(0, libc::EPERM) && !named(kind::MOUNT, libc::EINVAL));
    }

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
