//! In which cgroups a further process runs: for each directory of the container's record the path below it. Pure.

use crate::cgroup::CgroupRecord;
use crate::options::ExecCgroup;
use crate::{Error, ErrorKind, Result};

/// For each recorded directory the path below it, empty for itself; `None` leaves the choice to what the container has done.
pub(super) fn places(record: &CgroupRecord, wanted: &ExecCgroup) -> Result<Vec<Option<String>>> {
    let mut places = vec![None; record.dirs.len()];
    match wanted {
        ExecCgroup::Container => {}
        ExecCgroup::Below(_) if record.dirs.is_empty() => {
            return Err(Error::new(
                ErrorKind::Cgroup,
                "cgroup not exist: the container was made without one",
            ));
        }
        ExecCgroup::Below(path) => {
            let path = below(path)?;
            // Beside v1 hierarchies cgroup2 has no controllers, and nobody makes groups there.
            let counts = |hierarchy: &str| record.v2 || !hierarchy.is_empty();
            for (place, dir) in places.iter_mut().zip(&record.dirs) {
                *place = counts(&dir.hierarchy).then(|| path.clone());
            }
        }
        ExecCgroup::ByController(paths) => {
            for (controller, path) in paths {
                let path = below(path)?;
                place(record, &mut places, controller, path)?;
            }
        }
    }
    Ok(places)
}

fn place(record: &CgroupRecord, places: &mut [Option<String>], controller: &str, path: String) -> Result<()> {
    let serves = |hierarchy: &str| hierarchy.split(',').any(|name| !name.is_empty() && name == controller);
    let index = record.dirs.iter().position(|dir| serves(&dir.hierarchy));
    let place = index.and_then(|index| places.get_mut(index));
    let place = place.ok_or_else(|| invalid(format!("unknown controller {controller} in SubCgroupPaths")))?;
    match place.replace(path.clone()) {
        Some(other) if other != path => {
            let message =
                format!("controller {controller} shares a hierarchy with one that has the path {other:?}");
            Err(invalid(message))
        }
        _ => Ok(()),
    }
}

/// The path without its `.` and `..`, which may not lead out.
fn below(path: &str) -> Result<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Err(invalid(format!("bad sub cgroup path: {path}"))),
            ".." => {}
            part if part.contains('\0') => return Err(invalid(format!("bad sub cgroup path: {path:?}"))),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::RecordedDir;

    fn record(v2: bool, hierarchies: &[&str]) -> CgroupRecord {
        let dir = |hierarchy: &&str| RecordedDir {
            root: format!("/sys/fs/cgroup/{hierarchy}").into(),
            path: "a/b".to_owned(),
            hierarchy: (*hierarchy).to_owned(),
            inode: 0,
        };
        CgroupRecord { v2, dirs: hierarchies.iter().map(dir).collect(), unit: None }
    }

    fn of(record: &CgroupRecord, wanted: &ExecCgroup) -> String {
        match places(record, wanted) {
            Ok(places) => format!("{places:?}").replace("Some", "").replace("None", "-"),
            Err(error) => error.to_string(),
        }
    }

    fn path(path: &str) -> ExecCgroup {
        ExecCgroup::Below(path.to_owned())
    }

    fn by(pairs: &[(&str, &str)]) -> ExecCgroup {
        let pair = |(controller, path): &(&str, &str)| ((*controller).to_owned(), (*path).to_owned());
        ExecCgroup::ByController(pairs.iter().map(pair).collect())
    }

    #[test]
    fn a_path_counts_in_every_hierarchy_that_has_controllers() {
        let (v2, hybrid) = (record(true, &[""]), record(false, &["memory", "cpu,cpuacct", ""]));
        assert_eq!(of(&v2, &ExecCgroup::Container), "[-]");
        assert_eq!(of(&v2, &path("sub")), "[(\"sub\")]");
        assert_eq!(of(&v2, &path("/")), "[(\"\")]");
        assert_eq!(of(&hybrid, &path("//x/./y/../z/")), "[(\"x/z\"), (\"x/z\"), -]");
        assert_eq!(
            of(&record(true, &[]), &path("x")),
            "cgroup not exist: the container was made without one"
        );
    }

    #[test]
    fn a_controller_names_its_hierarchy_and_no_two_contradict() {
        let v1 = record(false, &["memory", "cpu,cpuacct", "name=systemd", ""]);
        assert_eq!(of(&v1, &by(&[("cpu", "a"), ("memory", "/b")])), "[(\"b\"), (\"a\"), -, -]");
        assert_eq!(of(&v1, &by(&[("cpu", "a"), ("cpuacct", "./a")])), "[-, (\"a\"), -, -]");
        assert_eq!(of(&v1, &by(&[("name=systemd", "s")])), "[-, -, (\"s\"), -]");
        for controller in ["io", "", "name"] {
            let refused = format!("unknown controller {controller} in SubCgroupPaths");
            assert_eq!(of(&v1, &by(&[(controller, "a")])), refused);
        }
        assert_eq!(
            of(&record(true, &[""]), &by(&[("cpu", "a")])),
            "unknown controller cpu in SubCgroupPaths"
        );
        let refused = of(&v1, &by(&[("cpu", "a"), ("cpuacct", "b")]));
        assert_eq!(refused, "controller cpuacct shares a hierarchy with one that has the path \"a\"");
    }

    #[test]
    fn no_path_leads_out() {
        for bad in ["..", "/..", "a/../..", "../b", "a/../../a/b"] {
            let refused = format!("bad sub cgroup path: {bad}");
            assert_eq!(of(&record(true, &[""]), &path(bad)), refused);
            assert_eq!(of(&record(false, &["cpu"]), &by(&[("cpu", bad)])), refused);
        }
        assert_eq!(of(&record(true, &[""]), &path("a\0b")), "bad sub cgroup path: \"a\\0b\"");
    }
}
