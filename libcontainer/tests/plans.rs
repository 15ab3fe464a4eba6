//! Golden plans: `tests/plans/CASE` has a configuration, the host and options of the case, and the plan as it prints itself. A change of behaviour
//! is a change of `expect.plan` that a person can read. `BLESS=1` writes the files; read them before you commit them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use teu::cgroup::CgroupRecord;
use teu::plan::live_mounts::{compile_mount, compile_unmount};
use teu::plan::{Plan, Shape, Target, compile, compile_exec, mount_options, verify};
use teu::{CgroupManager, ExecCgroup, Id, Result, Spec};
use teu_init::program::Op;

mod support;

/// `case.json`: the name of a file in `hosts`, and what the caller chose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Case {
    host: String,
    no_pivot: bool,
    no_new_keyring: bool,
    no_cgroup: bool,
    systemd: bool,
    clone_outside: bool,
    no_default_device_rules: bool,
    home: Option<String>,
    targets: Vec<u32>,
    env: Vec<String>,
    console_socket: bool,
    keep_listener: bool,
    /// Of a further process: a path, or pairs of controller and path.
    cgroup: Option<serde_json::Value>,
    /// Mounts of a container that runs: the plan of the last is shown, or of its end.
    mounts: Option<serde_json::Value>,
    unmount: Option<String>,
    /// A further process: its plan is shown in the place of the container's.
    exec: Option<serde_json::Value>,
}

impl Default for Case {
    fn default() -> Self {
        let host = "v2".to_owned();
        Self {
            host,
            no_pivot: false,
            no_new_keyring: false,
            no_cgroup: false,
            systemd: false,
            clone_outside: false,
            no_default_device_rules: false,
            home: None,
            targets: Vec::new(),
            env: Vec::new(),
            console_socket: false,
            keep_listener: false,
            cgroup: None,
            mounts: None,
            unmount: None,
            exec: None,
        }
    }
}

impl Case {
    fn shape(&self) -> Shape {
        Shape {
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
            cgroup_manager: match (self.no_cgroup, self.systemd) {
                (true, _) => CgroupManager::Disabled,
                (_, true) => CgroupManager::Systemd,
                _ => CgroupManager::Cgroupfs,
            },
            clone_outside: self.clone_outside,
            no_default_device_rules: self.no_default_device_rules,
            targets: self.targets.clone(),
            env: self.env.clone(),
            home: self.home.clone(),
            console_socket: self.console_socket,
            exec_cgroup: self.exec_cgroup(),
            keep_listener: self.keep_listener,
        }
    }

    fn exec_cgroup(&self) -> ExecCgroup {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        match &self.cgroup {
            None => ExecCgroup::Container,
            Some(serde_json::Value::Object(paths)) => ExecCgroup::ByController(
                paths.iter().map(|(name, path)| (name.clone(), text(path))).collect(),
            ),
            Some(path) => ExecCgroup::Below(text(path)),
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(support::folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.join("config.json").exists()).collect();
    cases.sort();
    assert!(cases.len() > 30, "{cases:?}");
    cases
}

fn compile_case(folder: &Path) -> Result<Plan> {
    let case: Case = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
    let spec = Spec::from_json("/bundle", &std::fs::read(folder.join("config.json")).unwrap())?;
    let (id, host) = (Id::new("web").unwrap(), support::host(&case.host));
    let plan = compile(&id, &spec, &host, &case.shape())?;
    let cgroup = CgroupRecord::intent(&plan.cgroup);
    if let Some(path) = &case.unmount {
        return compile_unmount(&Target { id: &id, spec: &spec, cgroup: &cgroup }, path, &host);
    }
    if let Some(mounts) = &case.mounts {
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
        config["mounts"] = mounts.clone();
        let spec = Spec::from_json("/bundle", config.to_string().as_bytes())?;
        let last = mounts.as_array().unwrap().len() - 1;
        return compile_mount(&Target { id: &id, spec: &spec, cgroup: &cgroup }, last, &host);
    }
    let Some(process) = case.exec.as_ref() else { return Ok(plan) };
    let spec = spec.with_process(process.to_string().as_bytes())?;
    compile_exec(&Target { id: &id, spec: &spec, cgroup: &cgroup }, &host, &case.shape())
}

/// The plan without the numbers of its ops, so that one more op is one more line in a diff. A refusal is printed in place of the plan.
fn text(folder: &Path) -> String {
    match compile_case(folder) {
        Ok(plan) => plan.to_string().lines().map(|line| format!("{}\n", unnumbered(line))).collect(),
        Err(error) => format!("refused  {error}\n"),
    }
}

fn unnumbered(line: &str) -> &str {
    line.split_once(' ')
        .filter(|(word, _)| word.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(line, |(_, rest)| rest)
}

#[test]
fn plans_are_as_expected() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut different = Vec::new();
    for folder in cases() {
        let (path, found) = (folder.join("expect.plan"), text(&folder));
        if bless {
            std::fs::write(&path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if found != expected {
            different.push(difference(&folder, &expected, &found));
        }
    }
    assert!(different.is_empty(), "BLESS=1 accepts these:\n{}", different.join("\n"));
}

/// The lines that are only in one of the two.
fn difference(folder: &Path, expected: &str, found: &str) -> String {
    let lines = |text: &str, other: &str, sign: char| {
        let only = text.lines().filter(|line| !other.lines().any(|there| there == *line));
        only.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    let lost = lines(expected, found, '-');
    format!("{}\n{lost}{}", folder.display(), lines(found, expected, '+'))
}

#[test]
fn every_plan_keeps_the_laws() {
    for folder in cases() {
        // What acts on a container that runs has another end than a program.
        let live = |plan: &Plan| !matches!(plan.program.ops().last(), Some(Op::Exec { .. }));
        if let Ok(plan) = compile_case(&folder).and_then(|plan| match live(&plan) && is_live(&folder) {
            true => Err(teu::Error::new(teu::ErrorKind::Internal, "live")),
            false => Ok(plan),
        }) {
            assert_eq!(verify::verify(&plan.program), Ok(()), "{}", folder.display());
        }
    }
}

fn is_live(folder: &Path) -> bool {
    let case = std::fs::read_to_string(folder.join("case.json")).unwrap();
    case.contains("\"mounts\"") || case.contains("\"unmount\"")
}

/// The place of every op that the configuration asked for exists in the configuration.
#[test]
fn every_op_points_into_its_configuration() {
    for folder in cases() {
        let Ok(plan) = compile_case(&folder) else { continue };
        let config = configuration(&folder);
        for (index, op) in plan.program.ops().iter().enumerate() {
            let site = plan.program.site(index);
            // Names of what every container gets although its configuration may be silent about it.
            let silent = site.starts_with("/process/")
                || ["/linux/rootfsPropagation", "/linux/cgroupsPath"].contains(&site);
            assert!(silent || config.pointer(site).is_some(), "{}: {op:?}: {site}", folder.display());
        }
    }
}

/// The configuration of a case, with the process that is run.
fn configuration(folder: &Path) -> serde_json::Value {
    let read = |name: &str| {
        let text = std::fs::read(folder.join(name)).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()
    };
    let mut config = read("config.json");
    for (key, of_case) in [("process", "exec"), ("mounts", "mounts")] {
        if let Some(value) = read("case.json").get(of_case) {
            config[key] = value.clone();
        }
    }
    config
}

#[test]
fn the_cases_together_use_every_op_and_every_mount_option() {
    let (mut ops, mut options) = (BTreeMap::new(), BTreeMap::new());
    for folder in cases() {
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let lists = config["mounts"].as_array().into_iter().flatten().map(|mount| &mount["options"]);
        for option in lists.flat_map(|list| list.as_array().into_iter().flatten()) {
            options.insert(option.as_str().unwrap().to_owned(), folder.clone());
        }
        for op in compile_case(&folder).iter().flat_map(|plan| plan.program.ops()) {
            ops.insert(op.name(), folder.clone());
        }
    }
    let missing: Vec<_> = mount_options::names().filter(|name| !options.contains_key(*name)).collect();
    assert!(missing.is_empty(), "no case has the options {missing:?}");
    let missing: Vec<_> = Op::TABLE.iter().filter(|(_, name)| !ops.contains_key(name)).collect();
    assert!(missing.is_empty(), "no case has the ops {missing:?}");
}

#[test]
fn the_environment_keeps_its_order_and_of_duplicates_the_last() {
    assert_eq!(environment("process-user"), ["B=2", "A=3", "PATH=/opt/bin:/bin:.", "EMPTY="]);
    assert_eq!(environment("extra-descriptors"), ["PATH=/bin", "LISTEN_FDS=2", "LISTEN_PID=1"]);
}

fn environment(case: &str) -> Vec<String> {
    let program = compile_case(&support::folder().join(case)).unwrap().program;
    match program.ops() {
        [.., Op::Exec { env, .. }] => program.texts(*env).map(String::from).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn annotations_are_kept_for_the_state() {
    let plan = compile_case(&support::folder().join("annotations")).unwrap();
    let kept: Vec<_> = plan.annotations.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(kept, ["com.example.a=1", "com.example.empty=", "org.example.z=x y"]);
}
