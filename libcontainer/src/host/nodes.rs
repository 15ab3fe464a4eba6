//! In a user namespace a configured device is the host's node, mode and owner included. Says where that is not what was asked for.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType, LinuxNamespaceType, Spec as Config};

use super::Host;

/// Warns about each device whose mode or owner cannot be given to it.
pub(crate) fn warn(config: &Config, host: &Host) {
    let Some(linux) = config.linux().as_ref().filter(|_| log::log_enabled!(log::Level::Warn)) else { return };
    let devices = linux.devices().as_deref().unwrap_or_default();
    let is_user = |kind: LinuxNamespaceType| kind == LinuxNamespaceType::User;
    let bound = host.in_userns || linux.namespaces().iter().flatten().any(|space| is_user(space.typ()));
    // Below another user namespace owners cannot be seen as they are.
    let owners = !host.in_userns;
    for (index, device) in devices.iter().enumerate().filter(|_| bound) {
        for message in differences(device, found(device.path()).as_ref(), owners) {
            log::warn!("config.json: /linux/devices/{index}: {message}");
        }
    }
}

/// Permissions, user and group of a node.
type Rights = (u32, u32, u32);

/// A node that is not there is an error later.
fn found(path: &Path) -> Option<Rights> {
    let node = std::fs::metadata(path).ok()?;
    Some((node.mode() & 0o7777, node.uid(), node.gid()))
}

fn differences(device: &LinuxDevice, found: Option<&Rights>, owners: bool) -> Vec<String> {
    let Some(&(mode, uid, gid)) = found.filter(|_| device.typ() != LinuxDeviceType::P) else {
        return Vec::new();
    };
    let asked = device.file_mode().map(|mode| mode & 0o7777);
    let mode = asked.filter(|asked| *asked != mode).map(|asked| {
        format!("fileMode {asked:04o} cannot be given to the host's node, which keeps {mode:04o}")
    });
    let differs = |(asked, has): &(Option<u32>, u32)| asked.is_some_and(|asked| asked != *has);
    let owner = owners && [(device.uid(), uid), (device.gid(), gid)].iter().any(differs);
    let owner = owner.then(|| format!("the host's node keeps its owner, {uid}:{gid} of the host"));
    mode.into_iter().chain(owner).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(device: serde_json::Value) -> Vec<String> {
        differences(&serde_json::from_value(device).unwrap(), Some(&(0o660, 0, 44)), true)
    }

    #[test]
    fn only_what_differs_is_said() {
        let device = json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 5});
        assert!(said(device.clone()).is_empty());
        let with = |key: &str, value: u32| {
            let mut device = device.clone();
            device[key] = value.into();
            said(device)
        };
        for (key, value) in [("fileMode", 0o660), ("fileMode", 0o100_660), ("uid", 0), ("gid", 44)] {
            assert!(with(key, value).is_empty(), "{key}");
        }
        assert_eq!(
            with("fileMode", 0o600),
            ["fileMode 0600 cannot be given to the host's node, which keeps 0660"]
        );
        assert_eq!(with("uid", 1), ["the host's node keeps its owner, 0:44 of the host"]);
        assert_eq!(with("gid", 0), ["the host's node keeps its owner, 0:44 of the host"]);
    }

    #[test]
    fn a_fifo_is_made_and_a_missing_node_is_not_this_chapter_s() {
        let fifo = json!({"path": "/dev/x", "type": "p", "fileMode": 0o600, "uid": 7, "gid": 7});
        assert!(said(fifo).is_empty());
        let device = json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600});
        assert!(differences(&serde_json::from_value(device).unwrap(), None, true).is_empty());
    }
}
