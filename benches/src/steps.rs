//! Which instructions each command executes, found by single steps. `cargo xt order` makes of it the order of the functions in the command.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::bundle::PROGRAM;
use crate::engine;
use crate::failure::{Result, refuse};
use crate::process;
use crate::run::{OURS, Run};

/// Long enough for a killed process, or one that does nothing, to end.
const PAUSE: Duration = Duration::from_millis(200);

/// Writes for each command its name and the addresses that it executes, in hexadecimal, each once and in the order in which they come first.
pub fn record(run: &Run, out: File) -> Result<()> {
    let Some(teu) = run.runtimes.iter().find(|runtime| runtime.name == OURS) else {
        return refuse("--steps needs --teu");
    };
    let mut out = BufWriter::new(out);
    let (plain, engine) =
        (run.bundle.path.display().to_string(), engine::bundle()?.path.display().to_string());
    let [a, b, c] = ["a", "b", "c"].map(|name| run.id(name));
    // One life of the plain bundle, one of an engine's, and one in the foreground.
    let script: [&[&str]; 10] = [
        &["--version"],
        &["create", "--bundle", &plain, &a],
        &["state", &a],
        &["exec", &a, PROGRAM],
        &["start", &a],
        &["delete", &a],
        &["create", "--bundle", &engine, &b],
        &["kill", &b, "KILL"],
        &["delete", &b],
        &["run", "--bundle", &plain, &c],
    ];
    for arguments in script {
        let words: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        writeln!(out, "{}", arguments.first().unwrap_or(&""))?;
        for address in stepped(&mut teu.command(&words))? {
            writeln!(out, "{address:x}")?;
        }
        std::thread::sleep(PAUSE);
        process::reap_orphans();
    }
    Ok(out.flush()?)
}

/// Runs a command to its end, one instruction at a time. What it starts runs freely.
fn stepped(command: &mut Command) -> Result<Vec<u64>> {
    // SAFETY: between fork and exec the child makes one system call.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let pid = Pid::from_raw(i32::try_from(command.spawn()?.id())?);
    let (mut seen, mut order) = (HashSet::new(), Vec::new());
    loop {
        let signal = match waitpid(pid, Some(WaitPidFlag::__WALL))? {
            WaitStatus::Exited(_, 0) => return Ok(order),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                return refuse(format!("{command:?} failed under the tracer"));
            }
            WaitStatus::Stopped(_, signal) => Some(signal).filter(|signal| *signal != Signal::SIGTRAP),
            _ => None,
        };
        let address = place(&ptrace::getregs(pid)?);
        if seen.insert(address) {
            order.push(address);
        }
        ptrace::step(pid, signal)?;
    }
}

/// The address of the next instruction.
fn place(registers: &libc::user_regs_struct) -> u64 {
    #[cfg(target_arch = "x86_64")]
    return registers.rip;
    #[cfg(not(target_arch = "x86_64"))]
    return registers.pc as u64;
}
