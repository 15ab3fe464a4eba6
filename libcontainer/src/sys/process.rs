//! Processes: waiting by descriptor, what the kernel remembers of an exit, limits, and a signal mask that is really full.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::Padded;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// Lets the kernel keep how the children of this process end, also if its own caller made it ignore SIGCHLD: before Linux 6.15 nobody could ask any more.
///
/// For programs. A library leaves the signals of its host alone, and a host that ignores SIGCHLD is told of no exit by an older kernel.
pub fn keep_exit_statuses() {
    // SAFETY: the default disposition needs no handler, and no other thread of a program waits for this signal.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Reaps a child by its descriptor, whatever signal it was to send. Does not wait: the caller polls first.
///
/// # Errors
/// ECHILD if it is no child of this process, or somebody else has reaped it.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> io::Result<Option<Ended>> {
    // SAFETY: an all-zero siginfo_t is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let id = pidfd.as_raw_fd() as libc::id_t;
    // SAFETY: `info` is borrowed for writing.
    let result =
        unsafe { libc::waitid(libc::P_PIDFD, id, &mut info, libc::WEXITED | libc::WNOHANG | libc::__WALL) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: waitid filled in the fields of a child, or left zeros.
    let pid = unsafe { info.si_pid() };
    // SAFETY: the same.
    let status = unsafe { info.si_status() };
    let ended = if info.si_code == libc::CLD_EXITED { Ended::Code(status) } else { Ended::Signal(status) };
    Ok((pid != 0).then_some(ended))
}

/// Asks a descriptor for the exit of its process, which the kernel keeps also when somebody else has reaped it (Linux 6.15).
pub(crate) fn exit_information(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    const INFO_EXIT: u64 = 1 << 3;
    const EXIT_CODE: usize = 60;
    const SIZE: usize = 64;
    // _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info) of 64 bytes.
    const PIDFD_GET_INFO: libc::Ioctl = (3 << 30) | ((SIZE as libc::Ioctl) << 16) | (0xff << 8) | 11;
    let mut info = Padded::new();
    info.put(0, &INFO_EXIT.to_ne_bytes());
    // SAFETY: the request writes a struct of 64 bytes into the 256 that `info` has.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, info.as_mut_ptr()) };
    info.check();
    if result != 0 || info.get_u64(0)? & INFO_EXIT == 0 {
        return None;
    }
    let status = info.get_u32(EXIT_CODE)? as i32;
    Some(if libc::WIFSIGNALED(status) {
        Ended::Signal(libc::WTERMSIG(status))
    } else {
        Ended::Code(libc::WEXITSTATUS(status))
    })
}

/// Sets a limit of another process.
pub(crate) fn set_limit(pid: i32, resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the limit is borrowed; the old one is not asked for.
    let result = unsafe { libc::prlimit64(pid, resource as _, &limit, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The processors of the calling thread, seen from the one on which it runs.
#[derive(Debug)]
pub(crate) struct Processors {
    here: u32,
    all: libc::cpu_set_t,
    others: libc::cpu_set_t,
}

impl Processors {
    /// Those on which the calling thread may run. `None` if there is only one.
    pub(crate) fn of_thread() -> Option<Self> {
        // SAFETY: an all-zero cpu_set_t is a valid value.
        let mut all: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is borrowed for writing with its size.
        let got = unsafe { libc::sched_getaffinity(0, size_of_val(&all), &mut all) };
        // SAFETY: takes no pointer.
        let here = u32::try_from(unsafe { libc::sched_getcpu() }).ok()?;
        if got != 0 || here >= libc::CPU_SETSIZE as u32 {
            return None;
        }
        let mut others = all;
        // SAFETY: `here` is below the number of bits in the set.
        unsafe { libc::CPU_CLR(here as usize, &mut others) };
        // SAFETY: the set is borrowed.
        let left = unsafe { libc::CPU_COUNT(&others) };
        (left > 0).then_some(Self { here, all, others })
    }

    /// Moves a process that waits to run to another processor, at once, and lets it run everywhere afterwards: should that one be busy, it may come back.
    pub(crate) fn move_away(&self, pid: i32) {
        for set in [&self.others, &self.all] {
            // SAFETY: the set is borrowed with its size.
            unsafe { libc::sched_setaffinity(pid, size_of_val(set), set) };
        }
    }

    /// The number of the processor on which the thread ran.
    pub(crate) fn here(&self) -> u32 {
        self.here
    }

    /// The mask of the others.
    pub(crate) fn others(&self) -> &[u8] {
        // SAFETY: a cpu_set_t is an array of integers, borrowed with its size.
        unsafe { std::slice::from_raw_parts((&raw const self.others).cast(), size_of_val(&self.others)) }
    }
}

/// Sleeps while `word`, which another process changes, is `value`; `timeout` at most, and perhaps less.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32, timeout: Duration) {
    let seconds = timeout.as_secs().try_into().unwrap_or(i64::MAX);
    let timeout = libc::timespec { tv_sec: seconds, tv_nsec: timeout.subsec_nanos().into() };
    // SAFETY: word and time are borrowed; the kernel only reads them.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, &raw const timeout) };
}

/// Every signal of the calling thread blocked, also those that libc keeps for itself; dropping it sets the old mask.
pub(crate) struct BlockedSignals(u64);

impl BlockedSignals {
    /// Blocks them.
    pub(crate) fn new() -> Self {
        let mut old = 0;
        set_mask(&u64::MAX, &mut old);
        Self(old)
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        set_mask(&self.0, &mut 0);
    }
}

fn set_mask(new: &u64, old: &mut u64) {
    // libc's own function leaves out the signals with which it talks to threads. SAFETY: both sets are eight bytes, as the length says.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            std::ptr::from_ref(new),
            std::ptr::from_mut(old),
            size_of::<u64>(),
        )
    };
    debug_assert_eq!(result, 0);
}
