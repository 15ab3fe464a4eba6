//! The program teu-init. Compiled by libcontainer/build.rs, not by cargo.
#![no_std]
#![no_main]
#![allow(dead_code)] // the other half of the format is the planner's

mod abi;
mod boot;
mod interpret;
mod machine;
#[path = "sys/memory.rs"]
mod memory;
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
