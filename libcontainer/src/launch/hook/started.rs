//! What becomes of init behind the gate: the hooks of `start`, and the program.

use std::os::fd::OwnedFd;

use teu_init::program::ask;
use teu_init::wire;

use super::super::talk;
use super::{Stage, turns};
use crate::plan::HookKind;
use crate::{Error, ErrorKind, Result};

/// Speaks with init until it executes the program. On an error the conversation has to be dropped: init ends with it.
pub(crate) fn converse(socket: &OwnedFd, stage: &Stage<'_>) -> Result<()> {
    let turns = turns(&stage.record.hooks, &[HookKind::StartContainer]);
    let (mut here, mut refused) = (false, None);
    while let Some(heard) = talk::hear(socket).map_err(|error| Error::io("hear from init", &error))? {
        let turn = turns.get(heard.frame.detail as usize);
        match (heard.frame.kind, heard.frame.value, turn) {
            (wire::READY, ..) => here = true,
            (wire::ASK, ask::HOOK, Some(turn)) => {
                stage.run(socket, *turn)?;
                talk::say(socket, wire::GO).map_err(|error| Error::io("speak to init", &error))?;
            }
            (wire::UNEXECUTED, errno, _) => refused = Some(unexecuted(&heard.note, errno as i32)),
            (wire::FAILED, errno, _) => return Err(Error::os("init failed behind the gate", errno as i32)),
            (other, ..) => return Err(Error::new(ErrorKind::Internal, format!("init said {other}"))),
        }
    }
    match refused {
        Some(error) => Err(error),
        None if here => Ok(()),
        None => Err(Error::new(ErrorKind::Died, "container init died at the gate")),
    }
}

pub(crate) fn unexecuted(program: &str, errno: i32) -> Error {
    let kind =
        if errno == libc::ENOENT { ErrorKind::CommandNotFound } else { ErrorKind::CommandNotExecutable };
    // The file was found before: without the quotes that runc has around a name it looks for.
    Error::os(format!("exec {program}"), errno).kind_is(kind)
}
