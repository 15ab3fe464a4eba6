//! `start`: let a created container execute its program.

use teu::{Id, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    invocation.runtime()?.open(&Id::new(args.id())?)?.start()?;
    Ok(0)
}
