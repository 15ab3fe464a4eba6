//! `create`: make a container and leave its init waiting for `start`.

use teu::Result;

use crate::args::Arguments;
use crate::creation::Creation;
use crate::mask::Blocked;
use crate::session::Session;

/// Does the command.
pub fn run(session: &Session, args: &Arguments) -> Result<u8> {
    create(session, args).map_err(|error| error.context(format_args!("{} create failed", session.program)))
}

fn create(session: &Session, args: &Arguments) -> Result<u8> {
    let creation = Creation::resolve(session, args)?;
    let signals = Blocked::all()?;
    let created = creation.create(session, &signals);
    signals.release()?;
    created.map(|_| 0)
}
