//! The file `state.json` of a container: what cannot be asked of the kernel later. Its schema only grows; unknown fields are kept out of the way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cgroup::CgroupRecord;
use crate::plan::Hooks;
use crate::resctrl::RecordedGroup;

/// The version of the schema that this release writes.
pub(crate) const SCHEMA: u32 = 1;

/// The content of `state.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// Version of the schema.
    pub schema: u32,
    /// The container's id.
    pub id: String,
    /// Init, while and after it lives; absent while `create` has not cloned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitRecord>,
    /// Whether the end of init ends every process of the container.
    #[serde(default)]
    pub own_pid_namespace: bool,
    /// There is no program: the configuration had no `process`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_program: bool,
    /// The bundle.
    pub bundle: PathBuf,
    /// The rootfs.
    pub rootfs: PathBuf,
    /// When `create` began: RFC 3339, UTC, nanoseconds.
    pub created: String,
    /// Annotations of the configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The cgroup.
    #[serde(default)]
    pub cgroup: CgroupRecord,
    /// It does without the device rules that every container gets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_default_device_rules: bool,
    /// What `start` and `delete` know of the hooks: all of `poststart` and `poststop`, of `startContainer` the paths and timeouts.
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
    /// Resctrl groups that were made for the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intel_rdt: Vec<RecordedGroup>,
    /// The mount that was put over the rootfs, in a container without a mount namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_mount: Option<MountRecord>,
}

/// A mount that no other can be mistaken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MountRecord {
    /// Its number, unique as long as the machine is up.
    pub number: u64,
    /// The boot in which it was made.
    pub boot: String,
}

/// A process that no other can be mistaken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitRecord {
    /// The pid as the creator saw it.
    pub pid: i32,
    /// The inode of its pidfd: unique as long as the machine is up (Linux 6.9); 0 before.
    #[serde(default)]
    pub inode: u64,
    /// When it started, in clock ticks since boot (`/proc/PID/stat`, field 22): for kernels without the inode.
    #[serde(default)]
    pub started: u64,
    /// The boot in which it started.
    pub boot: String,
}
