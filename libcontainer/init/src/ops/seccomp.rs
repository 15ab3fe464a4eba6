//! The filter of system calls, and the little that init still calls under it.
//!
//! After the filter init makes `read`, `write`, `close`, `execve`, and `capset` where a capability is given up after it; nothing else,
//! so that a profile has to allow nothing that a program does not need anyway. Whether it allows them shows while somebody listens: `write` by
//! what init says next, `read` and `close` by two calls that do nothing.

use crate::abi::SECCOMP_FILTER_FLAG_NEW_LISTENER;
use crate::machine::{At, Machine, Outcome};
use crate::program::{Blob, listener};
use crate::sys::{self, Fd};
use crate::talk;
use crate::wire::{self, Frame, step};

/// Loads the filter, which the caller may have been making meanwhile; with a listener the caller gets its descriptor.
pub fn load(machine: &mut Machine<'_>, filter: Blob, flags: u32, how: u32) -> Outcome {
    let returned = match machine.bytes(filter) {
        [] => {
            let socket = machine.socket;
            sys::load_filter(talk::take(socket, wire::FILTER, machine.pointers())?, flags)?
        }
        insns => sys::load_filter(insns, flags)?,
    };
    if flags & SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 {
        hand_over(machine, Fd(returned as i32), how).at(step::LISTENER)?;
    }
    // May kill us, and that must be now. Refused, it leaves the descriptors to exec.
    Fd(i32::MAX).close();
    sys::read(machine.socket, &mut []).at(step::READ)?;
    Ok(())
}

/// Gives the listener to the caller. Asked for no answer: reading it may be what waits for the agent that is to get the listener.
fn hand_over(machine: &mut Machine<'_>, fd: Fd, how: u32) -> sys::Result<()> {
    let frame = Frame { value: fd.0 as u32, ..Frame::word(wire::LISTENER) };
    if how == listener::SENT {
        talk::send_fd(machine.socket, &frame, fd)?;
        fd.close();
        return Ok(());
    }
    machine.listener = fd;
    talk::send(machine.socket, &frame, &[])
}

#[cfg(test)]
mod tests;
