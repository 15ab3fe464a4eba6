//! System calls that nix does not wrap, one function each. The only unsafe code of this crate.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::signal::SigSet;
use nix::unistd::Pid;

/// libc's own is too narrow.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: i32 = 6;
const BPF_F_ALLOW_MULTI: i32 = 2;
const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Which side of a clone is running.
pub enum Cloned {
    /// The new process.
    Child,
    /// The caller, with the new process's id.
    Parent(Pid),
}

/// Clones this process, which must have one thread, into `cgroup` with the namespace flags `flags`.
pub fn clone_into(flags: libc::c_int, cgroup: BorrowedFd<'_>) -> io::Result<Cloned> {
    // SAFETY: clone_args is plain integers, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = unsigned(flags)? | CLONE_INTO_CGROUP;
    args.exit_signal = unsigned(libc::SIGCHLD)?;
    args.cgroup = unsigned(cgroup.as_raw_fd())?;
    // clone3 has no safe wrapper. SAFETY: `args` outlives the call, and without CLONE_VM this is a fork of a process with one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    match checked(pid)? {
        0 => Ok(Cloned::Child),
        pid => Ok(Cloned::Parent(Pid::from_raw(narrow(pid)?))),
    }
}

/// Ends this process at once, without handlers: the end of a cloned child that failed.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

/// A descriptor of the process `pid`: readable once it has exited.
pub fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // pidfd_open has no safe wrapper. SAFETY: integers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    own(fd)
}

/// The next pending signal of `signals`, which are blocked, or None after `limit`.
pub fn wait_signal(signals: &SigSet, limit: Duration) -> io::Result<Option<i32>> {
    let limit = libc::timespec {
        tv_sec: limit.as_secs().try_into().map_err(io::Error::other)?,
        tv_nsec: limit.subsec_nanos().into(),
    };
    // nix has no sigtimedwait. SAFETY: both references outlive the call, and a null siginfo is allowed.
    let signal = unsafe { libc::sigtimedwait(signals.as_ref(), std::ptr::null_mut(), &raw const limit) };
    match checked(signal.into()) {
        Ok(_) => Ok(Some(signal)),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Closes every descriptor from `first` to `last`.
pub fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: only called right before exec, when no owner of those descriptors runs again.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Only small pages for this process from now on.
pub fn no_huge_pages() -> io::Result<()> {
    // SAFETY: integers only.
    checked(unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) }.into()).map(drop)
}

/// Gives this process a session keyring of its own called `name`.
pub fn join_session_keyring(name: &CStr) -> io::Result<()> {
    // keyctl has no safe wrapper. SAFETY: `name` is a C string that outlives the call.
    checked(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) }).map(drop)
}

/// Takes `capability` out of the bounding set; EINVAL beyond the last one this kernel knows.
pub fn drop_bounding(capability: u8) -> io::Result<()> {
    // SAFETY: integers only.
    let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) };
    checked(result.into()).map(drop)
}

/// Sets the effective, permitted and inheritable capabilities.
pub fn capset(effective: u64, permitted: u64, inheritable: u64) -> io::Result<()> {
    let header = [CAPABILITY_VERSION_3, 0];
    let low = |set: u64| (set & u64::from(u32::MAX)) as u32;
    let sets = [effective, permitted, inheritable];
    let [e, p, i] = sets.map(low);
    let [eh, ph, ih] = sets.map(|set| low(set >> 32));
    let data = [e, p, i, eh, ph, ih];
    // capset has no safe wrapper. SAFETY: version 3 reads a header of two words and two sets of three words.
    checked(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) }).map(drop)
}

/// Brings the loopback device of this network namespace up.
pub fn loopback_up() -> io::Result<()> {
    // SAFETY: integers only.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    let socket = own(fd.into())?;
    // SAFETY: ifreq is integers and a union of them, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, and `request` is one.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    checked(result.into()).map(drop)
}

#[repr(C)]
struct ProgramLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// Loads `instructions` as a device program of a cgroup.
pub fn load_device_program(instructions: &[u64]) -> io::Result<OwnedFd> {
    let license = c"Apache-2.0";
    let load = ProgramLoad {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(instructions.len()).map_err(io::Error::other)?,
        instructions: instructions.as_ptr().expose_provenance() as u64,
        license: license.as_ptr().expose_provenance() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    // bpf has no safe wrapper. SAFETY: `load` and what it points to outlive the call.
    own(unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of_val(&load)) })
}

/// Attaches a loaded device program to `cgroup`.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let attach = [cgroup.as_raw_fd(), program.as_raw_fd(), BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI];
    // bpf has no safe wrapper. SAFETY: `attach` outlives the call and has the size given.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, attach.as_ptr(), size_of_val(&attach)) };
    checked(result).map(drop)
}

/// Mounts come from descriptors too: the path under which the kernel shows `file`.
pub fn descriptor_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn narrow(value: libc::c_long) -> io::Result<i32> {
    i32::try_from(value).map_err(io::Error::other)
}

fn unsigned(value: i32) -> io::Result<u64> {
    u64::try_from(value).map_err(io::Error::other)
}

fn own(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = narrow(checked(result)?)?;
    // SAFETY: the kernel just made this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives the calling thread no_new_privs and a seccomp filter, an instruction a word.
pub fn load_filter(instructions: &[u64]) -> io::Result<()> {
    let length = u16::try_from(instructions.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: instructions.as_ptr().cast_mut().cast() };
    // SAFETY: plain numbers.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let mode = libc::c_long::from(libc::SECCOMP_SET_MODE_FILTER);
    // SAFETY: the kernel copies the program, which is `length` words of the size of a sock_filter.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, mode, libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A call that costs nothing but the way into the kernel.
pub fn getppid() {
    // SAFETY: it has no arguments.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

/// Asks for the personality and changes nothing.
pub fn personality() {
    // SAFETY: plain numbers.
    unsafe { libc::syscall(libc::SYS_personality, 0xffff_ffff_usize) };
}
