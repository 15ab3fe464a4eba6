//! Keeps the machine clean: everything is measured inside a pid namespace, so that the end of its first process is the end
//! of every process of the run, and the guard then removes the cgroups whose names carry the run's prefix.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};

use crate::arguments::Arguments;
use crate::failure::{Result, While, refuse};

const CGROUPS: &str = "/sys/fs/cgroup";
const UNIFIED: &str = "/sys/fs/cgroup/unified";
const SUBTREE_CONTROL: &str = "cgroup.subtree_control";
const NAME: &str = "teu-bench";
const QUICK_LIMIT: Duration = Duration::from_secs(240);
const FULL_LIMIT: Duration = Duration::from_secs(2400);
const SWEEP_LIMIT: Duration = Duration::from_secs(20);

/// Runs the same command line again inside a new pid namespace, waits, and sweeps; the exit code for the shell.
pub fn run(arguments: &Arguments) -> Result<u8> {
    if !nix::unistd::geteuid().is_root() {
        return refuse("teu-bench makes containers: it needs root");
    }
    for prefix in stale() {
        sweep(Path::new(CGROUPS), &prefix);
    }
    let prefix = prefix(std::process::id());
    let signals =
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD].into_iter().collect::<SigSet>();
    signals.thread_block()?;
    let enabled = enabled();
    unshare(CloneFlags::CLONE_NEWPID).doing(|| "a new pid namespace".into())?;
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).args(["--inside", &prefix]);
    let ended = attend(command.spawn()?, signals, if arguments.quick { QUICK_LIMIT } else { FULL_LIMIT });
    let left = sweep(Path::new(CGROUPS), &prefix);
    restore(&enabled);
    if left > 0 {
        eprintln!("teu-bench: {left} cgroups called {prefix}* are left below {CGROUPS}");
    }
    let status = ended?;
    Ok(if left > 0 { 1 } else { code(status) })
}

/// What the ids and cgroups of the run with this guard begin with.
fn prefix(guard: u32) -> String {
    format!("{NAME}{guard}-")
}

/// The prefixes of runs whose guard was killed: their processes died with it, their cgroups are still there.
fn stale() -> Vec<String> {
    let names =
        fs::read_dir(CGROUPS).into_iter().flatten().chain(fs::read_dir(UNIFIED).into_iter().flatten());
    let guards = names.flatten().filter_map(|entry| guard(&entry.file_name().to_string_lossy()));
    guards.filter(|guard| !Path::new("/proc").join(guard.to_string()).exists()).map(prefix).collect()
}

/// The guard that a cgroup's name tells of.
fn guard(cgroup: &str) -> Option<u32> {
    cgroup.strip_prefix(NAME)?.split_once('-')?.0.parse().ok()
}

/// The controllers that the root of the cgroup2 hierarchy gives to its children. Runtimes enable what they need there.
fn enabled() -> Vec<String> {
    let read = |root: &str| fs::read_to_string(Path::new(root).join(SUBTREE_CONTROL));
    let line = read(UNIFIED).or_else(|_| read(CGROUPS)).unwrap_or_default();
    line.split_whitespace().map(Into::into).collect()
}

/// Enables what was enabled and disables what was not. The kernel refuses what others use by now: then it stays.
fn restore(before: &[String]) {
    let root = if Path::new(UNIFIED).is_dir() { UNIFIED } else { CGROUPS };
    let now = enabled();
    let more = now.iter().filter(|name| !before.contains(name)).map(|name| format!("-{name}"));
    let fewer = before.iter().filter(|name| !now.contains(name)).map(|name| format!("+{name}"));
    for change in more.chain(fewer) {
        let _ = fs::write(Path::new(root).join(SUBTREE_CONTROL), change);
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Waits for `child`; ends it on a signal of the user and after `limit`.
fn attend(mut child: Child, signals: SigSet, limit: Duration) -> Result<ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        match next_signal(&signals, end.saturating_duration_since(Instant::now()))? {
            Some(Signal::SIGCHLD) => {}
            why => {
                let why =
                    why.map_or_else(|| format!("not done after {limit:?}"), |signal| signal.to_string());
                eprintln!("teu-bench: stopped: {why}");
                child.kill()?;
                return Ok(child.wait()?);
            }
        }
    }
}

/// The next of `signals`, or None after `limit`.
fn next_signal(signals: &SigSet, limit: Duration) -> Result<Option<Signal>> {
    crate::sys::wait_signal(signals, limit)?.map(Signal::try_from).transpose().map_err(Into::into)
}

/// Removes every cgroup below `root` whose name has `prefix`; how many could not be removed.
///
/// Their processes are dead or dying: the kernel answers EBUSY until the last one has left.
fn sweep(root: &Path, prefix: &str) -> usize {
    let end = Instant::now() + SWEEP_LIMIT;
    loop {
        let left = remove_below(root, prefix, false);
        if left == 0 || Instant::now() > end {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn remove_below(folder: &Path, prefix: &str, ours: bool) -> usize {
    let mut left = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let ours = ours || entry.file_name().to_string_lossy().contains(prefix);
        left += remove_below(&entry.path(), prefix, ours);
        left += usize::from(ours && fs::remove_dir(entry.path()).is_err());
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_of_a_cgroup_is_the_number_in_its_name() {
        assert_eq!(guard(&format!("{}crowd7", prefix(42))), Some(42));
        assert_eq!(guard("teu-benches"), None);
        assert_eq!(guard("user.slice"), None);
    }
}
