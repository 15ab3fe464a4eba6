//! The machine as the suite uses it: a private mount namespace, one of two cgroup layouts, a work directory with a canary
//! tree, a test parent in every cgroup hierarchy, and what else a test may need.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::MsFlags;
use nix::sched::{CloneFlags, unshare};

use crate::sys;

const CGROUP: &str = "/sys/fs/cgroup";

/// The cgroup layout the runtimes see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The machine's own.
    Native,
    /// Pure cgroup v2, by a bind of the v2 mount over /sys/fs/cgroup.
    V2,
}

/// One mounted cgroup hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its mount point.
    pub root: PathBuf,
    /// True for version 2.
    pub v2: bool,
    /// The controllers that can be used in it.
    pub controllers: Vec<String>,
}

impl Hierarchy {
    /// Only the controllers that the group at `path` was given, and what every group has.
    fn keep_delegated(&mut self, path: &str) {
        let given = fs::read_to_string(self.root.join(path).join("cgroup.controllers")).unwrap_or_default();
        let given: Vec<&str> = given.split_whitespace().chain(["freezer", "devices"]).collect();
        self.controllers.retain(|name| given.contains(&name.as_str()));
    }
}

/// What a test needs from the machine or the driver; missing needs become skips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A driver that is a command line.
    Cli,
    /// The static busybox.
    Busybox,
    /// The Debian rootfs.
    Debian,
    /// User namespaces.
    Users,
    /// Time namespaces.
    Time,
    /// `ip` of iproute2 and veth devices.
    Devices,
    /// `setpriv` of util-linux.
    Setpriv,
    /// A cgroup v1 hierarchy.
    V1,
    /// Pure cgroup v2.
    V2,
    /// A kernel of at least this version.
    Kernel(u32, u32),
    /// A cgroup controller, in any version.
    Controller(&'static str),
    /// A cgroup2 hierarchy that counts how long processes wait.
    Pressure,
    /// SELinux, on.
    Selinux,
    /// AppArmor, on.
    AppArmor,
    /// A resctrl filesystem, mounted where the kernel's documents say.
    Resctrl,
    /// A driver that is the library itself.
    Library,
    /// Root of the machine, and not of a user namespace: it makes device nodes.
    Root,
    /// A runtime that writes the cgroup filesystem itself, where systemd would take another path or none.
    Cgroupfs,
    /// systemd as the machine's first process.
    Systemd,
    /// No systemd.
    NoSystemd,
    /// A user who is outside of what his systemd manager has, as in a login's session: he may move no process into it.
    Login,
}

/// The prepared machine.
#[derive(Debug)]
pub struct Host {
    /// The layout in use.
    pub lane: Lane,
    /// A name no other run has; part of every container id and the name of the test parent.
    pub tag: String,
    /// Where bundles and state roots live.
    pub work: PathBuf,
    /// Files that no test may change.
    pub canary: PathBuf,
    /// The mounted hierarchies.
    pub hierarchies: Vec<Hierarchy>,
    /// The static busybox.
    pub busybox: Option<PathBuf>,
    /// The Debian rootfs.
    pub debian: Option<PathBuf>,
    /// The runtimes let systemd make the cgroups.
    pub systemd: bool,
    /// The cgroup of the systemd manager that an ordinary user's runtimes ask; empty for the machine's, which is at the top.
    pub manager: String,
}

/// Moves the process into a mount namespace of its own and shapes /sys/fs/cgroup for the lane.
/// For the only thread of the process, at its start.
pub fn enter(lane: Lane) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    if !Path::new(CGROUP).join("unified/cgroup.controllers").exists() {
        return Ok(());
    }
    let own = own_cgroup_mounts()?;
    if lane == Lane::V2 {
        return sys::mount(&own.join("unified"), Path::new(CGROUP), "none", MsFlags::MS_BIND, "");
    }
    sys::mount(&own, Path::new(CGROUP), "none", MsFlags::MS_BIND | MsFlags::MS_REC, "")
}

/// The hybrid machine's cgroup mounts again, on a tmpfs that only this mount namespace sees, and among them v1 controllers that
/// it has not mounted: with hugetlb left on v2, crun 1.8 refuses a hybrid machine. The shared tmpfs stays as it is.
fn own_cgroup_mounts() -> io::Result<PathBuf> {
    let own = PathBuf::from("/mnt");
    sys::mount(Path::new("cgroup"), &own, "tmpfs", MsFlags::empty(), "mode=755")?;
    for root in mounted_cgroups()? {
        let Some(name) = root.strip_prefix(CGROUP).ok().filter(|name| name.components().count() == 1) else {
            continue;
        };
        fs::create_dir(own.join(name))?;
        sys::mount(&root, &own.join(name), "none", MsFlags::MS_BIND, "")?;
    }
    for controller in ["hugetlb", "net_cls", "net_prio"] {
        let place = own.join(controller);
        if !place.exists() {
            fs::create_dir(&place)?;
            // Not fatal: the kernel may have no such controller, or a v2 cgroup elsewhere may hold it.
            let _ = sys::mount(Path::new("cgroup"), &place, "cgroup", MsFlags::empty(), controller);
        }
    }
    Ok(own)
}

fn mounted_cgroups() -> io::Result<Vec<PathBuf>> {
    let all = fs::read_to_string("/proc/self/mountinfo")?;
    let is_cgroup = |line: &&str| line.contains(" - cgroup ") || line.contains(" - cgroup2 ");
    let point = |line: &str| line.split(' ').nth(4).map(PathBuf::from);
    Ok(all.lines().filter(is_cgroup).filter_map(point).collect())
}

impl Host {
    /// Makes the work directory, the canary tree and the test parents.
    pub fn prepare(lane: Lane, debian: Option<PathBuf>, systemd: bool) -> io::Result<Self> {
        // A dash in the name of a slice would mean another slice around it.
        let dash = if systemd { "" } else { "-" };
        let tag = format!("teucf{dash}{}", std::process::id());
        let work = std::env::temp_dir().join(&tag);
        let manager = if in_userns() { own_manager() } else { String::new() };
        let mut hierarchies = hierarchies(lane)?;
        if systemd && !manager.is_empty() {
            hierarchies.iter_mut().for_each(|one| one.keep_delegated(&manager));
        }
        let host = Self {
            lane,
            canary: work.join("canary"),
            hierarchies,
            busybox: ["/bin/busybox", "/usr/bin/busybox"]
                .iter()
                .map(PathBuf::from)
                .find(|path| path.is_file()),
            debian: debian.filter(|path| path.join("bin/bash").exists()),
            tag,
            work,
            systemd,
            manager,
        };
        fs::create_dir_all(&host.canary)?;
        // Mapped users of user namespaces must be able to reach the bundles.
        fs::set_permissions(&host.work, fs::Permissions::from_mode(0o755))?;
        plant(&host.canary)?;
        if systemd {
            host.slice("start")?;
            return Ok(host);
        }
        for hierarchy in &host.hierarchies {
            host.make_parent(hierarchy)?;
        }
        Ok(host)
    }

    /// Removes what `prepare` made; what is left in the test parents goes with them if it is empty.
    pub fn clear(&self) -> io::Result<()> {
        if self.systemd {
            self.slice("stop")?;
        }
        for hierarchy in &self.hierarchies {
            for dir in cgroups_below(&hierarchy.root.join(&self.tag)).iter().rev() {
                let _ = fs::remove_dir(dir);
            }
        }
        fs::remove_dir_all(&self.work)
    }

    /// Plants the canary tree anew after a test has changed it.
    pub fn replant(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.canary)?;
        fs::create_dir(&self.canary)?;
        plant(&self.canary)
    }

    /// Why a need is not met, if so.
    pub fn missing(&self, need: Need) -> Option<String> {
        let (met, reason) = match need {
            // Of the driver: the runner asks it.
            Need::Cli | Need::Library => (true, String::new()),
            Need::Root => (!in_userns(), "the caller is root of a user namespace only".into()),
            Need::Cgroupfs => (!self.systemd, "systemd makes the cgroups".into()),
            Need::Pressure => {
                let met = self.hierarchies.iter().any(|one| one.v2) && has_pressure();
                (met, "the kernel does not count waiting in cgroup2 (psi)".into())
            }
            Need::Selinux => (Path::new("/sys/fs/selinux/enforce").exists(), "SELinux is not on".into()),
            Need::AppArmor => (has_apparmor(), "AppArmor is not on".into()),
            Need::Resctrl => (Path::new("/sys/fs/resctrl/schemata").exists(), "no resctrl is mounted".into()),
            Need::Systemd => (is_run_by_systemd(), "systemd does not run here".into()),
            Need::NoSystemd => (!is_run_by_systemd(), "systemd runs here".into()),
            Need::Login => (
                !self.manager.is_empty() && !is_below(&self.manager),
                "the caller may move processes into his units himself".into(),
            ),
            Need::Busybox => (self.busybox.is_some(), "busybox-static is not installed".into()),
            Need::Debian => (self.debian.is_some(), "there is no Debian rootfs (--debian DIR)".into()),
            Need::Users => (
                has_user_namespaces() && may_map(100_000),
                "the machine allows no user namespaces, or the caller has not the ids to map".into(),
            ),
            Need::Time => {
                let met = Path::new("/proc/self/timens_offsets").exists();
                (met, "the kernel has no time namespaces".into())
            }
            Need::Devices => (has_devices(), "no veth device can be made (iproute2, the kernel)".into()),
            Need::Setpriv => (answers("setpriv", &["--version"]), "setpriv is not installed".into()),
            Need::V1 => {
                (self.hierarchies.iter().any(|one| !one.v2), "there is no cgroup v1 hierarchy".into())
            }
            Need::Kernel(major, minor) => {
                (kernel() >= (major, minor), format!("the kernel is older than {major}.{minor}"))
            }
            Need::V2 => (self.is_v2(), "the layout is not pure cgroup v2".into()),
            Need::Controller(name) => {
                (self.controller(name).is_some(), format!("no {name} controller in this layout"))
            }
        };
        (!met).then_some(reason)
    }

    /// True if the runtimes see pure cgroup v2.
    pub fn is_v2(&self) -> bool {
        self.hierarchies.len() == 1 && self.hierarchies.iter().all(|one| one.v2)
    }

    /// The hierarchy that has a controller.
    pub fn controller(&self, name: &str) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|one| one.controllers.iter().any(|has| has == name))
    }

    /// The directory of a container's cgroup in the hierarchy of a controller.
    pub fn cgroup(&self, controller: &str, id: &str) -> Option<PathBuf> {
        Some(self.dir(self.controller(controller)?, id))
    }

    /// The directory of a container's cgroup in a hierarchy.
    pub fn dir(&self, hierarchy: &Hierarchy, id: &str) -> PathBuf {
        hierarchy.root.join(self.inside(id))
    }

    /// The group above those of all containers in the hierarchy of a controller.
    pub fn parent(&self, controller: &str) -> Option<PathBuf> {
        let parent = if self.systemd { self.below_manager(&self.slice_name()) } else { self.tag.clone() };
        Some(self.controller(controller)?.root.join(parent))
    }

    /// The path of a container's cgroup, seen from the root of a hierarchy.
    pub fn inside(&self, id: &str) -> String {
        if self.systemd {
            self.below_manager(&format!("{}/teucf-{id}.scope", self.slice_name()))
        } else {
            format!("{}/{id}", self.tag)
        }
    }

    /// The path of what a systemd manager makes, without a slash in front.
    pub fn below_manager(&self, path: &str) -> String {
        format!("{}/{path}", self.manager).trim_start_matches('/').to_owned()
    }

    /// `linux.cgroupsPath` of a container.
    pub fn cgroups_path(&self, id: &str) -> String {
        if self.systemd { format!("{}:teucf:{id}", self.slice_name()) } else { format!("/{}/{id}", self.tag) }
    }

    fn slice_name(&self) -> String {
        format!("{}.slice", self.tag)
    }

    /// The test parent is a slice that systemd keeps.
    fn slice(&self, verb: &str) -> io::Result<()> {
        let mut command = of_systemd("systemctl");
        command.args(["--quiet", verb, &self.slice_name()]);
        if succeeds(command) {
            Ok(())
        } else {
            Err(io::Error::other(format!("systemctl {verb} {}", self.slice_name())))
        }
    }

    fn make_parent(&self, hierarchy: &Hierarchy) -> io::Result<()> {
        let parent = hierarchy.root.join(&self.tag);
        fs::create_dir(&parent)?;
        if hierarchy.v2 {
            return Ok(());
        }
        // A v1 cpuset takes no process until both lists are filled.
        for file in ["cpuset.cpus", "cpuset.mems"].iter().filter(|file| parent.join(file).exists()) {
            fs::write(parent.join(file), fs::read(hierarchy.root.join(file))?)?;
        }
        Ok(())
    }
}

/// A program of systemd's, which asks the manager that the runtimes ask: the machine's, or the user's own.
pub fn of_systemd(program: &str) -> Command {
    let mut command = Command::new(program);
    if in_userns() {
        command.arg("--user");
    }
    command
}

/// As systemd's own `sd_booted` finds it out.
/// Its module is there too where another one was chosen at boot.
fn has_apparmor() -> bool {
    fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|enabled| enabled.starts_with(b"Y"))
}

fn is_run_by_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The version of the running kernel.
fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Every cgroup at and below a directory, parents first.
pub fn cgroups_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut next = vec![dir.to_path_buf()];
    while let Some(dir) = next.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        next.extend(entries.flatten().filter(is_dir).map(|entry| entry.path()));
        found.push(dir);
    }
    found
}

fn hierarchies(lane: Lane) -> io::Result<Vec<Hierarchy>> {
    let v2 = |root: &Path| -> io::Result<Hierarchy> {
        let names = fs::read_to_string(root.join("cgroup.controllers"))?;
        // Core files, not controllers; present in every non-root v2 cgroup.
        let core = ["freezer", "devices"];
        let controllers = names.split_whitespace().chain(core).map(String::from).collect();
        Ok(Hierarchy { root: root.into(), v2: true, controllers })
    };
    if lane == Lane::V2 || Path::new(CGROUP).join("cgroup.controllers").exists() {
        return Ok(vec![v2(Path::new(CGROUP))?]);
    }
    let mut found = Vec::new();
    for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let dash = words.iter().position(|word| *word == "-").unwrap_or(0);
        let (Some(root), Some(kind), Some(options)) = (words.get(4), words.get(dash + 1), words.last())
        else {
            continue;
        };
        // Hidden mounts of the same name come first; the last one counts.
        if !Path::new(root).starts_with(CGROUP) {
            continue;
        }
        found.retain(|one: &Hierarchy| one.root != Path::new(root));
        match *kind {
            "cgroup2" => found.push(Hierarchy { controllers: Vec::new(), ..v2(Path::new(root))? }),
            "cgroup" => {
                let controllers = options.split(',').map(String::from).collect();
                found.push(Hierarchy { root: root.into(), v2: false, controllers });
            }
            _ => {}
        }
    }
    Ok(found)
}

fn plant(dir: &Path) -> io::Result<()> {
    fs::create_dir(dir.join("dir"))?;
    for (name, mode) in [("ptmx", 0o644), ("secret", 0o600), ("dir/file", 0o444), ("dir/tool", 0o755)] {
        fs::write(dir.join(name), format!("canary {name}\n"))?;
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode))?;
    }
    std::os::unix::fs::symlink("secret", dir.join("link"))
}

/// The machine's first user namespace has a fixed number.
fn in_userns() -> bool {
    fs::read_link("/proc/self/ns/user").is_ok_and(|link| link.as_os_str() != "user:[4026531837]")
}

/// The cgroup of the user's systemd manager, by the number that the folder of its sockets is called.
fn own_manager() -> String {
    let folder = std::env::var("XDG_RUNTIME_DIR").unwrap_or_default();
    let uid = folder.rsplit('/').next().unwrap_or_default();
    format!("user.slice/user-{uid}.slice/user@{uid}.service")
}

/// Whether we are in that cgroup of cgroup2, or below.
fn is_below(group: &str) -> bool {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    own.lines().any(|line| line.starts_with(&format!("0::/{group}")))
}

/// The id exists in the caller's own user namespace: the bodies map from there on.
fn may_map(id: u64) -> bool {
    outside("uid_map", id).is_some()
}

/// A group of the caller's user namespace as mounts show it, which is by the machine's own number.
pub fn shown_group(id: u64) -> u64 {
    outside("gid_map", id).unwrap_or(id)
}

fn outside(map: &str, id: u64) -> Option<u64> {
    let map = fs::read_to_string(format!("/proc/self/{map}")).unwrap_or_default();
    map.lines().find_map(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [first, beyond, count] if (first..first + count).contains(&id) => Some(beyond + id - first),
            _ => None,
        }
    })
}

fn has_user_namespaces() -> bool {
    let limit = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    limit.trim().parse::<u64>().unwrap_or(0) > 0
}

/// Of a kernel that was told not to count, the file is there and refuses.
fn has_pressure() -> bool {
    fs::read_to_string("/proc/pressure/cpu").is_ok()
}

/// Tried in a namespace that ends with the command.
fn has_devices() -> bool {
    answers("unshare", &["--net", "ip", "link", "add", "one", "type", "veth", "peer", "name", "two"])
}

fn answers(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args);
    succeeds(command)
}

fn succeeds(mut command: Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
