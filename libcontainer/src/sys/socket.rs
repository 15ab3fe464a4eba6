//! Messages with descriptors.
#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, CmsgIterator, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    connect, recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

/// How long a receiver may leave us waiting: one that is alive accepts at once.
const PATIENCE_SECONDS: i64 = 10;

/// Whether a descriptor is one of a socket.
pub(crate) fn is_one(fd: BorrowedFd<'_>) -> bool {
    nix::sys::socket::getsockopt(&fd, sockopt::SockType).is_ok()
}

/// Connects to the stream socket at `path`, whatever its length.
pub(crate) fn connect_to(path: &Path) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = super::fs::above_stdio(socket(AddressFamily::Unix, SockType::Stream, flags, None)?)?;
    // A full queue of a receiver that does not accept would block for ever.
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::new(PATIENCE_SECONDS, 0))?;
    match UnixAddr::new(path) {
        Ok(address) => connect(socket.as_raw_fd(), &address)?,
        Err(nix::Error::ENAMETOOLONG) => connect_by_directory(&socket, path)?,
        Err(errno) => return Err(errno.into()),
    }
    Ok(socket)
}

/// The kernel's addresses hold 107 bytes; a descriptor of the directory is short.
fn connect_by_directory(socket: &OwnedFd, path: &Path) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let directory = OpenOptions::new().read(true).custom_flags(flags).open(directory)?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    Ok(connect(socket.as_raw_fd(), &UnixAddr::new(&short)?)?)
}

/// Connects to the stream socket at `path` without waiting: `WouldBlock` if its queue is full. The socket does not block either.
pub(crate) fn connect_at_once(path: &Path) -> io::Result<OwnedFd> {
    connect_to_address(&UnixAddr::new(path)?)
}

/// The same, to a name in the kernel's own table.
pub(crate) fn connect_abstract_at_once(name: &[u8]) -> io::Result<OwnedFd> {
    connect_to_address(&UnixAddr::new_abstract(name)?)
}

fn connect_to_address(address: &UnixAddr) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = super::fs::above_stdio(socket(AddressFamily::Unix, SockType::Stream, flags, None)?)?;
    connect(socket.as_raw_fd(), address)?;
    Ok(socket)
}

/// Sends one message with one descriptor.
pub(crate) fn send_fd(socket: BorrowedFd<'_>, text: &str, fd: BorrowedFd<'_>) -> io::Result<()> {
    let (fds, content) = ([fd.as_raw_fd()], [IoSlice::new(text.as_bytes())]);
    let rights = [ControlMessage::ScmRights(&fds)];
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &content, &rights, MsgFlags::MSG_NOSIGNAL, None) {
            Err(nix::Error::EINTR) => {}
            other => return other.map(drop).map_err(io::Error::from),
        }
    }
}

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
