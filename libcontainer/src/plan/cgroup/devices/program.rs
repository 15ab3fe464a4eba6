//! The rules as an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE, which returns 1 to grant and 0 to refuse.
//!
//! The program walks the rules from the last to the first. r3 holds the accesses of the request that no rule has decided
//! yet: a matching `allow` takes its accesses out and grants when none is left, a matching `deny` with one of them refuses.

use std::collections::HashMap;

use super::{ALL, DeviceKind, DeviceRule};

// Registers. r1 is the context {u32 access << 16 | type, u32 major, u32 minor}.
const R0: u8 = 0;
const CONTEXT: u8 = 1;
const TYPE: u8 = 2;
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

// Opcodes (linux/bpf_common.h, linux/bpf.h), all on 32 bits.
const LOAD: u8 = 0x61; // LDX | MEM | W
const MOVE_REGISTER: u8 = 0xbc; // ALU | MOV | X
const MOVE: u8 = 0xb4; // ALU | MOV | K
const AND: u8 = 0x54; // ALU | AND | K
const SHIFT_RIGHT: u8 = 0x74; // ALU | RSH | K
const JUMP: u8 = 0x05; // JMP | JA
const JUMP_EQUAL: u8 = 0x16; // JMP32 | JEQ | K, since Linux 5.1
const JUMP_NOT_EQUAL: u8 = 0x56; // JMP32 | JNE | K
const JUMP_SET: u8 = 0x46; // JMP32 | JSET | K
const EXIT: u8 = 0x95; // JMP | EXIT

const TYPE_BLOCK: u32 = 1;
const TYPE_CHAR: u32 = 2;

/// The program for `rules`.
pub(in crate::plan::cgroup) fn program(rules: &[DeviceRule]) -> Vec<u64> {
    let mut out = prologue();
    for rule in live(rules) {
        let block = block(rule);
        let unconditional = block.len() == 2;
        out.extend(block);
        if unconditional {
            // The verifier refuses instructions that cannot be reached.
            return out;
        }
    }
    out.extend(verdict(0));
    out
}

/// The rules from the last to the first, without those whose accesses are decided by later rules for the same devices.
fn live(rules: &[DeviceRule]) -> impl Iterator<Item = &DeviceRule> {
    let mut decided: HashMap<_, u8> = HashMap::new();
    rules.iter().rev().filter(move |rule| {
        let seen = decided.entry((rule.kind, rule.major, rule.minor)).or_default();
        let dead = rule.access & !*seen == 0;
        *seen |= rule.access;
        !dead
    })
}

fn prologue() -> Vec<u64> {
    let mut out = vec![
        insn(LOAD, TYPE, CONTEXT, 0, 0),
        insn(MOVE_REGISTER, WANTED, TYPE, 0, 0),
        insn(SHIFT_RIGHT, WANTED, 0, 0, 16),
        insn(AND, TYPE, 0, 0, 0xffff),
        insn(LOAD, MAJOR, CONTEXT, 4, 0),
        insn(LOAD, MINOR, CONTEXT, 8, 0),
        insn(JUMP_NOT_EQUAL, WANTED, 0, 2, 0),
    ];
    // Nothing is wanted (a test for existence): there is nothing to refuse.
    out.extend(verdict(1));
    out
}

/// One rule: tests that jump behind the block, then what the rule does.
fn block(rule: &DeviceRule) -> Vec<u64> {
    let action = action(rule);
    let kind = match rule.kind {
        DeviceKind::Any => None,
        DeviceKind::Block => Some(TYPE_BLOCK),
        DeviceKind::Char => Some(TYPE_CHAR),
    };
    let tests = [(TYPE, kind), (MAJOR, rule.major), (MINOR, rule.minor)];
    let tests: Vec<_> = tests.into_iter().filter_map(|(register, value)| Some((register, value?))).collect();
    // Each test jumps over a jump behind the block: over the tests that follow it and over the action. The verifier walks
    // on before it jumps. So it walks the way of no match first, to the end, knowing nothing about the numbers, and every
    // way of a match is then a special case of it. The other way round it would need the square of the rules.
    let skips = (0..tests.len() as i16).rev().map(|behind| 2 * behind + action.len() as i16);
    let tests = tests.iter().zip(skips).flat_map(|((register, value), skip)| {
        [insn(JUMP_EQUAL, *register, 0, 1, *value), insn(JUMP, 0, 0, skip, 0)]
    });
    tests.chain(action.iter().copied()).collect()
}

/// At most four instructions; exactly a verdict if the rule decides whatever is wanted.
fn action(rule: &DeviceRule) -> Vec<u64> {
    let access = u32::from(rule.access);
    let mut out = match (rule.allow, rule.access) {
        (_, ALL) => vec![],
        (true, _) => vec![insn(AND, WANTED, 0, 0, !access), insn(JUMP_NOT_EQUAL, WANTED, 0, 2, 0)],
        (false, _) => vec![insn(JUMP_SET, WANTED, 0, 1, access), insn(JUMP, 0, 0, 2, 0)],
    };
    out.extend(verdict(u32::from(rule.allow)));
    out
}

fn verdict(value: u32) -> [u64; 2] {
    [insn(MOVE, R0, 0, 0, value), insn(EXIT, 0, 0, 0, 0)]
}

/// One instruction in the kernel's layout: opcode, two registers, jump or memory offset, immediate value.
fn insn(opcode: u8, destination: u8, source: u8, offset: i16, value: u32) -> u64 {
    let [low, high] = offset.to_le_bytes();
    let [a, b, c, d] = value.to_le_bytes();
    u64::from_ne_bytes([opcode, source << 4 | destination, low, high, a, b, c, d])
}
