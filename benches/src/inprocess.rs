//! teu as a library: what a shim or an engine pays that links it.

use std::path::Path;
use std::time::Duration;

use crate::failure::{Result, refuse};

/// The calls of a cycle.
pub const PHASES: [&str; 4] = ["create", "start", "wait", "delete"];

/// An open runtime and a parsed bundle.
pub struct Engine {}

impl Engine {
    /// Opens `state_root` and reads `bundle`; the ids of its containers begin with `id`.
    pub fn open(_bundle: &Path, _state_root: &Path, _id: &str) -> Result<Engine> {
        refuse("not connected: the library has no create yet")
    }

    /// create, start, wait, delete; what each took.
    pub fn cycle(&self) -> Result<[Duration; 4]> {
        refuse("not connected")
    }
}
