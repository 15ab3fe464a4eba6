use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Spec;
use super::example::text;
use crate::{Error, ErrorKind};

/// The example of a host with cgroup v2, on every host.
fn example(rootless: bool) -> String {
    text(rootless, true)
}

/// The example without its terminal, which has wishes of its own.
fn base() -> Value {
    let mut document: Value = serde_json::from_str(&example(false)).unwrap();
    document["process"]["terminal"] = json!(false);
    document
}

/// The base with the value at `pointer` replaced, or added where its parent exists.
pub fn with(pointer: &str, value: Value) -> Value {
    let mut document = base();
    set(&mut document, pointer, value);
    document
}

pub fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.insert(key, value)),
        Some(Value::Array(items)) if key == "-" => items.push(value),
        Some(Value::Array(items)) => items[key.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer} has no parent"),
    }
}

fn without(pointer: &str) -> Value {
    let mut document = base();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    document
}

pub fn load(document: &Value) -> Result<Spec, Error> {
    Spec::from_json("/bundle", document.to_string().as_bytes())
}

fn refusal(json: &str) -> Error {
    let error = Spec::from_json("/bundle", json.as_bytes()).unwrap_err();
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

/// A directory that is removed at the end of the test.
struct Bundle(std::path::PathBuf);

impl Bundle {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("teu-spec-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_bundle_is_read_and_its_path_made_absolute() {
    let bundle = Bundle::new("good");
    std::fs::write(bundle.0.join("config.json"), example(false)).unwrap();
    std::os::unix::fs::symlink(&bundle.0, bundle.0.join("link")).unwrap();
    let (name, parent) = (bundle.0.file_name().unwrap(), bundle.0.parent().unwrap());
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    for given in [
        text(&bundle.0),
        text(&bundle.0.join("link")),
        text(&bundle.0.join("link/.")),
        text(&bundle.0.join("link/link/")),
        text(&bundle.0.join("..").join(name)),
        format!("{}//./{}/", parent.display(), name.display()),
    ] {
        let spec = Spec::from_bundle(&given).unwrap();
        assert_eq!(spec.bundle().as_os_str(), bundle.0.as_os_str(), "{given}");
        assert_eq!(spec.config().hostname().as_deref(), Some("teu"));
    }
    // Below the working directory, which a test has from cargo.
    let relative = Path::new("tests/plans/default-hybrid");
    assert_eq!(Spec::from_bundle(relative).unwrap().bundle(), relative.canonicalize().unwrap());
}

#[test]
fn another_file_is_found_below_the_bundle_or_by_its_absolute_path() {
    let bundle = Bundle::new("other");
    std::fs::write(bundle.0.join("other.json"), example(false)).unwrap();
    assert!(Spec::from_file(&bundle.0, "other.json").is_ok());
    assert!(Spec::from_file("/", bundle.0.join("other.json")).is_ok());
}

#[test]
fn a_missing_file_has_the_known_words() {
    let bundle = Bundle::new("missing");
    let error = Spec::from_bundle(&bundle.0).unwrap_err();
    assert_eq!(error.to_string(), "JSON specification file config.json not found");
    assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    let error = Spec::from_bundle(bundle.0.join("nowhere")).unwrap_err();
    assert!(error.to_string().ends_with("nowhere: no such file or directory"), "{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn what_is_not_a_file_is_refused_at_once() {
    let bundle = Bundle::new("kinds");
    let config = bundle.0.join("config.json");
    std::fs::create_dir(&config).unwrap();
    assert_eq!(Spec::from_bundle(&bundle.0).unwrap_err().to_string(), "read config.json: is a directory");
    assert_eq!(Spec::from_file("/", "dev/zero").unwrap_err().to_string(), "dev/zero is not a regular file");
}

#[test]
fn an_array_is_no_object_anywhere() {
    // Field after field, as the types of serde would take them.
    for (pointer, array) in [
        ("/root", r#"["rootfs",false]"#),
        ("/linux", "[]"),
        ("/process", r#"[null,null,{"uid":0,"gid":0}]"#),
        ("/process/user", "[0,0]"),
        ("/hooks", "[]"),
        ("/mounts/0", r#"["/m","tmpfs","x"]"#),
        ("/linux/namespaces/0", r#"["pid"]"#),
        ("/linux/resources", "[]"),
        ("/linux/resources/memory", "[1048576]"),
    ] {
        let mut config: serde_json::Value = serde_json::from_str(&example(false)).unwrap();
        *config.pointer_mut(pointer).unwrap_or(&mut serde_json::Value::Null) = serde_json::Value::Null;
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let array: serde_json::Value = serde_json::from_str(array).unwrap();
        match config.pointer_mut(parent).unwrap() {
            serde_json::Value::Array(all) => all[0] = array,
            members => drop(members.as_object_mut().unwrap().insert(name.to_owned(), array)),
        }
        let error = Spec::from_json("/", config.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.pointer(), Some(pointer), "{error}");
        assert!(error.message().starts_with("invalid type: sequence, expected struct "), "{error}");
    }
}

#[test]
fn a_huge_file_is_refused_unread() {
    let bundle = Bundle::new("huge");
    let file = std::fs::File::create(bundle.0.join("config.json")).unwrap();
    // Sparse: if it were read, it would be 64 TiB of zeros.
    file.set_len(1 << 40).unwrap();
    assert_eq!(Spec::from_bundle(&bundle.0).unwrap_err().to_string(), "config.json is larger than 16 MiB");
    let error = Spec::from_json("/", &vec![b' '; (16 << 20) + 1]).unwrap_err();
    assert_eq!(error.to_string(), "config.json is larger than 16 MiB");
}

#[test]
fn broken_json_names_line_and_column() {
    for (json, text) in [
        ("", "config.json is truncated: EOF while parsing a value at line 1 column 0"),
        ("{\n \"root\": {", "config.json is truncated: EOF while parsing an object at line 2 column 10"),
        ("{\n,}", "config.json is not valid JSON: key must be a string at line 2 column 1"),
        ("hello", "config.json is not valid JSON: expected value at line 1 column 1"),
        ("{} {}", "config.json is not valid JSON: trailing characters at line 1 column 4"),
        ("[]", "config.json is not a JSON object"),
        ("null", "config.json is not a JSON object"),
        ("\u{feff}{}", "config.json is not valid JSON: expected value at line 1 column 1"),
    ] {
        let error = refusal(json);
        assert_eq!(error.to_string(), text);
        assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    }
}

#[test]
fn every_truncation_is_refused() {
    let text = example(false);
    let text = text.trim_end();
    for end in 0..text.len() {
        assert!(Spec::from_json("/bundle", &text.as_bytes()[..end]).is_err(), "{end}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep =
        |open: &str, close: &str| format!("{{\"root\":{}{}}}", open.repeat(100_000), close.repeat(100_000));
    assert!(refusal(&deep("[", "]")).to_string().contains("recursion limit"));
    assert!(refusal(&deep("{\"path\":", "}")).to_string().contains("recursion limit"));
}

#[test]
fn a_wrong_type_is_named_by_its_pointer() {
    for (pointer, value) in [
        ("/process/user/uid", json!("root")),
        ("/process/user/uid", json!(-1)),
        ("/process/user/uid", json!(4_294_967_296_u64)),
        ("/process/user/uid", json!(0.5)),
        ("/process/args", json!("sh")),
        ("/process/rlimits/0/type", json!("RLIMIT_FUNNY")),
        ("/process/rlimits/0/soft", json!(-1)),
        ("/mounts/3/options/1", json!(7)),
        ("/linux/namespaces/2/type", json!("ipx")),
        ("/linux/namespaces/2/type", json!("two\nlines")),
        ("/annotations", json!({"a/b": 1})),
        ("/hostname", json!({})),
        // Enums, whose reader takes them for broken JSON.
        ("/linux/namespaces/2/type", json!(7)),
        ("/linux/namespaces/2/type", json!(["pid"])),
        ("/process/rlimits/0/type", json!(true)),
    ] {
        let error = refusal(&with(pointer, value).to_string());
        let expected = if pointer == "/annotations" { "/annotations/a~1b" } else { pointer };
        assert_eq!(error.pointer(), Some(expected), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    }
    let error = refusal(&with("/mounts/-", json!({"type": "proc"})).to_string());
    assert_eq!(error.to_string(), "missing field `destination` (config.json: /mounts/7)");
}

#[test]
fn unknown_fields_are_ignored_at_every_level() {
    let mut document: Value = serde_json::from_str(&example(false)).unwrap();
    for place in ["", "/process", "/process/user", "/root", "/mounts/0", "/linux", "/linux/namespaces/0"] {
        set(&mut document, &format!("{place}/x-unknown"), json!({"deep": [null, 1.5, {"a": "b"}]}));
    }
    assert_eq!(load(&document).unwrap().warnings(), []);
}

#[test]
fn unknown_capabilities_are_dropped_with_a_warning_each() {
    let names = json!(["CAP_FUTURE", "CAP_KILL", "kill", "CAP_\n"]);
    let spec = load(&with("/process/capabilities/bounding", names)).unwrap();
    let warnings: Vec<_> = spec.warnings().iter().map(|w| (w.pointer.as_str(), w.message.as_str())).collect();
    assert_eq!(
        warnings,
        [
            ("/process/capabilities/bounding/0", "unknown capability \"CAP_FUTURE\" is ignored"),
            ("/process/capabilities/bounding/2", "unknown capability \"kill\" is ignored"),
            ("/process/capabilities/bounding/3", "unknown capability \"CAP_\\n\" is ignored"),
        ]
    );
    let capabilities = spec.config().process().as_ref().unwrap().capabilities().as_ref().unwrap();
    assert_eq!(capabilities.bounding().as_ref().unwrap().len(), 1);
    assert_eq!(capabilities.permitted().as_ref().unwrap().len(), 3);
}

#[test]
fn the_number_of_warnings_is_bounded() {
    let spec = load(&with("/process/capabilities/bounding", json!(vec!["CAP_X"; 100_000]))).unwrap();
    assert_eq!(spec.warnings().len(), 65);
    assert_eq!(spec.warnings()[64].message, "99936 more unknown capabilities are ignored");
    assert_eq!(spec.warnings()[64].pointer, "/process/capabilities/bounding");
}

#[test]
fn a_capability_that_is_not_spelt_out_is_not_granted() {
    for name in ["kill", "KILL", "cap_kill", "CAP_kill", "CAP_CAP_KILL", "CAP_K\u{131}LL"] {
        let spec = load(&with("/process/capabilities/bounding", json!([name]))).unwrap();
        assert_eq!(spec.warnings()[0].message, format!("unknown capability {name:?} is ignored"));
        let capabilities = spec.config().process().as_ref().unwrap().capabilities().as_ref().unwrap();
        assert_eq!(capabilities.bounding().as_ref().map(|set| set.len()), Some(0), "{name}");
    }
}

#[test]
fn null_is_absence_wherever_a_property_may_be_absent() {
    let optional = [
        "/process",
        "/process/user",
        "/process/user/uid",
        "/process/user/additionalGids",
        "/process/env",
        "/process/capabilities",
        "/process/capabilities/ambient",
        "/process/rlimits",
        "/process/rlimits/0/soft",
        "/process/noNewPrivileges",
        "/process/oomScoreAdj",
        "/root/readonly",
        "/hostname",
        "/mounts/0/options",
        "/mounts/0/source",
        "/linux/resources",
        "/linux/resources/devices/0/access",
        "/linux/resources/devices/0/allow",
        "/linux/namespaces/0/path",
        "/linux/seccomp",
        "/hooks",
        "/annotations",
        "/vm",
    ];
    for pointer in optional {
        if let Err(error) = load(&with(pointer, Value::Null)) {
            panic!("{pointer}: {error}");
        }
    }
    // A null element is not a property.
    assert_eq!(load(&with("/mounts/0", Value::Null)).unwrap_err().pointer(), Some("/mounts/0"));
}

#[test]
fn what_runc_accepts_and_the_types_refuse() {
    for (pointer, value) in [
        ("/linux/seccomp", json!({})),
        ("/linux/seccomp", json!({"defaultAction": "", "syscalls": []})),
        ("/linux/resources/devices/0/type", json!("")),
        ("/process/execCPUAffinity", json!({"initial": "", "final": "0-3"})),
        ("/vm", json!({})),
        ("/windows", json!({"devices": [{}]})),
        ("/zos", json!(5)),
        ("/solaris", json!([])),
        ("/freebsd", json!({"jail": {}})),
        ("/uidMappings", json!("none")),
    ] {
        if let Err(error) = load(&with(pointer, value.clone())) {
            panic!("{pointer} {value}: {error}");
        }
    }
    let spec = load(&without("/process/user")).unwrap();
    assert_eq!(spec.config().process().as_ref().unwrap().user().uid(), 0);
    assert_eq!(load(&without("/process/cwd")).unwrap_err().message(), "Cwd property must not be empty");
}

#[test]
fn scheduler_flags_have_the_names_of_the_specification() {
    let scheduler = json!({"policy": "SCHED_OTHER",
        "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_RECLAIM"]});
    let spec = load(&with("/process/scheduler", scheduler)).unwrap();
    let scheduler = spec.config().process().as_ref().unwrap().scheduler().as_ref().unwrap();
    assert_eq!(scheduler.flags().as_ref().unwrap().len(), 3);
}

#[test]
fn a_pids_limit_of_zero_is_not_an_absent_one() {
    let pids = |value: Value| {
        let spec = load(&with("/linux/resources/pids", value)).unwrap();
        let resources = spec.config().linux().as_ref().unwrap().resources().as_ref().unwrap();
        resources.pids().as_ref().map(|pids| pids.limit())
    };
    assert_eq!(pids(json!({"limit": 0})), Some(0));
    assert_eq!(pids(json!({"limit": -1})), Some(-1));
    assert_eq!(pids(json!({})), None);
    assert_eq!(pids(json!({"limit": null})), None);
    assert_eq!(pids(Value::Null), None);
}

#[test]
fn of_a_key_given_twice_the_last_counts() {
    let text = with("/linux/resources/pids", json!({"limit": 5})).to_string();
    let twice = text.replace("\"pids\":{\"limit\":5}", "\"pids\":{\"limit\":4},\"pids\":{\"limit\":5}");
    assert_ne!(text, twice);
    let spec = Spec::from_json("/bundle", twice.as_bytes()).unwrap();
    let resources = spec.config().linux().as_ref().unwrap().resources().as_ref().unwrap();
    assert_eq!(resources.pids().as_ref().map(|pids| pids.limit()), Some(5));
    // And no look at the text is lost over it.
    let absent = twice.replace("\"pids\":{\"limit\":5}", "\"pids\":{}");
    let spec = Spec::from_json("/bundle", absent.as_bytes()).unwrap();
    assert_eq!(spec.config().linux().as_ref().unwrap().resources().as_ref().unwrap().pids(), &None);
}

#[test]
fn what_the_types_make_up_is_missed() {
    let device = r#"{"type": "\u0063", "path": "/dev/x", "minor": 1}"#;
    let text = with("/linux/devices", json!(["device"])).to_string().replace("\"device\"", device);
    assert_eq!(refusal(&text).pointer(), Some("/linux/devices/0/major"));
    let error = refusal(&with("/process/ioPriority", json!({"priority": 4})).to_string());
    assert_eq!(error.to_string(), "ioPriority without a class (config.json: /process/ioPriority/class)");
}

#[test]
fn empty_strings_are_absent() {
    let mut document = with("/hostname", json!(""));
    for pointer in ["/domainname", "/linux/cgroupsPath", "/linux/rootfsPropagation", "/linux/mountLabel"] {
        set(&mut document, pointer, json!(""));
    }
    for pointer in ["/process/apparmorProfile", "/process/selinuxLabel", "/mounts/0/source", "/mounts/0/type"]
    {
        set(&mut document, pointer, json!(""));
    }
    set(&mut document, "/mounts/0/options", json!(["rbind"]));
    set(&mut document, "/linux/namespaces/0/path", json!(""));
    let spec = load(&document).unwrap();
    let (config, linux) = (spec.config(), spec.config().linux().as_ref().unwrap());
    assert_eq!((config.hostname(), config.domainname()), (&None, &None));
    assert_eq!(
        (linux.cgroups_path(), linux.rootfs_propagation(), linux.mount_label()),
        (&None, &None, &None)
    );
    let process = config.process().as_ref().unwrap();
    assert_eq!((process.apparmor_profile(), process.selinux_label()), (&None, &None));
    let mount = &config.mounts().as_ref().unwrap()[0];
    assert_eq!((mount.source(), mount.typ()), (&None, &None));
    assert_eq!(linux.namespaces().as_ref().unwrap()[0].path(), &None);
}

#[test]
fn nul_is_refused_in_every_string_and_key() {
    for (pointer, value, place) in [
        ("/process/args/0", json!("sh\0-x"), "/process/args/0"),
        ("/process/env/0", json!("A=\0"), "/process/env/0"),
        ("/process/cwd", json!("/\0"), "/process/cwd"),
        ("/mounts/0/destination", json!("/proc\0"), "/mounts/0/destination"),
        ("/mounts/2/options/1", json!("\0"), "/mounts/2/options/1"),
        ("/annotations", json!({"k\0": "v"}), "/annotations/k\\u0000"),
        ("/linux/maskedPaths/0", json!("\0"), "/linux/maskedPaths/0"),
    ] {
        let error = refusal(&with(pointer, value).to_string());
        assert_eq!((error.pointer(), error.message()), (Some(place), "strings may not contain NUL"));
    }
    // An escaped backslash before the same letters is none.
    let spec = load(&with("/process/args/0", json!("\\u0000"))).unwrap();
    assert_eq!(spec.config().process().as_ref().unwrap().args().as_ref().unwrap()[0], "\\u0000");
}

#[test]
fn a_hundred_thousand_mounts_are_refused() {
    let mount = json!({"destination": "/a", "type": "tmpfs", "source": "tmpfs"});
    let error = load(&with("/mounts", Value::from(vec![mount; 100_000]))).unwrap_err();
    assert_eq!(error.to_string(), "100000 entries, at most 10000 are allowed (config.json: /mounts)");
}

/// A value that is likely to upset a reader.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![Just(0_i64), Just(-1), Just(4_294_967_295), Just(i64::MAX), Just(i64::MIN)]
            .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[./=]{0,6}".prop_map(Value::from),
        "(CAP_|RLIMIT_|/proc|net\\.|\\.\\.)[A-Z/.a-z]{0,8}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null, {}, "", 0])),
        Just(json!([{"containerID": 0, "hostID": 4_294_967_295_u32, "size": 4_294_967_295_u32}])),
    ]
}

/// Every place of `value`, the root included.
fn places(value: &Value, place: &str, out: &mut Vec<String>) {
    out.push(place.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, item)| places(item, &format!("{place}/{key}"), out)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| places(item, &format!("{place}/{i}"), out));
        }
        _ => {}
    }
}

const MORE: &[&str] = &[
    "/domainname",
    "/annotations",
    "/hooks",
    "/linux/uidMappings",
    "/linux/gidMappings",
    "/linux/sysctl",
    "/linux/devices",
    "/linux/resources/memory",
    "/linux/resources/cpu",
    "/linux/resources/pids",
    "/linux/rootfsPropagation",
    "/linux/seccomp",
    "/linux/cgroupsPath",
    "/process/oomScoreAdj",
    "/process/scheduler",
    "/process/execCPUAffinity",
    "/process/user/umask",
    "/process/user/additionalGids",
    "/process/capabilities/ambient",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_mutated_configuration_never_panics_and_is_refused_in_one_line(
        changes in prop::collection::vec((any::<prop::sample::Index>(), odd()), 1..4)
    ) {
        let mut document: Value = serde_json::from_str(&example(false)).unwrap();
        for (index, value) in changes {
            let mut all = Vec::new();
            places(&document, "", &mut all);
            all.extend(MORE.iter().map(|place| place.to_string()));
            let place = index.get(&all);
            match place.rsplit_once('/') {
                None => document = value,
                // An earlier change may have taken the parent away.
                Some((parent, _)) if document.pointer(parent).is_some_and(Value::is_object)
                    || document.pointer(place).is_some() => set(&mut document, place, value),
                Some(_) => {}
            }
        }
        if let Err(error) = load(&document) {
            prop_assert!(!error.to_string().contains('\n'));
            prop_assert!(matches!(error.kind(), ErrorKind::InvalidSpec | ErrorKind::Unsupported));
        }
    }

    #[test]
    fn changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut text = example(false).into_bytes();
        for (index, byte) in changes {
            let at = index.index(text.len());
            text[at] = byte;
        }
        if let Err(error) = Spec::from_json("/bundle", &text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}

#[test]
fn page_sizes_are_read_under_the_key_that_only_go_reads() {
    let mut document = base();
    document["linux"]["resources"]["hugepageLimits"] =
        json!([{"pagesize": "2MB", "limit": 9}, {"pageSize": "1GB", "pagesize": "2MB", "limit": 8}]);
    let spec = Spec::from_json("/bundle", document.to_string().as_bytes()).unwrap();
    let resources = spec.config().linux().as_ref().unwrap().resources().as_ref().unwrap();
    let sizes: Vec<_> =
        resources.hugepage_limits().iter().flatten().map(|limit| limit.page_size().as_str()).collect();
    assert_eq!(sizes, ["2MB", "1GB"]);
}

#[test]
fn a_bundle_that_the_state_cannot_name_is_refused_before_anything_is_made() {
    use std::os::unix::ffi::OsStrExt;
    let bundle = std::path::Path::new(std::ffi::OsStr::from_bytes(b"/bundles/\xff"));
    let error = Spec::from_json(bundle, example(false).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(
        error.to_string(),
        r#"bundle "/bundles/\xFF" is not UTF-8, as the state of a container is (runtime-spec "State")"#
    );
}

#[test]
fn a_further_process_may_enter_a_container_without_one_of_its_own() {
    let further = br#"{"cwd": "/", "args": ["sh"], "user": {"uid": 0, "gid": 0}}"#;
    for own in [Value::Null, json!({"cwd": "/", "args": ["a"], "user": {"uid": 0, "gid": 0}})] {
        let mut document = base();
        document["process"] = own.clone();
        let text = document.to_string();
        let spec =
            Spec::of_process(std::path::Path::new("/bundle"), text.as_bytes(), |_| Ok(further.to_vec()));
        let spec = spec.unwrap_or_else(|error| panic!("{own}: {error}"));
        assert_eq!(spec.config().process().as_ref().unwrap().args().as_deref(), Some(&["sh".to_owned()][..]));
    }
}
