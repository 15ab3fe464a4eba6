//! The place where everything is measured: a private mount namespace with the cgroup v2 view and a tmpfs on /run, inside the
//! lab's root filesystem when there is one. It is gone with its last process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::{chdir, pivot_root};

use crate::failure::{Result, While};
use crate::sys::descriptor_path;

/// The cgroup2 hierarchy in the lab.
pub const CGROUPS: &str = "/sys/fs/cgroup";
/// The folder of this run, on the lab's own tmpfs.
pub const HOME: &str = "/run/teu-bench";
/// The teu program in the lab.
pub const TEU: &str = "/run/teu-bench/teu";
/// The worker in C in the lab.
pub const ENGINE: &str = "/run/teu-bench/engine";

const NONE: Option<&str> = None;

/// Controllers that cgroup.controllers of the v2 hierarchy never lists.
const NEVER_IN_V2: [&str; 3] = ["net_cls", "net_prio", "perf_event"];

/// How the lab comes to see cgroup v2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The machine has nothing else.
    Native,
    /// The cgroup2 hierarchy is bound over the machine's own layout.
    Covered,
}

/// Makes this process (which has one thread) see the lab as its root; `teu` is shown at [`TEU`], `engine` at [`ENGINE`].
pub fn enter(lab: Option<&Path>, teu: Option<&Path>, engine: Option<&Path>) -> Result<View> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    // Opened first: the mounts below may cover it.
    let teu = teu.map(|path| File::open(path).doing(|| format!("--teu {}", path.display()))).transpose()?;
    let engine =
        engine.map(|path| File::open(path).doing(|| format!("--c {}", path.display()))).transpose()?;
    let root = lab.unwrap_or(Path::new("/"));
    if lab.is_some() {
        bind(root, root)?;
        bind(Path::new("/sys"), &root.join("sys"))?;
        bind(Path::new("/dev"), &root.join("dev"))?;
    }
    let proc = root.join("proc");
    mount(Some("proc"), &proc, Some("proc"), MsFlags::empty(), NONE).doing(|| proc.display().to_string())?;
    let view = v2_view(root)?;
    home(root, [(teu, TEU), (engine, ENGINE)])?;
    if lab.is_some() {
        chdir(root)?;
        pivot_root(".", ".").doing(|| format!("pivot_root {}", root.display()))?;
        umount2(".", MntFlags::MNT_DETACH)?;
    }
    chdir("/")?;
    Ok(view)
}

/// Shows the machine's own cgroup layout again, for the rest of this process.
///
/// On a hybrid machine every controller is then in a v1 hierarchy: some runtimes refuse one that is split over both. The
/// layout is rebuilt on a tmpfs of the lab, since the machine's may have no folder for a controller that was not mounted.
pub fn native_cgroups(view: View) -> Result<()> {
    if view == View::Native {
        return Ok(());
    }
    umount2(CGROUPS, MntFlags::empty()).doing(|| CGROUPS.into())?;
    let (layout, own) = (Path::new(CGROUPS), Path::new(HOME).join("cgroups"));
    fs::create_dir(&own)?;
    bind(layout, &own)?;
    mount(Some("tmpfs"), layout, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    for hierarchy in fs::read_dir(&own)? {
        let name = hierarchy?.file_name();
        if is_cgroup(&own.join(&name))? {
            fs::create_dir(layout.join(&name))?;
            bind(&own.join(&name), &layout.join(&name))?;
        }
    }
    release(&layout.join("unified/cgroup.subtree_control"));
    for line in fs::read_to_string("/proc/cgroups")?.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split_whitespace().next().unwrap_or_default();
        if !NEVER_IN_V2.contains(&name) && !layout.join(name).exists() {
            mount_v1(&layout.join(name), name)?;
        }
    }
    Ok(())
}

/// Takes back what runtimes enabled in the v2 hierarchy, since the kernel moves no controller that is in use; the guard
/// restores it. One that others use stays, and what needs it says so.
fn release(subtree_control: &Path) {
    for controller in fs::read_to_string(subtree_control).unwrap_or_default().split_whitespace() {
        let _ = fs::write(subtree_control, format!("-{controller}"));
    }
}

fn is_cgroup(path: &Path) -> Result<bool> {
    Ok([CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&statfs(path)?.filesystem_type()))
}

/// Mounts one controller's v1 hierarchy; one that the kernel will not mount alone shares a hierarchy already there.
fn mount_v1(target: &Path, controller: &str) -> Result<()> {
    fs::create_dir(target)?;
    if mount(Some("cgroup"), target, Some("cgroup"), MsFlags::empty(), Some(controller)).is_err() {
        fs::remove_dir(target)?;
    }
    Ok(())
}

/// On a hybrid machine, the cgroup2 hierarchy over the others.
fn v2_view(root: &Path) -> Result<View> {
    let cgroups = root.join(CGROUPS.trim_start_matches('/'));
    let unified = cgroups.join("unified");
    if !unified.is_dir() {
        return Ok(View::Native);
    }
    bind(&unified, &cgroups)?;
    Ok(View::Covered)
}

fn home(root: &Path, programs: [(Option<File>, &str); 2]) -> Result<()> {
    let run = root.join("run");
    // The programs may lie on what this tmpfs covers; their descriptors still reach them.
    mount(Some("tmpfs"), &run, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .doing(|| "tmpfs on /run".into())?;
    let home = root.join(HOME.trim_start_matches('/'));
    fs::create_dir(&home)?;
    for (program, place) in programs {
        let Some(program) = program else { continue };
        let target: PathBuf = root.join(place.trim_start_matches('/'));
        File::create(&target)?;
        bind(Path::new(&descriptor_path(&program)), &target)?;
    }
    Ok(())
}

fn bind(source: &Path, target: &Path) -> Result<()> {
    mount(Some(source), target, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
        .doing(|| format!("bind {} on {}", source.display(), target.display()))
}
