//! Classic BPF, written from its end: every jump leads to code that stands already, and equal code is written once.
//!
//! A *place* counts instructions from the end. A conditional jump reaches 255 instructions; what lies farther is copied (a
//! return) or reached over an unconditional jump that is written nearby.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::{Error, ErrorKind, Result};

/// The kernel takes no longer program.
pub const MAX_INSNS: usize = 4096;

const REACH: usize = 255;

/// Instructions of a filter for three ABIs, and most of them are branches.
const USUAL: usize = 448;

const LD_W_ABS: u16 = 0x20;
const ALU_AND_K: u16 = 0x54;
const JMP_JA: u16 = 0x05;
const RET_K: u16 = 0x06;

/// What a conditional jump asks of the accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Is {
    /// Equal to the operand.
    Equal = 0x15,
    /// Greater, unsigned.
    Greater = 0x25,
    /// Greater or equal, unsigned.
    AtLeast = 0x35,
}

/// Counted from the end of the program.
pub type Place = usize;

/// One word of `struct seccomp_data` and what is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Test {
    /// Where the word is.
    pub offset: u32,
    /// The bits that count.
    pub mask: u32,
    /// The question.
    pub is: Is,
    /// Its operand.
    pub operand: u32,
}

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Insn {
    code: u16,
    if_true: u8,
    if_false: u8,
    k: u32,
}

/// A program that grows towards its beginning.
#[derive(Debug)]
pub struct Code {
    reversed: Vec<Insn>,
    returns: BTreeMap<u32, Place>,
    branches: HashMap<(Is, u32, Place, Place), Place, Quick>,
    tests: HashMap<(Test, Place, Place), Place, Quick>,
    /// The newest jump to a far place.
    bridges: BTreeMap<Place, Place>,
}

/// A hash for a few small numbers: a filter has a thousand of them to look up, and nobody can do more harm with equal ones than with a long filter.
#[derive(Debug, Default)]
struct Mix(u64);
type Quick = BuildHasherDefault<Mix>;

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        // The golden ratio, which spreads neighbours over the whole word.
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

impl Code {
    /// An empty program, with room for what an engine's profile comes to.
    pub fn new() -> Self {
        Self {
            reversed: Vec::with_capacity(USUAL),
            returns: BTreeMap::new(),
            branches: HashMap::with_capacity_and_hasher(USUAL, Quick::default()),
            tests: HashMap::default(),
            bridges: BTreeMap::new(),
        }
    }

    /// Ends the program with `value`.
    pub fn ret(&mut self, value: u32) -> Place {
        match self.returns.get(&value) {
            Some(place) => *place,
            None => self.push_ret(value),
        }
    }

    /// Asks the accumulator.
    pub fn branch(&mut self, is: Is, operand: u32, yes: Place, no: Place) -> Place {
        if yes == no {
            return yes;
        }
        let key = (is, operand, yes, no);
        if let Some(place) = self.branches.get(&key) {
            return *place;
        }
        let place = self.push_branch(is, operand, yes, no);
        self.branches.insert(key, place);
        place
    }

    /// Loads a word and asks it. What follows need not load the same word again.
    pub fn test(&mut self, test: Test, yes: Place, no: Place) -> Place {
        if yes == no {
            return yes;
        }
        let key = (test, yes, no);
        if let Some(place) = self.tests.get(&key) {
            return *place;
        }
        let whole = test.mask == u32::MAX;
        let [yes, no] = [yes, no].map(|next| if whole { self.behind_load(next, test.offset) } else { next });
        let mut place = self.push_branch(test.is, test.operand, yes, no);
        if !whole {
            place = self.push(ALU_AND_K, test.mask);
        }
        debug_assert_eq!(place + 1, self.reversed.len());
        let place = self.push(LD_W_ABS, test.offset);
        self.tests.insert(key, place);
        place
    }

    /// Loads a word for code that asks the accumulator.
    pub fn load(&mut self, offset: u32, next: Place) -> Place {
        if next + 1 != self.reversed.len() {
            self.push_jump(next);
        }
        self.push(LD_W_ABS, offset)
    }

    /// The program that starts at the last place, each instruction a `struct sock_filter` as this machine keeps it in memory.
    ///
    /// # Errors
    /// `InvalidSpec` if it is longer than the kernel takes.
    pub fn finish(self) -> Result<Vec<u64>> {
        if self.reversed.len() > MAX_INSNS {
            let length = self.reversed.len();
            let message = format!(
                "the filter has {length} instructions, the kernel takes {MAX_INSNS}: list fewer architectures or argument conditions"
            );
            return Err(Error::new(ErrorKind::InvalidSpec, message));
        }
        Ok(self.reversed.iter().rev().map(Insn::word).collect())
    }

    /// If `place` loads `offset` first: the place behind that.
    fn behind_load(&self, place: Place, offset: u32) -> Place {
        match self.reversed.get(place) {
            Some(insn) if insn.code == LD_W_ABS && insn.k == offset => place.saturating_sub(1),
            _ => place,
        }
    }

    fn push_ret(&mut self, value: u32) -> Place {
        let place = self.push(RET_K, value);
        self.returns.insert(value, place);
        place
    }

    fn push_branch(&mut self, is: Is, operand: u32, yes: Place, no: Place) -> Place {
        // Making `no` near may write one more instruction.
        let yes = self.near(yes, 1);
        let no = self.near(no, 0);
        let [if_true, if_false] = [yes, no].map(|target| self.distance(target));
        self.reversed.push(Insn { code: is as u16, if_true, if_false, k: operand });
        self.reversed.len() - 1
    }

    /// `target`, or a stand-in for it that a conditional jump reaches even if `more` instructions come first.
    fn near(&mut self, target: Place, more: usize) -> Place {
        let reaches = |place: Place, length: usize| length - 1 - place + more <= REACH;
        if reaches(target, self.reversed.len()) {
            return target;
        }
        if let Some(insn) = self.reversed.get(target).copied().filter(|insn| insn.code == RET_K) {
            let newest = self.ret(insn.k);
            return if reaches(newest, self.reversed.len()) { newest } else { self.push_ret(insn.k) };
        }
        match self.bridges.get(&target) {
            Some(bridge) if reaches(*bridge, self.reversed.len()) => *bridge,
            _ => {
                let bridge = self.push_jump(target);
                self.bridges.insert(target, bridge);
                bridge
            }
        }
    }

    /// How many instructions the next one would jump over. `near` has made it small.
    fn distance(&self, target: Place) -> u8 {
        let distance = self.reversed.len() - 1 - target;
        debug_assert!(distance <= REACH);
        u8::try_from(distance).unwrap_or(u8::MAX)
    }

    fn push_jump(&mut self, target: Place) -> Place {
        let distance = self.reversed.len() - 1 - target;
        self.push(JMP_JA, u32::try_from(distance).unwrap_or(u32::MAX))
    }

    fn push(&mut self, code: u16, k: u32) -> Place {
        self.reversed.push(Insn { code, if_true: 0, if_false: 0, k });
        self.reversed.len() - 1
    }
}

impl Insn {
    fn word(&self) -> u64 {
        let [low, high] = self.code.to_ne_bytes();
        let [a, b, c, d] = self.k.to_ne_bytes();
        u64::from_ne_bytes([low, high, self.if_true, self.if_false, a, b, c, d])
    }
}
