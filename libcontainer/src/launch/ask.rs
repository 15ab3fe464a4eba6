//! What init asks its caller to do while it waits: one line of the table for each `ask` of the program.

use std::os::fd::AsFd;

use teu_init::program::ask;

use super::Launch;
use super::hook::{Stage, helper, pid_inside, turns};
use crate::plan::HookKind;
use crate::prepare::{cannot_map, ids_namespace};
use crate::sys;
use crate::{Error, ErrorKind, Result, Status};

/// Does what was asked for; the number is the frame's `detail`. An error ends the launch, and init with it. Init goes on when this has returned.
type Answer = fn(&mut Launch, u32) -> Result<()>;

/// Questions of `teu_init::program::ask` and their answers.
const ANSWERS: &[(u32, Answer)] = &[
    (ask::RUNTIME_HOOKS, runtime_hooks),
    (ask::NET_DEVICES, |launch, _| launch.move_devices()),
    (ask::HOOK, container_hook),
    (ask::MAP_TREE, map_tree),
];

impl Launch {
    /// Answers one question of init.
    pub(super) fn answer(&mut self, what: u32, detail: u32) -> Result<()> {
        match ANSWERS.iter().find(|(question, _)| *question == what) {
            Some((_, answer)) => answer(self, detail),
            None => Err(Error::new(ErrorKind::Internal, format!("init asked for {what}"))),
        }
    }

    /// A creator that dies while a hook runs leaves a container that `delete` knows how to end.
    fn record_for_hooks(&mut self) -> Result<()> {
        if self.recorded { Ok(()) } else { self.record() }
    }

    fn stage(&self, pid: i32) -> Stage<'_> {
        let (record, until) = (&self.prepared.record, &self.prepared.until);
        Stage { record, status: Status::Creating, pid, until, watch: None }
    }

    /// That init died comes before what a hook made of it.
    fn blame(&mut self, error: Error) -> Error {
        if error.kind() == ErrorKind::Died { self.obituary() } else { error }
    }
}

fn runtime_hooks(launch: &mut Launch, _: u32) -> Result<()> {
    launch.record_for_hooks()?;
    let hooks = &launch.prepared.plan.hooks;
    let turns = turns(hooks, &[HookKind::Prestart, HookKind::CreateRuntime]);
    let watch = launch.peer.child().map(|child| child.pidfd.as_fd());
    let stage = Stage { watch, ..launch.stage(launch.peer.pid()) };
    helper::run(&turns, &stage, Err).map_err(|error| launch.blame(error))
}

fn container_hook(launch: &mut Launch, index: u32) -> Result<()> {
    launch.record_for_hooks()?;
    let turns = turns(&launch.prepared.plan.hooks, &[HookKind::CreateContainer]);
    let unknown = || Error::new(ErrorKind::Internal, format!("init asked for hook {index}"));
    let turn = turns.get(index as usize).ok_or_else(unknown)?;
    let stage = launch.stage(pid_inside(launch.peer.pid()));
    stage.run(&launch.peer.socket, *turn).map_err(|error| launch.blame(error))
}

fn map_tree(launch: &mut Launch, index: u32) -> Result<()> {
    let wanted = launch.prepared.plan.mapped_trees.get(index as usize).zip(launch.offered.take());
    let unknown = || Error::new(ErrorKind::Internal, format!("init asked for the ids of tree {index}"));
    let (wanted, tree) = wanted.ok_or_else(unknown)?;
    let userns = ids_namespace(&wanted.ids, &wanted.pointer)?;
    sys::mount::map_ids(tree.as_fd(), userns.as_fd(), wanted.below)
        .map_err(|error| cannot_map(&wanted.source, &error).at(wanted.pointer.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_to_a_known_question_and_there_is_one() {
        for (index, (what, _)) in ANSWERS.iter().enumerate() {
            assert!(ask::TABLE.iter().any(|(question, _)| question == what), "{what}");
            assert!(ANSWERS.iter().take(index).all(|(earlier, _)| earlier != what), "{what} twice");
        }
    }
}
