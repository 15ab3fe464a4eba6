//! Processes that end: spawned by `std::process::Command`, waited for by pidfd, never longer than a limit.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::failure::{Result, While, refuse};
use crate::sys;

/// No single command may take longer.
pub const LIMIT: Duration = Duration::from_secs(30);

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command of `program` with nothing of this process's environment but a PATH, and null for standard streams.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The full path of `name` among the usual folders.
pub fn find(name: &str) -> Option<PathBuf> {
    PATH.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// From before the spawn to after the exit, and how it ended.
pub fn timed(command: &mut Command, limit: Duration) -> Result<(Duration, ExitStatus)> {
    let start = Instant::now();
    let mut child = command.spawn().doing(|| format!("{:?}", command.get_program()))?;
    let ended = wait_child(&mut child, limit);
    let elapsed = start.elapsed();
    if ended.is_err() {
        child.kill()?;
        child.wait()?;
    }
    Ok((elapsed, ended?))
}

fn wait_child(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    if !readable(sys::pidfd_open(pid)?.as_fd(), limit)? {
        return refuse(format!("not done after {limit:?}"));
    }
    Ok(child.wait()?)
}

/// Whether `fd` becomes readable within `limit`.
pub fn readable(fd: BorrowedFd<'_>, limit: Duration) -> Result<bool> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, PollTimeout::try_from(limit)?) {
            Err(Errno::EINTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

/// A process that is not ours by birth: this process is the first of its pid namespace, so it inherits the inits of the
/// containers whose `create` has ended, and must reap them. Until it has, the id cannot be another's.
#[derive(Clone, Copy)]
pub struct Inherited {
    pid: Pid,
}

impl Inherited {
    /// The process whose id is in `pid_file`.
    pub fn from_pid_file(pid_file: &Path) -> Result<Inherited> {
        let text = std::fs::read_to_string(pid_file).doing(|| pid_file.display().to_string())?;
        let pid = text.trim().parse().doing(|| pid_file.display().to_string())?;
        Ok(Inherited { pid: Pid::from_raw(pid) })
    }

    /// Its folder in /proc.
    pub fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string())
    }

    /// Waits for its end and reaps it.
    pub fn wait(&self) -> Result<()> {
        if !readable(sys::pidfd_open(self.pid)?.as_fd(), LIMIT)? {
            return refuse(format!("the container's init did not end within {LIMIT:?}"));
        }
        waitpid(self.pid, None)?;
        Ok(())
    }

    /// Ends it, and reaps it.
    pub fn end(&self) -> Result<()> {
        kill(self.pid, Signal::SIGKILL)?;
        self.wait()
    }
}

/// Reaps what else was inherited. Only while no command is running.
pub fn reap_orphans() {
    while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status != WaitStatus::StillAlive) {}
}

/// A file for what a command complains about.
pub fn complaints(path: &Path) -> Result<Stdio> {
    Ok(File::create(path).doing(|| path.display().to_string())?.into())
}
