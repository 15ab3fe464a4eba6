//! Init's half of the conversation: frames and descriptors over the socket, which is also the lifeline.

use crate::abi::{
    CMSG_HEADER, EMSGSIZE, EPROTO, IoVec, MSG_CMSG_CLOEXEC, MSG_NOSIGNAL, MSG_TRUNC, MsgHdr, SCM_RIGHTS,
    SOL_SOCKET,
};
use crate::sys::{self, Fd, Result};
use crate::wire::{FDS_PER_MESSAGE, FRAME_LEN, Frame, NOTE_LEN, READY};

/// Room for the descriptors of one message, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; CMSG_HEADER + FDS_PER_MESSAGE * 4]);

impl Control {
    const EMPTY: Self = Self([0; CMSG_HEADER + FDS_PER_MESSAGE * 4]);

    fn put_header(&mut self, length: usize) {
        let [a, b, c, d] = SOL_SOCKET.to_ne_bytes();
        let [e, f, g, h] = SCM_RIGHTS.to_ne_bytes();
        let head = length.to_ne_bytes().into_iter().chain([a, b, c, d, e, f, g, h]);
        for (place, byte) in self.0.iter_mut().zip(head) {
            *place = byte;
        }
    }

    /// The descriptors of the one control message in the first `used` bytes. Its own length counts: `used` is rounded up.
    fn fds(&self, used: usize) -> impl Iterator<Item = Fd> {
        let length = self.0.first_chunk().map_or(0, |bytes| usize::from_ne_bytes(*bytes)).min(used);
        let body = self.0.get(CMSG_HEADER..length).unwrap_or(&[]);
        body.chunks_exact(4).filter_map(|chunk| Some(Fd(i32::from_ne_bytes(chunk.try_into().ok()?))))
    }
}

/// Sends a frame with an explanation behind it. By `write`: a filter of the container's may already be in force.
pub fn send(socket: Fd, frame: &Frame, note: &[u8]) -> Result<()> {
    let mut bytes = [0u8; FRAME_LEN + NOTE_LEN];
    let content = frame.encode().into_iter().chain(note.iter().copied());
    let length = bytes.iter_mut().zip(content).map(|(place, byte)| *place = byte).count();
    sys::write(socket, bytes.get(..length).unwrap_or(&[])).map(drop)
}

/// Says that we are here to a peer that may be gone: that is an error then, and no signal.
pub fn greet(socket: Fd) -> Result<()> {
    let mut bytes = Frame::word(READY).encode();
    let mut iov = IoVec { base: bytes.as_mut_ptr(), len: bytes.len() };
    sys::sendmsg(socket, &message(&mut iov, None, 0), MSG_NOSIGNAL).map(drop)
}

/// Sends a frame with one descriptor.
pub fn send_fd(socket: Fd, frame: &Frame, fd: Fd) -> Result<()> {
    let mut bytes = frame.encode();
    let mut control = Control::EMPTY;
    let length = CMSG_HEADER + 4;
    control.put_header(length);
    if let Some(place) = control.0.get_mut(CMSG_HEADER..length) {
        place.copy_from_slice(&fd.0.to_ne_bytes());
    }
    let mut iov = IoVec { base: bytes.as_mut_ptr(), len: bytes.len() };
    // The kernel wants the space rounded up, the length not.
    sys::sendmsg(socket, &message(&mut iov, Some(&mut control), length + 4), MSG_NOSIGNAL).map(drop)
}

/// Receives a frame and hands its descriptors to `take`. End of file means that the creator is gone: this process ends.
pub fn receive(socket: Fd, mut take: impl FnMut(Fd)) -> Result<Frame> {
    Frame::decode(receive_whole(socket, &mut [0; FRAME_LEN], &mut take)?).ok_or(EPROTO)
}

/// Receives a message into `room` and hands its descriptors to `take`. A longer one is refused.
fn receive_whole<'a>(socket: Fd, room: &'a mut [u8], take: &mut dyn FnMut(Fd)) -> Result<&'a [u8]> {
    let mut control = Control::EMPTY;
    let size = size_of::<Control>();
    let mut iov = IoVec { base: room.as_mut_ptr(), len: room.len() };
    let mut header = message(&mut iov, Some(&mut control), size);
    // With MSG_TRUNC the length is that of the message.
    let length = sys::recvmsg(socket, &mut header, MSG_CMSG_CLOEXEC | MSG_TRUNC)?;
    let used = header.control_len;
    if length == 0 {
        sys::exit(0);
    }
    control.fds(used).for_each(take);
    room.get(..length).ok_or(EMSGSIZE)
}

/// Waits for the frame of kind `kind`, which has no descriptors; by `read`, as [`send`]. End of file is the creator's end, and ours.
pub fn expect(socket: Fd, kind: u32) -> Result<()> {
    let mut bytes = [0u8; FRAME_LEN];
    let length = sys::read(socket, &mut bytes)?;
    if length == 0 {
        sys::exit(0);
    }
    let frame = Frame::decode(bytes.get(..length).unwrap_or(&[])).ok_or(EPROTO)?;
    if frame.kind == kind { Ok(()) } else { Err(EPROTO) }
}

/// Waits for the frame of kind `kind` and shows the `value` bytes that come with it: behind it, where they are put into `room`, or in a file.
pub fn take(socket: Fd, kind: u32, room: &mut [u8]) -> Result<&[u8]> {
    let mut file = Fd::NONE;
    let said = receive_whole(socket, room, &mut |fd| file = fd)?;
    let frame = Frame::decode(said).filter(|frame| frame.kind == kind).ok_or(EPROTO)?;
    let length = frame.value as usize;
    if file != Fd::NONE {
        let bytes = sys::map_shared(file, length)?;
        file.close();
        return Ok(bytes);
    }
    said.get(FRAME_LEN..).filter(|body| body.len() == length).ok_or(EPROTO)
}

fn message(iov: &mut IoVec, control: Option<&mut Control>, control_len: usize) -> MsgHdr {
    let control = control.map_or(core::ptr::null_mut(), |control| control.0.as_mut_ptr());
    MsgHdr { name: 0, name_len: 0, iov, iov_len: 1, control, control_len, flags: 0 }
}

#[cfg(test)]
mod tests;
