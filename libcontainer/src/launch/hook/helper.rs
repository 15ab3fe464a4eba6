//! Hooks in the runtime's namespaces: children of a helper, which is `teu-init` with a program of nothing but hooks.
//!
//! The host has one more child for the time, whose status means nothing. The helper undoes what a thread of the host would hand on (signal mask
//! and dispositions), and if the host dies, the hook that runs and the helper die with it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use teu_init::program::ask;
use teu_init::wire;

use super::super::clone::{self, Child};
use super::super::{carrier, failed, pair, reap, talk};
use super::{PATIENCE, Stage, Turn};
use crate::plan::hooks::runtime_program;
use crate::{Error, ErrorKind, Result};

/// The process, and our end of the conversation with it. Dropping it ends both.
struct Helper {
    socket: Option<OwnedFd>,
    child: Child,
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.socket = None;
        if reap::wait_until(&self.child.pidfd, Instant::now() + PATIENCE).is_none() {
            reap::kill(&self.child.pidfd);
        }
    }
}

/// Runs hooks one after the other. What one does wrong is given to `judge`: its error ends the row, otherwise the next one runs.
pub(crate) fn run(
    turns: &[Turn<'_>],
    stage: &Stage<'_>,
    mut judge: impl FnMut(Error) -> Result<()>,
) -> Result<()> {
    if turns.is_empty() {
        return Ok(());
    }
    let helper = start(turns, stage)?;
    let Some(socket) = &helper.socket else { return Ok(()) };
    let mut done = 0;
    while let Some(heard) = talk::hear(socket).map_err(failed("hear from the helper"))? {
        let turn = turns.get(heard.frame.detail as usize);
        match (heard.frame.kind, heard.frame.value, turn) {
            (wire::ASK, ask::HOOK, Some(turn)) => {
                if let Err(error) = stage.run(socket, *turn) {
                    judge(error)?;
                }
                done += 1;
                talk::say(socket, wire::GO).map_err(failed("speak to the helper"))?;
            }
            (wire::FAILED, errno, _) => {
                return Err(Error::os("run a hook", errno as i32).kind_is(ErrorKind::Hook));
            }
            (other, ..) => return Err(Error::new(ErrorKind::Internal, format!("the helper said {other}"))),
        }
    }
    if done == turns.len() {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Died, "the helper that runs hooks died"))
    }
}

fn start(turns: &[Turn<'_>], stage: &Stage<'_>) -> Result<Helper> {
    let hooks: Vec<_> = turns.iter().map(|turn| (turn.kind, turn.index, turn.hook)).collect();
    let program = runtime_program(&hooks, &stage.record.bundle);
    let encoded = program.encode()?;
    let no_length = || Error::new(ErrorKind::Internal, "program without a length");
    let len = program.encoded_len(&encoded).ok_or_else(no_length)?;
    let file = carrier::program(&encoded, len).map_err(failed("make the helper's program"))?;
    let (socket, theirs) = pair().map_err(failed("socketpair"))?;
    talk::send_program(&socket, &file, len, &[]).map_err(failed("send the helper's program"))?;
    let init = carrier::init().map_err(failed("make the helper"))?;
    let child = clone::spawn(0, None, theirs.as_fd(), init.as_fd()).map_err(failed("clone the helper"))?;
    Ok(Helper { socket: Some(socket), child })
}
