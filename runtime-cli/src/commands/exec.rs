//! `exec`: one more process in a container that exists. Whatever goes wrong before its program runs makes the exit status 255.

use teu::{Error, ErrorKind, ExecOptions, Id, Process, Result, Stdio};

use crate::args::Arguments;
use crate::creation::{of_start, preserved, receiver};
use crate::invocation::Invocation;
use crate::mask::Blocked;
use crate::terminal::Bridge;
use crate::{activation, paths, process, terminal};

/// The exit status of an exec that failed: programs in containers seldom use it.
pub const FAILED: u8 = 255;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    enter(invocation, args).map_err(|error| error.context("exec failed"))
}

fn enter(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let detach = args.flag("detach");
    let options = options(invocation, args)?;
    let container = invocation.runtime()?.open(&Id::new(args.id())?)?;
    let mut process = process::resolve(&container, args)?;
    check_terminal(process.terminal(), options.console_socket.is_some(), detach)?;
    if let Some(size) = terminal::size().filter(|_| process.terminal() && !detach) {
        // The program runs before the bridge does, and may ask for the size at once.
        process.resize(size);
    }
    let signals = Blocked::all()?;
    match container.exec(process.json().as_bytes(), options) {
        Ok(process) if detach => drop(process),
        Ok(process) => return wait(process, &signals),
        Err(error) => return signals.release().and(Err(of_start(error))),
    }
    Ok(0)
}

fn options(invocation: &Invocation, args: &Arguments) -> Result<ExecOptions> {
    Ok(ExecOptions {
        stdio: [Stdio::Inherit, Stdio::Inherit, Stdio::Inherit],
        fds: preserved(invocation, args, activation::count())?,
        pid_file: args.path("pid-file").map(paths::absolute).transpose()?,
        console_socket: receiver(args, "console-socket")?,
        pidfd_socket: receiver(args, "pidfd-socket")?,
        ignore_paused: args.flag("ignore-paused"),
        ..ExecOptions::default()
    })
}

/// As for `run`: who waits is the terminal's other end, and who does not must name another one.
fn check_terminal(terminal: bool, socket: bool, detach: bool) -> Result<()> {
    let message = match (terminal, socket) {
        (true, false) if detach => "cannot allocate tty if runc will detach without setting console socket",
        (_, true) if !detach || !terminal => {
            "cannot use console socket if runc will not detach or allocate tty"
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

fn wait(mut process: Process, signals: &Blocked) -> Result<u8> {
    let exit = match process.take_terminal().map(Bridge::new).transpose()? {
        Some(mut bridge) => bridge.carry_until_exit(&process, signals)?,
        None => signals.forward_until_exit(&process)?,
    };
    Ok(u8::try_from(exit.status()).unwrap_or(u8::MAX))
}
