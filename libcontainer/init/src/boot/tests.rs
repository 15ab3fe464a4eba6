//! A program as it arrives: mapped bytes that nobody vouches for.

use super::*;
use crate::program::{Op, Slot};

/// A program of one op that reads slot 1, with two slots, as mapped memory.
fn mapped(change: impl FnOnce(&mut Vec<u8>)) -> &'static mut [u8] {
    let op = Op::Gate { gate: Slot(1) };
    let header = Header { ops: 1, words: 2, arena: 8, pointers: 16, slots: 2 };
    let mut bytes: Vec<u8> = header.encode().to_vec();
    bytes.extend(op.encode().as_slice().iter().flat_map(|word| word.to_le_bytes()));
    bytes.resize(header.total().unwrap(), 0);
    change(&mut bytes);
    bytes.leak()
}

#[test]
fn a_good_program_is_opened_and_its_slots_have_the_received_numbers() {
    let image = open(mapped(|_| ()), 2).unwrap();
    assert_eq!(image.program.ops().flatten().count(), 1);
    assert_eq!((image.slots.len(), image.pointers.len()), (8, 16));
    let machine = crate::machine::Machine::new(image, SOCKET);
    assert_eq!([Slot(0), Slot(1)].map(|slot| machine.slot(slot)), [Fd(PROGRAM.0 + 1), Fd(PROGRAM.0 + 2)]);
    assert_eq!(machine.slot(Slot(2)), Fd::NONE);
    assert_eq!(machine.slot(Slot(u32::MAX)), Fd::NONE);
}

#[test]
fn slots_that_nobody_sent_are_empty() {
    let machine = crate::machine::Machine::new(open(mapped(|_| ()), 1).unwrap(), SOCKET);
    assert_eq!(machine.slot(Slot(1)), Fd::NONE);
}

#[test]
fn the_progress_word_is_where_the_caller_looks() {
    let bytes = mapped(|_| ());
    let place = bytes.as_ptr();
    let machine = crate::machine::Machine::new(open(bytes, 2).unwrap(), SOCKET);
    machine.progress(0x0102_0304);
    let place = place.wrapping_add(PROGRESS_OFFSET).cast::<u32>();
    // SAFETY: inside of the leaked program, which lives on.
    let word = unsafe { place.read() };
    assert_eq!(word, 0x0102_0304);
}

#[test]
fn damaged_programs_are_refused() {
    assert_eq!(open(mapped(|bytes| bytes.truncate(20)), 2).err(), Some(EPROTO), "no header");
    assert_eq!(open(mapped(|bytes| bytes.push(0)), 2).err(), Some(EPROTO), "longer than it says");
    assert_eq!(open(mapped(|bytes| bytes.truncate(bytes.len() - 8)), 2).err(), Some(EPROTO), "shorter");
    assert_eq!(open(mapped(|_| ()), 3).err(), Some(EPROTO), "more descriptors than slots");
    assert_eq!(open(mapped(|bytes| bytes[0] ^= 1), 2).err(), Some(EPROTO), "another magic");
    assert_eq!(open(mapped(|bytes| bytes[4] ^= 1), 2).err(), Some(EPROTO), "another version");
    assert_eq!(open(mapped(|bytes| bytes[8] = 2), 2).err(), Some(EINVAL), "another number of ops");
    assert_eq!(open(mapped(|bytes| bytes[HEADER_LEN] = 200), 2).err(), Some(EINVAL), "an unknown op");
    assert_eq!(open(mapped(|bytes| bytes[HEADER_LEN + 4] = 2), 2).err(), Some(EINVAL), "a slot that is none");
}
