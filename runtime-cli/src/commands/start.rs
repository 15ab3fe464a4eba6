//! `start`: let a created container execute its program.

use teu::{Id, Result};

use crate::args::Arguments;
use crate::session::Session;

/// Does the command.
pub fn run(session: &Session, args: &Arguments) -> Result<u8> {
    session.runtime()?.open(&Id::new(args.id())?)?.start()?;
    Ok(0)
}
