//! One container at a time, in interleaved rounds: each round asks every contender once, and each comes behind each other one as often, so that
//! what the machine does meanwhile falls on all alike.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bundle::Bundle;
use crate::failure::Result;
use crate::floor::Variant;
use crate::inprocess::PHASES;
use crate::process;
use crate::run::{self, Run};
use crate::runtime::Runtime;
use crate::section::Section;
use crate::stats::Samples;
use crate::worker::{Kind, Worker};

const SECTION: Section = Section::One;
const PER_ROUND: usize = 3;
/// The measure of a whole container.
pub const CYCLE: &str = "cycle";
/// The name of the control: a spawn of the tiny program, without any container.
pub const SPAWN: &str = "spawn";

/// The measure of the tiny program in a container that is there.
pub const EXEC: &str = "exec";
/// The measure of a command that does nothing.
pub const VERSION: &str = "--version";
/// What it is compared with: the measure of the machine's own `true`, beside the control.
pub const TRUE: &str = "true";
/// The name of the library in Rust.
pub const IN_PROCESS: &str = "teu in-process";

/// Workers and their names in the tables.
pub const WORKERS: [(&str, Kind); 6] = [
    ("floor", Kind::Floor(Variant::Plain)),
    ("floor-full", Kind::Floor(Variant::Full)),
    ("floor-gated", Kind::Floor(Variant::Gated)),
    (IN_PROCESS, Kind::InProcess(0)),
    ("teu in-process, 256 MiB heap", Kind::InProcess(256)),
    ("teu in-process, 1 GiB heap", Kind::InProcess(1024)),
];

enum Contender {
    Worker(String, Worker),
    Runtime(Runtime),
    Spawn,
}

/// Measures all contenders; one that fails is noted and left out of the rounds that follow.
pub fn measure(run: &Run, samples: &mut Samples) -> Result<()> {
    let mut contenders = contenders(run, samples);
    for round in 0..=run::balanced(run.rounds, contenders.len()) {
        run::take_turns(&mut contenders, round, |contender| {
            // The first round warms caches and is thrown away.
            let mut scratch = Samples::default();
            let into = if round == 0 { &mut scratch } else { &mut *samples };
            let done = contender.round(&run.bundle, &run.id(round), into);
            done.map_err(|error| samples.fail(SECTION, contender.name(), &error.to_string())).is_ok()
        });
        process::reap_orphans();
    }
    Ok(())
}

fn contenders(run: &Run, samples: &mut Samples) -> Vec<Contender> {
    let mut contenders = vec![Contender::Spawn];
    contenders.extend(run.runtimes.iter().cloned().map(Contender::Runtime));
    for (index, (name, kind)) in WORKERS.into_iter().enumerate() {
        match Worker::start(kind, &run.bundle.path, &run.id(format!("worker{index}"))) {
            Ok(worker) => contenders.push(Contender::Worker(name.into(), worker)),
            Err(error) => samples.fail(SECTION, name, &error.to_string()),
        }
    }
    contenders
}

impl Contender {
    fn name(&self) -> &str {
        match self {
            Contender::Worker(name, _) => name,
            Contender::Runtime(runtime) => &runtime.name,
            Contender::Spawn => SPAWN,
        }
    }

    fn round(&mut self, bundle: &Bundle, id: &str, samples: &mut Samples) -> Result<()> {
        match self {
            Contender::Worker(name, worker) => {
                for phases in worker.cycles(PER_ROUND)? {
                    samples.time(SECTION, name, CYCLE, phases.iter().sum());
                    for (phase, took) in PHASES.iter().zip(&phases).filter(|_| phases.len() == PHASES.len()) {
                        samples.time(SECTION, name, phase, *took);
                    }
                }
                Ok(())
            }
            Contender::Runtime(runtime) => commands(runtime, &bundle.path, id, samples),
            Contender::Spawn => {
                let tiny = (CYCLE, Some(bundle.tiny()));
                for (measure, program) in [tiny, (TRUE, process::find("true"))] {
                    let Some(program) = program else { continue };
                    for _ in 0..PER_ROUND {
                        let (took, _) = process::timed(&mut process::command(&program), process::LIMIT)?;
                        samples.time(SECTION, SPAWN, measure, took);
                    }
                }
                Ok(())
            }
        }
    }
}

/// Every command of a runtime, on three containers: one that is started, one that is entered and killed, one that is run.
fn commands(runtime: &Runtime, bundle: &Path, id: &str, samples: &mut Samples) -> Result<()> {
    let mut time = |measure: &str, took: Duration| samples.time(SECTION, &runtime.name, measure, took);
    let whole = Instant::now();
    let created = runtime.create(bundle, id)?;
    time("create", created.took);
    time("state", runtime.verb("state", id)?);
    time("start", runtime.verb("start", id)?);
    created.init.wait()?;
    time("delete", runtime.verb("delete", id)?);
    time(CYCLE, whole.elapsed());

    let killed = format!("{id}-killed");
    let created = runtime.create(bundle, &killed)?;
    time("create", created.took);
    time(EXEC, runtime.exec(&killed)?);
    time("kill", runtime.kill(&killed)?);
    created.init.wait()?;
    time("delete", runtime.verb("delete", &killed)?);

    time(VERSION, runtime.asked_for_version()?);
    time("run", runtime.run(bundle, &format!("{id}-run"), process::LIMIT)?);
    Ok(())
}
