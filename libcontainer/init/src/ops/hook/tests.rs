//! Hooks run by a machine whose caller is the test.

use super::*;
use crate::harness::{Scratch, Script, in_process};
use std::fs;
use std::os::fd::{AsRawFd as _, IntoRawFd as _};

fn pair() -> [Fd; 2] {
    let mut ends = [0; 2];
    // Not close-on-exec, as init finds its own.
    let kind = libc::SOCK_SEQPACKET;
    // SAFETY: writes two numbers to an array of two.
    assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) }, 0);
    ends.map(Fd)
}

/// Sends `kind` with files, as the caller does.
fn answer(socket: Fd, kind: u32, files: &[&fs::File]) {
    let frame = Frame::word(kind).encode();
    let numbers: Vec<i32> = files.iter().map(|file| file.as_raw_fd()).collect();
    let mut control = [0u64; 8];
    let mut iov = libc::iovec { iov_base: frame.as_ptr() as *mut _, iov_len: frame.len() };
    // SAFETY: an all-zero msghdr is a valid value.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = &mut iov;
    message.msg_iovlen = 1;
    if !numbers.is_empty() {
        let header = [16 + 4 * numbers.len() as u64, 1 | 1 << 32];
        control[..2].copy_from_slice(&header);
        for (index, number) in numbers.iter().enumerate() {
            control[2 + index / 2] |= (*number as u32 as u64) << (32 * (index % 2));
        }
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = (16 + 4 * numbers.len()).next_multiple_of(8);
    }
    // SAFETY: the message and its parts are alive.
    assert_eq!(unsafe { libc::sendmsg(socket.0, &message, 0) }, frame.len() as isize);
}

/// Runs one hook to its end: the outcome, and what init said about it.
fn outcome(script: &str, path: &str, kill: bool, scratch: &Scratch) -> (Outcome, Vec<Frame>) {
    let [caller, init] = pair();
    let mut texts = Script::default();
    let args = texts.texts(&["name", "-c", script]);
    let env = texts.texts(&["A=1"]);
    let (path, cwd) = (texts.text(path), texts.text(scratch.path().to_str().unwrap()));
    let mut machine = texts.machine(Fd::NONE);
    machine.socket = init;
    let null = fs::File::open("/dev/null").unwrap();
    let output = fs::File::create(scratch.path().join("output")).unwrap();
    let judge = std::thread::spawn(move || {
        let (mut said, mut bytes) = (Vec::new(), [0u8; 300]);
        while let Ok(length @ 1..) = sys::read(caller, &mut bytes) {
            let frame = Frame::decode(&bytes[..length]).unwrap();
            match frame.kind {
                wire::ASK => answer(caller, wire::GO, &[&null, &output, &output]),
                wire::ENDED => answer(caller, wire::GO, &[]),
                _ => {}
            }
            if kill && frame.kind == wire::ASK {
                answer(caller, wire::KILL, &[]);
            }
            said.push(frame);
        }
        said
    });
    let done = hook(&mut machine, Hook { index: 3, path, args, env, cwd });
    init.close();
    let said = judge.join().unwrap();
    (done, said)
}

const QUESTION: Frame = Frame { kind: wire::ASK, op: 0, value: ask::HOOK, detail: 3 };

#[test]
fn a_hook_gets_its_streams_environment_group_and_directory_and_its_status_is_told() {
    in_process(|| {
        let scratch = Scratch::new("hook");
        let script = "echo $0 $A $PWD; set -- $(cat /proc/self/stat); [ $5 = $$ ] && echo leads; ls /proc/self/fd | wc -l; exit 7";
        let (done, said) = outcome(script, "/bin/sh", false, &scratch);
        assert_eq!(done, Ok(()));
        assert_eq!(said, [QUESTION, Frame { value: 7 << 8, ..Frame::word(wire::ENDED) }]);
        let output = fs::read_to_string(scratch.path().join("output")).unwrap();
        // ls has its directory open beside 0, 1 and 2.
        assert_eq!(output, format!("name 1 {}\nleads\n4\n", scratch.path().display()));
    });
}

#[test]
fn what_cannot_be_executed_is_told_before_the_end() {
    in_process(|| {
        let (done, said) = outcome("", "/nosuch", false, &Scratch::new("missing"));
        assert_eq!(done, Ok(()));
        let unexecuted = Frame { value: crate::abi::ENOENT as u32, ..Frame::word(wire::UNEXECUTED) };
        assert_eq!(said, [QUESTION, unexecuted, Frame { value: 127 << 8, ..Frame::word(wire::ENDED) }]);
    });
}

#[test]
fn a_word_of_the_caller_kills_the_group() {
    in_process(|| {
        let (done, said) = outcome("sleep 100 & sleep 100", "/bin/sh", true, &Scratch::new("kill"));
        assert_eq!(done, Ok(()));
        assert_eq!(said, [QUESTION, Frame { value: SIGKILL, ..Frame::word(wire::ENDED) }]);
    });
}

#[test]
fn a_file_is_executed_by_its_path_only_if_it_is_the_one() {
    in_process(|| {
        let scratch = Scratch::new("same");
        let path = scratch.path().join("a");
        fs::write(&path, "").unwrap();
        let file = Fd(fs::File::open(&path).unwrap().into_raw_fd());
        let name = crate::harness::c_string(&path);
        assert!(is_same(file, &name));
        fs::rename(&path, scratch.path().join("b")).unwrap();
        assert!(!is_same(file, &name));
        fs::write(&path, "").unwrap();
        assert!(!is_same(file, &name));
    });
}
