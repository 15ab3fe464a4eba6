//! What a caller without root cannot have. A caller that is root of a user namespace is none: the kernel tells it what it may.

use oci_spec::runtime::{LinuxIdMapping, Spec};

use super::namespaces::{Namespaces, kind};
use crate::host::Host;
use crate::{Error, ErrorKind, Result};

/// Refuses what the kernel would refuse later with less clear words.
///
/// # Errors
/// `InvalidSpec` with a JSON pointer.
pub(super) fn check(config: &Spec, namespaces: &Namespaces, host: &Host) -> Result<()> {
    if host.euid == 0 || host.privileged {
        return Ok(());
    }
    if !namespaces.has(kind::USER) {
        return Err(invalid("rootless container requires user namespaces", "/linux/namespaces"));
    }
    let devices = config.linux().as_ref().and_then(|linux| linux.net_devices().as_ref());
    if devices.is_some_and(|devices| !devices.is_empty()) {
        let message = "network devices cannot be moved into a rootless container";
        return Err(invalid(message, "/linux/netDevices"));
    }
    if namespaces.joins(kind::USER) { Ok(()) } else { mount_options(config) }
}

/// The owner of a filesystem must be mapped, or the kernel refuses the mount.
fn mount_options(config: &Spec) -> Result<()> {
    let linux = config.linux().as_ref();
    let uids = linux.and_then(|linux| linux.uid_mappings().as_deref()).unwrap_or(&[]);
    let gids = linux.and_then(|linux| linux.gid_mappings().as_deref()).unwrap_or(&[]);
    for (index, mount) in config.mounts().iter().flatten().enumerate() {
        for (place, option) in mount.options().iter().flatten().enumerate() {
            let unmapped = [("uid=", uids), ("gid=", gids)].into_iter().any(|(key, maps)| {
                let id = option.strip_prefix(key).and_then(|id| id.parse::<u32>().ok());
                id.is_some_and(|id| !maps.iter().any(|map| is_mapped(map, id)))
            });
            if unmapped {
                let message = format!("cannot specify {option} mount option for rootless container");
                return Err(invalid(message, format!("/mounts/{index}/options/{place}")));
            }
        }
    }
    Ok(())
}

fn is_mapped(map: &LinuxIdMapping, id: u32) -> bool {
    id.checked_sub(map.container_id()).is_some_and(|offset| offset < map.size())
}

fn invalid(message: impl Into<String>, pointer: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSpec, message).at(pointer)
}
