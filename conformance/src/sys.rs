//! The few kernel calls of the harness that the standard library does not offer, each as a safe function.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// How long anything that should be quick may take before it counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Opens a descriptor for a process, so that a reused pid cannot be mistaken for it.
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no wrapper exists in the standard library; the call takes two integers and touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What a process and its children wait for: the name, the call with its arguments and the kernel's stack, as far as the kernel tells.
pub fn standing(pid: i32) -> String {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let stack =
        read("stack").lines().map(|line| line.trim_start_matches("[<0>] ")).collect::<Vec<_>>().join(" < ");
    let mut text = format!("[{pid} {}: call {}; {stack}] ", read("comm").trim(), read("syscall").trim());
    for child in read(&format!("task/{pid}/children")).split_whitespace().filter_map(|pid| pid.parse().ok()) {
        text += &standing(child);
    }
    text
}

/// The pid of a child as the kernel's calls take it.
pub fn pid_of(child: &std::process::Child) -> i32 {
    // The kernel's own limit is four million.
    i32::try_from(child.id()).unwrap_or(i32::MAX)
}

/// Waits until the descriptor can be read (a pidfd: until the process ended) or the limit is over.
///
/// The limit is counted in short waits: of a machine that stands still, as a guest does when its host stops it, the clock jumps, and one wait is lost.
pub fn readable_within(fd: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    const SHORT: Duration = Duration::from_millis(250);
    let mut left = limit;
    loop {
        let wait = left.min(SHORT);
        if readable_before(fd, Instant::now() + wait)? {
            return Ok(true);
        }
        left -= wait;
        if left.is_zero() {
            return Ok(false);
        }
    }
}

fn readable_before(fd: BorrowedFd<'_>, end: Instant) -> io::Result<bool> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // Rounded up, so that a fraction of a millisecond does not become a busy loop.
        let millis = u16::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::from(millis)) {
            Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) => {}
            Ok(_) => return Ok(true),
        }
    }
}

/// The processes that have this one above them, dead ones that nobody has collected among them.
pub fn descendants() -> io::Result<Vec<i32>> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name before it may contain anything.
        let rest = stat.rsplit_once(") ").map(|(_, rest)| rest);
        let parent = rest.and_then(|rest| rest.split(' ').nth(1)).and_then(|word| word.parse::<i32>().ok());
        parents.extend(parent.map(|parent| (pid, parent)));
    }
    let mut found = vec![nix::unistd::getpid().as_raw()];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.remove(0);
    Ok(found)
}

/// Waits until the process has ended; a process that is gone already has ended.
pub fn ended_within(pid: i32, limit: Duration) -> io::Result<bool> {
    match pidfd(pid) {
        Ok(fd) => readable_within(fd.as_fd(), limit),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(true),
        Err(error) => Err(error),
    }
}

/// How a child ended: its exit status, or 128 and the signal's number. The child stays a zombie.
pub fn exit_code(pid: i32) -> io::Result<i32> {
    let id = libc::id_t::try_from(pid).map_err(io::Error::other)?;
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // Not nix's waitid: it knows no real-time signals. SAFETY: the kernel fills in `info`, which outlives the call.
    let code = unsafe { libc::waitid(libc::P_PID, id, info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT) };
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all bytes were zero before, which is a valid siginfo_t, and the call succeeded.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid fills in the fields of a child's end, si_status among them.
    let status = unsafe { info.si_status() };
    Ok(if info.si_code == libc::CLD_EXITED { status } else { 128 + status })
}

/// Collects every dead child. Only for moments in which no command of a driver is under way.
pub fn reap() {
    // An error is either the end of the children or an end by a real-time signal, whose name nix does not know.
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(status) if status.pid().is_some() => {}
            Err(nix::Error::EINVAL) => {}
            _ => return,
        }
    }
}

/// Collects one child if it is dead.
pub fn reap_one(pid: i32) {
    let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
}

/// An anonymous file: collects output without a thread that reads it.
pub fn memfd() -> io::Result<File> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    Ok(memfd_create("output", MFdFlags::MFD_CLOEXEC)?.into())
}

/// The whole content of an anonymous file, whatever its offset is.
pub fn content(file: &File) -> io::Result<String> {
    use std::os::unix::fs::FileExt;
    let mut data = vec![0; usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?];
    file.read_exact_at(&mut data, 0)?;
    Ok(String::from_utf8_lossy(&data).into_owned())
}

/// A pipe: reading end, writing end.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?)
}

/// The text of a namespace link of a process (`self` or a pid).
pub fn namespace(of: &str, kind: &str) -> io::Result<String> {
    Ok(std::fs::read_link(format!("/proc/{of}/ns/{kind}"))?.to_string_lossy().into_owned())
}

/// Mounts without data. `source` is ignored for what has none.
pub fn mount(
    source: &Path,
    target: &Path,
    kind: &str,
    flags: nix::mount::MsFlags,
    data: &str,
) -> io::Result<()> {
    Ok(nix::mount::mount(Some(source), target, Some(kind), flags, Some(data))?)
}

/// A tmpfs of the test's own in a new directory; unmounted with all that is below it when dropped.
#[derive(Debug)]
pub struct Tmpfs(pub std::path::PathBuf);

impl Tmpfs {
    /// Makes the directory and mounts on it, with flags of the mount.
    pub fn new(at: std::path::PathBuf, flags: nix::mount::MsFlags) -> io::Result<Self> {
        std::fs::create_dir_all(&at)?;
        mount(Path::new("tmpfs"), &at, "tmpfs", flags, "mode=755,size=1m")?;
        Ok(Self(at))
    }

    /// Changes its propagation.
    pub fn propagation(&self, flags: nix::mount::MsFlags) -> io::Result<()> {
        mount(Path::new("none"), &self.0, "none", flags, "")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // What is mounted below goes first: detached from its parent alone, it would stay in its peer group.
        let all = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = all.lines().filter_map(|line| line.split(' ').nth(4)).map(Path::new);
        for point in points.filter(|point| point.starts_with(&self.0)).collect::<Vec<_>>().into_iter().rev() {
            let _ = nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH);
        }
    }
}
