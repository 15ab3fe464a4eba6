//! The disk, kernel and initial disk of each guest, made from a Debian root and kept below `target/lab/guest`.

use crate::lab::{GUEST_BOOKWORM, GUEST_BULLSEYE, GUEST_SELINUX, GUEST_TRIXIE, Root};
use crate::project::{Project, program};
use crate::step::Step;
use std::fs;
use std::path::{Path, PathBuf};

/// A machine that can be booted.
pub struct Image {
    /// Debian's name of the release, and ours of the guest.
    pub name: &'static str,
    /// What one can expect of it.
    pub about: &'static str,
    /// The words of the kernel's command line that choose its security module.
    pub security: &'static str,
    root: &'static Root,
}

const APPARMOR: &str = "apparmor=1 security=apparmor";
const SELINUX: &str = "selinux=1 security=selinux enforcing=0";

pub const TRIXIE: Image = image("trixie", "Debian 13: Linux 6.12, systemd 257", APPARMOR, &GUEST_TRIXIE);
pub const LABELLED: Image =
    image("selinux", "Debian 13: Linux 6.12, systemd 257, SELinux", SELINUX, &GUEST_SELINUX);
pub const BOOKWORM: Image = image("bookworm", "Debian 12: Linux 6.1, systemd 252", APPARMOR, &GUEST_BOOKWORM);
pub const BULLSEYE: Image =
    image("bullseye", "Debian 11: Linux 5.10, systemd 247", APPARMOR, &GUEST_BULLSEYE);

const fn image(
    name: &'static str,
    about: &'static str,
    security: &'static str,
    root: &'static Root,
) -> Image {
    Image { name, about, security, root }
}

/// Every guest.
pub const IMAGES: [&Image; 4] = [&TRIXIE, &LABELLED, &BOOKWORM, &BULLSEYE];

/// Inside the folder of a finished image: what it was made of. Another recipe makes another image.
const RECIPE_FILE: &str = "recipe";
/// Sparse: what is used of it is what the root needs.
const DISK_SIZE: &str = "4G";

impl Image {
    /// The file of this image with that name: `disk`, `vmlinuz` or `initrd`.
    pub fn file(&self, project: &Project, name: &str) -> PathBuf {
        self.dir(project).join(name)
    }

    fn dir(&self, project: &Project) -> PathBuf {
        project.lab().join("guest").join(self.name)
    }

    /// It is complete and of the present recipe.
    pub fn ready(&self, project: &Project) -> bool {
        fs::read_to_string(self.file(project, RECIPE_FILE)).is_ok_and(|found| found == self.root.recipe())
    }

    /// Makes it if it is not there. An error says what the machine lacks.
    pub fn build(&self, project: &Project) -> Result<(), String> {
        if self.ready(project) {
            return Ok(());
        }
        if !project.root_user {
            return Err("debootstrap needs root".to_owned());
        }
        let mke2fs = program("mke2fs").ok_or("mke2fs is not installed (e2fsprogs)")?;
        self.root.build(project)?;
        let dir = self.dir(project);
        let fail = |error: std::io::Error| format!("{}: {error}", dir.display());
        // The recipe comes last: without it the folder is not believed.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).map_err(fail)?;
        let root = self.root.path(project);
        copy(&root, "vmlinuz", &dir.join("vmlinuz"))?;
        copy(&root, "initrd.img", &dir.join("initrd"))?;
        disk(project, &mke2fs, &root, &dir.join("disk"), DISK_SIZE)?;
        fs::write(dir.join(RECIPE_FILE), self.root.recipe()).map_err(fail)?;
        self.root.remove(project)
    }
}

/// The one file of `/boot` whose name begins so.
fn copy(root: &Path, begins: &str, to: &Path) -> Result<(), String> {
    let boot = root.join("boot");
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begins));
    let found = fs::read_dir(&boot).into_iter().flatten().flatten().map(|entry| entry.path()).find(named);
    let found = found.ok_or_else(|| format!("no {begins} in {}", boot.display()))?;
    fs::copy(&found, to).map_err(|error| format!("{}: {error}", to.display()))?;
    Ok(())
}

/// An ext4 disk with what is in `tree`. No mount and no loop device takes part.
pub fn disk(project: &Project, mke2fs: &Path, tree: &Path, file: &Path, size: &str) -> Result<(), String> {
    let _ = fs::remove_file(file);
    Step::new(format!("make the disk {}", file.file_name().unwrap_or_default().to_string_lossy()), mke2fs)
        .args(["-q", "-t", "ext4", "-m", "0", "-O", "^has_journal", "-d"])
        .arg(tree)
        .arg(file)
        .arg(size)
        .limit_seconds(300)
        .run(&project.root)
}
