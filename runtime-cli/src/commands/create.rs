//! `create`: make a container and leave its init waiting for `start`.

use teu::Result;

use crate::args::Arguments;
use crate::creation::Creation;
use crate::invocation::Invocation;
use crate::mask::Blocked;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    create(invocation, args)
        .map_err(|error| error.context(format_args!("{} create failed", invocation.program)))
}

fn create(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let creation = Creation::resolve(invocation, args)?;
    creation.check_terminal(false)?;
    let signals = Blocked::all()?;
    let created = creation.create(invocation, &signals);
    signals.release()?;
    created.map(|_| 0)
}
