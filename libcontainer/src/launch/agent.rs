//! `linux.seccomp.listenerPath`: gives the listener of the filter to the agent, with the container's state (runtime-spec "ContainerProcessState"); or to the
//! caller, who is the agent then.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, setsockopt,
    socket,
};
use nix::sys::time::{TimeVal, TimeValLike};
use serde_json::json;

use super::clone::Child;
use super::talk::Heard;
use crate::plan::{Listener, Plan};
use crate::state::OCI_VERSION;
use crate::{Error, ErrorKind, Result, sys};

/// An agent that takes nothing for so long is dead.
const SECONDS: i64 = 10;

/// The container as the agent is told about it.
pub(super) struct Subject<'a> {
    pub plan: &'a Plan,
    /// The status word.
    pub status: &'a str,
    /// The container's init.
    pub init: i32,
}

/// The process `child` has a listener: it sent it along, or it is taken. Gives it back if the caller keeps it.
pub(super) fn introduce(subject: &Subject<'_>, child: &Child, heard: Heard) -> Result<Option<OwnedFd>> {
    let filter = subject.plan.filter.as_ref();
    if filter.is_some_and(|filter| filter.kept) {
        return take(child, heard).map(Some).map_err(|error| error.at("/linux/seccomp/listenerPath"));
    }
    let agent = filter.and_then(|filter| filter.listener.as_ref());
    let agent =
        agent.ok_or_else(|| Error::new(ErrorKind::Internal, "init has a listener that nobody asked for"))?;
    let listener = take(child, heard).map_err(|error| error.at(agent.pointer.clone()))?;
    let state = process_state(subject, agent, child.pid);
    let at = |error: Error| error.at(agent.pointer.clone());
    let socket = reach(agent).map_err(|error| {
        let what = format!("failed to connect with seccomp agent at {}", agent.path.display());
        at(Error::io(what, &error))
    })?;
    hand_over(&socket, &state, &listener).map_err(|error| {
        let what = format!("failed to give the listener to the seccomp agent at {}", agent.path.display());
        at(Error::io(what, &error))
    })?;
    Ok(None)
}

fn take(child: &Child, heard: Heard) -> Result<OwnedFd> {
    let taken = match heard.fd {
        Some(fd) => Ok(fd),
        None => {
            let number = i32::try_from(heard.frame.value).unwrap_or(-1);
            sys::pidfd::pidfd_getfd(child.pidfd.as_fd(), number)
        }
    };
    taken
        .and_then(sys::fs::above_stdio)
        .map_err(|error| Error::io("take the seccomp listener from init", &error))
}

fn process_state(subject: &Subject<'_>, agent: &Listener, pid: i32) -> Vec<u8> {
    let plan = subject.plan;
    let mut state = json!({
        "ociVersion": OCI_VERSION,
        "id": plan.id.as_str(),
        "status": subject.status,
        "pid": subject.init,
        "bundle": plan.bundle,
    });
    if let Some(state) = state.as_object_mut().filter(|_| !plan.annotations.is_empty()) {
        state.insert("annotations".to_owned(), json!(plan.annotations));
    }
    let mut message = json!({"ociVersion": OCI_VERSION, "fds": ["seccompFd"], "pid": pid});
    if let Some(message) = message.as_object_mut() {
        if !agent.metadata.is_empty() {
            message.insert("metadata".to_owned(), json!(agent.metadata));
        }
        message.insert("state".to_owned(), state);
    }
    message.to_string().into_bytes()
}

fn reach(agent: &Listener) -> io::Result<OwnedFd> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let socket = sys::fs::above_stdio(socket)?;
    setsockopt(&socket, SendTimeout, &TimeVal::seconds(SECONDS))?;
    connect(socket.as_raw_fd(), &UnixAddr::new(&agent.path)?)?;
    Ok(socket)
}

/// One message, one descriptor, and the end.
fn hand_over(socket: &OwnedFd, state: &[u8], listener: &OwnedFd) -> io::Result<()> {
    let fds = [listener.as_raw_fd()];
    let mut rights = [ControlMessage::ScmRights(&fds)].to_vec();
    let mut rest = state;
    // The descriptor goes with the first byte; a long state may need more than one call.
    while !rest.is_empty() {
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(rest)], &rights, MsgFlags::MSG_NOSIGNAL, None)
        {
            Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(sent) => {
                rest = rest.get(sent..).unwrap_or_default();
                rights.clear();
            }
        }
    }
    Ok(())
}
