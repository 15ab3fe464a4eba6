//! The one place that calls clone3: init, with its namespaces and its cgroup from birth, which shares our memory for a moment while we go on, or while we
//! are suspended; and a child that works beside us on our memory.
//!
//! The cost does not depend on the caller's size. Signals are blocked around the call, and the child starts with default dispositions, so no handler of
//! the host runs on shared memory.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::stub::{Staying, Task, stub, stub_beside};
use crate::sys::Padded;
use crate::sys::fs::duplicate;
use crate::sys::process::{BlockedSignals, futex_wait};
use crate::until::{Until, Woken};

/// A process that was cloned, alive or a zombie until it is reaped.
#[derive(Debug)]
pub(crate) struct Child {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

impl Child {
    /// Moves its pidfd above the standard streams.
    fn raise(&mut self) -> io::Result<()> {
        if self.pidfd.as_raw_fd() <= 2 {
            self.pidfd = duplicate(self.pidfd.as_raw_fd(), 3)?;
        }
        Ok(())
    }
}

const FLAGS: usize = 0;
const PIDFD: usize = 8;
const CHILD_TID: usize = 16;
const STACK: usize = 40;
const STACK_SIZE: usize = 48;
const CGROUP: usize = 80;
/// `struct clone_args` up to `cgroup` (Linux 5.7).
const SIZE: usize = 88;
const STACK_WORDS: usize = 512;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Starts init in new namespaces (`flags`, CLONE_NEW*) and, with `cgroup`, in that cgroup2 directory.
pub(super) fn spawn(
    flags: u32,
    cgroup: Option<BorrowedFd<'_>>,
    socket: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> io::Result<Child> {
    let mut staying = Staying { task: Task::new(socket, program), mask: [0; 128] };
    let mut stack = stack();
    let flags = u64::from(flags) | libc::CLONE_VFORK as u64;
    // SAFETY: stack and task outlive the child's use of our memory, because CLONE_VFORK suspends us until it execs or exits; nobody else has them.
    let mut child =
        unsafe { start(flags, cgroup, stack.as_mut_slice(), stub, &raw mut staying, null_mut()) }?;
    let launched = staying.task.executed().and_then(|()| child.raise());
    if let Err(error) = launched {
        super::reap::kill(&child.pidfd);
        return Err(error);
    }
    Ok(child)
}

/// The same beside us: it gets ready while we go on. It has a copy of our descriptors.
pub(super) fn spawn_beside(
    flags: u32,
    cgroup: Option<BorrowedFd<'_>>,
    socket: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> io::Result<(Child, Lent<Task>)> {
    lend(u64::from(flags), cgroup, Task::new(socket, program), stub_beside)
}

/// A child that works beside us, on our memory and with our descriptors, until it ends. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Beside<T: Sync> {
    child: Child,
    lent: Lent<T>,
    ended: bool,
}

impl<T: Sync> Beside<T> {
    /// Starts `entry`, which shares `task` with us and may make raw system calls only.
    pub fn start(task: T, entry: Entry<T>) -> io::Result<Self> {
        let (child, lent) = lend(libc::CLONE_FILES as u64, None, task, entry)?;
        Ok(Self { child, lent, ended: false })
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.child.pid
    }

    /// What it works on.
    pub fn task(&self) -> &T {
        self.lent.task()
    }

    /// Waits for its end and shows what it has left.
    pub fn wait(&mut self, until: &Until) -> io::Result<(Woken, &T)> {
        let woken = until.wait(&[self.child.pidfd.as_fd()], libc::POLLIN)?;
        if woken == Woken::Ready {
            super::reap::wait(&self.child.pidfd);
            self.ended = true;
        }
        Ok((woken, self.task()))
    }
}

impl<T: Sync> Drop for Beside<T> {
    fn drop(&mut self) {
        if !self.ended {
            super::reap::kill(&self.child.pidfd);
        }
    }
}

/// Memory of ours that a child works on while we go on: until it ends or executes another program. Whoever drops it has ended the child or has seen it
/// execute; what cannot be ended keeps the memory for ever.
#[derive(Debug)]
pub(super) struct Lent<T: Sync>(NonNull<Shared<T>>);

// SAFETY: it owns its box as a `Box` would, and what is shared with the child is `Sync`.
unsafe impl<T: Sync + Send> Send for Lent<T> {}

struct Shared<T> {
    task: T,
    stack: Stack,
    /// Not zero while the child has the memory: the kernel clears it (CLONE_CHILD_CLEARTID).
    held: AtomicU32,
}

/// Starts `entry` on memory that it is lent.
pub(super) fn lend<T: Sync>(
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    task: T,
    entry: Entry<T>,
) -> io::Result<(Child, Lent<T>)> {
    let shared = Shared { task, stack: stack(), held: AtomicU32::new(1) };
    let lent = Lent(NonNull::from(Box::leak(Box::new(shared))));
    // SAFETY: nobody else has the box yet.
    let Shared { task, stack, held } = unsafe { &mut *lent.0.as_ptr() };
    // SAFETY: all three stay where they are while `held` is not zero, and from here on we look at them by `&` only.
    let started = unsafe { start(flags, cgroup, stack.as_mut_slice(), entry, &raw mut *task, held.as_ptr()) };
    let mut child = started.inspect_err(|_| lent.held().store(0, Ordering::Relaxed))?;
    match child.raise() {
        Ok(()) => Ok((child, lent)),
        Err(error) => {
            super::reap::kill(&child.pidfd);
            Err(error)
        }
    }
}

impl<T: Sync> Lent<T> {
    /// What the child works on.
    pub fn task(&self) -> &T {
        // SAFETY: the box is there as long as `self`, and nobody has a `&mut` to it once the child has started.
        unsafe { &(*self.0.as_ptr()).task }
    }

    /// Waits until the child has left the memory: it runs another program, or has ended. `limit` at most, and perhaps less; false if it has not.
    pub fn wait(&self, limit: Duration) -> bool {
        if !self.is_back() {
            futex_wait(self.held(), 1, limit);
        }
        self.is_back()
    }

    fn held(&self) -> &AtomicU32 {
        // SAFETY: as in `task`.
        unsafe { &(*self.0.as_ptr()).held }
    }

    fn is_back(&self) -> bool {
        self.held().load(Ordering::Acquire) == 0
    }
}

impl<T: Sync> Drop for Lent<T> {
    fn drop(&mut self) {
        if self.is_back() {
            // SAFETY: it is the box of `lend`, which no child has any more; it is given back once.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

type Stack = Vec<u128>;
/// Where a child starts.
type Entry<T> = extern "C" fn(*mut T) -> !;

fn stack() -> Stack {
    vec![0; STACK_WORDS]
}

/// Clones a child on our memory that starts in `entry`.
///
/// # Safety
/// `stack` and `task` must be left alone until the child has ended or executed another program, and `held`, which becomes zero then, must stay as long.
unsafe fn start<T>(
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    stack: &mut [u128],
    entry: Entry<T>,
    task: *mut T,
    held: *mut u32,
) -> io::Result<Child> {
    let mut pidfd = -1i32;
    let mut args = Padded::new();
    let shared = (libc::CLONE_VM | libc::CLONE_PIDFD) as u64;
    let into = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    let cleared = if held.is_null() { 0 } else { libc::CLONE_CHILD_CLEARTID as u64 };
    args.put(FLAGS, &(flags | shared | cleared | CLONE_CLEAR_SIGHAND | into).to_ne_bytes());
    args.put(CHILD_TID, &(held as u64).to_ne_bytes());
    args.put(PIDFD, &(std::ptr::from_mut(&mut pidfd) as u64).to_ne_bytes());
    args.put(STACK, &(stack.as_mut_ptr() as u64).to_ne_bytes());
    args.put(STACK_SIZE, &(size_of_val(stack) as u64).to_ne_bytes());
    args.put(CGROUP, &cgroup.map_or(0, |fd| fd.as_raw_fd() as u64).to_ne_bytes());

    let blocked = BlockedSignals::new();
    // SAFETY: `args` is a valid `struct clone_args` with CLONE_VM, and the caller answers for stack and task.
    let result = unsafe { clone3(args.as_mut_ptr(), SIZE, entry, task) };
    drop(blocked);
    args.check();
    if result < 0 {
        return Err(io::Error::from_raw_os_error(i32::try_from(-result).unwrap_or(libc::EINVAL)));
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child { pid: i32::try_from(result).unwrap_or(0), pidfd })
}

/// The system call itself. In the child, which has the new stack, it goes on in `entry`.
///
/// # Safety
/// `args` must point to a `struct clone_args` with a stack and CLONE_VM; stack and `task` must be valid until the child execs or ends.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3<T>(args: *mut u8, size: usize, entry: Entry<T>, task: *mut T) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention. The child never comes out of the block: it calls a function that does not return.
    unsafe {
        std::arch::asm!(
            "syscall", "test rax, rax", "jnz 2f", "xor ebp, ebp", "mov rdi, r12", "call r13", "ud2", "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result, in("rdi") args, in("rsi") size, in("r12") task, in("r13") entry,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// The system call itself. In the child, which has the new stack, it goes on in `entry`.
///
/// # Safety
/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3<T>(args: *mut u8, size: usize, entry: Entry<T>, task: *mut T) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention. The child never comes out of the block: it calls a function that does not return.
    unsafe {
        std::arch::asm!(
            "svc 0", "cbnz x0, 2f", "mov x29, xzr", "mov x0, x20", "blr x21", "brk 1", "2:",
            in("x8") libc::SYS_clone3, inlateout("x0") args => result, in("x1") size, in("x20") task, in("x21") entry, lateout("x30") _,
        );
    }
    result
}

/// The system call itself. In the child, which has the new stack, it goes on in `entry`.
///
/// # Safety
/// As above.
#[cfg(target_arch = "riscv64")]
unsafe fn clone3<T>(args: *mut u8, size: usize, entry: Entry<T>, task: *mut T) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention. The child never comes out of the block: it calls a function that does not return.
    unsafe {
        std::arch::asm!(
            "ecall", "bnez a0, 2f", "mv a0, s2", "jalr s3", "unimp", "2:",
            in("a7") libc::SYS_clone3, inlateout("a0") args => result, in("a1") size, in("s2") task, in("s3") entry, lateout("ra") _,
        );
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::carrier;
    use super::super::stub::{Making, make_network};
    use super::*;

    /// Bytes of the stack that were never written to. Nothing else is on it: signals are blocked.
    fn untouched<T: Sync>(lent: &Lent<T>) -> usize {
        // SAFETY: the child has ended or left the memory, so nobody writes to it.
        let stack = unsafe { &(*lent.0.as_ptr()).stack };
        stack.iter().take_while(|word| **word == 0).count() * size_of::<u128>()
    }

    #[test]
    fn children_use_less_than_half_of_their_stacks() {
        let half = STACK_WORDS * size_of::<u128>() / 2;
        let (socket, _theirs) = super::super::pair().unwrap();
        let making = Making { socket: socket.as_raw_fd(), processors: None, errno: Making::UNDONE.into() };
        let mut maker = Beside::start(making, make_network).unwrap();
        maker.wait(&Until::default()).unwrap();
        assert!(untouched(&maker.lent) > half, "{}", untouched(&maker.lent));

        let (ours, theirs) = super::super::pair().unwrap();
        let (child, lent) = spawn_beside(0, None, theirs.as_fd(), carrier::init().unwrap().as_fd()).unwrap();
        while !lent.wait(Duration::from_secs(1)) {}
        assert!(untouched(&lent) > half, "{}", untouched(&lent));
        drop((ours, theirs));
        super::super::reap::wait(&child.pidfd);
    }
}
