//! Devices and limits.

use super::*;

#[test]
fn devices_can_be_made() {
    let device = |typ: &str, path: &str, major: i64, minor: i64| {
        ("/linux/devices", json!([{"type": typ, "path": path, "major": major, "minor": minor}]))
    };
    invalid(&[
        (&[device("c", "dev/fuse", 10, 229)], "/linux/devices/0/path", "path is not absolute"),
        (&[device("c", "", 10, 229)], "/linux/devices/0/path", "path is not absolute"),
        (&[device("c", "/", 10, 229)], "/linux/devices/0/path", "does not name a file"),
        (&[device("c", "/dev/..", 10, 229)], "/linux/devices/0/path", "does not name a file"),
        (&[device("a", "/dev/fuse", 10, 229)], "/linux/devices/0/type", "type a is for cgroup rules"),
        (
            &[device("b", "/dev/fuse", 4096, 0)],
            "/linux/devices/0/major",
            "major 4096 is not within 0 and 4095",
        ),
        (&[device("u", "/dev/fuse", 0, -1)], "/linux/devices/0/minor", "minor -1 is not within"),
        (
            &[("/linux/devices", json!([{"type": "p", "path": "/dev/p", "uid": u32::MAX}]))],
            "/linux/devices/0/uid",
            "is not an id",
        ),
    ]);
    accepted(
        "/linux/devices",
        &[
            json!([{"type": "p", "path": "/run/pipe"}]),
            json!([{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "fileMode": 8630}]),
        ],
    );
}

#[test]
fn device_rules_have_known_letters() {
    let rule = "/linux/resources/devices/0";
    invalid(&[
        (
            &[("/linux/resources/devices/0/type", json!("p"))],
            &format!("{rule}/type"),
            "is not one of a, b and c",
        ),
        (
            &[("/linux/resources/devices/0/access", json!("xa"))],
            &format!("{rule}/access"),
            "none of r, w and m",
        ),
        (&[("/linux/resources/devices/0/major", json!(-2))], &format!("{rule}/major"), "out of range"),
        (
            &[("/linux/resources/devices/0/minor", json!(1_u64 << 32))],
            &format!("{rule}/minor"),
            "out of range",
        ),
    ]);
    accepted("/linux/resources/devices/0/major", &[json!(-1), json!(0), Value::Null]);
    accepted("/linux/resources/devices/0/access", &[json!("mwr"), json!(""), Value::Null]);
    let warned = load(&with("/linux/resources/devices/0/access", json!("rwa"))).unwrap();
    assert_eq!(warned.warnings()[0].pointer, "/linux/resources/devices/0/access");
}

#[test]
fn limits_make_sense() {
    let memory = |value: Value| ("/linux/resources/memory", value);
    let cpu = |value: Value| ("/linux/resources/cpu", value);
    invalid(&[
        (&[memory(json!({"limit": -2}))], "/linux/resources/memory/limit", "only -1 (no limit) may be"),
        (&[memory(json!({"reservation": -2}))], "/linux/resources/memory/reservation", "may be"),
        (
            &[memory(json!({"swap": 1}))],
            "/linux/resources/memory/swap",
            "unable to set swap limit without memory limit",
        ),
        (
            &[memory(json!({"limit": 2, "swap": 1}))],
            "/linux/resources/memory/swap",
            "memory+swap limit should be >= memory limit",
        ),
        (&[memory(json!({"swappiness": 101}))], "/linux/resources/memory/swappiness", "not within 0 and 100"),
        (&[cpu(json!({"period": 999}))], "/linux/resources/cpu/period", "not within 1000 and 1000000"),
        (&[cpu(json!({"period": 1_000_001}))], "/linux/resources/cpu/period", "not within"),
        (&[cpu(json!({"quota": 999}))], "/linux/resources/cpu/quota", "below 1000"),
        (
            &[cpu(json!({"quota": 1000, "burst": 1001}))],
            "/linux/resources/cpu/burst",
            "larger than the quota",
        ),
        (&[cpu(json!({"realtimeRuntime": -2}))], "/linux/resources/cpu/realtimeRuntime", "only -1 may be"),
        (
            &[cpu(json!({"realtimeRuntime": 3, "realtimePeriod": 2}))],
            "/linux/resources/cpu/realtimeRuntime",
            "larger than the realtimePeriod",
        ),
        (&[cpu(json!({"idle": 2}))], "/linux/resources/cpu/idle", "neither 0 nor 1"),
        (&[cpu(json!({"cpus": "0-"}))], "/linux/resources/cpu/cpus", "is not a list"),
        (&[cpu(json!({"cpus": "3-0"}))], "/linux/resources/cpu/cpus", "is not a list"),
        (&[cpu(json!({"mems": "0,\n1,"}))], "/linux/resources/cpu/mems", "is not a list"),
        (&[("/linux/resources/pids", json!({"limit": -2}))], "/linux/resources/pids/limit", "may be"),
    ]);
    let limits =
        [json!({"limit": -1, "swap": -1}), json!({"limit": 5, "swap": 5}), json!({"limit": -1, "swap": 9})];
    accepted("/linux/resources/memory", &limits);
    let limits = [json!({"quota": -1, "period": 0}), json!({"shares": 0, "cpus": "", "mems": "0-1,3"})];
    accepted("/linux/resources/cpu", &limits);
}

#[test]
fn block_io_limits_are_for_devices_and_within_the_range() {
    let io = |value: Value| ("/linux/resources/blockIO", value);
    let at = |key: &str| format!("/linux/resources/blockIO/{key}");
    let weight =
        |key: &str, value: Value| io(json!({"weightDevice": [{"major": 8, "minor": 0, key: value}]}));
    let within = "is not within 10 and 1000";
    invalid(&[
        (&[io(json!({"weight": 9}))], &at("weight"), within),
        (&[io(json!({"leafWeight": 1001}))], &at("leafWeight"), within),
        (&[weight("weight", json!(1001))], &at("weightDevice/0/weight"), within),
        (&[weight("leafWeight", json!(1))], &at("weightDevice/0/leafWeight"), within),
        (&[weight("weight", Value::Null)], &at("weightDevice/0"), "neither weight nor leafWeight"),
        (&[weight("minor", json!(-1))], &at("weightDevice/0/minor"), "minor -1 is not within 0 and 1048575"),
        (&[io(json!({"weight": 65_536}))], &at("weight"), "expected u16"),
        (&[io(json!({"weight": "10"}))], &at("weight"), "expected u16"),
    ]);
    for key in [
        "throttleReadBpsDevice",
        "throttleWriteBpsDevice",
        "throttleReadIOPSDevice",
        "throttleWriteIOPSDevice",
    ] {
        let throttle = |major: i64, rate: i64| io(json!({key: [{"major": major, "minor": 0, "rate": rate}]}));
        invalid(&[
            (&[throttle(4096, 1)], &at(&format!("{key}/0/major")), "major 4096 is not within 0 and 4095"),
            (&[throttle(8, -1)], &at(&format!("{key}/0/rate")), "expected u64"),
        ]);
        accepted("/linux/resources/blockIO", &[throttle(8, 0).1]);
    }
    accepted("/linux/resources/blockIO", &[json!({"weight": 10, "leafWeight": 1000}), json!({"weight": 0})]);
}

#[test]
fn huge_pages_have_a_size_and_a_limit_once() {
    let place = "/linux/resources/hugepageLimits";
    let limit = |size: &str, limit: i64| json!({"pageSize": size, "limit": limit});
    for size in
        ["", "2M", "2mB", "02MB", "-2MB", "MB", "2 MB", "2MB/../x", "2.5MB", "2MB\n", "1TB", "0KB", "2MBMB"]
    {
        let rows: &[Row] = &[(
            &[(place, json!([limit("1GB", 1), limit(size, 0)]))],
            "/linux/resources/hugepageLimits/1/pageSize",
            "is not of the form 64KB, 2MB or 1GB",
        )];
        invalid(rows);
    }
    invalid(&[
        (
            &[(place, json!([limit("2MB", 1), limit("2MB", 1)]))],
            "/linux/resources/hugepageLimits/1/pageSize",
            "2MB is given twice",
        ),
        (&[(place, json!([limit("2MB", -1)]))], "/linux/resources/hugepageLimits/0/limit", "is negative"),
        (
            &[(place, json!([limit(&"9".repeat(1 << 20), 1)]))],
            "/linux/resources/hugepageLimits/0/pageSize",
            "form",
        ),
    ]);
    accepted(place, &[json!([limit("64KB", 0), limit("2MB", i64::MAX), limit("1GB", 1)])]);
}

#[test]
fn network_priorities_are_for_interfaces() {
    let place = "/linux/resources/network";
    let named = |name: &str| (place, json!({"priorities": [{"name": name, "priority": 1}]}));
    for name in ["", ".", "..", "a b", "a/b", "a\nb", "sixteen-letters-", "a:b"] {
        let rows: &[Row] = &[(
            &[named(name)],
            "/linux/resources/network/priorities/0/name",
            "is no name of a network interface",
        )];
        invalid(rows);
    }
    let twice = json!({"priorities": [{"name": "lo", "priority": 1}, {"name": "lo", "priority": 1}]});
    invalid(&[
        (&[(place, twice)], "/linux/resources/network/priorities/1/name", "lo is given twice"),
        (&[(place, json!({"classID": -1}))], "/linux/resources/network/classID", "expected u32"),
        (&[(place, json!({"classID": 1_u64 << 32}))], "/linux/resources/network/classID", "expected u32"),
    ]);
    accepted(place, &[json!({"classID": u32::MAX}), named("eth0.100@if7").1]);
}

#[test]
fn rdma_devices_have_a_name_and_a_limit() {
    let place = "/linux/resources/rdma";
    let device = |name: &str, limits: Value| (place, json!({ name: limits }));
    invalid(&[
        (&[device("mlx5", json!({}))], "/linux/resources/rdma/mlx5", "neither hcaHandles nor hcaObjects"),
        (&[device("", json!({"hcaObjects": 1}))], "/linux/resources/rdma/", "is empty, too long"),
        (&[device("a b", json!({"hcaObjects": 1}))], "/linux/resources/rdma/a b", "has blanks"),
        (&[device("a\nb", json!({"hcaObjects": 1}))], "/linux/resources/rdma/a\\u000ab", "has blanks"),
        (&[device("a", json!({"hcaObjects": -1}))], "/linux/resources/rdma/a/hcaObjects", "expected u32"),
    ]);
    accepted(
        place,
        &[json!({"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10_000}}), json!({"a": {"hcaHandles": 0}})],
    );
}

#[test]
fn unified_keys_are_settings_of_the_container_s_own_cgroup() {
    let place = "/linux/resources/unified";
    for (key, pointer, words) in [
        ("../memory.max", "..~1memory.max", "must be a file name (no slashes)"),
        ("a/memory.max", "a~1memory.max", "must be a file name"),
        ("..", "..", "must be a file name"),
        (".", ".", "must be a file name"),
        ("", "", "is no name of a file"),
        ("memory.max\n", "memory.max\\u000a", "is no name of a file"),
        ("cgroup.procs", "cgroup.procs", "is no setting"),
        ("cgroup.threads", "cgroup.threads", "is no setting"),
        ("cgroup.kill", "cgroup.kill", "is no setting"),
        ("cgroup.freeze", "cgroup.freeze", "is no setting"),
    ] {
        invalid(&[(&[(place, json!({ key: "1" }))], &format!("{place}/{pointer}"), words)]);
    }
    let long = "x".repeat(5000);
    invalid(&[
        (&[(place, json!({ "memory.max": long }))], "/linux/resources/unified/memory.max", "more than 4096"),
        (&[(place, json!({ &long: "" }))], &format!("{place}/{long}"), "is no name of a file"),
        (&[(place, json!({ "memory.max": 1 }))], "/linux/resources/unified/memory.max", "expected a string"),
    ]);
    accepted(place, &[json!({"memory.max": "1", "io.max": "8:0 rbps=1\n8:16 rbps=2", "x": ""})]);
}

#[test]
fn resctrl_groups_have_a_plain_name_and_lines_of_schemata() {
    let rdt = |key: &str, value: Value| ("/linux/intelRdt", json!({ key: value }));
    let at = |key: &str| format!("/linux/intelRdt/{key}");
    for id in [".", "..", "a/b", "/a", "a/", "//", "info", "mon_groups", "mon_data", "a\nb"] {
        let words = format!("invalid intelRdt.ClosID {id:?}");
        invalid(&[(&[rdt("closID", json!(id))], &at("closID"), &words)]);
    }
    invalid(&[
        (&[rdt("closID", json!("x".repeat(1 << 20)))], &at("closID"), "invalid intelRdt.ClosID"),
        (&[rdt("closID", json!(7))], &at("closID"), "expected a string"),
        (&[rdt("l3CacheSchema", json!("L3:0"))], &at("l3CacheSchema"), "line 0 is not of the form"),
        (&[rdt("l3CacheSchema", json!("L3:0=f\n=1"))], &at("l3CacheSchema"), "line 1 is not of the form"),
        (&[rdt("memBwSchema", json!("L3:0=f"))], &at("memBwSchema"), "does not begin with MB:"),
        (&[rdt("memBwSchema", json!("MB:0=2\nL3:0=f"))], &at("memBwSchema"), "has a newline"),
        (&[rdt("schemata", json!(["L3:0=f", "L2:0=f\nMB:0=1"]))], &at("schemata/1"), "has a newline"),
        (&[rdt("schemata", json!([""]))], &at("schemata/0"), "is not of the form NAME:DOMAIN=VALUE"),
        (&[rdt("schemata", json!([format!("L3:0={}", "f".repeat(5000))]))], &at("schemata/0"), "longer than"),
        (&[rdt("schemata", json!("L3:0=f"))], &at("schemata"), "expected a sequence"),
        (&[rdt("enableMonitoring", json!(1))], &at("enableMonitoring"), "expected a boolean"),
    ]);
    accepted(
        "/linux/intelRdt",
        &[
            json!({}),
            json!({"closID": "/", "schemata": []}),
            json!({"closID": "", "l3CacheSchema": "", "memBwSchema": ""}),
            json!({"closID": "a.b", "l3CacheSchema": "L3:0=f\nMB:0=10", "memBwSchema": "MB:0=20;1=70", "enableMonitoring": true}),
        ],
    );
}

#[test]
fn kernel_memory_limits_are_warned_about() {
    let ignored = json!({"kernel": 1, "kernelTCP": 2, "useHierarchy": false});
    let spec = load(&with("/linux/resources/memory", ignored)).unwrap();
    let pointers: Vec<&str> = spec.warnings().iter().map(|warning| warning.pointer.as_str()).collect();
    let keys = ["kernel", "kernelTCP", "useHierarchy"];
    assert_eq!(pointers, keys.map(|key| format!("/linux/resources/memory/{key}")));
}
