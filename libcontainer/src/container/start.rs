//! Start of a container with hooks: init is heard until it executes the program, then come the hooks of the runtime.

use std::time::Instant;

use super::remove::{self, DEADLINE};
use super::{Container, cannot_start};
use crate::cgroup::Cgroup;
use crate::launch::hook::{Stage, helper, pid_inside, started, turns};
use crate::launch::reap;
use crate::plan::HookKind;
use crate::state::StateDir;
use crate::until::Until;
use crate::{Result, Status};

/// Starts the container whose lock is held and whose status is `created`.
pub(super) fn start(container: &Container, locked: &StateDir, until: &Until) -> Result<()> {
    let gone = || cannot_start(Status::Stopped);
    // Before the gate is opened: init takes the connection that is there when it has passed.
    let socket = locked.knock()?.ok_or_else(gone)?;
    if !locked.open_gate_for_init()? {
        return Err(gone());
    }
    let pid = container.pid().unwrap_or(0);
    let stage = Stage {
        record: &container.record,
        status: Status::Created,
        pid: pid_inside(pid),
        until,
        watch: None,
    };
    let heard = started::converse(&socket, &stage);
    locked.remove_gate();
    // Init ends with a conversation that is cut off.
    drop(socket);
    heard.or_else(|error| stop(container).and(Err(error)))?;
    let stage = Stage { status: Status::Running, pid, ..stage };
    let turns = turns(&container.record.hooks, &[HookKind::Poststart]);
    helper::run(&turns, &stage, Err).or_else(|error| kill(container).and(Err(error)))
}

/// Waits for an init that ends by itself, and does not trust it.
fn stop(container: &Container) -> Result<()> {
    let ended = |init| reap::wait_until(init, Instant::now() + DEADLINE).is_some();
    if container.pidfd.as_ref().is_some_and(ended) { Ok(()) } else { kill(container) }
}

fn kill(container: &Container) -> Result<()> {
    remove::end(container, container.observe()?, &Cgroup::open(&container.record.cgroup)?)
}
