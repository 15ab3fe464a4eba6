//! The caller's half of the conversation with init.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::carrier;
use crate::sys::socket::receive;
use crate::until::{Until, Woken};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use teu_init::wire::{self, FDS_PER_MESSAGE, FRAME_LEN, Frame, NOTE_LEN};

/// What init said.
#[derive(Debug)]
pub(crate) struct Heard {
    pub frame: Frame,
    pub note: String,
    pub fd: Option<OwnedFd>,
}

/// Sends the program and the descriptors of its slots, in as many messages as the kernel needs.
pub(super) fn send_program(
    socket: &OwnedFd,
    program: &OwnedFd,
    len: usize,
    slots: &[OwnedFd],
) -> io::Result<()> {
    let count = u32::try_from(slots.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let value = u32::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    let hello = Frame { kind: wire::HELLO, op: count, value, detail: 0 };
    let fds: Vec<RawFd> = std::iter::once(program).chain(slots).map(AsRawFd::as_raw_fd).collect();
    fds.chunks(FDS_PER_MESSAGE).try_for_each(|chunk| send(socket, &hello, chunk))
}

/// Sends a word.
pub(super) fn say(socket: &OwnedFd, kind: u32) -> io::Result<()> {
    send(socket, &Frame::word(kind), &[])
}

/// Sends the instructions of a filter that follows the program: behind the frame, or in a file if no message is as long.
pub(super) fn send_filter(socket: &OwnedFd, insns: &[u8]) -> io::Result<()> {
    let value = u32::try_from(insns.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let frame = Frame { value, ..Frame::word(wire::FILTER) };
    match send_with(socket, &frame, insns, &[]) {
        // A socket has room for net.core.wmem_default bytes, which may be as few as 4608 on a host.
        Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
            let file = carrier::program(insns, insns.len())?;
            send(socket, &frame, &[file.as_raw_fd()])
        }
        sent => sent,
    }
}

fn send(socket: &OwnedFd, frame: &Frame, fds: &[RawFd]) -> io::Result<()> {
    send_with(socket, frame, &[], fds)
}

fn send_with(socket: &OwnedFd, frame: &Frame, body: &[u8], fds: &[RawFd]) -> io::Result<()> {
    let bytes = frame.encode();
    let rights = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights[..] };
    loop {
        match sendmsg::<()>(
            socket.as_raw_fd(),
            &[IoSlice::new(&bytes), IoSlice::new(body)],
            control,
            MsgFlags::MSG_NOSIGNAL,
            None,
        ) {
            Err(nix::Error::EINTR) => {}
            other => return other.map(drop).map_err(io::Error::from),
        }
    }
}

/// Sends a word with descriptors.
pub(super) fn give(socket: &OwnedFd, kind: u32, fds: &[RawFd]) -> io::Result<()> {
    send(socket, &Frame::word(kind), fds)
}

/// Waits for a message; `None` if init is gone.
pub(super) fn hear(socket: &OwnedFd) -> io::Result<Option<Heard>> {
    hear_until(socket, &Until::default())
}

/// The same with an end: TimedOut, or ECANCELED.
pub(super) fn hear_until(socket: &OwnedFd, until: &Until) -> io::Result<Option<Heard>> {
    if !until.is_endless() {
        match until.wait(&[socket.as_fd()], libc::POLLIN)? {
            Woken::Ready => {}
            Woken::Late => return Err(io::ErrorKind::TimedOut.into()),
            Woken::Cancelled => return Err(io::Error::from_raw_os_error(libc::ECANCELED)),
        }
    }
    let mut bytes = [0u8; FRAME_LEN + NOTE_LEN];
    let (length, fd) = match receive(socket.as_fd(), &mut bytes) {
        // What init did not read before it died makes the end a reset, and that is told once, before what init has said.
        Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => receive(socket.as_fd(), &mut bytes)?,
        other => other?,
    };
    let Some((head, note)) = bytes.get(..length).and_then(|bytes| bytes.split_at_checked(FRAME_LEN)) else {
        return Ok(None);
    };
    let Some(frame) = Frame::decode(head) else { return Ok(None) };
    Ok(Some(Heard { frame, note: String::from_utf8_lossy(note).into_owned(), fd }))
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::sockopt::SndBuf;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair};
    use teu_init::sys::Fd;

    use super::*;

    #[test]
    fn the_longest_filter_arrives_also_by_a_socket_that_takes_no_long_message() {
        let insns: Vec<u8> = (0..wire::FILTER_LEN).map(|at| (at / 8) as u8).collect();
        for room in [wire::FILTER_LEN, 0] {
            let kind = SockType::SeqPacket;
            let (ours, init) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).unwrap();
            setsockopt(&ours, SndBuf, &room).unwrap();
            send_filter(&ours, &insns).unwrap();
            let mut space = [0; FRAME_LEN + wire::FILTER_LEN];
            let taken = teu_init::talk::take(Fd(init.as_raw_fd()), wire::FILTER, &mut space);
            assert!(taken == Ok(&insns), "{room}: {:?}", taken.map(<[u8]>::len));
        }
    }

    #[test]
    fn the_last_words_of_an_init_that_did_not_listen_are_heard() {
        let pair =
            || socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let (ours, init) = pair();
        say(&init, wire::FAILED).unwrap();
        say(&ours, wire::GO).unwrap();
        drop(init);
        assert_eq!(hear(&ours).unwrap().map(|heard| heard.frame.kind), Some(wire::FAILED));
        assert!(hear(&ours).unwrap().is_none());
        let (ours, init) = pair();
        say(&ours, wire::GO).unwrap();
        drop(init);
        assert!(hear(&ours).unwrap().is_none());
    }
}
