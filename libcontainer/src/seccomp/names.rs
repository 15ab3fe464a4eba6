//! Where the name of a call is looked for: the same function fills the table when it is generated and finds a name in it.

/// Places of the table: a power of two, about twice as many as there are calls.
pub const PLACES: usize = 1024;

/// Nothing is there.
pub const VACANT: u16 = u16::MAX;

/// 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The places in which a name may be, in the order in which they are tried.
pub fn places(name: &str) -> impl Iterator<Item = usize> {
    let home = home(name.as_bytes());
    (home..home + PLACES).map(|place| place % PLACES)
}

/// Its length and its ends tell most names apart.
fn home(name: &[u8]) -> usize {
    let short = || name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let first = name.first_chunk().map_or_else(short, |chunk| u64::from_le_bytes(*chunk));
    let last = name.last_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
    let mixed = (first ^ last.rotate_left(23) ^ name.len() as u64).wrapping_mul(SPREAD);
    (mixed >> (u64::BITS - PLACES.ilog2())) as usize
}
