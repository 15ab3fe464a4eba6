//! `resume`: let the processes of a paused container go on.

use teu::{Id, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    invocation.runtime()?.open(&Id::new(args.id())?)?.resume()?;
    Ok(0)
}
