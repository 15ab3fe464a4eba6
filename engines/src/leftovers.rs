//! What is left when a client has ended and its daemons have stopped: nothing may be.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::process::GLANCE;
use crate::sandbox::{Cgroups, HOME};

/// What the sandbox looks like.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sight(BTreeSet<String>);

/// Looks at processes, mounts, cgroups and the state files of runtimes. Cgroups and mounts of these names belong to the engines.
pub fn look(keeps: &[&str]) -> io::Result<Sight> {
    let processes = processes()?.into_iter().map(|line| format!("process {line}"));
    let mountinfo = fs::read_to_string("/proc/self/mountinfo")?;
    let kept = |dir: &Path| dir.file_name().is_some_and(|name| keeps.iter().any(|keep| name == *keep));
    let mounts = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let mounts = mounts.filter(|point| !kept(Path::new(point))).map(|point| format!("mount {point}"));
    let cgroups = Cgroups::all()?;
    let cgroups = cgroups.iter().filter(|dir| !kept(dir)).map(|dir| format!("cgroup {}", dir.display()));
    let states = find_states(Path::new(HOME).parent().unwrap_or(Path::new(HOME)));
    let states = states.iter().map(|path| format!("state {}", path.display()));
    Ok(Sight(processes.chain(mounts).chain(cgroups).chain(states).collect()))
}

/// Waits until nothing new is to be seen; the error is a list of what stays.
pub fn settle(before: &Sight, keeps: &[&str]) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let end = Instant::now() + PATIENCE;
    loop {
        reap();
        let now = look(keeps).map_err(|error| error.to_string())?;
        let new: Vec<_> = now.0.difference(&before.0).cloned().collect();
        match new.as_slice() {
            [] => return Ok(()),
            _ if Instant::now() > end => return Err(new.join("; ")),
            _ => thread::sleep(GLANCE),
        }
    }
}

/// This process is the first of its namespace: orphans are its children. Only for moments without a child of its own.
fn reap() {
    while let Ok(status) = waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
        if status.pid().is_none() {
            return;
        }
    }
}

fn processes() -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name == "1" || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let words = fs::read(format!("/proc/{name}/cmdline")).unwrap_or_default();
        found.push(format!("{name} {}", String::from_utf8_lossy(&words).replace('\0', " ").trim()));
    }
    Ok(found)
}

/// Every `state.json` below a directory: a runtime's word for a container. Rootfs of containers are not entered.
fn find_states(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => find_states(&entry.path()),
            Ok(_) if entry.file_name() == "state.json" => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}
