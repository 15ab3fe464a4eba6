//! `run`: create and start; in the foreground wait for the end, pass signals on and remove the container.

use nix::sys::prctl::set_child_subreaper;
use teu::{Container, Delete, Result};

use super::delete;
use crate::args::Arguments;
use crate::creation::{Creation, of_start};
use crate::invocation::Invocation;
use crate::mask::{Blocked, failed};
use crate::notify::Relay;
use crate::terminal::Bridge;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    create_and_start(invocation, args)
        .map_err(|error| error.context(format_args!("{} run failed", invocation.program)))
}

fn create_and_start(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let creation = Creation::resolve(invocation, args)?;
    creation.check_terminal(!args.flag("detach"))?;
    let signals = Blocked::all()?;
    if !args.flag("detach") && !args.flag("no-subreaper") {
        // What the container leaves behind ends as a child of this program, and not unseen.
        set_child_subreaper(true).map_err(failed("prctl"))?;
    }
    let mut container = match creation.create(invocation, &signals) {
        Ok(container) => container,
        Err(error) => return signals.release().and(Err(error)),
    };
    let detach = args.flag("detach");
    let status = match started(&mut container, signals, detach) {
        Ok(status) => status,
        // The error of the start is the one to report.
        Err(error) => {
            delete::warn(&container.delete(Delete::Force)?);
            return Err(error);
        }
    };
    if !detach && !args.flag("keep") {
        delete::warn(&container.delete(Delete::Force)?);
    }
    Ok(status)
}

/// Starts the container and, in the foreground, waits: the exit status of this program.
fn started(container: &mut Container, signals: Blocked, detach: bool) -> Result<u8> {
    let mut bridge = container.take_terminal().map(Bridge::new).transpose()?;
    let relay = Relay::open(container)?;
    container.start().map_err(of_start)?;
    match relay {
        Some(relay) if detach => {
            // Whoever is tired of waiting for the program's word ends this one.
            signals.release()?;
            relay.wait(container)?;
            return Ok(0);
        }
        Some(relay) => relay.attend(),
        None if detach => return Ok(0),
        None => {}
    }
    let exit = match &mut bridge {
        Some(bridge) => bridge.carry_until_exit(container, &signals)?,
        None => signals.forward_until_exit(container)?,
    };
    Ok(u8::try_from(exit.status()).unwrap_or(u8::MAX))
}
