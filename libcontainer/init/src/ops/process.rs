//! The process half: what init inherits and must undo, credentials, working directory, program, and the end of init.

use crate::abi::{
    E2BIG, EACCES, EINVAL, EISDIR, ENOENT, ENOEXEC, ENOMEM, ENOTDIR, EPERM, PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL, PR_CAP_AMBIENT_RAISE, PR_CAPBSET_DROP, PR_SET_DUMPABLE, PR_SET_KEEPCAPS,
    PR_SET_NO_NEW_PRIVS, PR_SET_TIMERSLACK, S_IFDIR, S_IFMT, SCHED_OTHER, SIGHUP, SIGINT, SIGKILL, SIGNALS,
    SIGQUIT, SIGSTOP, SIGTERM, SchedAttr, X_OK,
};
use crate::machine::{Fault, Machine, Outcome};
use crate::program::{List, Op, Slot};
use crate::sys::{self, Errno, Fd, child};
use crate::talk;
use crate::wire::{self, Frame, step};
use core::ffi::CStr;
use core::mem;

/// What ends init while it waits, although the first process of a pid namespace is deaf to signals that it has not asked for. The program gets the defaults.
const ENDING: [u32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// Undoes the dispositions of the calling thread, once: exec keeps the signals that it ignores.
fn reset_signals(machine: &mut Machine<'_>) -> sys::Result<()> {
    if mem::replace(&mut machine.signals_reset, true) {
        return Ok(());
    }
    for signal in (1..=SIGNALS).filter(|signal| ![SIGKILL, SIGSTOP].contains(signal)) {
        match ENDING.contains(&signal) {
            true => sys::signal_ends(signal)?,
            false => sys::signal_default(signal)?,
        }
    }
    Ok(())
}

/// Undoes what came from the calling thread. What may not be undone (a lower nice value without the right) stays as it is. Dispositions take a while, and
/// wait for a moment in which nobody waits for init, unless hooks or a filter come before.
pub fn reset(machine: &mut Machine<'_>) -> Outcome {
    let early = |op: Op| matches!(op, Op::Hook { .. } | Op::Seccomp { .. });
    if machine.program().ops().flatten().any(early) {
        reset_signals(machine)?;
    } else {
        ENDING.into_iter().try_for_each(sys::signal_ends)?;
    }
    sys::unblock_signals()?;
    machine.umask = sys::umask(0);
    let _ = sys::reset_affinity();
    let _ = sys::sched_setattr(&SchedAttr { policy: SCHED_OTHER, ..SchedAttr::default() });
    let _ = sys::prctl(PR_SET_TIMERSLACK, 0, 0);
    sys::personality(0)?;
    machine.nofile = sys::raise_open_files().ok();
    Ok(())
}

/// Sets the mask of the container's program and of its hooks.
pub fn umask(machine: &mut Machine<'_>, mask: u32) -> Outcome {
    machine.umask = mask;
    sys::umask(mask);
    Ok(())
}

/// Drops every capability outside `keep` from the bounding set.
pub fn bound(keep: u64, last: u32) -> Outcome {
    for capability in (0..=last).filter(|capability| keep >> capability & 1 == 0) {
        sys::prctl(PR_CAPBSET_DROP, capability.into(), 0)?;
    }
    Ok(())
}

/// Switches group and user. The permitted set survives, so that `caps` can choose from it.
pub fn ids(uid: u32, gid: u32) -> Outcome {
    sys::prctl(PR_SET_KEEPCAPS, 1, 0)?;
    sys::setresgid(gid)?;
    Ok(sys::setresuid(uid)?)
}

/// Sets the capability sets exactly.
pub fn caps(effective: u64, permitted: u64, inheritable: u64, ambient: u64) -> Outcome {
    sys::capset(effective, permitted, inheritable)?;
    sys::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0)?;
    for capability in (0..64u64).filter(|capability| ambient >> capability & 1 == 1) {
        sys::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)?;
    }
    Ok(())
}

/// Gives up what was only kept for the filter. The ambient set follows the permitted one.
pub fn caps_final(effective: u64, permitted: u64, inheritable: u64) -> Outcome {
    Ok(sys::capset(effective, permitted, inheritable)?)
}

/// Becomes undumpable.
pub fn hide() -> Outcome {
    sys::prctl(PR_SET_DUMPABLE, 0, 0)?;
    Ok(())
}

/// Sets no_new_privs.
pub fn no_new_privs() -> Outcome {
    sys::prctl(PR_SET_NO_NEW_PRIVS, 1, 0)?;
    Ok(())
}

/// Enters the working directory.
pub fn chdir(machine: &mut Machine<'_>, path: &CStr, again: bool) -> Outcome {
    if again && !machine.cwd_denied {
        return Ok(());
    }
    match sys::chdir(path) {
        Err(EACCES) if !again => {
            machine.cwd_denied = true;
            Ok(())
        }
        other => {
            other?;
            inside()
        }
    }
}

/// A directory outside the root has a name that does not begin with a slash.
fn inside() -> Outcome {
    let mut path = [0u8; 4096];
    sys::getcwd(&mut path)?;
    if path.first() == Some(&b'/') { Ok(()) } else { Err(Fault { errno: EPERM, step: step::OUTSIDE }) }
}

/// Chooses the first candidate that may be executed.
pub fn check_exec(machine: &mut Machine<'_>, candidates: List) -> Outcome {
    let mut fault = Fault { errno: ENOENT, step: step::NOT_FOUND };
    for path in machine.texts(candidates) {
        match executable(path) {
            Ok(()) => {
                machine.program_path = Some(path);
                return Ok(());
            }
            Err(errno @ (ENOENT | ENOTDIR)) if fault.step == step::NOT_FOUND => fault.errno = errno,
            Err(ENOENT | ENOTDIR) => {}
            Err(errno) => fault = Fault { errno, step: step::NOT_EXECUTABLE },
        }
    }
    Err(fault)
}

fn executable(path: &CStr) -> sys::Result<()> {
    let found = sys::statx(Fd::CWD, path, 0)?;
    if u32::from(found.mode) & S_IFMT == S_IFDIR {
        return Err(EISDIR);
    }
    sys::access(path, X_OK)
}

/// Puts a descriptor under `number`; what lives there moves away first.
pub fn place(machine: &mut Machine<'_>, number: u32, from: Slot) -> Outcome {
    let target = Fd(i32::try_from(number).map_err(|_| EINVAL)?);
    if machine.socket == target {
        machine.socket = sys::duplicate_above(target, number + 1)?;
    }
    if machine.root == target {
        machine.root = sys::duplicate_above(target, number + 1)?;
    }
    if machine.empty == target {
        machine.empty = sys::duplicate_above(target, number + 1)?;
    }
    for slot in 0..machine.slots() {
        if machine.slot(Slot(slot)) == target {
            let moved = sys::duplicate_above(target, number + 1)?;
            machine.fill(crate::program::NewSlot(slot), moved);
        }
    }
    Ok(sys::dup3(machine.slot(from), target, 0)?)
}

/// Sets a limit. One of open files takes the place of the one that `reset` raised.
pub fn rlimit(machine: &mut Machine<'_>, resource: u32, limit: [u64; 2]) -> Outcome {
    if resource == sys::RLIMIT_NOFILE {
        machine.nofile = None;
    }
    Ok(sys::set_limit(resource, limit)?)
}

/// Stops until the caller has done `what`.
pub fn ask(machine: &Machine<'_>, what: u32) -> Outcome {
    let frame = Frame { value: what, ..Frame::word(wire::ASK) };
    talk::send(machine.socket, &frame, &[])?;
    Ok(talk::expect(machine.socket, wire::GO)?)
}

/// Closes everything but the conversation, the gate and the door, all of which exec closes. From here on init holds nothing of the host and opens nothing: it may
/// wait for long.
pub fn close_rest(machine: &mut Machine<'_>, first: u32, gate: Option<Slot>) -> Outcome {
    let gate = gate.map_or(machine.socket, |gate| machine.slot(gate));
    close_all_but(first, [machine.socket, gate, machine.door])?;
    sys::close_on_exec(machine.socket)?;
    match machine.nofile.take() {
        Some(limit) => Ok(sys::set_limit(sys::RLIMIT_NOFILE, limit)?),
        None => Ok(()),
    }
}

/// Reports success and waits until the caller has recorded the container.
pub fn ready(machine: &mut Machine<'_>) -> Outcome {
    talk::send(machine.socket, &Frame::word(wire::READY), &[])?;
    // An exec, which has no gate, is waited for behind the commit as well, and in between while its caller wakes up.
    if !machine.program().ops().flatten().any(|op| matches!(op, Op::Gate { .. })) {
        reset_signals(machine)?;
    }
    talk::expect(machine.socket, wire::COMMIT)?;
    reset_signals(machine)?;
    // The caller has it by now. A copy here would hide from the kernel that an agent is gone.
    machine.listener.close();
    Ok(())
}

/// Keeps the listening socket.
pub fn door(machine: &mut Machine<'_>, door: Slot) -> Outcome {
    machine.door = machine.slot(door);
    Ok(())
}

/// Closes every descriptor from `first` on, but not `kept`.
pub(super) fn close_all_but<const N: usize>(first: u32, mut kept: [Fd; N]) -> Result<(), Errno> {
    kept.sort_unstable_by_key(|fd| fd.0);
    let mut from = first;
    for keep in kept.into_iter().filter_map(|fd| u32::try_from(fd.0).ok()) {
        if from < keep {
            sys::close_range(from, keep - 1)?;
        }
        from = from.max(keep + 1);
    }
    sys::close_range(from, u32::MAX)
}

/// Waits for `start`: one byte. Init holds both ends of the fifo, so only a byte wakes it.
pub fn gate(machine: &mut Machine<'_>, gate: Slot) -> Outcome {
    // The creator has no more to say.
    machine.socket.close();
    machine.socket = Fd::NONE;
    let gate = machine.slot(gate);
    let mut token = [0u8];
    match sys::read(gate, &mut token)? {
        // As long as `start` is heard the gate stays: a container that runs its hooks is not running.
        1 if machine.door != Fd::NONE => open_door(machine),
        1 => {
            gate.close();
            Ok(())
        }
        _ => Err(EINVAL.into()),
    }
}

/// Takes the connection of the `start` that is at work: it connects before it opens the gate. One that died meanwhile does not take a word.
fn open_door(machine: &mut Machine<'_>) -> Outcome {
    loop {
        machine.socket = child::accept(machine.door)?;
        if talk::greet(machine.socket).is_ok() {
            machine.door.close();
            return Ok(());
        }
        machine.socket.close();
    }
}

/// Executes the program; returns only if the kernel refuses it, after saying so on standard error and to `start`, if that listens. The
/// conversation ends with exec and not before.
pub fn exec(machine: &mut Machine<'_>, args: List, env: List) -> Outcome {
    let program = machine.program_path.ok_or(EINVAL)?;
    let (args, env) = (machine.texts(args), machine.texts(env));
    let errno = sys::execve(program, machine.pointers(), args, env);
    complain(program, errno);
    let frame = Frame { value: errno as u32, ..Frame::word(wire::UNEXECUTED) };
    let _ = talk::send(machine.socket, &frame, program.to_bytes());
    sys::exit(if errno == ENOENT { 127 } else { 126 })
}

/// The caller is gone by now: the only place left for the reason is the container's standard error.
fn complain(program: &CStr, errno: Errno) {
    let reason: &[u8] = match errno {
        ENOENT => b": no such file or directory\n",
        EACCES => b": permission denied\n",
        ENOEXEC => b": exec format error\n",
        ENOMEM => b": cannot allocate memory\n",
        E2BIG => b": argument list too long\n",
        _ => b": failed\n",
    };
    for part in [b"exec ".as_slice(), program.to_bytes(), reason] {
        let _ = sys::write(Fd(2), part);
    }
}

#[cfg(test)]
mod tests;
