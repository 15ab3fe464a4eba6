//! Programs as bytes, good and damaged: whatever arrives, init refuses it or follows references that lie inside. INV-2 of the format: "a damaged
//! program is refused and never followed".
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use proptest::prelude::*;
use teu_init::program::{
    Blob, HEADER_LEN, Header, List, MAGIC, MAX_OP_WORDS, MAX_SLOTS, NewSlot, Op, Operand, Program, Slot, Str,
    VERSION,
};
use teu_init::wire::{self, FRAME_LEN, Frame};

const SLOTS: u32 = 8;

/// A program under construction, by the rules of the format alone.
#[derive(Clone, Debug, Default)]
struct Draft {
    ops: Vec<Op>,
    arena: Vec<u8>,
}

impl Draft {
    fn text(&mut self, text: &str) -> Str {
        let at = self.arena.len() as u32;
        self.arena.extend_from_slice(text.as_bytes());
        self.arena.push(0);
        Str { at, len: text.len() as u32 }
    }

    fn texts(&mut self, texts: &[String]) -> List {
        let at = self.arena.len() as u32;
        for text in texts {
            self.text(text);
        }
        List { at, len: self.arena.len() as u32 - at, count: texts.len() as u32 }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Blob {
        let at = self.arena.len() as u32;
        self.arena.extend_from_slice(bytes);
        Blob { at, len: bytes.len() as u32 }
    }

    fn finish(&mut self) -> (Header, Vec<u8>, Vec<u8>) {
        self.arena.resize(self.arena.len().next_multiple_of(8), 0);
        let words: Vec<u8> = self
            .ops
            .iter()
            .flat_map(|op| op.encode().as_slice().to_vec())
            .flat_map(u32::to_le_bytes)
            .collect();
        let header = Header {
            ops: self.ops.len() as u32,
            words: (words.len() / 4) as u32,
            arena: self.arena.len() as u32,
            pointers: 64,
            slots: SLOTS,
        };
        (header, words, self.arena.clone())
    }
}

/// Ops that together have every kind of field.
fn add(draft: &mut Draft, kind: u8, number: u64, slot: u32, texts: &[String]) {
    let slot = slot % SLOTS;
    let first = texts.first().cloned().unwrap_or_default();
    let op = match kind % 7 {
        0 => Op::Hostname { name: draft.text(&first) },
        1 => Op::Join { kind: number as u32, namespace: Slot(slot) },
        2 => Op::OpenTree { path: draft.text(&first), flags: 1, tree: NewSlot(slot) },
        3 => Op::Exec { args: draft.texts(texts), env: draft.texts(&[]) },
        4 => Op::Groups { gids: draft.bytes(&number.to_le_bytes()) },
        5 => Op::Bind {
            tree: Slot(slot),
            set: number,
            clear: !number,
            set_all: 1,
            clear_all: 2,
            propagation: 3,
            flags: 4,
            target: draft.text(&first),
        },
        _ => Op::Mount {
            fs: draft.text(&first),
            source: draft.text(""),
            options: draft.texts(texts),
            attr: number,
            flags: 0,
            propagation: 0,
            target: draft.text(&first),
        },
    };
    draft.ops.push(op);
}

fn drafts() -> impl Strategy<Value = Draft> {
    let texts = prop::collection::vec("[a-z/]{0,6}", 0..4);
    prop::collection::vec((any::<u8>(), any::<u64>(), any::<u32>(), texts), 0..12).prop_map(|ops| {
        let mut draft = Draft::default();
        ops.iter().for_each(|(kind, number, slot, texts)| add(&mut draft, *kind, *number, *slot, texts));
        draft
    })
}

/// What a checked program may promise to its interpreter.
fn every_reference_is_inside(program: Program<'_>, header: &Header, arena: &[u8]) {
    let inside = |at: u32, len: u64| u64::from(at) + len <= arena.len() as u64;
    let mut count = 0;
    for op in program.ops() {
        count += 1;
        op.expect("a checked program decodes").visit(&mut |name, operand| match operand {
            Operand::Number(_) => {}
            Operand::Text(text) => {
                assert!(inside(text.at, u64::from(text.len) + 1), "{name}");
                assert_eq!(program.text(text).unwrap().count_bytes(), text.len as usize);
            }
            Operand::Texts(list) => {
                assert!(inside(list.at, list.len.into()), "{name}: {list:?}");
                let found: Vec<_> = program.texts(list).collect();
                assert_eq!(found.len(), list.count as usize);
            }
            Operand::Bytes(blob) => {
                assert!(inside(blob.at, blob.len.into()), "{name}");
                assert_eq!(program.bytes(blob).unwrap().len(), blob.len as usize);
            }
            Operand::Reads(Slot(slot)) | Operand::Writes(NewSlot(slot)) => {
                assert!(slot < header.slots, "{name}")
            }
        });
    }
    assert_eq!(count, header.ops);
}

proptest! {
    #[test]
    fn good_programs_are_accepted(mut draft in drafts()) {
        let (header, words, arena) = draft.finish();
        let program = Program::check(&header, &words, &arena);
        let program = program.expect("good");
        every_reference_is_inside(program, &header, &arena);
        prop_assert_eq!(program.ops().flatten().collect::<Vec<_>>(), draft.ops);
        prop_assert_eq!(Header::decode(&header.encode()), Some(header));
    }

    #[test]
    fn flipped_bits_never_lead_outside(mut draft in drafts(), flips in prop::collection::vec(any::<prop::sample::Index>(), 1..6)) {
        let (header, mut words, mut arena) = draft.finish();
        let size = words.len() + arena.len();
        for flip in flips.iter().filter(|_| size > 0) {
            let bit = flip.index(size * 8);
            let byte = words.iter_mut().chain(&mut arena).nth(bit / 8).unwrap();
            *byte ^= 1 << (bit % 8);
        }
        if let Some(program) = Program::check(&header, &words, &arena) {
            every_reference_is_inside(program, &header, &arena);
        }
    }

    #[test]
    fn random_fields_never_lead_outside(ops in prop::collection::vec((0u32..40, prop::collection::vec(0u32..24, 0..16)), 1..4), arena in prop::collection::vec(0u8..3, 0..4)) {
        let arena: Vec<u8> = arena.into_iter().flat_map(|byte| [byte; 8]).collect();
        let words: Vec<u8> = ops.iter()
            .flat_map(|(code, fields)| [vec![code | (fields.len() as u32 + 1) << 16], fields.clone()].concat())
            .flat_map(u32::to_le_bytes).collect();
        let header = Header { ops: ops.len() as u32, words: (words.len() / 4) as u32, arena: arena.len() as u32, pointers: 0, slots: 4 };
        if let Some(program) = Program::check(&header, &words, &arena) {
            every_reference_is_inside(program, &header, &arena);
        }
    }

    #[test]
    fn random_bytes_are_no_trouble(words in prop::collection::vec(any::<u8>(), 0..256), arena in prop::collection::vec(any::<u8>(), 0..64), counts in any::<[u32; 5]>()) {
        let [ops, words_len, arena_len, pointers, slots] = counts;
        let header = Header { ops: ops % 8, words: words_len, arena: arena_len, pointers, slots };
        let _ = (header.parts(), header.total());
        if let Some(program) = Program::check(&header, &words, &arena) {
            every_reference_is_inside(program, &header, &arena);
        }
        let _ = Op::decode(&words).map(|(op, rest)| (op.name(), rest.len()));
        let _ = Header::decode(&words);
        let _ = Frame::decode(&words);
    }

    #[test]
    fn headers_round_trip_or_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..48), real in any::<bool>()) {
        if let (true, Some(head)) = (real, bytes.get_mut(..8)) {
            head[..4].copy_from_slice(&MAGIC.to_le_bytes());
            head[4..].copy_from_slice(&VERSION.to_le_bytes());
        }
        match Header::decode(&bytes) {
            // The progress word is the caller's to read, not part of the header.
            Some(header) => prop_assert_eq!(&header.encode()[..28], &bytes[..28]),
            None => prop_assert!(bytes.len() < HEADER_LEN || !real),
        }
    }

    #[test]
    fn the_parts_add_up_or_are_refused(counts in any::<[u32; 5]>(), small in any::<bool>()) {
        let [ops, words, arena, pointers, slots] = counts;
        let slots = if small { slots % (MAX_SLOTS as u32 + 2) } else { slots };
        let header = Header { ops, words, arena: arena & !7, pointers: pointers & !7, slots };
        match header.parts() {
            Some(parts) => {
                prop_assert!(slots as usize <= MAX_SLOTS);
                prop_assert!(parts.iter().all(|part| part % 8 == 0), "each part starts aligned");
                prop_assert!(parts[0] >= words as usize * 4 && parts[2] >= slots as usize * 4);
                prop_assert_eq!(header.total(), Some(HEADER_LEN + parts.iter().sum::<usize>()));
            }
            None => prop_assert!(slots as usize > MAX_SLOTS),
        }
    }

    #[test]
    fn frames_survive_in_both_directions(kind: u32, op: u32, value: u32, detail: u32, behind in prop::collection::vec(any::<u8>(), 0..wire::NOTE_LEN)) {
        let frame = Frame { kind, op, value, detail };
        let bytes = frame.encode();
        prop_assert_eq!(Frame::decode(&bytes), Some(frame));
        prop_assert_eq!(Frame::decode(&[&bytes[..], &behind].concat()), Some(frame), "a note may follow");
        prop_assert_eq!(Frame::decode(&bytes[..FRAME_LEN - 1]), None);
    }
}

#[test]
fn unaligned_parts_are_refused() {
    let good = Header { ops: 0, words: 0, arena: 8, pointers: 8, slots: MAX_SLOTS as u32 };
    assert!(good.parts().is_some());
    assert_eq!(Header { arena: 9, ..good }.parts(), None);
    assert_eq!(Header { pointers: 4, ..good }.parts(), None);
    assert_eq!(Header { slots: MAX_SLOTS as u32 + 1, ..good }.parts(), None);
}

#[test]
fn an_empty_list_outside_the_arena_is_refused() {
    let env = List { at: 4096, len: 1 << 20, count: 0 };
    let mut draft = Draft::default();
    let args = draft.texts(&["sh".to_owned()]);
    draft.ops.push(Op::Exec { args, env });
    let (header, words, arena) = draft.finish();
    assert!(Program::check(&header, &words, &arena).is_none());
}

#[test]
fn a_slot_behind_the_last_is_refused() {
    for op in [
        |slot| Op::Gate { gate: Slot(slot) },
        |slot| Op::OpenTree { path: Str { at: 0, len: 0 }, flags: 0, tree: NewSlot(slot) },
    ] {
        for (slot, good) in [(SLOTS - 1, true), (SLOTS, false), (u32::MAX, false)] {
            let mut draft = Draft { ops: vec![op(slot)], arena: vec![0] };
            let (header, words, arena) = draft.finish();
            assert_eq!(Program::check(&header, &words, &arena).is_some(), good, "{slot}");
        }
    }
}

#[test]
fn every_op_fits_into_the_words_of_one() {
    // As many words as an op has decode it, and no other number does.
    let mut codes = std::collections::BTreeSet::new();
    for (code, name) in Op::TABLE {
        let lengths: Vec<usize> = (1..=MAX_OP_WORDS).filter(|length| decodes(*code, *length)).collect();
        assert_eq!(lengths.len(), 1, "op {code} {name} decodes from {lengths:?} words");
        assert!(codes.insert(*code), "two ops have the code {code}");
    }
    let names: std::collections::BTreeSet<_> = Op::TABLE.iter().map(|(_, name)| name).collect();
    assert_eq!(names.len(), Op::TABLE.len(), "two ops have one name");
}

fn decodes(code: u32, length: usize) -> bool {
    let mut words = vec![0u32; length];
    words[0] = code | (length as u32) << 16;
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    Op::decode(&bytes).is_some_and(|(op, rest)| rest.is_empty() && op.encode().as_slice().len() == length)
}
