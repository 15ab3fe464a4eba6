//! `linux.uidMappings` and `linux.gidMappings`: the lines for `/proc/PID/uid_map` and `gid_map`; and the ids of mapped mounts.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxIdMapping, Mount, Spec};

use super::Subject;
use super::mount_options::MountOptions;
use super::namespaces::{Namespaces, kind};
use crate::host::Host;
use crate::{Error, ErrorKind, Result};

/// The maps of a new user namespace, written by the caller while init waits. Those of a joined one are compared instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMaps {
    /// The content of `uid_map`.
    pub uids: String,
    /// The content of `gid_map`.
    pub gids: String,
    /// Whether the namespace is joined: it has maps, and they must be these. An empty map is not compared.
    pub joined: bool,
    /// Whether the namespace must give up `setgroups` first: a caller without privilege may map its group only then.
    pub deny_setgroups: bool,
}

/// The maps, if the container has a new user namespace or names those of a joined one.
pub fn id_maps(spec: &Spec, namespaces: &Namespaces, host: &Host) -> Option<IdMaps> {
    pointer(spec, namespaces)?;
    let linux = spec.linux().as_ref()?;
    let joined = namespaces.joins(kind::USER);
    Some(IdMaps {
        uids: lines(linux.uid_mappings().as_deref().unwrap_or(&[])),
        gids: lines(linux.gid_mappings().as_deref().unwrap_or(&[])),
        joined,
        deny_setgroups: !joined && !host.sets_groups,
    })
}

/// The place of the maps that init waits for.
pub fn pointer(spec: &Spec, namespaces: &Namespaces) -> Option<&'static str> {
    let linux = spec.linux().as_ref()?;
    let given = |maps: &Option<Vec<LinuxIdMapping>>| maps.as_ref().is_some_and(|maps| !maps.is_empty());
    match (given(linux.uid_mappings()), given(linux.gid_mappings())) {
        _ if namespaces.new & kind::USER != 0 => Some("/linux/uidMappings"),
        _ if !namespaces.joins(kind::USER) => None,
        (true, _) => Some("/linux/uidMappings"),
        (false, true) => Some("/linux/gidMappings"),
        (false, false) => None,
    }
}

fn lines(mappings: &[LinuxIdMapping]) -> String {
    let line = |map: &LinuxIdMapping| format!("{} {} {}\n", map.container_id(), map.host_id(), map.size());
    mappings.iter().map(line).collect()
}

/// Whose ids a mapped mount has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountIds {
    /// Those of a user namespace with these maps, made for it: ids of the filesystem, ids that the mount shows, and how many.
    Maps {
        /// The content of `uid_map`.
        uids: String,
        /// The content of `gid_map`.
        gids: String,
    },
    /// Those of a user namespace that exists.
    Namespace(PathBuf),
}

/// What is known of the ids of one mount entry.
pub(super) struct Mapped<'a, 'b> {
    pub subject: &'b Subject<'a>,
    pub mount: &'b Mount,
    pub options: &'b MountOptions<'b>,
    pub pointer: &'b str,
}

impl Mapped<'_, '_> {
    /// The ids, and whether what is mounted below has them too; `None` for a mount that is not mapped.
    pub fn ids(&self) -> Result<Option<(MountIds, bool)>> {
        let own = |mappings: &Option<Vec<LinuxIdMapping>>| mappings.as_ref().is_some_and(|m| !m.is_empty());
        let listed = own(self.mount.uid_mappings()) || own(self.mount.gid_mappings());
        let Some(recursive) = self.options.extras.mapped.or(listed.then_some(false)) else { return Ok(None) };
        if !self.subject.host.privileged || self.subject.host.euid != 0 {
            let message = "id-mapped mounts are not supported for rootless containers";
            return Err(Error::new(ErrorKind::Unsupported, message).at(self.pointer));
        }
        let ids = match self.options.mappings {
            Some(text) => self.written(text)?,
            None if listed => {
                let lines = |m: &Option<Vec<LinuxIdMapping>>| lines(m.as_deref().unwrap_or(&[]));
                MountIds::Maps {
                    uids: lines(self.mount.uid_mappings()),
                    gids: lines(self.mount.gid_mappings()),
                }
            }
            None => self.container()?,
        };
        Ok(Some((ids, recursive)))
    }

    /// The ids of the container's own user namespace.
    fn container(&self) -> Result<MountIds> {
        let namespaces = self.subject.namespaces;
        if let Some(joined) = namespaces.joined.iter().find(|joined| joined.kind == kind::USER) {
            return Ok(MountIds::Namespace(joined.path.clone()));
        }
        match id_maps(self.subject.config, namespaces, self.subject.host) {
            // That namespace does not exist yet; another one with the same maps does the same.
            Some(IdMaps { uids, gids, .. }) => Ok(MountIds::Maps { uids, gids }),
            None => Err(self.invalid("id-mapped mounts must have both uid and gid mappings specified")),
        }
    }

    /// The form of crun: `uids=0-1000-1#1-2000-9;gids=@0-0-10`.
    fn written(&self, text: &str) -> Result<MountIds> {
        let linux = self.subject.config.linux().as_ref();
        let (mut uids, mut gids) = (String::new(), String::new());
        for part in text.split(';') {
            let (place, maps, own) = match part.split_once('=') {
                Some(("uids", maps)) => (&mut uids, maps, linux.and_then(|l| l.uid_mappings().as_deref())),
                Some(("gids", maps)) => (&mut gids, maps, linux.and_then(|l| l.gid_mappings().as_deref())),
                _ => return Err(self.invalid(&format!("invalid mapping specified {part:?}"))),
            };
            for map in maps.split('#').filter(|map| !map.is_empty()) {
                place.push_str(&self.line(map, own.unwrap_or(&[]))?);
            }
        }
        if uids.is_empty() || gids.is_empty() {
            return Err(self.invalid("id-mapped mounts must have both uid and gid mappings specified"));
        }
        Ok(MountIds::Maps { uids, gids })
    }

    /// One mapping: id of the filesystem, id of the host (after `@` of the container), size.
    fn line(&self, map: &str, own: &[LinuxIdMapping]) -> Result<String> {
        let (map, relative) = map.strip_prefix('@').map_or((map, false), |map| (map, true));
        let invalid = || self.invalid(&format!("invalid mapping specified {map:?}"));
        let number = |text: &str| text.parse::<u32>().map_err(|_| invalid());
        let [inside, outside, size] = map.split('-').collect::<Vec<_>>()[..] else { return Err(invalid()) };
        let (inside, mut outside, size) = (number(inside)?, number(outside)?, number(size)?);
        let end = |id: u32| id.checked_add(size).filter(|_| size != 0);
        if end(inside).is_none() || end(outside).is_none() {
            return Err(invalid());
        }
        if relative {
            let place = own.iter().find(|m| {
                outside
                    .checked_sub(m.container_id())
                    .is_some_and(|offset| u64::from(offset) + u64::from(size) <= u64::from(m.size()))
            });
            let place = place.ok_or_else(|| {
                self.invalid(&format!(
                    "could not find a user namespace mapping for the relative mapping {map:?}"
                ))
            })?;
            outside = outside - place.container_id() + place.host_id();
        }
        Ok(format!("{inside} {outside} {size}\n"))
    }

    fn invalid(&self, message: &str) -> Error {
        Error::new(ErrorKind::InvalidSpec, message).at(format!("{}/options", self.pointer))
    }
}
