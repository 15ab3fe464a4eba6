//! teu as a library: what a shim or an engine pays that links it.

use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use teu::stats::Stats;
use teu::{CreateOptions, Delete, Id, Runtime, Spec, UpdateOptions};

use crate::failure::{Result, refuse};

const SIGCONT: i32 = libc::SIGCONT;

/// The calls of a cycle.
pub const PHASES: [&str; 4] = ["create", "start", "wait", "delete"];

/// An open runtime and a parsed bundle.
pub struct Engine {
    runtime: Runtime,
    spec: Spec,
    id: String,
    cycles: AtomicU64,
    reads: bool,
}

impl Engine {
    /// Opens `state_root` and reads `bundle`, again for each container if it `reads`; the ids of its containers begin with `id`.
    pub fn open(bundle: &Path, state_root: &Path, id: &str, reads: bool) -> Result<Engine> {
        let runtime = Runtime::at(state_root)?;
        let spec = Spec::from_bundle(bundle)?;
        Ok(Engine { runtime, spec, id: id.into(), cycles: AtomicU64::new(0), reads })
    }

    /// create, start, wait, delete; what each took.
    pub fn cycle(&self) -> Result<[Duration; 4]> {
        let id = self.next()?;
        let mut last = Instant::now();
        let mut lap = || {
            let now = Instant::now();
            now.duration_since(std::mem::replace(&mut last, now))
        };
        let spec = match self.reads {
            true => Cow::Owned(Spec::from_bundle(self.spec.bundle())?),
            false => Cow::Borrowed(&self.spec),
        };
        let container = self.runtime.create(&id, &spec, CreateOptions::default())?;
        let create = lap();
        container.start()?;
        let start = lap();
        let exit = container.wait()?;
        let wait = lap();
        container.delete(Delete::OnlyStopped)?;
        // In C the last reference is given back within the cycle.
        drop((container, spec));
        let phases = [create, start, wait, lap()];
        if exit.code != Some(0) {
            return refuse(format!("the container ended with {exit:?}"));
        }
        Ok(phases)
    }

    /// The times of state, kill, stats and update, again and again on one container.
    pub fn calls(&self, count: usize) -> Result<Vec<[Duration; 4]>> {
        let container = self.runtime.create(&self.next()?, &self.spec, CreateOptions::default())?;
        let (mut reader, mut stats) = (container.stats_reader()?, Stats::default());
        let mut all = Vec::with_capacity(count);
        for round in 0..count {
            let limits = format!(r#"{{"pids":{{"limit":{}}}}}"#, 100 + round % 100);
            let mut last = Instant::now();
            let mut lap = || {
                let now = Instant::now();
                now.duration_since(std::mem::replace(&mut last, now))
            };
            std::hint::black_box(container.summary()?);
            let state = lap();
            container.kill(SIGCONT)?;
            let kill = lap();
            reader.fill(&mut stats)?;
            let read = lap();
            container.update(limits.as_bytes(), &UpdateOptions::default())?;
            all.push([state, kill, read, lap()]);
        }
        container.delete(Delete::Force)?;
        Ok(all)
    }

    fn next(&self) -> Result<Id> {
        let number = self.cycles.fetch_add(1, Ordering::Relaxed);
        Ok(Id::new(format!("{}-{number}", self.id))?)
    }
}
