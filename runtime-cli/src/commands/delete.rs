//! `delete`: remove what a container holds.

use teu::{Delete, Id, Result};

use crate::args::Arguments;
use crate::session::Session;

/// Does the command.
pub fn run(session: &Session, args: &Arguments) -> Result<u8> {
    let which = if args.flag("force") { Delete::Force } else { Delete::OnlyStopped };
    session.runtime()?.delete(&Id::new(args.id())?, which)?;
    Ok(0)
}
