//! The features document (runtime-spec features.md): what this build can do, and nothing more. Pure, but for the filter flags that the kernel is asked
//! about.

use serde_json::{Value, json};

/// Sorted, as runc lists them: `idmap` stands elsewhere in the document, and what only crun knows is not portable. Options that are not listed go to
/// the filesystem as data.
const MOUNT_OPTIONS: &[&str] = &[
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
    "tmpcopyup",
    "unbindable",
];

const NAMESPACES: &[&str] = &["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"];

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

/// Modes of `linux.memoryPolicy`, sorted.
const MEMORY_MODES: &[&str] = &[
    "MPOL_BIND",
    "MPOL_DEFAULT",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

/// Flags of `linux.memoryPolicy`, sorted.
const MEMORY_FLAGS: &[&str] = &["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];

/// Annotations that change what the runtime does; engines must not let tenants set them.
const UNSAFE_ANNOTATIONS: &[&str] = &[
    "bundle",
    "org.criu.config",
    "org.opencontainers.runc.clone-self-exe",
    "org.systemd.property.",
    "run.oci.",
    "teu.",
];

/// The version of runc whose behaviour this is: runc asks other runtimes to say so under this name.
const RUNC: &str = "1.5.0";

/// The list for the test that holds it against the table of annotations.
#[cfg(test)]
pub(crate) fn unsafe_annotations() -> &'static [&'static str] {
    UNSAFE_ANNOTATIONS
}

/// Sorted, as all lists of this section but the flags.
const SECCOMP_ACTIONS: &[&str] = &[
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

const SECCOMP_OPERATORS: &[&str] = &[
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// Those of little-endian machines: a filter has one byte order.
const SECCOMP_ARCHS: &[&str] = &[
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];

/// Flags of filters and the bits by which the kernel is asked. One is known only together with a listener.
const SECCOMP_FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", 1),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4),
    ("SECCOMP_FILTER_FLAG_LOG", 2),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 32 | 8),
];

fn seccomp() -> Value {
    let known: Vec<_> = SECCOMP_FLAGS.iter().map(|(name, _)| *name).collect();
    let is_supported = |(_, bits): &&(&str, u32)| crate::sys::seccomp::knows_flag(*bits);
    let supported: Vec<_> = SECCOMP_FLAGS.iter().filter(is_supported).map(|(name, _)| *name).collect();
    json!({
        "enabled": true,
        "actions": SECCOMP_ACTIONS,
        "operators": SECCOMP_OPERATORS,
        "archs": SECCOMP_ARCHS,
        "knownFlags": known,
        "supportedFlags": supported,
    })
}

/// What this build can do, as a runtime-spec features document. The same on every host, but for `linux.seccomp.supportedFlags`.
pub fn features() -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.3.0",
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": MOUNT_OPTIONS,
        "linux": {
            "namespaces": NAMESPACES,
            "capabilities": CAPABILITIES,
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true },
            "seccomp": seccomp(),
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": { "enabled": true, "schemata": true, "monitoring": true },
            "memoryPolicy": { "modes": MEMORY_MODES, "flags": MEMORY_FLAGS },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": true },
        },
        "annotations": {
            "org.opencontainers.runc.checkpoint.enabled": "false",
            "org.opencontainers.runc.version": RUNC,
            "teu.version": env!("CARGO_PKG_VERSION"),
        },
        "potentiallyUnsafeConfigAnnotations": UNSAFE_ANNOTATIONS,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        CAPABILITIES, MEMORY_FLAGS, MEMORY_MODES, MOUNT_OPTIONS, NAMESPACES, SECCOMP_ACTIONS, SECCOMP_ARCHS,
        SECCOMP_OPERATORS, UNSAFE_ANNOTATIONS, features,
    };

    #[test]
    fn lists_are_sorted_and_without_duplicates() {
        for list in [
            MOUNT_OPTIONS,
            NAMESPACES,
            UNSAFE_ANNOTATIONS,
            MEMORY_MODES,
            MEMORY_FLAGS,
            SECCOMP_ACTIONS,
            SECCOMP_OPERATORS,
            SECCOMP_ARCHS,
        ] {
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
    fn mount_options_are_those_of_the_table_without_our_own() {
        let features = features();
        let options = features["mountOptions"].as_array().unwrap();
        for own in ["idmap", "ridmap", "copy-symlink", "src-nofollow", "dest-nofollow", "rsync", "acl"] {
            assert!(!options.iter().any(|option| option == own), "{own} is not for this list");
        }
        for option in options {
            let known = crate::plan::mount_options::names().any(|name| option == name);
            assert!(known, "{option} is not in the table of the planner");
        }
    }

    /// Whether validation takes a configuration with this value at this key.
    fn accepts(section: &str, key: &str, value: Value) -> bool {
        let mut config = json!({
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs"},
            "process": {"cwd": "/", "args": ["x"]},
            "linux": {"namespaces": [{"type": "mount"}, {"type": "network"}]},
        });
        match section {
            "" => config[key] = value,
            section => config[section][key] = value,
        }
        match crate::Spec::from_json("/bundle", config.to_string().as_bytes()) {
            Ok(_) => true,
            Err(error) => {
                let is_missing = error.kind() == crate::ErrorKind::Unsupported;
                assert!(is_missing, "{section} {key}: {error}");
                false
            }
        }
    }

    /// What is refused is not claimed, and what is built is: who builds it has to say so here as well.
    #[test]
    fn what_is_claimed_is_what_validation_accepts() {
        let features = features();
        let listed =
            |list: &Value, name: &str| list.as_array().is_some_and(|list| list.iter().any(|one| one == name));
        let mount = |option: &str| {
            let mut mount =
                json!({"destination": "/m", "type": "tmpfs", "source": "tmpfs", "options": [option]});
            if option == "idmap" {
                let maps = json!([{"containerID": 0, "hostID": 5, "size": 1}]);
                mount = json!({"destination": "/m", "type": "bind", "source": "/", "options": ["bind", option],
                    "uidMappings": maps, "gidMappings": maps});
            }
            accepts("", "mounts", json!([mount]))
        };
        let enabled = |part: &str| features["linux"][part]["enabled"] == true;
        let mut rows = vec![
            ("tmpcopyup", listed(&features["mountOptions"], "tmpcopyup"), mount("tmpcopyup")),
            ("idmap", features["linux"]["mountExtensions"]["idmap"]["enabled"] == true, mount("idmap")),
            ("intelRdt", enabled("intelRdt"), accepts("linux", "intelRdt", json!({}))),
            ("netDevices", enabled("netDevices"), accepts("linux", "netDevices", json!({"eth0": {}}))),
            (
                "memoryPolicy",
                features["linux"]["memoryPolicy"].is_object(),
                accepts("linux", "memoryPolicy", json!({"mode": "MPOL_LOCAL"})),
            ),
            (
                "time",
                listed(&features["linux"]["namespaces"], "time"),
                accepts("linux", "namespaces", json!([{"type": "mount"}, {"type": "time"}])),
            ),
        ];
        for kind in
            ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
        {
            let hooks = json!({ kind: [{"path": "/bin/true"}] });
            rows.push((kind, listed(&features["hooks"], kind), accepts("", "hooks", hooks)));
        }
        for (name, claimed, accepted) in rows {
            assert_eq!(claimed, accepted, "{name}");
        }
    }

    #[test]
    fn every_architecture_and_action_that_is_claimed_compiles() {
        for (list, key) in [(SECCOMP_ARCHS, "architectures"), (SECCOMP_ACTIONS, "action")] {
            for name in list {
                let action = if key == "action" { *name } else { "SCMP_ACT_ERRNO" };
                let archs = if key == "action" { "SCMP_ARCH_NATIVE" } else { *name };
                let profile = serde_json::json!({
                    "defaultAction": "SCMP_ACT_LOG", "architectures": [archs], "listenerPath": "/a",
                    "syscalls": [{ "names": ["mkdir"], "action": action }],
                });
                let profile: oci_spec::runtime::LinuxSeccomp = serde_json::from_value(profile).unwrap();
                assert!(crate::seccomp::compile(&profile, crate::seccomp::NATIVE).is_ok(), "{name}");
            }
        }
    }

    #[test]
    fn memory_policies_are_those_that_a_configuration_may_name() {
        use oci_spec::runtime::{MemoryPolicyFlagType, MemoryPolicyModeType};
        for name in super::MEMORY_MODES {
            assert!(serde_json::from_value::<MemoryPolicyModeType>((*name).into()).is_ok(), "{name}");
        }
        for name in super::MEMORY_FLAGS {
            assert!(serde_json::from_value::<MemoryPolicyFlagType>((*name).into()).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_document_has_the_types_of_the_specification() {
        let parsed: oci_spec::runtime::Features = serde_json::from_value(features()).unwrap();
        assert_eq!(parsed.oci_version_max(), "1.3.0");
    }
}
