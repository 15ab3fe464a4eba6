//! The sandbox: namespaces of its own around everything that engines do. Processes end with the process namespace, mounts with the mount
//! namespace, there is no network but the loopback, and every cgroup lies below one directory. The filesystem is the Debian root with the
//! engines, read-only; what they write lands on filesystems in memory.

mod cgroups;
mod root;

use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};

pub use cgroups::Cgroups;
pub use root::{HOME, RECORD, enter};

/// Runs this program again, inside.
pub fn run(arguments: &[std::ffi::OsString]) -> io::Result<ExitStatus> {
    let cgroups = Cgroups::make(&format!("teu-engines-{}", std::process::id()))?;
    let status = cgroups.around(|| {
        Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--net", "--ipc", "--uts", "--cgroup"])
            .args(["--kill-child", "--propagation", "private"])
            .arg(std::env::current_exe()?)
            .arg("--inside")
            .args(arguments)
            .status()
    });
    // The processes are gone with their namespace; directories of a run that was cut short are not.
    cgroups.remove()?;
    status
}

/// Where the hierarchies of cgroups are mounted.
pub const CGROUPS: &str = "/sys/fs/cgroup";

/// The text of a file of /proc.
fn proc(path: &str) -> io::Result<String> {
    std::fs::read_to_string(Path::new("/proc/self").join(path))
}
