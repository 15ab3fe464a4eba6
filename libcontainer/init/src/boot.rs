//! The first steps of the process: close what leaked in, receive the program and its descriptors, check them.

use crate::abi::{EINVAL, EPROTO};
use crate::machine::Image;
use crate::program::{HEADER_LEN, Header, PROGRESS_OFFSET, Program};
use crate::sys::{self, Fd, Result};
use crate::talk;
use crate::wire::{FAILED, Frame, HELLO, SOCKET_FD, step};

/// The conversation's descriptor.
const SOCKET: Fd = Fd(SOCKET_FD);
/// Where the first received descriptor, the program, lands.
const PROGRAM: Fd = Fd(SOCKET_FD + 1);

/// Runs whatever the caller sends.
pub fn boot() -> ! {
    match receive() {
        Ok(image) => crate::interpret::run(image, SOCKET),
        Err(errno) => {
            let frame = Frame { kind: FAILED, op: u32::MAX, value: errno as u32, detail: step::PROGRAM };
            let _ = talk::send(SOCKET, &frame, &[]);
            sys::exit(1)
        }
    }
}

fn receive() -> Result<Image<'static>> {
    sys::close_range(PROGRAM.0 as u32, u32::MAX)?;
    // The caller's standard streams are not ours. Something must sit there, so that no descriptor that we receive does.
    for number in 0..SOCKET_FD {
        sys::dup3(SOCKET, Fd(number), crate::abi::O_CLOEXEC)?;
    }
    let hello = receive_descriptors()?;
    let bytes = sys::map_shared(PROGRAM, hello.value as usize)?;
    PROGRAM.close();
    open(bytes, hello.op)
}

/// Receives every descriptor. The numbers from [`PROGRAM`] on are free, so they arrive in order: the program, then slot 0, slot 1, ...
fn receive_descriptors() -> Result<Frame> {
    let mut next = PROGRAM.0;
    loop {
        let mut in_order = true;
        let hello = talk::receive(SOCKET, |fd| {
            in_order &= fd.0 == next;
            next += 1;
        })?;
        let received = (next - PROGRAM.0) as u32;
        match received.checked_sub(hello.op.saturating_add(1)) {
            _ if hello.kind != HELLO || !in_order => return Err(EPROTO),
            None => {}
            Some(0) => return Ok(hello),
            Some(_) => return Err(EPROTO),
        }
    }
}

/// Splits the mapped bytes into their parts and checks each against the header.
fn open(bytes: &'static mut [u8], sent: u32) -> Result<Image<'static>> {
    let header = Header::decode(bytes).ok_or(EPROTO)?;
    let [words, arena, slots, _] = header.parts().ok_or(EPROTO)?;
    if header.total() != Some(bytes.len()) || sent > header.slots {
        return Err(EPROTO);
    }
    let (head, rest) = bytes.split_at_mut_checked(HEADER_LEN).ok_or(EPROTO)?;
    let (words, rest) = rest.split_at_mut_checked(words).ok_or(EPROTO)?;
    let (arena, rest) = rest.split_at_mut_checked(arena).ok_or(EPROTO)?;
    let (slots, pointers) = rest.split_at_mut_checked(slots).ok_or(EPROTO)?;
    let words = words.get(..header.words as usize * 4).ok_or(EPROTO)?;
    let program = Program::check(&header, words, arena).ok_or(EINVAL)?;
    for (number, place) in (PROGRAM.0 + 1..).zip(slots.chunks_exact_mut(4).take(sent as usize)) {
        // Plus one: see `Machine::slot`.
        place.copy_from_slice(&(number + 1).to_ne_bytes());
    }
    let progress = sys::atomic(head.get_mut(PROGRESS_OFFSET..HEADER_LEN).ok_or(EPROTO)?).ok_or(EPROTO)?;
    Ok(Image { progress, program, slots, pointers })
}

#[cfg(test)]
mod tests;
