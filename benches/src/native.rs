//! The machine's own cgroup layout, which on a hybrid one has a hierarchy for each controller: what a create, a pause and many deletes cost there.

use std::time::Duration;

use crate::failure::Result;
use crate::lab::{View, native_cgroups};
use crate::process;
use crate::run::{self, OURS, Run};
use crate::runtime::Runtime;
use crate::section::Section;
use crate::stats::Samples;

const SECTION: Section = Section::Native;
/// The measures of one container.
pub const CREATE: &str = "create";
/// One of each: the processes stand and go on.
pub const PAUSE: &str = "pause and resume";
/// Of a container that was killed.
pub const DELETE: &str = "delete";
/// The measures of many deletes in a row: those at the beginning and at the end.
pub const DELETES: [&str; 2] = ["first deletes", "last deletes"];
/// The first comes while the kernel still digests the creation.
const PER_ROUND: usize = 5;
const MANY: usize = 1000;
/// So many of them at each end.
const END: usize = 100;

/// Measures in interleaved rounds, of which the first warms caches and is thrown away; then deletes many containers of ours.
pub fn measure(run: &Run, view: &mut View, samples: &mut Samples) -> Result<()> {
    native_cgroups(std::mem::replace(view, View::Native))?;
    let mut runtimes: Vec<&Runtime> = run.runtimes.iter().collect();
    for round in 0..=run::balanced(run.rounds, runtimes.len()) {
        run::take_turns(&mut runtimes, round, |runtime| {
            let mut scratch = Samples::default();
            let into = if round == 0 { &mut scratch } else { &mut *samples };
            let done = one(run, runtime, round, into);
            done.map_err(|error| samples.fail(SECTION, &runtime.name, &error.to_string())).is_ok()
        });
        process::reap_orphans();
    }
    match runtimes.iter().find(|runtime| runtime.name == OURS) {
        Some(ours) => deletes(run, ours, samples).or_else(|error| {
            samples.fail(SECTION, OURS, &error.to_string());
            Ok(())
        }),
        None => Ok(()),
    }
}

fn one(run: &Run, runtime: &Runtime, round: usize, samples: &mut Samples) -> Result<()> {
    let id = run.id(format!("native{round}"));
    let created = runtime.create(&run.bundle.path, &id)?;
    samples.time(SECTION, &runtime.name, CREATE, created.took);
    for _ in 0..PER_ROUND {
        let both = runtime.verb("pause", &id)? + runtime.verb("resume", &id)?;
        samples.time(SECTION, &runtime.name, PAUSE, both);
    }
    created.init.end()?;
    samples.time(SECTION, &runtime.name, DELETE, runtime.verb("delete", &id)?);
    Ok(())
}

fn deletes(run: &Run, ours: &Runtime, samples: &mut Samples) -> Result<()> {
    let ids: Vec<String> = (0..MANY).map(|number| run.id(format!("many{number}"))).collect();
    for id in &ids {
        ours.create(&run.bundle.path, id)?.init.end()?;
    }
    let took: Vec<Duration> = ids.iter().map(|id| ours.verb("delete", id)).collect::<Result<_>>()?;
    let ends = [took.get(..END), took.get(MANY - END..)];
    for (measure, took) in DELETES.into_iter().zip(ends) {
        took.unwrap_or_default().iter().for_each(|took| samples.time(SECTION, OURS, measure, *took));
    }
    Ok(())
}
