//! Where things are and what this caller may do: facts that every command needs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// CAP_SYS_ADMIN: without it no namespace and no mount can be made, whatever the uid says.
const CAP_SYS_ADMIN: u32 = 21;

/// The workspace, the compiler and the caller.
pub struct Project {
    /// The folder of the top level Cargo.toml.
    pub root: PathBuf,
    /// The cargo that started this program.
    pub cargo: OsString,
    /// Where cargo builds: `target`, or what CARGO_TARGET_DIR says.
    pub target: PathBuf,
    /// The caller may make containers: uid 0 with CAP_SYS_ADMIN.
    pub root_user: bool,
}

impl Project {
    /// Finds the workspace from the environment that `cargo run` gives.
    pub fn find() -> Result<Project, String> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("run this as `cargo xt`")?;
        let root = Path::new(&manifest).parent().ok_or("xtask has no parent folder")?.to_owned();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Ok(Project { root, cargo, target, root_user: may_make_containers(&status) })
    }

    /// The cached Debian root filesystem and logs. Not below CARGO_TARGET_DIR: one lab serves every target folder.
    pub fn lab(&self) -> PathBuf {
        self.root.join("target/lab")
    }

    /// The host triple of the compiler. An explicit `--target` keeps RUSTFLAGS away from build scripts.
    pub fn triple(&self) -> Result<String, String> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output =
            Command::new(rustc).arg("-vV").output().map_err(|error| format!("rustc -vV: {error}"))?;
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
            .ok_or_else(|| "rustc -vV names no host".to_owned())
    }

    /// In CI a lock file that would have to change is an error.
    pub fn locked(&self) -> &'static [&'static str] {
        if std::env::var_os("CI").is_some() { &["--locked"] } else { &[] }
    }
}

/// Reads uid and capabilities from the text of /proc/self/status.
fn may_make_containers(status: &str) -> bool {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
    let effective_uid = field("Uid:").split_whitespace().nth(1);
    let capabilities = u64::from_str_radix(field("CapEff:").trim(), 16).unwrap_or(0);
    effective_uid == Some("0") && capabilities & (1 << CAP_SYS_ADMIN) != 0
}

/// The first executable called `name` in PATH or in the sbin folders, which an ordinary user's PATH lacks.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::may_make_containers;

    #[test]
    fn uid_0_with_cap_sys_admin_may_make_containers() {
        assert!(may_make_containers("Uid:\t0\t0\t0\t0\nCapEff:\t000001fffeffffff\n"));
    }

    #[test]
    fn uid_0_without_cap_sys_admin_may_not() {
        assert!(!may_make_containers("Uid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\n"));
    }

    #[test]
    fn another_uid_may_not() {
        assert!(!may_make_containers("Uid:\t0\t1000\t0\t0\nCapEff:\t000001fffeffffff\n"));
    }
}
