//! Whole containers from hosts in Rust and in C, which alone take turns: nothing else runs that would warm or cool one more than the other.

use crate::failure::Result;
use crate::inprocess::PHASES;
use crate::one::CYCLE;
use crate::process;
use crate::run::{self, Run};
use crate::section::Section;
use crate::stats::Samples;
use crate::worker::{Kind, Worker};

const SECTION: Section = Section::Hosts;
const PER_ROUND: usize = 3;
/// A difference of a hundredth is to be seen: rounds for one of the other sections.
const MORE: usize = 4;

/// The library in Rust, each container's config.json read: what a call of C does.
pub const IN_RUST: &str = "teu in-process, config read";
/// The library in C.
pub const BY_C: &str = "teu by C";
/// The same with a large heap.
pub const BIG_C: &str = "teu by C, 1 GiB heap";

/// Who takes turns.
pub const HOSTS: [(&str, Kind); 3] = [(IN_RUST, Kind::Reading), (BY_C, Kind::C(0)), (BIG_C, Kind::C(1024))];

/// Measures in interleaved rounds, of which the first warms caches and is thrown away.
pub fn measure(run: &Run, samples: &mut Samples) -> Result<()> {
    let mut hosts = Vec::new();
    for (index, (name, kind)) in HOSTS.into_iter().enumerate() {
        match Worker::start(kind, &run.bundle.path, &run.id(format!("host{index}"))) {
            Ok(worker) => hosts.push((name, worker)),
            Err(error) => samples.fail(SECTION, name, &error.to_string()),
        }
    }
    for round in 0..=run::balanced(run.rounds * MORE, hosts.len()) {
        run::take_turns(&mut hosts, round, |(name, worker)| match worker.cycles(PER_ROUND) {
            Ok(cycles) => {
                for phases in cycles.iter().filter(|_| round > 0) {
                    samples.time(SECTION, name, CYCLE, phases.iter().sum());
                    let each = PHASES.iter().zip(phases);
                    each.for_each(|(phase, took)| samples.time(SECTION, name, phase, *took));
                }
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
