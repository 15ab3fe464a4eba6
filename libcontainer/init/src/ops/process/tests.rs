//! The process half, each op in a process of its own.

use super::*;
use crate::abi::{EBADF, ENOTDIR};
use crate::harness::{self, Scratch, Script, fill, in_namespaces, in_process};
use crate::program::NewSlot;
use std::fs;
use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// An open file with `content`.
fn file(scratch: &Scratch, content: &str) -> Fd {
    let path = scratch.path().join(content);
    fs::write(&path, content).unwrap();
    Fd(fs::File::open(path).unwrap().into_raw_fd())
}

fn content(number: i32) -> String {
    fs::read_to_string(format!("/proc/self/fd/{number}")).unwrap()
}

fn is_close_on_exec(fd: Fd) -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::fcntl(fd.0, libc::F_GETFD) == libc::FD_CLOEXEC }
}

fn machine() -> Machine<'static> {
    Script::default().machine(Fd::NONE)
}

#[test]
fn a_descriptor_is_put_under_its_number_and_survives_exec() {
    in_process(|| {
        let (scratch, mut machine) = (Scratch::new("place"), machine());
        let from = fill(&mut machine, 0, file(&scratch, "a"));
        assert_eq!(place(&mut machine, 40, from), Ok(()));
        assert_eq!(content(40), "a");
        assert!(!is_close_on_exec(Fd(40)));
        assert!(is_close_on_exec(machine.slot(from)), "the copy in the slot does not");
    });
}

#[test]
fn what_lives_on_the_number_moves_away() {
    in_process(|| {
        let (scratch, mut machine) = (Scratch::new("collide"), machine());
        let (a, b) = (file(&scratch, "a"), file(&scratch, "b"));
        let (from, other) = (fill(&mut machine, 0, a), fill(&mut machine, 1, b));
        machine.socket = file(&scratch, "socket");
        machine.root = file(&scratch, "root");
        machine.empty = file(&scratch, "empty");
        for number in [machine.socket, machine.root, machine.empty, machine.slot(other)].map(|fd| fd.0 as u32)
        {
            assert_eq!(place(&mut machine, number, from), Ok(()));
            assert_eq!(content(number as i32), "a");
        }
        assert_eq!(content(machine.socket.0), "socket");
        assert_eq!(content(machine.root.0), "root");
        assert_eq!(content(machine.empty.0), "empty");
        assert_eq!(content(machine.slot(other).0), "b");
        for moved in [machine.socket, machine.root, machine.empty, machine.slot(other)] {
            assert!(is_close_on_exec(moved));
        }
    });
}

#[test]
fn two_descriptors_that_live_on_each_others_number_change_places() {
    in_process(|| {
        let (scratch, mut machine) = (Scratch::new("swap"), machine());
        let (a, b) = (file(&scratch, "a"), file(&scratch, "b"));
        let (first, second) = (fill(&mut machine, 0, a), fill(&mut machine, 1, b));
        assert_eq!(place(&mut machine, b.0 as u32, first), Ok(()));
        assert_eq!(place(&mut machine, a.0 as u32, second), Ok(()));
        assert_eq!((content(a.0), content(b.0)), ("b".to_owned(), "a".to_owned()));
    });
}

#[test]
fn a_descriptor_that_has_its_number_already_stays_and_survives_exec() {
    in_process(|| {
        let (scratch, mut machine) = (Scratch::new("same"), machine());
        let a = file(&scratch, "a");
        let from = fill(&mut machine, 0, a);
        assert_eq!(place(&mut machine, a.0 as u32, from), Ok(()));
        assert_eq!(content(a.0), "a");
        assert!(!is_close_on_exec(a));
    });
}

#[test]
fn an_empty_slot_and_an_impossible_number_are_errors() {
    in_process(|| {
        let (scratch, mut machine) = (Scratch::new("bad"), machine());
        let from = fill(&mut machine, 0, file(&scratch, "a"));
        assert_eq!(place(&mut machine, 40, Slot(1)), Err(EBADF.into()));
        assert_eq!(place(&mut machine, u32::MAX, from), Err(EINVAL.into()));
        assert_eq!(place(&mut machine, i32::MAX as u32, from), Err(EBADF.into()));
        machine.fill(NewSlot(1), Fd::NONE);
        assert_eq!(machine.slot(Slot(1)), Fd::NONE);
    });
}

/// Files of a container's PATH: what `check_exec` finds and why it refuses.
fn check(paths: &[&str], prepare: impl FnOnce(&Path)) -> (Outcome, Option<String>) {
    let scratch = Scratch::new(&format!("exec-{}", paths.join("").replace('/', "_")));
    prepare(scratch.path());
    let full: Vec<String> = paths.iter().map(|path| format!("{}/{path}", scratch.path().display())).collect();
    let mut script = Script::default();
    let candidates = script.texts(&full.iter().map(String::as_str).collect::<Vec<_>>());
    let mut machine = script.machine(Fd::NONE);
    let outcome = check_exec(&mut machine, candidates);
    let chosen = machine.program_path.map(|path| path.to_str().unwrap().to_owned());
    let name =
        chosen.map(|path| Path::new(&path).strip_prefix(scratch.path()).unwrap().display().to_string());
    (outcome, name)
}

fn program(path: &Path, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "#!").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_first_candidate_that_may_be_executed_is_chosen() {
    let (outcome, chosen) = check(&["a/sh", "b/sh", "c/sh", "d/sh"], |root| {
        program(&root.join("b/sh"), 0o644);
        program(&root.join("c/sh"), 0o755);
        program(&root.join("d/sh"), 0o755);
    });
    assert_eq!((outcome, chosen.as_deref()), (Ok(()), Some("c/sh")));
}

#[test]
fn a_program_that_is_nowhere_is_not_found() {
    let missing = |errno| Err(Fault { errno, step: step::NOT_FOUND });
    assert_eq!(check(&["a/sh", "b/sh"], |_| {}), (missing(ENOENT), None));
    assert_eq!(check(&[], |_| {}), (missing(ENOENT), None));
    let below_a_file = check(&["file/sh"], |root| fs::write(root.join("file"), "").unwrap());
    assert_eq!(below_a_file, (missing(ENOTDIR), None));
}

#[test]
fn a_file_that_may_not_be_executed_is_another_error() {
    let refused = |errno| Err(Fault { errno, step: step::NOT_EXECUTABLE });
    let plain = check(&["a/sh", "z/sh"], |root| program(&root.join("a/sh"), 0o644));
    assert_eq!(plain, (refused(EACCES), None));
    let directory = check(&["a"], |root| fs::create_dir(root.join("a")).unwrap());
    assert_eq!(directory, (refused(EISDIR), None));
}

#[test]
fn a_working_directory_outside_of_the_root_is_refused() {
    in_namespaces(|| {
        // CVE-2024-21626: a descriptor of the host as the working directory.
        let (scratch, outside) = (Scratch::new("inside"), fs::File::open("/").unwrap());
        let mut machine = machine();
        machine.root = harness::tmpfs_over(&scratch);
        fs::create_dir(scratch.path().join("srv")).unwrap();
        assert_eq!(crate::ops::rootfs::chroot(&mut machine), Ok(()));
        assert_eq!(chdir(&mut machine, c"/srv", false), Ok(()));
        assert_eq!(chdir(&mut machine, c"/missing", false), Err(ENOENT.into()));
        sys::fchdir(Fd(outside.as_raw_fd())).unwrap();
        assert_eq!(chdir(&mut machine, c".", false), Err(Fault { errno: EPERM, step: step::OUTSIDE }));
    });
}

#[test]
fn a_denied_directory_is_tried_again_with_the_rights_of_the_user() {
    in_process(|| {
        let mut machine = machine();
        assert_eq!(chdir(&mut machine, c"/missing", true), Ok(()), "nothing was denied: nothing to do");
        machine.cwd_denied = true;
        assert_eq!(chdir(&mut machine, c"/missing", true), Err(ENOENT.into()));
        assert_eq!(chdir(&mut machine, c"/", true), Ok(()));
    });
}

#[test]
fn a_limit_of_open_files_takes_the_place_of_the_raised_one() {
    in_process(|| {
        let mut machine = machine();
        machine.nofile = Some([100, 200]);
        assert_eq!(rlimit(&mut machine, 4, [0, 0]), Ok(()));
        assert_eq!(machine.nofile, Some([100, 200]));
        assert_eq!(rlimit(&mut machine, sys::RLIMIT_NOFILE, [64, 128]), Ok(()));
        assert_eq!(machine.nofile, None);
        let limits = fs::read_to_string("/proc/self/limits").unwrap();
        let line: Vec<_> = limits
            .lines()
            .find(|line| line.starts_with("Max open files"))
            .unwrap()
            .split_whitespace()
            .collect();
        assert_eq!(line[3..5], ["64", "128"]);
    });
}

#[test]
fn reset_undoes_what_a_host_thread_leaves_behind() {
    in_process(|| {
        // SAFETY: this process has one thread, and SIG_IGN is no handler.
        unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        // SAFETY: an all-zero set is valid to be filled.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is borrowed.
        unsafe { libc::sigfillset(&mut set) };
        // SAFETY: the set is borrowed; the old one is not asked for.
        unsafe { libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        sys::umask(0o777);
        // SAFETY: takes numbers.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 5) };
        let idle = libc::sched_param { sched_priority: 0 };
        // SAFETY: the parameters are borrowed.
        assert_eq!(unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &idle) }, 0);
        let mut machine = machine();
        assert_eq!(reset(&mut machine), Ok(()));
        let field = |name: &str| {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
        };
        // SIGUSR1 and SIGPIPE: nobody sees it before the commit.
        assert!(field("SigIgn:").ends_with("1200"), "{}", field("SigIgn:"));
        let mut ends = [0; 2];
        // SAFETY: writes two numbers to an array of two.
        let made = unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, ends.as_mut_ptr()) };
        assert_eq!(made, 0);
        machine.socket = Fd(ends[0]);
        talk::send(Fd(ends[1]), &Frame::word(wire::COMMIT), &[]).unwrap();
        assert_eq!(ready(&mut machine), Ok(()));
        assert_eq!(field("SigBlk:"), "0000000000000000");
        assert_eq!(field("SigIgn:"), "0000000000000000");
        // 1, 2, 3 and 15, which end even the first process of a pid namespace.
        assert_eq!(field("SigCgt:"), "0000000000004007");
        assert_eq!(field("Umask:"), "0000");
        assert!(machine.nofile.is_some());
        // SAFETY: asks for a number.
        let policy = unsafe { libc::sched_getscheduler(0) };
        // SAFETY: as above.
        let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        if (policy, nice) != (libc::SCHED_OTHER, 0) {
            // SAFETY: takes numbers.
            let raised = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 0) };
            assert_eq!(raised, -1, "only without CAP_SYS_NICE the way up is closed: {policy} {nice}");
        }
    });
}

#[test]
fn a_handled_signal_ends_with_the_status_of_a_shell() {
    // SAFETY: the child runs what may run after a fork, and leaves.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let _ = sys::signal_ends(crate::abi::SIGTERM);
        // SAFETY: takes a number.
        unsafe { libc::raise(libc::SIGTERM) };
        sys::exit(1);
    }
    let mut status = 0;
    // SAFETY: the status is borrowed for writing.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status));
    assert_eq!(libc::WEXITSTATUS(status), 128 + 15);
}

#[test]
fn the_pointer_arrays_of_execve_stay_in_their_room() {
    let list = |count: usize| std::iter::repeat_n(c"x", count);
    // Six strings and two NULLs fit.
    let mut room = [0u8; 64];
    for (args, env, errno) in [(4, 2, ENOENT), (4, 3, E2BIG), (8, 0, E2BIG), (7, 0, E2BIG), (6, 0, ENOENT)] {
        let found = sys::execve(c"/missing/program", &mut room, list(args), list(env));
        assert_eq!(found, errno, "{args} arguments, {env} variables");
    }
}

#[test]
fn the_program_gets_its_arguments_and_nothing_but_its_environment() {
    in_process(|| {
        let scratch = Scratch::new("execve");
        let out = scratch.path().join("out").display().to_string();
        let script = format!("echo \"$0,$1,$A,$HOME\" > {out}\0");
        let mut room = [0u8; 64];
        // SAFETY: this process has one thread; the child goes on with a copy of its memory.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let script = CStr::from_bytes_with_nul(script.as_bytes()).unwrap();
            let args = [c"sh", c"-c", script, c"zero", c"one"];
            sys::execve(c"/bin/sh", &mut room, args.into_iter(), [c"A=1"].into_iter());
            sys::exit(1);
        }
        // SAFETY: waits for the child made above; its status is not asked for.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        assert_eq!(fs::read_to_string(out).unwrap(), "zero,one,1,\n");
    });
}

#[test]
fn a_question_waits_for_its_answer_and_takes_no_other_word() {
    in_process(|| {
        for (answer, outcome) in [(wire::GO, Ok(())), (wire::COMMIT, Err(crate::abi::EPROTO.into()))] {
            let mut ends = [0; 2];
            // SAFETY: writes two numbers to an array of two.
            let made = unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, ends.as_mut_ptr()) };
            assert_eq!(made, 0);
            let [caller, init] = ends.map(Fd);
            let mut machine = machine();
            machine.socket = init;
            talk::send(caller, &Frame::word(answer), &[]).unwrap();
            assert_eq!(ask(&machine, 7), outcome);
            let heard = talk::receive(caller, |fd| panic!("{fd:?}"));
            assert_eq!(heard, Ok(Frame { value: 7, ..Frame::word(wire::ASK) }));
        }
    });
}
