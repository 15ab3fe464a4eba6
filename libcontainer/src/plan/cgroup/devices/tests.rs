use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;

/// The law, word by word: each access is decided by the last rule that covers it.
fn granted(rules: &[DeviceRule], kind: DeviceKind, major: u32, minor: u32, wanted: u8) -> bool {
    let covers = |rule: &&DeviceRule, bit: u8| rule.access & bit != 0 && rule.matches(kind, major, minor);
    [MKNOD, READ, WRITE]
        .into_iter()
        .filter(|bit| wanted & bit != 0)
        .all(|bit| rules.iter().rev().find(|rule| covers(rule, bit)).is_some_and(|rule| rule.allow))
}

/// The verdict of the program in rbpf's machine.
fn verdict(insns: &[u64], kind: DeviceKind, major: u32, minor: u32, wanted: u8) -> bool {
    let bytes: Vec<u8> = insns.iter().flat_map(|insn| insn.to_ne_bytes()).collect();
    let kind = if kind == DeviceKind::Block { 1 } else { 2 };
    let mut context: Vec<u8> =
        [u32::from(wanted) << 16 | kind, major, minor].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let machine = rbpf::EbpfVmRaw::new(Some(&bytes)).unwrap();
    match machine.execute_program(&mut context).unwrap() {
        0 => false,
        1 => true,
        other => panic!("verdict {other}"),
    }
}

/// The v1 controller (security/device_cgroup.c): a default and exceptions from it. In a cgroup that allows by default one
/// access that meets an exception refuses, in the other kind one exception has to hold every access.
#[derive(Default)]
struct V1 {
    allow: bool,
    exceptions: Vec<(DeviceKind, Option<u32>, Option<u32>, u8)>,
}

impl V1 {
    fn write(&mut self, file: &str, value: &str) {
        let allow = file == "devices.allow";
        if value == "a" {
            *self = Self { allow, exceptions: Vec::new() };
            return;
        }
        assert_ne!(allow, self.allow, "only exceptions are written after the default");
        let (kind, rest) = value.split_at(2);
        let kind = if kind == "b " { DeviceKind::Block } else { DeviceKind::Char };
        let (numbers, letters) = rest.split_once(' ').unwrap();
        let (major, minor) = numbers.split_once(':').unwrap();
        let number = |text: &str| (text != "*").then(|| text.parse().unwrap());
        let access = access(Some(letters), String::new).unwrap();
        self.exceptions.push((kind, number(major), number(minor), access));
    }

    fn granted(&self, kind: DeviceKind, major: u32, minor: u32, wanted: u8) -> bool {
        let mut met = self.exceptions.iter().filter(|(k, a, b, _)| {
            *k == kind && a.is_none_or(|a| a == major) && b.is_none_or(|b| b == minor)
        });
        match self.allow {
            true => !met.any(|(.., access)| access & wanted != 0),
            false => met.any(|(.., access)| wanted & !access == 0),
        }
    }
}

fn any_kind() -> impl Strategy<Value = DeviceKind> {
    prop_oneof![Just(DeviceKind::Any), Just(DeviceKind::Block), Just(DeviceKind::Char)]
}

fn any_rule() -> impl Strategy<Value = DeviceRule> {
    let numbers = |bits: u32| {
        of(prop_oneof![9 => 0..4u32, 1 => any::<u32>(), 1 => Just((1 << bits) - 1), 1 => Just(1 << bits)])
    };
    let access = prop_oneof![Just(ALL), 1..=ALL];
    (any::<bool>(), any_kind(), numbers(12), numbers(20), access).prop_map(
        |(allow, kind, major, minor, access)| DeviceRule {
            allow,
            kind,
            major,
            minor,
            access,
            pointer: Cow::Borrowed("/test"),
        },
    )
}

fn any_request() -> impl Strategy<Value = (DeviceKind, u32, u32, u8)> {
    // A device number has 12 and 20 bits.
    let number = |bits: u32| prop_oneof![9 => 0..4u32, 1 => 0..1u32 << bits, 1 => Just((1 << bits) - 1)];
    (prop_oneof![Just(DeviceKind::Block), Just(DeviceKind::Char)], number(12), number(20), 1..=ALL)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_program_decides_as_the_rules(rules in vec(any_rule(), 0..24), requests in vec(any_request(), 1..16)) {
        let insns = program(&rules).unwrap();
        for (kind, major, minor, wanted) in requests {
            prop_assert_eq!(
                verdict(&insns, kind, major, minor, wanted),
                granted(&rules, kind, major, minor, wanted),
                "{:?} {}:{} {}", kind, major, minor, wanted
            );
        }
    }

    /// v1 may refuse a list it cannot express; what it writes decides single accesses as the rules.
    #[test]
    fn the_v1_writes_decide_as_the_rules_or_are_refused(rules in vec(any_rule(), 0..8), requests in vec(any_request(), 1..16)) {
        let Ok(writes) = writes(&rules, 0, true) else { return Ok(()) };
        let mut v1 = V1::default();
        for write in &writes {
            v1.write(&write.file, &write.value);
        }
        for (kind, major, minor, wanted) in requests {
            for bit in [MKNOD, READ, WRITE].into_iter().filter(|bit| wanted & bit != 0) {
                prop_assert_eq!(
                    v1.granted(kind, major, minor, bit), granted(&rules, kind, major, minor, bit),
                    "{:?} {}:{} {} by {:?}", kind, major, minor, bit, writes
                );
            }
        }
    }
}

fn configured(json: &str) -> Vec<DeviceRule> {
    rules(&serde_json::from_str::<Vec<LinuxDeviceCgroup>>(json).unwrap(), true).unwrap()
}

#[test]
fn without_the_rules_that_every_container_needs_only_the_listed_ones_count() {
    let listed: Vec<LinuxDeviceCgroup> =
        serde_json::from_str(r#"[{"allow":true,"type":"c","major":1,"minor":3,"access":"r"}]"#).unwrap();
    let insns = program(&rules(&listed, false).unwrap()).unwrap();
    assert!(verdict(&insns, DeviceKind::Char, 1, 3, READ));
    assert!(!verdict(&insns, DeviceKind::Char, 1, 3, WRITE));
    assert!(!verdict(&insns, DeviceKind::Char, 1, 5, READ));
    assert!(!verdict(&insns, DeviceKind::Block, 8, 0, MKNOD));
}

/// What the controller tells about itself, as `devices.list` does.
impl V1 {
    fn list(&self) -> String {
        if self.allow {
            return "a *:* rwm\n".to_owned();
        }
        let line = |(kind, major, minor, access): &(DeviceKind, Option<u32>, Option<u32>, u8)| {
            let kind = if *kind == DeviceKind::Block { 'b' } else { 'c' };
            format!("{}\n", Entry(kind, *major, *minor, *access))
        };
        self.exceptions.iter().map(line).collect()
    }

    /// A write to a list that has exceptions already: the kernel adds to the entry for the same devices or takes from it.
    fn change(&mut self, file: &str, value: &str) {
        if value == "a" || (file == "devices.allow") != self.allow {
            let before = self.exceptions.len();
            self.write(file, value);
            let added = self.exceptions.get(before).cloned();
            let same = |a: &(DeviceKind, Option<u32>, Option<u32>, u8)| {
                added.as_ref().is_some_and(|b| (a.0, a.1, a.2) == (b.0, b.1, b.2))
            };
            let bits = self.exceptions.iter().filter(|e| same(e)).fold(0, |bits, e| bits | e.3);
            if let Some((kind, major, minor, _)) = added {
                self.exceptions.retain(|e| !same(e));
                self.exceptions.push((kind, major, minor, bits));
            }
            return;
        }
        let mut one = V1 { allow: !self.allow, exceptions: Vec::new() };
        one.write(if one.allow { "devices.deny" } else { "devices.allow" }, value);
        let (kind, major, minor, bits) = one.exceptions.remove(0);
        let same = |e: &(DeviceKind, Option<u32>, Option<u32>, u8)| (e.0, e.1, e.2) == (kind, major, minor);
        self.exceptions.iter_mut().filter(|e| same(e)).for_each(|e| e.3 &= !bits);
        self.exceptions.retain(|e| e.3 != 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// From whatever list to whatever other: the difference leads to the same place, and no step of it opens more than both.
    #[test]
    fn the_difference_of_two_v1_lists_leads_from_one_to_the_other(
        before in vec(any_rule(), 0..8), after in vec(any_rule(), 0..8), requests in vec(any_request(), 1..16)
    ) {
        let (Ok(old), Ok(new)) = (writes(&before, 0, true), writes(&after, 0, true)) else { return Ok(()) };
        let (mut v1, mut target) = (V1::default(), V1::default());
        old.iter().for_each(|write| v1.change(&write.file, &write.value));
        new.iter().for_each(|write| target.change(&write.file, &write.value));
        let origin = V1 { allow: v1.allow, exceptions: v1.exceptions.clone() };
        for write in device_transition(&new, &v1.list()) {
            v1.change(&write.file, &write.value);
            for &(kind, major, minor, wanted) in &requests {
                let open = v1.granted(kind, major, minor, wanted);
                let either = origin.granted(kind, major, minor, wanted) || target.granted(kind, major, minor, wanted);
                prop_assert!(!open || either || target.allow, "{:?} {}:{} {}", kind, major, minor, wanted);
            }
        }
        let sorted = |v1: &V1| {
            let mut exceptions: Vec<_> = v1.exceptions.iter().map(|e| format!("{e:?}")).collect();
            exceptions.sort();
            (v1.allow, exceptions)
        };
        prop_assert_eq!(sorted(&v1), sorted(&target));
    }
}

#[test]
fn the_devices_every_container_needs_cannot_be_turned_off() {
    let rules =
        configured(r#"[{"allow":false,"type":"c","major":1,"minor":3,"access":"rwm"},{"allow":false}]"#);
    let insns = program(&rules).unwrap();
    assert!(verdict(&insns, DeviceKind::Char, 1, 3, READ | WRITE));
    assert!(verdict(&insns, DeviceKind::Block, 8, 0, MKNOD));
    assert!(!verdict(&insns, DeviceKind::Block, 8, 0, READ));
    assert!(!verdict(&insns, DeviceKind::Char, 1, 1, READ));
    assert!(verdict(&insns, DeviceKind::Block, 8, 0, 0), "a test for existence");
}

#[test]
fn absent_fields_and_minus_one_match_everything() {
    let rules = configured(r#"[{"allow":true},{"allow":false,"type":"b","major":-1,"minor":-1}]"#);
    let insns = program(&rules).unwrap();
    assert!(verdict(&insns, DeviceKind::Char, 240, 7, ALL));
    assert!(!verdict(&insns, DeviceKind::Block, 240, 7, WRITE));
}

#[test]
fn a_rule_that_decides_everything_ends_the_program() {
    let all = configured(r#"[{"allow":false},{"allow":true}]"#);
    let with_dead_rules =
        configured(r#"[{"allow":false,"type":"c","major":9},{"allow":false},{"allow":true}]"#);
    assert_eq!(program(&all).unwrap(), program(&with_dead_rules).unwrap());
    let deny_all: Vec<_> = configured("[]").into_iter().filter(|_| false).collect();
    assert!(!verdict(&program(&deny_all).unwrap(), DeviceKind::Char, 1, 3, READ));
}

#[test]
fn more_rules_than_a_jump_can_cross_are_refused_and_long_runs_work() {
    let rule = |minor| DeviceRule {
        allow: true,
        kind: DeviceKind::Block,
        major: Some(8),
        minor: Some(minor),
        access: ALL,
        pointer: Cow::Borrowed("/test"),
    };
    let rules: Vec<_> = (0..5000).map(rule).collect();
    let insns = program(&rules).unwrap();
    for minor in [0, 1, 998, 999, 1000, 4999] {
        assert!(verdict(&insns, DeviceKind::Block, 8, minor, ALL), "{minor}");
        assert!(!verdict(&insns, DeviceKind::Char, 8, minor, READ), "{minor}");
    }
    assert!(!verdict(&insns, DeviceKind::Block, 8, 5000, READ));
    let rules: Vec<_> = (0..50_000).map(rule).collect();
    assert_eq!(program(&rules).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn v1_writes_the_default_and_the_exceptions_only() {
    let values = |json| -> Vec<String> {
        let writes = writes(&configured(json), 0, true).unwrap();
        writes
            .into_iter()
            .map(|write| format!("{} {}", write.file.trim_start_matches("devices."), write.value))
            .collect()
    };
    let usual =
        values(r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"b","major":8,"access":"r"}]"#);
    assert_eq!(usual.get(..3).unwrap(), ["deny a", "allow b 8:* r", "allow c *:* m"]);
    assert_eq!(usual.len(), 2 + DEFAULTS.len());
    assert_eq!(values(r#"[{"allow":true,"access":"rwm"}]"#), ["allow a"]);
    assert_eq!(
        values(r#"[{"allow":true},{"allow":false,"type":"b","major":8,"access":"rwm"}]"#),
        ["allow a", "deny b 8:* rw"]
    );
}

#[test]
fn an_exception_from_an_exception_is_refused_on_v1() {
    let rules = configured(
        r#"[{"allow":true,"type":"c","access":"r"},{"allow":false,"type":"c","major":1,"minor":1,"access":"r"}]"#,
    );
    let error = writes(&rules, 0, true).unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::Unsupported, Some("/linux/resources/devices/1")));
    assert_eq!(error.message(), "cgroup: v1 cannot deny c 1:1 r after c *:* r");
}
