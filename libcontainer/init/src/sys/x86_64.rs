//! System calls of x86_64.
use core::arch::asm;

pub mod nr {
    pub const WRITE: usize = 1;
    pub const READ: usize = 0;
    pub const CLOSE: usize = 3;
    pub const MMAP: usize = 9;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const SENDFILE: usize = 40;
    pub const SOCKET: usize = 41;
    pub const SENDMSG: usize = 46;
    pub const RECVMSG: usize = 47;
    pub const EXECVE: usize = 59;
    pub const FCNTL: usize = 72;
    pub const GETCWD: usize = 79;
    pub const CHDIR: usize = 80;
    pub const FCHDIR: usize = 81;
    pub const UMASK: usize = 95;
    pub const SETSID: usize = 112;
    pub const SETGROUPS: usize = 116;
    pub const SETRESUID: usize = 117;
    pub const SETRESGID: usize = 119;
    pub const CAPSET: usize = 126;
    pub const PERSONALITY: usize = 135;
    pub const CLONE: usize = 56;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const SETPGID: usize = 109;
    pub const PPOLL: usize = 271;
    pub const ACCEPT4: usize = 288;
    pub const PIVOT_ROOT: usize = 155;
    pub const PRCTL: usize = 157;
    pub const CHROOT: usize = 161;
    pub const MOUNT: usize = 165;
    pub const UMOUNT2: usize = 166;
    pub const SETHOSTNAME: usize = 170;
    pub const SETDOMAINNAME: usize = 171;
    pub const SCHED_SETAFFINITY: usize = 203;
    pub const GETCPU: usize = 309;
    pub const EXIT: usize = 60;
    pub const EXIT_GROUP: usize = 231;
    pub const KEYCTL: usize = 250;
    pub const MKDIRAT: usize = 258;
    pub const MKNODAT: usize = 259;
    pub const FCHOWNAT: usize = 260;
    pub const SYMLINKAT: usize = 266;
    pub const READLINKAT: usize = 267;
    pub const GETDENTS64: usize = 217;
    pub const FCHMODAT: usize = 268;
    pub const UNSHARE: usize = 272;
    pub const DUP3: usize = 292;
    pub const SETNS: usize = 308;
    pub const FSTATFS: usize = 138;
    pub const PRLIMIT64: usize = 302;
    pub const FSETXATTR: usize = 190;
    pub const SECCOMP: usize = 317;
    pub const SET_MEMPOLICY: usize = 238;
    pub const IOPRIO_SET: usize = 251;
    pub const SCHED_SETATTR: usize = 314;
    pub const EXECVEAT: usize = 322;
    pub const STATX: usize = 332;
}

/// One system call.
///
/// # Safety
/// The arguments must be valid for the call: pointers alive and of the size that the kernel reads or writes.
#[inline(always)]
pub unsafe fn syscall(nr: usize, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention; rcx and r11 are clobbered by the instruction. The caller vouches for the arguments.
    unsafe {
        asm!("syscall", inlateout("rax") nr as isize => result, in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
             in("r10") args[3], in("r8") args[4], in("r9") args[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// Ends the process by a signal that cannot be handled.
pub fn trap() -> ! {
    // SAFETY: an instruction that is none: the kernel ends the process.
    unsafe { asm!("ud2", options(noreturn, nostack)) }
}
