//! The root filesystem of every container: busybox, and the directories that engines expect.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

const BUSYBOX: &str = "/bin/busybox";
const DIRECTORIES: &[&str] = &["bin", "dev", "etc", "proc", "run", "sys", "tmp", "mnt"];
const APPLETS: &[&str] = &[
    "cat", "chown", "echo", "grep", "head", "hostname", "id", "kill", "ls", "mkdir", "mount", "ps", "pwd",
    "sh", "sleep", "stty", "tail", "touch", "true", "tty", "unshare",
];

/// Makes it.
pub fn make(rootfs: &Path) -> io::Result<()> {
    for dir in DIRECTORIES {
        fs::create_dir_all(rootfs.join(dir))?;
    }
    fs::copy(BUSYBOX, rootfs.join("bin/busybox"))?;
    for applet in APPLETS {
        symlink("busybox", rootfs.join("bin").join(applet))?;
    }
    fs::write(rootfs.join("etc/plain"), "not a program\n")?;
    fs::write(rootfs.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n")?;
    fs::write(rootfs.join("etc/group"), "root:x:0:\n")
}
