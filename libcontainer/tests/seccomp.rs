//! The seccomp compiler: its programs are run by an interpreter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

#[path = "support/bpf.rs"]
mod bpf;

use bpf::{ALLOW, Data};
use oci_spec::runtime::{Arch, LinuxSeccomp};
use serde_json::{Value, json};
use teu::seccomp::{Filter, compile};

const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;
const X32_BIT: u32 = 0x4000_0000;
const KILL: u32 = 0;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

fn profile(text: Value) -> LinuxSeccomp {
    serde_json::from_value(text).unwrap()
}

fn compiled(text: Value) -> Filter {
    compile(&profile(text), Arch::ScmpArchX86_64).unwrap()
}

fn refused(text: Value) -> (String, String) {
    let error = compile(&profile(text), Arch::ScmpArchX86_64).unwrap_err();
    (error.pointer().unwrap_or_default().to_owned(), error.message().to_owned())
}

/// The verdict on a call by its number, on x86_64.
fn verdict(filter: &Filter, number: u32, args: [u64; 6]) -> u32 {
    bpf::run(&filter.insns, &Data { number, arch: X86_64, args }).unwrap()
}

fn plain(filter: &Filter, number: u32) -> u32 {
    verdict(filter, number, [0; 6])
}

fn first(value: u64) -> [u64; 6] {
    [value, 0, 0, 0, 0, 0]
}

#[test]
fn a_listed_call_is_allowed_an_older_one_gets_the_default_and_a_newer_one_enosys() {
    let filter = compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read", "mkdir"], "action": "SCMP_ACT_ALLOW"}]}));
    assert_eq!([0, 83].map(|number| plain(&filter, number)), [ALLOW, ALLOW]);
    assert_eq!([1, 82].map(|number| plain(&filter, number)), [EPERM, EPERM]);
    assert_eq!([84, 471, X32_BIT - 1].map(|number| plain(&filter, number)), [ENOSYS; 3]);
    assert!(bpf::is_always_allowed(&filter.insns, 83, X86_64));
}

#[test]
fn architectures_that_are_not_listed_are_killed_x32_too() {
    let filter = compiled(json!({"defaultAction": "SCMP_ACT_ALLOW"}));
    let other = |arch, number| bpf::run(&filter.insns, &Data { number, arch, args: [0; 6] }).unwrap();
    assert_eq!(other(X86_64, 0), ALLOW);
    assert_eq!([other(X86, 0), other(X86_64, X32_BIT), other(X86_64, X32_BIT + 520)], [KILL; 3]);
    assert_eq!(other(X86_64, u32::MAX), ALLOW, "-1 is no call of x32");
}

#[test]
fn conditions_compare_64_bits() {
    let cases = [
        ("SCMP_CMP_EQ", 5_u64, None, [(5_u64, true), (6, false), (5 + (1 << 32), false)]),
        ("SCMP_CMP_NE", 5, None, [(5, false), (6, true), (5 + (1 << 32), true)]),
        (
            "SCMP_CMP_LT",
            1 << 32,
            None,
            [(1 << 32, false), (u64::from(u32::MAX), true), ((1 << 32) + 1, false)],
        ),
        ("SCMP_CMP_LE", 1 << 32, None, [(1 << 32, true), (0, true), ((1 << 32) + 1, false)]),
        ("SCMP_CMP_GT", 1 << 32, None, [(1 << 32, false), (u64::MAX, true), ((1 << 32) + 1, true)]),
        ("SCMP_CMP_GE", 1 << 32, None, [(1 << 32, true), (u64::from(u32::MAX), false), (u64::MAX, true)]),
        ("SCMP_CMP_MASKED_EQ", 0xf0, Some(0x30), [(0x3f, true), (0x4f, false), (0x1_0000_0030, true)]),
    ];
    for (op, value, two, expected) in cases {
        let filter = compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"],
            "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": value, "valueTwo": two, "op": op}]}]}));
        for (argument, met) in expected {
            let wanted = if met { ALLOW } else { EPERM };
            assert_eq!(verdict(&filter, 0, first(argument)), wanted, "{op} {value:#x}: {argument:#x}");
        }
    }
}

#[test]
fn two_conditions_on_one_argument_are_alternatives_on_two_arguments_both_count() {
    let rule = |indices: [u32; 2]| {
        compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"],
            "action": "SCMP_ACT_ALLOW", "args": [
                {"index": indices[0], "value": 1, "op": "SCMP_CMP_EQ"},
                {"index": indices[1], "value": 2, "op": "SCMP_CMP_EQ"}]}]}))
    };
    let (either, both) = (rule([0, 0]), rule([0, 1]));
    assert_eq!([1, 2, 3].map(|value| verdict(&either, 0, first(value))), [ALLOW, ALLOW, EPERM]);
    assert_eq!(verdict(&both, 0, [1, 2, 0, 0, 0, 0]), ALLOW);
    assert_eq!(verdict(&both, 0, [1, 1, 0, 0, 0, 0]), EPERM);
}

#[test]
fn broken_rules_are_refused_with_their_place() {
    let rule = |rule: Value| json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]});
    let cases = [
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}), "/linux/seccomp/defaultErrnoRet"),
        (
            json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}),
            "/linux/seccomp/defaultErrnoRet",
        ),
        (json!({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/a"}), "/linux/seccomp/defaultAction"),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "a"}),
            "/linux/seccomp/listenerMetadata",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_S390X"]}),
            "/linux/seccomp/architectures/1",
        ),
        (
            rule(json!({"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1})),
            "/linux/seccomp/syscalls/0/errnoRet",
        ),
        (
            rule(json!({"names": ["read", ""], "action": "SCMP_ACT_ALLOW"})),
            "/linux/seccomp/syscalls/0/names/1",
        ),
        (
            rule(json!({"names": ["read"], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]})),
            "/linux/seccomp/syscalls/0/args/0/index",
        ),
        (rule(json!({"names": ["read"], "action": "SCMP_ACT_NOTIFY"})), "/linux/seccomp/listenerPath"),
    ];
    for (text, pointer) in cases {
        assert_eq!(refused(text.clone()).0, pointer, "{text}");
    }
    let write = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/a",
        "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_NOTIFY"}]});
    let said = "SCMP_ACT_NOTIFY cannot be used for the write syscall".to_owned();
    assert_eq!(refused(write), ("/linux/seccomp/syscalls/0/names/1".to_owned(), said));
}

#[test]
fn flags_are_spec_allow_unless_they_are_listed() {
    let flags = |flags: Value| compiled(json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": flags})).flags;
    assert_eq!(flags(Value::Null), 4);
    assert_eq!(flags(json!([])), 0);
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"])), 2);
    let asks = |flags: Value| {
        compiled(json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": flags, "listenerPath": "/a",
            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}))
    };
    assert_eq!(asks(Value::Null).flags, 4 | 8);
    let filter = asks(json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]));
    assert_eq!((filter.flags, filter.notifies), (8 | 32, true));
    let alone = compiled(
        json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}),
    );
    assert_eq!((alone.flags, alone.warnings.len()), (0, 1));
}
