//! The memory behind every extensible struct that is given to the kernel.
//!
//! A kernel that is newer than this program may read, and has been seen to write, beyond the struct that a program knows
//! (BPF_PROG_QUERY of Linux 6.17 to 7.1). So the kernel gets 256 zeroed bytes, and debug builds watch the words behind them.

const GUARD: u64 = 0x7465_755f_6775_6172;

/// A zeroed struct of 256 bytes, filled by offset.
#[repr(C, align(8))]
pub(crate) struct Padded {
    bytes: [u8; Self::SIZE],
    guard: [u64; 8],
}

impl Padded {
    /// What the kernel is told the size is. It accepts more than it knows if the rest is zero.
    pub(crate) const SIZE: usize = 256;

    pub(crate) fn new() -> Self {
        Self { bytes: [0; Self::SIZE], guard: [GUARD; 8] }
    }

    /// Writes a field. Offsets are constants of the caller; one that is out of range writes nothing.
    pub(crate) fn put(&mut self, offset: usize, field: &[u8]) {
        let place = self.bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..field.len()));
        debug_assert!(place.is_some(), "field at {offset} is outside the struct");
        if let Some(place) = place {
            place.copy_from_slice(field);
        }
    }

    /// Reads a field that the kernel filled in.
    pub(crate) fn get_u64(&self, offset: usize) -> Option<u64> {
        Some(u64::from_ne_bytes(self.bytes.get(offset..)?.get(..8)?.try_into().ok()?))
    }

    /// Reads a field that the kernel filled in.
    pub(crate) fn get_u32(&self, offset: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(self.bytes.get(offset..)?.get(..4)?.try_into().ok()?))
    }

    /// Reads a field that the kernel filled in.
    pub(crate) fn get(&self, offset: usize, len: usize) -> Option<&[u8]> {
        self.bytes.get(offset..)?.get(..len)
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        std::ptr::from_mut(self).cast()
    }

    /// After the call: the kernel kept to the size.
    pub(crate) fn check(&self) {
        debug_assert_eq!(self.guard, [GUARD; 8], "the kernel wrote behind a struct of {} bytes", Self::SIZE);
    }
}
