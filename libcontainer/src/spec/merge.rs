//! The `linux.resources` of an update laid over those that a container has. Pure.
//!
//! Law: what is absent, or null, stays as it is. 0 and the empty string mean absence for most fields, as they do when a container is created; an entry of
//! a list replaces the one with the same key. Every other value replaces the one that was there.

use serde_json::{Value, json};

/// How one field is merged; `a/b` is its place below `linux.resources`.
enum Rule {
    /// 0, and an empty string, are no value.
    Unset,
    /// The entries of a list are known by these members.
    Keyed(&'static [&'static str]),
    /// The list is replaced as a whole.
    Whole,
    /// Nothing of it is kept: the kernel has nothing for it any more.
    Dropped,
}

const DEVICE: &[&str] = &["major", "minor"];

const RULES: &[(&str, Rule)] = &[
    ("devices", Rule::Whole),
    ("memory/limit", Rule::Unset),
    ("memory/reservation", Rule::Unset),
    ("memory/swap", Rule::Unset),
    ("memory/kernel", Rule::Dropped),
    ("memory/kernelTCP", Rule::Dropped),
    ("memory/useHierarchy", Rule::Dropped),
    ("cpu/shares", Rule::Unset),
    ("cpu/quota", Rule::Unset),
    ("cpu/period", Rule::Unset),
    ("cpu/realtimeRuntime", Rule::Unset),
    ("cpu/realtimePeriod", Rule::Unset),
    ("cpu/cpus", Rule::Unset),
    ("cpu/mems", Rule::Unset),
    ("blockIO/weight", Rule::Unset),
    ("blockIO/leafWeight", Rule::Unset),
    ("blockIO/weightDevice", Rule::Keyed(DEVICE)),
    ("blockIO/throttleReadBpsDevice", Rule::Keyed(DEVICE)),
    ("blockIO/throttleWriteBpsDevice", Rule::Keyed(DEVICE)),
    ("blockIO/throttleReadIOPSDevice", Rule::Keyed(DEVICE)),
    ("blockIO/throttleWriteIOPSDevice", Rule::Keyed(DEVICE)),
    ("hugepageLimits", Rule::Keyed(&["pageSize"])),
    ("network/classID", Rule::Unset),
    ("network/priorities", Rule::Keyed(&["name"])),
];

/// `present` with `given` laid over it. Keys of `unified` that name one of the files in `superseded` go, unless they are given anew: a field of the update
/// stands for these files.
pub fn resources(present: &Value, given: &Value, superseded: &[String]) -> Value {
    let mut merged = present.clone();
    if let Some(unified) = merged.pointer_mut("/unified").and_then(Value::as_object_mut) {
        unified.retain(|file, _| !superseded.contains(file));
    }
    lay_over(&mut merged, given, "");
    // v1 counts memory and swap together: who takes the limit of memory away means both.
    let limit = |document: &Value, key: &str| document.pointer(key).and_then(Value::as_i64).unwrap_or(0);
    if limit(given, "/memory/limit") == -1 && limit(given, "/memory/swap") == 0 {
        merged["memory"]["swap"] = json!(-1);
    }
    merged
}

fn lay_over(present: &mut Value, given: &Value, place: &str) {
    let rule = RULES.iter().find(|(name, _)| *name == place).map(|(_, rule)| rule);
    match (rule, given) {
        (Some(Rule::Dropped), _) | (_, Value::Null) => {}
        (Some(Rule::Unset), value) if is_unset(value) => {}
        (Some(Rule::Keyed(keys)), Value::Array(entries)) => upsert(present, entries, keys),
        (None, Value::Object(fields)) => {
            let mut object = present.as_object_mut().map(std::mem::take).unwrap_or_default();
            for (key, value) in fields {
                let below = if place.is_empty() { key.clone() } else { format!("{place}/{key}") };
                lay_over(object.entry(key.clone()).or_insert(Value::Null), value, &below);
            }
            object.retain(|_, value| !value.is_null());
            *present = Value::Object(object);
        }
        (_, value) => *present = value.clone(),
    }
}

fn is_unset(value: &Value) -> bool {
    value.as_i64() == Some(0) || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// Each entry takes the place of the one with its key, or stands at the end. What an entry does not say stays.
fn upsert(present: &mut Value, entries: &[Value], keys: &[&str]) {
    if !present.is_array() {
        *present = json!([]);
    }
    let Some(list) = present.as_array_mut() else { return };
    for entry in entries {
        let same = |other: &&mut Value| keys.iter().all(|key| other.get(*key) == entry.get(*key));
        // Of duplicates the last is the one in force.
        match list.iter_mut().rfind(same) {
            Some(other) => lay_over(other, entry, "entry"),
            None => list.push(entry.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn merged(present: Value, given: Value) -> Value {
        super::resources(&present, &given, &[])
    }

    #[test]
    fn what_is_absent_null_or_unset_stays() {
        let present = json!({
            "memory": { "limit": 4096, "swap": 8192, "swappiness": 7 },
            "cpu": { "quota": 5000, "cpus": "0" },
            "pids": { "limit": 5 },
        });
        for given in [
            json!({}),
            json!({ "memory": null, "pids": null, "cpu": { "quota": null } }),
            json!({ "memory": { "limit": 0, "swap": 0, "kernel": 5, "useHierarchy": false }, "cpu": { "quota": 0, "cpus": " " } }),
        ] {
            assert_eq!(merged(present.clone(), given.clone()), present, "{given}");
        }
    }

    #[test]
    fn a_value_replaces_the_one_that_was_there_also_a_zero_that_is_a_limit() {
        let present = json!({ "pids": { "limit": 5 }, "cpu": { "idle": 1, "burst": 7, "shares": 9 } });
        let given =
            json!({ "pids": { "limit": 0 }, "cpu": { "idle": 0, "burst": 0 }, "memory": { "limit": 4096 } });
        let expected = json!({
            "pids": { "limit": 0 }, "cpu": { "idle": 0, "burst": 0, "shares": 9 }, "memory": { "limit": 4096 },
        });
        assert_eq!(merged(present, given), expected);
    }

    #[test]
    fn no_limit_of_memory_is_no_limit_of_swap_unless_one_is_given() {
        let swap = |given: Value| {
            let present = json!({ "memory": { "limit": 4096, "swap": 8192 } });
            merged(present, json!({ "memory": given }))["memory"]["swap"].clone()
        };
        assert_eq!(swap(json!({ "limit": -1 })), json!(-1));
        assert_eq!(swap(json!({ "limit": -1, "swap": 100 })), json!(100));
        assert_eq!(swap(json!({ "limit": 8192 })), json!(8192));
    }

    #[test]
    fn entries_of_lists_are_replaced_by_key_and_added() {
        let present = json!({
            "blockIO": {
                "throttleReadBpsDevice": [{ "major": 8, "minor": 0, "rate": 1 }, { "major": 8, "minor": 1, "rate": 2 }],
                "weightDevice": [{ "major": 8, "minor": 0, "weight": 10, "leafWeight": 20 }],
            },
            "hugepageLimits": [{ "pageSize": "2MB", "limit": 1 }],
            "network": { "priorities": [{ "name": "lo", "priority": 1 }] },
            "rdma": { "a": { "hcaHandles": 1, "hcaObjects": 2 } },
        });
        let given = json!({
            "blockIO": {
                "throttleReadBpsDevice": [{ "major": 8, "minor": 1, "rate": 0 }, { "major": 9, "minor": 1, "rate": 7 }],
                "weightDevice": [{ "major": 8, "minor": 0, "weight": 30 }],
            },
            "hugepageLimits": [{ "pageSize": "1GB", "limit": 0 }, { "pageSize": "2MB", "limit": 3 }],
            "network": { "priorities": [{ "name": "lo", "priority": 2 }] },
            "rdma": { "a": { "hcaHandles": 9 } },
        });
        let expected = json!({
            "blockIO": {
                "throttleReadBpsDevice": [
                    { "major": 8, "minor": 0, "rate": 1 }, { "major": 8, "minor": 1, "rate": 0 }, { "major": 9, "minor": 1, "rate": 7 },
                ],
                "weightDevice": [{ "major": 8, "minor": 0, "weight": 30, "leafWeight": 20 }],
            },
            "hugepageLimits": [{ "pageSize": "2MB", "limit": 3 }, { "pageSize": "1GB", "limit": 0 }],
            "network": { "priorities": [{ "name": "lo", "priority": 2 }] },
            "rdma": { "a": { "hcaHandles": 9, "hcaObjects": 2 } },
        });
        assert_eq!(merged(present, given), expected);
    }

    #[test]
    fn of_duplicates_the_one_in_force_is_replaced() {
        let list = |rates: [u32; 2]| json!({ "hugepageLimits": rates.map(|limit| json!({ "pageSize": "2MB", "limit": limit })) });
        let given = json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": 9 }] });
        assert_eq!(merged(list([1, 1]), given), list([1, 9]));
    }

    #[test]
    fn a_field_takes_the_place_of_an_older_unified_key_and_a_unified_key_of_its_like() {
        let present = json!({ "unified": { "memory.max": "1", "memory.high": "2", "pids.max": "3" } });
        let given = json!({ "memory": { "limit": 4096 }, "unified": { "pids.max": "4" } });
        let merged = super::resources(&present, &given, &["memory.max".into()]);
        let expected =
            json!({ "memory": { "limit": 4096 }, "unified": { "memory.high": "2", "pids.max": "4" } });
        assert_eq!(merged, expected);
    }

    #[test]
    fn device_rules_are_replaced_as_a_whole() {
        let given = json!({ "devices": [{ "allow": false }] });
        assert_eq!(
            merged(json!({ "devices": [{ "allow": true }, { "allow": false }] }), given.clone()),
            given
        );
    }
}
