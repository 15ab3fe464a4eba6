//! What is left of a container whose record cannot be read: looked for where `create` puts it, by the configuration that the directory still has.
//!
//! `create` writes the configuration when the cgroup is made and has init in it, and `delete` removes it before the record: where there is one, there was a
//! cgroup of the container's own at that path. Law: only a cgroup that is surely the container's still is touched, all others are left and told of. In such
//! a one nobody shares the namespace with us that the container has for itself, and no other container of this state root has its cgroup in it.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use oci_spec::runtime::Spec as Config;

use super::remove::DEADLINE;
use crate::cgroup::{Cgroup, CgroupRecord};
use crate::host::Host;
use crate::launch::reap;
use crate::plan::cgroup;
use crate::plan::namespaces::{Namespaces, kind};
use crate::spec::{Id, Spec};
use crate::state::StateDir;
use crate::sys::pidfd::pidfd_open;
use crate::sys::poll::poll_each;
use crate::{Error, Result};

/// Ends and removes what can be found of the container, then its directory. `lost` is why its record cannot be read.
///
/// # Errors
/// What was found does not go; it can be tried again.
pub(super) fn remove(root: &Path, dir: &StateDir, lost: &Error) -> Result<()> {
    let told = match find(root, dir) {
        Ok(found) => {
            found.iter().try_for_each(empty)?;
            match found.is_empty() {
                false => "its cgroups were found and emptied".to_owned(),
                true => left("no cgroup is where its configuration says"),
            }
        }
        Err(reason) => left(&reason),
    };
    dir.remove()?;
    log::warn!("container {}: {}; {told}", dir.id(), lost.message());
    Ok(())
}

fn left(reason: &str) -> String {
    format!("its processes and cgroups, if there are any, are left: {reason}")
}

/// The container's cgroups, one for each manager that may have made one; or why that cannot be told.
fn find(root: &Path, dir: &StateDir) -> std::result::Result<Vec<CgroupRecord>, String> {
    let told = |error: Error| error.message().to_owned();
    let json = dir.read_config().map_err(told)?;
    // The bundle's path was in the record, and no cgroup depends on it.
    let spec = Spec::from_json("/", &json).map_err(told)?;
    let config = spec.config();
    let host = Host::probe().map_err(told)?;
    let mut found = Vec::new();
    for plan in cgroup::places(config, dir.id().as_str(), &host).map_err(told)? {
        let record = CgroupRecord::intent(&plan).found().map_err(told)?;
        if !record.dirs.is_empty() {
            check(&record, config)?;
            check_others(root, dir.id(), &record)?;
            found.push(record);
        }
    }
    Ok(found)
}

/// Whoever is in the cgroup is in the namespace that the container has for itself: no caller, engine or service of the host is.
fn check(record: &CgroupRecord, config: &Config) -> std::result::Result<(), String> {
    let told = |error: Error| error.message().to_owned();
    let pids = Cgroup::open(record).and_then(|cgroup| cgroup.procs_anywhere()).map_err(told)?;
    if pids.contains(&0) {
        return Err("processes in its cgroup cannot be seen from here".to_owned());
    }
    match Namespaces::of(config).new {
        _ if pids.is_empty() => Ok(()),
        own if own & kind::PID != 0 => check_pids(&pids),
        own if own & kind::MOUNT != 0 => check_mounts(&pids),
        _ => Err("without a pid or mount namespace of its own its processes cannot be told".to_owned()),
    }
}

/// They have one init, whose pid namespace is below ours: with several, other containers are in cgroups below.
fn check_pids(pids: &BTreeSet<i32>) -> std::result::Result<(), String> {
    let depth = |of: &str| -> io::Result<(usize, bool)> {
        let status = std::fs::read_to_string(format!("/proc/{of}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        Ok((line.split_whitespace().count(), line.split_whitespace().next_back() == Some("1")))
    };
    let (ours, _) = depth("self").map_err(|error| format!("/proc/self/status: {error}"))?;
    let mut inits = 0;
    for pid in pids {
        match depth(&pid.to_string()) {
            Ok((depth, _)) if depth <= ours => return Err(stranger(*pid)),
            Ok((depth, first)) => inits += usize::from(first && depth == ours + 1),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(format!("process {pid} in its cgroup: {error}")),
        }
    }
    if inits == 1 { Ok(()) } else { Err(format!("{inits} containers have their init in its cgroup")) }
}

fn check_mounts(pids: &BTreeSet<i32>) -> std::result::Result<(), String> {
    let namespace = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/mnt"));
    let ours = namespace("thread-self").map_err(|error| format!("our mount namespace: {error}"))?;
    for pid in pids {
        match namespace(&pid.to_string()) {
            Ok(theirs) if theirs != ours => {}
            Ok(_) => return Err(stranger(*pid)),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(format!("process {pid} in its cgroup: {error}")),
        }
    }
    Ok(())
}

fn stranger(pid: i32) -> String {
    format!("process {pid} in its cgroup is not the container's")
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// A path may have been used again after the container had stopped.
fn check_others(root: &Path, own: &Id, record: &CgroupRecord) -> std::result::Result<(), String> {
    let entries = std::fs::read_dir(root).map_err(|error| format!("read {}: {error}", root.display()))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let others = names.filter_map(|name| Id::new(name.to_str()?).ok()).filter(|id| id != own);
    for other in others {
        let read = StateDir::open(root, &other).and_then(|dir| dir.read());
        if read.is_ok_and(|read| record.holds(&read.cgroup)) {
            return Err(format!("container {other} has its cgroup there"));
        }
    }
    Ok(())
}

/// Ends every process of the cgroup and removes it. Who of them is init is not known: all that are our children are reaped.
fn empty(record: &CgroupRecord) -> Result<()> {
    let cgroup = Cgroup::open(record)?;
    let pids = cgroup.procs_anywhere()?;
    let processes = open_all(&pids);
    cgroup.kill_all(libc::SIGKILL)?;
    reap_all(processes, Instant::now() + DEADLINE)?;
    cgroup.remove(DEADLINE)
}

fn open_all(pids: &BTreeSet<i32>) -> Vec<OwnedFd> {
    pids.iter().filter_map(|pid| pidfd_open(*pid).ok()).collect()
}

/// In the order of their ends: that of a pid namespace's init waits for the parents of all others in it.
fn reap_all(mut processes: Vec<OwnedFd>, deadline: Instant) -> Result<()> {
    while !processes.is_empty() && Instant::now() < deadline {
        let asked: Vec<_> = processes.iter().map(|process| (process.as_fd(), libc::POLLIN)).collect();
        let ended = poll_each(&asked, deadline).map_err(|error| Error::io("ppoll", &error))?;
        let mut ended = ended.into_iter();
        processes.retain(|process| {
            let ended = ended.next().unwrap_or(false);
            if ended {
                let _ = reap::wait_until(process, Instant::now());
            }
            !ended
        });
    }
    Ok(())
}
