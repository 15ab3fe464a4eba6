use super::*;
use crate::host::{Hierarchy, OwnCgroup};

const CONTROLLERS: [&str; 6] = ["cpuset", "cpu", "memory", "devices", "freezer", "pids"];

fn v1_host() -> Host {
    let hierarchies = CONTROLLERS
        .map(|name| Hierarchy { dir: name.to_owned(), controllers: vec![name.to_owned()] })
        .to_vec();
    let root = PathBuf::from("/sys/fs/cgroup");
    let unified = Some(root.join("unified"));
    Host { cgroup: CgroupLayout::V1 { root, hierarchies, unified }, ..v2_host() }
}

fn v2_host() -> Host {
    Host {
        euid: 0,
        privileged: true,
        in_userns: false,
        last_cap: 40,
        apparmor: false,
        selinux: false,
        kernel: (6, 1),
        cgroup: CgroupLayout::V2 { root: "/sys/fs/cgroup".into() },
        own_cgroup: OwnCgroup::parse("4:memory:/own\n0::/own\n"),
    }
}

fn config(resources: &str) -> Spec {
    let json = format!(r#"{{"ociVersion":"1.2.0","linux":{{"cgroupsPath":"/c","resources":{resources}}}}}"#);
    serde_json::from_str(&json).unwrap()
}

fn plan_on(host: &Host, resources: &str) -> Result<CgroupPlan> {
    plan(&config(resources), "web", host, CgroupManager::Cgroupfs)
}

/// The writes of resources as `file value`, late ones marked; the device filter left out.
fn writes(host: &Host, resources: &str) -> Vec<String> {
    let plan = plan_on(host, resources).unwrap_or_else(|e| panic!("{resources}: {e}"));
    let early =
        plan.early.iter().filter(|w| w.controller() != "devices").map(|w| format!("{} {}", w.file, w.value));
    early.chain(plan.late.iter().map(|w| format!("late {} {}", w.file, w.value))).collect()
}

#[test]
#[rustfmt::skip]
fn resources_become_writes_in_both_versions() {
    // resources, writes on v1, writes on v2
    let rows: [(&str, &[&str], &[&str]); 28] = [
        ("{}", &[], &[]),
        (r#"{"memory":{}}"#, &[], &[]),
        (r#"{"memory":{"limit":0,"swap":0,"reservation":0}}"#, &[], &[]),
        (r#"{"memory":{"limit":4096}}"#, &["memory.limit_in_bytes 4096"], &["late memory.max 4096"]),
        (r#"{"memory":{"limit":-1}}"#,
            &["memory.limit_in_bytes -1", "memory.memsw.limit_in_bytes -1"], &["late memory.swap.max max", "late memory.max max"]),
        (r#"{"memory":{"limit":4096,"swap":4096}}"#,
            &["memory.limit_in_bytes 4096", "memory.memsw.limit_in_bytes 4096"], &["late memory.swap.max 0", "late memory.max 4096"]),
        (r#"{"memory":{"limit":4096,"swap":12288}}"#,
            &["memory.limit_in_bytes 4096", "memory.memsw.limit_in_bytes 12288"], &["late memory.swap.max 8192", "late memory.max 4096"]),
        (r#"{"memory":{"limit":4096,"swap":-1}}"#,
            &["memory.limit_in_bytes 4096", "memory.memsw.limit_in_bytes -1"], &["late memory.swap.max max", "late memory.max 4096"]),
        (r#"{"memory":{"limit":-1,"swap":8192}}"#,
            &["memory.limit_in_bytes -1", "memory.memsw.limit_in_bytes 8192"], &["late memory.swap.max 8192", "late memory.max max"]),
        (r#"{"memory":{"reservation":4096}}"#, &["memory.soft_limit_in_bytes 4096"], &["memory.low 4096"]),
        (r#"{"memory":{"swappiness":60}}"#, &["memory.swappiness 60"], &[]),
        (r#"{"memory":{"disableOOMKiller":true}}"#, &["memory.oom_control 1"], &[]),
        (r#"{"memory":{"disableOOMKiller":false,"kernel":4096,"kernelTCP":4096,"useHierarchy":true}}"#, &[], &[]),
        (r#"{"cpu":{"shares":1024}}"#, &["cpu.shares 1024"], &["cpu.weight 100"]),
        (r#"{"cpu":{"shares":0}}"#, &[], &[]),
        (r#"{"cpu":{"shares":1024,"idle":1}}"#, &["cpu.idle 1"], &["cpu.idle 1"]),
        (r#"{"cpu":{"shares":1024,"idle":0}}"#, &["cpu.idle 0", "cpu.shares 1024"], &["cpu.idle 0", "cpu.weight 100"]),
        (r#"{"cpu":{"quota":50000}}"#, &["cpu.cfs_quota_us 50000"], &["cpu.max 50000 100000"]),
        (r#"{"cpu":{"period":50000}}"#, &["cpu.cfs_period_us 50000"], &["cpu.max max 50000"]),
        (r#"{"cpu":{"quota":-1,"period":50000}}"#,
            &["cpu.cfs_period_us 50000", "cpu.cfs_quota_us -1"], &["cpu.max max 50000"]),
        (r#"{"cpu":{"quota":0,"period":0}}"#, &[], &[]),
        (r#"{"cpu":{"quota":5000,"period":50000,"burst":1000}}"#,
            &["cpu.cfs_period_us 50000", "cpu.cfs_quota_us 5000", "cpu.cfs_burst_us 1000"], &["cpu.max 5000 50000", "cpu.max.burst 1000"]),
        (r#"{"cpu":{"realtimeRuntime":950,"realtimePeriod":1000}}"#, &["cpu.rt_period_us 1000", "cpu.rt_runtime_us 950"], &[]),
        (r#"{"cpu":{"cpus":"0-1","mems":"0"}}"#, &["cpuset.cpus 0-1", "cpuset.mems 0"], &["cpuset.cpus 0-1", "cpuset.mems 0"]),
        (r#"{"cpu":{"cpus":"","mems":" "}}"#, &[], &[]),
        (r#"{"pids":{"limit":100}}"#, &["pids.max 100"], &["pids.max 100"]),
        (r#"{"pids":{"limit":-1}}"#, &["pids.max max"], &["pids.max max"]),
        // With 0 a clone into the cgroup would fail; a process placed by pid is not refused.
        (r#"{"pids":{"limit":0}}"#, &["pids.max 0"], &["late pids.max 0"]),
    ];
    for (resources, v1, v2) in rows {
        assert_eq!(writes(&v1_host(), resources), v1, "v1 {resources}");
        assert_eq!(writes(&v2_host(), resources), v2, "v2 {resources}");
    }
}

#[test]
fn contradictions_are_refused_with_their_place_in_both_versions() {
    let rows = [
        (
            r#"{"memory":{"swap":4096}}"#,
            "/linux/resources/memory/swap",
            "unable to set swap limit without memory limit",
        ),
        (
            r#"{"memory":{"limit":8192,"swap":4096}}"#,
            "/linux/resources/memory/swap",
            "memory+swap limit should be >= memory limit",
        ),
        (r#"{"memory":{"limit":-2}}"#, "/linux/resources/memory/limit", "invalid memory value: -2"),
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
            r#"{"devices":[{"allow":true,"access":"rx"}]}"#,
            "/linux/resources/devices/0/access",
            "invalid cgroup device access \"rx\"",
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
    assert!(plan_on(&v1_host(), r#"{"memory":{"swappiness":101}}"#).is_err());
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
        let error = plan(&limited, "web", host, manager).unwrap_err();
        assert_eq!(
            (error.kind(), error.pointer()),
            (ErrorKind::Unsupported, Some("/linux/resources/pids/limit"))
        );
        assert_eq!(plan(&devices_only, "web", host, manager).unwrap(), CgroupPlan::default());
    }
    let root = Host { privileged: true, ..none };
    assert_eq!(
        plan(&devices_only, "web", &root, CgroupManager::Cgroupfs).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test]
fn resources_that_are_not_enforced_yet_are_refused_unless_empty() {
    for resources in [
        r#"{"blockIO":{"weight":100}}"#,
        r#"{"hugepageLimits":[{"pageSize":"2MB","limit":0}]}"#,
        r#"{"network":{"classID":1}}"#,
        r#"{"rdma":{"mlx":{"hcaHandles":1}}}"#,
        r#"{"unified":{"memory.high":"1"}}"#,
    ] {
        assert_eq!(plan_on(&v2_host(), resources).unwrap_err().kind(), ErrorKind::Unsupported, "{resources}");
    }
    for resources in [
        r#"{"blockIO":{"weight":0,"weightDevice":[]}}"#,
        r#"{"hugepageLimits":[],"network":{},"unified":{}}"#,
    ] {
        plan_on(&v2_host(), resources).unwrap();
    }
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
    let plan = plan(&config, "web", &v1_host(), CgroupManager::Cgroupfs).unwrap();
    let places: Vec<_> = plan.dirs.iter().map(|dir| (dir.hierarchy.as_str(), dir.path.as_str())).collect();
    assert!(
        places.contains(&("memory", "own/c"))
            && places.contains(&("", "own/c"))
            && places.contains(&("pids", "c"))
    );
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
