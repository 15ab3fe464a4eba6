//! Files of `/proc/PID` that only the creator can write: the id maps and the OOM score.

use std::fs;
use std::io;

use crate::plan::{IdMaps, OomScore};
use crate::{Error, ErrorKind, Result};

/// Writes the maps of init's user namespace, or compares those of one that it has joined.
pub(super) fn settle(pid: i32, maps: Option<&IdMaps>) -> Result<()> {
    let maps =
        maps.ok_or_else(|| Error::new(ErrorKind::Internal, "init asked for maps that the plan has not"))?;
    if maps.joined {
        compare_file(pid, "uid_map", &maps.uids, "/linux/uidMappings")?;
        return compare_file(pid, "gid_map", &maps.gids, "/linux/gidMappings");
    }
    if maps.deny_setgroups {
        write_file(pid, "setgroups", "deny", "/linux/gidMappings")?;
    }
    write_file(pid, "uid_map", &maps.uids, "/linux/uidMappings")?;
    write_file(pid, "gid_map", &maps.gids, "/linux/gidMappings")
}

/// Writes the maps of the user namespace of a mount.
pub(super) fn write_maps(pid: i32, uids: &str, gids: &str, pointer: &str) -> Result<()> {
    write_file(pid, "uid_map", uids, pointer)?;
    write_file(pid, "gid_map", gids, pointer)
}

fn write_file(pid: i32, name: &str, text: &str, pointer: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{name}");
    // One write: the kernel takes a map only whole.
    put(&path, text).map_err(|error| {
        Error::io(format!("write {:?} to {name} of the user namespace", text.trim_end()), &error).at(pointer)
    })
}

/// A file that the configuration says nothing about may have any content. What is read here is relative to our own user namespace, as the configuration is.
fn compare_file(pid: i32, name: &str, expected: &str, pointer: &'static str) -> Result<()> {
    let found = fs::read_to_string(format!("/proc/{pid}/{name}")).map_err(|error| {
        Error::io(format!("read {name} of the joined user namespace"), &error).at(pointer)
    })?;
    if expected.is_empty() || extents(expected) == extents(&found) {
        return Ok(());
    }
    let message = "user namespaces enabled, but both namespace path and non-matching mapping specified -- you may only provide one";
    Err(Error::new(ErrorKind::InvalidSpec, message).at(pointer))
}

/// The kernel sorts a long map and pads its numbers.
fn extents(map: &str) -> Vec<Vec<&str>> {
    let mut extents: Vec<Vec<&str>> = map.lines().map(|line| line.split_whitespace().collect()).collect();
    extents.sort();
    extents
}

/// Sets the OOM killer's preference. Without the right to lower it, the value that is there already is accepted, and any from a caller without privilege.
pub(super) fn write_oom_score(pid: i32, OomScore { score, optional }: OomScore) -> Result<()> {
    let path = format!("/proc/{pid}/oom_score_adj");
    let present = || fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<i32>().ok());
    match put(&path, &score.to_string()) {
        Err(error) if is_denied(&error) && present() == Some(score) => Ok(()),
        Err(error) if is_denied(&error) && optional => {
            log::warn!("oom_score_adj {score} is not allowed to this user and stays as it is");
            Ok(())
        }
        other => other.map_err(|error| {
            Error::io(format!("set oom_score_adj {score}"), &error).at("/process/oomScoreAdj")
        }),
    }
}

fn is_denied(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM))
}

fn put(path: &str, text: &str) -> io::Result<()> {
    use std::io::Write;
    fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::extents;

    #[test]
    fn maps_are_compared_without_blanks_and_order() {
        let kernel = "         0     100000         10\n      1000       1000          1\n";
        assert_eq!(extents("1000 1000 1\n0 100000 10\n"), extents(kernel));
        assert_ne!(extents("0 100000 11\n1000 1000 1\n"), extents(kernel));
        assert_ne!(extents("0 100000 10\n"), extents(kernel));
    }
}
