//! Namespaces: joining, making, and the one extra clone that some of them need.

use crate::abi::{
    AF_INET, CLONE_PARENT, CLONE_PIDFD, CloneArgs, IFF_UP, SIOCSIFFLAGS, SOCK_CLOEXEC, SOCK_DGRAM,
};
use crate::machine::{Machine, Outcome};
use crate::program::{Slot, Str};
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

/// Enters a v1 cgroup; 0 means the writer itself.
pub fn enter_cgroup(machine: &Machine<'_>, tasks: Slot) -> Outcome {
    let tasks = machine.slot(tasks);
    sys::write(tasks, b"0")?;
    tasks.close();
    Ok(())
}

/// Goes on in a child of the caller; the process that was cloned first reports it and ends.
pub fn respawn(machine: &Machine<'_>, flags: u32) -> Outcome {
    let mut pidfd = -1i32;
    let place = core::ptr::from_mut(&mut pidfd) as u64;
    let args = CloneArgs {
        flags: u64::from(flags) | CLONE_PARENT | CLONE_PIDFD,
        pidfd: place,
        ..CloneArgs::default()
    };
    // SAFETY: neither memory nor stack is shared (no CLONE_VM): both processes go on from here on their own copies.
    match unsafe { sys::clone3(&args) }? {
        0 => Ok(()),
        _ => {
            let _ = talk::send_fd(machine.socket, &Frame::word(wire::RESPAWNED), Fd(pidfd));
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

/// `struct ifreq` with its flags.
#[repr(C)]
struct InterfaceFlags {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Brings the loopback device up.
pub fn loopback() -> Outcome {
    let socket = sys::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC)?;
    let mut request =
        InterfaceFlags { name: *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0", flags: IFF_UP, rest: [0; 22] };
    // SAFETY: SIOCSIFFLAGS reads a struct ifreq of 40 bytes, which this is.
    let set = unsafe { sys::ioctl(socket, SIOCSIFFLAGS, &mut request) };
    socket.close();
    set?;
    Ok(())
}

/// Joins a new session keyring. A full quota or a kernel without keys is no reason to refuse the container.
pub fn keyring(machine: &Machine<'_>, name: Str) -> Outcome {
    use crate::abi::{EACCES, EDQUOT, ENOMEM, ENOSYS, EPERM};
    // The possessor may do everything, others may look the key up and see it.
    const PERMISSIONS: u32 = 0x3f13_0000;
    match sys::join_session_keyring(machine.text(name)) {
        Ok(key) => {
            let _ = sys::set_key_permissions(key, PERMISSIONS);
            Ok(())
        }
        Err(EDQUOT | ENOSYS | EPERM | EACCES | ENOMEM) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
