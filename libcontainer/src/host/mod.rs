//! Facts about the caller and its machine, as a value: what `plan` may decide on without asking the kernel again.
//!
//! A *hierarchy* is one mounted cgroup filesystem. v2 has one; v1 has one for each group of controllers, and a hybrid
//! host has a cgroup2 mount without limits (`unified`) beside them.

pub(crate) mod nodes;
mod probe;

use std::path::PathBuf;

/// What the planner knows about the machine and the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The caller's effective user id.
    pub euid: u32,
    /// CAP_SYS_ADMIN is effective and the user namespace is the machine's first.
    pub privileged: bool,
    /// The caller is in a user namespace other than the machine's first.
    pub in_userns: bool,
    /// The caller may set groups, and so may those whose user namespaces it makes.
    pub sets_groups: bool,
    /// The highest capability number the kernel knows.
    pub last_cap: u32,
    /// Kernel version, major and minor.
    pub kernel: (u32, u32),
    /// AppArmor is on. Asked for only where a plan depends on it: see [`Host::probe_security_modules`].
    pub apparmor: bool,
    /// SELinux is on; asked for as AppArmor.
    pub selinux: bool,
    /// The kernel has a `/proc/kcore` (CONFIG_PROC_KCORE).
    pub kcore: bool,
    /// Where resctrl is mounted. Asked for only where a plan depends on it: see [`Host::probe_resctrl`].
    pub resctrl: Option<PathBuf>,
    /// Which cgroup filesystems are mounted, and where.
    pub cgroup: CgroupLayout,
    /// The cgroups that the caller is in.
    pub own_cgroup: OwnCgroup,
}

/// Which cgroup filesystems are mounted below `/sys/fs/cgroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupLayout {
    /// One cgroup2 mount.
    V2 {
        /// Its mount point.
        root: PathBuf,
    },
    /// A directory of v1 mounts.
    V1 {
        /// The directory that holds the mount points.
        root: PathBuf,
        /// The v1 mounts, in the order of `/proc/self/cgroup`.
        hierarchies: Vec<Hierarchy>,
        /// The mount point of the cgroup2 filesystem of a hybrid host.
        unified: Option<PathBuf>,
    },
    /// No cgroup filesystem.
    None,
}

/// One v1 mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// The mount point's name below the root, such as `memory` or `cpu,cpuacct`.
    pub dir: String,
    /// The controllers bound to it; `name=systemd` for a named hierarchy.
    pub controllers: Vec<String>,
}

/// The cgroups that the caller is in: `/proc/self/cgroup` as pairs of controllers and path. The unified one has no controllers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnCgroup(Vec<(String, String)>);

impl Hierarchy {
    /// The name of the hierarchy in `/proc/self/cgroup`: its controllers, separated by commas.
    pub fn name(&self) -> String {
        self.controllers.join(",")
    }
}

impl OwnCgroup {
    /// Reads the text of `/proc/self/cgroup`. Lines that are none are skipped.
    pub fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut fields = line.splitn(3, ':').skip(1);
            Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// The caller's path in the hierarchy of that name; the empty name is the unified one.
    pub fn path(&self, hierarchy: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == hierarchy).map(|(_, path)| path.as_str())
    }

    /// The names of the v1 hierarchies.
    pub(crate) fn v1_names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str()).filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::OwnCgroup;

    #[test]
    fn own_cgroups_are_found_by_hierarchy_and_keep_colons_in_the_path() {
        let own = OwnCgroup::parse("9:name=systemd:/\n4:cpu,cpuacct:/a:b/c\n0::/user.slice\nnonsense\n");
        assert_eq!(own.path("cpu,cpuacct"), Some("/a:b/c"));
        assert_eq!(own.path(""), Some("/user.slice"));
        assert_eq!(own.path("memory"), None);
        assert_eq!(own.v1_names().collect::<Vec<_>>(), ["name=systemd", "cpu,cpuacct"]);
    }
}
