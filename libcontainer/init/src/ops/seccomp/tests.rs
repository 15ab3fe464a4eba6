//! Filters that are really loaded, each in a process of its own.

use super::*;
use crate::abi::EPERM;
use crate::harness::{Script, in_process};
use crate::machine::Fault;
use std::fs;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO_EPERM: u32 = 0x0005_0001;
const NOTIFY: u32 = 0x7fc0_0000;

/// A filter that answers `action` to one call and allows the rest.
fn answering(call: i64, action: u32) -> Vec<u8> {
    let number = u32::try_from(call).unwrap();
    let insns: [(u16, u8, u8, u32); 4] =
        [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, action), (6, 0, 0, ALLOW)];
    let insn = |(code, yes, no, k): (u16, u8, u8, u32)| {
        code.to_ne_bytes().into_iter().chain([yes, no]).chain(k.to_ne_bytes()).collect::<Vec<u8>>()
    };
    insns.into_iter().flat_map(insn).collect()
}

/// Loads the filter under no_new_privs. The outcome, and the caller's end of the conversation.
fn loaded(filter: &[u8], flags: u32, how: u32) -> (Outcome, Machine<'static>, Fd) {
    loaded_after(&[], filter, flags, how)
}

/// The same when the caller has said something.
fn loaded_after(said: &[u8], filter: &[u8], flags: u32, how: u32) -> (Outcome, Machine<'static>, Fd) {
    assert!(sys::prctl(crate::abi::PR_SET_NO_NEW_PRIVS, 1, 0).is_ok());
    let mut ends = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: writes two numbers to an array of two.
    assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) }, 0);
    if !said.is_empty() {
        assert_eq!(sys::write(Fd(ends[1]), said), Ok(said.len()));
    }
    let mut script = Script::default();
    let filter = script.bytes(filter);
    let mut machine = script.machine(Fd::NONE);
    machine.socket = Fd(ends[0]);
    let outcome = load(&mut machine, filter, flags, how);
    (outcome, machine, Fd(ends[1]))
}

#[test]
fn a_filter_is_in_force_afterwards() {
    in_process(|| {
        let (outcome, ..) = loaded(&answering(libc::SYS_getppid, ERRNO_EPERM), 0, listener::TAKEN);
        assert_eq!(outcome, Ok(()));
        assert!(fs::read_to_string("/proc/self/status").unwrap().contains("Seccomp:\t2"));
    });
}

#[test]
fn a_filter_that_follows_the_program_is_taken_from_the_caller() {
    let said = |kind: u32, insns: &[u8]| {
        let frame = Frame { value: insns.len() as u32, ..Frame::word(kind) };
        [&frame.encode(), insns].concat()
    };
    let insns = answering(libc::SYS_getppid, ERRNO_EPERM);
    for (said, outcome) in [
        (said(wire::FILTER, &insns), Ok(())),
        (said(wire::FILTER, &[]), Err(crate::abi::EINVAL.into())),
        (said(wire::GO, &insns), Err(crate::abi::EPROTO.into())),
        (vec![0; 3], Err(crate::abi::EPROTO.into())),
    ] {
        in_process(|| {
            assert_eq!(loaded_after(&said, &[], 0, listener::TAKEN).0, outcome);
            // SAFETY: takes nothing.
            let parent = unsafe { libc::syscall(libc::SYS_getppid) };
            assert_eq!(parent == -1, outcome == Ok(()));
        });
    }
}

#[test]
fn a_filter_without_read_is_noticed_at_once() {
    in_process(|| {
        let (outcome, ..) = loaded(&answering(libc::SYS_read, ERRNO_EPERM), 0, listener::TAKEN);
        assert_eq!(outcome, Err(Fault { errno: EPERM, step: step::READ }));
    });
}

#[test]
fn a_damaged_filter_is_refused() {
    in_process(|| {
        let (outcome, ..) = loaded(&[0; 8], 0, listener::TAKEN);
        assert_eq!(outcome, Err(crate::abi::EINVAL.into()));
    });
}

#[test]
fn a_listener_is_named_or_sent() {
    for how in [listener::TAKEN, listener::SENT] {
        in_process(|| {
            let filter = answering(libc::SYS_getppid, NOTIFY);
            let (outcome, machine, caller) = loaded(&filter, SECCOMP_FILTER_FLAG_NEW_LISTENER, how);
            assert_eq!(outcome, Ok(()));
            let mut fds = Vec::new();
            let frame = talk::receive(caller, |fd| fds.push(fd)).unwrap();
            assert_eq!(frame.kind, wire::LISTENER);
            let kept = machine.listener;
            assert_eq!(kept == Fd(frame.value as i32), how == listener::TAKEN);
            assert_eq!(fds.len(), usize::from(how == listener::SENT));
            let fd = fds.pop().unwrap_or(kept);
            let link = fs::read_link(format!("/proc/self/fd/{}", fd.0)).unwrap();
            assert_eq!(link.to_str(), Some("anon_inode:seccomp notify"));
        });
    }
}
