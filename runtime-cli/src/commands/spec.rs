//! `spec`: write an example config.json.

use std::fs::OpenOptions;
use std::io::{ErrorKind as IoKind, Write};
use std::path::Path;

use teu::{Error, ErrorKind, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;
use crate::paths;

/// Does the command.
pub fn run(_: &Invocation, args: &Arguments) -> Result<u8> {
    let bundle = paths::directory(args.path("bundle").unwrap_or(Path::new(".")))?;
    let name = args.path("file").unwrap_or(Path::new("config.json"));
    let opened = OpenOptions::new().write(true).create_new(true).open(bundle.join(name));
    let mut file = opened.map_err(|error| match error.kind() {
        IoKind::AlreadyExists => {
            Error::new(ErrorKind::AlreadyExists, format!("{} exists and is not overwritten", name.display()))
        }
        _ => Error::io(format!("open {}", name.display()), &error),
    })?;
    let written = file.write_all(teu::spec::example(args.flag("rootless")).as_bytes());
    written.map_err(|error| Error::io(format!("write {}", name.display()), &error))?;
    Ok(0)
}
