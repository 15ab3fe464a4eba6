//! Messages with descriptors.
#![allow(unsafe_code)]

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{CmsgIterator, ControlMessageOwned, MsgFlags, recvmsg};

/// Receives a message and the first descriptor that comes with it; any other is closed. A length of 0 is the end of the conversation.
pub(crate) fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut control = nix::cmsg_space!(RawFd);
    loop {
        let mut iov = [IoSliceMut::new(bytes)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(message) => {
                let fd = descriptors(message.cmsgs()?).into_iter().next();
                return Ok((message.bytes, fd.map(super::fs::above_stdio).transpose()?));
            }
        }
    }
}

fn descriptors(control: CmsgIterator<'_>) -> Vec<OwnedFd> {
    let rights = control.filter_map(|message| match message {
        ControlMessageOwned::ScmRights(fds) => Some(fds),
        _ => None,
    });
    // SAFETY: the kernel has just put these descriptors into our table with the message, and nobody else knows them.
    rights.flatten().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}
