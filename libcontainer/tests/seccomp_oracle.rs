//! The seccomp compiler beside libseccomp: the same profile, every call, the arguments at which conditions change their mind.
//!
//! What runc adds to libseccomp (the rules it drops, conditions that become alternatives, ENOSYS for new calls) is added here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

#[path = "support/bpf.rs"]
mod bpf;
#[path = "support/libseccomp.rs"]
mod libseccomp;
#[path = "support/random_profile.rs"]
mod random_profile;

use std::collections::{BTreeMap, BTreeSet};

use bpf::Data;
use libseccomp::{ArgCmp, Library};
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall,
};
use random_profile::Random;
use teu::seccomp::{NATIVE, compile, number};

const X86_64: u32 = 0xc000_003e;
const X32_BIT: u32 = 0x4000_0000;
const ENOSYS: u32 = 0x0005_0000 | 38;

/// The token of the kernel that an architecture's calls come with.
fn token(arch: Arch) -> u32 {
    if arch == Arch::ScmpArchX32 { Arch::ScmpArchX86_64 as u32 } else { arch as u32 }
}

/// One profile in both worlds.
struct Pair {
    ours: Vec<u64>,
    theirs: Vec<u64>,
    arches: Vec<Arch>,
    default: u32,
    /// The largest number that the profile names on each.
    last: BTreeMap<u32, Option<u32>>,
    /// Which rules name a call, by architecture and number.
    naming: BTreeMap<(u32, u32), Vec<usize>>,
    seccomp: LinuxSeccomp,
}

fn naming(seccomp: &LinuxSeccomp, arches: &[Arch]) -> BTreeMap<(u32, u32), Vec<usize>> {
    let mut naming: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
    for (index, rule) in seccomp.syscalls().iter().flatten().enumerate() {
        for (arch, name) in arches.iter().flat_map(|arch| rule.names().iter().map(move |name| (arch, name))) {
            if let Some(number) = number(*arch, name) {
                naming.entry((*arch as u32, number)).or_default().push(index);
            }
        }
    }
    naming
}

/// The largest number that the profile names, as runc looks for it. Neither the private calls of ARM nor the missing numbers
/// of multiplexed calls mislead us as they do runc.
fn last(seccomp: &LinuxSeccomp, arch: Arch) -> Option<u32> {
    let names = seccomp.syscalls().iter().flatten().flat_map(|syscall| syscall.names());
    let numbers = names.filter_map(|name| number(arch, name));
    numbers.filter(|number| arch != Arch::ScmpArchArm || *number < 0xf0000).max()
}

fn data(action: LinuxSeccompAction, errno: Option<u32>) -> u32 {
    action.as_u32(errno)
}

fn is_met(arg: &LinuxSeccompArg, argument: u64, wide: bool) -> bool {
    let cut = |value: u64| if wide { value } else { value & 0xffff_ffff };
    let (argument, value, two) = (cut(argument), cut(arg.value()), cut(arg.value_two().unwrap_or(0)));
    match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => argument != value,
        LinuxSeccompOperator::ScmpCmpLt => argument < value,
        LinuxSeccompOperator::ScmpCmpLe => argument <= value,
        LinuxSeccompOperator::ScmpCmpEq => argument == value,
        LinuxSeccompOperator::ScmpCmpGe => argument >= value,
        LinuxSeccompOperator::ScmpCmpGt => argument > value,
        LinuxSeccompOperator::ScmpCmpMaskedEq => argument & value == two & value,
    }
}

fn arg_cmp(arg: &LinuxSeccompArg) -> ArgCmp {
    ArgCmp {
        arg: u32::try_from(arg.index()).unwrap(),
        op: arg.op() as i32,
        datum_a: arg.value(),
        datum_b: arg.value_two().unwrap_or(0),
    }
}

impl Pair {
    fn new(library: Library, seccomp: LinuxSeccomp) -> Result<Pair, i32> {
        let mut pair = Pair::alone(seccomp);
        let filter = library.filter(pair.default);
        // An older libseccomp knows fewer architectures.
        pair.arches.retain(|arch| filter.add_arch(*arch as u32).is_ok());
        pair.seccomp.set_architectures(Some(pair.arches.clone()));
        leave_out_unshared_names(library, &mut pair.seccomp, &pair.arches);
        if pair.seccomp.syscalls().iter().flatten().count() > 32 {
            filter.optimize()?;
        }
        for syscall in pair.seccomp.syscalls().iter().flatten() {
            add(library, &filter, syscall, pair.default)?;
        }
        Ok(Pair { theirs: filter.program().unwrap(), ..Pair::alone(pair.seccomp) })
    }

    /// Without libseccomp.
    fn alone(seccomp: LinuxSeccomp) -> Pair {
        let default = data(seccomp.default_action(), seccomp.default_errno_ret());
        let mut arches = vec![NATIVE];
        for arch in seccomp.architectures().iter().flatten() {
            if *arch != Arch::ScmpArchNative && !arches.contains(arch) {
                arches.push(*arch);
            }
        }
        let ours = compile(&seccomp, NATIVE).unwrap().insns;
        let last = arches.iter().map(|arch| (*arch as u32, last(&seccomp, *arch))).collect();
        let naming = naming(&seccomp, &arches);
        Pair { ours, theirs: Vec::new(), arches, default, last, naming, seccomp }
    }

    /// The rules that name a call: actions and conditions. Repetitions of the default are left out.
    fn rules(&self, call: &Data, arch: Arch) -> Vec<(u32, &[LinuxSeccompArg])> {
        let indices = self.naming.get(&(arch as u32, call.number)).into_iter().flatten();
        let all = self.seccomp.syscalls().as_deref().unwrap_or_default();
        let rules = indices.filter_map(|index| all.get(*index));
        let rules = rules
            .map(|rule| (data(rule.action(), rule.errno_ret()), rule.args().as_deref().unwrap_or_default()));
        rules.filter(|(action, _)| *action != self.default).collect()
    }

    /// libseccomp's verdict below what runc adds for new calls.
    fn theirs(&self, call: &Data, arch: Arch) -> u32 {
        let verdict = bpf::run(&self.theirs, call).unwrap();
        if self.is_new(call, arch) { ENOSYS } else { verdict }
    }

    /// Newer than the profile, which has an answer for that.
    fn is_new(&self, call: &Data, arch: Arch) -> bool {
        use LinuxSeccompAction::{ScmpActAllow, ScmpActLog, ScmpActTrace};
        let passes = [ScmpActAllow, ScmpActLog, ScmpActTrace].contains(&self.seccomp.default_action());
        let answers = !passes && self.seccomp.default_errno_ret() != Some(38);
        let skip = call.number == u32::MAX
            && !self.arches.contains(&Arch::ScmpArchX32)
            && call.arch == token(Arch::ScmpArchX86_64);
        let last = self.last.get(&(arch as u32)).copied().flatten();
        let beyond = answers && !skip && last.is_some_and(|last| call.number > last);
        beyond && (arch != Arch::ScmpArchArm || self.rules(call, arch).is_empty())
    }

    /// What the profile says in plain words: the first rule without conditions, or else any whose conditions are met. Random
    /// profiles have one action for all their conditions, so that no order matters.
    fn plain_reading(&self, call: &Data, arch: Arch) -> u32 {
        if self.is_new(call, arch) {
            return ENOSYS;
        }
        let rules = self.rules(call, arch);
        let wide = arch as u32 & 0x8000_0000 != 0 && arch != Arch::ScmpArchMipsel64n32;
        let any_of = |args: &[LinuxSeccompArg], meets: &dyn Fn(&LinuxSeccompArg) -> bool| {
            let indices: BTreeSet<usize> = args.iter().map(LinuxSeccompArg::index).collect();
            if indices.len() == args.len() { args.iter().all(meets) } else { args.iter().any(meets) }
        };
        // A mask without bits asks nothing.
        let asks_nothing = |arg: &LinuxSeccompArg| {
            let bits = if wide { arg.value() } else { arg.value() & 0xffff_ffff };
            arg.op() == LinuxSeccompOperator::ScmpCmpMaskedEq && bits == 0
        };
        let always = |args: &[LinuxSeccompArg]| any_of(args, &asks_nothing);
        if let Some((action, _)) = rules.iter().find(|(_, args)| always(args)) {
            return *action;
        }
        let met = |arg: &LinuxSeccompArg| is_met(arg, call.args[arg.index()], wide);
        let matches = |args: &[LinuxSeccompArg]| any_of(args, &met);
        rules.iter().find(|(_, args)| matches(args)).map_or(self.default, |(action, _)| *action)
    }
}

fn add(
    library: Library,
    filter: &libseccomp::Filter,
    syscall: &LinuxSyscall,
    default: u32,
) -> Result<(), i32> {
    let action = data(syscall.action(), syscall.errno_ret());
    if action == default {
        return Ok(());
    }
    let args: Vec<ArgCmp> = syscall.args().iter().flatten().map(arg_cmp).collect();
    let indices: BTreeSet<u32> = args.iter().map(|arg| arg.arg).collect();
    for name in syscall.names() {
        let Some(number) = library.resolve(name) else { continue };
        if indices.len() == args.len() {
            filter.add_rule(action, number, &args)?;
        } else {
            args.iter().try_for_each(|arg| filter.add_rule(action, number, &[*arg]))?;
        }
    }
    Ok(())
}

/// Leaves names out that one of the two does not know on some architecture: their tables are of different kernels.
fn leave_out_unshared_names(library: Library, seccomp: &mut LinuxSeccomp, arches: &[Arch]) {
    let shared = |name: &String| {
        arches.iter().all(|arch| match (library.resolve_arch(*arch as u32, name), number(*arch, name)) {
            (Some(theirs), Some(ours)) if theirs >= 0 => u32::try_from(theirs) == Ok(ours),
            // Negative: a call of other architectures, or one that is multiplexed here.
            (Some(_), None) => true,
            (Some(_), Some(_)) => MULTIPLEXED.contains(&name.as_str()),
            (None, _) => false,
        })
    };
    let mut syscalls = seccomp.syscalls().clone().unwrap_or_default();
    for syscall in &mut syscalls {
        let names = syscall.names().iter().filter(|name| shared(name)).cloned().collect();
        syscall.set_names(names);
    }
    seccomp.set_syscalls(Some(syscalls));
}

const MULTIPLEXED: [&str; 32] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
    "semop",
    "semget",
    "semctl",
    "semtimedop",
    "msgsnd",
    "msgrcv",
    "msgget",
    "msgctl",
    "shmat",
    "shmdt",
    "shmget",
    "shmctl",
];

/// Calls of one architecture and the arguments at which some condition changes its mind.
fn calls(pair: &Pair, arch: Arch, all: bool, random: &mut Random) -> Vec<Data> {
    let mut numbers: BTreeSet<u32> = BTreeSet::new();
    let bit = if arch == Arch::ScmpArchX32 { X32_BIT } else { 0 };
    if all {
        numbers.extend((0..7000).map(|number| number | bit));
        numbers.extend((0xf0000..0xf0010).map(|number| number | bit));
    }
    let mut guarded: BTreeMap<u32, Vec<LinuxSeccompArg>> = BTreeMap::new();
    for syscall in pair.seccomp.syscalls().iter().flatten() {
        let conditions = syscall.args().iter().flatten().copied();
        let through = ["socketcall", "ipc"].into_iter().filter_map(|name| number(arch, name));
        for found in syscall.names().iter().filter_map(|name| number(arch, name)).chain(through) {
            numbers.extend([found.saturating_sub(1), found, found + 1]);
            guarded.entry(found).or_default().extend(conditions.clone());
        }
    }
    let beyond = [0x3fff_ffff, X32_BIT, X32_BIT + 0x3fff_ffff, u32::MAX];
    numbers.extend(beyond.iter().map(|number| number | bit).filter(|number| all || number & X32_BIT == bit));
    let arch = token(arch);
    let mut found = Vec::new();
    for number in numbers {
        let conditions = guarded.get(&number).map_or(&[][..], Vec::as_slice);
        found.extend(arguments(conditions, random).into_iter().map(|args| Data { number, arch, args }));
    }
    found
}

/// Argument lists around the operands of `conditions`.
fn arguments(conditions: &[LinuxSeccompArg], random: &mut Random) -> Vec<[u64; 6]> {
    let mut pools: [Vec<u64>; 6] = std::array::from_fn(|_| vec![0]);
    pools[0].extend(1..25);
    for one in conditions {
        let two = one.value_two().unwrap_or(0);
        let near = [one.value(), two, one.value() & two, !one.value() | two];
        for value in near {
            let beside = [
                value,
                value.wrapping_sub(1),
                value.wrapping_add(1),
                value ^ (1 << 32),
                value ^ (1 << 63),
                value & 0xffff_ffff,
            ];
            pools[one.index()].extend(beside);
        }
    }
    let mut found = vec![[0; 6], [u64::MAX; 6]];
    for _ in 0..conditions.len().min(12) * 12 {
        found.push(std::array::from_fn(|index| *random.pick(&pools[index])));
    }
    found
}

/// What was compared, and where the two differ.
struct Compared {
    calls: usize,
    differences: Vec<String>,
}

fn compare(
    pair: &Pair,
    all: bool,
    random: &mut Random,
    oracle: fn(&Pair, &Data, Arch) -> Option<u32>,
) -> Compared {
    let mut found = Compared { calls: 0, differences: Vec::new() };
    for arch in &pair.arches {
        for call in calls(pair, *arch, all, random) {
            let meant = match (call.arch == token(Arch::ScmpArchX86_64), call.number & X32_BIT) {
                (true, 0) => Arch::ScmpArchX86_64,
                (true, _) => Arch::ScmpArchX32,
                (false, _) => *arch,
            };
            let Some(expected) = oracle(pair, &call, meant) else { continue };
            let ours = bpf::run(&pair.ours, &call).unwrap();
            found.calls += 1;
            if ours != expected {
                let call = format!("{meant} {} {:x?}", call.number, call.args);
                found.differences.push(format!("{call}: {ours:#x}, expected {expected:#x}"));
            }
        }
    }
    found
}

/// libseccomp, with what runc adds.
fn libseccomp(pair: &Pair, call: &Data, arch: Arch) -> Option<u32> {
    Some(pair.theirs(call, arch))
}

/// The profile in plain words, which do not say what a call behind another is.
fn plain_words(pair: &Pair, call: &Data, arch: Arch) -> Option<u32> {
    let multiplexed = ["socketcall", "ipc"].iter().any(|name| number(arch, name) == Some(call.number));
    let skipped = multiplexed || call.number == u32::MAX;
    let foreign = arch == Arch::ScmpArchX32 && !pair.arches.contains(&arch);
    (!skipped).then(|| if foreign { 0 } else { pair.plain_reading(call, arch) })
}

fn library() -> Option<Library> {
    let library = Library::load();
    if library.is_none() {
        println!("SKIP: libseccomp.so.2 is not installed; `cargo xt setup` installs it");
    }
    library
}

fn describe(pair: &Pair, differences: &[String]) -> String {
    let shown = differences.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    let profile = serde_json::to_string(&pair.seccomp).unwrap();
    format!("{} differences\n{shown}\n{profile}", differences.len())
}

/// No call has two rules with conditions, unless all ask for equality: with others libseccomp does not come back to the second
/// rule when the first was met in part, or never ends.
#[test]
fn random_profiles_mean_what_libseccomp_makes_of_them() {
    let Some(library) = library() else { return };
    let (mut compared, mut calls) = (0, 0);
    for seed in 1..1000 {
        let mut random = Random::new(seed);
        let profile = random_profile::profile(&mut random, true);
        // It refuses rules that are equal where arguments have 32 bits.
        let Ok(pair) = Pair::new(library, profile) else { continue };
        let found = compare(&pair, seed % 25 == 0, &mut random, libseccomp);
        assert!(found.differences.is_empty(), "seed {seed}: {}", describe(&pair, &found.differences));
        compared += 1;
        calls += found.calls;
        if compared == 500 {
            break;
        }
    }
    println!("{compared} profiles, {calls} calls");
    assert_eq!(compared, 500, "libseccomp refused the others");
}

/// Any number of rules for one call, with any conditions.
#[test]
fn random_profiles_mean_what_they_say_in_plain_words() {
    let mut calls = 0;
    for seed in 1001..=1500 {
        let mut random = Random::new(seed);
        let pair = Pair::alone(random_profile::profile(&mut random, false));
        let found = compare(&pair, seed % 25 == 0, &mut random, plain_words);
        assert!(found.differences.is_empty(), "seed {seed}: {}", describe(&pair, &found.differences));
        calls += found.calls;
    }
    println!("{calls} calls");
}

const ENGINES: [(&str, &str); 3] = [
    ("docker", include_str!("profiles/docker.json")),
    ("containerd", include_str!("profiles/containerd.json")),
    ("podman", include_str!("profiles/podman.json")),
];

fn profile(text: &str) -> LinuxSeccomp {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_profiles_of_engines_mean_what_libseccomp_makes_of_them() {
    let Some(library) = library() else { return };
    for (engine, text) in ENGINES {
        let pair = Pair::new(library, profile(text)).unwrap();
        let found = compare(&pair, true, &mut Random::new(1), libseccomp);
        assert!(found.differences.is_empty(), "{engine}: {}", describe(&pair, &found.differences));
        println!(
            "{engine}: {} calls, {} instructions, libseccomp's {}",
            found.calls,
            pair.ours.len(),
            pair.theirs.len()
        );
    }
}

/// The same profiles on a machine whose architecture is another.
#[test]
fn the_profiles_of_engines_mean_the_same_on_every_architecture() {
    let Some(library) = library() else { return };
    for (engine, text) in ENGINES {
        let mut elsewhere = profile(text);
        let arches =
            ["AARCH64", "ARM", "RISCV64", "LOONGARCH64", "PPC64LE", "MIPSEL", "MIPSEL64", "MIPSEL64N32"];
        let arches = arches.map(|arch| format!("SCMP_ARCH_{arch}"));
        elsewhere.set_architectures(serde_json::from_value(serde_json::to_value(arches).unwrap()).unwrap());
        let pair = Pair::new(library, elsewhere).unwrap();
        let found = compare(&pair, true, &mut Random::new(2), libseccomp);
        assert!(found.differences.is_empty(), "{engine}: {}", describe(&pair, &found.differences));
        assert!(pair.arches.len() > 7, "{:?}", pair.arches);
    }
}

/// An always allowed call must be answered from number and architecture alone: the kernel then remembers the answer.
/// A filter has one byte order. libseccomp, and so runc, refuses the same names; those of a later libseccomp it does not know.
#[test]
fn big_endian_architectures_are_refused_by_both() {
    use Arch::{
        ScmpArchM68k, ScmpArchMips, ScmpArchMips64, ScmpArchMips64n32, ScmpArchParisc, ScmpArchParisc64,
        ScmpArchPpc, ScmpArchPpc64, ScmpArchS390, ScmpArchS390x, ScmpArchSheb,
    };
    let all = [
        ScmpArchMips,
        ScmpArchMips64,
        ScmpArchMips64n32,
        ScmpArchPpc,
        ScmpArchPpc64,
        ScmpArchS390,
        ScmpArchS390x,
        ScmpArchParisc,
        ScmpArchParisc64,
        ScmpArchM68k,
        ScmpArchSheb,
    ];
    let library = library();
    for arch in all {
        let mut seccomp = profile(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#);
        seccomp.set_architectures(Some(vec![NATIVE, arch]));
        let error = compile(&seccomp, NATIVE).unwrap_err();
        assert_eq!(error.kind(), teu::ErrorKind::Unsupported, "{arch}");
        assert_eq!(error.pointer(), Some("/linux/seccomp/architectures/1"), "{arch}");
        let Some(library) = library else { continue };
        let refused = library.filter(0x7fff_0000).add_arch(arch as u32);
        assert!([Err(-libc::EDOM), Err(-libc::EINVAL)].contains(&refused), "{arch}: {refused:?}");
        let always_known = [ScmpArchMips, ScmpArchPpc64, ScmpArchS390x];
        assert!(!always_known.contains(&arch) || refused == Err(-libc::EDOM), "{arch}: {refused:?}");
    }
}

#[test]
fn what_is_always_allowed_is_what_the_kernel_can_remember() {
    let Some(library) = library() else { return };
    for (engine, text) in ENGINES {
        let pair = Pair::new(library, profile(text)).unwrap();
        let mut remembered = 0;
        for arch in [Arch::ScmpArchX86_64, Arch::ScmpArchX86].map(token) {
            for number in 0..600 {
                let ours = bpf::is_always_allowed(&pair.ours, number, arch);
                assert!(
                    ours || !bpf::is_always_allowed(&pair.theirs, number, arch),
                    "{engine}: {arch:x} {number}"
                );
                remembered += u32::from(ours);
            }
        }
        assert!(remembered > 600, "{engine}: {remembered}");
    }
}

/// The yardstick of the bench, which cannot load a library: libseccomp's program for Docker's profile. `BLESS=1` writes it.
#[test]
fn the_bench_runs_the_program_that_libseccomp_makes() {
    let Some(library) = library() else { return };
    let pair = Pair::new(library, profile(ENGINES[0].1)).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/profiles/docker.libseccomp");
    let text: String = pair.theirs.iter().map(|word| format!("{word:016x}\n")).collect();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    let kept: Vec<u64> = kept.lines().map(|word| u64::from_str_radix(word, 16).unwrap()).collect();
    // Newer libraries know more calls.
    for number in 0..400 {
        let call = Data { number, arch: X86_64, args: [0; 6] };
        assert_eq!(bpf::run(&kept, &call), bpf::run(&pair.theirs, &call), "{number}");
    }
}
