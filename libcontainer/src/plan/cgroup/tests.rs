use super::*;
use crate::host::{Hierarchy, OwnCgroup};

#[rustfmt::skip]
const CONTROLLERS: [&str; 11] =
    ["cpuset", "cpu", "memory", "devices", "freezer", "pids", "blkio", "hugetlb", "net_cls", "net_prio", "rdma"];

fn v1_host() -> Host {
    let hierarchies = CONTROLLERS
        .map(|name| Hierarchy { dir: name.to_owned(), controllers: vec![name.to_owned()] })
        .to_vec();
    let root = PathBuf::from("/sys/fs/cgroup");
    let unified = Some(root.join("unified"));
    Host { cgroup: CgroupLayout::V1 { root, hierarchies, unified }, ..v2_host() }
}

pub(super) fn v2_host() -> Host {
    Host {
        euid: 0,
        privileged: true,
        in_userns: false,
        sets_groups: true,
        last_cap: 40,
        apparmor: false,
        selinux: false,
        kernel: (6, 1),
        resctrl: None,
        kcore: true,
        cgroup: CgroupLayout::V2 { root: "/sys/fs/cgroup".into() },
        own_cgroup: OwnCgroup::parse("4:memory:/own\n0::/own\n"),
    }
}

fn config(resources: &str) -> Spec {
    let json = format!(r#"{{"ociVersion":"1.2.0","linux":{{"cgroupsPath":"/c","resources":{resources}}}}}"#);
    serde_json::from_str(&json).unwrap()
}

fn plan_on(host: &Host, resources: &str) -> Result<CgroupPlan> {
    plan(&config(resources), "web", host, &Shape::default())
}

/// The writes of resources as `file value`, late ones marked; the device filter left out.
fn writes(host: &Host, resources: &str) -> Vec<String> {
    let plan = plan_on(host, resources).unwrap_or_else(|e| panic!("{resources}: {e}"));
    let early = plan.early.iter().filter(|w| w.controller() != "devices").map(FileWrite::to_string);
    early.chain(plan.late.iter().map(|w| format!("late {w}"))).collect()
}

/// Resources, writes on v1, writes on v2.
type Rows = &'static [(&'static str, &'static [&'static str], &'static [&'static str])];

fn become_writes(rows: Rows) {
    for (resources, v1, v2) in rows {
        assert_eq!(writes(&v1_host(), resources), *v1, "v1 {resources}");
        assert_eq!(writes(&v2_host(), resources), *v2, "v2 {resources}");
    }
}

#[test]
#[rustfmt::skip]
fn cpu_memory_and_pids_become_writes_in_both_versions() {
    become_writes(&[
        ("{}", &[], &[]),
        (r#"{"memory":{}}"#, &[], &[]),
        (r#"{"memory":{"limit":0,"swap":0,"reservation":0}}"#, &[], &[]),
        (r#"{"memory":{"limit":4096}}"#, &["memory.limit_in_bytes 4096, again"], &["late memory.max 4096"]),
        (r#"{"memory":{"limit":-1}}"#,
            &["memory.limit_in_bytes -1, again", "memory.memsw.limit_in_bytes -1"], &["late memory.swap.max max", "late memory.max max"]),
        (r#"{"memory":{"limit":4096,"swap":4096}}"#,
            &["memory.limit_in_bytes 4096, again", "memory.memsw.limit_in_bytes 4096"], &["late memory.swap.max 0", "late memory.max 4096"]),
        (r#"{"memory":{"limit":4096,"swap":12288}}"#,
            &["memory.limit_in_bytes 4096, again", "memory.memsw.limit_in_bytes 12288"], &["late memory.swap.max 8192", "late memory.max 4096"]),
        (r#"{"memory":{"limit":4096,"swap":-1}}"#,
            &["memory.limit_in_bytes 4096, again", "memory.memsw.limit_in_bytes -1"], &["late memory.swap.max max", "late memory.max 4096"]),
        (r#"{"memory":{"limit":-1,"swap":8192}}"#,
            &["memory.limit_in_bytes -1, again", "memory.memsw.limit_in_bytes 8192"], &["late memory.swap.max 8192", "late memory.max max"]),
        (r#"{"memory":{"reservation":4096}}"#, &["memory.soft_limit_in_bytes 4096"], &["memory.low 4096"]),
        (r#"{"memory":{"swappiness":60}}"#, &["memory.swappiness 60"], &[]),
        (r#"{"memory":{"disableOOMKiller":true}}"#, &["memory.oom_control 1"], &[]),
        (r#"{"memory":{"disableOOMKiller":false,"kernel":4096,"kernelTCP":4096,"useHierarchy":true}}"#, &[], &[]),
        (r#"{"cpu":{"shares":1024}}"#, &["cpu.shares 1024"], &["cpu.weight 100"]),
        (r#"{"cpu":{"shares":0}}"#, &[], &[]),
        (r#"{"cpu":{"shares":1024,"idle":1}}"#, &["cpu.idle 1"], &["cpu.idle 1"]),
        (r#"{"cpu":{"shares":1024,"idle":0}}"#, &["cpu.idle 0", "cpu.shares 1024"], &["cpu.idle 0", "cpu.weight 100"]),
        (r#"{"cpu":{"quota":50000}}"#, &["cpu.cfs_quota_us 50000"], &["cpu.max 50000 100000"]),
        (r#"{"cpu":{"period":50000}}"#, &["cpu.cfs_period_us 50000, again"], &["cpu.max max 50000"]),
        (r#"{"cpu":{"quota":-1,"period":50000}}"#,
            &["cpu.cfs_period_us 50000, again", "cpu.cfs_quota_us -1"], &["cpu.max max 50000"]),
        (r#"{"cpu":{"quota":0,"period":0}}"#, &[], &[]),
        (r#"{"cpu":{"quota":5000,"period":50000,"burst":1000}}"#,
            &["cpu.cfs_burst_us 1000, again", "cpu.cfs_period_us 50000, again", "cpu.cfs_quota_us 5000"], &["cpu.max.burst 1000, again", "cpu.max 5000 50000"]),
        (r#"{"cpu":{"realtimeRuntime":950,"realtimePeriod":1000}}"#, &["cpu.rt_period_us 1000, again", "cpu.rt_runtime_us 950"], &[]),
        (r#"{"cpu":{"cpus":"0-1","mems":"0"}}"#, &["cpuset.cpus 0-1", "cpuset.mems 0"], &["cpuset.cpus 0-1", "cpuset.mems 0"]),
        (r#"{"cpu":{"cpus":"","mems":" "}}"#, &[], &[]),
        (r#"{"pids":{"limit":100}}"#, &["pids.max 100"], &["pids.max 100"]),
        (r#"{"pids":{"limit":-1}}"#, &["pids.max max"], &["pids.max max"]),
        // With 0 a clone into the cgroup would fail; a process placed by pid is not refused.
        (r#"{"pids":{"limit":0}}"#, &["pids.max 1"], &["pids.max 1"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn block_io_becomes_writes_in_both_versions() {
    become_writes(&[
        (r#"{"blockIO":{"weight":0,"leafWeight":0,"weightDevice":[],"throttleReadBpsDevice":[]}}"#, &[], &[]),
        (r#"{"blockIO":{"weight":500}}"#,
            &["blkio.weight 500, else blkio.bfq.weight 500"], &["io.bfq.weight 500, else io.weight 4950"]),
        (r#"{"blockIO":{"leafWeight":500}}"#, &["blkio.leaf_weight 500"], &[]),
        (r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":100},{"major":8,"minor":16,"leafWeight":20},{"major":9,"minor":1,"weight":10,"leafWeight":30}]}}"#,
            &["blkio.weight_device 8:0 100, else blkio.bfq.weight_device 8:0 100", "blkio.weight_device 9:1 10, else blkio.bfq.weight_device 9:1 10",
              "blkio.leaf_weight_device 8:16 20", "blkio.leaf_weight_device 9:1 30"],
            &["io.bfq.weight 8:0 100, else io.weight 8:0 910", "io.bfq.weight 9:1 10, else io.weight 9:1 1"]),
        (r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1},{"major":8,"minor":16,"rate":0}]}}"#,
            &["blkio.throttle.read_bps_device 8:0 1", "blkio.throttle.read_bps_device 8:16 0"], &["io.max 8:0 rbps=1", "io.max 8:16 rbps=max"]),
        (r#"{"blockIO":{"throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":2}]}}"#,
            &["blkio.throttle.write_bps_device 8:0 2"], &["io.max 8:0 wbps=2"]),
        (r#"{"blockIO":{"throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":3}]}}"#,
            &["blkio.throttle.read_iops_device 8:0 3"], &["io.max 8:0 riops=3"]),
        (r#"{"blockIO":{"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":18446744073709551615}]}}"#,
            &["blkio.throttle.write_iops_device 8:0 18446744073709551615"], &["io.max 8:0 wiops=18446744073709551615"]),
    ]);
}

#[test]
#[rustfmt::skip]
fn huge_pages_network_and_rdma_become_writes_in_both_versions() {
    become_writes(&[
        (r#"{"hugepageLimits":[],"network":{"classID":0,"priorities":[]},"rdma":{},"unified":{}}"#, &[], &[]),
        (r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304},{"pageSize":"1GB","limit":0}]}"#,
            &["hugetlb.2MB.limit_in_bytes 4194304", "hugetlb.1GB.limit_in_bytes 0", "hugetlb.2MB.rsvd.limit_in_bytes 4194304", "hugetlb.1GB.rsvd.limit_in_bytes 0"],
            &["hugetlb.2MB.max 4194304", "hugetlb.1GB.max 0", "hugetlb.2MB.rsvd.max 4194304", "hugetlb.1GB.rsvd.max 0"]),
        (r#"{"network":{"classID":1048577,"priorities":[{"name":"eth0","priority":5},{"name":"lo","priority":0}]}}"#,
            &["net_cls.classid 1048577", "net_prio.ifpriomap eth0 5", "net_prio.ifpriomap lo 0"], &[]),
        (r#"{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"a":{"hcaObjects":7}}}"#,
            &["rdma.max a hca_object=7", "rdma.max mlx5_1 hca_handle=3 hca_object=10000"],
            &["rdma.max a hca_object=7", "rdma.max mlx5_1 hca_handle=3 hca_object=10000"]),
    ]);
}

#[test]
fn unified_comes_last_line_by_line_and_only_on_v2() {
    let resources = r#"{"pids":{"limit":5},"memory":{"limit":4096},"unified":{
        "pids.max":"7","memory.high":"9","io.max":"8:0 rbps=1\n8:16 rbps=2","cpuset.cpus":""}}"#;
    assert_eq!(
        writes(&v2_host(), resources),
        [
            "pids.max 5",
            "cpuset.cpus ",
            "io.max 8:0 rbps=1",
            "io.max 8:16 rbps=2",
            "late memory.max 4096",
            "late memory.high 9",
            "late pids.max 7",
        ]
    );
    let error = plan_on(&v1_host(), resources).unwrap_err();
    assert_eq!((error.kind(), error.pointer()), (ErrorKind::Unsupported, Some("/linux/resources/unified")));
    assert_eq!(error.message(), "invalid configuration: cannot use unified on cgroup v1");
}

#[test]
fn every_write_names_the_entry_that_asks_for_it() {
    let resources = r#"{"hugepageLimits":[{"pageSize":"2MB","limit":0},{"pageSize":"1GB","limit":0}],
        "blockIO":{"weightDevice":[{"major":8,"minor":0,"leafWeight":10},{"major":8,"minor":1,"weight":10}]},
        "rdma":{"a/b":{"hcaObjects":7}},"unified":{"x~y":"1"}}"#;
    let plan = plan_on(&v2_host(), resources).unwrap();
    let pointers: Vec<_> =
        plan.early.iter().map(|write| write.pointer.trim_start_matches("/linux/resources/")).collect();
    let hugepages = ["hugepageLimits/0", "hugepageLimits/1", "hugepageLimits/0", "hugepageLimits/1"];
    let rest = ["rdma/a~1b", "unified/x~0y"];
    let expected: Vec<_> =
        ["blockIO/weightDevice/1/weight"].into_iter().chain(hugepages).chain(rest).collect();
    assert_eq!(pointers, expected);
}

#[test]
fn a_limit_is_checked_against_what_is_in_use_only_if_asked() {
    let limited = |check: &str| format!(r#"{{"memory":{{"limit":4096,"checkBeforeUpdate":{check}}}}}"#);
    assert_eq!(writes(&v2_host(), &limited("true")), ["late memory.max 4096, if memory.current < 4096"]);
    assert_eq!(
        writes(&v1_host(), &limited("true")),
        ["memory.limit_in_bytes 4096, again, if memory.usage_in_bytes < 4096"]
    );
    assert_eq!(writes(&v2_host(), &limited("false")), ["late memory.max 4096"]);
    let both = r#"{"memory":{"limit":4096,"swap":8192,"checkBeforeUpdate":true}}"#;
    assert_eq!(
        writes(&v2_host(), both),
        [
            "late memory.swap.max 4096, if memory.current < 8192",
            "late memory.max 4096, if memory.current < 4096"
        ]
    );
    let unlimited = r#"{"memory":{"limit":-1,"swap":-1,"checkBeforeUpdate":true}}"#;
    assert_eq!(writes(&v2_host(), unlimited), ["late memory.swap.max max", "late memory.max max"]);
}

/// Every field with a value that asks for something.
const EVERYTHING: &str = r#"{
    "memory":{"limit":4096,"reservation":1,"swap":8192,"kernel":1,"kernelTCP":1,"swappiness":1,"disableOOMKiller":true,
        "useHierarchy":false,"checkBeforeUpdate":true},
    "cpu":{"shares":2,"quota":2000,"burst":1000,"period":5000,"realtimeRuntime":1,"realtimePeriod":2,"cpus":"0","mems":"0","idle":0},
    "pids":{"limit":1},
    "blockIO":{"weight":10,"leafWeight":10,"weightDevice":[{"major":1,"minor":2,"weight":10,"leafWeight":10}],
        "throttleReadBpsDevice":[{"major":1,"minor":2,"rate":1}],"throttleWriteBpsDevice":[{"major":1,"minor":2,"rate":1}],
        "throttleReadIOPSDevice":[{"major":1,"minor":2,"rate":1}],"throttleWriteIOPSDevice":[{"major":1,"minor":2,"rate":1}]},
    "hugepageLimits":[{"pageSize":"2MB","limit":1}],
    "network":{"classID":1,"priorities":[{"name":"eth0","priority":1}]},
    "rdma":{"a":{"hcaHandles":1}},
    "unified":{"memory.high":"1"}
}"#;

/// Fields without a row: what `devices.rs` turns into a program or rules, and what both versions are silent about.
const NO_ROW: [&str; 5] =
    ["devices", "memory/kernel", "memory/kernelTCP", "memory/useHierarchy", "memory/checkBeforeUpdate"];

#[test]
fn every_field_has_a_row_and_every_row_a_value() {
    let resources: LinuxResources = serde_json::from_str(EVERYTHING).unwrap();
    let written = serde_json::to_value(&resources).unwrap();
    let nested = ["memory", "cpu", "pids", "blockIO", "network"];
    let mut fields = Vec::new();
    for (name, value) in written.as_object().unwrap() {
        match nested.contains(&name.as_str()) {
            true => fields.extend(value.as_object().unwrap().keys().map(|key| format!("{name}/{key}"))),
            false => fields.push(name.clone()),
        }
    }
    for field in &fields {
        let has_row = TABLE.iter().any(|row| row.field == field);
        assert!(has_row != NO_ROW.contains(&field.as_str()), "{field}");
    }
    for row in TABLE {
        assert!(fields.iter().any(|field| field == row.field), "{} is no field", row.field);
        let cells = [row.v1, row.v2];
        let values = cells.map(|cell| cell.formula.items(&resources).len());
        let absent = |cell: &Cell| matches!(cell.formula, Formula::Nothing | Formula::OtherRow);
        assert!(!cells.iter().all(absent), "{}", row.field);
        for (cell, count) in cells.iter().zip(values) {
            // cpu.max is written once, for the quota.
            let expected = usize::from(!absent(cell) && cell.file != "cpu.max" || row.field == "cpu/quota");
            assert_eq!(count, expected, "{} {}", row.field, cell.file);
        }
        for cell in cells.iter().filter(|cell| matches!(cell.formula, Formula::OtherRow)) {
            let elsewhere = TABLE.iter().filter(|other| other.field == row.field).count();
            assert!(elsewhere > 1 || row.field == "unified", "{} {}", row.field, cell.file);
        }
    }
}

#[test]
fn what_a_version_has_nothing_for_is_told() {
    let everything = EVERYTHING.replace(r#""unified":{"memory.high":"1"}"#, r#""unified":{}"#);
    let ignored = |host: &Host| {
        let plan = plan_on(host, &everything).unwrap();
        let pointer = |warning: Warning| warning.pointer.trim_start_matches("/linux/resources/").to_owned();
        plan.ignored.into_iter().map(pointer).collect::<Vec<_>>()
    };
    assert_eq!(ignored(&v1_host()), [""; 0]);
    assert_eq!(
        ignored(&v2_host()),
        [
            "cpu/realtimePeriod",
            "cpu/realtimeRuntime",
            "memory/swappiness",
            "memory/disableOOMKiller",
            "blockIO/leafWeight",
            "blockIO/weightDevice/0/leafWeight",
            "network/classID",
            "network/priorities/0",
        ]
    );
    let warning = plan_on(&v2_host(), r#"{"memory":{"swappiness":1}}"#).unwrap().ignored.remove(0);
    assert_eq!(warning.message, "cgroup v2 has no memory swappiness, it is ignored");
}

#[test]
fn device_rules_that_cannot_be_are_refused_with_their_place_in_both_versions() {
    let rows = [
        (
            r#"{"devices":[{"allow":true,"type":"p"}]}"#,
            "/linux/resources/devices/0/type",
            "invalid cgroup device type \"p\"",
        ),
        (
            r#"{"devices":[{"allow":true,"major":-2}]}"#,
            "/linux/resources/devices/0/major",
            "invalid cgroup device number -2",
        ),
        (
            r#"{"devices":[{"allow":true,"access":"xa"}]}"#,
            "/linux/resources/devices/0/access",
            "invalid cgroup device access \"xa\"",
        ),
    ];
    for host in [v1_host(), v2_host()] {
        for (resources, pointer, message) in rows {
            let error = plan_on(&host, resources).unwrap_err();
            assert_eq!(
                (error.kind(), error.pointer(), error.message()),
                (ErrorKind::InvalidSpec, Some(pointer), message),
                "{resources}"
            );
        }
    }
}

#[test]
fn a_limit_whose_controller_is_missing_is_an_error_and_no_limit_is_fine() {
    let mut host = v1_host();
    if let CgroupLayout::V1 { hierarchies, .. } = &mut host.cgroup {
        hierarchies.retain(|hierarchy| hierarchy.dir != "memory");
    }
    let error = plan_on(&host, r#"{"memory":{"limit":4096}}"#).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.message(), "cgroup: the memory controller is not available in /sys/fs/cgroup");
    assert_eq!(error.pointer(), Some("/linux/resources/memory/limit"));
    plan_on(&host, r#"{"pids":{"limit":1}}"#).unwrap();
}

#[test]
fn limits_without_a_cgroup_are_an_error_unless_there_are_none() {
    let none = Host { cgroup: CgroupLayout::None, privileged: false, ..v2_host() };
    let limited = config(r#"{"pids":{"limit":5}}"#);
    let devices_only = config(r#"{"devices":[{"allow":false,"access":"rwm"}]}"#);
    for (host, manager) in [(&none, CgroupManager::Cgroupfs), (&v2_host(), CgroupManager::Disabled)] {
        let shape = Shape { cgroup_manager: manager, ..Shape::default() };
        let error = plan(&limited, "web", host, &shape).unwrap_err();
        assert_eq!(
            (error.kind(), error.pointer()),
            (ErrorKind::Unsupported, Some("/linux/resources/pids/limit"))
        );
        assert_eq!(plan(&devices_only, "web", host, &shape).unwrap(), CgroupPlan::default());
    }
    let root = Host { privileged: true, ..none };
    assert_eq!(
        plan(&devices_only, "web", &root, &Shape::default()).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn only_an_unprivileged_caller_may_lack_a_hierarchy_and_never_one_with_a_limit() {
    let required = |privileged, resources| {
        let host = Host { privileged, ..v1_host() };
        let plan = plan_on(&host, resources).unwrap();
        let required = plan.dirs.into_iter().filter(|dir| dir.required);
        required.map(|dir| dir.hierarchy).collect::<Vec<_>>()
    };
    assert_eq!(required(false, r#"{"pids":{"limit":5}}"#), ["pids"]);
    assert_eq!(required(true, "{}").len(), CONTROLLERS.len() + 1);
}

#[test]
fn the_cgroup_is_found_from_each_hierarchy_of_its_own() {
    let json = r#"{"ociVersion":"1.2.0","linux":{"cgroupsPath":"c"}}"#;
    let config: Spec = serde_json::from_str(json).unwrap();
    let plan = plan(&config, "web", &v1_host(), &Shape::default()).unwrap();
    let places: Vec<_> = plan.dirs.iter().map(|dir| (dir.hierarchy.as_str(), dir.path.as_str())).collect();
    assert!(
        places.contains(&("memory", "own/c"))
            && places.contains(&("", "own/c"))
            && places.contains(&("pids", "c"))
    );
}

#[test]
fn without_a_record_a_cgroup_is_looked_for_where_either_manager_puts_it_and_in_no_slice() {
    let places = |path: &str| {
        let config = serde_json::json!({"ociVersion": "1.3.0", "linux": {"cgroupsPath": path}});
        let places = places(&serde_json::from_value(config).unwrap(), "web", &v2_host());
        let shown = |plan: &CgroupPlan| {
            let unit = plan.unit.as_ref().map(|unit| format!(" of {}", unit.name)).unwrap_or_default();
            plan.dirs.iter().map(|dir| format!("{}{unit}", dir.path)).collect::<Vec<_>>().join(" ")
        };
        places.map(|places| places.iter().map(shown).collect::<Vec<_>>())
    };
    assert_eq!(places("/a/b").unwrap(), ["a/b"]);
    let scope = "a.slice/x-y.scope of x-y.scope";
    assert!(places("a.slice:x:y").unwrap().iter().any(|place| place == scope));
    assert_eq!(places("a.slice:x:y.slice").unwrap().len(), 1);
    for outside in ["/", "/..", "../x"] {
        assert!(places(outside).is_err(), "{outside}");
    }
}

#[test]
fn the_printed_plan_names_every_directory_write_and_rule() {
    let resources =
        r#"{"memory":{"limit":4096},"cpu":{"shares":1024},"devices":[{"allow":false,"access":"rwm"}]}"#;
    let v2 = plan_on(&v2_host(), resources).unwrap().to_string();
    let lines: Vec<_> =
        v2.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines.get(..4).unwrap(),
        [
            "cgroup /sys/fs/cgroup/c",
            "write cpu.weight 100 /linux/resources/cpu/shares",
            "late memory.max 4096 /linux/resources/memory/limit",
            "devices deny a *:* rwm /linux/resources/devices/0",
        ]
    );
    let v1 = plan_on(&v1_host(), resources).unwrap().to_string();
    assert!(v1.contains("write    devices.deny a"), "{v1}");
    assert!(v1.contains("write    devices.allow c 1:3 rwm"), "{v1}");
}
