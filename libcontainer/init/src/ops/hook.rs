//! A hook: a child of init that the caller watches. Init only starts it, waits for it, and kills it when it is told to or when nobody is left to tell.

use crate::abi::{AT_EMPTY_PATH, EPROTO, PR_SET_PDEATHSIG, SIGKILL};
use crate::machine::{Machine, Outcome};
use crate::ops::process::close_all_but;
use crate::program::{List, Str, ask};
use crate::sys::child::{self, Child};
use crate::sys::{self, Errno, Fd};
use crate::talk;
use crate::wire::{self, Frame};
use core::ffi::CStr;

/// A hook as the program describes it.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// Its place among those of the conversation.
    pub index: u32,
    /// The program.
    pub path: Str,
    /// Its arguments, from the name on.
    pub args: List,
    /// All of its environment.
    pub env: List,
    /// Where it runs; empty: where init is.
    pub cwd: Str,
}

/// Standard streams and, if the caller has opened it, the program.
type Given = [Fd; 4];

/// Runs a hook, and waits until the caller has judged its end.
pub fn hook(machine: &mut Machine<'_>, hook: Hook) -> Outcome {
    let question = Frame { value: ask::HOOK, detail: hook.index, ..Frame::word(wire::ASK) };
    talk::send(machine.socket, &question, &[])?;
    let given = given(machine.socket)?;
    let Some(child) = child::fork()? else { run(machine, hook, given) };
    given.into_iter().for_each(Fd::close);
    let status = oversee(machine.socket, child)?;
    child.pidfd.close();
    talk::send(machine.socket, &Frame { value: status, ..Frame::word(wire::ENDED) }, &[])?;
    Ok(talk::expect(machine.socket, wire::GO)?)
}

/// The answer, with what it carries.
fn given(socket: Fd) -> Result<Given, Errno> {
    let (mut given, mut count) = ([Fd::NONE; 4], 0);
    let answer = talk::receive(socket, |fd| match given.get_mut(count) {
        Some(place) => {
            *place = fd;
            count += 1;
        }
        None => fd.close(),
    })?;
    if answer.kind == wire::GO && count >= 3 { Ok(given) } else { Err(EPROTO) }
}

/// Waits for the end of the hook. A word of the caller, or its death, ends the whole group.
fn oversee(socket: Fd, child: Child) -> Result<u32, Errno> {
    loop {
        let [ended, spoken] = child::poll([child.pidfd, socket])?;
        if spoken {
            child::kill_group(child.pid);
            // The end of the conversation is ours as well.
            talk::expect(socket, wire::KILL)?;
        } else if ended {
            return child::wait(child.pid);
        }
    }
}

/// The hook's process: becomes its program, or says why not.
fn run(machine: &mut Machine<'_>, hook: Hook, given: Given) -> ! {
    let [.., program] = given;
    let errno = match ready(machine, hook, given) {
        Ok(()) => execute(machine, hook, program),
        Err(errno) => errno,
    };
    let frame = Frame { value: errno as u32, ..Frame::word(wire::UNEXECUTED) };
    let _ = talk::send(machine.socket, &frame, &[]);
    sys::exit(127)
}

/// What a hook may expect: a group, a death with init, the caller's mask and limits, its streams and nothing else, its directory.
fn ready(machine: &Machine<'_>, hook: Hook, given: Given) -> Result<(), Errno> {
    let [input, output, error, program] = given;
    child::lead_group()?;
    sys::prctl(PR_SET_PDEATHSIG, SIGKILL.into(), 0)?;
    sys::umask(machine.umask);
    if let Some(limit) = machine.nofile {
        sys::set_limit(sys::RLIMIT_NOFILE, limit)?;
    }
    for (number, stream) in (0..).zip([input, output, error]) {
        sys::dup3(stream, Fd(number), 0)?;
    }
    close_all_but(3, [machine.socket, program])?;
    // Both are of use until exec and not beyond: who still held the conversation would keep its end from being seen.
    sys::close_on_exec(machine.socket)?;
    let cwd = machine.text(hook.cwd);
    if !cwd.is_empty() && sys::chdir(cwd).is_err() {
        // The bundle may be gone when the last hooks run, or hidden from the container's root.
        sys::chdir(c"/")?;
    }
    Ok(())
}

/// By its path if that is the file the caller opened, so that scripts work; else the file itself.
fn execute(machine: &mut Machine<'_>, hook: Hook, program: Fd) -> Errno {
    let path = machine.text(hook.path);
    let (args, env) = (machine.texts(hook.args), machine.texts(hook.env));
    if program == Fd::NONE || is_same(program, path) {
        sys::execve(path, machine.pointers(), args, env)
    } else {
        sys::execve_file(program, machine.pointers(), args, env)
    }
}

fn is_same(program: Fd, path: &CStr) -> bool {
    let identity = |directory, path, flags| {
        sys::statx(directory, path, flags).map(|found| (found.dev_major, found.dev_minor, found.ino))
    };
    matches!((identity(program, c"", AT_EMPTY_PATH), identity(Fd::CWD, path, 0)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests;
