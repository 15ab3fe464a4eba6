//! The bundle every runtime is given: a rootfs with one tiny static program, and the config that `spec` commands emit.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::failure::Result;

/// The program inside the rootfs.
pub const PROGRAM: &str = "/bin/tiny";

const TINY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tiny"));
// All mount points are there, so that no runtime pays for making them in the first round.
const FOLDERS: [&str; 4] = ["bin", "dev", "proc", "sys"];

/// A bundle on disk.
pub struct Bundle {
    /// Its folder.
    pub path: PathBuf,
}

impl Bundle {
    /// Writes a bundle at `path`, with a memory limit in bytes if one is given.
    pub fn write(path: &Path, memory: Option<u64>) -> Result<Bundle> {
        let bundle = Bundle { path: path.to_owned() };
        for folder in FOLDERS {
            fs::create_dir_all(bundle.rootfs().join(folder))?;
        }
        fs::write(bundle.tiny(), TINY)?;
        fs::set_permissions(bundle.tiny(), Permissions::from_mode(0o755))?;
        fs::write(path.join("config.json"), serde_json::to_vec_pretty(&config(memory))?)?;
        Ok(bundle)
    }

    /// The root filesystem.
    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// The tiny program, as the host sees it.
    pub fn tiny(&self) -> PathBuf {
        self.rootfs().join(PROGRAM.trim_start_matches('/'))
    }
}

fn config(memory: Option<u64>) -> Value {
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": process(),
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "runc",
        "mounts": mounts(),
        "linux": linux(),
    });
    if let Some(limit) = memory {
        config["linux"]["resources"]["memory"] = json!({ "limit": limit });
    }
    config
}

fn process() -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "terminal": false,
        "user": { "uid": 0, "gid": 0 },
        "args": [PROGRAM],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
        "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
        "noNewPrivileges": true,
    })
}

fn mounts() -> Value {
    json!([
        { "destination": "/proc", "type": "proc", "source": "proc" },
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]
        ),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ])
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": kind, "source": source, "options": options })
}

fn linux() -> Value {
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({ "type": kind }));
    json!({
        "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
        "namespaces": namespaces,
        "maskedPaths": [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
            "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_limit_is_the_only_difference_it_makes() {
        let mut limited = config(Some(524_288));
        assert_eq!(limited["linux"]["resources"]["memory"]["limit"], 524_288);
        limited["linux"]["resources"].as_object_mut().unwrap().remove("memory");
        assert_eq!(limited, config(None));
    }
}
