//! An agent of SCMP_ACT_NOTIFY: takes the listener of a filter from the runtime and answers for the kernel.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::Value;

use crate::sys::{PATIENCE, readable_within};
use crate::{Trouble, check};

/// A socket that waits for a runtime.
#[derive(Debug)]
pub struct Agent {
    /// Where it is.
    pub path: PathBuf,
    socket: UnixListener,
}

/// One system call that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// Its number among questions.
    pub id: u64,
    /// Who calls, in the agent's pid namespace.
    pub pid: i32,
    /// The number of the call.
    pub call: u32,
    /// Its arguments.
    pub args: [u64; 6],
}

/// `struct seccomp_notif`.
#[repr(C)]
#[derive(Default)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    call: u32,
    arch: u32,
    instruction_pointer: u64,
    args: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

const NOTIF_RECV: libc::c_ulong = 0xc050_2100;
const NOTIF_SEND: libc::c_ulong = 0xc018_2101;
const FLAG_CONTINUE: u32 = 1;

/// A place for a socket: in the directory, or where the path is short enough for one.
pub fn place(directory: &Path) -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("agent-{}.sock", COUNT.fetch_add(1, Ordering::Relaxed));
    Ok(directory.canonicalize()?.join(name))
}

impl Agent {
    /// Waits at `path`.
    pub fn at(path: PathBuf) -> io::Result<Self> {
        Ok(Self { socket: UnixListener::bind(&path)?, path })
    }

    /// What the runtime says, and the listener that it sends with it.
    pub fn hear(&self) -> Result<(Value, OwnedFd), Trouble> {
        check!(readable_within(self.socket.as_fd(), PATIENCE)?, "no runtime came to the agent");
        let (stream, _) = self.socket.accept()?;
        let (mut text, mut listener) = (Vec::new(), None);
        loop {
            check!(readable_within(stream.as_fd(), PATIENCE)?, "the runtime says nothing to the agent");
            let mut block = vec![0; 1 << 16];
            let mut control = nix::cmsg_space!([i32; 2]);
            let mut iov = [IoSliceMut::new(&mut block)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let message = recvmsg::<()>(stream.as_raw_fd(), &mut iov, Some(&mut control), flags)?;
            for part in message.cmsgs()? {
                if let ControlMessageOwned::ScmRights(fds) = part {
                    // SAFETY: the kernel has just given us these descriptors, and nobody else knows them.
                    let fds = fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
                    fds.for_each(|fd| drop(listener.replace(fd)));
                }
            }
            let count = message.bytes;
            if count == 0 {
                break;
            }
            text.extend(block.iter().take(count));
        }
        let said = serde_json::from_slice(&text).map_err(|error| format!("not JSON: {error}"))?;
        Ok((said, listener.ok_or("no descriptor came with the state")?))
    }

    /// Lets every call pass until the container is gone. Returns how many there were.
    pub fn allow_all(self) -> Result<u32, Trouble> {
        let (_, listener) = self.hear()?;
        for count in 0.. {
            match ask(&listener)? {
                Some(question) => respond(
                    &listener,
                    Response { id: question.id, value: 0, error: 0, flags: FLAG_CONTINUE },
                )?,
                None => return Ok(count),
            }
        }
        Ok(u32::MAX)
    }
}

/// The next call that waits.
pub fn question(listener: &OwnedFd) -> Result<Question, Trouble> {
    ask(listener)?.ok_or_else(|| "nobody is left who could ask".into())
}

/// The next call that waits; none if everybody under the filter is gone.
fn ask(listener: &OwnedFd) -> Result<Option<Question>, Trouble> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let patience = u16::try_from(PATIENCE.as_millis()).unwrap_or(u16::MAX);
    check!(poll(&mut polled, PollTimeout::from(patience))? > 0, "no call came to the agent");
    if polled[0].revents().is_some_and(|events| events == PollFlags::POLLHUP) {
        return Ok(None);
    }
    let mut found = Notification::default();
    // SAFETY: the kernel fills in `found`, which has its layout, is zeroed as it wants it and outlives the call.
    if unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_RECV, &mut found) } < 0 {
        return Err(io::Error::last_os_error().into());
    }
    let pid = i32::try_from(found.pid).unwrap_or_default();
    Ok(Some(Question { id: found.id, pid, call: found.call, args: found.args }))
}

/// Answers with a value or an errno.
pub fn answer(listener: &OwnedFd, id: u64, answer: Result<i64, i32>) -> Result<(), Trouble> {
    let (value, error) = match answer {
        Ok(value) => (value, 0),
        Err(errno) => (0, -errno),
    };
    respond(listener, Response { id, value, error, flags: 0 })
}

fn respond(listener: &OwnedFd, mut response: Response) -> Result<(), Trouble> {
    // SAFETY: the kernel reads `response`, which has its layout and outlives the call.
    match unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_SEND, &mut response) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().into()),
    }
}
