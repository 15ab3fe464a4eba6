//! teu as a library, in this process: the harness is the long-lived, multithreaded host that the library promises to leave alone.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use teu::events::{Event, EventOptions, PressureResource, PressureTrigger};
use teu::{
    CgroupManager, Container, CreateOptions, Delete, Error, ErrorKind, ExecCgroup, ExecOptions, Id, Receiver,
    Runtime, Spec, State, Stdio, UpdateOptions,
};

use super::{Driver, Exec, New, Reply};
use crate::{Outcome, Trouble, sys};

/// The library with one state root.
#[derive(Debug)]
pub struct Library {
    name: String,
    root: PathBuf,
    runtime: Runtime,
    systemd: bool,
}

/// The files that stand for the reply's texts.
pub(super) struct Output {
    pub out: File,
    pub err: File,
}

impl Library {
    /// The library with its containers below `root`.
    pub fn new(name: &str, root: &Path) -> teu::Result<Self> {
        Ok(Self { name: name.into(), root: root.into(), runtime: Runtime::at(root)?, systemd: false })
    }

    /// The same library; systemd makes the cgroups of all its containers if `systemd` is set.
    #[must_use]
    pub fn with_systemd(self, systemd: bool) -> Self {
        Self { systemd, ..self }
    }

    fn open(&self, id: &str) -> teu::Result<Container> {
        self.runtime.open(&Id::new(id)?)
    }

    fn make(&self, new: New<'_>, output: &Output) -> teu::Result<Container> {
        let id = Id::new(new.id)?;
        let spec = Spec::from_bundle(&new.bundle)?;
        let stdio = output.stdio(new.stdin, new.stdout)?;
        let by_systemd = self.systemd || new.systemd;
        let options = CreateOptions {
            stdio,
            no_pivot: new.no_pivot,
            no_default_device_rules: new.no_default_device_rules,
            cgroup_manager: if by_systemd { CgroupManager::Systemd } else { CgroupManager::Cgroupfs },
            pid_file: new.pid_file,
            console_socket: new.console_socket.map(Receiver::Path),
            pidfd_socket: new.pidfd_socket.map(Receiver::Path),
            ..CreateOptions::default()
        };
        self.runtime.create(&id, &spec, options)
    }

    fn run_to_end(&self, new: New<'_>, output: &Output) -> teu::Result<i32> {
        let detach = new.detach;
        let mut container = self.make(new, output)?;
        let terminal = container.take_terminal();
        if let Err(error) = container.start() {
            container.delete(Delete::Force)?;
            return Err(error);
        }
        if detach {
            return Ok(0);
        }
        if let Some(terminal) = terminal {
            read_terminal(terminal.into(), &output.out);
        }
        let exit = container.wait()?;
        container.delete(Delete::Force)?;
        Ok(exit.status())
    }

    fn enter(&self, exec: Exec<'_>, output: &Output) -> teu::Result<i32> {
        let options = ExecOptions {
            stdio: output.stdio(exec.stdin, exec.stdout)?,
            pid_file: exec.pid_file,
            console_socket: exec.console_socket.map(Receiver::Path),
            pidfd_socket: exec.pidfd_socket.map(Receiver::Path),
            cgroup: cgroup(&exec.cgroups),
            ignore_paused: exec.ignore_paused,
            ..ExecOptions::default()
        };
        let mut process = self.open(exec.id)?.exec(exec.process.as_bytes(), options)?;
        if exec.detach {
            return Ok(0);
        }
        if let Some(terminal) = process.take_terminal() {
            read_terminal(terminal.into(), &output.out);
        }
        Ok(process.wait().status())
    }

    fn listen(
        &self,
        id: &str,
        options: &EventOptions,
        acts: &[&dyn Fn() -> Outcome],
    ) -> Result<Reply, Trouble> {
        let listening = self.open(id).and_then(|container| container.events(options));
        let mut events = match listening {
            Ok(events) => events,
            Err(error) => return Ok(refused(error)),
        };
        let mut acts = acts.iter();
        let (mut out, deadline) = (String::new(), Instant::now() + sys::PATIENCE);
        while !out.ends_with("end\n") {
            acts.next().map_or(Ok(()), |act| act())?;
            match events.wait(Some(deadline)) {
                Ok(Some(Event::Oom { .. })) => out += &format!("{{\"type\":\"oom\",\"id\":\"{id}\"}}\n"),
                Ok(Some(Event::Exit)) => out += "end\n",
                Ok(Some(event)) => out += &format!("{event:?}\n").to_lowercase(),
                Ok(None) => return Err(format!("no end was told: {out}").into()),
                Err(error) => return Ok(refused(error)),
            }
        }
        Ok(Reply { out, ..Reply::default() })
    }

    /// A creation with its output collected; a failure gets the words that a command puts in front.
    fn creation(
        &self,
        verb: &str,
        mut new: New<'_>,
        call: impl FnOnce(New<'_>, &Output) -> teu::Result<i32>,
    ) -> Reply {
        let given = new.stderr.take();
        let result = Output::collect(given, |output| {
            call(new, output).map_err(|error| error.context(format!("{} {verb} failed", self.name)))
        });
        result.unwrap_or_else(refused)
    }
}

impl Output {
    /// What a call does, with its output.
    pub fn collect(err: Option<File>, call: impl FnOnce(&Self) -> teu::Result<i32>) -> teu::Result<Reply> {
        let make =
            || -> io::Result<Self> { Ok(Self { out: sys::memfd()?, err: err.map_or_else(sys::memfd, Ok)? }) };
        let output = make().map_err(|error| Error::io("make a file for the output", &error))?;
        let code = call(&output)?;
        let text = |file| sys::content(file).map_err(|error| Error::io("read the output", &error));
        Ok(Reply { code, out: text(&output.out)?, err: text(&output.err)? })
    }

    /// The streams of a process that writes into it where it was not given others.
    fn stdio(&self, stdin: Option<OwnedFd>, stdout: Option<OwnedFd>) -> teu::Result<[Stdio; 3]> {
        let copy = |file: &File| file.try_clone().map(|copy| Stdio::Fd(copy.into()));
        let failed = |error: io::Error| Error::io("copy a descriptor", &error);
        let stdout = stdout.map_or_else(|| copy(&self.out), |fd| Ok(Stdio::Fd(fd)));
        Ok([stdin.map_or(Stdio::Null, Stdio::Fd), stdout.map_err(failed)?, copy(&self.err).map_err(failed)?])
    }
}

/// Copies what a terminal shows until everybody has left it, which the kernel tells as an error.
pub(super) fn read_terminal(master: OwnedFd, mut to: &File) {
    let _ = io::copy(&mut File::from(master), &mut to);
}

impl Driver for Library {
    fn name(&self) -> &str {
        &self.name
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn create(&self, new: New<'_>) -> Reply {
        self.creation("create", new, |new, output| self.make(new, output).map(|_| 0))
    }

    fn run(&self, new: New<'_>) -> Reply {
        self.creation("run", new, |new, output| self.run_to_end(new, output))
    }

    fn start(&self, id: &str) -> Reply {
        reply(self.open(id).and_then(|container| container.start()))
    }

    fn exec(&self, exec: Exec<'_>) -> Reply {
        let entered = Output::collect(None, |output| self.enter(exec, output));
        entered.unwrap_or_else(|error| Reply { code: 255, ..refused(error.context("exec failed")) })
    }

    fn state(&self, id: &str) -> Reply {
        let state = self.open(id).and_then(|container| container.state());
        state.map_or_else(refused, |state| Reply { out: document(&state).to_string(), ..Reply::default() })
    }

    fn kill(&self, id: &str, signal: &str, all: bool) -> Reply {
        let killed = number(signal).and_then(|signal| {
            let container = self.open(id)?;
            if all { container.kill_all(signal) } else { container.kill(signal) }
        });
        match killed {
            // The command forgives this, and the driver stands in for the command.
            Err(error) if all && error.kind() == ErrorKind::NotRunning => Reply::default(),
            other => reply(other),
        }
    }

    fn delete(&self, id: &str, force: bool) -> Reply {
        let mode = if force { Delete::Force } else { Delete::OnlyStopped };
        let deleted = Id::new(id).and_then(|id| self.runtime.delete(&id, mode));
        let warned = |warnings: Vec<teu::Warning>| Reply {
            err: warnings.iter().map(|warning| format!("level=warning {}\n", warning.message)).collect(),
            ..Reply::default()
        };
        deleted.map_or_else(refused, warned)
    }

    fn pause(&self, id: &str) -> Reply {
        reply(self.open(id).and_then(|container| container.pause()))
    }

    fn resume(&self, id: &str) -> Reply {
        reply(self.open(id).and_then(|container| container.resume()))
    }

    fn processes(&self, id: &str) -> Reply {
        let pids = self.open(id).and_then(|container| container.processes());
        let list = |pids: Vec<i32>| if pids.is_empty() { Value::Null } else { json!(pids) };
        pids.map_or_else(refused, |pids| Reply { out: format!("{}\n", list(pids)), ..Reply::default() })
    }

    fn update(&self, id: &str, resources: &str) -> Reply {
        let options = UpdateOptions::default();
        let updated = self.open(id).and_then(|container| container.update(resources.as_bytes(), &options));
        reply(updated.map(drop))
    }

    fn stats(&self, id: &str) -> Reply {
        let stats = self.open(id).and_then(|container| container.stats());
        stats.map_or_else(refused, |stats| Reply { out: stats.runc_json(), ..Reply::default() })
    }

    fn events(&self, id: &str, acts: &[&dyn Fn() -> Outcome]) -> Result<Reply, Trouble> {
        self.listen(id, &EventOptions::default(), acts)
    }

    fn events_of_starvation(&self, id: &str, acts: &[&dyn Fn() -> Outcome]) -> Result<Reply, Trouble> {
        let (stall, window) = (Duration::from_millis(50), Duration::from_secs(2));
        let starved = PressureTrigger { resource: PressureResource::Cpu, full: false, stall, window };
        self.listen(id, &EventOptions { pressure: vec![starved], ..EventOptions::default() }, acts)
    }

    fn list(&self) -> Reply {
        let list = self.runtime.list().map(|list| {
            let states = list.into_iter().filter_map(|entry| entry.state.ok());
            let entries: Vec<Value> = states.map(|state| with_owner(document(&state), &state)).collect();
            if entries.is_empty() { Value::Null } else { entries.into() }
        });
        list.map_or_else(refused, |list| Reply { out: list.to_string(), ..Reply::default() })
    }
}

fn reply(result: teu::Result<()>) -> Reply {
    result.map_or_else(refused, |()| Reply::default())
}

fn refused(error: Error) -> Reply {
    Reply { code: 1, err: format!("{error}\n"), ..Reply::default() }
}

/// The state in the contract's order of keys.
fn document(state: &State) -> Value {
    let mut document = json!({
        "ociVersion": state.oci_version,
        "id": state.id,
        "pid": state.pid,
        "status": state.status.as_str(),
        "bundle": state.bundle,
        "rootfs": state.rootfs,
        "created": state.created,
    });
    if !state.annotations.is_empty() {
        document["annotations"] = json!(state.annotations);
    }
    document["owner"] = json!("");
    document
}

fn with_owner(mut document: Value, state: &State) -> Value {
    document["owner"] =
        if state.owner_uid == 0 { json!("root") } else { json!(format!("#{}", state.owner_uid)) };
    document
}

/// What the command makes of its words.
pub(super) fn cgroup(words: &[&str]) -> ExecCgroup {
    let pairs = words.iter().filter_map(|word| word.split_once(':'));
    let each = |(names, path): (&str, &str)| {
        names.split(',').map(|name| (name.to_owned(), path.to_owned())).collect::<Vec<_>>()
    };
    match words {
        [] => ExecCgroup::Container,
        [path] if !path.contains(':') => ExecCgroup::Below((*path).to_owned()),
        _ => ExecCgroup::ByController(pairs.flat_map(each).collect()),
    }
}

/// The library takes numbers; names are a matter of the command.
pub(super) fn number(signal: &str) -> teu::Result<i32> {
    let upper = signal.to_uppercase();
    let name = upper.trim_start_matches("SIG");
    let offset = |prefix: &str| name.strip_prefix(prefix).and_then(|rest| rest.get(1..)?.parse::<i32>().ok());
    let known =
        name.parse().ok().or_else(|| format!("SIG{name}").parse::<Signal>().ok().map(|one| one as i32));
    let realtime = || offset("RTMIN").map(|more| 34 + more).or_else(|| offset("RTMAX").map(|less| 64 - less));
    let unknown = || Error::new(ErrorKind::InvalidArgument, format!("unknown signal {signal:?}"));
    known.or_else(realtime).ok_or_else(unknown)
}
