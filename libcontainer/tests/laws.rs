//! Configurations out of a hat: whatever the combination, the plan keeps the laws, is the same each time, prints itself, and survives its way to init.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use teu::plan::{Plan, Shape, compile, mount_options, verify};
use teu::{CgroupManager, ErrorKind, Id, Result, Spec};
use teu_init::program::{HEADER_LEN, Header, Program};

mod support;

const CASES: u32 = 1500;

const NAMESPACES: [&str; 8] = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"];
const CAPABILITIES: [&str; 6] =
    ["CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN", "CAP_BPF", "CAP_CHECKPOINT_RESTORE", "CAP_NONSENSE"];
const DESTINATIONS: [&str; 9] =
    ["/dev", "/dev/shm", "/sys", "/sys/fs/cgroup", "/a/b", "relative", "/a", "/x/../y", "/dev/"];

const PROPAGATION: [&str; 8] =
    ["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"];

/// New, joined, or absent, for each kind.
fn namespaces() -> impl Strategy<Value = Vec<Value>> {
    let listed = (subsequence(NAMESPACES.to_vec(), 0..=8), any::<[bool; 8]>());
    listed.prop_map(|(kinds, joined)| {
        kinds
            .into_iter()
            .zip(joined)
            .map(|(kind, joined)| match joined {
                true => json!({"type": kind, "path": format!("/proc/7/ns/{kind}")}),
                false => json!({"type": kind}),
            })
            .collect()
    })
}

fn mount() -> impl Strategy<Value = Value> {
    let written = "idmap=uids=0-1000-9#@9-1-1;gids=@0-1-1";
    let words: Vec<&str> = mount_options::names().chain(["size=1k", "mode=755", "x=", written]).collect();
    let kinds = vec!["tmpfs", "bind", "cgroup", "sysfs", "devpts", "mqueue", "ext4", "none"];
    let options = prop::collection::vec(select(words), 0..5);
    (select(DESTINATIONS.to_vec()), select(kinds), options, prop::bool::weighted(0.1)).prop_map(
        |(destination, kind, options, mapped)| {
            let maps =
                if mapped { json!([{"containerID": 0, "hostID": 1000, "size": 9}]) } else { json!([]) };
            json!({"destination": destination, "type": kind, "source": "/srv/source", "options": options,
                   "uidMappings": maps, "gidMappings": maps})
        },
    )
}

fn device() -> impl Strategy<Value = Value> {
    let paths = vec!["/dev/null", "/dev/fuse", "/dev/a/b", "/srv/node"];
    (select(paths), select(vec!["c", "b", "p", "u"]), 0u32..4096, 0u32..1 << 20, any::<Option<u16>>()).prop_map(
        |(path, kind, major, minor, mode)| {
            json!({"path": path, "type": kind, "major": major, "minor": minor, "fileMode": mode, "uid": mode})
        },
    )
}

fn capabilities() -> impl Strategy<Value = Value> {
    let set = || subsequence(CAPABILITIES.to_vec(), 0..=6);
    (set(), set(), set(), set()).prop_map(|(bounding, permitted, inheritable, ambient)| {
        json!({"bounding": bounding, "permitted": permitted, "effective": permitted, "inheritable": inheritable,
               "ambient": ambient})
    })
}

fn process() -> impl Strategy<Value = Value> {
    let names = vec!["RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_NPROC"];
    let limits = (subsequence(names, 0..=3), any::<u32>()).prop_map(|(names, soft)| {
        let limit = |name| json!({"type": name, "soft": soft, "hard": u64::from(soft) + 1});
        names.into_iter().map(limit).collect::<Vec<_>>()
    });
    let env = prop::collection::vec("(PATH|A|B)=[a-z:/.]{0,12}", 0..5);
    let user = (0u32..3, 0u32..3, prop::collection::vec(0u32..9, 0..3), prop::option::of(0u32..0o1000));
    let user = user.prop_map(
        |(uid, gid, groups, umask)| json!({"uid": uid, "gid": gid, "additionalGids": groups, "umask": umask}),
    );
    let user = (user, prop::bool::weighted(0.3), preferences());
    let args = prop::collection::vec("[ -~äß\\t]{1,9}", 1..4);
    let cwd = "/[a-z /.]{0,9}";
    (args, cwd, env, user, limits, prop::option::of(capabilities()), any::<Option<bool>>(), prop::option::of(-1000..=1000i32))
        .prop_map(|(args, cwd, env, (user, terminal, (scheduler, io)), rlimits, capabilities, no_new_privs, oom)| {
            json!({"args": args, "cwd": cwd, "env": env, "user": user, "rlimits": rlimits, "capabilities": capabilities,
                   "noNewPrivileges": no_new_privs, "oomScoreAdj": oom,
                   "terminal": terminal, "scheduler": scheduler, "ioPriority": io})
        })
}

/// Sysctls, time offsets, network devices and the personality, as far as the namespaces allow them.
fn settings(namespaces: &[Value], [sysctl, time, devices, persona]: [bool; 4]) -> Value {
    let listed = |kind: &str| namespaces.iter().find(|one| one["type"] == kind);
    let keys = [
        ("network", "net.ipv4.ip_forward"),
        ("ipc", "kernel.sem"),
        ("uts", "kernel.domainname"),
        ("user", "user.x"),
    ];
    let sysctls = keys.into_iter().filter(|(kind, _)| sysctl && listed(kind).is_some());
    let sysctls: BTreeMap<_, _> = sysctls.map(|(_, key)| (key, "7 7")).collect();
    let offsets = listed("time").filter(|namespace| time && namespace["path"].is_null());
    let offsets = offsets.map(|_| json!({"boottime": {"secs": -7}, "monotonic": {"nanosecs": 7}}));
    let devices =
        listed("network").filter(|_| devices).map(|_| json!({"eth1": {}, "eth2": {"name": "data"}}));
    let persona = if persona { "LINUX32" } else { "LINUX" };
    json!({"sysctl": sysctls, "timeOffsets": offsets, "netDevices": devices, "personality": {"domain": persona}})
}

fn preferences() -> impl Strategy<Value = (Option<Value>, Option<Value>)> {
    let scheduler = vec![
        json!({"policy": "SCHED_BATCH", "nice": -3}),
        json!({"policy": "SCHED_RR", "priority": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}),
        json!({"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 2, "period": 3}),
    ];
    let io = json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0});
    (prop::option::weighted(0.2, select(scheduler)), prop::option::weighted(0.2, Just(io)))
}

/// A configuration that the validator may still refuse.
fn config() -> impl Strategy<Value = Value> {
    let paths = || subsequence(vec!["/proc/kcore", "/proc/sys", "/a", "b", "/with space"], 0..=5);
    let mounts = prop::collection::vec(mount(), 0..5);
    let devices = prop::collection::vec(device(), 0..3);
    let linux = (namespaces(), devices, paths(), paths(), prop::option::of(select(vec!["/pod/web", "web"])));
    let policies = vec![json!({"mode": "MPOL_LOCAL"}), json!({"mode": "MPOL_BIND", "nodes": "0-2,99"})];
    let policy = prop::option::weighted(0.2, select(policies));
    let annotations = vec!["teu.mount.sysfs-fallback", "run.oci.keep_original_groups", "x"];
    let linux = (linux, prop::option::of(select(PROPAGATION.to_vec())), select(annotations), policy);
    let settled = any::<[bool; 4]>();
    (process(), any::<bool>(), mounts, linux, any::<bool>(), prop::option::of(1i64..100), settled).prop_map(
        |(mut process, readonly, mounts, (linux, propagation, annotation, policy), named, pids, settled)| {
            let (namespaces, devices, masked, read_only, cgroup) = linux;
            // What the validator would refuse teaches nothing.
            let has = |kind: &str| namespaces.iter().any(|one| one["type"] == kind);
            let (own_mounts, named) = (has("mount"), named && has("uts"));
            let only = |list: Vec<&'static str>| if own_mounts { list } else { Vec::new() };
            if !own_mounts {
                process["terminal"] = json!(false);
            }
            let mapped = namespaces.iter().any(|one| one["type"] == "user" && one["path"].is_null());
            let maps = json!([{"containerID": 0, "hostID": 100_000, "size": 100}]);
            let settings = settings(&namespaces, settled);
            let mut config = json!({
                "ociVersion": "1.3.0",
                "process": process,
                "root": {"path": "rootfs", "readonly": readonly && own_mounts},
                "mounts": if own_mounts { mounts } else { Vec::new() },
                "annotations": {annotation: "1"},
                "hostname": if named { Some("web") } else { None },
                "linux": {
                    "namespaces": namespaces, "devices": devices, "maskedPaths": only(masked), "readonlyPaths": only(read_only),
                    "memoryPolicy": policy,
                    "rootfsPropagation": propagation.filter(|_| own_mounts),
                    "cgroupsPath": cgroup, "resources": {"pids": pids.map(|limit| json!({"limit": limit}))},
                    "uidMappings": if mapped { maps.clone() } else { json!([]) },
                    "gidMappings": if mapped { maps } else { json!([]) },
                },
            });
            settings.as_object().into_iter().flatten().for_each(|(key, value)| config["linux"][key] = value.clone());
            config
        },
    )
}

/// Up to two hooks of each kind.
fn hooks() -> impl Strategy<Value = Value> {
    let env = prop::option::of(prop::collection::vec("[A-C]=[a-z]{0,3}", 0..3));
    let args = prop::collection::vec("[a-z ]{0,4}", 0..3);
    let hook = ("/[a-z]{1,5}", args, env, prop::option::of(1u32..9)).prop_map(
        |(path, args, env, timeout)| json!({"path": path, "args": args, "env": env, "timeout": timeout}),
    );
    let lists = prop::array::uniform6(prop::collection::vec(hook, 0..3));
    (lists, prop::bool::weighted(0.3)).prop_map(|(lists, some)| {
        let kinds =
            ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
        let hooks = kinds.into_iter().map(String::from).zip(lists.into_iter().map(Value::from));
        if some { Value::Object(hooks.collect()) } else { Value::Null }
    })
}

fn shape() -> impl Strategy<Value = Shape> {
    let targets = subsequence((3u32..12).collect::<Vec<_>>(), 0..=9).prop_shuffle();
    (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2), targets).prop_map(
        |(no_pivot, no_new_keyring, no_cgroup, targets)| Shape {
            no_pivot,
            no_new_keyring,
            clone_outside: false,
            no_default_device_rules: no_cgroup,
            cgroup_manager: if no_cgroup { CgroupManager::Disabled } else { CgroupManager::Cgroupfs },
            env: vec!["LISTEN_FDS=1".to_owned(); targets.len().min(1)],
            targets,
            home: None,
            console_socket: false,
            exec_cgroup: teu::ExecCgroup::Container,
            keep_listener: false,
        },
    )
}

fn plan(config: &Value, host: &str, shape: &Shape) -> Result<Plan> {
    let spec = Spec::from_json("/bundle", config.to_string().as_bytes())?;
    compile(&Id::new("web").unwrap(), &spec, &support::host(host), shape)
}

/// Init takes the program: the parts are where the header says, and every reference lies inside.
fn init_accepts(plan: &Plan) {
    let bytes = plan.program.encode().unwrap();
    let header = Header::decode(&bytes).unwrap();
    let [words, arena, ..] = header.parts().unwrap();
    assert_eq!(bytes.len(), HEADER_LEN + words + arena);
    assert!(plan.program.encoded_len(&bytes).unwrap() >= bytes.len());
    let (ops, arena) = bytes[HEADER_LEN..].split_at(words);
    let ops = &ops[..header.words as usize * 4];
    let program = Program::check(&header, ops, arena).expect("init refuses the program");
    assert!(program.ops().flatten().eq(plan.program.ops().iter().copied()));
    assert_eq!(plan.program.sent() as usize, plan.sources.len());
}

/// How many of the configurations became plans: a generator that makes only refused ones tests nothing.
#[derive(Default)]
struct Tally {
    plans: u32,
    refused: BTreeSet<String>,
}

#[test]
fn every_configuration_is_refused_or_becomes_a_lawful_plan() {
    // The same ones each time: a run that fails must fail again. No file beside the source remembers them.
    let cases = Config { failure_persistence: None, ..Config::with_cases(CASES) };
    let mut runner = TestRunner::new_with_rng(cases, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let tally = std::cell::RefCell::new(Tally::default());
    let hosts = select(support::HOSTS.to_vec());
    let result = runner.run(&(config(), hooks(), hosts, shape()), |(mut config, hooks, host, shape)| {
        config["hooks"] = hooks;
        match plan(&config, host, &shape) {
            Ok(found) => {
                tally.borrow_mut().plans += 1;
                assert_eq!(verify::verify(&found.program), Ok(()), "{found}");
                init_accepts(&found);
                let again = plan(&config, host, &shape).unwrap();
                assert!(found == again, "{found}\n{again}");
                assert_eq!(found.to_string(), again.to_string());
                assert!(found.to_string().lines().count() > 20);
            }
            Err(error) => {
                let refused = matches!(error.kind(), ErrorKind::InvalidSpec | ErrorKind::Unsupported);
                assert!(refused, "{error}");
                tally.borrow_mut().refused.insert(error.to_string());
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let Tally { plans, refused } = tally.into_inner();
    assert!(plans > CASES / 4, "only {plans} plans; refused: {refused:#?}");
}
