//! Fills [`Host`]. Never reads mountinfo: a machine with 100,000 mounts must cost nothing.

use std::path::Path;

use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, SELINUX_MAGIC, TMPFS_MAGIC, statfs};
use nix::sys::utsname::uname;
use nix::unistd::geteuid;

use super::{CgroupLayout, Hierarchy, Host, OwnCgroup};
use crate::error::{Error, Result};
use crate::sys;

const CGROUP_ROOT: &str = "/sys/fs/cgroup";
const CAP_SYS_ADMIN: u32 = 21;
const RESCTRL_ROOT: &str = "/sys/fs/resctrl";
/// RDTGROUP_SUPER_MAGIC, which neither libc nor nix has.
const RESCTRL_MAGIC: FsType = FsType(0x0765_5821);
/// The inode of the machine's first user namespace (PROC_USER_INIT_INO), fixed since Linux 3.8.
const FIRST_USERNS: &str = "user:[4026531837]";

impl Host {
    /// Asks the kernel for every fact. Callers that create many containers probe once and call
    /// [`Host::refresh`] for each: only the cgroup of the caller changes in between.
    ///
    /// # Errors
    /// procfs is not mounted at `/proc`, or a file of it is not in the form of the kernel.
    pub fn probe() -> Result<Self> {
        let own_cgroup = own_cgroup()?;
        let in_userns = in_userns()?;
        let capable = sys::capability::effective().map_err(|e| Error::io("capget", &e))?;
        let (euid, privileged) = (geteuid().as_raw(), !in_userns && capable & (1 << CAP_SYS_ADMIN) != 0);
        Ok(Self {
            euid,
            privileged,
            in_userns,
            sets_groups: privileged || euid == 0 && (!in_userns || setgroups_allowed()?),
            last_cap: sys::capability::last().map_or_else(last_cap, Ok)?,
            kernel: kernel(&release()?)?,
            apparmor: false,
            selinux: false,
            kcore: Path::new("/proc/kcore").exists(),
            resctrl: None,
            cgroup: layout(Path::new(CGROUP_ROOT), &own_cgroup),
            own_cgroup,
        })
    }

    /// Reads again what may have changed since the probe: the caller's own cgroup.
    ///
    /// # Errors
    /// As [`Host::probe`].
    pub fn refresh(&mut self) -> Result<()> {
        self.own_cgroup = own_cgroup()?;
        Ok(())
    }
}

impl Host {
    /// Asks which security modules label processes. Apart from [`Host::probe`], because most containers name no label.
    pub fn probe_security_modules(&mut self) {
        self.apparmor = apparmor(Path::new("/sys/module/apparmor/parameters/enabled"));
        self.selinux = selinux(Path::new("/sys/fs/selinux"), Path::new("/proc/self/attr/current"));
    }
}

impl Host {
    /// Asks where resctrl is mounted, as [`Host::probe_security_modules`] asks: only few containers use it.
    pub fn probe_resctrl(&mut self) {
        self.resctrl = resctrl(Path::new(RESCTRL_ROOT));
    }
}

/// Where it mostly is; anywhere else the list of mounts tells.
fn resctrl(usual: &Path) -> Option<std::path::PathBuf> {
    if filesystem(usual) == Some(RESCTRL_MAGIC) {
        return Some(usual.to_owned());
    }
    mounted_resctrl(&std::fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// The last mount of that type in the text of `mountinfo`. Spaces in a path are written as octal numbers: such a one is not found.
fn mounted_resctrl(mounts: &str) -> Option<std::path::PathBuf> {
    let is_resctrl =
        |line: &&str| line.split_once(" - ").is_some_and(|(_, rest)| rest.starts_with("resctrl "));
    mounts.lines().rev().find(is_resctrl)?.split(' ').nth(4).map(std::path::PathBuf::from)
}

/// What the module says of itself; `enabled` is `Y` or `N`.
fn apparmor(enabled: &Path) -> bool {
    std::fs::read(enabled).is_ok_and(|text| text.first() == Some(&b'Y'))
}

/// Without a policy every process is called `kernel`.
fn selinux(mount: &Path, own_label: &Path) -> bool {
    let labelled = || std::fs::read(own_label).is_ok_and(|label| !label.starts_with(b"kernel\0"));
    filesystem(mount) == Some(SELINUX_MAGIC) && labelled()
}

fn own_cgroup() -> Result<OwnCgroup> {
    // A kernel without cgroups has no such file; the container then runs without one.
    match sys::fs::read_small("/proc/self/cgroup") {
        Ok(text) => Ok(OwnCgroup::parse(&text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && Path::new("/proc/self").exists() => {
            Ok(OwnCgroup::default())
        }
        Err(e) => Err(Error::io("open /proc/self/cgroup", &e)),
    }
}

fn in_userns() -> Result<bool> {
    match std::fs::read_link("/proc/self/ns/user") {
        Ok(link) => Ok(link.as_os_str() != FIRST_USERNS),
        // A kernel built without user namespaces has only the first.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("readlink /proc/self/ns/user", &e)),
    }
}

/// A user namespace that an ordinary user made alone has given this right up (user_namespaces(7)), and its children have not got it either.
fn setgroups_allowed() -> Result<bool> {
    Ok(read("/proc/self/setgroups")?.trim() == "allow")
}

fn read(path: &str) -> Result<String> {
    sys::fs::read_small(path).map_err(|e| Error::io(format!("open {path}"), &e))
}

/// What uname(2) says, unless it says what an old program wants to hear (UNAME26).
fn release() -> Result<String> {
    match uname().map(|name| name.release().to_string_lossy().into_owned()) {
        Ok(release) if !release.starts_with("2.") => Ok(release),
        _ => read("/proc/sys/kernel/osrelease"),
    }
}

/// For who may not ask by prctl(2).
fn last_cap() -> Result<u32> {
    const FILE: &str = "/proc/sys/kernel/cap_last_cap";
    number(FILE, &read(FILE)?)
}

fn number(what: &str, text: &str) -> Result<u32> {
    text.trim().parse().map_err(|_| Error::os(format!("parse {what} {:?}", text.trim()), libc::EINVAL))
}

fn kernel(release: &str) -> Result<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    let mut part = || number("kernel release", parts.next().unwrap_or_default());
    Ok((part()?, part()?))
}

fn layout(root: &Path, own: &OwnCgroup) -> CgroupLayout {
    match filesystem(root) {
        Some(CGROUP2_SUPER_MAGIC) => CgroupLayout::V2 { root: root.to_owned() },
        Some(TMPFS_MAGIC) => v1_layout(root, own),
        _ => CgroupLayout::None,
    }
}

fn v1_layout(root: &Path, own: &OwnCgroup) -> CgroupLayout {
    let hierarchies: Vec<_> = own.v1_names().filter_map(|name| hierarchy(root, name)).collect();
    let unified = root.join("unified");
    let unified = (filesystem(&unified) == Some(CGROUP2_SUPER_MAGIC)).then_some(unified);
    if hierarchies.is_empty() && unified.is_none() {
        return CgroupLayout::None;
    }
    CgroupLayout::V1 { root: root.to_owned(), hierarchies, unified }
}

/// The mount point of the hierarchy `name`: named after all its controllers, after the first, or after its own name.
fn hierarchy(root: &Path, name: &str) -> Option<Hierarchy> {
    let controllers: Vec<String> = name.split(',').map(str::to_owned).collect();
    let plain = name.strip_prefix("name=").unwrap_or(name);
    let first = plain.split(',').next().unwrap_or(plain);
    let dir =
        [plain, first].into_iter().find(|dir| filesystem(&root.join(dir)) == Some(CGROUP_SUPER_MAGIC))?;
    Some(Hierarchy { dir: dir.to_owned(), controllers })
}

fn filesystem(path: &Path) -> Option<FsType> {
    statfs(path).ok().map(|found| found.filesystem_type())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_of_distributions_are_understood() {
        for (release, expected) in
            [("6.18.44-fc\n", (6, 18)), ("5.10.0", (5, 10)), ("7.0-rc1", (7, 0)), ("6.1+", (6, 1))]
        {
            assert_eq!(kernel(release).unwrap(), expected, "{release}");
        }
        assert!(kernel("linux").is_err());
    }

    #[test]
    fn apparmor_is_on_if_its_module_says_so() {
        let folder = std::env::temp_dir().join(format!("teu-host-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("enabled");
        assert!(!apparmor(&file), "no module");
        for (text, on) in [("Y\n", true), ("N\n", false), ("", false)] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(apparmor(&file), on, "{text:?}");
        }
        assert!(!selinux(&folder, &file), "a directory is no selinuxfs");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn resctrl_is_found_in_the_list_of_mounts() {
        let text = "22 28 0:20 / /sys rw - sysfs sysfs rw\n40 22 0:36 / /mnt/rdt rw,nosuid shared:9 - resctrl resctrl rw\n";
        assert_eq!(mounted_resctrl(text), Some("/mnt/rdt".into()));
        assert_eq!(mounted_resctrl("22 28 0:20 / /resctrl rw - tmpfs resctrl rw\n"), None);
    }

    #[test]
    fn the_probe_finds_this_machine() {
        let host = Host::probe().unwrap();
        assert!(host.kernel >= (5, 10), "{:?}", host.kernel);
        assert!(host.last_cap >= 40);
        let again = {
            let mut h = host.clone();
            h.refresh().unwrap();
            h
        };
        assert_eq!(host, again);
        if let CgroupLayout::V1 { root, hierarchies, .. } = &host.cgroup {
            for hierarchy in hierarchies {
                assert!(root.join(&hierarchy.dir).join("cgroup.procs").exists(), "{hierarchy:?}");
                assert!(host.own_cgroup.path(&hierarchy.name()).is_some());
            }
        }
    }
}
