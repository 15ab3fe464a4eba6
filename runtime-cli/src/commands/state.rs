//! `state`: a container's state as JSON, without a newline at the end.

use teu::{Id, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;
use crate::output;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let state = invocation.runtime()?.open(&Id::new(args.id())?)?.state()?;
    output::print(&output::document(&state))?;
    Ok(0)
}
