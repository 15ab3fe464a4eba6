//! The numbers and structs that init has of its own, against those of the libc crate and of the kernel's headers.
//!
//! Init is compiled without libc, so nobody else would notice a wrong digit. The tables are read from the source text: a constant that is added
//! there and not here is a failure.

use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};

use teu_init::abi;

const ABI: &str = include_str!("../init/src/abi.rs");
const X86_64: &str = include_str!("../init/src/sys/x86_64.rs");
const GENERIC: &str = include_str!("../init/src/sys/generic.rs");
const COMMON: &str = include_str!("../init/src/sys/mod.rs");

/// Names and values of the constants of one type in a source file.
fn constants(source: &str, of: &str) -> BTreeMap<String, String> {
    let constant = |line: &str| {
        let (name, rest) = line.trim().strip_prefix("pub const ")?.split_once(": ")?;
        let (kind, value) = rest.strip_suffix(';')?.split_once(" = ")?;
        (of.is_empty() || kind == of).then(|| (name.to_owned(), value.to_owned()))
    };
    source.lines().filter_map(constant).collect()
}

/// Names with the value of init and that of the other side.
macro_rules! against_libc {
    ($($name:ident)*) => { [$((stringify!($name), i128::from(abi::$name), libc::$name as i128)),*] };
}

/// Constants that libc has, by the same names.
fn shared() -> Vec<(&'static str, i128, i128)> {
    against_libc![
        EPERM ENOENT EINTR E2BIG ENOEXEC EBADF EAGAIN ENOMEM EACCES EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR
        EINVAL EROFS EPIPE EMSGSIZE ENAMETOOLONG ENOSYS ELOOP EPROTO EDQUOT AT_FDCWD AT_SYMLINK_NOFOLLOW AT_EACCESS
        AT_RECURSIVE AT_EMPTY_PATH O_WRONLY O_RDWR O_NOFOLLOW O_DIRECTORY O_CREAT O_EXCL O_NONBLOCK O_NOCTTY O_CLOEXEC O_PATH RESOLVE_NO_XDEV RESOLVE_BENEATH RESOLVE_NO_MAGICLINKS
        RESOLVE_NO_SYMLINKS RESOLVE_IN_ROOT S_IFMT S_IFIFO S_IFCHR S_IFDIR S_IFREG S_IFLNK X_OK CLONE_PARENT
        CLONE_PIDFD CLONE_NEWNS MS_NOSUID MS_RDONLY MS_NODEV MS_NOEXEC MS_REMOUNT MS_NOSYMFOLLOW MS_NOATIME
        MS_NODIRATIME MS_BIND MS_MOVE MS_REC MS_RELATIME MS_STRICTATIME PROC_SUPER_MAGIC DEVPTS_SUPER_MAGIC MNT_DETACH
        OPEN_TREE_CLONE OPEN_TREE_CLOEXEC MOVE_MOUNT_F_EMPTY_PATH MOVE_MOUNT_T_EMPTY_PATH FSOPEN_CLOEXEC
        FSMOUNT_CLOEXEC MOUNT_ATTR_RDONLY MOUNT_ATTR_NOSUID MOUNT_ATTR_NODEV MOUNT_ATTR_NOEXEC
        MOUNT_ATTR__ATIME MOUNT_ATTR_NOATIME MOUNT_ATTR_STRICTATIME MOUNT_ATTR_NODIRATIME
        MOUNT_ATTR_IDMAP MOUNT_ATTR_NOSYMFOLLOW FSPICK_CLOEXEC FSPICK_EMPTY_PATH PR_SET_DUMPABLE PR_SET_KEEPCAPS PR_CAPBSET_READ PR_CAPBSET_DROP
        PR_SET_TIMERSLACK PR_SET_NO_NEW_PRIVS PR_CAP_AMBIENT PR_CAP_AMBIENT_RAISE PR_CAP_AMBIENT_CLEAR_ALL
        SECCOMP_SET_MODE_FILTER SECCOMP_FILTER_FLAG_NEW_LISTENER KEYCTL_JOIN_SESSION_KEYRING KEYCTL_SETPERM KEYCTL_DESCRIBE SOL_SOCKET SCM_RIGHTS MSG_TRUNC MSG_NOSIGNAL
        MSG_CMSG_CLOEXEC AF_INET AF_NETLINK SOCK_DGRAM SOCK_CLOEXEC SIOCGIFFLAGS SIOCSIFFLAGS IFF_UP F_DUPFD_CLOEXEC F_SETFD FD_CLOEXEC TIOCSCTTY TIOCSWINSZ TIOCGPTPEER TIOCSPTLCK TIOCGPTN
        SIG_SETMASK SIGHUP SIGINT SIGQUIT SIGTERM SIGCHLD SIGKILL SIGSTOP POLLIN PR_SET_PDEATHSIG SCHED_OTHER PROT_READ PROT_WRITE MAP_SHARED STATX_MNT_ID
    ]
    .to_vec()
}

/// Constants that the libc crate lacks, with their values in the kernel's headers.
fn others() -> Vec<(&'static str, i128, i128)> {
    vec![
        ("FSCONFIG_SET_FLAG", abi::FSCONFIG_SET_FLAG.into(), 0), // enum fsconfig_command, linux/mount.h
        ("FSCONFIG_SET_STRING", abi::FSCONFIG_SET_STRING.into(), 1),
        ("FSCONFIG_CMD_CREATE", abi::FSCONFIG_CMD_CREATE.into(), 6),
        ("FSCONFIG_CMD_RECONFIGURE", abi::FSCONFIG_CMD_RECONFIGURE.into(), 7),
        // linux/sched.h; the libc crate has it as a C int, which is too small.
        ("CLONE_INTO_CGROUP", abi::CLONE_INTO_CGROUP.into(), 0x2_0000_0000),
        ("CLOSE_RANGE_UNSHARE", abi::CLOSE_RANGE_UNSHARE.into(), libc::CLOSE_RANGE_UNSHARE.into()),
        ("UMOUNT_NOFOLLOW", abi::UMOUNT_NOFOLLOW.into(), libc::UMOUNT_NOFOLLOW.into()),
        ("PROC_ROOT_INO", abi::PROC_ROOT_INO.into(), 1), // linux/proc_fs.h: PROCFS_ROOT_INO
        ("CAPABILITY_VERSION_3", abi::CAPABILITY_VERSION_3.into(), 0x2008_0522), // linux/capability.h
        ("IOPRIO_WHO_PGRP", abi::IOPRIO_WHO_PGRP.into(), 2), // linux/ioprio.h
        ("PTY_SLAVE_MAJOR", abi::PTY_SLAVE_MAJOR.into(), 136), // linux/major.h
        ("SIGNALS", abi::SIGNALS.into(), libc::SIGRTMAX().into()),
        ("STATX_BASIC", abi::STATX_BASIC.into(), libc::STATX_BASIC_STATS.into()),
        ("SYSFS_MAGIC", abi::SYSFS_MAGIC.into(), 0x6265_6572), // linux/magic.h
        ("SA_RESTORER", abi::SA_RESTORER as i128, 0x0400_0000), // asm/signal.h of x86
        ("CMSG_HEADER", abi::CMSG_HEADER as i128, size_of::<libc::cmsghdr>() as i128),
    ]
}

#[test]
fn constants_are_those_of_the_kernel() {
    for (name, ours, theirs) in shared().into_iter().chain(others()) {
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn no_constant_is_left_out() {
    let tested: Vec<_> = shared().into_iter().chain(others()).map(|(name, ..)| name).collect();
    let missing: Vec<_> =
        constants(ABI, "").into_keys().filter(|name| !tested.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

macro_rules! same_place {
    ($ours:ty, $theirs:ty: $($field:ident = $other:ident),*) => {$(
        assert_eq!(offset_of!($ours, $field), offset_of!($theirs, $other), "{}", stringify!($field));
    )*};
}

#[test]
fn structs_have_the_layout_of_the_kernel() {
    assert_eq!(size_of::<abi::OpenHow>(), size_of::<libc::open_how>());
    same_place!(abi::OpenHow, libc::open_how: flags = flags, mode = mode, resolve = resolve);
    assert_eq!(size_of::<abi::Statx>(), size_of::<libc::statx>());
    same_place!(abi::Statx, libc::statx: mask = stx_mask, nlink = stx_nlink, uid = stx_uid, gid = stx_gid, mode = stx_mode,
        ino = stx_ino, size = stx_size, times = stx_atime, rdev_major = stx_rdev_major, rdev_minor = stx_rdev_minor,
        dev_major = stx_dev_major, dev_minor = stx_dev_minor, mnt_id = stx_mnt_id);
    assert_eq!(size_of::<abi::MsgHdr>(), size_of::<libc::msghdr>());
    same_place!(abi::MsgHdr, libc::msghdr: name = msg_name, name_len = msg_namelen, iov = msg_iov, iov_len = msg_iovlen,
        control = msg_control, control_len = msg_controllen, flags = msg_flags);
    assert_eq!(size_of::<abi::IoVec>(), size_of::<libc::iovec>());
    same_place!(abi::IoVec, libc::iovec: base = iov_base, len = iov_len);
    assert_eq!(size_of::<abi::CloneArgs>(), 88, "CLONE_ARGS_SIZE_VER2");
    assert_eq!(size_of::<abi::MountAttr>(), 32, "MOUNT_ATTR_SIZE_VER0");
    assert_eq!(size_of::<abi::SchedAttr>(), 56, "SCHED_ATTR_SIZE_VER1");
    assert_eq!(size_of::<abi::WindowSize>(), size_of::<libc::winsize>());
    same_place!(abi::WindowSize, libc::winsize: rows = ws_row, columns = ws_col);
}

macro_rules! calls {
    ($($name:ident $number:ident)*) => { BTreeMap::from([$((stringify!($name), libc::$number)),*]) };
}

/// Every system call of init by its number in libc, for the architecture being compiled.
fn calls() -> BTreeMap<&'static str, libc::c_long> {
    calls![
        WRITE SYS_write READ SYS_read MMAP SYS_mmap RT_SIGACTION SYS_rt_sigaction
        RT_SIGPROCMASK SYS_rt_sigprocmask IOCTL SYS_ioctl SENDFILE SYS_sendfile GETDENTS64 SYS_getdents64 SOCKET SYS_socket SENDMSG SYS_sendmsg
        RECVMSG SYS_recvmsg EXECVE SYS_execve FCNTL SYS_fcntl GETCWD SYS_getcwd CHDIR SYS_chdir
        FCHDIR SYS_fchdir UMASK SYS_umask SETSID SYS_setsid SETGROUPS SYS_setgroups SETRESUID SYS_setresuid
        SETRESGID SYS_setresgid CAPSET SYS_capset PERSONALITY SYS_personality SCHED_SETATTR SYS_sched_setattr IOPRIO_SET SYS_ioprio_set SET_MEMPOLICY SYS_set_mempolicy
        PIVOT_ROOT SYS_pivot_root PRCTL SYS_prctl CHROOT SYS_chroot MOUNT SYS_mount UMOUNT2 SYS_umount2
        SETHOSTNAME SYS_sethostname SETDOMAINNAME SYS_setdomainname SCHED_SETAFFINITY SYS_sched_setaffinity GETCPU SYS_getcpu
        EXIT SYS_exit CLOSE SYS_close FSETXATTR SYS_fsetxattr SECCOMP SYS_seccomp EXIT_GROUP SYS_exit_group KEYCTL SYS_keyctl MKDIRAT SYS_mkdirat MKNODAT SYS_mknodat
        FCHOWNAT SYS_fchownat SYMLINKAT SYS_symlinkat READLINKAT SYS_readlinkat FCHMODAT SYS_fchmodat
        UNSHARE SYS_unshare DUP3 SYS_dup3 SETNS SYS_setns STATX SYS_statx FSTATFS SYS_fstatfs
        ACCEPT4 SYS_accept4 CLONE SYS_clone KILL SYS_kill PPOLL SYS_ppoll SETPGID SYS_setpgid WAIT4 SYS_wait4
        PRLIMIT64 SYS_prlimit64 EXECVEAT SYS_execveat OPEN_TREE SYS_open_tree MOVE_MOUNT SYS_move_mount
        FSOPEN SYS_fsopen FSCONFIG SYS_fsconfig FSMOUNT SYS_fsmount FSPICK SYS_fspick CLONE3 SYS_clone3
        CLOSE_RANGE SYS_close_range OPENAT2 SYS_openat2 FACCESSAT2 SYS_faccessat2
        MOUNT_SETATTR SYS_mount_setattr
    ]
}

/// The same in the kernel's generic table (asm-generic/unistd.h), which aarch64 and riscv64 use.
const GENERIC_NUMBERS: &[(&str, u32)] = &[
    ("WRITE", 64),
    ("READ", 63),
    ("MMAP", 222),
    ("RT_SIGACTION", 134),
    ("RT_SIGPROCMASK", 135),
    ("IOCTL", 29),
    ("SOCKET", 198),
    ("SENDMSG", 211),
    ("RECVMSG", 212),
    ("EXECVE", 221),
    ("FCNTL", 25),
    ("GETCWD", 17),
    ("CHDIR", 49),
    ("FCHDIR", 50),
    ("UMASK", 166),
    ("SETSID", 157),
    ("SETGROUPS", 159),
    ("SETRESUID", 147),
    ("SETRESGID", 149),
    ("CAPSET", 91),
    ("PERSONALITY", 92),
    ("SCHED_SETATTR", 274),
    ("IOPRIO_SET", 30),
    ("SET_MEMPOLICY", 237),
    ("PIVOT_ROOT", 41),
    ("PRCTL", 167),
    ("CHROOT", 51),
    ("MOUNT", 40),
    ("UMOUNT2", 39),
    ("SETHOSTNAME", 161),
    ("SETDOMAINNAME", 162),
    ("SCHED_SETAFFINITY", 122),
    ("GETCPU", 168),
    ("EXIT_GROUP", 94),
    ("EXIT", 93),
    ("CLOSE", 57),
    ("SECCOMP", 277),
    ("FSETXATTR", 7),
    ("KEYCTL", 219),
    ("MKDIRAT", 34),
    ("MKNODAT", 33),
    ("FCHOWNAT", 54),
    ("SYMLINKAT", 36),
    ("READLINKAT", 78),
    ("FCHMODAT", 53),
    ("GETDENTS64", 61),
    ("SENDFILE", 71),
    ("UNSHARE", 97),
    ("DUP3", 24),
    ("SETNS", 268),
    ("STATX", 291),
    ("FSTATFS", 44),
    ("PRLIMIT64", 261),
    ("PPOLL", 73),
    ("KILL", 129),
    ("SETPGID", 154),
    ("ACCEPT4", 242),
    ("WAIT4", 260),
    ("CLONE", 220),
    ("EXECVEAT", 281),
    ("OPEN_TREE", 428),
    ("MOVE_MOUNT", 429),
    ("FSOPEN", 430),
    ("FSCONFIG", 431),
    ("FSMOUNT", 432),
    ("FSPICK", 433),
    ("CLONE3", 435),
    ("CLOSE_RANGE", 436),
    ("OPENAT2", 437),
    ("FACCESSAT2", 439),
    ("MOUNT_SETATTR", 442),
];

fn numbers(source: &str) -> BTreeMap<String, i64> {
    let number = |(name, value): (String, String)| Some((name, value.parse().ok()?));
    constants(source, "usize").into_iter().filter_map(number).collect()
}

#[test]
fn system_calls_have_the_numbers_of_this_architecture() {
    let mut ours = numbers(if cfg!(target_arch = "x86_64") { X86_64 } else { GENERIC });
    ours.extend(numbers(COMMON));
    let theirs: BTreeMap<String, i64> =
        calls().into_iter().map(|(name, number)| (name.to_owned(), number)).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn system_calls_have_the_numbers_of_the_generic_table() {
    let mut ours = numbers(GENERIC);
    ours.extend(numbers(COMMON));
    let theirs: BTreeMap<String, i64> =
        GENERIC_NUMBERS.iter().map(|(name, number)| ((*name).to_owned(), i64::from(*number))).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn both_tables_have_the_same_calls_and_no_number_twice() {
    let (generic, x86_64) = (numbers(GENERIC), numbers(X86_64));
    assert!(generic.keys().eq(x86_64.keys()));
    for table in [generic, x86_64] {
        let mut values: Vec<_> = table.values().collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), table.len());
    }
}
