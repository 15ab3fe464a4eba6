//! The device rules as systemd is told them: no less than our own filter grants, which is the one that decides.
//!
//! systemd attaches a filter of its own beside ours, and a device must pass both. What only narrows a grant is left to ours.

use super::{Property, Value};
use crate::plan::cgroup::devices::{ALL, MKNOD, READ, WRITE};
use crate::plan::cgroup::{DEFAULT_RULE, DeviceKind, DeviceRule};

/// The slaves of terminals: the one group of devices that every kernel names so.
const PTS: u32 = 136;

/// `DevicePolicy` and `DeviceAllow`. Where everything is granted the policy says so.
pub(super) fn properties(rules: &[DeviceRule]) -> Vec<Property> {
    let everything = |rule: &&DeviceRule| {
        rule.allow
            && rule.kind == DeviceKind::Any
            && rule.major.is_none()
            && rule.minor.is_none()
            && rule.access == ALL
    };
    let pointer = if rules.iter().all(|rule| rule.pointer == DEFAULT_RULE) {
        "default"
    } else {
        "/linux/resources/devices"
    };
    let property = |name: &str, value| Property { name: name.to_owned(), value, pointer: pointer.to_owned() };
    let policy = |policy: &str| property("DevicePolicy", Value::text(policy));
    let allow = |list: Vec<Value>| property("DeviceAllow", Value::Array("(ss)".to_owned(), list));
    if rules.iter().any(|rule| everything(&rule)) {
        return vec![policy("auto")];
    }
    let mut list: Vec<Value> = Vec::new();
    for entry in rules.iter().filter(|rule| rule.allow).flat_map(entries) {
        if !list.contains(&entry) {
            list.push(entry);
        }
    }
    vec![policy("strict"), allow(list)]
}

/// An empty list takes an older one back: what is said later is added to it.
pub(super) fn reset() -> Property {
    let value = Value::Array("(ss)".to_owned(), Vec::new());
    Property { name: "DeviceAllow".to_owned(), value, pointer: "/linux/resources/devices".to_owned() }
}

fn entries(rule: &DeviceRule) -> Vec<Value> {
    let kinds: &[&str] = match rule.kind {
        DeviceKind::Any => &["block", "char"],
        DeviceKind::Block => &["block"],
        DeviceKind::Char => &["char"],
    };
    kinds
        .iter()
        .map(|kind| Value::Struct(vec![Value::Text(path(kind, rule)), Value::Text(access(rule.access))]))
        .collect()
}

/// Two numbers are a path that systemd reads as such; a number alone is a group.
fn path(kind: &str, rule: &DeviceRule) -> String {
    match (rule.major, rule.minor) {
        (Some(PTS), None) if kind == "char" => "char-pts".to_owned(),
        (Some(major), None) => format!("{kind}-{major}"),
        (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
        (None, _) => format!("{kind}-*"),
    }
}

fn access(bits: u8) -> String {
    let letters = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')];
    letters.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, letter)| *letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::cgroup::devices::rules;

    fn of(json: &str, defaults: bool) -> String {
        let configured: Vec<oci_spec::runtime::LinuxDeviceCgroup> = serde_json::from_str(json).unwrap();
        let properties = properties(&rules(&configured, defaults).unwrap());
        properties.iter().map(Property::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_granted_is_granted_by_systemd_too() {
        for (json, expected) in [
            ("[]", "DevicePolicy=\"strict\" DeviceAllow=[]"),
            (r#"[{"allow": false}]"#, "DevicePolicy=\"strict\" DeviceAllow=[]"),
            (r#"[{"allow": false}, {"allow": true}]"#, "DevicePolicy=\"auto\""),
            (
                r#"[{"allow": true, "access": "r"}]"#,
                "DevicePolicy=\"strict\" DeviceAllow=[(\"block-*\", \"r\"), (\"char-*\", \"r\")]",
            ),
            (
                r#"[{"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"}, {"allow": false, "type": "c", "major": 10, "minor": 229}]"#,
                "DevicePolicy=\"strict\" DeviceAllow=[(\"/dev/char/10:229\", \"rwm\")]",
            ),
            (
                r#"[{"allow": true, "type": "b", "major": 8, "access": "m"}, {"allow": true, "type": "b", "major": 8, "access": "m"}]"#,
                "DevicePolicy=\"strict\" DeviceAllow=[(\"block-8\", \"m\")]",
            ),
            (
                r#"[{"allow": true, "type": "c", "minor": 3}]"#,
                "DevicePolicy=\"strict\" DeviceAllow=[(\"char-*\", \"rwm\")]",
            ),
        ] {
            assert_eq!(of(json, false), expected, "{json}");
        }
        let usual = of("[]", true);
        for granted in ["(\"/dev/char/1:3\", \"rwm\")", "(\"char-pts\", \"rwm\")", "(\"char-*\", \"m\")"] {
            assert!(usual.contains(granted), "{usual}");
        }
    }
}
