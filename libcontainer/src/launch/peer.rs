//! Init as its caller has it while they talk: the process, the socket, the program it was given. The same for `create` and for `exec`.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::sys::socket::{Shutdown, shutdown};
use teu_init::program::PROGRESS_OFFSET;
use teu_init::wire;

use super::clone::{self, Child, Lent};
use super::reap;
use super::stub::Task;
use super::talk::{self, Heard};
use super::{carrier, failed, pair, report, uncloned};
use crate::plan::Plan;
use crate::prepare::Receivers;
use crate::state::is_alive;
use crate::sys::process::{Ended, Processors};
use crate::terminal::Terminal;
use crate::until::Until;
use crate::{Error, ErrorKind, Result, sys};

/// How long a first process may take to make the second: it joins namespaces before, and reads and mounts nothing.
const RESPAWN: Duration = Duration::from_secs(1);

/// How often a cancellation is looked for by who cannot wait for it: what init does to our memory shows in no descriptor.
const GLANCE: Duration = Duration::from_millis(5);

/// Dropped before its process is taken from it, it kills the process.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Option<Child>,
    pub socket: OwnedFd,
    /// Init's end of the conversation, until init has it.
    theirs: Option<OwnedFd>,
    /// The program, into which init writes how far it has come, and its length in bytes.
    program: Option<(OwnedFd, usize)>,
    /// Our memory, which the process shares until it executes init.
    lent: Option<Lent<Task>>,
    /// The terminal's master, once init has sent it.
    pub terminal: Option<Terminal>,
    /// The listener of the filter, if the caller keeps it.
    pub listener: Option<OwnedFd>,
    /// Whether a word that there is a second process is still to come.
    respawns: bool,
    /// What the second process has said before the first one told of it.
    early: VecDeque<Heard>,
    until: Until,
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.respawns && self.child.is_some() {
            self.end_second();
        }
        if let Some(child) = self.child.take() {
            reap::kill(&child.pidfd);
        }
    }
}

impl Peer {
    /// A peer without a process and without a program.
    pub fn new(until: Until) -> Result<Self> {
        let (socket, theirs) = pair().map_err(failed("socketpair"))?;
        Ok(Self {
            child: None,
            socket,
            theirs: Some(theirs),
            program: None,
            lent: None,
            terminal: None,
            listener: None,
            respawns: false,
            early: VecDeque::new(),
            until,
        })
    }

    /// A peer whose process gets ready while we decide what it is to do, in new namespaces (`flags`, CLONE_NEW*) and, with `cgroup`, in that cgroup2
    /// directory.
    pub fn begin(flags: u32, cgroup: Option<BorrowedFd<'_>>, until: Until) -> Result<Self> {
        let processors = Processors::of_thread();
        let peer = Self::born(until, |theirs, init| {
            let (child, lent) = clone::spawn_beside(flags, cgroup, theirs, init)?;
            Ok((child, Some(lent)))
        })?;
        if let Some(processors) = processors {
            processors.move_away(peer.pid());
        }
        Ok(peer)
    }

    /// The same, with the caller suspended until the process has left our memory.
    pub fn begin_suspended(flags: u32, cgroup: Option<BorrowedFd<'_>>, until: Until) -> Result<Self> {
        Self::born(until, |theirs, init| Ok((clone::spawn(flags, cgroup, theirs, init)?, None)))
    }

    fn born(
        until: Until,
        clone: impl FnOnce(BorrowedFd<'_>, BorrowedFd<'_>) -> io::Result<(Child, Option<Lent<Task>>)>,
    ) -> Result<Self> {
        let mut peer = Self::new(until)?;
        let Some(theirs) = peer.theirs.take() else { return Ok(peer) };
        let init = carrier::init().map_err(failed("make the init program"))?;
        let (child, lent) = clone(theirs.as_fd(), init.as_fd()).map_err(uncloned("clone init"))?;
        (peer.child, peer.lent) = (Some(child), lent);
        Ok(peer)
    }

    /// Gives it the program that init is to run, and whether it goes on in a second process.
    pub fn load(&mut self, encoded: &[u8], len: usize, respawns: bool) -> Result<()> {
        let program = carrier::program(encoded, len).map_err(failed("make the program"))?;
        (self.program, self.respawns) = (Some((program, len)), respawns);
        Ok(())
    }

    /// Waits until the process is on its own: what is done to it before is done to us as well, where it follows the memory.
    ///
    /// # Errors
    /// `TimedOut` and `Cancelled` as the caller wants it, and `TimedOut` after ten seconds.
    pub fn settle(&self) -> Result<()> {
        let Some(lent) = &self.lent else { return Ok(()) };
        let late = Instant::now() + reap::PATIENCE;
        let limit = if self.until.cancel.is_some() { GLANCE } else { reap::PATIENCE };
        while !lent.wait(self.until.within(limit)) {
            if Instant::now() >= late {
                return Err(failed("execute init")(io::ErrorKind::TimedOut.into()));
            }
            self.until.check()?;
        }
        Ok(())
    }

    /// Sends the program and its descriptors. Our copies are closed: only init holds the gate.
    pub fn feed(&self, slots: Vec<OwnedFd>) -> Result<()> {
        let program = self.program.as_ref();
        let (program, len) =
            program.ok_or_else(|| Error::new(ErrorKind::Internal, "init without a program"))?;
        sent(talk::send_program(&self.socket, program, *len, &slots), "send the program to init")
    }

    /// The index of the op at which init is, as it left it in the program's header.
    pub fn progress(&self) -> usize {
        let program = self.program.as_ref().and_then(|(program, _)| program.try_clone().ok());
        let mut word = [0u8; 4];
        let read =
            program.map(|program| File::from(program).read_exact_at(&mut word, PROGRESS_OFFSET as u64));
        if matches!(read, Some(Ok(()))) { u32::from_le_bytes(word) as usize } else { 0 }
    }

    /// What init says next; `None` if it ended without a word.
    pub fn hear(&self, plan: &Plan) -> Result<Option<Heard>> {
        let heard = talk::hear_until(&self.socket, &self.until);
        let heard = heard.map_err(|error| report::unheard(plan, self.progress(), &error))?;
        match (&heard, &self.lent) {
            (None, Some(lent)) => lent.task().executed().map_err(failed("execute init")).map(|()| None),
            _ => Ok(heard),
        }
    }

    /// What init says next that does not mean the same in every launch.
    pub fn next(&mut self, plan: &Plan) -> Result<Option<Heard>> {
        if self.respawns {
            self.await_respawn(plan)?;
        }
        loop {
            let heard = match self.early.pop_front() {
                Some(heard) => Some(heard),
                None => self.hear(plan)?,
            };
            let Some(heard) = heard else { return Ok(None) };
            match heard.frame.kind {
                wire::FAILED => return Err(report::failure(plan, &heard)),
                wire::TERMINAL => self.terminal = heard.fd.map(|fd| Terminal::new(fd, heard.frame.value)),
                _ => return Ok(Some(heard)),
            }
        }
    }

    /// Waits for the word of the first process that there is a second. Both write to one socket and do not wait for each other: what the second one
    /// says before is kept. If the first one fails, it ends, and so does the conversation.
    fn await_respawn(&mut self, plan: &Plan) -> Result<()> {
        while let Some(heard) = self.hear(plan)? {
            match heard.frame.kind {
                wire::RESPAWNED => return self.adopt(heard.fd),
                _ => self.early.push_back(heard),
            }
        }
        self.respawns = false;
        Ok(())
    }

    /// Ends the second process, if there is one already. Where the first is killed before its word of it, nobody knows the second, which cannot see that it is
    /// alone while it is frozen.
    fn end_second(&self) {
        // Who waits for an answer ends now.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Write);
        let until = Until { deadline: Instant::now().checked_add(RESPAWN), cancel: None };
        while let Ok(Some(heard)) = talk::hear_until(&self.socket, &until) {
            if heard.frame.kind == wire::RESPAWNED {
                let _ = heard.fd.map(|second| reap::kill(&second));
                return;
            }
        }
    }

    /// Init goes on in another child of ours; the first one is done.
    fn adopt(&mut self, pidfd: Option<OwnedFd>) -> Result<()> {
        self.respawns = false;
        let pidfd =
            pidfd.ok_or_else(|| Error::new(ErrorKind::Internal, "init respawned without a descriptor"))?;
        let pid = sys::pidfd::pid_of(pidfd.as_fd()).map_err(|error| {
            // Nobody else knows it.
            reap::kill(&pidfd);
            Error::io("find the pid of init", &error)
        })?;
        if let Some(first) = self.child.replace(Child { pid, pidfd }) {
            reap::wait(&first.pidfd);
        }
        Ok(())
    }

    pub fn say(&self, word: u32) -> Result<()> {
        talk::say(&self.socket, word).map_err(|error| Error::io("speak to init", &error))
    }

    /// The same to an init that may be dead.
    pub fn say_ahead(&self, word: u32) -> Result<()> {
        sent(talk::say(&self.socket, word), "speak to init")
    }

    /// Sends the instructions of the filter to an init that may be dead.
    pub fn say_filter(&self, insns: &[u8]) -> Result<()> {
        sent(talk::send_filter(&self.socket, insns), "send the filter to init")
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

    /// Whether the process has ended without a word.
    ///
    /// # Errors
    /// Its last word.
    pub fn ended_silently(&mut self, plan: &Plan) -> Result<bool> {
        Ok(self.is_dead() && self.next(plan)?.is_none())
    }

    /// How a process ended that went without a word.
    pub fn bury(&mut self) -> Option<Ended> {
        self.release().and_then(|child| reap::wait(&child.pidfd))
    }
}

/// A dead init shows in the conversation.
fn sent(sent: io::Result<()>, what: &str) -> Result<()> {
    match sent {
        Err(error) if !matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)) => {
            Err(Error::io(what, &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::process::{Command, Stdio};

    use nix::sched::{CloneFlags, unshare};
    use teu_init::sys::Fd;
    use teu_init::wire::Frame;

    use super::*;
    use crate::plan::{CgroupPlan, Hooks, Program};
    use crate::spec::Id;
    use crate::sys::pidfd::pidfd_open;
    use crate::until::{self, Cancel, Patience};

    pub fn plan() -> Plan {
        Plan {
            id: Id::new("x").unwrap(),
            bundle: "/".into(),
            rootfs: "/".into(),
            config: [].into(),
            annotations: Default::default(),
            pidfd_receiver: None,
            clone_flags: 0,
            respawns: true,
            own_pid_namespace: false,
            into_cgroup: None,
            suspends: false,
            cgroup: CgroupPlan::default(),
            intel_rdt: None,
            sources: Vec::new(),
            id_maps: None,
            mapped_trees: Vec::new(),
            net_devices: Vec::new(),
            rlimits: Vec::new(),
            oom_score_adj: None,
            has_program: true,
            filter: None,
            hooks: Hooks::default(),
            program: Program::default(),
        }
    }

    /// A peer that spawned nothing, and init's end of its conversation.
    fn peer() -> (Peer, OwnedFd) {
        let mut peer = Peer::new(Until::from(&Patience::default())).unwrap();
        let theirs = peer.theirs.take().unwrap();
        (peer, theirs)
    }

    #[test]
    fn what_the_second_process_says_early_is_heard_after_the_word_that_there_is_one() {
        let (mut peer, theirs) = peer();
        peer.respawns = true;
        let mut second = Command::new("sleep").arg("60").spawn().unwrap();
        let pidfd = pidfd_open(second.id() as i32).unwrap();
        let socket = Fd(theirs.as_raw_fd());
        teu_init::talk::send(socket, &Frame { value: 7, ..Frame::word(wire::NEED_MAPS) }, &[]).unwrap();
        teu_init::talk::send_fd(socket, &Frame::word(wire::RESPAWNED), Fd(pidfd.as_raw_fd())).unwrap();
        teu_init::talk::send(socket, &Frame::word(wire::READY), &[]).unwrap();
        let early = peer.next(&plan()).unwrap().unwrap();
        assert_eq!((early.frame.kind, early.frame.value), (wire::NEED_MAPS, 7));
        assert_eq!(peer.pid(), second.id() as i32);
        assert_eq!(peer.next(&plan()).unwrap().unwrap().frame.kind, wire::READY);
        // It is the peer's now, and ends with it.
        drop(peer);
        second.wait().unwrap_err();
    }

    #[test]
    fn a_first_process_that_fails_tells_of_no_second() {
        let (mut peer, theirs) = peer();
        peer.respawns = true;
        let failed = Frame { kind: wire::FAILED, op: u32::MAX, value: libc::EPERM as u32, detail: 0 };
        teu_init::talk::send(Fd(theirs.as_raw_fd()), &failed, &[]).unwrap();
        drop(theirs);
        assert!(peer.next(&plan()).is_err());
        assert!(peer.next(&plan()).unwrap().is_none());
    }

    #[test]
    fn a_second_process_that_is_told_of_late_ends_with_the_first() {
        let (mut peer, theirs) = peer();
        let mut processes = ["60", "61"].map(|time| Command::new("sleep").arg(time).spawn().unwrap());
        let [one, two] = processes.each_ref().map(|process| pidfd_open(process.id() as i32).unwrap());
        let told = two.try_clone().unwrap();
        peer.child = Some(Child { pid: processes[0].id() as i32, pidfd: one.try_clone().unwrap() });
        peer.respawns = true;
        let socket = theirs.try_clone().unwrap();
        let telling = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            teu_init::talk::send_fd(
                Fd(socket.as_raw_fd()),
                &Frame::word(wire::RESPAWNED),
                Fd(told.as_raw_fd()),
            )
            .unwrap();
        });
        drop(peer);
        telling.join().unwrap();
        let alive = [&one, &two].map(is_alive);
        for process in &mut processes {
            process.kill().ok();
            process.wait().ok();
        }
        assert_eq!(alive, [false, false]);
    }

    /// Runs `body` in a thread that has no /proc.
    fn without_proc(body: impl FnOnce() + Send) {
        let alone = || {
            unshare(CloneFlags::CLONE_FS).unwrap();
            nix::unistd::chroot("/sys").unwrap();
            body();
        };
        std::thread::scope(|scope| scope.spawn(alone).join().unwrap());
    }

    #[test]
    fn a_second_process_that_cannot_be_adopted_ends_with_the_first() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let (mut peer, _theirs) = peer();
        let mut processes = ["60", "61"].map(|time| Command::new("sleep").arg(time).spawn().unwrap());
        let [one, two] = processes.each_ref().map(|process| pidfd_open(process.id() as i32).unwrap());
        let told = two.try_clone().unwrap();
        peer.child = Some(Child { pid: processes[0].id() as i32, pidfd: one.try_clone().unwrap() });
        peer.respawns = true;
        without_proc(move || {
            let error = peer.adopt(Some(told)).unwrap_err();
            assert_eq!(error.errno(), Some(libc::ENOENT), "{error}");
        });
        let alive = [&one, &two].map(is_alive);
        for process in &mut processes {
            process.kill().ok();
            process.wait().ok();
        }
        assert_eq!(alive, [false, false]);
    }

    #[test]
    fn the_last_word_of_a_process_is_asked_for_when_it_has_ended() {
        let failed = Frame { kind: wire::FAILED, op: u32::MAX, value: libc::EPERM as u32, detail: 0 };
        for (program, says, silent) in
            [("true", false, Some(true)), ("true", true, None), ("cat", true, Some(false))]
        {
            let (mut peer, theirs) = peer();
            let mut process = Command::new(program).stdin(Stdio::piped()).spawn().unwrap();
            let pidfd = pidfd_open(process.id() as i32).unwrap();
            peer.child = Some(Child { pid: process.id() as i32, pidfd });
            if says {
                teu_init::talk::send(Fd(theirs.as_raw_fd()), &failed, &[]).unwrap();
            }
            drop(theirs);
            while program == "true" && !peer.is_dead() {
                std::thread::yield_now();
            }
            assert_eq!(peer.ended_silently(&plan()).ok(), silent, "{program}, which says {says}");
            drop(process.stdin.take());
            drop(peer);
            process.wait().ok();
        }
    }

    #[test]
    fn an_init_that_is_given_up_at_any_moment_is_ended() {
        for step in 0..200 {
            let peer = Peer::begin(0, None, Until::default()).unwrap();
            let child = peer.child().unwrap().pidfd.try_clone().unwrap();
            let since = Instant::now();
            while since.elapsed() < Duration::from_micros(4 * step) {}
            drop(peer);
            assert!(!is_alive(&child));
        }
    }

    #[test]
    fn an_init_for_which_the_caller_waited_has_left_its_memory() {
        let peer = Peer::begin_suspended(0, None, Until::default()).unwrap();
        let executed = std::fs::read_link(format!("/proc/{}/exe", peer.pid())).unwrap();
        assert!(executed.to_string_lossy().contains("teu-init"), "{}", executed.display());
        let child = peer.child().unwrap().pidfd.try_clone().unwrap();
        drop(peer);
        assert!(!is_alive(&child));
    }

    #[test]
    fn init_begins_where_children_get_another_time_namespace_or_the_error_says_so() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let refused = || io::Error::from_raw_os_error(libc::EINVAL);
        let alone = || {
            if let Err(error) = unshare(CloneFlags::from_bits_retain(libc::CLONE_NEWTIME)) {
                println!("skipped: no time namespaces: {error}");
                return;
            }
            for begin in [Peer::begin, Peer::begin_suspended] {
                match begin(0, None, Until::default()) {
                    Ok(peer) => assert!(peer.pid() > 0),
                    Err(error) => assert!(error.to_string().contains("Linux 6.2"), "{error}"),
                }
            }
            let error = uncloned("clone init")(refused());
            assert!(error.to_string().contains("Linux 6.2"), "{error}");
        };
        std::thread::scope(|scope| scope.spawn(alone).join().unwrap());
        let error = uncloned("clone init")(refused());
        assert_eq!(error.to_string(), failed("clone init")(refused()).to_string());
    }

    /// Never becomes init.
    extern "C" fn hang(_: *mut Task) -> ! {
        loop {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn nobody_waits_longer_than_he_wants_to_for_an_init_that_hangs() {
        let settle = |patience: &Patience| {
            let peer = Peer::born(patience.into(), |theirs, init| {
                let (child, lent) = clone::lend(0, None, Task::new(theirs, init), hang)?;
                Ok((child, Some(lent)))
            });
            peer.unwrap().settle().unwrap_err().to_string()
        };
        let timeout = Some(Duration::from_millis(1));
        assert_eq!(settle(&Patience { timeout, cancel: None }), until::late().to_string());
        let cancel = Cancel::new().unwrap();
        let trigger = cancel.clone();
        let triggering = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            trigger.trigger();
        });
        let patience = Patience { timeout: None, cancel: Some(cancel) };
        assert_eq!(settle(&patience), until::cancelled().to_string());
        triggering.join().unwrap();
    }

    #[test]
    fn what_is_done_to_a_settled_init_is_not_done_to_us() {
        let score = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        let ours = score(std::process::id() as i32);
        let peer = Peer::begin(0, None, Until::default()).unwrap();
        peer.settle().unwrap();
        let path = format!("/proc/{}/oom_score_adj", peer.pid());
        std::fs::write(path, "777").unwrap();
        assert_eq!((score(peer.pid()), score(std::process::id() as i32)), ("777\n".to_owned(), ours));
    }
}
