//! Writes to procfs from a process of its own, some of them with a `/proc` that somebody has shaped.

use super::*;
use crate::harness::{Scratch, Script, fill, handle, in_namespaces, in_process};
use libc::EXDEV;
use std::fs;
use std::path::Path;

/// A machine whose slot 0 is the procfs that `open` makes, with these strings.
fn machine(script: Script) -> Machine<'static> {
    let mut machine = script.machine(Fd::NONE);
    assert_eq!(open(&mut machine, true, NewSlot(0)), Ok(()));
    machine
}

/// Mounts a tmpfs without asking whether it is sensible.
fn cover(path: &CStr) {
    // SAFETY: the strings end with NUL; a tmpfs takes no data.
    let result =
        unsafe { libc::mount(c"tmpfs".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), 0, core::ptr::null()) };
    assert_eq!(result, 0, "{path:?}: {}", std::io::Error::last_os_error());
}

const COMM: &str = "self/comm";

#[test]
fn a_value_reaches_the_file_of_this_process() {
    in_process(|| {
        let mut script = Script::default();
        let (paths, value) =
            (script.texts(&["self/nothing", COMM, "self/oom_score_adj"]), script.text("renamed"));
        let mut machine = machine(script);
        assert_eq!(write(&mut machine, Slot(0), paths, value), Ok(()));
        assert_eq!(fs::read_to_string("/proc/self/comm").unwrap(), "renamed\n");
    });
}

#[test]
fn what_is_missing_or_refused_says_so() {
    in_process(|| {
        let mut script = Script::default();
        let missing = script.texts(&["self/nothing", "self/attr/nothing"]);
        let (score, value) = (script.texts(&["self/oom_score_adj"]), script.text("nonsense"));
        let mut machine = machine(script);
        let target = Err(Fault { errno: ENOENT, step: step::TARGET });
        assert_eq!(write(&mut machine, Slot(0), missing, value), target);
        assert_eq!(write(&mut machine, Slot(0), score, value), Err(EINVAL.into()));
    });
}

/// CVE-2019-16884, CVE-2025-52881: a mount over the file swallows the write, or redirects it to another one.
#[test]
fn a_covered_proc_gets_no_write() {
    in_namespaces(|| {
        cover(c"/proc/self/task");
        let mut script = Script::default();
        let (paths, value) = (script.texts(&["self/task/1"]), script.text("x"));
        let mut machine = script.machine(Fd::NONE);
        // What `open` falls back to where a fresh procfs is refused.
        fill(&mut machine, 0, verified(host()).unwrap());
        let crossed = Err(Fault { errno: EXDEV, step: step::TARGET });
        assert_eq!(write(&mut machine, Slot(0), paths, value), crossed);
    });
}

#[test]
fn magic_links_and_ways_out_are_refused() {
    in_process(|| {
        let scratch = Scratch::new("magic");
        fs::write(scratch.path().join("canary"), "canary").unwrap();
        std::env::set_current_dir(scratch.path()).unwrap();
        let mut script = Script::default();
        let cases =
            [script.texts(&["self/cwd/canary"]), script.texts(&["../canary"]), script.texts(&["self/exe"])];
        let value = script.text("x");
        let mut machine = machine(script);
        for paths in cases {
            let result = write(&mut machine, Slot(0), paths, value);
            assert!(matches!(result, Err(Fault { step: step::TARGET, .. })), "{result:?}");
        }
        assert_eq!(fs::read_to_string("canary").unwrap(), "canary");
    });
}

#[test]
fn only_the_root_of_a_procfs_is_taken_for_one() {
    in_process(|| {
        let scratch = Scratch::new("fake");
        fs::create_dir_all(scratch.path().join("self/attr")).unwrap();
        assert_eq!(verified(Ok(handle(scratch.path()))), Err(EINVAL), "another filesystem");
        assert_eq!(verified(Ok(handle(Path::new("/proc/self")))), Err(EINVAL), "a directory of a procfs");
        assert_eq!(verified(Ok(handle(Path::new("/proc/sys")))), Err(EINVAL));
        assert!(verified(Ok(handle(Path::new("/proc")))).is_ok());
    });
}

#[test]
fn a_proc_that_is_none_is_not_trusted() {
    in_namespaces(|| {
        cover(c"/proc");
        let mut machine = Script::default().machine(Fd::NONE);
        // No right to a fresh instance either: the pid namespace belongs to others.
        let untrusted = Err(Fault { errno: EINVAL, step: step::UNTRUSTED });
        assert_eq!(open(&mut machine, false, NewSlot(0)), untrusted);
    });
}

#[test]
fn an_instance_for_labels_has_no_sysctls() {
    in_process(|| {
        let (Ok(all), Ok(labels)) = (fresh(true), fresh(false)) else {
            eprintln!("skipped: no right to mount a procfs");
            return;
        };
        let exists = |proc: Fd, path: &CStr| sys::statx(proc, path, 0).is_ok();
        assert!(exists(all, c"sys/kernel/hostname") && exists(all, c"self/comm"));
        assert!(!exists(labels, c"sys/kernel/hostname") && exists(labels, c"self/comm"));
    });
}
