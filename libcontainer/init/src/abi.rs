//! Constants and structs of the kernel that init uses. A test of the crate `teu` compares the constants with libc's.
#![allow(missing_docs)] // the names are the kernel's

pub const EPERM: i32 = 1;
pub const ENOENT: i32 = 2;
pub const EINTR: i32 = 4;
pub const E2BIG: i32 = 7;
pub const ENOEXEC: i32 = 8;
pub const EBADF: i32 = 9;
pub const EAGAIN: i32 = 11;
pub const ENOMEM: i32 = 12;
pub const EACCES: i32 = 13;
pub const EBUSY: i32 = 16;
pub const EEXIST: i32 = 17;
pub const EXDEV: i32 = 18;
pub const ENODEV: i32 = 19;
pub const ENOTDIR: i32 = 20;
pub const EISDIR: i32 = 21;
pub const EINVAL: i32 = 22;
pub const EROFS: i32 = 30;
pub const EPIPE: i32 = 32;
pub const ENAMETOOLONG: i32 = 36;
pub const ENOSYS: i32 = 38;
pub const ELOOP: i32 = 40;
pub const EPROTO: i32 = 71;
pub const EMSGSIZE: i32 = 90;
pub const EDQUOT: i32 = 122;

pub const AT_FDCWD: i32 = -100;
pub const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
pub const AT_EACCESS: u32 = 0x200;
pub const AT_RECURSIVE: u32 = 0x8000;
pub const AT_EMPTY_PATH: u32 = 0x1000;

pub const O_WRONLY: u32 = 1;
pub const O_RDWR: u32 = 2;
pub const O_CREAT: u32 = 0o100;
pub const O_EXCL: u32 = 0o200;
pub const O_NOCTTY: u32 = 0o400;
pub const O_NONBLOCK: u32 = 0o4000;
#[cfg(target_arch = "aarch64")]
pub const O_NOFOLLOW: u32 = 0o100000;
#[cfg(not(target_arch = "aarch64"))]
pub const O_NOFOLLOW: u32 = 0o400000;
#[cfg(target_arch = "aarch64")]
pub const O_DIRECTORY: u32 = 0o40000;
#[cfg(not(target_arch = "aarch64"))]
pub const O_DIRECTORY: u32 = 0o200000;
pub const O_CLOEXEC: u32 = 0o2000000;
pub const O_PATH: u32 = 0o10000000;

pub const RESOLVE_NO_XDEV: u64 = 0x01;
pub const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
pub const RESOLVE_NO_SYMLINKS: u64 = 0x04;
pub const RESOLVE_BENEATH: u64 = 0x08;
pub const RESOLVE_IN_ROOT: u64 = 0x10;

pub const S_IFMT: u32 = 0o170000;
pub const S_IFIFO: u32 = 0o010000;
pub const S_IFCHR: u32 = 0o020000;
pub const S_IFDIR: u32 = 0o040000;
pub const S_IFREG: u32 = 0o100000;
pub const S_IFLNK: u32 = 0o120000;

pub const X_OK: u32 = 1;

pub const CLONE_PARENT: u64 = 0x8000;
pub const CLONE_PIDFD: u64 = 0x1000;
/// Linux 5.7.
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// Linux 5.9.
pub const CLOSE_RANGE_UNSHARE: u32 = 1 << 1;
pub const CLONE_NEWNS: u64 = 0x0002_0000;

pub const MS_NOSUID: u64 = 2;
pub const MS_RDONLY: u64 = 1;
pub const MS_NODEV: u64 = 4;
pub const MS_NOEXEC: u64 = 8;
pub const MS_REMOUNT: u64 = 32;
pub const MS_NOSYMFOLLOW: u64 = 256;
pub const MS_NOATIME: u64 = 1024;
pub const MS_NODIRATIME: u64 = 2048;
pub const MS_BIND: u64 = 4096;
pub const MS_MOVE: u64 = 8192;
pub const MS_REC: u64 = 16384;
pub const MS_RELATIME: u64 = 1 << 21;
pub const MS_STRICTATIME: u64 = 1 << 24;

pub const PROC_SUPER_MAGIC: u64 = 0x9fa0;
pub const SYSFS_MAGIC: u64 = 0x6265_6572;
/// Inode of the root directory of every procfs.
pub const PROC_ROOT_INO: u64 = 1;
pub const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;
pub const MNT_DETACH: u32 = 2;
pub const UMOUNT_NOFOLLOW: u32 = 8;
pub const OPEN_TREE_CLONE: u32 = 1;
pub const OPEN_TREE_CLOEXEC: u32 = O_CLOEXEC;
pub const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;
pub const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
pub const FSOPEN_CLOEXEC: u32 = 1;
pub const FSMOUNT_CLOEXEC: u32 = 1;
pub const FSCONFIG_SET_FLAG: u32 = 0;
pub const FSCONFIG_SET_STRING: u32 = 1;
pub const FSCONFIG_CMD_CREATE: u32 = 6;
pub const FSCONFIG_CMD_RECONFIGURE: u32 = 7;
pub const FSPICK_CLOEXEC: u32 = 1;
pub const FSPICK_EMPTY_PATH: u32 = 8;
pub const MOUNT_ATTR_RDONLY: u64 = 0x1;
pub const MOUNT_ATTR_NOSUID: u64 = 0x2;
pub const MOUNT_ATTR_NODEV: u64 = 0x4;
pub const MOUNT_ATTR_NOEXEC: u64 = 0x8;
pub const MOUNT_ATTR__ATIME: u64 = 0x70;
pub const MOUNT_ATTR_NOATIME: u64 = 0x10;
pub const MOUNT_ATTR_STRICTATIME: u64 = 0x20;
pub const MOUNT_ATTR_NODIRATIME: u64 = 0x80;
pub const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
pub const MOUNT_ATTR_NOSYMFOLLOW: u64 = 0x0020_0000;

pub const PR_SET_PDEATHSIG: u64 = 1;
pub const PR_SET_DUMPABLE: u64 = 4;
pub const PR_SET_KEEPCAPS: u64 = 8;
pub const PR_CAPBSET_READ: u64 = 23;
pub const PR_CAPBSET_DROP: u64 = 24;
pub const PR_SET_TIMERSLACK: u64 = 29;
pub const PR_SET_NO_NEW_PRIVS: u64 = 38;
pub const PR_CAP_AMBIENT: u64 = 47;
pub const PR_CAP_AMBIENT_RAISE: u64 = 2;
pub const PR_CAP_AMBIENT_CLEAR_ALL: u64 = 4;
pub const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

pub const SECCOMP_SET_MODE_FILTER: u32 = 1;
pub const SECCOMP_FILTER_FLAG_NEW_LISTENER: u32 = 8;

pub const KEYCTL_JOIN_SESSION_KEYRING: u64 = 1;
pub const KEYCTL_SETPERM: u64 = 5;
pub const KEYCTL_DESCRIBE: u64 = 6;

pub const SOL_SOCKET: i32 = 1;
pub const SCM_RIGHTS: i32 = 1;
pub const MSG_TRUNC: u32 = 0x20;
pub const MSG_NOSIGNAL: u32 = 0x4000;
pub const MSG_CMSG_CLOEXEC: u32 = 0x4000_0000;
pub const AF_INET: u32 = 2;
pub const AF_NETLINK: u32 = 16;
pub const SOCK_DGRAM: u32 = 2;
pub const SOCK_CLOEXEC: u32 = 0o2000000;
pub const SIOCGIFFLAGS: u64 = 0x8913;
pub const SIOCSIFFLAGS: u64 = 0x8914;
pub const IFF_UP: u16 = 1;

pub const TIOCSCTTY: u64 = 0x540e;
pub const TIOCSWINSZ: u64 = 0x5414;
pub const TIOCGPTPEER: u64 = 0x5441;
pub const TIOCSPTLCK: u64 = 0x4004_5431;
pub const TIOCGPTN: u64 = 0x8004_5430;
/// The major number of the slaves of ptys.
pub const PTY_SLAVE_MAJOR: u32 = 136;

pub const F_DUPFD_CLOEXEC: u32 = 1030;
pub const F_SETFD: u32 = 2;
pub const FD_CLOEXEC: u32 = 1;
pub const SIG_SETMASK: u32 = 2;
pub const SIGHUP: u32 = 1;
pub const SIGINT: u32 = 2;
pub const SIGQUIT: u32 = 3;
pub const SIGKILL: u32 = 9;
pub const SIGTERM: u32 = 15;
pub const SA_RESTORER: usize = 0x0400_0000;
pub const SIGCHLD: u32 = 17;
pub const SIGSTOP: u32 = 19;
pub const POLLIN: u16 = 1;
pub const SIGNALS: u32 = 64;
pub const SCHED_OTHER: u32 = 0;
pub const IOPRIO_WHO_PGRP: u32 = 2;
pub const PROT_READ: u32 = 1;
pub const PROT_WRITE: u32 = 2;
pub const MAP_SHARED: u32 = 1;

/// `struct open_how`, Linux 5.6.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenHow {
    pub flags: u64,
    pub mode: u64,
    pub resolve: u64,
}

/// `struct mount_attr`, Linux 5.12.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MountAttr {
    pub set: u64,
    pub clear: u64,
    pub propagation: u64,
    pub userns: u64,
}

/// `struct clone_args` up to `cgroup`, Linux 5.7.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneArgs {
    pub flags: u64,
    pub pidfd: u64,
    pub child_tid: u64,
    pub parent_tid: u64,
    pub exit_signal: u64,
    pub stack: u64,
    pub stack_size: u64,
    pub tls: u64,
    pub set_tid: u64,
    pub set_tid_size: u64,
    pub cgroup: u64,
}

/// The parts of `struct statx` that init reads, with room for the rest (256 bytes).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Statx {
    pub mask: u32,
    pub blksize: u32,
    pub attributes: u64,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub mode: u16,
    pub pad: u16,
    pub ino: u64,
    pub size: u64,
    pub blocks: u64,
    pub attributes_mask: u64,
    pub times: [u64; 8],
    pub rdev_major: u32,
    pub rdev_minor: u32,
    pub dev_major: u32,
    pub dev_minor: u32,
    pub mnt_id: u64,
    pub rest: [u64; 13],
}

pub const STATX_BASIC: u32 = 0x7ff;
pub const STATX_MNT_ID: u32 = 0x1000;

/// `struct msghdr` of a 64-bit kernel.
#[repr(C)]
#[derive(Debug)]
pub struct MsgHdr {
    pub name: usize,
    pub name_len: u32,
    pub iov: *mut IoVec,
    pub iov_len: usize,
    pub control: *mut u8,
    pub control_len: usize,
    pub flags: u32,
}

/// `struct iovec`.
#[repr(C)]
#[derive(Debug)]
pub struct IoVec {
    pub base: *mut u8,
    pub len: usize,
}

/// `struct sched_attr`, Linux 5.3.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SchedAttr {
    pub size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
    pub util_min: u32,
    pub util_max: u32,
}

/// `struct winsize`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowSize {
    pub rows: u16,
    pub columns: u16,
    pub pixels: [u16; 2],
}

/// Length of a `struct cmsghdr` of a 64-bit kernel.
pub const CMSG_HEADER: usize = 16;

const _: () = assert!(size_of::<Statx>() == 256);
const _: () = assert!(size_of::<SchedAttr>() == 56);
