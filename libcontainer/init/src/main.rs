//! The program teu-init. Compiled by libcontainer/build.rs, not by cargo.
#![no_std]
#![no_main]
#![allow(dead_code)] // the other half of the format is the planner's

mod abi;
mod boot;
mod interpret;
mod machine;
mod ops;
mod path;
mod program;
mod sys;
mod talk;
mod wire;

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {main}", "ud2", main = sym main);
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(".globl _start", "_start:", "mov x29, xzr", "bl {main}", "brk 1", main = sym main);
#[cfg(target_arch = "riscv64")]
core::arch::global_asm!(".globl _start", "_start:", "andi sp, sp, -16", "call {main}", "unimp", main = sym main);

extern "C" fn main() -> ! {
    boot::boot()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::exit(70)
}

/// The compiler calls these by name for copies that it makes itself; there is no libc to have them.
mod memory {
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        let mut at = 0;
        while at < len {
            // SAFETY: the contract of memcpy: both ranges are valid and do not overlap. Volatile keeps this from becoming a call to itself.
            unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
            at += 1;
        }
        to
    }
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        if to.addr() <= from.addr() {
            // SAFETY: copying upwards is right when the target lies below the source.
            return unsafe { memcpy(to, from, len) };
        }
        let mut at = len;
        while at > 0 {
            at -= 1;
            // SAFETY: the contract of memmove: both ranges are valid.
            unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
        }
        to
    }
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
        let mut at = 0;
        while at < len {
            // SAFETY: the contract of memset: the range is valid.
            unsafe { to.add(at).write_volatile(byte as u8) };
            at += 1;
        }
        to
    }
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
        let mut at = 0;
        while at < len {
            // SAFETY: the contract of memcmp: both ranges are valid.
            let (x, y) = unsafe { (a.add(at).read_volatile(), b.add(at).read_volatile()) };
            if x != y {
                return i32::from(x) - i32::from(y);
            }
            at += 1;
        }
        0
    }
    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
        // SAFETY: the same contract.
        unsafe { memcmp(a, b, len) }
    }
    #[unsafe(no_mangle)]
    unsafe extern "C" fn strlen(text: *const u8) -> usize {
        let mut len = 0;
        // SAFETY: the contract of strlen: a NUL comes before the end of the memory.
        while unsafe { text.add(len).read_volatile() } != 0 {
            len += 1;
        }
        len
    }
}
