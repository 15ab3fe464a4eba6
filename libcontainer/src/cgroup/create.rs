//! Makes the directories of a plan and writes what is in force before init is cloned.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::stat::fstat;

use super::files::{is_tolerated, key};
use super::write::{Writer, open_for};
use super::{Cgroup, DeviceCache, DeviceFilter, Dir, Late, RecordedDir, devices, failed, files, parents};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::cgroup::{CgroupDir, CgroupPlan, DeviceProgram, FileWrite, Tolerate, When};
use crate::sys::fs::{Resolve, open_below};

pub(super) const CONTEXT: &str = "unable to apply cgroup configuration";

impl Cgroup {
    /// Makes the cgroup, with everything in force but the late writes.
    ///
    /// # Errors
    /// A directory is occupied or frozen, a controller is missing, or the kernel refuses a step. What was made is removed.
    pub fn create(plan: &CgroupPlan, cache: &DeviceCache) -> Result<Self> {
        let mut cgroup = Self::begin(plan);
        cgroup.make_all(plan, cache)?;
        cgroup.attach_beside()?;
        Ok(cgroup)
    }

    /// Nothing yet. What is made from here on goes when it is dropped.
    pub(crate) fn begin(plan: &CgroupPlan) -> Self {
        Self::of(plan.v2, Vec::new(), true)
    }

    /// Does what [`Cgroup::create`] does, for a container whose unit has been started if it has one.
    pub(crate) fn make_all(&mut self, plan: &CgroupPlan, cache: &DeviceCache) -> Result<()> {
        for dir in &plan.dirs {
            self.make(dir)?;
        }
        Writer::new(self, plan).write_all()?;
        if let Some(program) = &plan.devices.program {
            self.filter(plan, program, cache)?;
        }
        self.late = self.open_all(plan, &plan.late)?;
        self.ready = self.open_all(plan, &plan.ready)?;
        self.give(plan)
    }

    fn make(&mut self, planned: &CgroupDir) -> Result<()> {
        let CgroupDir { root, path, hierarchy, required } = planned;
        let at =
            RecordedDir { root: root.clone(), path: path.clone(), hierarchy: hierarchy.clone(), inode: 0 };
        let mut dir = Dir { at, fd: None, found: false };
        if self.placed.contains(hierarchy) {
            return self.take(dir);
        }
        let made = dir.open_root().and_then(|root| Ok((parents::make(root.as_fd(), &dir)?, root)));
        let (made, root) = match made {
            Ok(made) => made,
            Err(e) if !required && is_tolerated(&e, Tolerate::Denied) => {
                log::debug!("cgroup: no {}: {e}", dir.display());
                return Ok(());
            }
            Err(e) => return Err(failed(format!("{CONTEXT}: mkdir {}", dir.display()), &e)),
        };
        dir.found = !made;
        let opened = open_made(root.as_fd(), &mut dir);
        // From here on a failure removes the directory, unless it was there before and is somebody's.
        let checked = opened.and_then(|()| check(&dir, made));
        if made || checked.is_ok() {
            self.dirs.push(dir);
        }
        checked
    }

    /// Takes over the directory that systemd has made, with init in it. The rules of a new v1 directory are systemd's.
    fn take(&mut self, mut dir: Dir) -> Result<()> {
        let root = dir.open_root();
        let root = root.map_err(|e| failed(format!("{CONTEXT}: open {}", dir.root.display()), &e))?;
        dir.found = !dir.is_v2();
        open_made(root.as_fd(), &mut dir)?;
        // It is not inherited by a directory that somebody else has made: it shows there.
        let checked = check_frozen(&dir);
        self.dirs.push(dir);
        checked
    }

    fn open_all(&self, plan: &CgroupPlan, writes: &[FileWrite]) -> Result<Vec<Late>> {
        let open = |write: &FileWrite| {
            let Some(dir) = self.made(plan, write.dir) else { return Ok(None) };
            let Some(opened) = self.dirs.get(dir) else { return Ok(None) };
            let opened = open_for(opened, write)?;
            Ok(opened.map(|(fd, write)| Late { fd, dir, write: write.into_owned() }))
        };
        writes.iter().filter_map(|write| open(write).transpose()).collect()
    }

    /// Attaches the device filter, unless that waits.
    fn filter(&mut self, plan: &CgroupPlan, program: &DeviceProgram, cache: &DeviceCache) -> Result<()> {
        let Some(dir) = self.made(plan, program.dir) else { return Ok(()) };
        self.filter = Some(DeviceFilter { dir, program: program.clone(), cache: cache.clone() });
        if program.when == When::BeforeInit { self.attach() } else { Ok(()) }
    }

    /// Attaches a device filter that init need not wait for, and that need not wait for init.
    pub(crate) fn attach_beside(&mut self) -> Result<()> {
        let waits = self.filter.as_ref().is_some_and(|filter| filter.program.when == When::AtReady);
        if waits { Ok(()) } else { self.attach() }
    }

    /// Loads and attaches the device filter, once.
    pub(super) fn attach(&mut self) -> Result<()> {
        let Some(DeviceFilter { dir: index, program, cache }) = self.filter.take() else {
            return Ok(());
        };
        let opened = self.dirs.get(index).and_then(|dir| Some((dir.found, dir.fd.as_ref()?)));
        let Some((found, dir)) = opened else { return Ok(()) };
        let loaded = cache.load(&program.insns);
        match loaded.and_then(|filter| devices::attach(dir.as_fd(), filter.as_fd(), found)) {
            Err(e) if program.tolerate_denied && is_tolerated(&e, Tolerate::Denied) => Ok(()),
            attached => attached.map_err(|e| self.filter_failed(index, &e)),
        }
    }

    fn filter_failed(&self, dir: usize, error: &io::Error) -> Error {
        let shown = self.dirs.get(dir).map(|dir| dir.display()).unwrap_or_default();
        failed(format!("{CONTEXT}: device filter of {shown}"), error).at("/linux/resources/devices")
    }

    /// The index of what was made for a directory of the plan; `None` if the hierarchy was left out.
    pub(super) fn made(&self, plan: &CgroupPlan, dir: usize) -> Option<usize> {
        let planned = plan.dirs.get(dir)?;
        self.dirs.iter().position(|dir| dir.hierarchy == planned.hierarchy)
    }
}

fn open_made(root: BorrowedFd<'_>, dir: &mut Dir) -> Result<()> {
    let context = |dir: &Dir, e: &io::Error| failed(format!("{CONTEXT}: open {}", dir.display()), e);
    let fd = open_below(root, &dir.path, libc::O_PATH | libc::O_DIRECTORY, Resolve::Beneath);
    let fd = fd.map_err(|e| context(dir, &e))?;
    dir.at.inode = fstat(&fd).map_err(|e| context(dir, &e.into()))?.st_ino;
    dir.fd = Some(fd);
    Ok(())
}

/// A cgroup that was found must be empty, and none may be frozen: a process placed in it would never run.
fn check(dir: &Dir, made: bool) -> Result<()> {
    if !made {
        let count = dir.procs()?.into_iter().collect::<HashSet<_>>().len();
        if count > 0 {
            return Err(taken(dir, format!("container's cgroup is not empty: {count} process(es) found")));
        }
    }
    // A directory made below the root has nobody to inherit the freezing from.
    if !made || dir.path.contains('/') {
        check_frozen(dir)?;
    }
    if dir.serves("cpuset") {
        parents::fill_cpuset(dir)
            .map_err(|e| failed(format!("{CONTEXT}: cpus and mems of {}", dir.display()), &e))?;
    }
    Ok(())
}

fn check_frozen(dir: &Dir) -> Result<()> {
    match dir.is_frozen().map_err(|e| failed(format!("{CONTEXT}: read state of {}", dir.display()), &e))? {
        true => Err(taken(dir, "container's cgroup unexpectedly frozen".to_owned())),
        false => Ok(()),
    }
}

/// A cgroup that is somebody else's, or stands still.
fn taken(dir: &Dir, message: String) -> Error {
    Error::new(ErrorKind::Busy, message).remark(dir.display()).at("/linux/cgroupsPath")
}

/// Enables a controller in every cgroup above `dir`, from the root down. What is enabled already may belong to somebody
/// who lets us read it only.
pub(super) fn enable(dir: &Dir, controller: &str) -> Result<()> {
    let root = dir.open_root().map_err(|e| failed(format!("{CONTEXT}: open {}", dir.root.display()), &e))?;
    let ends = dir.path.match_indices('/').map(|(end, _)| end);
    for above in std::iter::once(0).chain(ends).filter_map(|end| dir.path.get(..end)) {
        enable_in(root.as_fd(), above, controller).map_err(|e| {
            let shown = if above.is_empty() { dir.root.clone() } else { dir.root.join(above) };
            match e.raw_os_error() {
                Some(libc::ENOENT | libc::EINVAL) => {
                    let message = format!(
                        "cgroup: the {controller} controller is not available in {}",
                        shown.display()
                    );
                    Error::new(ErrorKind::Unsupported, message)
                }
                Some(libc::EACCES | libc::EPERM) => {
                    let what =
                        format!("the {controller} controller is not delegated to the caller: enable it");
                    failed(format!("{CONTEXT}: {what} in {}", shown.display()), &e)
                }
                _ => failed(format!("{CONTEXT}: enable {controller} in {}", shown.display()), &e),
            }
        })?;
    }
    Ok(())
}

fn enable_in(root: BorrowedFd<'_>, above: &str, controller: &str) -> io::Result<()> {
    let file =
        if above.is_empty() { "cgroup.subtree_control" } else { &format!("{above}/cgroup.subtree_control") };
    let enabled = files::read(open_below(root, file, libc::O_RDONLY, Resolve::Beneath)?.as_fd())?;
    if enabled.split_whitespace().any(|name| name == controller) {
        return Ok(());
    }
    files::write(open_below(root, file, libc::O_WRONLY, Resolve::Beneath)?.as_fd(), &format!("+{controller}"))
}

impl Dir {
    /// Whether it is frozen, by itself or by a cgroup above it. Only two kinds of hierarchies can freeze.
    pub(super) fn is_frozen(&self) -> io::Result<bool> {
        if self.is_v2() {
            return Ok(key(&self.read("cgroup.events")?, "frozen") == Some(1));
        }
        Ok(self.serves("freezer") && self.read("freezer.state")?.trim() != "THAWED")
    }
}
