//! The lab: a Debian root filesystem below `target/lab`, made once by debootstrap and kept.
//!
//! It is a real rootfs for conformance and the home of the contenders of the bench. Law: `trixie` exists only when it is
//! complete. It is built in a folder of its own and renamed, so a build that was killed leaves nothing that is believed.

use crate::project::{Project, program};
use crate::step::Step;
use std::fs;
use std::path::{Path, PathBuf};

const SUITE: &str = "trixie";
/// perl and bash are part of every Debian; these are not.
const INCLUDE: &str = "runc,crun,busybox-static,python3-minimal,procps";
/// Inside the lab: what it was made of. Another recipe makes another lab.
const RECIPE_FILE: &str = "etc/teu-lab";

/// Where the finished lab is.
pub fn path(project: &Project) -> PathBuf {
    project.lab().join(SUITE)
}

/// The lab is complete and of the present recipe.
pub fn ready(project: &Project) -> bool {
    fs::read_to_string(path(project).join(RECIPE_FILE)).is_ok_and(|found| found == recipe())
}

fn recipe() -> String {
    format!("{SUITE} minbase {INCLUDE}\n")
}

/// Makes the lab if it is not there. An error says what the machine lacks.
pub fn build(project: &Project) -> Result<(), String> {
    if ready(project) {
        return Ok(());
    }
    let debootstrap = program("debootstrap").ok_or("debootstrap is not installed")?;
    fs::create_dir_all(project.lab()).map_err(|error| format!("{}: {error}", project.lab().display()))?;
    remove_leftovers(project);
    let draft = project.lab().join(format!("{SUITE}.draft-{}", std::process::id()));
    debootstrap_into(project, &debootstrap, &draft)?;
    fs::write(draft.join(RECIPE_FILE), recipe()).map_err(|error| format!("the lab's recipe: {error}"))?;
    publish(project, &draft)
}

fn debootstrap_into(project: &Project, debootstrap: &Path, draft: &Path) -> Result<(), String> {
    let log = project.lab().join("debootstrap.log");
    // A mount namespace of its own: what debootstrap mounts below the draft goes away with it, also when it is killed.
    let step =
        Step::new("make the lab, a Debian root filesystem (about a minute and 260 MB, once)", "unshare")
            .args(["--mount", "--propagation", "private"])
            .arg(debootstrap)
            .args(["--variant=minbase", &format!("--include={INCLUDE}"), SUITE])
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
fn publish(project: &Project, draft: &Path) -> Result<(), String> {
    let lab = path(project);
    if ready(project) {
        return remove(project, draft);
    }
    remove(project, &lab)?;
    match fs::rename(draft, &lab) {
        Err(_) if ready(project) => remove(project, draft),
        result => result.map_err(|error| format!("{}: {error}", lab.display())),
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
    name.strip_prefix(SUITE)?.strip_prefix(".draft-")?.parse().ok()
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
        assert_eq!(builder("trixie.draft-"), None);
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
