//! An OCI runtime driven by its command line: one timed process per command.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::bundle::PROGRAM;
use crate::failure::{Result, refuse};
use crate::lab::HOME;
use crate::process::{self, Inherited, LIMIT};

/// The names of the runtimes beside ours.
pub const INCUMBENTS: [&str; 2] = ["crun", "runc"];

/// A runtime and one state root of it.
#[derive(Clone)]
pub struct Runtime {
    /// The name it goes by in the tables.
    pub name: String,
    program: PathBuf,
    state_root: PathBuf,
}

/// A container that exists and has not been started.
pub struct Created {
    /// Its init.
    pub init: Inherited,
    /// What `create` took.
    pub took: Duration,
}

impl Runtime {
    /// The runtime at `program`, called `name`.
    pub fn new(name: &str, program: PathBuf) -> Result<Runtime> {
        let runtime = Runtime { name: name.into(), program, state_root: PathBuf::new() };
        runtime.with_state_root("state")
    }

    /// The same runtime with the state root called `name`, which is its alone.
    pub fn with_state_root(&self, name: &str) -> Result<Runtime> {
        let state_root = Path::new(HOME).join(format!("{}-{name}", self.name));
        fs::create_dir_all(&state_root)?;
        Ok(Runtime { state_root, ..self.clone() })
    }

    /// The first line of `--version`.
    pub fn version(&self) -> Result<String> {
        let output =
            process::command(&self.program).arg("--version").stdout(std::process::Stdio::piped()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
    }

    /// `create`, with a pid file.
    pub fn create(&self, bundle: &Path, id: &str) -> Result<Created> {
        let pid_file = self.state_root.join(format!("{id}.pid"));
        let arguments = ["create".as_ref(), "--bundle".as_ref(), bundle.as_os_str()];
        let rest = ["--pid-file".as_ref(), pid_file.as_os_str(), id.as_ref()];
        let took = self.timed(&[&arguments[..], &rest].concat(), LIMIT)?;
        let init = Inherited::from_pid_file(&pid_file)?;
        fs::remove_file(&pid_file)?;
        Ok(Created { init, took })
    }

    /// `run` in the foreground.
    pub fn run(&self, bundle: &Path, id: &str, limit: Duration) -> Result<Duration> {
        self.timed(&["run".as_ref(), "--bundle".as_ref(), bundle.as_os_str(), id.as_ref()], limit)
    }

    /// `exec` of the tiny program in the foreground.
    pub fn exec(&self, id: &str) -> Result<Duration> {
        self.timed(&["exec".as_ref(), id.as_ref(), PROGRAM.as_ref()], LIMIT)
    }

    /// `--version`.
    pub fn asked_for_version(&self) -> Result<Duration> {
        self.timed(&["--version".as_ref()], LIMIT)
    }

    /// A command that takes an id and nothing else: state, start, delete.
    pub fn verb(&self, verb: &str, id: &str) -> Result<Duration> {
        self.timed(&[verb.as_ref(), id.as_ref()], LIMIT)
    }

    /// `kill` with SIGKILL.
    pub fn kill(&self, id: &str) -> Result<Duration> {
        self.timed(&["kill".as_ref(), id.as_ref(), "KILL".as_ref()], LIMIT)
    }

    /// `delete --force`, whatever state the container is in.
    pub fn force_delete(&self, id: &str) -> Result<Duration> {
        self.timed(&["delete".as_ref(), "--force".as_ref(), id.as_ref()], LIMIT)
    }

    /// The command line of a command.
    pub fn command(&self, arguments: &[&OsStr]) -> Command {
        let mut command = process::command(&self.program);
        command.arg("--root").arg(self.state_root.join("containers")).args(arguments);
        command
    }

    fn timed(&self, arguments: &[&OsStr], limit: Duration) -> Result<Duration> {
        let complaints = self.state_root.join(format!("complaints-{:?}", std::thread::current().id()));
        let mut command = self.command(arguments);
        command.stderr(process::complaints(&complaints)?);
        let line = || format!("{} {}", self.name, arguments.join(OsStr::new(" ")).to_string_lossy());
        match process::timed(&mut command, limit) {
            Ok((took, status)) if status.success() => Ok(took),
            Ok((_, status)) => {
                let said = fs::read_to_string(complaints).unwrap_or_default();
                refuse(format!("{}: {status}: {}", line(), said.trim()))
            }
            Err(error) => refuse(format!("{}: {error}", line())),
        }
    }
}
