//! The rules as an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE, which returns 1 to grant and 0 to refuse.
//!
//! There is one section for each type of device. It walks the rules from the last to the first. A register holds the
//! accesses of the request that no rule has decided yet: a matching `allow` takes its accesses out and grants when none is
//! left, a matching `deny` with one of them refuses. A test for existence wants nothing, and the first match grants it.
//!
//! Loading is most of what a device filter costs, and the verifier pays for each conditional jump. So a device is one
//! number to compare, and neighbours with the same verdict share it.

use std::collections::HashSet;

use super::{ALL, DeviceKind, DeviceRule};
use crate::error::{Error, ErrorKind, Result};

// Registers. r1 is the context {u32 access << 16 | type, u32 major, u32 minor}.
const R0: u8 = 0;
const CONTEXT: u8 = 1;
const TYPE: u8 = 2;
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
/// Major and minor in one number, as the kernel packs them: a major has 12 bits, a minor 20.
const DEVICE: u8 = 6;
const MINOR_BITS: u32 = 20;
const MAJOR_BITS: u32 = 12;

// Opcodes (linux/bpf_common.h, linux/bpf.h), all on 32 bits.
const LOAD: u8 = 0x61; // LDX | MEM | W
const MOVE_REGISTER: u8 = 0xbc; // ALU | MOV | X
const MOVE: u8 = 0xb4; // ALU | MOV | K
const AND: u8 = 0x54; // ALU | AND | K
const OR_REGISTER: u8 = 0x4c; // ALU | OR | X
const SHIFT_LEFT: u8 = 0x64; // ALU | LSH | K
const SHIFT_RIGHT: u8 = 0x74; // ALU | RSH | K
const JUMP: u8 = 0x05; // JMP | JA
const JUMP_EQUAL: u8 = 0x16; // JMP32 | JEQ | K, since Linux 5.1
const JUMP_NOT_EQUAL: u8 = 0x56; // JMP32 | JNE | K
const JUMP_SET: u8 = 0x46; // JMP32 | JSET | K
const EXIT: u8 = 0x95; // JMP | EXIT

const TYPE_BLOCK: u32 = 1;
/// How many rules share a verdict: a jump to it has 15 bits.
const SHARED: usize = 1000;

/// What a rule compares: a register with a number, or nothing if it matches every device of the section.
type Test = Option<(u8, u32)>;

/// The program for `rules`.
pub(in crate::plan::cgroup) fn program(rules: &[DeviceRule]) -> Result<Vec<u64>> {
    let block = section(rules, DeviceKind::Block);
    let char = section(rules, DeviceKind::Char);
    let skip = i16::try_from(block.len()).map_err(|_| {
        Error::new(ErrorKind::Unsupported, "cgroup: too many device rules").at("/linux/resources/devices")
    })?;
    let mut out = prologue().to_vec();
    out.push(insn(JUMP_NOT_EQUAL, TYPE, 0, skip, TYPE_BLOCK));
    out.extend(block);
    out.extend(char);
    Ok(out)
}

fn prologue() -> [u64; 9] {
    [
        insn(LOAD, TYPE, CONTEXT, 0, 0),
        insn(MOVE_REGISTER, WANTED, TYPE, 0, 0),
        insn(SHIFT_RIGHT, WANTED, 0, 0, 16),
        insn(AND, TYPE, 0, 0, 0xffff),
        insn(LOAD, MAJOR, CONTEXT, 4, 0),
        insn(LOAD, MINOR, CONTEXT, 8, 0),
        insn(MOVE_REGISTER, DEVICE, MAJOR, 0, 0),
        insn(SHIFT_LEFT, DEVICE, 0, 0, MINOR_BITS),
        insn(OR_REGISTER, DEVICE, MINOR, 0, 0),
    ]
}

/// The rules for one type of device. Ends with a verdict in any case.
fn section(rules: &[DeviceRule], kind: DeviceKind) -> Vec<u64> {
    let mut out = Vec::new();
    let live = live(rules, kind);
    let same = |a: &(Test, &DeviceRule), b: &(Test, &DeviceRule)| {
        [a, b].iter().all(|(test, rule)| test.is_some() && rule.access == ALL) && a.1.allow == b.1.allow
    };
    for run in live.chunk_by(same).flat_map(|run| run.chunks(SHARED)) {
        match run {
            // The verifier refuses instructions that cannot be reached.
            [(None, rule)] if rule.access == ALL => {
                out.extend(verdict(rule.allow));
                return out;
            }
            [(test, rule)] if rule.access != ALL => out.extend(partial(*test, rule)),
            run => out.extend(shared(run)),
        }
    }
    out.extend(verdict(false));
    out
}

/// The rules for one type of device from the last to the first, with what they compare. Left out are those whose accesses
/// are decided by later rules for the same devices, and those for numbers that no device has.
fn live(rules: &[DeviceRule], kind: DeviceKind) -> Vec<(Test, &DeviceRule)> {
    let mut decided = HashSet::new();
    let of_kind = rules.iter().rev().filter(|rule| rule.kind == DeviceKind::Any || rule.kind == kind);
    let possible = of_kind.filter_map(|rule| Some((test(rule)?, rule)));
    let alive = |(test, rule): &(Test, &DeviceRule)| {
        let bits = [1u8, 2, 4].into_iter().filter(|bit| rule.access & bit != 0);
        bits.filter(|bit| decided.insert((*test, *bit))).count() > 0
    };
    possible.filter(alive).collect()
}

/// What a rule compares; `None` if no device can match it.
fn test(rule: &DeviceRule) -> Option<Test> {
    let fits = |number: Option<u32>, bits: u32| number.is_none_or(|number| number < 1 << bits);
    let possible = fits(rule.major, MAJOR_BITS) && fits(rule.minor, MINOR_BITS);
    possible.then_some(match (rule.major, rule.minor) {
        (None, None) => None,
        (Some(major), None) => Some((MAJOR, major)),
        (None, Some(minor)) => Some((MINOR, minor)),
        (Some(major), Some(minor)) => Some((DEVICE, major << MINOR_BITS | minor)),
    })
}

/// Rules for every access with one verdict, at most [`SHARED`].
fn shared(run: &[(Test, &DeviceRule)]) -> Vec<u64> {
    let tests = run.iter().filter_map(|(test, _)| *test);
    // Each jumps over the tests behind it and over the jump that leaves.
    let skips = (1..=run.len() as i16).rev();
    let mut out: Vec<_> = tests
        .zip(skips)
        .map(|((register, value), skip)| insn(JUMP_EQUAL, register, 0, skip, value))
        .collect();
    out.push(insn(JUMP, 0, 0, 2, 0));
    out.extend(verdict(run.first().is_some_and(|(_, rule)| rule.allow)));
    out
}

/// A rule for some accesses. When it decides nothing, the next rule is asked.
///
/// The verifier walks on before it jumps. So it walks the way of no match first, to the end and knowing nothing about the
/// device, and every way of a match is then a special case of it. The other way round it would need the square of the rules.
fn partial(test: Test, rule: &DeviceRule) -> Vec<u64> {
    let access = u32::from(rule.access);
    let test =
        test.map(|(register, value)| [insn(JUMP_EQUAL, register, 0, 1, value), insn(JUMP, 0, 0, 4, 0)]);
    let action = match rule.allow {
        true => [insn(AND, WANTED, 0, 0, !access), insn(JUMP_NOT_EQUAL, WANTED, 0, 2, 0)],
        false => [insn(JUMP_SET, WANTED, 0, 1, access), insn(JUMP, 0, 0, 2, 0)],
    };
    test.into_iter().flatten().chain(action).chain(verdict(rule.allow)).collect()
}

fn verdict(allow: bool) -> [u64; 2] {
    [insn(MOVE, R0, 0, 0, u32::from(allow)), insn(EXIT, 0, 0, 0, 0)]
}

/// One instruction in the kernel's layout: opcode, two registers, jump or memory offset, immediate value.
fn insn(opcode: u8, destination: u8, source: u8, offset: i16, value: u32) -> u64 {
    let [low, high] = offset.to_le_bytes();
    let [a, b, c, d] = value.to_le_bytes();
    u64::from_ne_bytes([opcode, source << 4 | destination, low, high, a, b, c, d])
}
