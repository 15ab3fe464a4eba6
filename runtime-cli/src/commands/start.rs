//! `start`: let a created container execute its program.

use teu::{Id, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;
use crate::notify::Relay;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let container = invocation.runtime()?.open(&Id::new(args.id())?)?;
    let relay = Relay::open(&container)?;
    container.start()?;
    relay.map_or(Ok(()), |relay| relay.wait(&container))?;
    Ok(0)
}
