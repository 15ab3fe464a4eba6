//! Hooks of the runtime's namespaces with a helper of their own; no container and no right of root is needed.

use std::path::PathBuf;

use super::helper;
use super::*;
use crate::cgroup::CgroupRecord;

fn record(annotations: &[(&str, String)]) -> Record {
    Record {
        schema: 1,
        id: "web".into(),
        init: None,
        own_pid_namespace: true,
        no_program: false,
        bundle: PathBuf::from("/tmp"),
        rootfs: PathBuf::from("/tmp/rootfs"),
        created: String::new(),
        annotations: annotations.iter().map(|(key, value)| ((*key).into(), value.clone())).collect(),
        cgroup: CgroupRecord::default(),
        no_default_device_rules: false,
        intel_rdt: Vec::new(),
        root_mount: None,
        hooks: Hooks::default(),
    }
}

fn shell(script: &str) -> Hook {
    let args = ["sh", "-c", script].map(String::from).to_vec();
    Hook { path: "/bin/sh".into(), args, env: Some(vec!["PATH=/bin:/usr/bin".into()]), timeout: Some(60) }
}

fn run(record: &Record, hooks: Vec<Hook>) -> std::result::Result<(), String> {
    let stage = Stage { record, status: Status::Creating, pid: 7, until: &Until::default(), watch: None };
    let hooks = Hooks { create_runtime: hooks, ..Hooks::default() };
    helper::run(&turns(&hooks, &[HookKind::CreateRuntime]), &stage, Err).map_err(|error| error.to_string())
}

/// A file that is gone at the end of the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("teu-hook-{name}-{}", std::process::id())))
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn hooks_run_in_order_and_read_the_state() {
    let file = Scratch::new("order");
    let path = file.0.display();
    let two = vec![shell(&format!("cat > {path}")), shell(&format!("pwd >> {path}"))];
    run(&record(&[("a", "1".into())]), two).unwrap();
    let state = r#"{"ociVersion":"1.3.0","id":"web","status":"creating","pid":7,"bundle":"/tmp","annotations":{"a":"1"}}"#;
    assert_eq!(file.text(), format!("{state}/tmp\n"));
}

#[test]
fn a_failure_tells_what_the_hook_said_and_ends_the_row() {
    let file = Scratch::new("row");
    let second = shell(&format!("touch {}", file.0.display()));
    let error =
        run(&record(&[]), vec![shell("echo one; echo two >&2; echo three; exit 3"), second]).unwrap_err();
    let said = "error running createRuntime hook #0: exit status 3, stdout: one\\nthree, stderr: two";
    assert_eq!(error, format!("{said} (config.json: /hooks/createRuntime/0)"));
    assert!(!file.0.exists());
}

#[test]
fn signals_missing_programs_and_overruns_are_told_apart() {
    let error = run(&record(&[]), vec![shell("kill -TERM $$")]).unwrap_err();
    assert!(error.contains("signal: terminated"), "{error}");
    let missing = Hook { path: "/nosuch".into(), ..Hook::default() };
    let error = run(&record(&[]), vec![missing]).unwrap_err();
    assert!(error.contains("hook #0: exec /nosuch: no such file or directory"), "{error}");
    let slow = Hook { timeout: Some(1), ..shell("echo slow; sleep 100") };
    let error = run(&record(&[]), vec![slow]).unwrap_err();
    assert!(error.contains("hook ran past specified timeout of 1.0s, stdout: slow, stderr: "), "{error}");
}

#[test]
fn a_state_that_no_pipe_holds_arrives_and_one_that_nobody_reads_harms_nobody() {
    let file = Scratch::new("large");
    let large = record(&[("large", "x".repeat(1 << 20))]);
    run(&large, vec![shell(&format!("wc -c > {}", file.0.display())), shell("exec 0<&-; exit 0")]).unwrap();
    let length: usize = file.text().trim().parse().unwrap();
    assert!(length > 1 << 20, "{length}");
}

#[test]
fn who_keeps_the_streams_open_does_not_hold_the_row() {
    let file = Scratch::new("daemon");
    run(&record(&[]), vec![shell(&format!("sleep 100 & echo $! > {}", file.0.display()))]).unwrap();
    let pid: i32 = file.text().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
}

#[test]
fn annotations_take_the_streams_to_files() {
    let file = Scratch::new("annotation");
    std::fs::write(&file.0, "before\n").unwrap();
    let path = file.0.display().to_string();
    let record = record(&[("run.oci.hooks.stdout", path.clone())]);
    let error = run(&record, vec![shell("echo out; echo err >&2; exit 1")]).unwrap_err();
    assert!(error.contains(&format!("stdout: (in {path}), stderr: err")), "{error}");
    assert_eq!(file.text(), "before\nout\n");
    let nowhere = self::record(&[("run.oci.hooks.stderr", "/nosuch/file".into())]);
    let error = run(&nowhere, vec![shell("exit 0")]).unwrap_err();
    assert!(
        error.contains(r#"hook #0: open "/nosuch/file" of run.oci.hooks.stderr: no such file"#),
        "{error}"
    );
}

#[test]
fn the_death_of_who_is_watched_ends_the_hook() {
    let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
    let pidfd = crate::sys::pidfd::pidfd_open(i32::try_from(child.id()).unwrap()).unwrap();
    let record = record(&[]);
    let hooks = Hooks { prestart: vec![shell("sleep 100")], ..Hooks::default() };
    let stage = Stage {
        record: &record,
        status: Status::Creating,
        pid: 7,
        until: &Until::default(),
        watch: Some(pidfd.as_fd()),
    };
    child.kill().unwrap();
    let error = helper::run(&turns(&hooks, &[HookKind::Prestart]), &stage, Err).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Died, "{error}");
    child.wait().unwrap();
}

#[test]
fn the_time_of_the_operation_bounds_a_hook_without_one() {
    let record = record(&[]);
    let hooks = Hooks { prestart: vec![Hook { timeout: None, ..shell("sleep 100") }], ..Hooks::default() };
    let until = Until { deadline: Some(Instant::now()), cancel: None };
    let stage = Stage { record: &record, status: Status::Creating, pid: 7, until: &until, watch: None };
    let error = helper::run(&turns(&hooks, &[HookKind::Prestart]), &stage, Err).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
}
