//! Frames and descriptors over a real socket pair, both directions.

use super::*;
use crate::abi::EINVAL;
use crate::harness::in_process;
use crate::wire::{COMMIT, FAILED, FILTER, GO, HELLO, READY, RESPAWNED, step};
use std::fs;
use std::os::fd::AsRawFd as _;

/// Two ends of a conversation.
fn pair() -> [Fd; 2] {
    let mut ends = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: writes two numbers to an array of two.
    assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) }, 0);
    ends.map(Fd)
}

fn raw(socket: Fd, bytes: &[u8]) {
    // SAFETY: the bytes are borrowed with their length.
    let sent = unsafe { libc::send(socket.0, bytes.as_ptr().cast(), bytes.len(), 0) };
    assert_eq!(sent, bytes.len() as isize);
}

#[test]
fn frames_arrive_in_order_and_whole() {
    let [caller, init] = pair();
    let failed = Frame { kind: FAILED, op: 7, value: 13, detail: step::TARGET };
    send(init, &Frame::word(READY), &[]).unwrap();
    send(init, &failed, &[]).unwrap();
    send(init, &Frame::word(GO), &[]).unwrap();
    for expected in [Frame::word(READY), failed, Frame::word(GO)] {
        assert_eq!(receive(caller, |fd| panic!("{fd:?}")), Ok(expected));
    }
    send(caller, &Frame::word(COMMIT), &[]).unwrap();
    assert_eq!(expect(init, COMMIT), Ok(()));
}

#[test]
fn a_note_is_cut_and_comes_behind_its_frame() {
    let [caller, init] = pair();
    send(init, &Frame::word(FAILED), &[b'n'; NOTE_LEN + 50]).unwrap();
    let mut bytes = [0u8; FRAME_LEN + NOTE_LEN + 100];
    let length = sys::read(caller, &mut bytes).unwrap();
    assert_eq!(length, FRAME_LEN + NOTE_LEN);
    assert_eq!(Frame::decode(&bytes), Some(Frame::word(FAILED)));
    assert!(bytes[FRAME_LEN..length].iter().all(|byte| *byte == b'n'));
}

#[test]
fn a_descriptor_travels_with_its_frame_and_is_closed_on_exec() {
    let [caller, init] = pair();
    let file = fs::File::open("/dev/null").unwrap();
    send_fd(init, &Frame::word(RESPAWNED), Fd(file.as_raw_fd())).unwrap();
    let mut received = Vec::new();
    assert_eq!(receive(caller, |fd| received.push(fd)), Ok(Frame::word(RESPAWNED)));
    let [fd] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(fs::read_link(format!("/proc/self/fd/{}", fd.0)).unwrap().to_str(), Some("/dev/null"));
    // SAFETY: takes no pointer.
    assert_eq!(unsafe { libc::fcntl(fd.0, libc::F_GETFD) }, libc::FD_CLOEXEC);
    fd.close();
}

#[test]
fn short_long_and_unexpected_frames_are_refused() {
    let [caller, init] = pair();
    raw(caller, &[1; FRAME_LEN - 1]);
    assert_eq!(receive(init, Fd::close), Err(EPROTO));
    raw(caller, &[1; FRAME_LEN + 1]);
    assert_eq!(receive(init, Fd::close), Err(EMSGSIZE));
    send(caller, &Frame::word(HELLO), &[]).unwrap();
    assert_eq!(expect(init, GO), Err(EPROTO));
}

/// A file with `content`.
fn file_of(content: &[u8]) -> Fd {
    // SAFETY: the name is a string.
    let file = Fd(unsafe { libc::memfd_create(c"file".as_ptr(), libc::MFD_CLOEXEC) });
    assert_eq!(sys::write(file, content), Ok(content.len()));
    file
}

#[test]
fn what_comes_with_a_frame_is_taken_whole_or_not_at_all() {
    let word = |value: u32| Frame { value, ..Frame::word(FILTER) };
    let message = |value: u32, body: &[u8]| [&word(value).encode(), body].concat();
    let [caller, init] = pair();
    let mut room = [0; FRAME_LEN + 8];
    raw(caller, &message(5, b"12345"));
    assert_eq!(take(init, FILTER, &mut room), Ok(b"12345".as_slice()));
    for (said, refusal) in [
        (message(9, b"123456789"), EMSGSIZE),
        (message(8, b"12345"), EPROTO),
        (message(5, b"12345678"), EPROTO),
        (message(0, &[])[..FRAME_LEN - 1].to_vec(), EPROTO),
    ] {
        raw(caller, &said);
        assert_eq!(take(init, FILTER, &mut room), Err(refusal));
    }
    // In a file it may be longer than the room.
    send_fd(caller, &word(20), file_of(&[7; 20])).unwrap();
    assert_eq!(take(init, FILTER, &mut room), Ok([7; 20].as_slice()));
    send_fd(caller, &word(20), file_of(&[7; 19])).unwrap();
    assert_eq!(take(init, FILTER, &mut room), Err(EINVAL));
    send_fd(caller, &word(20), file_of(&[7; 20])).unwrap();
    assert_eq!(take(init, GO, &mut room), Err(EPROTO));
}

#[test]
fn the_end_of_the_creator_is_the_end_of_init() {
    in_process(|| {
        let [caller, init] = pair();
        // SAFETY: this process has one thread; the child goes on with a copy of its memory.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            caller.close();
            let _ = expect(init, COMMIT);
            sys::exit(9); // not reached: `receive` ends the process
        }
        caller.close();
        init.close();
        let mut status = 0;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(pid, &mut status, 0) };
        assert_eq!(status, 0);
    });
}

#[test]
fn a_control_message_that_lies_about_its_length_gives_nothing_outside() {
    let mut control = Control::EMPTY;
    for length in [0, 15, 16, 19, 20, 24, 1 << 20, usize::MAX] {
        control.put_header(length);
        for used in [0, 8, 16, 20, 24, size_of::<Control>()] {
            let count = control.fds(used).count();
            assert_eq!(count, length.min(used).saturating_sub(CMSG_HEADER) / 4, "{length} {used}");
        }
    }
}
