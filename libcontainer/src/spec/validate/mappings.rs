//! `linux.uidMappings` and `linux.gidMappings`: what the kernel accepts in uid_map, and ids of the process that are mapped.

use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, Spec as Config};

use super::{Warnings, invalid, list, namespace, warning};
use crate::Result;

/// UID_GID_MAP_MAX_EXTENTS, since Linux 4.15.
const MAX_MAPPINGS: usize = 340;
/// The kernel takes a map in one write of less than a page.
const MAX_TEXT: usize = 4096;

pub fn mappings(config: &Config, warnings: &mut Warnings) -> Result<()> {
    let linux = config.linux().as_ref();
    let uids = linux.map_or(&[][..], |linux| list(linux.uid_mappings()));
    let gids = linux.map_or(&[][..], |linux| list(linux.gid_mappings()));
    let user = namespace(config, LinuxNamespaceType::User);
    let joined = user.is_some_and(|namespace| namespace.path().is_some());
    for (mappings, key) in [(uids, "uidMappings"), (gids, "gidMappings")] {
        let pointer = format!("/linux/{key}");
        if user.is_none() && !mappings.is_empty() {
            return Err(invalid(pointer, format!("{key} without a user namespace")));
        }
        if user.is_some() && !joined && mappings.is_empty() {
            let message =
                "user namespaces enabled, but no namespace path to join nor mappings to apply specified";
            return Err(invalid(pointer, message));
        }
        check(mappings, &pointer)?;
        if joined && !mappings.is_empty() {
            let message = format!("{key} are compared with those of the user namespace that is joined");
            warnings.push(warning(pointer, message));
        }
    }
    if user.is_some() { process_ids(config, uids, gids) } else { Ok(()) }
}

pub(super) fn check(mappings: &[LinuxIdMapping], pointer: &str) -> Result<()> {
    if mappings.len() > MAX_MAPPINGS {
        let message = format!("{} mappings, the kernel takes at most {MAX_MAPPINGS}", mappings.len());
        return Err(invalid(pointer, message));
    }
    for (index, mapping) in mappings.iter().enumerate() {
        let refused = |why: &str| Err(invalid(format!("{pointer}/{index}"), format!("mapping {why}")));
        if mapping.size() == 0 {
            return refused("is empty: its size is 0");
        }
        // The last id of either side is (uid_t)-1, which is no id.
        if [mapping.container_id(), mapping.host_id()]
            .iter()
            .any(|id| end(*id, mapping) > u64::from(u32::MAX))
        {
            return refused("goes beyond id 4294967294");
        }
        if mappings.iter().take(index).any(|earlier| overlap(earlier, mapping)) {
            return refused("overlaps an earlier one");
        }
    }
    if text_len(mappings) >= MAX_TEXT {
        let message =
            format!("{} mappings need {} bytes, the kernel takes 4095", mappings.len(), text_len(mappings));
        return Err(invalid(pointer, message));
    }
    Ok(())
}

/// The id after the last one.
fn end(id: u32, mapping: &LinuxIdMapping) -> u64 {
    u64::from(id) + u64::from(mapping.size())
}

fn overlap(a: &LinuxIdMapping, b: &LinuxIdMapping) -> bool {
    let meet = |x: u32, y: u32| u64::from(x) < end(y, b) && u64::from(y) < end(x, a);
    meet(a.container_id(), b.container_id()) || meet(a.host_id(), b.host_id())
}

/// The length of the map as it is written: "container host size" and a newline per mapping.
fn text_len(mappings: &[LinuxIdMapping]) -> usize {
    let digits = |id: u32| id.checked_ilog10().map_or(1, |log| log as usize + 1);
    mappings.iter().map(|m| digits(m.container_id()) + digits(m.host_id()) + digits(m.size()) + 3).sum()
}

fn process_ids(config: &Config, uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<()> {
    let Some(process) = config.process() else { return Ok(()) };
    let user = process.user();
    let groups = list(user.additional_gids()).iter().enumerate();
    let groups = groups.map(|(index, gid)| (*gid, gids, format!("additionalGids/{index}")));
    let ids = [(user.uid(), uids, "uid".to_owned()), (user.gid(), gids, "gid".to_owned())];
    for (id, mappings, key) in ids.into_iter().chain(groups) {
        // A joined namespace may have maps that the configuration does not repeat.
        let mapped = mappings.is_empty()
            || mappings.iter().any(|m| m.container_id() <= id && u64::from(id) < end(m.container_id(), m));
        if !mapped {
            let message = format!("id {id} is not mapped in the user namespace");
            return Err(invalid(format!("/process/user/{key}"), message));
        }
    }
    Ok(())
}
