//! The sections of a run: what is measured together, in one table.

use serde::Serialize;

use crate::failure::{Result, refuse};

/// One table of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// One container at a time, whole and by command, in interleaved rounds.
    One,
    /// Whole containers again, from hosts in Rust and in C alone.
    Hosts,
    /// A configuration as an engine writes it: planned, and created with.
    Engine,
    /// What a created, not yet started, container weighs.
    Parked,
    /// Cycles a second with several callers at once.
    Concurrency,
    /// The cost of a command beside many live containers.
    Scale,
    /// The seccomp compiler and its programs.
    Seccomp,
    /// Single calls of the library, from Rust and from C; on the machine's own cgroup layout, like those that follow.
    Calls,
    /// Creates, pauses and deletes there.
    Native,
    /// The smallest memory limit that starts a program; last, because it leaves the cgroup v2 view.
    Memory,
}

impl Section {
    /// All of them, in the order they run.
    pub const ALL: [Section; 10] = [
        Section::One,
        Section::Hosts,
        Section::Engine,
        Section::Parked,
        Section::Concurrency,
        Section::Scale,
        Section::Seccomp,
        Section::Calls,
        Section::Native,
        Section::Memory,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Section::One => "one",
            Section::Hosts => "hosts",
            Section::Calls => "calls",
            Section::Native => "native",
            Section::Engine => "engine",
            Section::Parked => "parked",
            Section::Memory => "memory",
            Section::Concurrency => "concurrency",
            Section::Scale => "scale",
            Section::Seccomp => "seccomp",
        }
    }

    /// The section called `name`.
    pub fn named(name: &str) -> Result<Section> {
        let found = Section::ALL.into_iter().find(|section| section.name() == name);
        found.map_or_else(|| refuse(format!("--only {name}: no such section")), Ok)
    }
}
