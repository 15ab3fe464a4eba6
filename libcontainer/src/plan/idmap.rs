//! `linux.uidMappings` and `linux.gidMappings`: the lines for `/proc/PID/uid_map` and `gid_map`.

use oci_spec::runtime::{LinuxIdMapping, Spec};

use super::namespaces::{Namespaces, kind};
use crate::host::Host;

/// The maps of a new user namespace, written by the caller while init waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMaps {
    /// The content of `uid_map`.
    pub uids: String,
    /// The content of `gid_map`.
    pub gids: String,
    /// Whether the namespace must give up `setgroups` first: a caller without privilege may map its group only then.
    pub deny_setgroups: bool,
}

/// The maps, if the container has a new user namespace.
pub fn id_maps(spec: &Spec, namespaces: &Namespaces, host: &Host) -> Option<IdMaps> {
    if namespaces.new & kind::USER == 0 {
        return None;
    }
    let linux = spec.linux().as_ref()?;
    Some(IdMaps {
        uids: lines(linux.uid_mappings().as_deref().unwrap_or(&[])),
        gids: lines(linux.gid_mappings().as_deref().unwrap_or(&[])),
        deny_setgroups: !may_set_groups(host),
    })
}

/// Whether processes of the user namespace keep the right to set groups.
pub fn may_set_groups(host: &Host) -> bool {
    host.euid == 0 && !host.in_userns || host.privileged
}

fn lines(mappings: &[LinuxIdMapping]) -> String {
    let line = |map: &LinuxIdMapping| format!("{} {} {}\n", map.container_id(), map.host_id(), map.size());
    mappings.iter().map(line).collect()
}
