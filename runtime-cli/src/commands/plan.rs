//! `plan`: what `create` would do, step by step.

use teu::Result;

use crate::args::Arguments;
use crate::creation::Creation;
use crate::output;
use crate::session::Session;

/// Does the command.
pub fn run(session: &Session, args: &Arguments) -> Result<u8> {
    let Creation { id, spec, options } = Creation::resolve(session, args)?;
    let plan = session.runtime()?.plan(&id, &spec, &options)?;
    output::print(&plan.to_string())?;
    Ok(0)
}
