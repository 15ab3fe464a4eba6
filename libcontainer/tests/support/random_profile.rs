//! Profiles out of a hat.
#![allow(missing_docs, dead_code)] // each test program uses its part
#![allow(clippy::unwrap_used)] // helpers of tests

use oci_spec::runtime::LinuxSeccomp;
use serde_json::{Value, json};

/// xorshift: the same profiles on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.next();
        }
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const DEFAULTS: [&str; 7] = ["ERRNO", "KILL", "KILL_PROCESS", "TRAP", "ALLOW", "LOG", "TRACE"];
const OPERATORS: [&str; 7] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
const ARCHITECTURES: [&str; 11] = [
    "X86",
    "X32",
    "AARCH64",
    "ARM",
    "RISCV64",
    "X86_64",
    "LOONGARCH64",
    "PPC64LE",
    "MIPSEL",
    "MIPSEL64",
    "NATIVE",
];
const VALUES: [u64; 14] = [
    0,
    1,
    2,
    3,
    5,
    16,
    17,
    0x7e02_0000,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0005,
    0x8000_0000_0000_0000,
    u64::MAX,
];
const NAMES: [&str; 40] = [
    "read",
    "write",
    "open",
    "openat",
    "socket",
    "socketcall",
    "accept",
    "accept4",
    "bind",
    "ipc",
    "semop",
    "semget",
    "shmat",
    "msgctl",
    "clone",
    "clone3",
    "personality",
    "mkdir",
    "mkdirat",
    "mount",
    "ioctl",
    "fcntl",
    "fcntl64",
    "_llseek",
    "lseek",
    "execve",
    "execveat",
    "rt_sigaction",
    "readv",
    "getppid",
    "getpid",
    "futex",
    "keyctl",
    "bpf",
    "prctl",
    "arch_prctl",
    "set_tls",
    "cacheflush",
    "recv",
    "no_such_call",
];

/// Calls that meet in `socketcall` and `ipc`.
const FAMILIES: [&str; 12] = [
    "socket",
    "socketcall",
    "accept",
    "accept4",
    "bind",
    "ipc",
    "semop",
    "semget",
    "shmat",
    "msgctl",
    "recv",
    "send",
];

/// `simple`: no call has two rules with conditions.
pub fn profile(random: &mut Random, simple: bool) -> LinuxSeccomp {
    let default = *random.pick(&DEFAULTS);
    let architectures: Vec<String> =
        (0..random.below(4)).map(|_| format!("SCMP_ARCH_{}", random.pick(&ARCHITECTURES))).collect();
    // One action for all conditions of a profile: where conditions of different actions overlap, libseccomp has no rule.
    let action = action(random);
    let mut taken = simple.then(Vec::new);
    let syscalls: Vec<Value> = (0..random.below(45)).map(|_| rule(random, &action, &mut taken)).collect();
    let mut profile = json!({"defaultAction": format!("SCMP_ACT_{default}"), "architectures": architectures, "syscalls": syscalls});
    if ["ERRNO", "TRACE"].contains(&default) && random.below(2) == 0 {
        profile["defaultErrnoRet"] = json!(*random.pick(&[0, 1, 13, 38]));
    }
    serde_json::from_value(profile).unwrap()
}

/// An action and its errno.
fn action(random: &mut Random) -> (String, Option<u32>) {
    let action = *random.pick(&["ALLOW", "ALLOW", "ALLOW", "ERRNO", "LOG", "TRAP", "TRACE", "KILL_PROCESS"]);
    let errno =
        (["ERRNO", "TRACE"].contains(&action) && random.below(2) == 0).then(|| *random.pick(&[1, 2, 38]));
    (format!("SCMP_ACT_{action}"), errno)
}

fn rule(random: &mut Random, shared: &(String, Option<u32>), taken: &mut Option<Vec<&str>>) -> Value {
    let mut names: Vec<&str> = (0..1 + random.below(6)).map(|_| *random.pick(&NAMES)).collect();
    let conditions = if random.below(2) == 0 { 0 } else { 1 + random.below(3) };
    let mut args: Vec<Value> = (0..conditions).map(|_| condition(random)).collect();
    if let Some(taken) = taken.as_mut().filter(|_| !args.is_empty()) {
        simplify(&mut args);
        names.retain(|name| !FAMILIES.contains(name) && !taken.contains(name));
        names.sort_unstable();
        names.dedup();
        taken.extend(&names);
    }
    let (action, errno) = if args.is_empty() { action(random) } else { shared.clone() };
    json!({"names": names, "action": action, "errnoRet": errno, "args": args})
}

fn condition(random: &mut Random) -> Value {
    let op = format!("SCMP_CMP_{}", random.pick(&OPERATORS));
    json!({"index": random.below(4), "value": random.pick(&VALUES), "valueTwo": random.pick(&VALUES), "op": op})
}

/// Two conditions on different arguments, or three that ask one argument for equality.
fn simplify(args: &mut Vec<Value>) {
    if args.len() == 3 {
        let index = args[0]["index"].clone();
        for arg in args {
            arg["op"] = json!("SCMP_CMP_EQ");
            arg["index"] = index.clone();
        }
        return;
    }
    args.dedup_by_key(|arg| arg["index"].clone());
}
