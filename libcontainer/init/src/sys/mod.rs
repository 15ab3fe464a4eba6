//! The system calls of init: one wrapper each, no libc, no errno in thread storage. The only module that talks to the kernel.
//!
//! Pointers come from references that live through the call; lengths come with them. That is what every SAFETY line below means by "borrowed".

#![allow(missing_docs)] // each is the system call of its name
use crate::abi::{CloneArgs, EINTR, EINVAL, MsgHdr, OpenHow, SA_RESTORER, SchedAttr, Statx};
use core::ffi::CStr;
use core::sync::atomic::AtomicU32;

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod arch;
#[cfg(target_arch = "riscv64")]
#[path = "riscv64.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod arch;
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
mod generic;

pub mod child;
mod files;
mod mounts;
mod processors;
mod terminal;
pub use files::{fchmodat, getdents, sendfile};
pub use mounts::{
    fsconfig, fsmount, fsopen, fspick, mount_data, mount_flags, mount_setattr, move_mount, open_tree, umount,
};
pub use processors::{processor, reset_affinity, set_affinity};
pub use terminal::{pty_number, pty_peer, set_controlling_terminal, set_window_size, unlock_pty};

use arch::{nr, syscall};

/// Numbers that are the same everywhere.
mod common {
    pub const OPEN_TREE: usize = 428;
    pub const MOVE_MOUNT: usize = 429;
    pub const FSOPEN: usize = 430;
    pub const FSCONFIG: usize = 431;
    pub const FSMOUNT: usize = 432;
    pub const FSPICK: usize = 433;
    pub const CLONE3: usize = 435;
    pub const CLOSE_RANGE: usize = 436;
    pub const OPENAT2: usize = 437;
    pub const FACCESSAT2: usize = 439;
    pub const MOUNT_SETATTR: usize = 442;
}

/// A positive errno.
pub type Errno = i32;
/// What a system call returns.
pub type Result<T> = core::result::Result<T, Errno>;

/// A descriptor. Closing is explicit: init closes what it opened, and `exec` closes the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fd(pub i32);

impl Fd {
    /// The working directory in the `*at` calls.
    pub const CWD: Self = Self(crate::abi::AT_FDCWD);
    /// No descriptor; every call on it fails with EBADF.
    pub const NONE: Self = Self(-1);

    fn arg(self) -> usize {
        self.0 as isize as usize
    }

    /// Closes the descriptor.
    pub fn close(self) {
        if self != Self::NONE {
            // SAFETY: takes no pointer. Init owns every descriptor of its process.
            let _ = unsafe { syscall(nr::CLOSE, [self.arg(), 0, 0, 0, 0, 0]) };
        }
    }
}

fn check(result: isize) -> Result<usize> {
    if (-4095..0).contains(&result) { Err(-result as Errno) } else { Ok(result as usize) }
}

fn fd(result: isize) -> Result<Fd> {
    check(result).map(|number| Fd(number as i32))
}

fn done(result: isize) -> Result<()> {
    check(result).map(drop)
}

fn text(path: &CStr) -> usize {
    path.as_ptr() as usize
}

fn at<T>(value: &T) -> usize {
    core::ptr::from_ref(value) as usize
}

fn at_mut<T>(value: &mut T) -> usize {
    core::ptr::from_mut(value) as usize
}

/// Ends the process. Where a filter refuses that, by an instruction that no program survives.
pub fn exit(code: i32) -> ! {
    for number in [nr::EXIT_GROUP, nr::EXIT] {
        // SAFETY: takes no pointer.
        let _ = unsafe { syscall(number, [code as usize, 0, 0, 0, 0, 0]) };
    }
    arch::trap()
}

pub fn read(from: Fd, buffer: &mut [u8]) -> Result<usize> {
    loop {
        // SAFETY: the buffer is borrowed for writing with its length.
        match check(unsafe {
            syscall(nr::READ, [from.arg(), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0])
        }) {
            Err(EINTR) => {}
            other => return other,
        }
    }
}

pub fn sendmsg(socket: Fd, message: &MsgHdr, flags: u32) -> Result<usize> {
    // SAFETY: `message` and what it points to are borrowed by the one caller, wire code in `talk`.
    check(unsafe { syscall(nr::SENDMSG, [socket.arg(), at(message), flags as usize, 0, 0, 0]) })
}

pub fn recvmsg(socket: Fd, message: &mut MsgHdr, flags: u32) -> Result<usize> {
    loop {
        // SAFETY: `message` and what it points to are borrowed for writing by the one caller, wire code in `talk`.
        match check(unsafe { syscall(nr::RECVMSG, [socket.arg(), at_mut(message), flags as usize, 0, 0, 0]) })
        {
            Err(EINTR) => {}
            other => return other,
        }
    }
}

/// Maps `len` bytes of `file`, shared and writable, for the rest of the process. The other holder of the file, the caller, only reads its progress word.
pub fn map_shared(file: Fd, len: usize) -> Result<&'static mut [u8]> {
    if statx(file, c"", crate::abi::AT_EMPTY_PATH)?.size < len as u64 {
        return Err(EINVAL); // touching memory behind the end of the file would kill us
    }
    let flags = crate::abi::MAP_SHARED as usize;
    let protection = (crate::abi::PROT_READ | crate::abi::PROT_WRITE) as usize;
    // SAFETY: without MAP_FIXED the kernel picks a free range; nothing that exists is touched.
    let address = check(unsafe { syscall(nr::MMAP, [0, len, protection, flags, file.arg(), 0]) })?;
    // SAFETY: the kernel just mapped `len` bytes there, readable and writable, and nothing unmaps them.
    Ok(unsafe { core::slice::from_raw_parts_mut(address as *mut u8, len) })
}

/// Four aligned bytes as an atomic, for the word that another process reads.
pub fn atomic(bytes: &mut [u8]) -> Option<&AtomicU32> {
    let place = bytes.as_mut_ptr().cast::<u32>();
    if bytes.len() != 4 || !place.is_aligned() {
        return None;
    }
    // SAFETY: four bytes, aligned, borrowed for writing as long as the result lives.
    Some(unsafe { AtomicU32::from_ptr(place) })
}

pub fn signal_default(signal: u32) -> Result<()> {
    // struct sigaction of the kernel, all zero: SIG_DFL, no flags, empty mask.
    let action = [0usize; 4];
    // SAFETY: the action is borrowed and has the kernel's size; the old one is not asked for.
    done(unsafe { syscall(nr::RT_SIGACTION, [signal as usize, at(&action), 0, 8, 0, 0]) })
}

/// Lets a signal end the process even where nothing but a handler does: in the first process of a pid namespace.
pub fn signal_ends(signal: u32) -> Result<()> {
    let handler = end as extern "C" fn(u32) -> ! as usize;
    // The kernel of x86 wants to be told what comes after a handler. After this one nothing does.
    let flags = if cfg!(target_arch = "x86_64") { SA_RESTORER } else { 0 };
    let restorer = if flags == 0 { 0 } else { handler };
    let action = [handler, flags, restorer, 0];
    // SAFETY: the action is borrowed and has the kernel's size; its handler touches no memory and does not return.
    done(unsafe { syscall(nr::RT_SIGACTION, [signal as usize, at(&action), 0, 8, 0, 0]) })
}

extern "C" fn end(signal: u32) -> ! {
    exit(128 + signal as i32)
}

pub fn unblock_signals() -> Result<()> {
    let empty = 0u64;
    // SAFETY: the set is borrowed and eight bytes long, as the length says.
    done(unsafe { syscall(nr::RT_SIGPROCMASK, [crate::abi::SIG_SETMASK as usize, at(&empty), 0, 8, 0, 0]) })
}

/// `struct ifreq` with its flags.
#[repr(C)]
struct InterfaceFlags {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Brings a network interface up.
pub fn interface_up(socket: Fd, name: &[u8; 16]) -> Result<()> {
    let request = InterfaceFlags { name: *name, flags: crate::abi::IFF_UP, rest: [0; 22] };
    // SAFETY: SIOCSIFFLAGS reads a struct ifreq of 40 bytes, which this is.
    done(unsafe {
        syscall(nr::IOCTL, [socket.arg(), crate::abi::SIOCSIFFLAGS as usize, at(&request), 0, 0, 0])
    })
}

pub fn socket(domain: u32, kind: u32) -> Result<Fd> {
    // SAFETY: takes no pointer.
    fd(unsafe { syscall(nr::SOCKET, [domain as usize, kind as usize, 0, 0, 0, 0]) })
}

/// Executes `path`; returns only an errno. `room` holds the pointer arrays.
pub fn execve<'a>(
    path: &CStr,
    room: &mut [u8],
    args: impl Iterator<Item = &'a CStr>,
    env: impl Iterator<Item = &'a CStr>,
) -> Errno {
    let Some([args, env]) = pointers(room, args, env) else { return crate::abi::E2BIG };
    // SAFETY: both arrays were just written: addresses of borrowed NUL-ended strings and a NULL at the end.
    let result = unsafe { syscall(nr::EXECVE, [text(path), args, env, 0, 0, 0]) };
    check(result).err().unwrap_or(EINVAL)
}

/// The same with an open file.
pub fn execve_file<'a>(
    file: Fd,
    room: &mut [u8],
    args: impl Iterator<Item = &'a CStr>,
    env: impl Iterator<Item = &'a CStr>,
) -> Errno {
    let Some([args, env]) = pointers(room, args, env) else { return crate::abi::E2BIG };
    // SAFETY: both arrays were just written: addresses of borrowed NUL-ended strings and a NULL at the end.
    unsafe { execveat(file, args, env) }
}

/// Writes the two NULL-ended arrays of pointers; their addresses, or `None` if the room is too small.
fn pointers<'a>(
    room: &mut [u8],
    args: impl Iterator<Item = &'a CStr>,
    env: impl Iterator<Item = &'a CStr>,
) -> Option<[usize; 2]> {
    let start = room.as_ptr() as usize;
    let mut places = room.chunks_exact_mut(size_of::<usize>());
    let mut put = |address: usize| places.next().map(|place| place.copy_from_slice(&address.to_ne_bytes()));
    let mut count = 0;
    for address in args.map(text).chain([0]) {
        count += 1;
        put(address)?;
    }
    for address in env.map(text).chain([0]) {
        put(address)?;
    }
    Some([start, start + count * size_of::<usize>()])
}

/// Executes an open file; returns only an errno.
///
/// # Safety
/// `args` and `env` must be NULL-ended arrays of pointers to NUL-ended strings, all alive.
pub unsafe fn execveat(file: Fd, args: usize, env: usize) -> Errno {
    let flags = crate::abi::AT_EMPTY_PATH as usize;
    // SAFETY: the empty path is static; the caller vouches for the arrays.
    let result = unsafe { syscall(nr::EXECVEAT, [file.arg(), text(c""), args, env, flags, 0]) };
    check(result).err().unwrap_or(EINVAL)
}

pub fn duplicate_above(file: Fd, lowest: u32) -> Result<Fd> {
    // SAFETY: takes no pointer.
    fd(unsafe {
        syscall(nr::FCNTL, [file.arg(), crate::abi::F_DUPFD_CLOEXEC as usize, lowest as usize, 0, 0, 0])
    })
}

pub fn close_on_exec(file: Fd) -> Result<()> {
    let (command, flag) = (crate::abi::F_SETFD as usize, crate::abi::FD_CLOEXEC as usize);
    // SAFETY: takes no pointer.
    done(unsafe { syscall(nr::FCNTL, [file.arg(), command, flag, 0, 0, 0]) })
}

pub fn dup3(from: Fd, to: Fd, flags: u32) -> Result<()> {
    // SAFETY: takes no pointer.
    done(unsafe { syscall(nr::DUP3, [from.arg(), to.arg(), flags as usize, 0, 0, 0]) })
}

pub fn getcwd(buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is borrowed for writing with its length.
    check(unsafe { syscall(nr::GETCWD, [buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0, 0]) })
}

pub fn chdir(path: &CStr) -> Result<()> {
    // SAFETY: the path is borrowed.
    done(unsafe { syscall(nr::CHDIR, [text(path), 0, 0, 0, 0, 0]) })
}

pub fn fchdir(directory: Fd) -> Result<()> {
    // SAFETY: takes no pointer.
    done(unsafe { syscall(nr::FCHDIR, [directory.arg(), 0, 0, 0, 0, 0]) })
}

/// Sets the file mode creation mask; returns the one before.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: takes no pointer; cannot fail.
    unsafe { syscall(nr::UMASK, [mask as usize, 0, 0, 0, 0, 0]) as u32 }
}

pub fn setsid() -> Result<()> {
    // SAFETY: takes no pointer.
    done(unsafe { syscall(nr::SETSID, [0; 6]) })
}

/// `gids` are the numbers as bytes, four each.
pub fn setgroups(gids: &[u8]) -> Result<()> {
    // SAFETY: the bytes are borrowed; the count says how many whole numbers they hold. The kernel copies them without alignment.
    done(unsafe { syscall(nr::SETGROUPS, [gids.len() / 4, gids.as_ptr() as usize, 0, 0, 0, 0]) })
}

pub fn setresuid(uid: u32) -> Result<()> {
    let uid = uid as usize;
    // SAFETY: takes no pointer.
    done(unsafe { syscall(nr::SETRESUID, [uid, uid, uid, 0, 0, 0]) })
}

pub fn setresgid(gid: u32) -> Result<()> {
    let gid = gid as usize;
    // SAFETY: takes no pointer.
    done(unsafe { syscall(nr::SETRESGID, [gid, gid, gid, 0, 0, 0]) })
}

pub fn capset(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    let header = [crate::abi::CAPABILITY_VERSION_3, 0];
    let low = [effective as u32, permitted as u32, inheritable as u32];
    let high = [(effective >> 32) as u32, (permitted >> 32) as u32, (inheritable >> 32) as u32];
    let data = [low, high];
    // SAFETY: header and data are borrowed and have the layout of version 3.
    done(unsafe { syscall(nr::CAPSET, [at(&header), at(&data), 0, 0, 0, 0]) })
}

/// Loads a filter: instructions of eight bytes. Returns the listener if the flags ask for one.
pub fn load_filter(filter: &[u8], flags: u32) -> Result<usize> {
    /// `struct sock_fprog`.
    #[repr(C)]
    struct Program {
        len: u16,
        filter: *const u8,
    }
    let len = u16::try_from(filter.len() / 8).map_err(|_| EINVAL)?;
    let program = Program { len, filter: filter.as_ptr() };
    let operation = crate::abi::SECCOMP_SET_MODE_FILTER as usize;
    // SAFETY: the struct and the instructions that it names are borrowed; the kernel copies them without alignment.
    check(unsafe { syscall(nr::SECCOMP, [operation, flags as usize, at(&program), 0, 0, 0]) })
}

pub fn personality(persona: u32) -> Result<()> {
    // SAFETY: takes no pointer.
    done(unsafe { syscall(nr::PERSONALITY, [persona as usize, 0, 0, 0, 0, 0]) })
}

pub fn sched_setattr(attr: &SchedAttr) -> Result<()> {
    let sized = SchedAttr { size: size_of::<SchedAttr>() as u32, ..*attr };
    // SAFETY: the struct is borrowed and says how long it is.
    done(unsafe { syscall(nr::SCHED_SETATTR, [0, at(&sized), 0, 0, 0, 0]) })
}

/// For the whole process group.
pub fn set_io_priority(priority: u32) -> Result<()> {
    // SAFETY: takes no pointer.
    done(unsafe {
        syscall(nr::IOPRIO_SET, [crate::abi::IOPRIO_WHO_PGRP as usize, 0, priority as usize, 0, 0, 0])
    })
}

/// `nodes` are whole words of a bit mask.
pub fn set_memory_policy(mode: u32, nodes: &[u8]) -> Result<()> {
    let bits = nodes.len() * 8;
    // The kernel takes one off the length that it is given, and takes no mask for an empty one.
    let (mask, length) = if bits == 0 { (0, 0) } else { (nodes.as_ptr() as usize, bits + 1) };
    // SAFETY: the mask is borrowed with its length, or NULL. The kernel copies it without alignment.
    done(unsafe { syscall(nr::SET_MEMPOLICY, [mode as usize, mask, length, 0, 0, 0]) })
}

pub fn pivot_root(new: &CStr, old: &CStr) -> Result<()> {
    // SAFETY: both paths are borrowed.
    done(unsafe { syscall(nr::PIVOT_ROOT, [text(new), text(old), 0, 0, 0, 0]) })
}

/// `prctl` for options that take numbers only.
pub fn prctl(option: u64, first: u64, second: u64) -> Result<usize> {
    // SAFETY: the options used (see abi) take no pointer.
    check(unsafe { syscall(nr::PRCTL, [option as usize, first as usize, second as usize, 0, 0, 0]) })
}

pub fn chroot(path: &CStr) -> Result<()> {
    // SAFETY: the path is borrowed.
    done(unsafe { syscall(nr::CHROOT, [text(path), 0, 0, 0, 0, 0]) })
}

pub fn sethostname(name: &CStr) -> Result<()> {
    // SAFETY: the name is borrowed with its length.
    done(unsafe { syscall(nr::SETHOSTNAME, [text(name), name.count_bytes(), 0, 0, 0, 0]) })
}

pub fn setdomainname(name: &CStr) -> Result<()> {
    // SAFETY: the name is borrowed with its length.
    done(unsafe { syscall(nr::SETDOMAINNAME, [text(name), name.count_bytes(), 0, 0, 0, 0]) })
}

pub fn join_session_keyring(name: &CStr) -> Result<u32> {
    // SAFETY: the name is borrowed.
    check(unsafe {
        syscall(nr::KEYCTL, [crate::abi::KEYCTL_JOIN_SESSION_KEYRING as usize, text(name), 0, 0, 0, 0])
    })
    .map(|serial| serial as u32)
}

pub fn set_key_permissions(key: u32, permissions: u32) -> Result<()> {
    // SAFETY: takes no pointer.
    done(unsafe {
        syscall(
            nr::KEYCTL,
            [crate::abi::KEYCTL_SETPERM as usize, key as usize, permissions as usize, 0, 0, 0],
        )
    })
}

pub fn mkdirat(directory: Fd, path: &CStr, mode: u32) -> Result<()> {
    // SAFETY: the path is borrowed.
    done(unsafe { syscall(nr::MKDIRAT, [directory.arg(), text(path), mode as usize, 0, 0, 0]) })
}

pub fn mknodat(directory: Fd, path: &CStr, mode: u32, device: u32) -> Result<()> {
    // SAFETY: the path is borrowed.
    done(unsafe { syscall(nr::MKNODAT, [directory.arg(), text(path), mode as usize, device as usize, 0, 0]) })
}

pub fn fchownat(directory: Fd, path: &CStr, uid: u32, gid: u32) -> Result<()> {
    let flags = crate::abi::AT_SYMLINK_NOFOLLOW as usize;
    // SAFETY: the path is borrowed.
    done(unsafe {
        syscall(nr::FCHOWNAT, [directory.arg(), text(path), uid as usize, gid as usize, flags, 0])
    })
}

/// Changes the owner of an open file; the group stays.
pub fn chown_user(file: Fd, uid: u32) -> Result<()> {
    let flags = crate::abi::AT_EMPTY_PATH as usize;
    // SAFETY: the empty path is static; -1 leaves the group.
    done(unsafe { syscall(nr::FCHOWNAT, [file.arg(), text(c""), uid as usize, u32::MAX as usize, flags, 0]) })
}

pub fn symlinkat(target: &CStr, directory: Fd, path: &CStr) -> Result<()> {
    // SAFETY: both paths are borrowed.
    done(unsafe { syscall(nr::SYMLINKAT, [text(target), directory.arg(), text(path), 0, 0, 0]) })
}

pub fn fsetxattr(file: Fd, name: &CStr, value: &[u8]) -> Result<()> {
    // SAFETY: name and value are borrowed, the value with its length.
    done(unsafe {
        syscall(nr::FSETXATTR, [file.arg(), text(name), value.as_ptr() as usize, value.len(), 0, 0])
    })
}

pub fn readlinkat(directory: Fd, path: &CStr, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the path is borrowed, the buffer is borrowed for writing with its length.
    check(unsafe {
        syscall(
            nr::READLINKAT,
            [directory.arg(), text(path), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0],
        )
    })
}

pub fn unshare(flags: u32) -> Result<()> {
    // SAFETY: takes no pointer.
    done(unsafe { syscall(nr::UNSHARE, [flags as usize, 0, 0, 0, 0, 0]) })
}

pub fn setns(namespace: Fd, kind: u32) -> Result<()> {
    // SAFETY: takes no pointer.
    done(unsafe { syscall(nr::SETNS, [namespace.arg(), kind as usize, 0, 0, 0, 0]) })
}

pub fn statx(directory: Fd, path: &CStr, flags: u32) -> Result<Statx> {
    let mask = (crate::abi::STATX_BASIC | crate::abi::STATX_MNT_ID) as usize;
    // SAFETY: an all-zero `Statx` is a valid value: it has numbers only.
    let mut out: Statx = unsafe { core::mem::zeroed() };
    // SAFETY: the path is borrowed, `out` is borrowed for writing and has the kernel's 256 bytes.
    done(unsafe {
        syscall(nr::STATX, [directory.arg(), text(path), flags as usize, mask, at_mut(&mut out), 0])
    })?;
    Ok(out)
}

/// Copies this process, as `fork` does, into a child of this process' parent. `None` in the copy, its pidfd in the original.
pub fn fork_sibling(namespaces: u32, cgroup: Option<Fd>) -> Result<Option<Fd>> {
    let mut pidfd = -1i32;
    let into = if cgroup.is_some() { crate::abi::CLONE_INTO_CGROUP } else { 0 };
    let flags = u64::from(namespaces) | crate::abi::CLONE_PARENT | crate::abi::CLONE_PIDFD | into;
    let cgroup = cgroup.map_or(0, |cgroup| cgroup.0 as u64);
    let args = CloneArgs { flags, pidfd: at_mut(&mut pidfd) as u64, cgroup, ..CloneArgs::default() };
    // SAFETY: the struct is borrowed with its length. Neither memory nor stack is shared (no CLONE_VM): both processes go on from here on
    // their own copies.
    match check(unsafe { syscall(common::CLONE3, [at(&args), size_of::<CloneArgs>(), 0, 0, 0, 0]) })? {
        0 => Ok(None),
        _ => Ok(Some(Fd(pidfd))),
    }
}

pub fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: takes no pointer. Init owns every descriptor of its process.
    done(unsafe { syscall(common::CLOSE_RANGE, [first as usize, last as usize, 0, 0, 0, 0]) })
}

/// Leaves a descriptor table that is shared with another process, and goes on with a copy of what lies below `end`.
pub fn leave_table(end: u32) -> Result<()> {
    let flags = crate::abi::CLOSE_RANGE_UNSHARE as usize;
    // SAFETY: takes no pointer. What is closed is closed in this process' copy only.
    done(unsafe { syscall(common::CLOSE_RANGE, [end as usize, u32::MAX as usize, flags, 0, 0, 0]) })
}

pub fn openat2(directory: Fd, path: &CStr, how: &OpenHow) -> Result<Fd> {
    // SAFETY: path and struct are borrowed, the struct with its length.
    fd(unsafe {
        syscall(common::OPENAT2, [directory.arg(), text(path), at(how), size_of::<OpenHow>(), 0, 0])
    })
}

/// Whether the process may do `mode` with `path`, judged by its effective ids.
pub fn access(path: &CStr, mode: u32) -> Result<()> {
    let (directory, flags) = (Fd::CWD.arg(), crate::abi::AT_EACCESS as usize);
    // SAFETY: the path is borrowed.
    done(unsafe { syscall(common::FACCESSAT2, [directory, text(path), mode as usize, flags, 0, 0]) })
}

pub fn write(to: Fd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the bytes are borrowed with their length.
    check(unsafe { syscall(nr::WRITE, [to.arg(), bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) })
}

/// What `statfs` says of a file's filesystem and mount.
#[derive(Clone, Copy, Debug)]
pub struct Filesystem {
    /// Its magic number.
    pub kind: u64,
    /// The MS_* flags of the mount.
    pub flags: u64,
}

/// Asks for the filesystem and the mount that `file` is on.
pub fn filesystem(file: Fd) -> Result<Filesystem> {
    // struct statfs of a 64-bit kernel: fifteen words; the type is the first, the flags are the eleventh.
    let mut out = [0u64; 16];
    // SAFETY: `out` is borrowed for writing and larger than the kernel's struct.
    done(unsafe { syscall(nr::FSTATFS, [file.arg(), at_mut(&mut out), 0, 0, 0, 0]) })?;
    let [kind, _, _, _, _, _, _, _, _, _, flags, ..] = out;
    // ST_RELATIME and ST_NOSYMFOLLOW have other places than their MS_ flags; the others agree. ST_VALID (32) is no mount flag.
    let relatime = if flags & 0x1000 != 0 { crate::abi::MS_RELATIME } else { 0 };
    Ok(Filesystem { kind, flags: flags & 0xd0f | relatime | nosymfollow(flags) })
}

fn nosymfollow(flags: u64) -> u64 {
    if flags & 0x2000 != 0 { crate::abi::MS_NOSYMFOLLOW } else { 0 }
}

/// The limit of open files.
pub const RLIMIT_NOFILE: u32 = 7;

/// Raises the soft limit of open files to the hard one; returns what it was.
pub fn raise_open_files() -> Result<[u64; 2]> {
    let mut old = [0u64; 2];
    // SAFETY: `old` is borrowed for writing and is a struct rlimit64.
    done(unsafe { syscall(nr::PRLIMIT64, [0, RLIMIT_NOFILE as usize, 0, at_mut(&mut old), 0, 0]) })?;
    let [_, hard] = old;
    set_limit(RLIMIT_NOFILE, [hard, hard])?;
    Ok(old)
}

/// Sets a limit, soft and hard.
pub fn set_limit(resource: u32, limit: [u64; 2]) -> Result<()> {
    // SAFETY: the limit is borrowed and is a struct rlimit64.
    done(unsafe { syscall(nr::PRLIMIT64, [0, resource as usize, at(&limit), 0, 0, 0]) })
}
