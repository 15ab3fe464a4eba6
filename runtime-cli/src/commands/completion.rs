//! `completion`: the completions of a shell, on stdout.

use teu::{Error, ErrorKind, Result};

use crate::args::{Arguments, completion};
use crate::invocation::Invocation;
use crate::output;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let shell = args.operands.first().map(|shell| shell.to_string_lossy()).unwrap_or_default();
    let found = completion::SHELLS.iter().find(|(name, _)| *name == shell);
    let (_, script) = found.ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, format!("unknown shell {shell:?}: bash, zsh or fish"))
    })?;
    output::print(&script(invocation.program))?;
    Ok(0)
}
