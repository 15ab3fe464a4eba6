//! The version of the loaded library: a program may have been compiled against another one.

use std::ffi::c_char;

/// The workspace's version, as C wants it.
const TEXT: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// `0xMMmmpp`: two hexadecimal digits for each part.
const NUMBER: u32 = part(env!("CARGO_PKG_VERSION_MAJOR")) << 16
    | part(env!("CARGO_PKG_VERSION_MINOR")) << 8
    | part(env!("CARGO_PKG_VERSION_PATCH"));

const fn part(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) if number < 0x100 => number,
        // A part that does not fit would change its neighbour: this shows in the test, which compares with the header.
        _ => u32::MAX,
    }
}

/// The version as text, such as "0.1.0". Static: valid as long as the library is loaded, not to be freed.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_version() -> *const c_char {
    TEXT.as_ptr().cast()
}

/// The version as a number, `0xMMmmpp`; the header's `TEU_VERSION_NUMBER` is the one that the caller was compiled with.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_version_number() -> u32 {
    NUMBER
}
