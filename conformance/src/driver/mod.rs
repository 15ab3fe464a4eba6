//! Ways to ask a runtime for something. One test body runs through every driver.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::{Outcome, Trouble};

mod c;
mod cli;
mod library;

pub use c::C;
pub use cli::{Cli, Running};
pub use library::Library;

/// What a runtime said: for a library, an error is exit code 1 with its text on stderr.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// Exit code, or 128 and the number of the signal that ended the command.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Reply {
    /// The reply itself if the call succeeded, else what went wrong.
    pub fn good(self) -> Result<Self, String> {
        if self.code == 0 {
            Ok(self)
        } else {
            Err(format!("exit code {}: {}", self.code, self.err.trim_end()))
        }
    }
}

/// What a new container is made from.
#[derive(Debug, Default)]
pub struct New<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The bundle directory.
    pub bundle: PathBuf,
    /// Where to write the pid of init.
    pub pid_file: Option<PathBuf>,
    /// `run` only: return when the program was started.
    pub detach: bool,
    /// The socket that gets the terminal.
    pub console_socket: Option<PathBuf>,
    /// The socket that gets a pidfd of init.
    pub pidfd_socket: Option<PathBuf>,
    /// Enter the rootfs without pivot_root.
    pub no_pivot: bool,
    /// Only the device rules of the configuration; the library alone can be asked.
    pub no_default_device_rules: bool,
    /// systemd makes the cgroup.
    pub systemd: bool,
    /// Stdin of the container; absent: the null device.
    pub stdin: Option<OwnedFd>,
    /// Stdout of the container; absent: collected in the reply.
    pub stdout: Option<OwnedFd>,
    /// Stderr of the container; absent: collected in the reply.
    pub stderr: Option<File>,
}

/// One more process in a container.
#[derive(Debug, Default)]
pub struct Exec<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The process as JSON.
    pub process: String,
    /// Return when its program runs.
    pub detach: bool,
    /// Where to write its pid.
    pub pid_file: Option<PathBuf>,
    /// The socket that gets its terminal.
    pub console_socket: Option<PathBuf>,
    /// The socket that gets a pidfd of it.
    pub pidfd_socket: Option<PathBuf>,
    /// Cgroups below the container's: a path, or `controller[,controller]:path` each.
    pub cgroups: Vec<&'a str>,
    /// Enter a paused container too.
    pub ignore_paused: bool,
    /// Its stdin; absent: the null device.
    pub stdin: Option<OwnedFd>,
    /// Its stdout; absent: collected in the reply.
    pub stdout: Option<OwnedFd>,
}

/// A runtime under test. Every call returns within a limit of its own, so a hang is a failure and no more.
pub trait Driver: Sync {
    /// The column of the parity table.
    fn name(&self) -> &str;
    /// The directory in which the runtime keeps its containers.
    fn root(&self) -> &Path;
    /// Sets a container up, up to its start gate.
    fn create(&self, new: New<'_>) -> Reply;
    /// Create, start and, unless detached, wait and delete.
    fn run(&self, new: New<'_>) -> Reply;
    /// Opens the gate.
    fn start(&self, id: &str) -> Reply;
    /// Runs one more process and, unless detached, waits for its end.
    fn exec(&self, exec: Exec<'_>) -> Reply;
    /// The state as JSON on `out`.
    fn state(&self, id: &str) -> Reply;
    /// Sends a signal to init or, with `all`, to every process of the container.
    fn kill(&self, id: &str, signal: &str, all: bool) -> Reply;
    /// Removes the container, with `force` a living one as well.
    fn delete(&self, id: &str, force: bool) -> Reply;
    /// Stops all processes.
    fn pause(&self, id: &str) -> Reply;
    /// Lets them go on.
    fn resume(&self, id: &str) -> Reply;
    /// The pids of all processes as a JSON array on `out`.
    fn processes(&self, id: &str) -> Reply;
    /// Changes limits: `resources` is a `linux.resources` as JSON.
    fn update(&self, id: &str, resources: &str) -> Reply;
    /// What the container uses, as runc's JSON on `out`.
    fn stats(&self, id: &str) -> Reply;
    /// Listens, does the first of `acts` and after each event the next one, and tells what happened until the end: a line on `out` for each event but
    /// stats, the last one `end`.
    fn events(&self, id: &str, acts: &[&dyn Fn() -> Outcome]) -> Result<Reply, Trouble>;
    /// The same, with a threshold of waiting for CPUs that a container which is starved of them passes.
    fn events_of_starvation(&self, _id: &str, _acts: &[&dyn Fn() -> Outcome]) -> Result<Reply, Trouble> {
        Err(Trouble::Skipped("the driver sets no thresholds of pressure".into()))
    }
    /// All containers as a JSON array on `out`.
    fn list(&self) -> Reply;
    /// The command line behind this driver, for behaviours that only a command has.
    fn cli(&self) -> Option<&Cli> {
        None
    }
}
