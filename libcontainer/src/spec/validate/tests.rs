use serde_json::{Value, json};

use crate::ErrorKind;
use crate::spec::tests::{load, set, with};

mod kinds;
mod resources;
mod settings;

/// (what is set in the example, the refusal's pointer, words of the refusal)
pub(super) type Row<'a> = (&'a [(&'a str, Value)], &'a str, &'a str);

fn refused(rows: &[Row], kind: ErrorKind) {
    for (changes, pointer, words) in rows {
        let mut document = with("/annotations", json!({}));
        changes.iter().for_each(|(place, value)| set(&mut document, place, value.clone()));
        let error = match load(&document) {
            Ok(_) => panic!("accepted: {changes:?}"),
            Err(error) => error,
        };
        assert!(error.message().contains(words), "{changes:?}: {error}");
        assert_eq!(error.pointer(), Some(*pointer), "{changes:?}: {error}");
        assert_eq!(error.kind(), kind, "{changes:?}: {error}");
        assert!(!error.to_string().contains('\n'));
    }
}

pub(super) fn invalid(rows: &[Row]) {
    refused(rows, ErrorKind::InvalidSpec);
}

pub(super) fn accepted(place: &str, values: &[Value]) {
    for value in values {
        if let Err(error) = load(&with(place, value.clone())) {
            panic!("{place} {value}: {error}");
        }
    }
}

fn namespaces(types: &[&str]) -> Value {
    types.iter().map(|typ| json!({ "type": typ })).collect()
}

#[test]
fn the_version_is_semantic_and_of_major_1() {
    let versions = ["1.0.0", "1.0.2-dev", "1.0.0-rc5", "1.3.0+dev", "1.99.1-a.1.b-c+x.01"].map(Value::from);
    accepted("/ociVersion", &versions);
    for version in
        ["", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "v1.0.0", " 1.0.0", "1.0.x"]
    {
        let words = if version.is_empty() { "ociVersion is missing" } else { "is not a semantic version" };
        invalid(&[(&[("/ociVersion", json!(version))], "/ociVersion", words)]);
    }
    invalid(&[
        (&[("/ociVersion", json!("2.0.0"))], "/ociVersion", "\"2.0.0\" is not supported"),
        (&[("/ociVersion", json!("0.9.0"))], "/ociVersion", "\"0.9.0\" is not supported"),
        (&[("/ociVersion", Value::Null)], "/ociVersion", "ociVersion is missing"),
    ]);
}

#[test]
fn root_is_there_and_not_remounted_on_the_host() {
    invalid(&[
        (&[("/root", Value::Null)], "/root", "root must be specified"),
        (&[("/root", json!({}))], "/root/path", "root path must not be empty"),
        (&[("/root/path", json!("x".repeat(4096)))], "/root/path", "longer than 4095 bytes"),
        (
            &[
                ("/linux/namespaces", namespaces(&["pid", "uts", "user"])),
                ("/linux/uidMappings", one_id()),
                ("/linux/gidMappings", one_id()),
                ("/mounts", json!([])),
            ],
            "/root/readonly",
            "without a private mount namespace",
        ),
    ]);
}

#[test]
fn names_need_a_uts_namespace() {
    let no_uts = namespaces(&["mount"]);
    let hostname = "unable to set hostname without a private UTS namespace";
    let domainname = "unable to set domainname without a private UTS namespace";
    invalid(&[
        (&[("/linux/namespaces", no_uts.clone())], "/hostname", hostname),
        (
            &[("/linux/namespaces", no_uts), ("/hostname", json!("")), ("/domainname", json!("d"))],
            "/domainname",
            domainname,
        ),
        (&[("/hostname", json!("h".repeat(65)))], "/hostname", "longer than 64 bytes"),
    ]);
    accepted("/domainname", &[json!("d".repeat(64))]);
}

#[test]
fn mounts_have_a_place_of_their_own() {
    let destination = "/mounts/1/destination";
    let top = "mountpoint is on the top of rootfs";
    let inside = "cannot be mounted because it is inside /proc";
    let mut rows: Vec<Row> = Vec::new();
    let changes: Vec<([(&str, Value); 1], &str)> = [
        ("", "must not be empty"),
        ("/", top),
        ("/.", top),
        ("/a/..", top),
        ("/..", top),
        (".", top),
        ("/proc", "cannot be mounted because it is not of type proc"),
        ("/proc/foo", inside),
        ("/proc/sys", inside),
        ("/a/../proc/sys/kernel", inside),
        ("proc/1", inside),
        ("/proc/sys/network", inside),
    ]
    .into_iter()
    .map(|(path, words)| ([(destination, json!(path))], words))
    .collect();
    rows.extend(changes.iter().map(|(change, words)| (&change[..], destination, *words)));
    invalid(&rows);
    accepted(
        destination,
        &["/a", "/proc/cpuinfo", "//proc//sys/./net", "/process", "/a/b/../c"].map(Value::from),
    );
    // The host's network settings are not for a container without its own network.
    let network = (destination, json!("/proc/sys/net"));
    invalid(&[(&[network, ("/linux/namespaces", namespaces(&["mount", "uts"]))], destination, inside)]);
}

#[test]
fn a_relative_destination_is_a_warning() {
    let spec = load(&with("/mounts/1/destination", json!("data"))).unwrap();
    assert_eq!(spec.warnings().len(), 1);
    assert_eq!(spec.warnings()[0].pointer, "/mounts/1/destination");
}

fn one_id() -> Value {
    json!([{ "containerID": 0, "hostID": 100_000, "size": 1 }])
}

/// On the host a user namespace may not mount.
#[test]
fn mounts_need_a_mount_namespace_or_no_user_namespace() {
    let rootless = |edits: &[(&'static str, Value)]| -> Vec<(&str, Value)> {
        let maps = [("/linux/uidMappings", one_id()), ("/linux/gidMappings", one_id())];
        let namespaces = ("/linux/namespaces", namespaces(&["uts", "user"]));
        [&[namespaces, ("/root/readonly", json!(false))], &maps[..], edits].concat()
    };
    let (none, seen) = (("/mounts", json!([])), ("/linux/maskedPaths", json!([])));
    let text = "unable to set up mounts without a private mount namespace";
    invalid(&[
        (&rootless(&[]), "/mounts", text),
        (&rootless(std::slice::from_ref(&none)), "/linux/maskedPaths", "unable to apply maskedPaths without"),
        (&rootless(&[none.clone(), seen]), "/linux/readonlyPaths", "unable to apply readonlyPaths without"),
    ]);
    invalid(&[(
        &[("/linux/namespaces", namespaces(&["uts"])), none, ("/linux/rootfsPropagation", json!("slave"))],
        "/linux/rootfsPropagation",
        "unable to set rootfsPropagation without",
    )]);
    accepted("/linux/namespaces", &[namespaces(&["uts", "pid"])]);
    // Without any of these the section linux may be absent.
    let mut document = with("/linux", Value::Null);
    for (place, value) in [("/mounts", json!([])), ("/root/readonly", json!(false)), ("/hostname", json!(""))]
    {
        set(&mut document, place, value);
    }
    load(&document).unwrap();
}

#[test]
fn the_process_may_be_absent_and_is_checked_if_not() {
    accepted("/process", &[Value::Null]);
    let env = |entry: &str| ("/process/env/0", json!(entry));
    invalid(&[
        (&[("/process/args", json!([]))], "/process/args", "args must not be empty"),
        (&[("/process/args", Value::Null)], "/process/args", "args must not be empty"),
        (&[("/process/args/0", json!("x".repeat(131_072)))], "/process/args/0", "argument list too long"),
        (&[("/process/cwd", json!(""))], "/process/cwd", "Cwd property must not be empty"),
        (&[("/process/cwd", json!("tmp"))], "/process/cwd", "Cwd must be an absolute path"),
        (&[("/process/cwd", json!("/".repeat(4096)))], "/process/cwd", "longer than 4095 bytes"),
        (&[env("PATH")], "/process/env/0", "environment entry has no '='"),
        (&[env("")], "/process/env/0", "environment entry has no '='"),
        (&[env("=x")], "/process/env/0", "environment entry has an empty name"),
        (&[env(&format!("A={}", "x".repeat(131_072)))], "/process/env/0", "argument list too long"),
        (&[("/process/oomScoreAdj", json!(1001))], "/process/oomScoreAdj", "is not within -1000 and 1000"),
        (&[("/process/oomScoreAdj", json!(-1001))], "/process/oomScoreAdj", "is not within -1000 and 1000"),
    ]);
    accepted("/process/env", &[json!([]), json!(["A=", "A=B=C", "a b=c", "Ä=ö"])]);
    accepted("/process/oomScoreAdj", &[json!(-1000), json!(1000), json!(0)]);
}

#[test]
fn minus_one_is_no_id() {
    invalid(&[
        (&[("/process/user/uid", json!(u32::MAX))], "/process/user/uid", "uid 4294967295 is not an id"),
        (&[("/process/user/gid", json!(u32::MAX))], "/process/user/gid", "gid 4294967295 is not an id"),
        (
            &[("/process/user/additionalGids", json!([1, u32::MAX]))],
            "/process/user/additionalGids/1",
            "is not an id",
        ),
        (
            &[("/process/user/additionalGids", json!(vec![1; 65_537]))],
            "/process/user/additionalGids",
            "at most 65536",
        ),
        (&[("/process/user/umask", json!(0o10000))], "/process/user/umask", "umask 010000 is larger"),
    ]);
    accepted("/process/user/umask", &[json!(0), json!(0o7777)]);
    accepted("/process/user/uid", &[json!(u32::MAX - 1)]);
}

#[test]
fn rlimits_are_given_once_and_in_order() {
    let nofile = json!({"type": "RLIMIT_NOFILE", "hard": 10, "soft": 1});
    let rows = json!([nofile, nofile]);
    invalid(&[
        (&[("/process/rlimits", rows)], "/process/rlimits/1", "RLIMIT_NOFILE is given twice"),
        (
            &[("/process/rlimits/0/soft", json!(1025))],
            "/process/rlimits/0",
            "soft limit 1025 above hard limit 1024",
        ),
    ]);
    accepted("/process/rlimits/0/hard", &[json!(u64::MAX)]);
}

#[test]
fn labels_are_one_line_that_the_kernel_takes_whole() {
    for place in ["/process/apparmorProfile", "/process/selinuxLabel", "/linux/mountLabel"] {
        for label in ["a\nb", "\u{7f}", "\t"] {
            invalid(&[(&[(place, json!(label))], place, "has a control character")]);
        }
        invalid(&[(&[(place, json!("x".repeat(4001)))], place, "is longer than 4,000 bytes")]);
        accepted(place, &["x".repeat(4000), "docker default//&:ns://a".to_owned()].map(Value::from));
        invalid(&[(&[(place, json!(5))], place, "invalid type")]);
    }
}

#[test]
fn capability_sets_are_possible_ones() {
    invalid(&[(
        &[("/process/capabilities/permitted", json!(["CAP_KILL"]))],
        "/process/capabilities/effective",
        "not permitted: CAP_AUDIT_WRITE CAP_NET_BIND_SERVICE",
    )]);
    let spec = load(&with("/process/capabilities/ambient", json!(["CAP_KILL"]))).unwrap();
    assert_eq!(spec.warnings()[0].pointer, "/process/capabilities/ambient");
    let messages: Vec<_> = spec.warnings().iter().map(|warning| warning.message.as_str()).collect();
    let raise = "can't raise ambient capability CAP_KILL: it is not";
    assert_eq!(messages, [format!("{raise} inheritable")]);
    accepted("/process/capabilities", &[json!({}), Value::Null]);
}

#[test]
fn namespaces_are_given_once_by_absolute_path() {
    let path = |path: &str| ("/linux/namespaces/0/path", json!(path));
    invalid(&[
        (
            &[("/linux/namespaces/-", json!({"type": "network"}))],
            "/linux/namespaces/6",
            "namespace network is given twice",
        ),
        (&[path("proc/1/ns/pid")], "/linux/namespaces/0/path", "of namespace pid is not absolute"),
        (&[path(&"/x".repeat(2048))], "/linux/namespaces/0/path", "longer than 4095 bytes"),
    ]);
    accepted("/linux/namespaces/0/path", &[json!("/proc/1/ns/pid")]);
}

/// The example with a user namespace and these uid mappings.
fn mapped(uids: Value) -> Vec<(&'static str, Value)> {
    vec![
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", uids),
        ("/linux/gidMappings", json!([{"containerID": 0, "hostID": 1000, "size": 65_536}])),
    ]
}

fn mapping(container: u32, host: u32, size: u32) -> Value {
    json!({"containerID": container, "hostID": host, "size": size})
}

#[test]
fn mappings_come_with_a_new_user_namespace() {
    let none = "user namespaces enabled, but no namespace path to join nor mappings to apply specified";
    let user = ("/linux/namespaces/-", json!({"type": "user"}));
    let uids = ("/linux/uidMappings", json!([mapping(0, 1000, 1)]));
    invalid(&[
        (std::slice::from_ref(&uids), "/linux/uidMappings", "uidMappings without a user namespace"),
        (std::slice::from_ref(&user), "/linux/uidMappings", none),
        (&[user.clone(), uids.clone()], "/linux/gidMappings", none),
    ]);
    let joined = ("/linux/namespaces/-", json!({"type": "user", "path": "/proc/1/ns/user"}));
    accepted(joined.0, std::slice::from_ref(&joined.1));
    let mut document = with(joined.0, joined.1);
    set(&mut document, uids.0, uids.1);
    assert_eq!(load(&document).unwrap().warnings()[0].pointer, "/linux/uidMappings");
}

#[test]
fn mappings_are_those_that_the_kernel_takes() {
    let many: Value = (0..341).map(|i| mapping(i, i, 1)).collect();
    let long: Value = (0..300).map(|i| mapping(i * 10, 4_000_000_000 + i * 10, 5)).collect();
    for (uids, pointer, words) in [
        (json!([mapping(0, 0, 0)]), "/linux/uidMappings/0", "size is 0"),
        (json!([mapping(0, u32::MAX, 1)]), "/linux/uidMappings/0", "goes beyond id 4294967294"),
        (json!([mapping(u32::MAX, 0, u32::MAX)]), "/linux/uidMappings/0", "goes beyond id 4294967294"),
        (json!([mapping(0, 0, 10), mapping(9, 100, 1)]), "/linux/uidMappings/1", "overlaps an earlier one"),
        (json!([mapping(0, 0, 10), mapping(10, 9, 1)]), "/linux/uidMappings/1", "overlaps an earlier one"),
        (many, "/linux/uidMappings", "341 mappings, the kernel takes at most 340"),
        (long, "/linux/uidMappings", "the kernel takes 4095"),
        (json!([mapping(1, 0, 10)]), "/process/user/uid", "id 0 is not mapped in the user namespace"),
    ] {
        invalid(&[(&mapped(uids), pointer, words)]);
    }
    for uids in [json!([mapping(0, 0, u32::MAX)]), json!([mapping(0, 5, 10), mapping(10, 15, 1)])] {
        let mut document = with("/process/user/uid", json!(10));
        mapped(uids).iter().for_each(|(place, value)| set(&mut document, place, value.clone()));
        load(&document).unwrap();
    }
}

#[test]
fn additional_groups_are_mapped_too() {
    let mut changes = mapped(json!([mapping(0, 1000, 1)]));
    changes.push(("/process/user/additionalGids", json!([5, 65_536])));
    let words = "id 65536 is not mapped";
    invalid(&[(&changes, "/process/user/additionalGids/1", words)]);
}

#[test]
fn paths_to_hide_are_not_empty() {
    invalid(&[
        (&[("/linux/maskedPaths/1", json!(""))], "/linux/maskedPaths/1", "must not be empty"),
        (&[("/linux/readonlyPaths/0", json!("/x".repeat(2048)))], "/linux/readonlyPaths/0", "longer"),
        (
            &[("/linux/rootfsPropagation", json!("slav"))],
            "/linux/rootfsPropagation",
            "\"slav\" is not supported",
        ),
    ]);
    let spec = load(&with("/linux/maskedPaths/0", json!("proc/kcore"))).unwrap();
    assert_eq!(spec.warnings()[0].pointer, "/linux/maskedPaths/0");
    accepted("/linux/rootfsPropagation", &["slave", "rslave", "private", "rprivate"].map(Value::from));
}

/// The second mount of the example, with these options and more.
fn mount(options: &[&str], more: Value) -> Value {
    let mut mount = json!({"destination": "/x", "type": "tmpfs", "source": "/x", "options": options});
    mount.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    mount
}

#[test]
fn options_that_contradict_their_mount_are_refused_by_place() {
    let bind = || json!({"type": "bind"});
    let both = "`copy-symlink` is mutually exclusive with `src-nofollow` and `dest-nofollow`";
    let rows: [(&[&str], Value, &str, &str); 9] = [
        (&["ro", "tmpcopyup"], bind(), "options/1", "\"tmpcopyup\" is for mounts of type tmpfs"),
        (&["tmpcopyup", "rbind"], json!({}), "options/0", "is for mounts of type tmpfs"),
        (&["tmpcopyup", "remount"], json!({}), "options/0", "is for mounts of type tmpfs"),
        (&["copy-symlink"], json!({}), "options/0", "\"copy-symlink\" is for bind mounts"),
        (&["ro", "src-nofollow"], json!({}), "options/1", "is for bind mounts"),
        (&["dest-nofollow", "bind", "remount"], json!({}), "options/0", "is for bind mounts"),
        (&["src-nofollow", "copy-symlink"], bind(), "options/1", both),
        (&["ridmap", "remount"], json!({}), "options/0", "\"ridmap\" is not for a remount"),
        (&["idmap=uids=0-1-2", "remount"], json!({}), "options/0", "is not for a remount"),
    ];
    for (options, more, place, words) in rows {
        let pointer = format!("/mounts/1/{place}");
        invalid(&[(&[("/mounts/1", mount(options, more))], &pointer, words)]);
    }
    let long = format!("x={}", "y".repeat(5000));
    invalid(&[(
        &[("/mounts/1", mount(&["ro", &long], json!({})))],
        "/mounts/1/options/1",
        "longer than 4095",
    )]);
    let kind = json!({"type": "t".repeat(300)});
    invalid(&[(&[("/mounts/1", mount(&[], kind))], "/mounts/1/type", "longer than 255")]);
    for options in [&["tmpcopyup", "ro"] as &[&str], &["bind", "copy-symlink"], &["rbind", "src-nofollow"]] {
        accepted("/mounts/1", &[mount(options, json!({}))]);
    }
}

#[test]
fn mappings_of_a_mount_come_together_and_are_those_of_a_kernel() {
    let both = "id-mapped mounts must have both uid and gid mappings specified";
    let good = || json!([mapping(0, 1000, 10)]);
    let rows = [
        (json!({"uidMappings": good()}), "gidMappings", both),
        (json!({"gidMappings": good(), "uidMappings": []}), "uidMappings", both),
        (json!({"gidMappings": good(), "uidMappings": [mapping(0, 0, 0)]}), "uidMappings/0", "is empty"),
        (
            json!({"uidMappings": good(), "gidMappings": [mapping(0, 0, 2), mapping(1, 9, 1)]}),
            "gidMappings/1",
            "overlaps an earlier one",
        ),
    ];
    for (more, key, words) in rows {
        let pointer = format!("/mounts/1/{key}");
        invalid(&[(&[("/mounts/1", mount(&["rbind"], more))], &pointer, words)]);
    }
    let twice = json!({"uidMappings": good(), "gidMappings": good()});
    let words = "mappings are given twice";
    invalid(&[(
        &[("/mounts/1", mount(&["bind", "idmap=uids=0-1-1;gids=0-1-1"], twice.clone()))],
        "/mounts/1/options/1",
        words,
    )]);
    accepted("/mounts/1", &[mount(&["rbind", "ridmap"], twice)]);
}

#[test]
fn empty_values_of_what_is_not_built_yet_are_absent() {
    for (place, value) in [
        ("/hooks", json!({})),
        ("/hooks", json!({"poststop": []})),
        ("/linux/timeOffsets", json!({})),
        ("/linux/netDevices", json!({})),
        ("/linux/sysctl", json!({})),
        ("/linux/resources/blockIO", json!({"weight": 0, "weightDevice": [], "throttleReadBpsDevice": []})),
        ("/linux/resources/hugepageLimits", json!([])),
        ("/linux/resources/network", json!({"classID": 0, "priorities": []})),
        ("/linux/resources/rdma", json!({})),
        ("/linux/resources/unified", json!({})),
        ("/mounts/0/uidMappings", json!([])),
    ] {
        accepted(place, std::slice::from_ref(&value));
    }
    let spec = load(&with("/linux/personality", json!({"domain": "LINUX", "flags": ["X"]}))).unwrap();
    assert_eq!(spec.warnings()[0].message, "personality flags are ignored");
}

#[test]
fn hooks_have_a_path_words_an_environment_and_time() {
    accepted(
        "/hooks",
        &[
            json!({"prestart": [{"path": "/nosuch"}, {"path": "/a/../b", "args": ["b", ""], "env": ["A=", "B==1"], "timeout": 1}]}),
            json!({"poststop": [{"path": "/a", "timeout": i64::MAX}]}),
        ],
    );
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        let long = "x".repeat(131_072);
        for (hook, key, words) in [
            (json!({"path": "bin/true"}), "/path", "is not absolute"),
            (json!({"path": ""}), "/path", "is not absolute"),
            (json!({"path": "../true"}), "/path", "is not absolute"),
            (json!({"path": format!("/{}", "x".repeat(4096))}), "/path", "longer than 4095 bytes"),
            (json!({"path": "/a\0b"}), "/path", "NUL"),
            (json!({"path": "/a", "args": ["a", long]}), "/args/1", "argument list too long"),
            (json!({"path": "/a", "args": ["a\0"]}), "/args/0", "NUL"),
            (json!({"path": "/a", "env": ["A=1", "B"]}), "/env/1", "has no '='"),
            (json!({"path": "/a", "env": ["=1"]}), "/env/0", "empty name"),
            (json!({"path": "/a", "env": [format!("A={long}")]}), "/env/0", "argument list too long"),
            (json!({"path": "/a", "timeout": 0}), "/timeout", "timeout 0 is not greater than zero"),
            (json!({"path": "/a", "timeout": -5}), "/timeout", "timeout -5 is not greater than zero"),
        ] {
            let place = format!("/hooks/{kind}/1{key}");
            invalid(&[(&[("/hooks", json!({ kind: [{"path": "/ok"}, hook] }))], &place, words)]);
        }
        let many: Vec<Value> = std::iter::repeat_n(json!({"path": "/a"}), 10_001).collect();
        invalid(&[(&[("/hooks", json!({ kind: many }))], &format!("/hooks/{kind}"), "at most 10000")]);
    }
    let warned = load(&with("/hooks", json!({"poststart": [{"path": "/a", "args": []}]}))).unwrap();
    assert_eq!(warned.warnings()[0].pointer, "/hooks/poststart/0/args");
}

#[test]
fn hooks_of_another_type_are_refused() {
    for hooks in [
        json!("x"),
        json!({"prestart": {}}),
        json!({"prestart": [7]}),
        json!({"prestart": [{}]}),
        json!({"poststop": [{"path": 1}]}),
        json!({"poststop": [{"path": "/a", "timeout": 1.5}]}),
        json!({"poststop": [{"path": "/a", "timeout": "1"}]}),
        json!({"poststop": [{"path": "/a", "args": "a"}]}),
        json!({"poststop": [{"path": "/a", "env": {"A": "1"}}]}),
    ] {
        assert_eq!(
            load(&with("/hooks", hooks.clone())).unwrap_err().kind(),
            ErrorKind::InvalidSpec,
            "{hooks}"
        );
    }
}
