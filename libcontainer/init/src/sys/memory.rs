//! Copies that the compiler makes by itself. It calls these functions by name, and there is no libc to have them.
//! Only in the program: a library build has libc's.

/// Copies upwards.
#[cfg(target_arch = "x86_64")]
unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller has both ranges valid. The string instructions are the fastest short way on every processor of the last decade.
    unsafe { core::arch::asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags)) }
}

/// Copies upwards.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    for at in 0..len {
        // SAFETY: the caller has both ranges valid. Volatile keeps this loop from becoming a call to memcpy.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
}

/// Fills.
#[cfg(target_arch = "x86_64")]
unsafe fn fill(to: *mut u8, byte: u8, len: usize) {
    // SAFETY: the caller has the range valid.
    unsafe { core::arch::asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("al") byte, options(nostack, preserves_flags)) }
}

/// Fills.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn fill(to: *mut u8, byte: u8, len: usize) {
    for at in 0..len {
        // SAFETY: the caller has the range valid. Volatile keeps this loop from becoming a call to memset.
        unsafe { to.add(at).write_volatile(byte) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the contract of memcpy: both ranges are valid and do not overlap.
    unsafe { copy(to, from, len) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    if to.addr() <= from.addr() {
        // SAFETY: copying upwards is right when the target lies below the source.
        unsafe { copy(to, from, len) };
        return to;
    }
    for at in (0..len).rev() {
        // SAFETY: the contract of memmove: both ranges are valid. Volatile keeps this loop from becoming a call to itself.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
    // SAFETY: the contract of memset: the range is valid.
    unsafe { fill(to, byte as u8, len) };
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    for at in 0..len {
        // SAFETY: the contract of memcmp: both ranges are valid.
        let x = unsafe { a.add(at).read_volatile() };
        // SAFETY: the same.
        let y = unsafe { b.add(at).read_volatile() };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
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
