//! The cost of `state` and `delete` beside 1, 100, 1,000 and 5,000 live containers.
//!
//! Beside each figure stands the same command in a second state root that holds one container: what grows there too is
//! the kernel's (cgroups, namespaces, processes), not the runtime's.

use std::thread;

use crate::concurrency::together;
use crate::failure::Result;
use crate::process::{self, Inherited};
use crate::run::{OURS, Run};
use crate::runtime::Runtime;
use crate::section::Section;
use crate::stats::Samples;

const SECTION: Section = Section::Scale;
/// So many live containers.
pub const LEVELS: [usize; 4] = [1, 100, 1000, 5000];
const QUICK_TIMES: usize = 10;
const FULL_TIMES: usize = 60;
const WARM_UP: usize = 5;
/// What is timed.
pub const VERBS: [&str; 2] = ["state", "delete"];

/// The measure of `verb` beside `level` containers of the same state root.
pub fn among(verb: &str, level: usize) -> String {
    format!("{verb} {level}")
}

/// The measure of `verb` in a state root of one container, beside `level` of another root.
pub fn apart(verb: &str, level: usize) -> String {
    format!("{verb} {level} apart")
}

/// Measures each runtime at each level, ours last and highest.
pub fn measure(run: &Run, samples: &mut Samples) -> Result<()> {
    for runtime in run.runtimes.iter().rev() {
        let count = match (run.quick, runtime.name == OURS) {
            (true, false) => 2,
            (true, true) | (false, false) => 3,
            (false, true) => LEVELS.len(),
        };
        let mut crowd = Crowd { run, runtime: runtime.with_state_root("crowd")?, live: Vec::new() };
        let mut single = Crowd { run, runtime: runtime.with_state_root("apart")?, live: Vec::new() };
        let measured = levels(&mut crowd, &mut single, LEVELS.into_iter().take(count), samples);
        let ended = crowd.end().and(single.end());
        process::reap_orphans();
        if let Err(error) = measured.and(ended) {
            samples.fail(SECTION, &runtime.name, &error.to_string());
        }
    }
    Ok(())
}

fn levels(
    crowd: &mut Crowd<'_>,
    single: &mut Crowd<'_>,
    levels: impl Iterator<Item = usize>,
    samples: &mut Samples,
) -> Result<()> {
    single.grow(1, "apart")?;
    for level in levels {
        crowd.grow(level, "crowd")?;
        let times = if crowd.run.quick { QUICK_TIMES } else { FULL_TIMES };
        // The first ones come while the kernel still digests the crowd's creation: they are thrown away.
        let mut scratch = Samples::default();
        for round in 0..WARM_UP + times {
            let into = if round < WARM_UP { &mut scratch } else { &mut *samples };
            crowd.sample(level, among, into)?;
            single.sample(level, apart, into)?;
        }
    }
    Ok(())
}

/// Live containers of one state root.
struct Crowd<'a> {
    run: &'a Run,
    runtime: Runtime,
    live: Vec<(String, Inherited)>,
}

impl Crowd<'_> {
    /// Creates containers until `level` live.
    fn grow(&mut self, level: usize, name: &str) -> Result<()> {
        let ids: Vec<String> = (self.live.len()..level).map(|n| self.run.id(format!("{name}{n}"))).collect();
        let shares: Vec<_> = ids.chunks(ids.len().div_ceil(threads()).max(1)).collect();
        let mut made: Vec<Vec<(String, Inherited)>> = vec![Vec::new(); shares.len()];
        let (run, runtime) = (self.run, &self.runtime);
        let callers = shares.iter().zip(&mut made).map(|(share, made)| {
            move || {
                share.iter().try_for_each(|id| {
                    made.push((id.clone(), runtime.create(&run.bundle.path, id)?.init));
                    Ok(())
                })
            }
        });
        let all = together(callers);
        self.live.extend(made.into_iter().flatten());
        all.map(drop)
    }

    /// One `state` of an old container and one `delete` of a new one that was killed.
    fn sample(&self, level: usize, measure: fn(&str, usize) -> String, samples: &mut Samples) -> Result<()> {
        let Some((id, _)) = self.live.get(self.live.len() / 2) else { return Ok(()) };
        let name = &self.runtime.name;
        samples.time(SECTION, name, &measure("state", level), self.runtime.verb("state", id)?);
        let extra = self.run.id("extra");
        self.runtime.create(&self.run.bundle.path, &extra)?.init.end()?;
        samples.time(SECTION, name, &measure("delete", level), self.runtime.verb("delete", &extra)?);
        Ok(())
    }

    /// Kills and deletes all of them; the first error, after trying every one.
    fn end(&mut self) -> Result<()> {
        let runtime = &self.runtime;
        let shares = self.live.chunks(self.live.len().div_ceil(threads()).max(1));
        let end = |(id, init): &(String, Inherited)| init.end().and_then(|()| runtime.verb("delete", id));
        let all = together(shares.map(|share| {
            move || {
                let results: Vec<_> = share.iter().map(end).collect();
                results.into_iter().try_for_each(|result| result.map(drop))
            }
        }));
        self.live.clear();
        all.map(drop)
    }
}

fn threads() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}
