//! The floor's child: from clone3 to exec. A copy of a process with one thread, so it may allocate.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::{fs, io};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, SFlag, makedev, mknod, umask};
use nix::unistd::{self, Gid, Uid, chdir, execve, pivot_root};

use super::Variant;
use crate::bundle::PROGRAM;
use crate::failure::Result;
use crate::sys;

const NONE: Option<&CStr> = None;
const SAFE: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC).union(MsFlags::MS_NODEV);

/// Source, target below the rootfs, type, flags, data; in the order of the default config.
type MountRow = (&'static CStr, &'static str, &'static CStr, MsFlags, Option<&'static CStr>);
const MOUNTS: [MountRow; 7] = [
    (c"proc", "proc", c"proc", MsFlags::empty(), None),
    (
        c"tmpfs",
        "dev",
        c"tmpfs",
        MsFlags::MS_NOSUID.union(MsFlags::MS_STRICTATIME),
        Some(c"mode=755,size=65536k"),
    ),
    (
        c"devpts",
        "dev/pts",
        c"devpts",
        MsFlags::MS_NOSUID.union(MsFlags::MS_NOEXEC),
        Some(c"newinstance,ptmxmode=0666,mode=0620,gid=5"),
    ),
    (c"shm", "dev/shm", c"tmpfs", SAFE, Some(c"mode=1777,size=65536k")),
    (c"mqueue", "dev/mqueue", c"mqueue", SAFE, None),
    (c"sysfs", "sys", c"sysfs", SAFE.union(MsFlags::MS_RDONLY), None),
    (c"cgroup", "sys/fs/cgroup", c"cgroup2", SAFE.union(MsFlags::MS_RDONLY), None),
];
const DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("pts/ptmx", "ptmx"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];
const MASKED_FILES: [&CStr; 6] = [
    c"/proc/kcore",
    c"/proc/keys",
    c"/proc/latency_stats",
    c"/proc/timer_list",
    c"/proc/timer_stats",
    c"/proc/sched_debug",
];
const MASKED_DIRECTORIES: [&CStr; 4] = [c"/proc/acpi", c"/proc/asound", c"/proc/scsi", c"/sys/firmware"];
const READONLY: [&CStr; 5] = [c"/proc/bus", c"/proc/fs", c"/proc/irq", c"/proc/sys", c"/proc/sysrq-trigger"];
/// CAP_KILL, CAP_NET_BIND_SERVICE, CAP_AUDIT_WRITE.
const CAPABILITIES: [u8; 3] = [5, 10, 29];
const FILES: u64 = 1024;

/// Becomes the container's program, as soon as it is told to by `gate` if there is one, or says why not on standard error and exits with 1.
pub fn become_container(variant: Variant, rootfs: &CStr, gate: Option<UnixStream>) -> ! {
    let Err(error) = set_up(variant, rootfs, gate);
    eprintln!("floor: {error}");
    sys::exit_now(1)
}

fn set_up(variant: Variant, rootfs: &CStr, gate: Option<UnixStream>) -> Result<Infallible> {
    let full = variant != Variant::Plain;
    if full {
        unistd::setsid()?;
        sys::join_session_keyring(c"_ses.floor")?;
        umask(Mode::empty());
    }
    mount_all(full, rootfs)?;
    devices()?;
    pivot(rootfs)?;
    if full {
        mount(NONE, c"/", NONE, MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, NONE)?;
        sys::loopback_up()?;
    }
    cover();
    unistd::sethostname("runc")?;
    if full {
        privileges()?;
        wait_at(gate)?
    } else {
        prctl::set_no_new_privs()?
    }
    let environment = [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", c"TERM=xterm"];
    let program = CString::new(PROGRAM)?;
    Ok(execve(&program, &[&program], &environment)?)
}

fn mount_all(full: bool, rootfs: &CStr) -> Result<()> {
    mount(NONE, c"/", NONE, MsFlags::MS_REC | MsFlags::MS_SLAVE, NONE)?;
    mount(Some(rootfs), rootfs, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?;
    chdir(rootfs)?;
    for (source, target, kind, flags, data) in MOUNTS.into_iter().take(if full { 7 } else { 6 }) {
        if target.starts_with("dev/") {
            fs::create_dir(target)?;
        }
        mount(Some(source), target, Some(kind), flags, data)?;
    }
    Ok(())
}

fn devices() -> Result<()> {
    for (name, major, minor) in DEVICES {
        mknod(
            format!("dev/{name}").as_str(),
            SFlag::S_IFCHR,
            Mode::from_bits_truncate(0o666),
            makedev(major, minor),
        )?;
    }
    for (target, name) in LINKS {
        symlink(target, format!("dev/{name}"))?;
    }
    Ok(())
}

fn pivot(rootfs: &CStr) -> Result<()> {
    chdir(rootfs)?;
    pivot_root(c".", c".")?;
    umount2(c".", MntFlags::MNT_DETACH)?;
    Ok(chdir(c"/")?)
}

/// Masked and readonly paths. A path that this kernel lacks is skipped, as every runtime does.
fn cover() {
    for path in MASKED_FILES {
        let _ = mount(Some(c"/dev/null"), path, NONE, MsFlags::MS_BIND, NONE);
    }
    for path in MASKED_DIRECTORIES {
        let _ = mount(Some(c"tmpfs"), path, Some(c"tmpfs"), MsFlags::MS_RDONLY, NONE);
    }
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    for path in READONLY {
        if mount(Some(path), path, NONE, bind, NONE).is_ok() {
            let _ = mount(NONE, path, NONE, bind | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, NONE);
        }
    }
}

/// Law: groups, then gid, then uid; the bounding set while CAP_SETPCAP is still there, the other sets last.
fn privileges() -> Result<()> {
    setrlimit(Resource::RLIMIT_NOFILE, FILES, FILES)?;
    prctl::set_no_new_privs()?;
    for capability in (0..64).filter(|capability| !CAPABILITIES.contains(capability)) {
        if unknown(sys::drop_bounding(capability))? {
            break;
        }
    }
    unistd::setgroups(&[])?;
    unistd::setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0))?;
    unistd::setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0))?;
    let set = CAPABILITIES.iter().fold(0, |set, capability| set | 1 << capability);
    sys::capset(set, set, 0)?;
    umask(Mode::from_bits_truncate(0o022));
    Ok(())
}

/// Closes every descriptor but the standard streams and the gate, and waits there.
fn wait_at(gate: Option<UnixStream>) -> Result<()> {
    const FIRST: u32 = 3;
    let Some(mut gate) = gate else { return Ok(sys::close_range(FIRST, u32::MAX)?) };
    let kept = u32::try_from(gate.as_raw_fd())?;
    if kept > FIRST {
        sys::close_range(FIRST, kept - 1)?;
    }
    sys::close_range(kept + 1, u32::MAX)?;
    gate.write_all(&[0])?;
    Ok(gate.read_exact(&mut [0])?)
}

/// Whether the kernel says that there is no such capability.
fn unknown(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(true),
        other => other.map(|()| false),
    }
}
