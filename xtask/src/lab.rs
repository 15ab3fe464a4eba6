//! Debian root filesystems below `target/lab`, made once by debootstrap and kept.
//!
//! The lab is a real rootfs for conformance and the home of the contenders of the bench; the workshop has a compiler. Law: a folder exists only when it
//! is complete. It is built under another name and renamed, so a build that was killed leaves nothing that is believed.

use crate::project::{Project, program};
use crate::step::Step;
use std::fs;
use std::path::{Path, PathBuf};

const SUITE: &str = "trixie";
/// Inside a root: what it was made of. Another recipe makes another root.
const RECIPE_FILE: &str = "etc/teu-lab";

/// One root filesystem: its folder, what it is for, and the packages that are not part of every Debian.
pub struct Root {
    folder: &'static str,
    what: &'static str,
    include: &'static str,
}

/// The rootfs of conformance and the contenders of the bench.
pub const LAB: Root = Root {
    folder: "trixie",
    what: "the lab, a Debian root filesystem (about a minute and 260 MB, once)",
    include: "runc,crun,busybox-static,python3-minimal,procps",
};

/// Builds the command with musl where the machine's own toolchain cannot: a compiler, the source of its standard library, and the libc.
pub const WORKSHOP: Root = Root {
    folder: "workshop",
    what: "the workshop, a Debian root filesystem with a compiler (about two minutes and 1.2 GB, once)",
    include: "cargo,rustc,rust-src,musl-tools,gcc,libc6-dev,ca-certificates",
};

/// Container engines as Debian ships them. Not on the machine itself: there they would start daemons and write firewall rules.
pub const ENGINES: Root = Root {
    folder: "engines",
    what: "the root filesystem with containerd, Docker, podman and buildah (about three minutes and 1.1 GB, once)",
    include: "runc,crun,containerd,docker.io,docker-cli,docker-buildx,docker-compose,podman,buildah,conmon,catatonit,\
              netavark,uidmap,fuse-overlayfs,busybox-static,procps,iproute2",
};

impl Root {
    /// Where it is when it is finished.
    pub fn path(&self, project: &Project) -> PathBuf {
        project.lab().join(self.folder)
    }

    /// It is complete and of the present recipe.
    pub fn ready(&self, project: &Project) -> bool {
        fs::read_to_string(self.path(project).join(RECIPE_FILE)).is_ok_and(|found| found == self.recipe())
    }

    fn recipe(&self) -> String {
        format!("{SUITE} minbase {}\n", self.include)
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
        fs::write(draft.join(RECIPE_FILE), self.recipe()).map_err(|error| format!("the recipe: {error}"))?;
        self.publish(project, &draft)
    }

    fn debootstrap(&self, project: &Project, debootstrap: &Path, draft: &Path) -> Result<(), String> {
        let log = project.lab().join("debootstrap.log");
        // A mount namespace of its own: what debootstrap mounts below the draft goes away with it, also when it is killed.
        let step = Step::new(format!("make {}", self.what), "unshare")
            .args(["--mount", "--propagation", "private"])
            .arg(debootstrap)
            .args(["--variant=minbase", &format!("--include={}", self.include), SUITE])
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
    [LAB, WORKSHOP, ENGINES].iter().any(|root| root.folder == folder).then(|| pid.parse().ok())?
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
