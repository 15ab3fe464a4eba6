//! The commands, one file each: read the arguments, make one call of the library, print.

pub mod checkpoint;
pub mod completion;
pub mod create;
pub mod delete;
pub mod events;
pub mod exec;
pub mod features;
pub mod kill;
pub mod list;
pub mod man;
pub mod mounts;
pub mod pause;
pub mod plan;
pub mod ps;
pub mod restore;
pub mod resume;
pub mod run;
pub mod spec;
pub mod start;
pub mod state;
pub mod update;

use crate::args::Arguments;
use crate::invocation::Invocation;

/// A command: the exit status, or the error that is printed and makes it 1.
pub type Run = fn(&Invocation, &Arguments) -> teu::Result<u8>;
