//! Who owns the container's cgroup: whoever runs in it, where it can reach it (runtime-spec "Cgroup ownership"). And the
//! group below it that the annotation `run.oci.delegate-cgroup` asks for.
//!
//! Only on v2, where giving a group away is safe: the kernel lists the files that an owner may have.

use std::path::{Component, Path};

use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, Mount, Spec};

use super::invalid;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{CgroupLayout, Host};

/// The annotation that names a group for the container to manage.
pub(crate) const DELEGATE: &str = "run.oci.delegate-cgroup";
/// The annotation that names a group in the unit of systemd.
pub(crate) const SUBGROUP: &str = "run.oci.systemd.subgroup";
#[cfg(test)]
const POINTER: &str = "/annotations/run.oci.delegate-cgroup";
/// NAME_MAX.
const MAX_NAME: usize = 255;

/// A group below the container's own, which init goes on in after its cgroup namespace was made: the limits stay with the
/// group above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegate {
    /// Index of the directory above in the plan.
    pub dir: usize,
    /// Its name.
    pub name: String,
    /// Its owner, if not the caller.
    pub owner: Option<u32>,
}

/// The host's user who runs the container's program, if the container sees its cgroup as its own and may write there.
pub(super) fn owner(config: &Spec, host: &Host) -> Option<u32> {
    let mounts = config.mounts().as_deref().unwrap_or_default();
    let reaches = is_new(config, LinuxNamespaceType::Cgroup) && mounts.iter().any(is_writable_cgroup);
    let user = config.process().as_ref().map_or(0, |process| process.user().uid());
    mapped(config, user).filter(|uid| reaches && host.privileged && *uid != host.euid)
}

/// What the annotation asks for; `dir` is the cgroup2 directory, if the host has only that.
pub(super) fn delegate(config: &Spec, host: &Host, dir: Option<usize>) -> Result<Option<Delegate>> {
    let Some(name) = group(config, DELEGATE)? else { return Ok(None) };
    let dir = dir.ok_or_else(|| needs_v2(DELEGATE))?;
    let owner = mapped(config, 0).filter(|uid| host.privileged && *uid != host.euid);
    Ok(Some(Delegate { dir, name: name.clone(), owner }))
}

/// The group in the unit of systemd that the container's processes are in.
pub(super) fn subgroup(config: &Spec, host: &Host) -> Result<Option<String>> {
    let name = group(config, SUBGROUP)?;
    match (name, &host.cgroup) {
        (Some(_), CgroupLayout::V1 { .. }) => Err(needs_v2(SUBGROUP)),
        (name, _) => Ok(name.cloned()),
    }
}

/// The group that an annotation names.
fn group<'a>(config: &'a Spec, annotation: &str) -> Result<Option<&'a String>> {
    let name = config.annotations().as_ref().and_then(|annotations| annotations.get(annotation));
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    let plain = name.len() <= MAX_NAME && name != "." && name != ".." && !name.starts_with("cgroup.");
    if !plain || name.contains(|c: char| c == '/' || c.is_control()) {
        let message = format!("{annotation}: {name:?} is not a name for a cgroup");
        return Err(invalid(message, format!("/annotations/{annotation}")));
    }
    Ok(Some(name))
}

fn needs_v2(annotation: &str) -> Error {
    let message = format!("{annotation} needs the container's cgroup on a host with cgroup v2 alone");
    Error::new(ErrorKind::Unsupported, message).at(format!("/annotations/{annotation}"))
}

fn is_new(config: &Spec, typ: LinuxNamespaceType) -> bool {
    let namespaces = config.linux().as_ref().and_then(|linux| linux.namespaces().as_deref());
    namespaces.unwrap_or_default().iter().any(|one| one.typ() == typ && one.path().is_none())
}

fn is_writable_cgroup(mount: &Mount) -> bool {
    let options = mount.options().as_deref().unwrap_or_default();
    let last = options.iter().rev().find(|option| ["ro", "rw"].contains(&option.as_str()));
    let parts = |path: &Path| {
        path.components()
            .filter(|part| *part != Component::CurDir)
            .map(|part| part.as_os_str().to_owned())
            .collect()
    };
    let at: Vec<_> = parts(mount.destination());
    let wanted: Vec<_> = parts(Path::new("/sys/fs/cgroup"));
    let from = mount.source().as_ref().is_some_and(|source| source.as_os_str() == "cgroup");
    from && at == wanted && last.is_none_or(|option| option != "ro")
}

/// A user of the container as the host numbers it; `None` if it is not known here: a joined namespace has its own maps.
fn mapped(config: &Spec, user: u32) -> Option<u32> {
    if is_new(config, LinuxNamespaceType::User) {
        let mappings = config.linux().as_ref().and_then(|linux| linux.uid_mappings().as_deref());
        let inside = |map: &&LinuxIdMapping| {
            user.checked_sub(map.container_id()).is_some_and(|offset| offset < map.size())
        };
        let map = mappings.unwrap_or_default().iter().find(inside)?;
        return map.host_id().checked_add(user - map.container_id());
    }
    let namespaces = config.linux().as_ref().and_then(|linux| linux.namespaces().as_deref());
    let joins = namespaces.unwrap_or_default().iter().any(|one| one.typ() == LinuxNamespaceType::User);
    (!joins).then_some(user)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::cgroup::tests::v2_host as host;

    fn config(change: impl FnOnce(&mut Value)) -> Spec {
        let mut document = json!({
            "ociVersion": "1.3.0",
            "process": {"cwd": "/", "args": ["x"], "user": {"uid": 5, "gid": 0}},
            "mounts": [{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid"]}],
            "linux": {
                "namespaces": [{"type": "cgroup"}, {"type": "user"}],
                "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 3}, {"containerID": 3, "hostID": 2000, "size": 9}]
            }
        });
        change(&mut document);
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn the_user_of_the_program_owns_what_it_can_reach() {
        let owner = |change: fn(&mut Value)| owner(&config(change), &host());
        assert_eq!(owner(|_| {}), Some(2002));
        assert_eq!(owner(|c| c["process"]["user"]["uid"] = json!(2)), Some(1002));
        assert_eq!(owner(|c| c["process"]["user"]["uid"] = json!(12)), None, "not mapped");
        assert_eq!(owner(|c| c["linux"]["namespaces"] = json!([{"type": "user"}])), None);
        assert_eq!(owner(|c| c["linux"]["namespaces"][0]["path"] = json!("/x")), None, "joined");
        assert_eq!(owner(|c| c["linux"]["namespaces"][1]["path"] = json!("/x")), None, "unknown maps");
        assert_eq!(owner(|c| c["linux"]["namespaces"] = json!([{"type": "cgroup"}])), Some(5));
        for (options, owned) in [
            (json!(["ro"]), false),
            (json!(["ro", "rw"]), true),
            (json!(["rw", "ro"]), false),
            (json!([]), true),
        ] {
            let config = config(|c| c["mounts"][0]["options"] = options.clone());
            assert_eq!(super::owner(&config, &host()).is_some(), owned, "{options}");
        }
        assert_eq!(owner(|c| c["mounts"][0]["destination"] = json!("/sys/fs/cgroup/")), Some(2002));
        assert_eq!(owner(|c| c["mounts"][0]["destination"] = json!("/cgroup")), None);
        assert_eq!(owner(|c| c["mounts"][0]["source"] = json!("/sys/fs/cgroup")), None);
        assert_eq!(super::owner(&config(|_| {}), &Host { privileged: false, ..host() }), None);
        assert_eq!(super::owner(&config(|_| {}), &Host { euid: 2002, ..host() }), None, "it is the caller");
    }

    #[test]
    fn a_delegated_group_has_a_plain_name_and_the_namespace_s_root_for_owner() {
        let delegate = |name: &str, dir| {
            let config = config(|c| c["annotations"] = json!({ DELEGATE: name }));
            delegate(&config, &host(), dir)
        };
        let expected = Delegate { dir: 0, name: "init".into(), owner: Some(1000) };
        assert_eq!(delegate("init", Some(0)).unwrap(), Some(expected));
        assert_eq!(delegate("", Some(0)).unwrap(), None);
        for name in ["..", ".", "a/b", "/a", "a\nb", "cgroup.procs", &"x".repeat(256)] {
            let error = delegate(name, Some(0)).unwrap_err();
            assert_eq!((error.kind(), error.pointer()), (ErrorKind::InvalidSpec, Some(POINTER)), "{name}");
        }
        assert_eq!(delegate("init", None).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_group_in_a_unit_has_a_plain_name_and_is_one_of_v2() {
        let subgroup = |name: &str, host: &Host| {
            subgroup(&config(|c| c["annotations"] = json!({ SUBGROUP: name })), host)
        };
        assert_eq!(subgroup("payload", &host()).unwrap().as_deref(), Some("payload"));
        assert_eq!(subgroup("", &host()).unwrap(), None);
        for name in ["..", "a/b", "cgroup.procs", "a\nb"] {
            let error = subgroup(name, &host()).unwrap_err();
            assert_eq!(error.pointer(), Some("/annotations/run.oci.systemd.subgroup"), "{name}");
        }
        let hierarchies = Vec::new();
        let v1 = CgroupLayout::V1 { root: "/sys/fs/cgroup".into(), hierarchies, unified: None };
        let error = subgroup("payload", &Host { cgroup: v1, ..host() }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
