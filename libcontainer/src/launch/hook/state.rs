//! What a hook reads on its standard input.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::Stage;
use crate::state::OCI_VERSION;
use crate::{Error, ErrorKind, Result};

/// The state of the specification, in its order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HookState<'a> {
    oci_version: &'a str,
    id: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "is_none")]
    pid: i32,
    bundle: &'a Path,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

/// A container without a process has no pid.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_none(pid: &i32) -> bool {
    *pid == 0
}

impl Stage<'_> {
    /// The state as JSON.
    pub(super) fn text(&self) -> Result<Vec<u8>> {
        let state = HookState {
            oci_version: OCI_VERSION,
            id: &self.record.id,
            status: self.status.as_str(),
            pid: self.pid,
            bundle: &self.record.bundle,
            annotations: &self.record.annotations,
        };
        serde_json::to_vec(&state).map_err(|error| Error::new(ErrorKind::Internal, format!("state: {error}")))
    }
}

/// Init's pid in its own pid namespace, which is what hooks in the container see.
pub(crate) fn pid_inside(pid: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    innermost(&status).unwrap_or(pid)
}

/// The last of the pids, from the namespace of the reader's procfs to the process's own.
fn innermost(status: &str) -> Option<i32> {
    status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::innermost;

    #[test]
    fn the_pid_of_the_innermost_namespace_is_the_last() {
        assert_eq!(innermost("Name:\tx\nNSpid:\t4711\t12\t1\nNSpgid:\t3\n"), Some(1));
        assert_eq!(innermost("NSpid:\t4711\n"), Some(4711));
        assert_eq!(innermost("Name:\tx\n"), None);
    }
}
