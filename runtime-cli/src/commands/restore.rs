//! `restore`: engines ask for its help and its options. The operation is not built yet.

use teu::{Error, ErrorKind, Id, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;

/// Refuses.
pub fn run(_: &Invocation, args: &Arguments) -> Result<u8> {
    Id::new(args.id())?;
    Err(Error::new(ErrorKind::Unsupported, "restore is not supported by this build yet; nothing was made"))
}
