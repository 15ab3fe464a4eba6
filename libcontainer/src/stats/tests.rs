//! Texts as the kernel writes them, texts that it never writes, and what both become.

use super::parse::*;
use super::table::{Row, V1, V2};
use super::*;

/// What the rows of one version make of files with these texts.
fn stats(table: &[Row], files: &[(&str, &str)]) -> Stats {
    let mut stats = Stats {
        huge_pages: vec![HugePageStats { size: "2MB".into(), counter: Counter::default() }],
        ..Stats::default()
    };
    for (name, text) in files {
        let rows: Vec<_> = table.iter().filter(|row| row.file.replace("{}", "2MB") == *name).collect();
        assert_eq!(rows.len(), 1, "{name} has one row");
        rows[0].parse.apply(text, 0, &mut stats);
    }
    stats
}

const V2_FILES: &[(&str, &str)] = &[
    (
        "cpu.stat",
        "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 4\nnr_throttled 3\nthrottled_usec 7\nnr_bursts 1\nburst_usec 2\n",
    ),
    ("memory.stat", "anon 4096\nfile 8192\nkernel 1024\nkernel_stack 16384\nworkingset_refault_anon 0\n"),
    ("memory.current", "20480\n"),
    ("memory.max", "max\n"),
    ("memory.peak", "40960\n"),
    ("memory.events", "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\noom_group_kill 0\n"),
    ("memory.swap.current", "100\n"),
    ("memory.swap.max", "1000\n"),
    (
        "memory.pressure",
        "some avg10=1.50 avg60=0.25 avg300=0.00 total=99\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
    ),
    ("pids.current", "3\n"),
    ("pids.max", "max\n"),
    (
        "io.stat",
        "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:16 \n259:0 rbytes=7 cost.vrate=100.00\n",
    ),
    ("hugetlb.2MB.current", "2097152\n"),
    ("hugetlb.2MB.events", "max 4\n"),
    ("rdma.current", "mlx5_0 hca_handle=2 hca_object=20\n"),
    ("rdma.max", "mlx5_0 hca_handle=max hca_object=30\n"),
];

const V1_FILES: &[(&str, &str)] = &[
    ("cpuacct.usage", "123456789\n"),
    ("cpuacct.stat", "user 3\nsystem 2\n"),
    ("cpuacct.usage_percpu", "11 22 \n"),
    ("cpuacct.usage_all", "cpu user system\n0 5 6\n1 7 8\n"),
    ("cpu.stat", "nr_periods 4\nnr_throttled 3\nthrottled_time 2\nnr_bursts 0\nburst_time 0\n"),
    ("cpuset.cpus", "0-2,7\n"),
    ("cpuset.mems", "0\n"),
    ("cpuset.sched_relax_domain_level", "-1\n"),
    ("memory.stat", "cache 8192\nrss 4096\nhierarchical_memory_limit 9223372036854771712\n"),
    ("memory.usage_in_bytes", "20480\n"),
    ("memory.limit_in_bytes", "9223372036854771712\n"),
    ("memory.failcnt", "1\n"),
    ("memory.memsw.usage_in_bytes", "20490\n"),
    ("memory.memsw.failcnt", "0\n"),
    ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 6\n"),
    ("pids.current", "3\n"),
    ("pids.max", "7\n"),
    ("blkio.throttle.io_service_bytes", "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n"),
    ("blkio.bfq.sectors_recursive", "8:0 9\n"),
    ("hugetlb.2MB.failcnt", "8\n"),
];

fn entry(op: &'static str, value: u64) -> BlockIoEntry {
    BlockIoEntry { major: 8, minor: 0, op, value }
}

#[test]
fn the_files_of_v2_fill_their_fields_in_nanoseconds_and_bytes() {
    let stats = stats(V2, V2_FILES);
    let cpu = &stats.cpu;
    assert_eq!((cpu.usage, cpu.user, cpu.kernel), (Some(1_500_000), Some(1_000_000), Some(500_000)));
    assert_eq!((cpu.periods, cpu.throttled_periods, cpu.throttled), (Some(4), Some(3), Some(7000)));
    assert_eq!((cpu.bursts, cpu.burst), (Some(1), Some(2000)));
    let memory = &stats.memory;
    let usage = Counter { usage: Some(20_480), limit: Some(UNLIMITED), max: Some(40_960), failures: Some(5) };
    assert_eq!(memory.usage, usage);
    assert_eq!((memory.cache, memory.kernel.usage), (Some(8192), Some(1024)));
    assert_eq!((memory.oom, memory.oom_kill), (Some(2), Some(1)));
    assert_eq!((memory.stat.get("anon"), memory.stat.get("none")), (Some(4096), None));
    let pressure = memory.pressure.unwrap();
    assert_eq!((pressure.some.avg10, pressure.some.avg60, pressure.some.total), (1.5, 0.25, 99));
    assert_eq!(pressure.full.total, 7);
    assert_eq!(stats.pids, PidsStats { current: Some(3), limit: Some(UNLIMITED) });
    let bytes = [
        entry("Read", 1),
        entry("Write", 2),
        entry("Discard", 5),
        BlockIoEntry { major: 259, ..entry("Read", 7) },
    ];
    assert_eq!(stats.block_io.bytes, bytes);
    assert_eq!(stats.block_io.operations, [entry("Read", 3), entry("Write", 4), entry("Discard", 6)]);
    let huge = stats.huge_pages[0].counter;
    assert_eq!((huge.usage, huge.failures, huge.max), (Some(2 << 20), Some(4), None));
    let rdma = RdmaStats {
        device: "mlx5_0".into(),
        handles: Some(2),
        objects: Some(20),
        handle_limit: Some(UNLIMITED),
        object_limit: Some(30),
    };
    assert_eq!(stats.rdma, [rdma]);
    assert_eq!((stats.cpu.pressure, stats.block_io.pressure), (None, None), "absent, and not zero");
}

#[test]
fn the_files_of_v1_fill_their_fields_in_nanoseconds_and_bytes() {
    let stats = stats(V1, V1_FILES);
    let cpu = &stats.cpu;
    assert_eq!((cpu.usage, cpu.user, cpu.kernel), (Some(123_456_789), Some(30_000_000), Some(20_000_000)));
    assert_eq!(
        (&*cpu.per_cpu, &*cpu.per_cpu_user, &*cpu.per_cpu_kernel),
        (&[11, 22][..], &[5, 7][..], &[6, 8][..])
    );
    assert_eq!((cpu.throttled, cpu.bursts), (Some(2), Some(0)));
    assert_eq!((&*stats.cpuset.cpus, stats.cpuset.sched_relax_domain_level), (&[0, 1, 2, 7][..], Some(-1)));
    assert_eq!((stats.memory.cache, stats.memory.oom_kill, stats.memory.oom), (Some(8192), Some(6), None));
    assert_eq!(stats.memory.usage.limit, Some(9_223_372_036_854_771_712));
    assert_eq!(stats.memory.usage.max, None);
    assert_eq!(stats.block_io.bytes, [entry("Read", 10), entry("Write", 20), entry("Total", 30)]);
    assert_eq!(stats.block_io.sectors, [entry("", 9)]);
    assert_eq!(stats.huge_pages[0].counter.failures, Some(8));
}

/// The scheduler's counters stand before the throttle's in the table, and what they say counts.
#[test]
fn of_two_files_for_one_field_the_first_that_says_something_counts() {
    let throttle = ("blkio.throttle.io_serviced", "8:0 Read 1\n");
    let both = |scheduler| stats(V1, &[("blkio.bfq.io_serviced_recursive", scheduler), throttle]);
    assert_eq!(both("8:0 Read 5\n").block_io.operations, [entry("Read", 5)]);
    assert_eq!(both("Total 0\n").block_io.operations, [entry("Read", 1)]);
}

#[test]
fn every_field_has_one_row_in_a_version_or_a_list_of_them() {
    for table in [V1, V2] {
        let mut names: Vec<_> = table.iter().map(|row| row.file).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table.len(), "a file stands twice");
    }
}

#[test]
fn texts_that_no_kernel_writes_are_skipped_and_stay_bounded() {
    let long = "9".repeat(1 << 20);
    let many = "8:0 Read 1\n".repeat(100_000);
    let words = "1 ".repeat(100_000);
    for text in [
        "",
        "\n",
        "\n\n\n",
        " ",
        "max",
        "-",
        "-5",
        "x y",
        "user",
        "user x\nsystem -1",
        "8:0",
        "8:0 Read",
        ":",
        "8: Read 1",
        "=",
        "a=b c=d",
        "some",
        "some avg10",
        "some avg10=NaN",
        "some total=-1",
        "full avg10=inf avg60=0 avg300=0 total=0",
        "0-",
        "5-1",
        "0-18446744073709551615",
        "18446744073709551616",
        "\u{0}",
        "ä 1",
        &long,
        &many,
        &words,
    ] {
        for table in [V1, V2] {
            let files: Vec<_> = table.iter().map(|row| row.file.replace("{}", "2MB")).collect();
            let files: Vec<_> = files.iter().map(|file| (file.as_str(), text)).collect();
            let stats = stats(table, &files);
            assert!(stats.cpuset.cpus.len() <= 8192 && stats.cpu.per_cpu.len() <= 8192);
            assert!(stats.block_io.bytes.len() <= 8192 && stats.memory.stat.iter().count() <= 8192);
            assert!(serde_json::from_str::<serde_json::Value>(&stats.runc_json()).is_ok());
        }
    }
    assert_eq!(number("18446744073709551615"), Some(UNLIMITED));
    assert_eq!(number("18446744073709551616"), None);
    assert_eq!(pressure("some avg10=x avg60=0 avg300=0 total=0\n"), None);
    let keys = stats(V1, &[("cpuacct.stat", "user 18446744073709551615\n")]);
    assert_eq!(keys.cpu.user, Some(u64::MAX), "it does not wrap");
}

#[test]
fn names_of_counters_are_kept_while_the_kernel_keeps_their_order() {
    let mut list = Counters::default();
    counters("a 1\nb 2\nc 3\n", &mut list);
    let kept = list.0[0].0.as_ptr();
    counters("a 4\nb 5\n", &mut list);
    assert_eq!(list.iter().collect::<Vec<_>>(), [("a", 4), ("b", 5)]);
    assert_eq!(list.0[0].0.as_ptr(), kept);
    counters("b 6\na 7\n", &mut list);
    assert_eq!(list.iter().collect::<Vec<_>>(), [("b", 6), ("a", 7)]);
}

#[test]
fn what_was_told_before_is_absent_when_it_is_told_no_more() {
    let mut stats = stats(V2, V2_FILES);
    stats.clear(&["2MB".into()]);
    stats.rdma.retain(|entry| !entry.says_nothing());
    let names = stats.memory.stat.clone();
    let expected = Stats {
        memory: MemoryStats { stat: names, ..MemoryStats::default() },
        huge_pages: vec![HugePageStats { size: "2MB".into(), counter: Counter::default() }],
        ..Stats::default()
    };
    assert_eq!(stats, expected);
    stats.clear(&[]);
    assert!(stats.huge_pages.is_empty());
}

#[test]
fn runc_prints_v2_as_if_swap_were_counted_with_memory() {
    let json = stats(V2, V2_FILES).runc_json();
    let expected = concat!(
        r#"{"cpu":{"usage":{"total":1500000,"kernel":500000,"user":1000000},"throttling":{"periods":4,"throttledPeriods":3,"throttledTime":7000}},"#,
        r#""cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"#,
        r#""memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0},"#,
        r#""memory":{"cache":8192,"usage":{"limit":18446744073709551615,"usage":20480,"max":40960,"failcnt":5},"#,
        r#""swap":{"limit":18446744073709551615,"usage":20580,"failcnt":0},"kernel":{"limit":0,"usage":1024,"failcnt":0},"kernelTCP":{"limit":0,"failcnt":0},"#,
        r#""raw":{"anon":4096,"file":8192,"kernel":1024,"kernel_stack":16384,"workingset_refault_anon":0},"#,
        r#""psi":{"some":{"avg10":1.5,"avg60":0.25,"avg300":0,"total":99},"full":{"avg10":0,"avg60":0,"avg300":0,"total":7}}},"#,
        r#""pids":{"current":3},"blkio":{"ioServiceBytesRecursive":[{"major":8,"op":"Read","value":1},{"major":8,"op":"Write","value":2},"#,
        r#"{"major":8,"op":"Discard","value":5},{"major":259,"op":"Read","value":7}],"#,
        r#""ioServicedRecursive":[{"major":8,"op":"Read","value":3},{"major":8,"op":"Write","value":4},{"major":8,"op":"Discard","value":6}]},"#,
        r#""hugetlb":{"2MB":{"usage":2097152,"failcnt":4}},"intel_rdt":{},"network_interfaces":null}"#,
    );
    assert_eq!(json, expected);
}

#[test]
fn runc_prints_v1_as_it_is() {
    let json: serde_json::Value = serde_json::from_str(&stats(V1, V1_FILES).runc_json()).unwrap();
    assert_eq!(json["cpu"]["usage"]["percpu"], serde_json::json!([11, 22]));
    assert_eq!(json["cpuset"]["cpus"], serde_json::json!([0, 1, 2, 7]));
    assert_eq!(json["cpuset"]["sched_relax_domain_level"], -1);
    assert_eq!(json["memory"]["swap"], serde_json::json!({ "limit": 0, "usage": 20490, "failcnt": 0 }));
    assert_eq!(json["memory"]["usage"]["limit"], 9_223_372_036_854_771_712_u64);
    assert_eq!(json["pids"], serde_json::json!({ "current": 3, "limit": 7 }));
    assert_eq!(json["blkio"]["sectorsRecursive"], serde_json::json!([{ "major": 8, "value": 9 }]));
}

#[test]
fn runc_s_rdt_has_the_lines_of_the_group_and_of_the_root() {
    let stats = Stats {
        intel_rdt: Some(RdtStats {
            l3_cbm_mask: Some("fff".into()),
            l3_groups: Some(16),
            root_schemata: vec!["L3:0=fff".into(), "MB:0=100".into()],
            schemata: vec!["L3:0=f".into()],
            domains: vec![RdtDomain {
                name: "mon_L3_00".into(),
                occupancy: Some(5),
                total_bytes: Some(7),
                local_bytes: None,
            }],
            ..RdtStats::default()
        }),
        ..Stats::default()
    };
    let json: serde_json::Value = serde_json::from_str(&stats.runc_json()).unwrap();
    let expected = serde_json::json!({
        "l3_cache_info": { "cbm_mask": "fff", "num_closids": 16 },
        "l3_cache_schema_root": "L3:0=fff", "l3_cache_schema": "L3:0=f", "schemata": ["L3:0=f"],
        "mbm_stats": [{ "mbm_total_bytes": 7 }], "cmt_stats": [{ "llc_occupancy": 5 }],
    });
    assert_eq!(json["intel_rdt"], expected);
}
