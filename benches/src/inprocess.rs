//! teu as a library: what a shim or an engine pays that links it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use teu::{CreateOptions, Delete, Id, Runtime, Spec};

use crate::failure::{Result, refuse};

/// The calls of a cycle.
pub const PHASES: [&str; 4] = ["create", "start", "wait", "delete"];

/// An open runtime and a parsed bundle.
pub struct Engine {
    runtime: Runtime,
    spec: Spec,
    id: String,
    cycles: AtomicU64,
}

impl Engine {
    /// Opens `state_root` and reads `bundle`; the ids of its containers begin with `id`.
    pub fn open(bundle: &Path, state_root: &Path, id: &str) -> Result<Engine> {
        let runtime = Runtime::at(state_root)?;
        let spec = Spec::from_bundle(bundle)?;
        Ok(Engine { runtime, spec, id: id.into(), cycles: AtomicU64::new(0) })
    }

    /// create, start, wait, delete; what each took.
    pub fn cycle(&self) -> Result<[Duration; 4]> {
        let number = self.cycles.fetch_add(1, Ordering::Relaxed);
        let id = Id::new(format!("{}-{number}", self.id))?;
        let mut last = Instant::now();
        let mut lap = || {
            let now = Instant::now();
            now.duration_since(std::mem::replace(&mut last, now))
        };
        let container = self.runtime.create(&id, &self.spec, CreateOptions::default())?;
        let create = lap();
        container.start()?;
        let start = lap();
        let exit = container.wait()?;
        let wait = lap();
        container.delete(Delete::OnlyStopped)?;
        let phases = [create, start, wait, lap()];
        if exit.code != Some(0) {
            return refuse(format!("the container ended with {exit:?}"));
        }
        Ok(phases)
    }
}
