//! `pause`: stop all processes of a container.

use teu::{Id, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    invocation.runtime()?.open(&Id::new(args.id())?)?.pause()?;
    Ok(0)
}
