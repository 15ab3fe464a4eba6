//! `checkpoint`: engines ask for its help to learn that there is such a command. The operation is not built yet.

use teu::{Error, ErrorKind, Id, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;

/// Refuses, for a container that exists.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    invocation.runtime()?.open(&Id::new(args.id())?)?;
    let message = "checkpoint is not supported by this build yet; the container was left alone";
    Err(Error::new(ErrorKind::Unsupported, message))
}
