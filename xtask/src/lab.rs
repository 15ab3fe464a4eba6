//! Debian root filesystems below `target/lab`, made once by debootstrap and kept.
//!
//! The lab is a real rootfs for conformance and the home of the contenders of the bench; the workshop has a compiler. Law: a folder exists only when it
//! is complete. It is built under another name and renamed, so a build that was killed leaves nothing that is believed.

use crate::project::{Project, program};
use crate::step::Step;
use std::fs;
use std::path::{Path, PathBuf};

/// The release of what is not said to be of another.
const TRIXIE: &str = "trixie";
/// Inside a root: what it was made of. Another recipe makes another root.
const RECIPE_FILE: &str = "etc/teu-lab";

/// One root filesystem: its folder, its release, what it is for, and the packages that are not part of every Debian.
pub struct Root {
    folder: &'static str,
    suite: &'static str,
    what: &'static str,
    include: &'static str,
    finish: Option<Finish>,
}

/// A script of the sources that gets the fresh root as its argument, and its text, which is a part of the recipe.
struct Finish {
    path: &'static str,
    text: &'static str,
}

const GUEST: Finish = Finish { path: "xtask/src/guest/finish.sh", text: include_str!("guest/finish.sh") };
const SELINUX: Finish = Finish {
    path: "xtask/src/guest/selinux.sh",
    text: concat!(include_str!("guest/finish.sh"), include_str!("guest/selinux.sh")),
};

/// The rootfs of conformance and the contenders of the bench.
pub const LAB: Root = Root {
    folder: "trixie",
    suite: TRIXIE,
    what: "the lab, a Debian root filesystem (about a minute and 260 MB, once)",
    include: "runc,crun,busybox-static,python3-minimal,procps",
    finish: None,
};

/// Builds the command with musl where the machine's own toolchain cannot: a compiler, the source of its standard library, and the libc.
pub const WORKSHOP: Root = Root {
    folder: "workshop",
    suite: TRIXIE,
    what: "the workshop, a Debian root filesystem with a compiler (about two minutes and 1.2 GB, once)",
    include: "cargo,rustc,rust-src,musl-tools,gcc,libc6-dev,ca-certificates",
    finish: None,
};

/// Container engines as Debian ships them. Not on the machine itself: there they would start daemons and write firewall rules.
pub const ENGINES: Root = Root {
    folder: "engines",
    suite: TRIXIE,
    what: "the root filesystem with containerd, Docker, podman and buildah (about three minutes and 1.1 GB, once)",
    include: "runc,crun,containerd,docker.io,docker-cli,docker-buildx,docker-compose,podman,buildah,conmon,catatonit,\
              netavark,uidmap,fuse-overlayfs,busybox-static,procps,iproute2",
    finish: None,
};

/// What a guest boots with systemd as its PID 1. Only for as long as its image takes to make (guest/image.rs).
pub const GUEST_TRIXIE: Root = Root {
    folder: "guest-trixie",
    suite: TRIXIE,
    what: "the root of the guest, Debian 13 (about two minutes and 900 MB, once)",
    include: "systemd-sysv,udev,dbus,dbus-user-session,libpam-systemd,linux-image-amd64,apparmor,iproute2,kmod,procps,\
              util-linux,busybox-static,uidmap,xz-utils,strace,criu",
    finish: Some(GUEST),
};

/// The same where SELinux is the security module.
pub const GUEST_SELINUX: Root = Root {
    folder: "guest-selinux",
    suite: TRIXIE,
    what: "the root of the guest with SELinux, Debian 13 (about three minutes and 1 GB, once)",
    include: "systemd-sysv,udev,dbus,dbus-user-session,libpam-systemd,linux-image-amd64,iproute2,kmod,procps,\
              util-linux,busybox-static,uidmap,xz-utils,strace,selinux-policy-default,policycoreutils",
    finish: Some(SELINUX),
};

/// The same with an older kernel and the systemd of its time.
pub const GUEST_BOOKWORM: Root = Root {
    folder: "guest-bookworm",
    suite: "bookworm",
    what: "the root of the guest, Debian 12 (about two minutes and 900 MB, once)",
    include: OLDER,
    finish: Some(GUEST),
};

/// The oldest kernel that teu promises to run on.
pub const GUEST_BULLSEYE: Root = Root {
    folder: "guest-bullseye",
    suite: "bullseye",
    what: "the root of the guest, Debian 11 (about two minutes and 900 MB, once)",
    include: OLDER,
    finish: Some(GUEST),
};

/// The packages of an older guest: the same, without what its archive lacks.
const OLDER: &str = "systemd-sysv,udev,dbus,dbus-user-session,libpam-systemd,linux-image-amd64,apparmor,iproute2,kmod,procps,\
                     util-linux,busybox-static,uidmap,xz-utils,strace";

const ROOTS: [&Root; 7] =
    [&LAB, &WORKSHOP, &ENGINES, &GUEST_TRIXIE, &GUEST_SELINUX, &GUEST_BOOKWORM, &GUEST_BULLSEYE];

impl Root {
    /// Where it is when it is finished.
    pub fn path(&self, project: &Project) -> PathBuf {
        project.lab().join(self.folder)
    }

    /// It is complete and of the present recipe.
    pub fn ready(&self, project: &Project) -> bool {
        fs::read_to_string(self.path(project).join(RECIPE_FILE)).is_ok_and(|found| found == self.recipe())
    }

    /// Everything that it is made of.
    pub fn recipe(&self) -> String {
        let finish = self.finish.as_ref().map_or("", |finish| finish.text);
        format!("{} minbase {}\n{finish}", self.suite, self.include)
    }

    /// Removes it: what was made of it is enough.
    pub fn remove(&self, project: &Project) -> Result<(), String> {
        remove(project, &self.path(project))
    }

    /// Makes it if it is not there. An error says what the machine lacks.
    pub fn build(&self, project: &Project) -> Result<(), String> {
        if self.ready(project) {
            return Ok(());
        }
        let debootstrap = program("debootstrap").ok_or("debootstrap is not installed")?;
        fs::create_dir_all(project.lab()).map_err(|error| format!("{}: {error}", project.lab().display()))?;
        remove_leftovers(project);
        let draft = project.lab().join(format!("{}.draft-{}", self.folder, std::process::id()));
        self.debootstrap(project, &debootstrap, &draft)?;
        if let Some(finish) = &self.finish {
            finish.run(project, &draft)?;
        }
        fs::write(draft.join(RECIPE_FILE), self.recipe()).map_err(|error| format!("the recipe: {error}"))?;
        self.publish(project, &draft)
    }

    fn debootstrap(&self, project: &Project, debootstrap: &Path, draft: &Path) -> Result<(), String> {
        let log = project.lab().join("debootstrap.log");
        // A mount namespace of its own: what debootstrap mounts below the draft goes away with it, also when it is killed.
        let step = Step::new(format!("make {}", self.what), "unshare")
            .args(["--mount", "--propagation", "private"])
            .arg(debootstrap)
            .args(["--variant=minbase", &format!("--include={}", self.include), self.suite])
            .arg(draft)
            .args(std::env::var_os("TEU_DEBIAN_MIRROR"));
        if let Err(error) = step.limit_seconds(900).run_logged(&project.root, &log) {
            let said = fs::read_to_string(&log).unwrap_or_default();
            remove(project, draft)?;
            return Err(format!("debootstrap: {}", said.lines().last().unwrap_or(&error)));
        }
        remove(project, &draft.join("var/cache/apt/archives"))
    }

    /// Gives the finished draft its name. Somebody else may have been faster: theirs is as good.
    fn publish(&self, project: &Project, draft: &Path) -> Result<(), String> {
        let root = self.path(project);
        if self.ready(project) {
            return remove(project, draft);
        }
        remove(project, &root)?;
        match fs::rename(draft, &root) {
            Err(_) if self.ready(project) => remove(project, draft),
            result => result.map_err(|error| format!("{}: {error}", root.display())),
        }
    }
}

impl Finish {
    fn run(&self, project: &Project, draft: &Path) -> Result<(), String> {
        Step::new("finish it", "unshare")
            .args(["--mount", "--propagation", "private", "sh", "-e", self.path])
            .arg(draft)
            .run(&project.root)
            .or_else(|reason| remove(project, draft).and(Err(reason)))
    }
}

/// Drafts whose builder is gone. What resists (an orphan may still be writing there) is left to the next time.
fn remove_leftovers(project: &Project) {
    for entry in fs::read_dir(project.lab()).into_iter().flatten().flatten() {
        let Some(pid) = builder(&entry.file_name().to_string_lossy()) else { continue };
        if Path::new("/proc").join(pid.to_string()).exists() {
            continue;
        }
        if let Err(reason) = remove(project, &entry.path()) {
            println!("    left as it is: {reason}");
        }
    }
}

/// The process that a draft's name says is building it.
fn builder(name: &str) -> Option<u32> {
    let (folder, pid) = name.split_once(".draft-")?;
    ROOTS.iter().any(|root| root.folder == folder).then(|| pid.parse().ok())?
}

/// Deletes a tree, but never through a mount: below a forgotten sysfs or cgroup mount there is more to lose than disk.
fn remove(project: &Project, tree: &Path) -> Result<(), String> {
    if !tree.exists() {
        return Ok(());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if let Some(mount) = mount_below(&mounts, tree) {
        return Err(format!("{mount} is mounted: unmount it, then run this again"));
    }
    Step::new("remove what an earlier build left or what is no longer needed", "rm")
        .args(["-rf", "--one-file-system"])
        .arg(tree)
        .run(&project.root)
}

/// The first mount point in the text of mountinfo that lies at or below `tree`.
fn mount_below<'a>(mountinfo: &'a str, tree: &Path) -> Option<&'a str> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .find(|point| Path::new(point).starts_with(tree))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_names_its_builder_and_a_lab_does_not() {
        assert_eq!(builder("trixie.draft-4711"), Some(4711));
        assert_eq!(builder("trixie"), None);
        assert_eq!(builder("workshop.draft-1"), Some(1));
        assert_eq!(builder("trixie.draft-"), None);
        assert_eq!(builder("other.draft-1"), None);
    }

    #[test]
    fn a_mount_below_a_tree_is_found_and_a_neighbour_is_not() {
        let mounts =
            "1 2 0:3 / /proc rw - proc proc rw\n4 5 0:6 / /x/lab/trixie.draft-1/sys rw - sysfs sysfs rw\n";
        assert_eq!(
            mount_below(mounts, Path::new("/x/lab/trixie.draft-1")),
            Some("/x/lab/trixie.draft-1/sys")
        );
        assert_eq!(mount_below(mounts, Path::new("/x/lab/trixie.draft")), None);
    }
}
