//! System calls of aarch64 (the generic table).
use core::arch::asm;

pub use super::generic as nr;

/// One system call.
///
/// # Safety
/// The arguments must be valid for the call: pointers alive and of the size that the kernel reads or writes.
#[inline(always)]
pub unsafe fn syscall(nr: usize, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention. The caller vouches for the arguments.
    unsafe {
        asm!("svc 0", in("x8") nr, inlateout("x0") args[0] as isize => result, in("x1") args[1], in("x2") args[2],
             in("x3") args[3], in("x4") args[4], in("x5") args[5], options(nostack));
    }
    result
}

/// Ends the process by a signal that cannot be handled.
pub fn trap() -> ! {
    // SAFETY: an instruction that is none: the kernel ends the process.
    unsafe { asm!("brk 1", options(noreturn, nostack)) }
}
