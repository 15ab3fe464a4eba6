//! A host's heap: memory that was written to, in small pages, as a long-lived daemon has it.

use crate::sys;

const PAGE: usize = 4096;

/// Memory that stays touched while this value lives.
pub struct Heap {
    _bytes: Vec<u8>,
}

impl Heap {
    /// `size` bytes, each page of them written. Huge pages would hide what a fork costs, so they are switched off.
    pub fn touched(size: usize) -> Heap {
        // A kernel without huge pages has none to switch off.
        let _ = sys::no_huge_pages();
        let mut bytes = vec![0; size];
        for byte in bytes.iter_mut().step_by(PAGE) {
            *byte = 1;
        }
        Heap { _bytes: std::hint::black_box(bytes) }
    }
}
