use serde_json::{Value, json};

use super::super::tests::{Row, accepted, invalid};
use crate::spec::tests::{load, with};

fn scheduler(value: Value) -> Vec<(&'static str, Value)> {
    vec![("/process/scheduler", value)]
}

#[test]
fn a_scheduler_has_a_policy_that_linux_has() {
    invalid(&[
        (&scheduler(json!({})), "/process/scheduler", "policy"),
        (&scheduler(json!({"policy": ""})), "/process/scheduler/policy", "unknown variant"),
        (&scheduler(json!({"policy": "SCHED_X"})), "/process/scheduler/policy", "unknown variant"),
        (&scheduler(json!({"policy": "SCHED_ISO"})), "/process/scheduler/policy", "no kernel has it"),
        (&scheduler(json!({"policy": 3})), "/process/scheduler/policy", "invalid type"),
        (
            &scheduler(json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]})),
            "/process/scheduler/flags/0",
            "unknown variant",
        ),
    ]);
}

#[test]
fn each_policy_has_its_own_numbers() {
    const PRIORITY: &str = "scheduler.priority can only be specified for SchedFIFO or SchedRR policy";
    const TIMES: &str = "scheduler runtime/deadline/period can only be specified for SchedDeadline policy";
    for policy in ["SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE"] {
        accepted("/process/scheduler", &[-20, 0, 19].map(|nice| json!({"policy": policy, "nice": nice})));
        for nice in [-21, 20, i32::MIN, i32::MAX] {
            let words = format!("invalid scheduler.nice: {nice} when scheduler.policy is {policy}");
            let changes = scheduler(json!({"policy": policy, "nice": nice}));
            invalid(&[(&changes, "/process/scheduler/nice", &words)]);
        }
    }
    for policy in ["SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE", "SCHED_DEADLINE"] {
        let changes = scheduler(json!({"policy": policy, "priority": 1}));
        invalid(&[(&changes, "/process/scheduler/priority", PRIORITY)]);
    }
    for policy in ["SCHED_FIFO", "SCHED_RR"] {
        accepted("/process/scheduler", &[1, 99].map(|level| json!({"policy": policy, "priority": level})));
        for level in [-1, 0, 100] {
            let changes = scheduler(json!({"policy": policy, "priority": level}));
            invalid(&[(&changes, "/process/scheduler/priority", "is not within 1 and 99")]);
        }
        for key in ["runtime", "deadline", "period"] {
            let changes = scheduler(json!({"policy": policy, "priority": 1, key: 1}));
            invalid(&[(&changes, &format!("/process/scheduler/{key}"), TIMES)]);
            accepted("/process/scheduler", &[json!({"policy": policy, "priority": 1, key: 0})]);
        }
    }
    let times = json!({"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": u64::MAX});
    accepted("/process/scheduler", &[times]);
    let negative = scheduler(json!({"policy": "SCHED_DEADLINE", "runtime": -1}));
    invalid(&[(&negative, "/process/scheduler/runtime", "invalid value")]);
}

#[test]
fn io_priorities_are_of_a_known_class_and_level() {
    for class in ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"] {
        accepted("/process/ioPriority", &[0, 7].map(|level| json!({"class": class, "priority": level})));
        for level in [-1, 8, i64::MIN, i64::MAX] {
            let changes = [("/process/ioPriority", json!({"class": class, "priority": level}))];
            let words = format!("invalid ioPriority.Priority: {level}");
            invalid(&[(&changes, "/process/ioPriority/priority", &words)]);
        }
    }
    let unknown = [("/process/ioPriority", json!({"class": "IOPRIO_CLASS_NONE", "priority": 0}))];
    invalid(&[(&unknown, "/process/ioPriority/class", "unknown variant")]);
    invalid(&[(&[("/process/ioPriority", json!(7))], "/process/ioPriority", "invalid type")]);
}

#[test]
fn affinities_of_exec_are_lists_of_processors() {
    let good = ["0", "0-3,7", "8191"].map(|cpus| json!({"initial": cpus, "final": cpus}));
    accepted("/process/execCPUAffinity", &good);
    accepted("/process/execCPUAffinity", &[json!({}), json!({"initial": "0"}), json!({"final": ""})]);
    for (key, cpus, words) in [
        ("initial", "a", "execCPUAffinity"),
        ("final", "0,,1", "execCPUAffinity"),
        ("final", "3-1", "invalid execCPUAffinity \"3-1\": not a list of processors below 8192"),
        ("initial", "8192", "not a list of processors"),
        ("initial", "0-99999999999999999999", "not a list of processors"),
        ("initial", "0\n", "execCPUAffinity"),
    ] {
        let pointer = format!("/process/execCPUAffinity/{key}");
        invalid(&[(&[("/process/execCPUAffinity", json!({ key: cpus }))], &pointer, words)]);
    }
}

#[test]
fn memory_policies_take_the_nodes_that_their_mode_wants() {
    const NODES: &str = "/linux/memoryPolicy/nodes";
    let policy = |mode: &str, nodes: Option<&str>| json!({"mode": mode, "nodes": nodes});
    let one = |value: Value| vec![("/linux/memoryPolicy", value)];
    for mode in ["MPOL_DEFAULT", "MPOL_LOCAL"] {
        accepted("/linux/memoryPolicy", &[policy(mode, Some("")), json!({"mode": mode})]);
        let words = "memory policy mode requires 0 nodes but got 3";
        invalid(&[(&one(policy(mode, Some("0-1,5"))), NODES, words)]);
    }
    for mode in ["MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE"] {
        accepted("/linux/memoryPolicy", &[policy(mode, Some("0")), policy(mode, Some("0-1,32767"))]);
        let words = "memory policy mode requires at least one node but got 0";
        invalid(&[(&one(json!({"mode": mode})), NODES, words), (&one(policy(mode, Some(""))), NODES, words)]);
    }
    let preferred = ["", "0", "1,2"].map(|nodes| policy("MPOL_PREFERRED", Some(nodes)));
    accepted("/linux/memoryPolicy", &preferred);
    for nodes in ["a", "1-0", "-1", "32768", "0-4294967295", "0;1"] {
        let words = format!("invalid memory policy nodes {nodes:?}");
        invalid(&[(&one(policy("MPOL_BIND", Some(nodes))), NODES, &words)]);
    }
}

#[test]
fn memory_policies_have_known_modes_and_flags() {
    let rows: &[Row] = &[
        (
            &[("/linux/memoryPolicy", json!({}))],
            "/linux/memoryPolicy",
            "invalid memory policy mode: missing field",
        ),
        (
            &[("/linux/memoryPolicy", json!({"mode": "MPOL_X"}))],
            "/linux/memoryPolicy/mode",
            "invalid memory policy mode: unknown variant",
        ),
        (
            &[("/linux/memoryPolicy", json!({"mode": "MPOL_LOCAL", "flags": ["MPOL_F_X"]}))],
            "/linux/memoryPolicy/flags/0",
            "invalid memory policy flag: unknown variant",
        ),
        (
            &[(
                "/linux/memoryPolicy",
                json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}),
            )],
            "/linux/memoryPolicy/flags",
            "exclude each other",
        ),
    ];
    invalid(rows);
    let flags =
        json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING", "MPOL_F_STATIC_NODES"]});
    load(&with("/linux/memoryPolicy", flags)).unwrap();
}
