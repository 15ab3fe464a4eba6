//! Builds the program: ops with the place in config.json that each comes from, and the arena that they refer to.

use std::borrow::Cow;

use oci_spec::runtime::Spec;
use teu_init::program::{Blob, HEADER_LEN, Header, List, NewSlot, Op, Slot, Str};
use teu_init::wire::{FILTER_LEN, FRAME_LEN};

use crate::{Error, ErrorKind, Result};

/// The place in config.json that an op comes from: an RFC 6901 pointer, empty for what every container gets.
pub type Pointer = Cow<'static, str>;

/// A finished program: plain values, no lifetimes, the same for the printer, the laws and init.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    ops: Vec<Op>,
    sites: Vec<Pointer>,
    arena: Vec<u8>,
    sent: u32,
    slots: u32,
}

impl Program {
    /// The ops in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The place in config.json behind the op of that index.
    pub fn site(&self, op: usize) -> &str {
        self.sites.get(op).map_or("", |site| site)
    }

    /// How many descriptors the caller sends: slots 0 and up.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// Number of slots in all.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// The string at `text`, for printing.
    pub fn text(&self, text: Str) -> Cow<'_, str> {
        String::from_utf8_lossy(self.slice(text.at, text.len))
    }

    /// The strings at `list`, for printing.
    pub fn texts(&self, list: List) -> impl Iterator<Item = Cow<'_, str>> {
        let bytes = self.slice(list.at, list.len);
        bytes
            .split_inclusive(|byte| *byte == 0)
            .map(|part| String::from_utf8_lossy(part.strip_suffix(b"\0").unwrap_or(part)))
    }

    /// The bytes at `blob`.
    pub fn bytes(&self, blob: Blob) -> &[u8] {
        self.slice(blob.at, blob.len)
    }

    fn slice(&self, at: u32, len: u32) -> &[u8] {
        let start = at as usize;
        self.arena.get(start..start.saturating_add(len as usize)).unwrap_or(&[])
    }

    /// Gives the op that loads the filter its instructions.
    pub(super) fn set_filter(&mut self, insns: &[u8]) {
        let (at, len) = (self.arena.len() as u32, insns.len() as u32);
        if let Some(Op::Seccomp { filter, .. }) =
            self.ops.iter_mut().rfind(|op| matches!(op, Op::Seccomp { .. }))
        {
            *filter = Blob { at, len };
            self.arena.extend_from_slice(insns);
        }
    }

    /// The program as init reads it, header first.
    ///
    /// # Errors
    /// `InvalidSpec` if the configuration is larger than the format can hold.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let usual = self.ops.len() * USUAL_WORDS * size_of::<u32>();
        let mut bytes = Vec::with_capacity(HEADER_LEN + usual + self.arena.len());
        bytes.resize(HEADER_LEN, 0);
        for op in &self.ops {
            for word in op.encode().as_slice() {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        let header = Header {
            ops: size(self.ops.len())?,
            words: size((bytes.len() - HEADER_LEN) / size_of::<u32>())?,
            arena: size(self.arena.len().next_multiple_of(8))?,
            pointers: size(self.pointers())?,
            slots: self.slots,
        };
        let [words_len, arena_len, ..] = header.parts().ok_or_else(too_large)?;
        if let Some(room) = bytes.first_chunk_mut() {
            *room = header.encode();
        }
        bytes.resize(HEADER_LEN + words_len, 0);
        bytes.extend_from_slice(&self.arena);
        bytes.resize(HEADER_LEN + words_len + arena_len, 0);
        // Slots and pointer room are zero: the file is made that long without writing them.
        Ok(bytes)
    }

    /// Length of the encoded program with the room that init needs.
    pub fn encoded_len(&self, encoded: &[u8]) -> Option<usize> {
        Header::decode(encoded)?.total()
    }

    fn pointers(&self) -> usize {
        let arrays = self.ops.iter().map(|op| match op {
            Op::Exec { args, env, .. } | Op::Hook { args, env, .. } => {
                (args.count as usize + env.count as usize + 2) * size_of::<usize>()
            }
            Op::Seccomp { filter: Blob { len: 0, .. }, .. } => FRAME_LEN + FILTER_LEN,
            _ => 0,
        });
        arrays.max().unwrap_or(0)
    }
}

/// What an op seldom has more of.
const USUAL_WORDS: usize = 8;

fn size(value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| too_large())
}

fn too_large() -> Error {
    Error::new(ErrorKind::InvalidSpec, "the configuration is too large")
}

/// The ops of most containers without those of their mounts, of which a bind has two.
const USUAL_OPS: usize = 64;
const OPS_OF_A_MOUNT: usize = 2;

/// Collects ops. Descriptors that the caller sends are numbered before those that init opens.
#[derive(Debug, Default)]
pub struct Builder {
    program: Program,
}

impl Builder {
    /// A builder with room for the ops of most containers.
    pub fn for_container(config: &Spec) -> Self {
        let ops = USUAL_OPS + OPS_OF_A_MOUNT * config.mounts().as_ref().map_or(0, Vec::len);
        let mut builder = Self::default();
        builder.program.ops.reserve(ops);
        builder.program.sites.reserve(ops);
        builder
    }

    /// Adds an op.
    pub fn push(&mut self, op: Op, site: impl Into<Pointer>) {
        self.program.ops.push(op);
        self.program.sites.push(site.into());
    }

    /// A slot that the caller fills. All of them must be asked for before the first [`Builder::opens`].
    pub fn sends(&mut self) -> Slot {
        debug_assert_eq!(self.program.sent, self.program.slots, "descriptors that are sent come first");
        let slot = Slot(self.program.slots);
        self.program.slots += 1;
        self.program.sent = self.program.slots;
        slot
    }

    /// A slot that an op of init fills.
    pub fn opens(&mut self) -> NewSlot {
        let slot = NewSlot(self.program.slots);
        self.program.slots += 1;
        slot
    }

    /// Puts a string into the arena.
    pub fn text(&mut self, text: impl AsRef<[u8]>) -> Str {
        let Blob { at, len } = self.bytes(text.as_ref());
        self.program.arena.push(0);
        Str { at, len }
    }

    /// Puts strings into the arena, one behind the other.
    pub fn texts<T: AsRef<[u8]>>(&mut self, texts: impl IntoIterator<Item = T>) -> List {
        let at = self.program.arena.len();
        let count = texts.into_iter().map(|text| self.text(text)).count();
        let len = self.program.arena.len() - at;
        List { at: at as u32, len: len as u32, count: count as u32 }
    }

    /// Puts bytes into the arena.
    pub fn bytes(&mut self, bytes: &[u8]) -> Blob {
        let at = self.program.arena.len();
        self.program.arena.extend_from_slice(bytes);
        Blob { at: at as u32, len: bytes.len() as u32 }
    }

    /// The finished program.
    pub fn finish(self) -> Program {
        self.program
    }
}
