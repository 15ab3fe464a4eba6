//! On the kernel's own hierarchies, as root: v1 where the machine has it, v2 by the cgroup2 mount that every machine has.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::stat::{Mode, mkdirat};
use oci_spec::runtime::Spec;

use super::*;
use crate::host::{CgroupLayout, Host};
use crate::plan::Shape;
use crate::plan::cgroup::{CgroupPlan, plan};

mod limits;

/// Long enough for any machine: a test that meets it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// This machine, and the same machine as if it had cgroup2 only. None without root.
fn hosts() -> Vec<Host> {
    let host = Host::probe().unwrap();
    if !host.privileged {
        println!("skipped: making cgroups needs root");
        return Vec::new();
    }
    match &host.cgroup {
        CgroupLayout::V1 { unified: Some(root), .. } => {
            let v2 = Host { cgroup: CgroupLayout::V2 { root: root.clone() }, ..host.clone() };
            vec![host, v2]
        }
        CgroupLayout::None => {
            println!("skipped: no cgroup filesystem");
            Vec::new()
        }
        _ => vec![host],
    }
}

/// A path that no other test uses.
fn fresh_path() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("/teu-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn plan_at(host: &Host, path: &str, resources: &str) -> CgroupPlan {
    let json =
        format!(r#"{{"ociVersion":"1.2.0","linux":{{"cgroupsPath":"{path}","resources":{resources}}}}}"#);
    let config: Spec = serde_json::from_str(&json).unwrap();
    plan(&config, "web", host, &Shape::default()).unwrap()
}

fn create(plan: &CgroupPlan) -> Result<Cgroup> {
    Cgroup::create(plan, &DeviceCache::default())
}

fn left(plan: &CgroupPlan) -> Vec<String> {
    let top = |dir: &crate::plan::cgroup::CgroupDir| dir.root.join(dir.path.split('/').next().unwrap());
    plan.dirs.iter().map(top).filter(|top| top.exists()).map(|top| top.display().to_string()).collect()
}

/// A process in the cgroup, as init would be.
struct Inside(Child);

impl Inside {
    fn run(cgroup: &Cgroup) -> Self {
        let child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let inside = Self(child);
        enter(cgroup, inside.pid());
        inside
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Moves another process in: init is cloned into the cgroup, or moves itself.
fn enter(cgroup: &Cgroup, pid: i32) {
    for dir in &cgroup.dirs {
        dir.write("cgroup.procs", &pid.to_string()).unwrap();
    }
}

/// Runs a shell in the cgroup and gives its exit code, `None` if a signal ended it.
fn shell(cgroup: &Cgroup, script: &str) -> Option<i32> {
    let mut child = Command::new("sh")
        .args(["-c", &format!("read go; {script}")])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    enter(cgroup, i32::try_from(child.id()).unwrap());
    use std::io::Write;
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    child.wait().unwrap().code()
}

#[test]
fn a_container_is_placed_killed_and_leaves_nothing() {
    for host in hosts() {
        let plan = plan_at(&host, &fresh_path(), "{}");
        let mut cgroup = create(&plan).unwrap();
        cgroup.commit();
        let inside = Inside::run(&cgroup);
        assert_eq!(cgroup.procs().unwrap(), [inside.pid()]);
        for dir in &cgroup.dirs {
            assert_eq!(dir.procs().unwrap(), [inside.pid()], "{}", dir.display());
        }
        let record = serde_json::to_string(&cgroup.record()).unwrap();
        let again = Cgroup::open(&serde_json::from_str(&record).unwrap()).unwrap();
        again.kill_all(libc::SIGKILL).unwrap();
        // The killed process is a zombie here: removing must not wait for whoever reaps it.
        again.remove(PATIENCE).unwrap();
        assert_eq!(left(&plan), [""; 0]);
        again.remove(PATIENCE).expect("removing twice is no error");
        assert!(again.procs().unwrap().is_empty() && !again.frozen());
        again.kill_all(libc::SIGKILL).expect("nobody is left to kill");
    }
}

#[test]
fn dropping_before_commit_removes_the_directories_and_the_parents_that_were_made() {
    for host in hosts() {
        let plan = plan_at(&host, &format!("{}/a/b", fresh_path()), "{}");
        let cgroup = create(&plan).unwrap();
        assert_eq!(left(&plan).len(), plan.dirs.len());
        drop(cgroup);
        assert_eq!(left(&plan), [""; 0]);
    }
}

#[test]
fn parents_that_were_there_stay() {
    for host in hosts() {
        let parent = fresh_path();
        let plan = plan_at(&host, &format!("{parent}/a/b"), "{}");
        for dir in &plan.dirs {
            fs::create_dir(dir.root.join(parent.trim_start_matches('/'))).unwrap();
        }
        drop(create(&plan).unwrap());
        assert_eq!(left(&plan).len(), plan.dirs.len());
        for dir in &plan.dirs {
            let top = dir.root.join(parent.trim_start_matches('/'));
            assert!(!top.join("a").exists());
            fs::remove_dir(top).unwrap();
        }
    }
}

#[test]
fn a_failing_create_leaves_nothing() {
    for host in hosts() {
        let mut plan = plan_at(&host, &format!("{}/a", fresh_path()), "{}");
        let write = crate::plan::cgroup::FileWrite {
            dir: plan.dirs.len() - 1,
            file: "cgroup.procs".into(),
            value: "nonsense".into(),
            pointer: "/test".into(),
            tolerate: crate::plan::cgroup::Tolerate::Nothing,
            care: crate::plan::cgroup::Care::default(),
        };
        plan.early.push(write);
        let error = create(&plan).unwrap_err();
        assert_eq!(
            (error.kind(), error.errno(), error.pointer()),
            (ErrorKind::Cgroup, Some(libc::EINVAL), Some("/test"))
        );
        assert!(
            error
                .message()
                .starts_with("unable to apply cgroup configuration: write \"nonsense\" to /sys/fs/cgroup/"),
            "{error}"
        );
        assert_eq!(left(&plan), [""; 0]);
    }
}

#[test]
fn an_occupied_cgroup_is_refused_and_left_alone() {
    for host in hosts() {
        let plan = plan_at(&host, &fresh_path(), "{}");
        let mut first = create(&plan).unwrap();
        first.commit();
        let inside = Inside::run(&first);
        let error = create(&plan).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        let message = error.message();
        assert!(message.starts_with("container's cgroup is not empty: 1 process(es) found (/"), "{message}");
        assert_eq!(error.pointer(), Some("/linux/cgroupsPath"));
        assert_eq!(first.procs().unwrap(), [inside.pid()]);
        drop(inside);
        first.remove(PATIENCE).unwrap();
        assert_eq!(left(&plan), [""; 0]);
    }
}

#[test]
fn an_empty_cgroup_that_was_left_behind_is_taken_over() {
    for host in hosts() {
        let plan = plan_at(&host, &fresh_path(), "{}");
        create(&plan).unwrap().commit();
        let mut second = create(&plan).unwrap();
        second.commit();
        second.remove(PATIENCE).unwrap();
        assert_eq!(left(&plan), [""; 0]);
    }
}

#[test]
fn a_frozen_cgroup_is_refused_also_when_only_its_parent_is() {
    for host in hosts() {
        let parent = fresh_path();
        let mut frozen = create(&plan_at(&host, &parent, "{}")).unwrap();
        frozen.commit();
        assert!(!frozen.frozen());
        set_frozen(&frozen, true);
        assert!(frozen.frozen());
        for path in [parent.clone(), format!("{parent}/below")] {
            let error = create(&plan_at(&host, &path, "{}")).unwrap_err();
            assert_eq!((error.kind(), error.pointer()), (ErrorKind::Busy, Some("/linux/cgroupsPath")));
            let message = error.message();
            assert!(message.starts_with("container's cgroup unexpectedly frozen (/"), "{message}");
            assert!(message.contains(&parent), "{path}: {message}");
        }
        frozen.thaw().unwrap();
        assert!(!frozen.frozen());
        frozen.remove(PATIENCE).unwrap();
        assert_eq!(left(&plan_at(&host, &parent, "{}")), [""; 0]);
    }
}

fn set_frozen(cgroup: &Cgroup, frozen: bool) {
    for dir in &cgroup.dirs {
        if dir.serves("freezer") {
            dir.write("freezer.state", if frozen { "FROZEN" } else { "THAWED" }).unwrap();
        }
        if cgroup.v2 {
            dir.write("cgroup.freeze", if frozen { "1" } else { "0" }).unwrap();
        }
    }
}

#[test]
fn a_paused_container_is_killed_and_removed_also_with_a_frozen_cgroup_below() {
    for host in hosts() {
        let path = fresh_path();
        let plan = plan_at(&host, &path, "{}");
        let mut cgroup = create(&plan).unwrap();
        cgroup.commit();
        let mut below = create(&plan_at(&host, &format!("{path}/below"), "{}")).unwrap();
        below.commit();
        let (_one, _two) = (Inside::run(&cgroup), Inside::run(&below));
        set_frozen(&below, true);
        set_frozen(&cgroup, true);
        cgroup.kill_all(libc::SIGKILL).unwrap();
        cgroup.remove(PATIENCE).unwrap();
        assert_eq!(left(&plan), [""; 0]);
    }
}

#[test]
fn without_cgroup_kill_every_process_is_signalled_under_a_freeze_that_ends() {
    for host in hosts() {
        let plan = plan_at(&host, &fresh_path(), "{}");
        let mut cgroup = create(&plan).unwrap();
        cgroup.commit();
        let inside: Vec<_> = (0..5).map(|_| Inside::run(&cgroup)).collect();
        // SIGTERM takes the same way as SIGKILL on a kernel without cgroup.kill.
        cgroup.kill_all(libc::SIGTERM).unwrap();
        assert!(!cgroup.frozen());
        for mut process in inside {
            use std::os::unix::process::ExitStatusExt;
            assert_eq!(process.0.wait().unwrap().signal(), Some(libc::SIGTERM));
        }
        cgroup.remove(PATIENCE).unwrap();
        assert_eq!(left(&plan), [""; 0]);
    }
}

#[test]
fn a_signal_to_a_paused_container_leaves_it_paused() {
    for host in hosts() {
        let plan = plan_at(&host, &fresh_path(), "{}");
        let mut cgroup = create(&plan).unwrap();
        cgroup.commit();
        let _inside = Inside::run(&cgroup);
        set_frozen(&cgroup, true);
        cgroup.kill_all(libc::SIGCONT).unwrap();
        assert!(cgroup.frozen());
        cgroup.kill_all(libc::SIGKILL).unwrap();
        cgroup.remove(PATIENCE).unwrap();
    }
}

#[test]
fn removing_an_occupied_cgroup_says_who_is_left() {
    for host in hosts() {
        let plan = plan_at(&host, &fresh_path(), "{}");
        let mut cgroup = create(&plan).unwrap();
        cgroup.commit();
        let inside = Inside::run(&cgroup);
        let error = cgroup.remove(Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.message().ends_with(&format!("still has 1 process(es): {}", inside.pid())), "{error}");
        drop(inside);
        cgroup.remove(PATIENCE).unwrap();
        assert_eq!(left(&plan), [""; 0]);
    }
}

#[test]
fn cgroups_that_the_container_made_are_removed_however_deep_and_wide() {
    for host in hosts() {
        let plan = plan_at(&host, &fresh_path(), "{}");
        let mut cgroup = create(&plan).unwrap();
        cgroup.commit();
        let dir = cgroup.members().unwrap();
        let (root, top) = (&dir.root, dir.root.join(&dir.path));
        for index in 0..20 {
            fs::create_dir_all(top.join(format!("wide-{index}/a/b"))).unwrap();
        }
        // Deeper than a process may have descriptors.
        let mut at = fs::File::open(&top).unwrap();
        for _ in 0..1100 {
            mkdirat(&at, "deep", Mode::S_IRWXU).unwrap();
            at = fs::File::open(format!(
                "/proc/self/fd/{}/deep",
                std::os::fd::AsRawFd::as_raw_fd(&at.as_fd())
            ))
            .unwrap();
        }
        drop(at);
        assert!(root.exists());
        cgroup.remove(PATIENCE).unwrap();
        assert_eq!(left(&plan), [""; 0]);
    }
}

#[test]
fn a_cgroup_that_somebody_made_again_is_not_removed() {
    for host in hosts() {
        let plan = plan_at(&host, &fresh_path(), "{}");
        let mut cgroup = create(&plan).unwrap();
        cgroup.commit();
        for dir in &cgroup.dirs {
            let path = dir.root.join(&dir.path);
            fs::remove_dir(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }
        cgroup.remove(PATIENCE).unwrap();
        assert_eq!(left(&plan).len(), plan.dirs.len());
        // What was only intended has no inode yet, and is cleaned up by path.
        Cgroup::open(&CgroupRecord::intent(&plan)).unwrap().remove(PATIENCE).unwrap();
        assert_eq!(left(&plan), [""; 0]);
    }
}

#[test]
fn a_record_that_leaves_its_hierarchy_is_refused() {
    for path in ["", "../x", "a/../../b", "/etc", "a//b"] {
        let dir = RecordedDir {
            root: "/sys/fs/cgroup".into(),
            path: path.into(),
            hierarchy: String::new(),
            inode: 0,
        };
        assert!(Cgroup::open(&CgroupRecord { v2: true, dirs: vec![dir], unit: None }).is_err(), "{path}");
    }
}

#[test]
fn containers_side_by_side_share_a_parent_and_the_last_removes_it() {
    for host in hosts() {
        let parent = fresh_path();
        let rounds = |thread: usize| {
            for round in 0..20 {
                let plan = plan_at(&host, &format!("{parent}/p/{thread}-{round}"), "{}");
                let mut cgroup = create(&plan).unwrap();
                cgroup.commit();
                cgroup.remove(PATIENCE).unwrap();
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|thread| drop(scope.spawn(move || rounds(thread)))));
        assert_eq!(left(&plan_at(&host, &parent, "{}")), [""; 0]);
    }
}

/// /dev/kmsg is no device that every container gets.
#[test]
fn device_rules_are_changed_in_place_and_taken_back() {
    for host in hosts() {
        let denied = plan_at(&host, &fresh_path(), "{}");
        let mut cgroup = create(&denied).unwrap();
        let allow = r#"{"devices":[{"allow":true,"type":"c","major":1,"minor":11,"access":"rwm"}]}"#;
        let config: oci_spec::runtime::LinuxResources = serde_json::from_str(allow).unwrap();
        let none = Default::default();
        let change = crate::plan::cgroup::update::Update {
            given: &config,
            before: &none,
            after: &config,
            default_devices: true,
            privileged: true,
        };
        let allowed = crate::plan::cgroup::update::update(&change, &cgroup.record()).unwrap();
        let open = |cgroup: &Cgroup| shell(cgroup, "exec 3</dev/kmsg") == Some(0);
        let again = || Cgroup::open(&cgroup.record()).unwrap();
        assert!(!open(&cgroup), "before");
        let change = again().update(&allowed, &crate::until::Until::default()).unwrap();
        assert!(open(&cgroup), "while it is changed");
        drop(change);
        assert!(!open(&cgroup), "after it was taken back");
        again().update(&allowed, &crate::until::Until::default()).unwrap().keep();
        assert!(open(&cgroup), "after it was kept");
        cgroup.commit();
        cgroup.remove(PATIENCE).unwrap();
    }
}
