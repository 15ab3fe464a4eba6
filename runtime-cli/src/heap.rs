//! The allocator of the musl command: dlmalloc behind a lock of one instruction. The command has one thread, and its life is a few thousand
//! allocations: with the crate's own lock, a mutex of libc, each cost twice as much.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};

use dlmalloc::{Allocator, Dlmalloc};
use nix::libc;

/// See the module.
pub struct Heap {
    taken: AtomicBool,
    memory: UnsafeCell<Dlmalloc<Pages>>,
}

// SAFETY: `memory` is touched by whoever has `taken` alone.
unsafe impl Sync for Heap {}

impl Heap {
    /// Without memory yet.
    pub const fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            memory: UnsafeCell::new(Dlmalloc::new_with_allocator(Pages::new())),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Dlmalloc<Pages>) -> T) -> T {
        while self.taken.swap(true, Ordering::Acquire) {
            hint::spin_loop();
        }
        // SAFETY: `taken` was free and is ours now: nobody else has a reference. dlmalloc does not panic, and calls nothing that allocates.
        let result = act(unsafe { &mut *self.memory.get() });
        self.taken.store(false, Ordering::Release);
        result
    }
}

// SAFETY: dlmalloc keeps the contract: what it gives is as large and aligned as asked, and stays until it is freed.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is not empty.
        self.with(|memory| unsafe { memory.malloc(layout.size(), layout.align()) })
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the block comes from `alloc` or `realloc`.
        self.with(|memory| unsafe { memory.c_free(block) });
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        self.with(|memory| unsafe { memory.calloc(layout.size(), layout.align()) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`; the new size is not zero.
        self.with(|memory| unsafe { memory.realloc(block, layout.size(), layout.align(), size) })
    }
}

/// Memory of the kernel. Who asks for a second piece fills it: its pages come with it, which costs less than one by one.
struct Pages {
    begun: AtomicBool,
}

impl Pages {
    const fn new() -> Self {
        Self { begun: AtomicBool::new(false) }
    }
}

// SAFETY: what is mapped is ours alone, as long as it says, and stays until it is unmapped.
unsafe impl Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let populate = if self.begun.swap(true, Ordering::Relaxed) { libc::MAP_POPULATE } else { 0 };
        let flags = libc::MAP_ANONYMOUS | libc::MAP_PRIVATE | populate;
        // SAFETY: a new mapping, of no file, wherever there is room.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if at == libc::MAP_FAILED { (std::ptr::null_mut(), 0, 0) } else { (at.cast(), size, 0) }
    }

    fn remap(&self, at: *mut u8, old: usize, new: usize, can_move: bool) -> *mut u8 {
        let flags = if can_move { libc::MREMAP_MAYMOVE } else { 0 };
        // SAFETY: it is a mapping of `alloc`, which nobody uses meanwhile.
        let at = unsafe { libc::mremap(at.cast(), old, new, flags) };
        if at == libc::MAP_FAILED { std::ptr::null_mut() } else { at.cast() }
    }

    fn free_part(&self, at: *mut u8, old: usize, new: usize) -> bool {
        // SAFETY: the end of a mapping of `alloc`, which nobody uses any more.
        unsafe { libc::munmap(at.wrapping_add(new).cast(), old - new) == 0 }
    }

    fn free(&self, at: *mut u8, size: usize) -> bool {
        // SAFETY: a mapping of `alloc`, which nobody uses any more.
        unsafe { libc::munmap(at.cast(), size) == 0 }
    }

    fn can_release_part(&self, _: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        4096
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_many_threads_keep_what_was_written_into_them() {
        static HEAP: Heap = Heap::new();
        std::thread::scope(|scope| {
            for mark in 0..4u8 {
                scope.spawn(move || {
                    for size in (1..2000).step_by(7) {
                        let layout = Layout::from_size_align(size, 8).unwrap();
                        // SAFETY: the layout is not empty.
                        let block = unsafe { HEAP.alloc_zeroed(layout) };
                        // SAFETY: the block has `size` bytes, and they are zero.
                        let bytes = unsafe { std::slice::from_raw_parts_mut(block, size) };
                        assert!(bytes.iter().all(|byte| *byte == 0));
                        bytes.fill(mark);
                        std::thread::yield_now();
                        // SAFETY: it is the block of that layout, and the new size is not zero.
                        let block = unsafe { HEAP.realloc(block, layout, size + 100) };
                        // SAFETY: the block has more bytes than these.
                        let bytes = unsafe { std::slice::from_raw_parts(block, size) };
                        assert!(bytes.iter().all(|byte| *byte == mark));
                        // SAFETY: it is the block, with its new size.
                        unsafe { HEAP.dealloc(block, Layout::from_size_align(size + 100, 8).unwrap()) };
                    }
                });
            }
        });
    }
}
