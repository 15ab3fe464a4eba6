//! How init gets into the cgroup: cloned into the cgroup2 directory, and by its own hand into those of v1.
//!
//! A thread that moves itself by writing 0 to `tasks` costs microseconds; moving a process from outside waits for a grace period of the whole machine.
//!
//! An ancestor with `memory.oom.group` set is the exception: an OOM kill there takes everybody in it at once, and as long as the stub shares the caller's
//! memory that would be the caller too. Init is then cloned outside and moves itself, by `cgroup.procs`.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use super::{Cgroup, Dir, failed};
use crate::host::OwnCgroup;
use crate::plan::{CgroupDir, CgroupPlan};
use crate::sys::fs::{Resolve, above_stdio, open_below};
use crate::{Error, ErrorKind, Result};

impl Cgroup {
    /// The directory of that index of the plan, open while the container is being created.
    pub(crate) fn directory(&self, plan: &CgroupPlan, index: usize) -> Option<BorrowedFd<'_>> {
        self.dirs.get(self.made(plan, index)?)?.fd.as_ref().map(AsFd::as_fd)
    }

    /// The file of the directory of that index by which init enters it. A hierarchy that an unprivileged caller had to leave out swallows the write.
    pub(crate) fn entrance(&self, plan: &CgroupPlan, index: usize) -> Result<OwnedFd> {
        let made = self.made(plan, index).and_then(|index| self.dirs.get(index));
        let (Some(dir), Some(fd)) = (made, self.directory(plan, index)) else {
            let null =
                OpenOptions::new().write(true).open("/dev/null").and_then(|null| above_stdio(null.into()));
            return null.map_err(|error| Error::io("open /dev/null", &error));
        };
        let file = if dir.is_v2() { "cgroup.procs" } else { "tasks" };
        open_below(fd, file, libc::O_WRONLY, Resolve::Beneath)
            .map_err(|error| failed(format!("open {}", dir.file(file)), &error))
    }
}

impl Cgroup {
    /// The file by which init enters the group below that is delegated to it.
    pub(crate) fn delegate_entrance(&self, plan: &CgroupPlan) -> Result<OwnedFd> {
        let delegate = plan.delegate.as_ref();
        let found = delegate.and_then(|delegate| Some((delegate, self.directory(plan, delegate.dir)?)));
        let Some((delegate, fd)) = found else {
            return Err(Error::new(ErrorKind::Internal, "a delegated cgroup without a directory"));
        };
        let file = format!("{}/cgroup.procs", delegate.name);
        open_below(fd, &file, libc::O_WRONLY, Resolve::Beneath)
            .map_err(|error| failed(format!("open {file} of the container's cgroup"), &error))
    }
}

impl Cgroup {
    /// The file by which one more process enters the recorded v1 directory of that index.
    pub(crate) fn tasks(&self, index: usize) -> Result<OwnedFd> {
        self.recorded(index, "tasks", libc::O_WRONLY)
    }

    /// The cgroup2 directory in which one more process of the container is born. A container that has made cgroups of its own below, with controllers, can have
    /// no process in the upper one any more: then it is init's.
    pub(crate) fn birthplace(&self, index: usize, init: Option<i32>) -> Result<OwnedFd> {
        self.birthplace_by(index, || init.and_then(own_path))
    }

    fn birthplace_by(&self, index: usize, of_init: impl FnOnce() -> Option<String>) -> Result<OwnedFd> {
        let inner = self.dirs.get(index).and_then(|dir| dir.read("cgroup.subtree_control").ok());
        let own = inner.filter(|controllers| !controllers.trim().is_empty()).and_then(|_| of_init());
        match (self.dirs.get(index), own) {
            (Some(dir), Some(path)) if is_below(&path, &dir.path) => {
                open_at(dir, path.trim_start_matches('/'), libc::O_PATH | libc::O_DIRECTORY)
            }
            _ => self.recorded(index, "", libc::O_PATH | libc::O_DIRECTORY),
        }
    }

    /// The way into the cgroup at `path` below the recorded directory of that index.
    pub(crate) fn below(&self, index: usize, path: &str) -> Result<OwnedFd> {
        let found = match self.dirs.get(index).is_some_and(|dir| dir.is_v2()) {
            true => self.recorded(index, path, libc::O_PATH | libc::O_DIRECTORY),
            false => self.recorded(index, format!("{path}/tasks").trim_start_matches('/'), libc::O_WRONLY),
        };
        found.map_err(|error| error.context("error adding pid of the process to cgroups"))
    }

    fn recorded(&self, index: usize, file: &str, flags: i32) -> Result<OwnedFd> {
        let dir = self.dirs.get(index);
        let dir = dir.ok_or_else(|| Error::new(ErrorKind::Internal, "no such directory in the record"))?;
        open_at(dir, format!("{}/{file}", dir.path).trim_end_matches('/'), flags)
    }
}

fn open_at(dir: &Dir, path: &str, flags: i32) -> Result<OwnedFd> {
    let opened = dir.open_root().and_then(|root| open_below(root.as_fd(), path, flags, Resolve::Beneath));
    opened.map_err(|error| failed(format!("open {}", dir.root.join(path).display()), &error))
}

/// The cgroup2 path of a process.
fn own_path(pid: i32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    OwnCgroup::parse(&text).path("").map(str::to_owned)
}

fn is_below(path: &str, above: &str) -> bool {
    let rest = path.trim_start_matches('/').strip_prefix(above.trim_start_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whom a lack of memory in a group that the container would be in, and the caller is not, may kill (0014, 0058).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Oom {
    /// Nobody: no memory is limited there.
    Nobody,
    /// A process that the kernel chooses.
    Victim,
    /// Everybody in the group.
    Everybody,
}

/// The worst of the groups.
pub(crate) fn oom(plan: &CgroupPlan, own: &OwnCgroup) -> Oom {
    let v2 = plan.dirs.iter().find(|dir| dir.hierarchy.is_empty());
    v2.map_or(Oom::Nobody, |dir| oom_above(dir, own.path("").unwrap_or("/")))
}

fn oom_above(dir: &CgroupDir, own: &str) -> Oom {
    let own = own.trim_matches('/');
    let shared =
        |group: &str| own == group || own.strip_prefix(group).is_some_and(|rest| rest.starts_with('/'));
    let groups =
        std::iter::successors(Some(dir.path.as_str()), |path| path.rsplit_once('/').map(|(above, _)| above));
    let worst = groups.filter(|group| !shared(group)).map(|group| oom_of(&dir.root.join(group))).max();
    worst.unwrap_or(Oom::Nobody)
}

/// A group without files of the memory controller limits nothing.
fn oom_of(group: &Path) -> Oom {
    let read = |name: &str| std::fs::read_to_string(group.join(name)).ok();
    match read("memory.oom.group") {
        None => Oom::Nobody,
        Some(together) if together.trim() == "1" => Oom::Everybody,
        Some(_) if read("memory.max").is_some_and(|limit| limit.trim() == "max") => Oom::Nobody,
        Some(_) => Oom::Victim,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::super::{Dir as OpenDir, RecordedDir};
    use super::*;

    /// Directories stand for cgroups: the rule only looks at names and at what is enabled.
    #[test]
    fn a_process_is_born_beside_init_only_where_controllers_went_below() {
        let root = std::env::temp_dir().join(format!("teu-birthplace-{}", std::process::id()));
        std::fs::create_dir_all(root.join("web/init/deep")).unwrap();
        std::fs::create_dir_all(root.join("website")).unwrap();
        let root = root.canonicalize().unwrap();
        let at =
            RecordedDir { root: root.clone(), path: "web".to_owned(), hierarchy: String::new(), inode: 0 };
        let dir = OpenDir { at, fd: None, found: false };
        let (late, ready) = (Vec::new(), Vec::new());
        let cgroup = Cgroup {
            v2: true,
            dirs: vec![dir],
            late,
            ready,
            filter: None,
            unit: None,
            placed: Vec::new(),
            rollback: false,
        };
        for (enabled, init, wanted) in [
            ("\n", Some("/web/init"), "web"),
            ("pids\n", Some("/web/init"), "web/init"),
            ("cpu pids\n", Some("/web/init/deep"), "web/init/deep"),
            ("pids\n", Some("/web"), "web"),
            ("pids\n", Some("/website"), "web"),
            ("pids\n", Some("/"), "web"),
            ("pids\n", None, "web"),
        ] {
            std::fs::write(root.join("web/cgroup.subtree_control"), enabled).unwrap();
            let born = cgroup.birthplace_by(0, || init.map(str::to_owned)).unwrap();
            let born = std::fs::read_link(format!("/proc/self/fd/{}", born.as_raw_fd())).unwrap();
            assert_eq!(born, root.join(wanted), "{enabled:?} {init:?}");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_group_that_dies_as_one_counts_unless_the_caller_is_in_it() {
        let root = std::env::temp_dir().join(format!("teu-oom-group-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/memory.oom.group"), "1\n").unwrap();
        std::fs::write(root.join("a/b/memory.oom.group"), "0\n").unwrap();
        let dir = |path: &str| CgroupDir {
            root: root.clone(),
            path: path.to_owned(),
            hierarchy: String::new(),
            required: true,
        };
        assert_eq!(oom_above(&dir("a/b/c"), "/"), Oom::Everybody);
        assert_eq!(oom_above(&dir("a/b/c"), "/ab"), Oom::Everybody);
        assert_eq!(oom_above(&dir("a/b/c"), "/a/x"), Oom::Victim, "the caller is in a, and b is limited");
        assert_eq!(oom_above(&dir("a/b/c"), "/a/b/x"), Oom::Nobody, "the caller is in b");
        assert_eq!(oom_above(&dir("d/c"), "/"), Oom::Nobody, "no memory controller");
        for (limit, reach) in [("max\n", Oom::Nobody), ("0\n", Oom::Victim), ("1073741824\n", Oom::Victim)] {
            std::fs::write(root.join("a/b/memory.max"), limit).unwrap();
            assert_eq!(oom_above(&dir("a/b/c"), "/a"), reach, "{limit:?}");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }
}
