//! `mounts`: add mounts to a container that runs, or take some away.

use std::io::Read;

use teu::{Error, ErrorKind, Id, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;

/// More than any list of mounts has.
const LIMIT: u64 = 16 << 20;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let [verb, id, file] = args.operands.as_slice() else {
        return Err(Error::new(ErrorKind::InvalidArgument, "mounts needs add or remove, an id and a file"));
    };
    let (verb, id) = (verb.to_string_lossy(), Id::new(id.to_string_lossy())?);
    if !["add", "remove"].contains(&&*verb) {
        return Err(Error::new(ErrorKind::InvalidArgument, format!("mounts: {verb:?} is not add or remove")));
    }
    let mounts = read(file)?;
    let container = invocation.runtime()?.open(&id)?;
    let done = if verb == "add" { container.add_mounts(&mounts) } else { container.remove_mounts(&mounts) };
    done.map_err(|error| error.context(format_args!("mounts {verb} failed")))?;
    Ok(0)
}

/// The file's content; `-` is standard input.
fn read(file: &std::ffi::OsStr) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = match file == "-" {
        true => std::io::stdin().lock().take(LIMIT).read_to_end(&mut text),
        false => std::fs::File::open(file).and_then(|file| file.take(LIMIT).read_to_end(&mut text)),
    };
    read.map_err(|error| Error::io(format!("read {}", file.to_string_lossy()), &error))?;
    Ok(text)
}
