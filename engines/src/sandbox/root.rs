//! The filesystem of the sandbox: from the Debian root to the place where engines feel at home.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::pivot_root;

use super::CGROUPS;
use super::cgroups::{Hierarchy, enable_controllers, hierarchies};

/// The directory below which everything of this run lies.
pub const HOME: &str = "/run/engines";
/// Directories that engines write to, in memory.
const WRITABLE: &[(&str, &str)] = &[
    ("run", "mode=755"),
    ("tmp", "mode=1777"),
    ("root", "mode=700"),
    ("var/lib", "mode=755"),
    ("var/cache", "mode=755"),
    ("var/tmp", "mode=1777"),
];

/// Where the directory for recordings is seen.
pub const RECORD: &str = "/run/engines/record";

/// Makes the Debian root this process's own, with copies of the files in [`HOME`] and the directory at [`RECORD`].
pub fn enter(root: &Path, files: &[(&Path, &str)], record: Option<&Path>) -> io::Result<()> {
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    attach(Some(root), root, "", bind, "")?;
    attach(None, root, "", MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, "")?;
    for (dir, mode) in WRITABLE {
        attach(None, &root.join(dir), "tmpfs", MsFlags::empty(), mode)?;
    }
    attach(None, &root.join("proc"), "proc", MsFlags::empty(), "")?;
    attach(None, &root.join("sys"), "sysfs", MsFlags::empty(), "")?;
    attach(Some(Path::new("/dev")), &root.join("dev"), "", bind, "")?;
    cgroups(root)?;
    let home = root.join(HOME.trim_start_matches('/'));
    // Callers without privilege come here too.
    for dir in ["recorder", "calls", "record"] {
        fs::create_dir_all(home.join(dir))?;
        fs::set_permissions(home.join(dir), fs::Permissions::from_mode(0o777))?;
    }
    for (file, name) in files {
        fs::copy(file, home.join(name))?;
    }
    if let Some(record) = record {
        attach(Some(record), &home.join("record"), "", MsFlags::MS_BIND, "")?;
    }
    ordinary_user(root, &home)?;
    pivot(root)?;
    let commands = std::process::Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
    if commands.success() { Ok(()) } else { Err(io::Error::other("the loopback device cannot be set up")) }
}

/// The same hierarchies at the same places, as the namespace shows them. A process of version 2 may not stand where it hands controllers on.
fn cgroups(root: &Path) -> io::Result<()> {
    let below = |point: &Path| root.join(point.strip_prefix("/").unwrap_or(point));
    let found = hierarchies()?;
    if !found.iter().any(|one| one.point == Path::new(CGROUPS)) {
        attach(None, &below(Path::new(CGROUPS)), "tmpfs", MsFlags::empty(), "mode=755")?;
    }
    for Hierarchy { point, kind, options, .. } in found.iter().filter(|one| one.point.starts_with(CGROUPS)) {
        let point = below(point);
        fs::create_dir_all(&point)?;
        attach(None, &point, kind, MsFlags::empty(), options)?;
        if kind == "cgroup2" {
            fs::create_dir(point.join("lane"))?;
            fs::write(point.join("lane/cgroup.procs"), "0")?;
            enable_controllers(&point)?;
        }
    }
    Ok(())
}

/// A user with subordinate ids, in files that cover the root's own.
fn ordinary_user(root: &Path, home: &Path) -> io::Result<()> {
    let lines = [
        ("passwd", "engines:x:1000:1000::/tmp:/bin/sh\n"),
        ("group", "engines:x:1000:\n"),
        ("subuid", "engines:200000:65536\n"),
        ("subgid", "engines:200000:65536\n"),
    ];
    for (name, line) in lines {
        let (original, copy) = (root.join("etc").join(name), home.join(name));
        let text = fs::read_to_string(&original)?;
        fs::write(&copy, text + line)?;
        attach(Some(&copy), &original, "", MsFlags::MS_BIND, "")?;
    }
    Ok(())
}

fn pivot(root: &Path) -> io::Result<()> {
    std::env::set_current_dir(root)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")
}

fn attach(from: Option<&Path>, to: &Path, kind: &str, flags: MsFlags, options: &str) -> io::Result<()> {
    let from = from.unwrap_or(Path::new(if kind.is_empty() { "none" } else { kind }));
    mount(Some(from), to, Some(kind), flags, Some(options))
        .map_err(|errno| io::Error::other(format!("mount {kind} on {}: {errno}", to.display())))
}
