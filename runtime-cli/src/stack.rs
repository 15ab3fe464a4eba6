//! The stack of a command that reads a configuration. The parser's frames take about 20 pages of it, which cost less together than one by one.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};

/// What the commands use at most, less than the kernel gives every program at once (128 KiB).
const LENGTH: usize = 80 << 10;

/// Has the kernel make the stack below the caller's frame (Linux 5.14; an older one makes it page by page, as ever).
pub fn populate() {
    let here = 0u8;
    let first = (&raw const here).wrapping_sub(LENGTH).map_addr(|address| address & !0xfff);
    let Some(first) = NonNull::new(first.cast_mut().cast()) else { return };
    // SAFETY: the pages are of our own stack and their content stays as it is, frames of callees too; where nothing is mapped nothing happens.
    let _ = unsafe { madvise(first, LENGTH, MmapAdvise::MADV_POPULATE_WRITE) };
}
