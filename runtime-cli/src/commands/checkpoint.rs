//! `checkpoint`: engines ask for its help to learn that there is such a command. The operation is not built yet.

use std::path::Path;

use teu::{Error, ErrorKind, Id, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;

/// Where an image goes that has no place of its own.
const IMAGE: &str = "checkpoint";

/// Refuses, for a container that exists.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    invocation.runtime()?.open(&Id::new(args.id())?)?;
    if let Some(parent) = args.path("parent-path") {
        check_parent(args.path("image-path").unwrap_or(Path::new(IMAGE)), parent)?;
    }
    let message = "checkpoint is not supported by this build yet; the container was left alone";
    Err(Error::new(ErrorKind::Unsupported, message))
}

/// An earlier image is a directory that is named by its way from the new one, so that both can be moved together.
fn check_parent(image: &Path, parent: &Path) -> Result<()> {
    if parent.is_absolute() {
        return Err(Error::new(ErrorKind::InvalidArgument, "--parent-path must be relative"));
    }
    // A last dot makes the kernel ask for a directory.
    let path = image.join(parent);
    let found = std::fs::metadata(path.join("."));
    found.map(drop).map_err(|error| Error::io(format!("--parent-path: {}", path.display()), &error))
}
