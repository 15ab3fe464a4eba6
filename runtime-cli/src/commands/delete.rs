//! `delete`: remove what a container holds.

use teu::{Delete, Id, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let which = if args.flag("force") { Delete::Force } else { Delete::OnlyStopped };
    invocation.runtime()?.delete(&Id::new(args.id())?, which)?;
    Ok(0)
}
