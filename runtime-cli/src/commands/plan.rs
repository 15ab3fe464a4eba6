//! `plan`: what `create` would do, step by step.

use teu::Result;

use crate::args::Arguments;
use crate::creation::Creation;
use crate::invocation::Invocation;
use crate::output;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let Creation { id, spec, options } = Creation::resolve(invocation, args)?;
    let plan = invocation.runtime()?.plan(&id, &spec, &options)?;
    output::print(&plan.to_string())?;
    Ok(0)
}
