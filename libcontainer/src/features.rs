//! The features document (runtime-spec features.md): what this build can do, and nothing more. Pure.

use serde_json::{Value, json};

/// Sorted. Options that are not listed go to the filesystem as data.
const MOUNT_OPTIONS: &[&str] = &[
    "acl",
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noacl",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "unbindable",
];

const NAMESPACES: &[&str] = &["cgroup", "ipc", "mount", "network", "pid", "user", "uts"];

/// In the order of their numbers.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Annotations that change what the runtime does; engines must not let tenants set them.
const UNSAFE_ANNOTATIONS: &[&str] =
    &["bundle", "org.criu.config", "org.systemd.property.", "run.oci.", "teu."];

/// What this build can do, as a runtime-spec features document. The same on every host.
pub fn features() -> Value {
    let disabled = || json!({ "enabled": false });
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.3.0",
        "hooks": [],
        "mountOptions": MOUNT_OPTIONS,
        "linux": {
            "namespaces": NAMESPACES,
            "capabilities": CAPABILITIES,
            "cgroup": { "v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false },
            "seccomp": disabled(),
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": disabled(),
            "mountExtensions": { "idmap": disabled() },
            "netDevices": disabled(),
        },
        "annotations": {
            "org.opencontainers.runc.checkpoint.enabled": "false",
            "teu.version": env!("CARGO_PKG_VERSION"),
        },
        "potentiallyUnsafeConfigAnnotations": UNSAFE_ANNOTATIONS,
    })
}

#[cfg(test)]
mod tests {
    use super::{CAPABILITIES, MOUNT_OPTIONS, NAMESPACES, UNSAFE_ANNOTATIONS, features};

    #[test]
    fn lists_are_sorted_and_without_duplicates() {
        for list in [MOUNT_OPTIONS, NAMESPACES, UNSAFE_ANNOTATIONS] {
            assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "{list:?}");
        }
    }

    #[test]
    fn capabilities_are_those_that_a_configuration_may_name() {
        assert_eq!(CAPABILITIES.len(), 41);
        for name in CAPABILITIES {
            let value = serde_json::Value::from(*name);
            assert!(serde_json::from_value::<oci_spec::runtime::Capability>(value).is_ok(), "{name}");
        }
    }

    #[test]
    fn nothing_is_claimed_that_validation_refuses() {
        let features = features();
        let options = features["mountOptions"].as_array().unwrap();
        for refused in ["idmap", "ridmap", "tmpcopyup"] {
            assert!(!options.iter().any(|option| option == refused), "{refused}");
        }
        assert_eq!(features["hooks"], serde_json::json!([]));
        for part in ["seccomp", "intelRdt", "netDevices"] {
            assert_eq!(features["linux"][part]["enabled"], false, "{part}");
        }
        assert!(!NAMESPACES.contains(&"time"));
    }

    #[test]
    fn the_document_has_the_types_of_the_specification() {
        let parsed: oci_spec::runtime::Features = serde_json::from_value(features()).unwrap();
        assert_eq!(parsed.oci_version_max(), "1.3.0");
    }
}
