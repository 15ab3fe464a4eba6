//! The one place that calls clone3: a child that shares our memory while we are suspended, with its namespaces and its cgroup from birth.
//!
//! The cost does not depend on the caller's size. Signals are blocked around the call, and the child starts with default dispositions, so no handler of
//! the host runs on shared memory.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::stub::{Task, stub};
use crate::sys::Padded;
use crate::sys::process::BlockedSignals;

/// A process that was cloned, alive or a zombie until it is reaped.
#[derive(Debug)]
pub(super) struct Child {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

const FLAGS: usize = 0;
const PIDFD: usize = 8;
const STACK: usize = 40;
const STACK_SIZE: usize = 48;
const CGROUP: usize = 80;
/// `struct clone_args` up to `cgroup` (Linux 5.7).
const SIZE: usize = 88;
const STACK_WORDS: usize = 1024;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Starts init in new namespaces (`flags`, CLONE_NEW*) and, with `cgroup`, in that cgroup2 directory.
pub(super) fn spawn(
    flags: u32,
    cgroup: Option<BorrowedFd<'_>>,
    socket: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> io::Result<Child> {
    let mut task = Task {
        socket: socket.as_raw_fd(),
        program: program.as_raw_fd(),
        args: [c"teu-init".as_ptr() as usize, 0],
        env: [0],
        errno: 0,
    };
    let mut stack = vec![0u128; STACK_WORDS];
    let mut pidfd = -1i32;
    let mut args = Padded::new();
    let shared = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
    let into = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    args.put(FLAGS, &(u64::from(flags) | shared | CLONE_CLEAR_SIGHAND | into).to_ne_bytes());
    args.put(PIDFD, &(std::ptr::from_mut(&mut pidfd) as u64).to_ne_bytes());
    args.put(STACK, &(stack.as_mut_ptr() as u64).to_ne_bytes());
    args.put(STACK_SIZE, &(size_of_val(stack.as_slice()) as u64).to_ne_bytes());
    args.put(CGROUP, &cgroup.map_or(0, |fd| fd.as_raw_fd() as u64).to_ne_bytes());

    let blocked = BlockedSignals::new();
    // SAFETY: `args` is a valid `struct clone_args`; stack and task outlive the child's use of our memory, because CLONE_VFORK suspends us until it execs
    // or exits; nobody else has them.
    let result = unsafe { clone3(args.as_mut_ptr(), SIZE, std::ptr::from_mut(&mut task)) };
    drop(blocked);
    args.check();
    if result < 0 {
        return Err(io::Error::from_raw_os_error(i32::try_from(-result).unwrap_or(libc::EINVAL)));
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let child = Child { pid: i32::try_from(result).unwrap_or(0), pidfd: crate::sys::fs::above_stdio(pidfd)? };
    match task.errno {
        0 => Ok(child),
        errno => {
            super::reap::wait(&child.pidfd);
            Err(io::Error::from_raw_os_error(errno))
        }
    }
}

/// The system call itself. In the child, which has the new stack, it goes on in `stub`.
///
/// # Safety
/// `args` must point to a `struct clone_args` with a stack and CLONE_VM|CLONE_VFORK; `task` must be valid until the child execs.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(args: *mut u8, size: usize, task: *mut Task) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention. The child never comes out of the block: it calls a function that does not return.
    unsafe {
        std::arch::asm!(
            "syscall", "test rax, rax", "jnz 2f", "xor ebp, ebp", "mov rdi, r12", "call {stub}", "ud2", "2:",
            stub = sym stub, inlateout("rax") libc::SYS_clone3 as isize => result, in("rdi") args, in("rsi") size, in("r12") task,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// The system call itself. In the child, which has the new stack, it goes on in `stub`.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(args: *mut u8, size: usize, task: *mut Task) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention. The child never comes out of the block: it calls a function that does not return.
    unsafe {
        std::arch::asm!(
            "svc 0", "cbnz x0, 2f", "mov x29, xzr", "mov x0, x20", "bl {stub}", "brk 1", "2:",
            stub = sym stub, in("x8") libc::SYS_clone3, inlateout("x0") args => result, in("x1") size, in("x20") task, lateout("x30") _,
        );
    }
    result
}

/// The system call itself. In the child, which has the new stack, it goes on in `stub`.
///
/// # Safety
/// As above.
#[cfg(target_arch = "riscv64")]
unsafe fn clone3(args: *mut u8, size: usize, task: *mut Task) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention. The child never comes out of the block: it calls a function that does not return.
    unsafe {
        std::arch::asm!(
            "ecall", "bnez a0, 2f", "mv a0, s2", "call {stub}", "unimp", "2:",
            stub = sym stub, in("a7") libc::SYS_clone3, inlateout("a0") args => result, in("a1") size, in("s2") task, lateout("ra") _,
        );
    }
    result
}
