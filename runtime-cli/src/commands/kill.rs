//! `kill`: a signal to init, or with `--all` to every process of the container.

use teu::{Error, ErrorKind, Id, Result};

use crate::args::Arguments;
use crate::session::Session;
use crate::signals;

/// Does the command.
pub fn run(session: &Session, args: &Arguments) -> Result<u8> {
    let signal = signal(args)?;
    let container = session.runtime()?.open(&Id::new(args.id())?)?;
    if !args.flag("all") {
        container.kill(signal)?;
        return Ok(0);
    }
    match container.kill_all(signal) {
        // As runc: whoever signals all processes of a stopped container has what they want.
        Err(error) if error.kind() == ErrorKind::NotRunning => Ok(0),
        result => result.map(|()| 0),
    }
}

fn signal(args: &Arguments) -> Result<i32> {
    let Some(word) = args.operands.get(1) else { return Ok(signals::TERM) };
    let word = word.to_string_lossy();
    signals::parse(&word)
        .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, format!("unknown signal {word:?}")))
}
