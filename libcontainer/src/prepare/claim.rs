//! The claim on an id: a state directory that goes away unless it is kept.

use std::path::Path;
use std::sync::Arc;

use crate::Result;
use crate::spec::Id;
use crate::state::StateDir;

/// A claimed id. Dropping it gives the id up.
#[derive(Debug)]
pub(crate) struct Claim {
    dir: Arc<StateDir>,
    kept: bool,
}

impl Claim {
    /// Claims `id` exclusively.
    pub fn new(root: &Path, id: &Id) -> Result<Self> {
        Ok(Self { dir: Arc::new(StateDir::claim(root, id)?), kept: false })
    }

    /// The directory.
    pub fn dir(&self) -> &StateDir {
        &self.dir
    }

    /// Keeps the directory and releases its lock.
    pub fn keep(mut self) -> Arc<StateDir> {
        self.kept = true;
        self.dir.unlock();
        Arc::clone(&self.dir)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept {
            if let Err(error) = self.dir.remove() {
                log::warn!("rollback: {error}");
            }
        }
    }
}
