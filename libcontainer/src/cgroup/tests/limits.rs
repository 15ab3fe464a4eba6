//! Limits and device filters.

use super::*;
use crate::plan::cgroup::FileWrite;

fn on_v2() -> impl Iterator<Item = Host> {
    hosts().into_iter().filter(|host| matches!(host.cgroup, CgroupLayout::V2 { .. }))
}

/// One character device that may be used so.
fn allowing(major: u32, minor: u32, access: &str) -> String {
    format!(
        r#"{{"devices":[{{"allow":true,"type":"c","major":{major},"minor":{minor},"access":"{access}"}}]}}"#
    )
}

/// Every file holds what was written to it.
fn read_back<'a>(plan: &CgroupPlan, writes: impl Iterator<Item = &'a FileWrite>) {
    for write in writes.filter(|write| write.controller() != "devices") {
        let dir = plan.dirs.get(write.dir).unwrap();
        let found = fs::read_to_string(dir.root.join(&dir.path).join(&*write.file)).unwrap();
        assert_eq!(found.trim(), write.value, "{}", write.file);
    }
}

#[test]
fn the_device_filter_is_in_force_before_anything_runs() {
    for host in hosts() {
        let resources = r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":11,"access":"r"}]}"#;
        for (resources, kmsg_readable) in [("{}", false), (resources, true)] {
            let plan = plan_at(&host, &fresh_path(), resources);
            let cgroup = create(&plan).unwrap();
            assert_eq!(shell(&cgroup, ": </dev/null >/dev/zero"), Some(0), "always allowed");
            if Path::new("/dev/kmsg").exists() {
                assert_eq!(shell(&cgroup, ": </dev/kmsg") == Some(0), kmsg_readable, "{resources}");
            }
        }
    }
}

#[test]
fn limits_are_in_force_or_the_missing_controller_is_named() {
    let resources = r#"{"memory":{"limit":33554432},"pids":{"limit":7},"cpu":{"shares":512,"quota":50000}}"#;
    for host in hosts() {
        let plan = plan_at(&host, &fresh_path(), resources);
        match create(&plan) {
            Ok(cgroup) => {
                cgroup.apply_late().unwrap();
                read_back(&plan, plan.early.iter().chain(&plan.late));
                assert_eq!(cgroup.oom_kills(), Some(0));
            }
            Err(error) => {
                // A hybrid host has its controllers on v1.
                assert!(plan.v2, "{error}");
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                assert_eq!(
                    error.message(),
                    "cgroup: the cpu controller is not available in /sys/fs/cgroup/unified"
                );
                assert_eq!(error.pointer(), Some("/linux/resources/cpu/shares"));
            }
        }
        assert_eq!(left(&plan), [""; 0]);
    }
}

/// A burst may not be above the quota. Whichever of the old values is in the way, the new pair gets in.
#[test]
fn limits_of_a_cgroup_that_is_used_again_may_grow_and_shrink() {
    for host in hosts() {
        let path = fresh_path();
        let limits = |quota: u32, burst: u32, memory: u32| {
            let cpu = format!(r#"{{"quota":{quota},"burst":{burst},"period":100000}}"#);
            let memory = format!(r#"{{"limit":{memory},"swap":{memory}}}"#);
            plan_at(&host, &path, &format!(r#"{{"cpu":{cpu},"memory":{memory}}}"#))
        };
        let mut last = None;
        for (quota, burst, memory) in
            [(5_000, 5_000, 8 << 20), (50_000, 20_000, 32 << 20), (5_000, 1_000, 8 << 20)]
        {
            let plan = limits(quota, burst, memory);
            match create(&plan) {
                Ok(mut cgroup) => {
                    cgroup.commit();
                    read_back(&plan, plan.early.iter());
                    last = Some(cgroup);
                }
                Err(error) => {
                    assert!(last.is_none(), "{error}");
                    println!("skipped: {error}");
                }
            }
        }
        last.iter().for_each(|cgroup| cgroup.remove(PATIENCE).unwrap());
        assert_eq!(left(&limits(5_000, 1_000, 4096)), [""; 0]);
    }
}

/// The kernel refuses a new default for a device list as long as there are cgroups below.
#[test]
fn the_device_rules_of_a_v1_cgroup_that_is_used_again_are_changed_one_by_one() {
    for host in hosts().into_iter().filter(|host| matches!(host.cgroup, CgroupLayout::V1 { .. })) {
        let path = fresh_path();
        let rule = |minor: u32| plan_at(&host, &path, &allowing(10, minor, "rw"));
        let mut first = create(&rule(1)).unwrap();
        first.commit();
        let Some(dir) = first.dirs.iter().find(|dir| dir.serves("devices")) else { continue };
        fs::create_dir(dir.root.join(&dir.path).join("below")).unwrap();
        let before = dir.read("devices.list").unwrap();
        create(&rule(1)).unwrap().commit();
        assert_eq!(dir.read("devices.list").unwrap(), before);
        create(&rule(2)).unwrap().commit();
        let sorted = |text: String| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let expected = sorted(before.replace("c 10:1 rw", "c 10:2 rw"));
        assert_eq!(sorted(dir.read("devices.list").unwrap()), expected);
        first.remove(PATIENCE).unwrap();
        assert_eq!(left(&rule(1)), [""; 0]);
    }
}

#[test]
fn a_process_that_the_memory_limit_kills_is_counted() {
    for host in hosts() {
        let plan = plan_at(&host, &fresh_path(), r#"{"memory":{"limit":8388608,"swap":8388608}}"#);
        let Ok(cgroup) = create(&plan) else {
            println!("skipped: no memory controller in {:?}", plan.dirs.first().map(|dir| &dir.root));
            continue;
        };
        cgroup.apply_late().unwrap();
        assert_eq!(cgroup.oom_kills(), Some(0));
        assert_eq!(
            shell(&cgroup, "exec dd if=/dev/zero of=/dev/null bs=64M count=1"),
            None,
            "killed by a signal"
        );
        assert_eq!(cgroup.oom_kills(), Some(1));
    }
}

#[test]
fn equal_filters_are_loaded_once_and_few_are_kept() {
    for host in on_v2() {
        let cache = DeviceCache::default();
        let make = |minor: u32| {
            Cgroup::create(&plan_at(&host, &fresh_path(), &allowing(1, minor, "r")), &cache).unwrap()
        };
        let made = [11, 11, 11].map(make);
        assert_eq!(cache.kept(), 1);
        drop(made);
        for minor in 20..40 {
            drop(make(minor));
        }
        assert_eq!(cache.kept(), 8);
    }
}

#[test]
fn a_filter_left_on_a_cgroup_is_replaced_and_those_of_others_stay() {
    use crate::sys::bpf;
    for host in on_v2() {
        let path = fresh_path();
        let rule = |minor: u32| plan_at(&host, &path, &allowing(1, minor, "r"));
        let mut first = create(&rule(20)).unwrap();
        first.commit();
        let dir = first.dirs.first().unwrap().open(libc::O_RDONLY).unwrap();
        let own = || -> Vec<_> {
            let attached = bpf::device_filters(dir.as_fd()).unwrap();
            attached.iter().map(|attached| attached.own).collect()
        };
        assert_eq!(own(), [true]);
        // Of another name, and therefore of somebody else: it grants everything.
        let foreign = bpf::load_named(&[0x0000_0001_0000_00b4, 0x95], b"other").unwrap();
        bpf::attach_device_filter(dir.as_fd(), foreign.as_fd(), None).unwrap();
        assert_eq!(own(), [true, false]);
        let cgroup = create(&rule(11)).unwrap();
        assert_eq!(own(), [true, false], "one replaced, one kept");
        if Path::new("/dev/kmsg").exists() {
            assert_eq!(shell(&cgroup, ": </dev/kmsg"), Some(0), "the old rules are not asked any more");
        }
        drop(cgroup);
        assert_eq!(left(&rule(20)), [""; 0]);
    }
}

#[test]
fn the_cgroup_and_the_listed_files_are_given_away_and_no_limit() {
    use std::os::unix::fs::MetadataExt;
    for host in on_v2() {
        let delegate = crate::plan::cgroup::Delegate { dir: 0, name: "own".into(), owner: Some(4322) };
        let plan =
            CgroupPlan { owner: Some(4321), delegate: Some(delegate), ..plan_at(&host, &fresh_path(), "{}") };
        let cgroup = create(&plan).unwrap();
        let dir = plan.dirs.first().unwrap();
        let top = dir.root.join(&dir.path);
        let owner = |file: &str| fs::metadata(top.join(file)).unwrap().uid();
        for (file, uid) in [
            ("", 4321),
            ("cgroup.procs", 4321),
            ("cgroup.threads", 4321),
            ("cgroup.subtree_control", 4321),
            ("cgroup.max.depth", 0),
            ("cgroup.freeze", 0),
            ("own", 4322),
            ("own/cgroup.procs", 4322),
            ("own/cgroup.max.depth", 0),
        ] {
            assert_eq!(owner(file), uid, "{file}");
        }
        drop(cgroup);
        assert_eq!(left(&plan), [""; 0]);
    }
}

#[test]
fn a_list_of_many_device_rules_passes_the_verifier() {
    for host in on_v2() {
        let rule = |index: u32| {
            let (allow, kind, access) = (
                index % 3 != 0,
                ["a", "b", "c"][index as usize % 3],
                ["r", "w", "rw", "m"][index as usize % 4],
            );
            format!(
                r#"{{"allow":{allow},"type":"{kind}","major":{},"minor":{index},"access":"{access}"}}"#,
                index % 200
            )
        };
        let rules: Vec<_> = (0..1000).map(rule).collect();
        drop(
            create(&plan_at(&host, &fresh_path(), &format!(r#"{{"devices":[{}]}}"#, rules.join(","))))
                .unwrap(),
        );
    }
}
