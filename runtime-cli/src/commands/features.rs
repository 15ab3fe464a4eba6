//! `features`: what this build can do, as JSON.

use teu::Result;

use crate::args::Arguments;
use crate::invocation::Invocation;
use crate::json::Json;
use crate::output;

/// Does the command.
pub fn run(_: &Invocation, _: &Arguments) -> Result<u8> {
    output::print(&format!("{}\n", Json::from(teu::features()).pretty("    ")))?;
    Ok(0)
}
