//! `state`: a container's state as JSON, without a newline at the end.

use teu::{Id, Result};

use crate::args::Arguments;
use crate::output;
use crate::session::Session;

/// Does the command.
pub fn run(session: &Session, args: &Arguments) -> Result<u8> {
    let state = session.runtime()?.open(&Id::new(args.id())?)?.state()?;
    output::print(&output::document(&state))?;
    Ok(0)
}
