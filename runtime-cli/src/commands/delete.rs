//! `delete`: remove what a container holds.

use teu::{Delete, Result, Warning};

use crate::args::Arguments;
use crate::invocation::Invocation;
use crate::matching;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let which = if args.flag("force") { Delete::Force } else { Delete::OnlyStopped };
    let runtime = invocation.runtime()?;
    matching::each(&runtime, args, |id| runtime.delete(id, which).map(|warnings| warn(&warnings)))?;
    Ok(0)
}

/// What the last hooks did wrong does not keep a container.
pub fn warn(warnings: &[Warning]) {
    for Warning { pointer, message } in warnings {
        log::warn!("{pointer}: {message}");
    }
}
