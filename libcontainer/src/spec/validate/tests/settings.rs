//! Sysctls, time offsets and network devices.

use super::*;

#[test]
fn sysctls_belong_to_a_namespace_of_the_container() {
    let none = namespaces(&["mount", "uts"]);
    let cases = [
        ("kernel.shmmax", "is not allowed in the hosts ipc namespace"),
        ("fs.mqueue.msg_max", "is not allowed in the hosts ipc namespace"),
        ("net.ipv4.ip_forward", "not allowed in host network namespace"),
        ("user.max_net_namespaces", "is not in a separate kernel namespace"),
        ("vm.swappiness", "is not in a separate kernel namespace"),
        ("kernel.shmmaxx", "is not in a separate kernel namespace"),
        ("kernel.hostname", "is not allowed as it conflicts with the OCI \"hostname\" field"),
        ("net..ipv4", "is not in a separate kernel namespace"),
        ("net.", "is not in a separate kernel namespace"),
        ("", "is not in a separate kernel namespace"),
    ];
    for (key, words) in cases {
        let place = format!("/linux/sysctl/{key}");
        let sysctl = ("/linux/sysctl", json!({ key: "1" }));
        let words = format!("sysctl {key:?} {words}");
        invalid(&[(&[("/linux/namespaces", none.clone()), sysctl], &place, &words)]);
    }
    // Not even with every namespace: the path leaves its folder.
    for (key, place) in [("net/../kernel/panic", "net~1..~1kernel~1panic"), ("net.//.x", "net.~1~1.x")] {
        let place = format!("/linux/sysctl/{place}");
        let words = "is not in a separate kernel namespace";
        invalid(&[(&[("/linux/sysctl", json!({ key: "1" }))], &place, words)]);
    }
    for key in ["kernel.shmmax", "fs/mqueue/msg_max", "net/ipv4/ip_forward", "kernel.domainname", "net.a/b.c"]
    {
        load(&with("/linux/sysctl", json!({ key: "1" }))).unwrap();
    }
}

#[test]
fn a_sysctl_has_one_line_and_one_spelling() {
    let long = "1".repeat(4001);
    let cases = [
        ("net.core.somaxconn", "", "has an empty value"),
        ("net.core.somaxconn", "\n", "has an empty value"),
        ("net.core.somaxconn", "1\n2", "has a value of more than one line"),
        ("net.core.somaxconn", "1\n\n", "has a value of more than one line"),
        ("net.core.somaxconn", long.as_str(), "has a value of 4001 bytes, at most 4000 are allowed"),
        ("kernel.domainname", &long[..65], "has a value of 65 bytes, at most 64 are allowed"),
    ];
    for (key, value, words) in cases {
        let place = format!("/linux/sysctl/{key}");
        let words = format!("sysctl {key:?} {words}");
        invalid(&[(&[("/linux/sysctl", json!({ key: value }))], &place, &words)]);
    }
    let control = ("/linux/sysctl", json!({"net.a\nb": "1"}));
    invalid(&[(&[control], "/linux/sysctl/net.a\\u000ab", "is not in a separate kernel namespace")]);
    let twice = ("/linux/sysctl", json!({"net.core.somaxconn": "1", "net/core/somaxconn": "2"}));
    invalid(&[(
        &[twice],
        "/linux/sysctl/net~1core~1somaxconn",
        "names the same file as \"net.core.somaxconn\"",
    )]);
    accepted(
        "/linux/sysctl",
        &[json!({"net.core.somaxconn": "1\n"}), json!({"kernel/sem": "250 32000 100 128"})],
    );
}

#[test]
fn a_domain_name_is_given_once() {
    let both = |value: &str| {
        [("/domainname", json!("a.example")), ("/linux/sysctl", json!({ "kernel.domainname": value }))]
    };
    let words =
        "sysctl \"kernel.domainname\" is not allowed as it conflicts with the OCI \"domainname\" field";
    invalid(&[(&both("b.example"), "/linux/sysctl/kernel.domainname", words)]);
    let mut document = with("/domainname", json!("a.example"));
    set(&mut document, "/linux/sysctl", json!({"kernel.domainname": "a.example"}));
    load(&document).unwrap();
}

#[test]
fn time_offsets_need_a_new_time_namespace_and_known_clocks() {
    let time = |namespace: Value| ("/linux/namespaces/-", namespace);
    let new = || time(json!({"type": "time"}));
    let offsets = |value: Value| ("/linux/timeOffsets", value);
    let one = json!({"monotonic": {"secs": 1}});
    invalid(&[
        (
            &[offsets(one.clone())],
            "/linux/timeOffsets",
            "time namespace offsets specified, but time namespace isn't enabled in the config",
        ),
        (
            &[time(json!({"type": "time", "path": "/proc/7/ns/time"})), offsets(one)],
            "/linux/timeOffsets",
            "time namespace enabled, but both namespace path and time offsets specified",
        ),
        (
            &[new(), offsets(json!({"realtime": {}}))],
            "/linux/timeOffsets/realtime",
            "clock \"realtime\" is neither",
        ),
        (
            &[new(), offsets(json!({"boottime": {"nanosecs": 1_000_000_000}}))],
            "/linux/timeOffsets/boottime/nanosecs",
            "nanosecs 1000000000 is not within 0 and 999999999",
        ),
        (
            &[new(), offsets(json!({"boottime": {"secs": 9_223_372_037_i64}}))],
            "/linux/timeOffsets/boottime/secs",
            "secs 9223372037 is not within -9223372036 and 9223372036",
        ),
        (
            &[new(), offsets(json!({"boottime": {"secs": i64::MIN}}))],
            "/linux/timeOffsets/boottime/secs",
            "is not within",
        ),
    ]);
    let mut document = with("/linux/namespaces/-", json!({"type": "time"}));
    for offsets in [json!({"monotonic": {"secs": -5, "nanosecs": 999_999_999}, "boottime": {}}), json!({})] {
        set(&mut document, "/linux/timeOffsets", offsets);
        load(&document).unwrap();
    }
}

#[test]
fn network_devices_have_names_that_the_kernel_takes() {
    let long = "x".repeat(16);
    for name in ["", ".", "..", "a/b", "a b", "a:b", "a\tb", "eth%d", &long] {
        let place = format!("/linux/netDevices/{}", name.replace('/', "~1").replace('\t', "\\u0009"));
        let words = format!("invalid network device name {name:?}");
        invalid(&[(&[("/linux/netDevices", json!({ name: {} }))], &place, &words)]);
        if !name.is_empty() {
            let renamed = ("/linux/netDevices", json!({"eth1": {"name": name}}));
            invalid(&[(&[renamed], "/linux/netDevices/eth1/name", &words)]);
        }
    }
    let twice = ("/linux/netDevices", json!({"eth1": {"name": "data"}, "eth2": {"name": "data"}}));
    let words = "network devices \"eth1\" and \"eth2\" are both named \"data\"";
    invalid(&[(&[twice], "/linux/netDevices/eth2", words)]);
    let none = ("/linux/namespaces", namespaces(&["mount", "uts"]));
    let words = "unable to move network devices without a private network namespace";
    invalid(&[(&[none, ("/linux/netDevices", json!({"eth1": {}}))], "/linux/netDevices", words)]);
    accepted(
        "/linux/netDevices",
        &[
            json!({}),
            json!({"a": {"name": "b"}, "b": {"name": "a"}}),
            json!({ "x".repeat(15): {"name": ""} }),
        ],
    );
}
