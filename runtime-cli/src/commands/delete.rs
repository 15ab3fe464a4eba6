//! `delete`: remove what a container holds.

use teu::{Delete, Id, Result, Warning};

use crate::args::Arguments;
use crate::invocation::Invocation;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let which = if args.flag("force") { Delete::Force } else { Delete::OnlyStopped };
    warn(&invocation.runtime()?.delete(&Id::new(args.id())?, which)?);
    Ok(0)
}

/// What the last hooks did wrong does not keep a container.
pub fn warn(warnings: &[Warning]) {
    for Warning { pointer, message } in warnings {
        log::warn!("{pointer}: {message}");
    }
}
