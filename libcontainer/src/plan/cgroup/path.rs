//! Where the container's cgroup is in each hierarchy.

use std::path::{Path, PathBuf};

use super::{CgroupDir, invalid};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{CgroupLayout, Host};

pub(super) const POINTER: &str = "/linux/cgroupsPath";

/// One directory for each hierarchy: the v1 mounts, then cgroup2. A privileged caller must be able to make them all.
pub(super) fn dirs(cgroups_path: Option<&Path>, id: &str, host: &Host) -> Result<Vec<CgroupDir>> {
    let place = |(root, hierarchy): (PathBuf, String)| {
        let own = host.own_cgroup.path(&hierarchy).unwrap_or("/");
        Ok(CgroupDir { path: path(cgroups_path, id, own)?, root, hierarchy, required: host.privileged })
    };
    mounts(&host.cgroup).into_iter().map(place).collect()
}

pub(super) fn mounts(layout: &CgroupLayout) -> Vec<(PathBuf, String)> {
    match layout {
        CgroupLayout::None => Vec::new(),
        CgroupLayout::V2 { root } => vec![(root.clone(), String::new())],
        CgroupLayout::V1 { root, hierarchies, unified } => {
            let v1 = hierarchies.iter().map(|hierarchy| (root.join(&hierarchy.dir), hierarchy.name()));
            v1.chain(unified.iter().map(|unified| (unified.clone(), String::new()))).collect()
        }
    }
}

/// An absolute path counts from the root of the hierarchy, a relative one from the caller's own cgroup.
fn path(cgroups_path: Option<&Path>, id: &str, own: &str) -> Result<String> {
    let asked = match cgroups_path.filter(|path| !path.as_os_str().is_empty()) {
        None => Path::new(id),
        Some(path) => path,
    };
    let asked = asked.to_str().ok_or_else(|| invalid("cgroupsPath is not UTF-8", POINTER))?;
    let below = clean(asked).map_err(|reason| invalid(format!("cgroupsPath {asked:?} {reason}"), POINTER))?;
    if below.is_empty() {
        return Err(invalid(format!("cgroupsPath {asked:?} names no cgroup below the root"), POINTER));
    }
    if asked.starts_with('/') {
        return Ok(below);
    }
    // The kernel shows a caller that was moved out of its cgroup namespace as /../..
    let own = clean(own).map_err(|reason| {
        Error::new(ErrorKind::Cgroup, format!("cgroup: the caller's own cgroup {own:?} {reason}"))
    })?;
    Ok(if own.is_empty() { below } else { format!("{own}/{below}") })
}

/// The path without empty and `.` components.
fn clean(path: &str) -> std::result::Result<String, &'static str> {
    if path.contains(['\0', '\n']) {
        // The kernel refuses newlines too: they would make /proc/PID/cgroup ambiguous.
        return Err("has a NUL or newline in it");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err("has .. in it");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_counts_from_the_hierarchy_relative_and_absent_from_the_own_cgroup() {
        let rows = [
            (Some("/a/b"), "/own", "a/b"),
            (Some("//a/./b/"), "/own", "a/b"),
            (Some("a"), "/own/x", "own/x/a"),
            (Some("a"), "/", "a"),
            (None, "/own", "own/web"),
            (Some(""), "/own", "own/web"),
            (None, "/", "web"),
        ];
        for (asked, own, expected) in rows {
            assert_eq!(path(asked.map(Path::new), "web", own).unwrap(), expected, "{asked:?} in {own}");
        }
    }

    #[test]
    fn paths_that_leave_the_hierarchy_are_refused_with_their_place() {
        for asked in ["/..", "../a", "/a/../b", "a\0b", "a\nb", "/", "/./", "."] {
            let error = path(Some(Path::new(asked)), "web", "/own").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSpec, "{asked:?}");
            assert_eq!(error.pointer(), Some(POINTER), "{asked:?}");
        }
        assert_eq!(path(None, "web", "/../../x").unwrap_err().kind(), ErrorKind::Cgroup);
        assert_eq!(path(Some(Path::new("/a..b/..c")), "web", "/").unwrap(), "a..b/..c");
    }
}
