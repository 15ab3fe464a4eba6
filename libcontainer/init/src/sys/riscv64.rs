//! System calls of riscv64 (the generic table).
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
        asm!("ecall", in("a7") nr, inlateout("a0") args[0] as isize => result, in("a1") args[1], in("a2") args[2],
             in("a3") args[3], in("a4") args[4], in("a5") args[5], options(nostack));
    }
    result
}

/// Ends the process by a signal that cannot be handled.
pub fn trap() -> ! {
    // SAFETY: an instruction that is none: the kernel ends the process.
    unsafe { asm!("unimp", options(noreturn, nostack)) }
}
