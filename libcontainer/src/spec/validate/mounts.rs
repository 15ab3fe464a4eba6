//! `mounts`. The checks are on the text of the destination; those on what it resolves to below the rootfs are init's.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use oci_spec::runtime::{LinuxNamespaceType, Mount, Spec as Config};

use super::{Warnings, invalid, limit_entries, limit_path, list, mappings, namespace, needs_mounts, warning};
use crate::Result;

/// What may be mounted inside `/proc`: files that lxcfs and the like emulate.
pub const INSIDE_PROC: [&str; 10] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
];

pub fn mounts(config: &Config, warnings: &mut Warnings) -> Result<()> {
    let mounts = list(config.mounts());
    if mounts.is_empty() {
        return Ok(());
    }
    limit_entries(mounts.len(), "/mounts")?;
    let message = "unable to set up mounts without a private mount namespace";
    needs_mounts(config, "/mounts", message)?;
    let own_network =
        namespace(config, LinuxNamespaceType::Network).is_some_and(|network| network.path().is_none());
    for (index, mount) in mounts.iter().enumerate() {
        let place = clean(mount.destination());
        destination(mount, &place, index, warnings)?;
        below_proc(mount, &place, index, own_network)?;
        kind(mount, index)?;
        options(mount, index)?;
        ids(mount, index)?;
    }
    Ok(())
}

fn destination(mount: &Mount, place: &[&[u8]], index: usize, warnings: &mut Warnings) -> Result<()> {
    let destination = mount.destination();
    let pointer = || format!("/mounts/{index}/destination");
    if destination.as_os_str().is_empty() {
        return Err(invalid(pointer(), "mount destination must not be empty"));
    }
    limit_path(destination.as_os_str(), pointer)?;
    if !destination.is_absolute() {
        let message =
            format!("mount destination {destination:?} is not absolute, it is taken as relative to /");
        warnings.push(warning(pointer(), message));
    }
    if place.is_empty() {
        let source = mount.source().as_deref().unwrap_or(Path::new(""));
        let message = format!(
            "error mounting {source:?} to rootfs at {destination:?}: mountpoint is on the top of rootfs"
        );
        return Err(invalid(pointer(), message));
    }
    Ok(())
}

/// A mount that hides a part of `/proc` could forge what privileged programs read there.
fn below_proc(mount: &Mount, place: &[&[u8]], index: usize, own_network: bool) -> Result<()> {
    let Some((&b"proc", inside)) = place.split_first() else { return Ok(()) };
    let refused = |why: &str| {
        let message = format!("{:?} cannot be mounted because {why}", mount.destination());
        Err(invalid(format!("/mounts/{index}/destination"), message))
    };
    if inside.is_empty() {
        // Whether the source of a bind is a procfs is for the one who opens it.
        let procfs = is_bind(mount) || mount.typ().as_deref() == Some("proc");
        return if procfs { Ok(()) } else { refused("it is not of type proc") };
    }
    let known = INSIDE_PROC.iter().any(|name| inside.join(&b'/') == name.as_bytes());
    let network = own_network && inside.starts_with(&[b"sys", b"net"]);
    if known || network { Ok(()) } else { refused("it is inside /proc") }
}

/// Longest name of a filesystem that the kernel takes.
const MAX_TYPE: usize = 255;

fn kind(mount: &Mount, index: usize) -> Result<()> {
    if let Some(source) = mount.source() {
        limit_path(source.as_os_str(), || format!("/mounts/{index}/source"))?;
    }
    match mount.typ() {
        Some(kind) if kind.len() > MAX_TYPE => {
            Err(invalid(format!("/mounts/{index}/type"), "the type is longer than 255 bytes"))
        }
        _ => Ok(()),
    }
}

/// Words that mean nothing, or something else, for a mount of this kind.
fn options(mount: &Mount, index: usize) -> Result<()> {
    let options = list(mount.options());
    limit_entries(options.len(), format_args!("/mounts/{index}/options"))?;
    let has = |word: &str| options.iter().any(|option| option == word);
    let remount = has("remount");
    let (bind, tmpfs) = (is_bind(mount) && !remount, mount.typ().as_deref() == Some("tmpfs"));
    for (place, option) in options.iter().enumerate() {
        let word = option.split_once('=').map_or(option.as_str(), |(word, _)| word);
        let fault = match word {
            _ if option.len() >= super::PATH_MAX => Some("an option is longer than 4095 bytes".to_owned()),
            "tmpcopyup" if bind || remount || !tmpfs => {
                Some(format!("{option:?} is for mounts of type tmpfs"))
            }
            "copy-symlink" | "src-nofollow" | "dest-nofollow" if !bind => {
                Some(format!("{option:?} is for bind mounts"))
            }
            "copy-symlink" if has("src-nofollow") || has("dest-nofollow") => {
                let both = "`copy-symlink` is mutually exclusive with `src-nofollow` and `dest-nofollow`";
                Some(both.to_owned())
            }
            "idmap" | "ridmap" if remount => Some(format!("{option:?} is not for a remount")),
            "idmap" | "ridmap" if option != word && has_mappings(mount) => {
                Some("the mappings are given twice".to_owned())
            }
            _ => None,
        };
        if let Some(message) = fault {
            return Err(invalid(format!("/mounts/{index}/options/{place}"), message));
        }
    }
    Ok(())
}

fn has_mappings(mount: &Mount) -> bool {
    !list(mount.uid_mappings()).is_empty() || !list(mount.gid_mappings()).is_empty()
}

fn ids(mount: &Mount, index: usize) -> Result<()> {
    if !has_mappings(mount) {
        return Ok(());
    }
    for (mappings, key) in [(mount.uid_mappings(), "uidMappings"), (mount.gid_mappings(), "gidMappings")] {
        let pointer = format!("/mounts/{index}/{key}");
        if list(mappings).is_empty() {
            let message = "id-mapped mounts must have both uid and gid mappings specified";
            return Err(invalid(pointer, message));
        }
        mappings::check(list(mappings), &pointer)?;
    }
    Ok(())
}

fn is_bind(mount: &Mount) -> bool {
    mount.typ().as_deref() == Some("bind")
        || list(mount.options()).iter().any(|option| option == "bind" || option == "rbind")
}

/// The names on the way from the root, without `.` and `..`.
fn clean(path: &Path) -> Vec<&[u8]> {
    let mut names = Vec::new();
    for name in path.as_os_str().as_bytes().split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names
}
