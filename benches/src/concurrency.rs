//! Containers a second with several callers at once: threads that run commands, threads in one process that call the library,
//! and as many floors.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Result, refuse};
use crate::floor::Variant;
use crate::one::IN_PROCESS;
use crate::process;
use crate::run::Run;
use crate::runtime::Runtime;
use crate::section::Section;
use crate::stats::Samples;
use crate::worker::{Kind, Worker};

const SECTION: Section = Section::Concurrency;
/// So many callers at once.
pub const CALLERS: [usize; 5] = [1, 2, 4, 8, 16];
const QUICK_CALLERS: [usize; 3] = [1, 4, 16];
const QUICK_TOTAL: usize = 32;
const FULL_TOTAL: usize = 128;
const FULL_ROUNDS: usize = 3;
/// The floor's name in this table.
pub const FLOOR: &str = "floor-full";

/// Measures every contender at every number of callers, in interleaved rounds.
pub fn measure(run: &Run, samples: &mut Samples) -> Result<()> {
    let (callers, total, rounds) = match run.quick {
        true => (&QUICK_CALLERS[..], QUICK_TOTAL, 1),
        false => (&CALLERS[..], FULL_TOTAL, FULL_ROUNDS),
    };
    let mut engine = Worker::start(Kind::InProcess(0), &run.bundle.path, &run.id("threads"))
        .map_err(|error| samples.fail(SECTION, IN_PROCESS, &error.to_string()))
        .ok();
    for _ in 0..rounds {
        for &callers in callers {
            let each = total / callers;
            note(samples, FLOOR, callers, each, floors(run, callers, each));
            if let Some(engine) = &mut engine {
                note(samples, IN_PROCESS, callers, each, engine.threads(callers, each));
            }
            for runtime in &run.runtimes {
                note(samples, &runtime.name, callers, each, commands(run, runtime, callers, each));
                process::reap_orphans();
            }
        }
    }
    Ok(())
}

fn note(samples: &mut Samples, name: &str, callers: usize, each: usize, took: Result<Duration>) {
    match took {
        Ok(took) => {
            samples.add(SECTION, name, &callers.to_string(), (callers * each) as f64 / took.as_secs_f64())
        }
        Err(error) => samples.fail(SECTION, name, &error.to_string()),
    }
}

/// The floor clones a process that must have one thread, so its callers are processes.
fn floors(run: &Run, callers: usize, each: usize) -> Result<Duration> {
    let start = |index| {
        Worker::start(Kind::Floor(Variant::Full), &run.bundle.path, &run.id(format!("floors{index}")))
    };
    let workers: Result<Vec<Worker>> = (0..callers).map(start).collect();
    together(workers?.into_iter().map(|mut worker| move || worker.cycles(each).map(drop)))
}

fn commands(run: &Run, runtime: &Runtime, callers: usize, each: usize) -> Result<Duration> {
    let caller = |index| {
        move || {
            let id = |round| run.id(format!("caller{index}-{round}"));
            (0..each).try_for_each(|round| cycle(runtime, &run.bundle.path, &id(round)))
        }
    };
    together((0..callers).map(caller))
}

fn cycle(runtime: &Runtime, bundle: &Path, id: &str) -> Result<()> {
    let created = runtime.create(bundle, id)?;
    runtime.verb("state", id)?;
    runtime.verb("start", id)?;
    created.init.wait()?;
    runtime.verb("delete", id)?;
    Ok(())
}

/// Runs every caller on a thread of its own; the time until the last is done.
pub fn together<F>(callers: impl Iterator<Item = F>) -> Result<Duration>
where
    F: FnOnce() -> Result<()> + Send,
{
    let start = Instant::now();
    let all: Result<()> = thread::scope(|scope| {
        let threads: Vec<_> = callers.map(|caller| scope.spawn(caller)).collect();
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        ended.into_iter().try_for_each(|ended| ended.unwrap_or_else(|_| refuse("a thread panicked")))
    });
    all.map(|()| start.elapsed())
}
