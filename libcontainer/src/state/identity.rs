//! Whether a recorded process is the one that has its pid now.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};

use super::format::{InitRecord, MountRecord};
use crate::sys::fs::read_small;
use crate::sys::pidfd::pidfd_open;

/// The filesystem of pidfds since Linux 6.9 ("PIDF").
const PIDFS_MAGIC: i64 = 0x5049_4446;

impl InitRecord {
    /// Records the process behind `pidfd`.
    pub fn of(pid: i32, pidfd: &OwnedFd) -> Self {
        let inode = pidfs_inode(pidfd).unwrap_or(0);
        let started = if inode == 0 { start_time(pid).unwrap_or(0) } else { 0 };
        Self { pid, inode, started, boot: boot_id().to_owned() }
    }

    /// The descriptor of the process, if it is the recorded one; a zombie counts. `None` if it is gone.
    pub fn open(&self) -> io::Result<Option<OwnedFd>> {
        let pidfd = match pidfd_open(self.pid) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL)) => {
                return Ok(None);
            }
            other => other?,
        };
        Ok(self.is(&pidfd).then_some(pidfd))
    }

    fn is(&self, pidfd: &OwnedFd) -> bool {
        let same = match self.inode {
            0 => start_time(self.pid) == Some(self.started),
            inode => pidfs_inode(pidfd) == Some(inode),
        };
        same && self.boot == boot_id()
    }
}

impl MountRecord {
    /// Records a mount of this boot.
    pub fn of(number: u64) -> Self {
        Self { number, boot: boot_id().to_owned() }
    }

    /// Its number, if it can still be there.
    pub fn number(&self) -> Option<u64> {
        (self.boot == boot_id()).then_some(self.number)
    }
}

fn pidfs_inode(pidfd: &OwnedFd) -> Option<u64> {
    let is_pidfs = fstatfs(pidfd.as_fd()).ok()?.filesystem_type() == FsType(PIDFS_MAGIC as _);
    is_pidfs.then(|| fstat(pidfd.as_fd()).ok().map(|stat| stat.st_ino)).flatten()
}

/// Field 22 of `/proc/PID/stat`; the command in field 2 may hold blanks and parentheses.
fn start_time(pid: i32) -> Option<u64> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The kernel's name for this boot: it cannot change while we live.
fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let text = read_small("/proc/sys/kernel/random/boot_id");
        text.map(|text| text.trim_end().to_owned()).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_recognised_and_another_with_its_pid_is_not() {
        let pid = std::process::id() as i32;
        let record = InitRecord::of(pid, &pidfd_open(pid).unwrap());
        assert!(record.open().unwrap().is_some());
        let impostor =
            InitRecord { inode: record.inode.wrapping_add(1), started: record.started + 1, ..record.clone() };
        assert!(impostor.open().unwrap().is_none());
        assert_eq!(MountRecord::of(7).number(), Some(7));
        assert_eq!(MountRecord { boot: "another".to_owned(), number: 7 }.number(), None);
        let earlier_boot = InitRecord { boot: "another".to_owned(), ..record };
        assert!(earlier_boot.open().unwrap().is_none());
    }
}
