//! What an update writes, in both versions, from pairs of resources.

use serde_json::{Value, json};

use super::*;
use crate::cgroup::RecordedDir;
use crate::error::{Error, ErrorKind};

fn resources(value: Value) -> LinuxResources {
    serde_json::from_value(value).unwrap()
}

fn record(v2: bool) -> CgroupRecord {
    let names: &[&str] =
        if v2 { &[""] } else { &["cpu,cpuacct", "memory", "pids", "blkio", "cpuset", "devices", ""] };
    let dir = |name: &&str| RecordedDir {
        root: "/sys/fs/cgroup".into(),
        path: "web".into(),
        hierarchy: (*name).to_owned(),
        inode: 7,
    };
    CgroupRecord { v2, dirs: names.iter().map(dir).collect(), unit: None }
}

fn plan(v2: bool, given: &Value, before: &Value, after: &Value) -> Result<CgroupPlan> {
    let [given, before, after] = [given, before, after].map(|value| resources(value.clone()));
    let change =
        Update { given: &given, before: &before, after: &after, default_devices: true, privileged: true };
    update(&change, &record(v2))
}

/// The writes of an update that is laid over `before`, as `file=value`.
fn writes(v2: bool, given: Value, before: Value) -> Vec<String> {
    let superseded = files(&resources(given.clone()), v2);
    let after = crate::spec::merge(&before, &given, &superseded);
    let plan = plan(v2, &given, &before, &after).unwrap();
    assert!(plan.late.is_empty(), "an update has only one time");
    plan.early.iter().map(|write| format!("{}={}", write.file, write.value)).collect()
}

#[test]
fn only_what_is_asked_for_is_written() {
    let before =
        json!({ "cpu": { "shares": 512, "cpus": "0" }, "pids": { "limit": 5 }, "memory": { "limit": 4096 } });
    assert_eq!(writes(true, json!({}), before.clone()), [""; 0]);
    assert_eq!(writes(true, json!({ "pids": { "limit": 7 } }), before.clone()), ["pids.max=7"]);
    // Also if it is what was asked for before: somebody may have changed the file.
    assert_eq!(writes(false, json!({ "pids": { "limit": 5 } }), before.clone()), ["pids.max=5"]);
    assert_eq!(writes(false, json!({ "pids": { "limit": -1 } }), before), ["pids.max=max"]);
}

#[test]
fn quota_and_period_of_v2_are_one_file_and_the_other_half_stays() {
    let before = json!({ "cpu": { "quota": 5000, "period": 10_000 } });
    let with = |cpu: Value| writes(true, json!({ "cpu": cpu }), before.clone());
    assert_eq!(with(json!({ "period": 20_000 })), ["cpu.max=5000 20000"]);
    assert_eq!(with(json!({ "quota": 7000 })), ["cpu.max=7000 10000"]);
    assert_eq!(with(json!({ "quota": -1 })), ["cpu.max=max 10000"]);
    assert_eq!(with(json!({ "burst": 10 })), ["cpu.max.burst=10"]);
    assert_eq!(
        writes(false, json!({ "cpu": { "period": 20_000 } }), before.clone()),
        ["cpu.cfs_period_us=20000"]
    );
    assert_eq!(writes(true, json!({ "cpu": { "period": 20_000 } }), json!({})), ["cpu.max=max 20000"]);
}

#[test]
fn swap_of_v2_follows_the_limit_of_memory() {
    let before = json!({ "memory": { "limit": 4096, "swap": 8192 } });
    let with = |v2, memory: Value| writes(v2, json!({ "memory": memory }), before.clone());
    assert_eq!(with(true, json!({ "limit": 6144 })), ["memory.swap.max=2048", "memory.max=6144"]);
    assert_eq!(with(true, json!({ "swap": 12_288 })), ["memory.swap.max=8192"]);
    assert_eq!(with(true, json!({ "limit": -1 })), ["memory.swap.max=max", "memory.max=max"]);
    assert_eq!(with(false, json!({ "limit": 6144 })), ["memory.limit_in_bytes=6144"]);
    assert_eq!(
        with(false, json!({ "limit": -1 })),
        ["memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1"]
    );
    let both = with(false, json!({ "limit": 16_384, "swap": 32_768 }));
    assert_eq!(both, ["memory.limit_in_bytes=16384", "memory.memsw.limit_in_bytes=32768"]);
}

#[test]
fn shares_wait_while_the_group_is_idle_and_come_with_its_end() {
    let before = json!({ "cpu": { "idle": 1, "shares": 1024 } });
    let with = |cpu: Value| writes(true, json!({ "cpu": cpu }), before.clone());
    assert_eq!(with(json!({ "shares": 2 })), [""; 0]);
    assert_eq!(with(json!({ "idle": 0 })), ["cpu.idle=0", "cpu.weight=100"]);
}

#[test]
fn entries_of_lists_are_written_with_those_that_were_there() {
    let rate = |minor: u64, rate: u64| json!({ "major": 8, "minor": minor, "rate": rate });
    let before = json!({ "blockIO": { "throttleReadBpsDevice": [rate(0, 5)] } });
    let given = json!({ "blockIO": { "throttleReadBpsDevice": [rate(1, 6)] } });
    assert_eq!(writes(true, given, before), ["io.max=8:0 rbps=5", "io.max=8:1 rbps=6"]);
}

#[test]
fn the_oom_killer_can_be_had_back() {
    let before = json!({ "memory": { "disableOOMKiller": true } });
    let given = json!({ "memory": { "disableOOMKiller": false } });
    assert_eq!(writes(false, given.clone(), before.clone()), ["memory.oom_control=0"]);
    assert_eq!(writes(false, given, json!({})), [""; 0]);
    assert_eq!(writes(false, json!({ "memory": { "swappiness": 3 } }), before), ["memory.swappiness=3"]);
}

#[test]
fn a_field_ends_what_an_older_unified_key_said_about_its_file() {
    let before = json!({ "unified": { "pids.max": "9", "memory.high": "1" } });
    assert_eq!(writes(true, json!({ "pids": { "limit": 7 } }), before.clone()), ["pids.max=7"]);
    assert_eq!(writes(true, json!({ "unified": { "pids.max": "8" } }), before), ["pids.max=8"]);
}

#[test]
fn device_rules_are_touched_only_when_they_differ() {
    let rule = json!({ "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw" });
    let (before, other) = (json!({ "devices": [{ "allow": false }] }), json!({ "devices": [rule] }));
    for v2 in [true, false] {
        let same = plan(v2, &before, &before, &before).unwrap();
        assert_eq!((same.devices.program, same.ready), (None, vec![]), "v2 {v2}");
        let changed = plan(v2, &other, &before, &other).unwrap();
        assert_eq!(changed.devices.program.is_some(), v2);
        assert_eq!(changed.ready.iter().any(|write| write.value == "c 10:229 rw"), !v2);
        assert!(changed.early.is_empty());
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let refused = |v2, given: Value| -> Error { plan(v2, &given, &json!({}), &given).unwrap_err() };
    let error = refused(false, json!({ "unified": { "pids.max": "7" } }));
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::Unsupported, Some("/linux/resources/unified")));
    let error = refused(false, json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": 1 }] }));
    assert_eq!(error.pointer(), Some("/linux/resources/hugepageLimits/0"));
    assert!(error.message().contains("the hugetlb controller is not available"), "{error}");
    let given = resources(json!({ "pids": { "limit": 7 } }));
    let change =
        Update { given: &given, before: &given, after: &given, default_devices: true, privileged: true };
    let error = update(&change, &CgroupRecord::default()).unwrap_err();
    assert_eq!(error.pointer(), Some("/linux/resources/pids/limit"));
    assert!(error.message().contains("without a cgroup"), "{error}");
}

#[test]
fn what_a_version_has_nothing_for_is_told() {
    let given = json!({ "memory": { "swappiness": 5 } });
    let plan = plan(true, &given, &json!({}), &given).unwrap();
    assert_eq!(plan.ignored.len(), 1);
    assert_eq!(plan.ignored[0].pointer, "/linux/resources/memory/swappiness");
}
