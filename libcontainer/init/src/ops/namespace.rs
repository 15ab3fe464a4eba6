//! Namespaces: joining, making, and the one extra clone that some of them need.

use crate::abi::{AF_INET, AF_NETLINK, SOCK_CLOEXEC, SOCK_DGRAM};
use crate::machine::{Machine, Outcome};
use crate::program::{Slot, Str, ask};
use crate::sys::{self, Fd};
use crate::talk;
use crate::wire::{self, Frame};

/// Joins a namespace and gives its descriptor back.
pub fn join(machine: &Machine<'_>, kind: u32, namespace: Slot) -> Outcome {
    let namespace = machine.slot(namespace);
    sys::setns(namespace, kind)?;
    namespace.close();
    Ok(())
}

/// Joins the namespace that comes through a socket. End of file means that it was not made: the caller knows why.
pub fn join_made(machine: &Machine<'_>, kind: u32, from: Slot) -> Outcome {
    let from = machine.slot(from);
    let mut namespace = Fd::NONE;
    talk::receive(from, |fd| namespace = fd)?;
    from.close();
    sys::setns(namespace, kind)?;
    namespace.close();
    Ok(())
}

/// Enters a v1 cgroup; 0 means the writer itself.
pub fn enter_cgroup(machine: &Machine<'_>, tasks: Slot) -> Outcome {
    let tasks = machine.slot(tasks);
    sys::write(tasks, b"0")?;
    tasks.close();
    Ok(())
}

/// Goes on in a child of the caller; the process that was cloned first reports it and ends. The child does not wait for that: the caller puts what
/// both say in order.
pub fn respawn(machine: &Machine<'_>, flags: u32, cgroup: Option<Slot>) -> Outcome {
    let cgroup = cgroup.map(|slot| machine.slot(slot));
    match sys::fork_sibling(flags, cgroup)? {
        None => {
            if let Some(cgroup) = cgroup {
                cgroup.close();
            }
            Ok(())
        }
        Some(pidfd) => {
            let _ = talk::send_fd(machine.socket, &Frame::word(wire::RESPAWNED), pidfd);
            sys::exit(0);
        }
    }
}

/// Waits until the caller has written the id maps.
pub fn await_maps(machine: &Machine<'_>) -> Outcome {
    talk::send(machine.socket, &Frame::word(wire::NEED_MAPS), &[])?;
    Ok(talk::expect(machine.socket, wire::GO)?)
}

/// Becomes root of the user namespace; without the right to set groups they stay.
pub fn become_root(setgroups: bool) -> Outcome {
    if setgroups {
        sys::setgroups(&[])?;
    }
    sys::setresgid(0)?;
    Ok(sys::setresuid(0)?)
}

/// Brings the loopback device up.
pub fn loopback() -> Outcome {
    let socket = sys::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC)?;
    let set = sys::interface_up(socket, b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    socket.close();
    Ok(set?)
}

/// Gives the caller a socket by which it reaches this network namespace, and waits until the devices have come.
pub fn net_devices(machine: &Machine<'_>) -> Outcome {
    let socket = sys::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC)?;
    let frame = Frame { value: ask::NET_DEVICES, ..Frame::word(wire::ASK) };
    let sent = talk::send_fd(machine.socket, &frame, socket);
    socket.close();
    sent?;
    Ok(talk::expect(machine.socket, wire::GO)?)
}

/// Joins the session keyring of that name, or makes it. A full quota or a kernel without keys is no reason to refuse the container.
pub fn keyring(machine: &Machine<'_>, name: Str) -> Outcome {
    use crate::abi::{EACCES, EDQUOT, ENOMEM, ENOSYS, EPERM};
    // The possessor may do everything; its user may view, read, link and search it. Who may not search does not find it by its name.
    const PERMISSIONS: u32 = 0x3f1b_0000;
    match sys::join_session_keyring(machine.text(name)) {
        Ok(key) => {
            let _ = sys::set_key_permissions(key, PERMISSIONS);
            Ok(())
        }
        Err(EDQUOT | ENOSYS | EPERM | EACCES | ENOMEM) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
