//! What single calls of the library cost, from Rust and from C, on a container that waits for its start.

use crate::failure::Result;
use crate::hosts::BY_C;
use crate::lab::{View, native_cgroups};
use crate::one::IN_PROCESS;
use crate::process;
use crate::run::{self, Run};
use crate::section::Section;
use crate::stats::Samples;
use crate::worker::{Kind, Worker};

const SECTION: Section = Section::Calls;
const PER_ROUND: usize = 20;

/// The calls, in the order of the workers' answers.
pub const CALLS: [&str; 4] = ["state", "kill", "stats", "update"];
/// Who makes them.
pub const CALLERS: [(&str, Kind); 2] = [(IN_PROCESS, Kind::InProcess(0)), (BY_C, Kind::C(0))];

/// Measures in interleaved rounds, of which the first warms caches and is thrown away.
pub fn measure(run: &Run, view: &mut View, samples: &mut Samples) -> Result<()> {
    native_cgroups(std::mem::replace(view, View::Native))?;
    let mut callers = Vec::new();
    for (index, (name, kind)) in CALLERS.into_iter().enumerate() {
        match Worker::start(kind, &run.bundle.path, &run.id(format!("calls{index}"))) {
            Ok(worker) => callers.push((name, worker)),
            Err(error) => samples.fail(SECTION, name, &error.to_string()),
        }
    }
    for round in 0..=run::balanced(run.rounds, callers.len()) {
        run::take_turns(&mut callers, round, |(name, worker)| match worker.calls(PER_ROUND) {
            Ok(rounds) => {
                let times = rounds.iter().filter(|_| round > 0).flat_map(|times| CALLS.iter().zip(times));
                times.for_each(|(call, took)| samples.time(SECTION, name, call, *took));
                true
            }
            Err(error) => {
                samples.fail(SECTION, name, &error.to_string());
                false
            }
        });
        process::reap_orphans();
    }
    Ok(())
}
