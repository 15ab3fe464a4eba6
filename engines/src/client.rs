//! A client: a program that calls a runtime, the daemons it needs, and the table of what it must be able to do.

use crate::step::Case;

/// A client as data.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// Its name in the results.
    pub name: &'static str,
    /// The program and the options of every call.
    pub command: &'static [&'static str],
    /// What follows the word `run`.
    pub run: &'static [&'static str],
    /// Variables for the client and its daemons.
    pub env: &'static [(&'static str, &'static str)],
    /// Files in the session's directory: name, text.
    pub files: &'static [(&'static str, &'static str)],
    /// Daemons, in the order they are started.
    pub daemons: &'static [Daemon],
    /// Shell lines that must succeed before the first case.
    pub prepare: &'static [&'static str],
    /// What it must be able to do.
    pub cases: &'static [Case],
    /// One run from its beginning to its end, to take the time of; without what cleans up.
    pub race: Case,
    /// Client calls after each case, which may fail.
    pub cleanup: &'static [&'static [&'static str]],
    /// Shell lines after the last case, which may fail.
    pub finish: &'static [&'static str],
    /// Names of cgroups and mounts that the engine itself makes and keeps.
    pub keeps: &'static [&'static str],
    /// The runtime that shows what the machine allows, from the Debian root.
    pub reference: &'static str,
}

/// A daemon of a client.
#[derive(Debug, Clone, Copy)]
pub struct Daemon {
    /// The command line.
    pub words: &'static [&'static str],
    /// A client call that succeeds when it serves.
    pub ready: &'static [&'static str],
}
