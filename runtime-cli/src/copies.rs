//! Copies and comparisons of memory, which the compiler calls by name, in place of musl's: there the processor's string instructions are started for a few
//! bytes, or they go one by one. A configuration is thousands of short texts and of values that move: copying was a quarter of what a create did in
//! the program itself (libcontainer/design/0059).
#![allow(unsafe_code)]

use std::arch::x86_64::__m128i;
use std::cmp::Ordering;

/// As much as is copied at once where there is more of it.
type Block = Pair<Pair<__m128i>>;
const BLOCK: usize = size_of::<Block>();

/// What is read and written as a whole.
trait Piece: Sized {
    /// # Safety
    /// `from` must be valid for reading one, and any bytes must be one.
    #[inline(always)]
    unsafe fn read(from: *const u8) -> Self {
        // SAFETY: as the caller says.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    /// # Safety
    /// `to` must be valid for writing one.
    #[inline(always)]
    unsafe fn write(self, to: *mut u8) {
        // SAFETY: as the caller says.
        unsafe { to.cast::<Self>().write_unaligned(self) };
    }
}

impl Piece for u8 {}
impl Piece for u16 {}
impl Piece for u32 {}
impl Piece for u64 {}
impl Piece for __m128i {}

/// Two pieces, one behind the other. As pieces of their own they stay in registers, where an array would go through the stack.
struct Pair<T>(T, T);

impl<T: Piece> Piece for Pair<T> {
    #[inline(always)]
    unsafe fn read(from: *const u8) -> Self {
        // SAFETY: as the caller says.
        let first = unsafe { T::read(from) };
        // SAFETY: the second lies in the pair.
        Self(first, unsafe { T::read(from.wrapping_add(size_of::<T>())) })
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut u8) {
        // SAFETY: as the caller says.
        unsafe { self.0.write(to) };
        // SAFETY: as above.
        unsafe { self.1.write(to.wrapping_add(size_of::<T>())) };
    }
}

/// Two ranges of `len` bytes that are valid, `from` for reading and `to` for writing.
struct Copy {
    to: *mut u8,
    from: *const u8,
    len: usize,
}

impl Copy {
    #[inline(always)]
    fn read<T: Piece>(&self, at: usize) -> T {
        debug_assert!(at + size_of::<T>() <= self.len);
        // SAFETY: it lies in the range.
        unsafe { T::read(self.from.wrapping_add(at)) }
    }

    #[inline(always)]
    fn write<T: Piece>(&self, at: usize, piece: T) {
        debug_assert!(at + size_of::<T>() <= self.len);
        // SAFETY: it lies in the range.
        unsafe { piece.write(self.to.wrapping_add(at)) };
    }

    /// Copies a piece at the beginning and one at the end, which may share bytes. Both are read before either is written.
    #[inline(always)]
    fn ends<T: Piece>(&self) {
        let last = self.len - size_of::<T>();
        let (head, tail): (T, T) = (self.read(0), self.read(last));
        self.write(0, head);
        self.write(last, tail);
    }

    /// Copies up to two blocks. The ranges may overlap.
    #[inline(always)]
    fn short(&self) {
        match self.len {
            0 => {}
            1 => self.ends::<u8>(),
            2..4 => self.ends::<u16>(),
            4..8 => self.ends::<u32>(),
            8..16 => self.ends::<u64>(),
            16..32 => self.ends::<__m128i>(),
            32..64 => self.ends::<Pair<__m128i>>(),
            _ => self.ends::<Block>(),
        }
    }

    /// Copies more than a block, from the beginning to the end. If the ranges overlap `to` is the lower one.
    #[inline(always)]
    fn upwards(&self) {
        let last = self.len - BLOCK;
        let tail: Block = self.read(last);
        for at in (0..last).step_by(BLOCK) {
            self.write(at, self.read::<Block>(at));
        }
        self.write(last, tail);
    }

    /// Copies more than a block, from the end to the beginning.
    #[inline(always)]
    fn downwards(&self) {
        let head: Block = self.read(0);
        let mut at = self.len;
        while at > BLOCK {
            at -= BLOCK;
            self.write(at, self.read::<Block>(at));
        }
        self.write(0, head);
    }
}

/// # Safety
/// Both ranges must be valid for `len` bytes. They do not overlap.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    let copy = Copy { to, from, len };
    if len <= 2 * BLOCK {
        copy.short()
    } else {
        copy.upwards()
    }
    to
}

/// # Safety
/// Both ranges must be valid for `len` bytes.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    let copy = Copy { to, from, len };
    match to.addr().wrapping_sub(from.addr()) {
        _ if len <= 2 * BLOCK => copy.short(),
        distance if distance < len => copy.downwards(),
        _ => copy.upwards(),
    }
    to
}

/// # Safety
/// Both ranges must be valid for `len` bytes.
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, len: usize) -> i32 {
    let mut at = 0;
    while at < len {
        let step = if at + 8 <= len { 8 } else { 1 };
        let word = |range: *const u8| match step {
            // SAFETY: there are eight more bytes.
            8 => u64::from_be(unsafe { u64::read(range.wrapping_add(at)) }),
            // SAFETY: `at` is below `len`.
            _ => u64::from(unsafe { u8::read(range.wrapping_add(at)) }),
        };
        match word(one).cmp(&word(other)) {
            Ordering::Equal => at += step,
            unequal => return unequal as i32,
        }
    }
    0
}

/// # Safety
/// As [`memcmp`].
#[cfg_attr(target_env = "musl", unsafe(no_mangle))]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, len: usize) -> i32 {
    // SAFETY: as the caller says.
    unsafe { memcmp(one, other, len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length up to several blocks, and long ones.
    fn lengths() -> impl Iterator<Item = usize> {
        (0..=300).chain([511, 512, 513, 4095, 4096, 70_001])
    }

    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 31 + at / 251) as u8).collect()
    }

    #[test]
    fn a_copy_has_every_byte_and_touches_no_other() {
        for len in lengths() {
            let (from, mut to) = (pattern(len), vec![0xee; len + 2]);
            // SAFETY: both have `len` bytes, and are not the same memory.
            unsafe { memcpy(to[1..].as_mut_ptr(), from.as_ptr(), len) };
            assert_eq!((to[0], &to[1..=len], to[len + 1]), (0xee, &from[..], 0xee), "{len} bytes");
        }
    }

    #[test]
    fn a_range_moves_into_itself_in_both_directions() {
        for len in lengths() {
            for by in [0, 1, 7, 16, 63, 64, 65, 127, 200] {
                for (from, to) in [(0, by), (by, 0)] {
                    let mut memory = pattern(len + by);
                    let mut expected = memory.clone();
                    expected.copy_within(from..from + len, to);
                    let start = memory.as_mut_ptr();
                    // SAFETY: both ranges lie in the vector.
                    unsafe { memmove(start.wrapping_add(to), start.wrapping_add(from), len) };
                    assert!(memory == expected, "{len} bytes from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn the_first_byte_that_differs_decides() {
        let compare = |one: &[u8], other: &[u8]| {
            // SAFETY: both have that many bytes.
            let [all, equal] =
                [memcmp, bcmp].map(|compare| unsafe { compare(one.as_ptr(), other.as_ptr(), one.len()) });
            assert_eq!(all == 0, equal == 0);
            all.cmp(&0)
        };
        for len in 0..100 {
            let one = pattern(len);
            assert_eq!(compare(&one, &one.clone()), one.cmp(&one));
            for at in 0..len {
                for change in [1, 0x80, 0xff] {
                    let mut other = one.clone();
                    other[at] ^= change;
                    // What comes behind is the other way round.
                    other[at + 1..].iter_mut().for_each(|byte| *byte = !*byte);
                    assert_eq!(compare(&one, &other), one.cmp(&other), "{len} bytes, {at} by {change}");
                }
            }
        }
    }
}
