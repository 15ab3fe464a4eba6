//! A runtime behind a command line like runc's, named by path, with a private state root and a time limit on every call.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::{Driver, Exec, New, Reply};
use crate::ctx::Lines;
use crate::{Outcome, Trouble, sys};

/// The longest any command may take; `delete --force` alone is allowed ten seconds by the contract.
const LIMIT: Duration = Duration::from_secs(15);

/// A runtime's command line.
#[derive(Debug, Clone)]
pub struct Cli {
    name: String,
    path: PathBuf,
    root: PathBuf,
    prefix: Vec<OsString>,
    /// Options in front of every command.
    globals: &'static [&'static str],
}

/// A command under way.
#[derive(Debug)]
pub struct Running {
    child: Child,
    out: File,
    err: File,
}

impl Cli {
    /// The runtime at `path`, with its containers below `root`.
    pub fn new(name: &str, path: &Path, root: &Path) -> Self {
        Self { name: name.into(), path: path.into(), root: root.into(), prefix: Vec::new(), globals: &[] }
    }

    /// The same runtime with options in front of every command.
    #[must_use]
    pub fn always(&self, globals: &'static [&'static str]) -> Self {
        Self { globals, ..self.clone() }
    }

    /// The same runtime behind a launcher, such as `env --ignore-signal=HUP`, that shapes the caller's environment.
    #[must_use]
    pub fn behind(&self, prefix: &[&str]) -> Self {
        Self { prefix: prefix.iter().map(OsString::from).collect(), ..self.clone() }
    }

    /// The same runtime with its containers elsewhere.
    #[must_use]
    pub fn at_root(&self, root: &Path) -> Self {
        Self { root: root.into(), ..self.clone() }
    }

    /// The runtime's program.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs one command of the runtime, global options of the test's own first.
    pub fn call<S: AsRef<OsStr>>(&self, args: &[S]) -> Reply {
        self.call_in(Path::new("/"), args)
    }

    /// The same, in a directory.
    pub fn call_in<S: AsRef<OsStr>>(&self, dir: &Path, args: &[S]) -> Reply {
        let mut command = self.command();
        command.current_dir(dir).args(args);
        finish(spawn(command, None))
    }

    /// Starts a command and leaves it under way.
    pub fn spawn<S: AsRef<OsStr>>(&self, args: &[S]) -> io::Result<Running> {
        let mut command = self.command();
        command.args(args);
        spawn(command, None)
    }

    /// The same, with a stdout of the test's choice.
    pub fn spawn_to<S: AsRef<OsStr>>(&self, args: &[S], stdout: OwnedFd) -> io::Result<Running> {
        let mut command = self.command();
        command.args(args);
        spawn(command, Some(New { stdout: Some(stdout), ..New::default() }))
    }

    /// Starts `run` in the foreground and leaves it under way.
    pub fn spawn_run(&self, new: New<'_>) -> io::Result<Running> {
        self.spawn_new("run", new)
    }

    /// Starts `exec` with options and arguments of the test's choice, on these streams, and leaves it under way.
    pub fn spawn_exec<S: AsRef<OsStr>>(&self, exec: Exec<'_>, args: &[S]) -> io::Result<Running> {
        let mut command = self.command();
        command.arg("exec");
        let files = [
            ("--pid-file", &exec.pid_file),
            ("--console-socket", &exec.console_socket),
            ("--pidfd-socket", &exec.pidfd_socket),
        ];
        for (flag, file) in files {
            if let Some(file) = file {
                command.arg(flag).arg(file);
            }
        }
        for (flag, set) in [("--detach", exec.detach), ("--ignore-paused", exec.ignore_paused)] {
            if set {
                command.arg(flag);
            }
        }
        for cgroup in &exec.cgroups {
            command.arg("--cgroup").arg(cgroup);
        }
        command.args(args);
        spawn(command, Some(New { stdin: exec.stdin, stdout: exec.stdout, ..New::default() }))
    }

    /// The process goes into a file that nobody sees.
    fn exec_process(&self, exec: Exec<'_>) -> io::Result<Reply> {
        let (_file, path) = content(exec.process.as_bytes())?;
        let id = exec.id.to_owned();
        Ok(finish(self.spawn_exec(exec, &["--process", &path, &id])))
    }

    fn command(&self) -> Command {
        let mut words = self.prefix.iter().cloned().chain([self.path.clone().into_os_string()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).args(self.globals).arg("--root").arg(&self.root);
        command
    }

    fn spawn_new(&self, verb: &str, new: New<'_>) -> io::Result<Running> {
        let mut command = self.command();
        if new.systemd {
            command.arg("--systemd-cgroup");
        }
        command.arg(verb).arg("--bundle").arg(&new.bundle);
        if let Some(file) = &new.pid_file {
            command.arg("--pid-file").arg(file);
        }
        for (flag, socket) in
            [("--console-socket", &new.console_socket), ("--pidfd-socket", &new.pidfd_socket)]
        {
            if let Some(socket) = socket {
                command.arg(flag).arg(socket);
            }
        }
        if new.no_pivot {
            command.arg("--no-pivot");
        }
        if new.detach {
            command.arg("--detach");
        }
        command.arg(new.id);
        spawn(command, Some(new))
    }
}

/// A file that nobody sees, and its path for as long as it is open.
fn content(bytes: &[u8]) -> io::Result<(File, String)> {
    let mut file = sys::memfd()?;
    file.write_all(bytes)?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    Ok((file, path))
}

impl Driver for Cli {
    fn name(&self) -> &str {
        &self.name
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn create(&self, new: New<'_>) -> Reply {
        finish(self.spawn_new("create", new))
    }

    fn run(&self, new: New<'_>) -> Reply {
        finish(self.spawn_new("run", new))
    }

    fn start(&self, id: &str) -> Reply {
        self.call(&["start", id])
    }

    fn exec(&self, exec: Exec<'_>) -> Reply {
        self.exec_process(exec).unwrap_or_else(|error| failed(&error))
    }

    fn state(&self, id: &str) -> Reply {
        self.call(&["state", id])
    }

    fn kill(&self, id: &str, signal: &str, all: bool) -> Reply {
        if all { self.call(&["kill", "--all", id, signal]) } else { self.call(&["kill", id, signal]) }
    }

    fn delete(&self, id: &str, force: bool) -> Reply {
        if force { self.call(&["delete", "--force", id]) } else { self.call(&["delete", id]) }
    }

    fn pause(&self, id: &str) -> Reply {
        self.call(&["pause", id])
    }

    fn resume(&self, id: &str) -> Reply {
        self.call(&["resume", id])
    }

    fn processes(&self, id: &str) -> Reply {
        self.call(&["ps", "--format", "json", id])
    }

    fn update(&self, id: &str, resources: &str) -> Reply {
        match content(resources.as_bytes()) {
            Ok((_file, path)) => self.call(&["update", "--resources", &path, id]),
            Err(error) => failed(&error),
        }
    }

    fn stats(&self, id: &str) -> Reply {
        let mut reply = self.call(&["events", "--stats", id]);
        let line: Option<serde_json::Value> = serde_json::from_str(&reply.out).ok();
        if let Some(line) = line {
            reply.out = line["data"].to_string();
        }
        reply
    }

    fn events(&self, id: &str, acts: &[&dyn Fn() -> Outcome]) -> Result<Reply, Trouble> {
        let (out, stdout) = sys::pipe()?;
        let running = self.spawn_to(&["events", "--interval", "20ms", id], stdout)?;
        let (mut lines, mut told) = (Lines::new(out), String::new());
        // The first line tells that it listens; without one it has refused.
        if lines.next(sys::PATIENCE)?.is_none() {
            return Ok(running.finish());
        }
        let mut acts = acts.iter();
        acts.next().map_or(Ok(()), |act| act())?;
        while let Some(line) = lines.next(sys::PATIENCE)? {
            if !line.starts_with("{\"type\":\"stats\"") {
                told += &format!("{line}\n");
                acts.next().map_or(Ok(()), |act| act())?;
            }
        }
        let reply = running.finish();
        Ok(Reply { out: format!("{told}end\n"), ..reply })
    }

    fn list(&self) -> Reply {
        self.call(&["list", "--format", "json"])
    }

    fn cli(&self) -> Option<&Cli> {
        Some(self)
    }
}

impl Running {
    /// The pid of the command.
    pub fn pid(&self) -> i32 {
        sys::pid_of(&self.child)
    }

    /// Waits for the end, or kills the command at the time limit.
    pub fn finish(self) -> Reply {
        finish(Ok(self))
    }

    /// Kills the command unless it ends within `after`, and waits. True if it was killed.
    pub fn kill_after(mut self, after: Duration) -> io::Result<bool> {
        let ended = sys::readable_within(sys::pidfd(self.pid())?.as_fd(), after)?;
        if !ended {
            self.child.kill()?;
        }
        self.child.wait()?;
        Ok(!ended)
    }

    fn wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if sys::readable_within(sys::pidfd(self.pid())?.as_fd(), LIMIT)? {
            return self.child.wait().map(Some);
        }
        // Where it and its children stand is the first question that a hang raises.
        let stands = sys::standing(self.pid());
        self.child.kill()?;
        self.child.wait()?;
        self.err.write_all(stands.as_bytes())?;
        Ok(None)
    }
}

fn spawn(mut command: Command, new: Option<New<'_>>) -> io::Result<Running> {
    let new = new.unwrap_or_default();
    let (out, err) = (sys::memfd()?, sys::memfd()?);
    command.stdin(new.stdin.map_or_else(Stdio::null, Stdio::from));
    command.stdout(new.stdout.map_or_else(|| out.try_clone().map(Stdio::from), |fd| Ok(fd.into()))?);
    // The caller keeps a copy of the file it gave, and the reply shows the same text.
    let err = new.stderr.unwrap_or(err);
    command.stderr(err.try_clone()?);
    Ok(Running { child: command.spawn()?, out, err })
}

fn finish(running: io::Result<Running>) -> Reply {
    let end = |mut running: Running| -> io::Result<Reply> {
        let status = running.wait()?;
        let (out, mut err) = (sys::content(&running.out)?, sys::content(&running.err)?);
        let code = match status {
            Some(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            None => {
                err.push_str("the command hung and was killed");
                -1
            }
        };
        Ok(Reply { code, out, err })
    };
    running.and_then(end).unwrap_or_else(|error| failed(&error))
}

fn failed(error: &io::Error) -> Reply {
    Reply { code: -1, err: error.to_string(), ..Reply::default() }
}
