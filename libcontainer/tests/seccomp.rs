//! The seccomp compiler: its programs are run by an interpreter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

#[path = "support/bpf.rs"]
mod bpf;
#[path = "support/random_profile.rs"]
mod random_profile;

use bpf::{ALLOW, Data};
use oci_spec::runtime::{Arch, LinuxSeccomp};
use random_profile::Random;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
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

const OPERATORS: [&str; 7] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
const VALUES: [u64; 8] = [0, 1, 2, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 1 << 63, u64::MAX];

fn their_condition(index: u8, op: &str, value: u64, two: u64) -> SeccompCondition {
    let (op, value) = match op {
        "NE" => (SeccompCmpOp::Ne, value),
        "LT" => (SeccompCmpOp::Lt, value),
        "LE" => (SeccompCmpOp::Le, value),
        "EQ" => (SeccompCmpOp::Eq, value),
        "GE" => (SeccompCmpOp::Ge, value),
        "GT" => (SeccompCmpOp::Gt, value),
        _ => (SeccompCmpOp::MaskedEq(value), two & value),
    };
    SeccompCondition::new(index, SeccompCmpArgLen::Qword, op, value).unwrap()
}

/// Several rules for one call, each with one or two conditions: what libseccomp itself does not always get right.
#[test]
fn seccompiler_agrees_where_it_can_say_the_same() {
    let mut random = Random::new(7);
    for _ in 0..400 {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..1 + random.below(5) {
            let indices = if random.below(2) == 0 { vec![0] } else { vec![1, 2] };
            let (mut args, mut conditions) = (Vec::new(), Vec::new());
            for index in indices {
                let (op, value, two) =
                    (*random.pick(&OPERATORS), *random.pick(&VALUES), *random.pick(&VALUES));
                args.push(
                    json!({"index": index, "op": format!("SCMP_CMP_{op}"), "value": value, "valueTwo": two}),
                );
                conditions.push(their_condition(index, op, value, two));
            }
            ours.push(json!({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": args}));
            theirs.push(SeccompRule::new(conditions).unwrap());
        }
        let filter =
            compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": ours}));
        let rules = [(0, theirs), (2, Vec::new())].into_iter().collect();
        let (deny, allow) = (SeccompAction::Errno(38), SeccompAction::Allow);
        let program = SeccompFilter::new(rules, deny, allow, TargetArch::x86_64).unwrap();
        let program: BpfProgram = program.try_into().unwrap();
        let program: Vec<u64> = program.iter().map(word).collect();
        for number in [0, 1] {
            for _ in 0..40 {
                let args = std::array::from_fn(|_| *random.pick(&VALUES));
                let call = Data { number, arch: X86_64, args };
                assert_eq!(
                    bpf::run(&filter.insns, &call),
                    bpf::run(&program, &call),
                    "{number} {args:x?} {ours:?}"
                );
            }
        }
    }
}

fn word(insn: &seccompiler::sock_filter) -> u64 {
    let ([a, b], [c, d, e, f]) = (insn.code.to_ne_bytes(), insn.k.to_ne_bytes());
    u64::from_ne_bytes([a, b, insn.jt, insn.jf, c, d, e, f])
}

#[test]
fn a_program_that_the_kernel_would_not_take_is_refused() {
    let rules: Vec<Value> = (0..2000_u64)
        .map(|value| {
            json!({"names": ["read"], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": value * 0x1_0000_0001}]})
        })
        .collect();
    let (pointer, message) = refused(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}));
    assert_eq!(pointer, "/linux/seccomp");
    assert!(message.contains("the kernel takes 4096"), "{message}");
}

/// Jumps over more than 255 instructions: every call has a question of its own.
#[test]
fn far_code_is_reached() {
    let names = [
        "read", "write", "open", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap", "mprotect",
        "munmap",
    ];
    let rules: Vec<Value> = names.iter().zip(0_u64..).flat_map(|(name, call)| {
        (0..20_u64).map(move |value| json!({"names": [name], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": call * 1000 + value}, {"index": 1, "op": "SCMP_CMP_NE", "value": value}]}))
    }).collect();
    let filter = compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}));
    assert!(filter.insns.len() > 600, "{}", filter.insns.len());
    for call in 0..12_u32 {
        for value in 0..21_u64 {
            let meets = |second| verdict(&filter, call, [u64::from(call) * 1000 + value, second, 0, 0, 0, 0]);
            assert_eq!(meets(value), EPERM);
            assert_eq!(meets(value + 1), if value < 20 { ALLOW } else { EPERM });
        }
    }
}

#[test]
fn the_narrower_condition_decides_whatever_the_order() {
    let narrow = json!({"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5,
        "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 7}]});
    let wide = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 0, "op": "SCMP_CMP_GE", "value": 3}]});
    for rules in [[narrow.clone(), wide.clone()], [wide, narrow]] {
        let filter = compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}));
        let found = [2, 3, 7, 8].map(|value| verdict(&filter, 0, first(value)));
        assert_eq!(found, [EPERM, ALLOW, 0x0005_0005, ALLOW]);
    }
}

#[test]
fn the_same_conditions_with_two_actions_are_refused() {
    let rule = |action: &str| json!({"names": ["read"], "action": action, "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 7}]});
    let rules = [rule("SCMP_ACT_ALLOW"), rule("SCMP_ACT_LOG")];
    let (pointer, message) = refused(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}));
    assert_eq!(pointer, "/linux/seccomp/syscalls/1");
    assert!(message.contains("another action"), "{message}");
}

#[test]
fn the_first_rule_without_conditions_decides() {
    let rule = |action: &str, args: Value| json!({"names": ["read"], "action": action, "args": args});
    let guarded = json!([{"index": 0, "op": "SCMP_CMP_EQ", "value": 7}]);
    let rules = [
        rule("SCMP_ACT_KILL", guarded),
        rule("SCMP_ACT_LOG", json!([])),
        rule("SCMP_ACT_ALLOW", Value::Null),
    ];
    let filter = compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}));
    assert_eq!([0, 7].map(|value| verdict(&filter, 0, first(value))), [0x7ffc_0000; 2]);
}

#[test]
fn names_that_no_architecture_has_are_told_and_ignored() {
    let filter = compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read", "raed", "s390_pci_mmio_read", "set_tls"], "action": "SCMP_ACT_ALLOW"}]}));
    let unknown: Vec<&str> = filter.unknown.iter().map(|warning| warning.pointer.as_str()).collect();
    assert_eq!(unknown, ["/linux/seccomp/syscalls/0/names/1"]);
}

#[test]
fn a_socket_call_of_x86_is_found_behind_socketcall() {
    let filter = compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [{"names": ["bind", "semop"], "action": "SCMP_ACT_ALLOW"}]}));
    let call = |number, first| {
        bpf::run(&filter.insns, &Data { number, arch: X86, args: [first, 0, 0, 0, 0, 0] }).unwrap()
    };
    assert_eq!([call(361, 0), call(102, 2), call(102, 1)], [ALLOW, ALLOW, EPERM]);
    assert_eq!([call(117, 1), call(117, 2)], [ALLOW, EPERM]);
}
