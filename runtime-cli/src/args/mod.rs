//! The command line as plain arguments: one table ([`table`]), one parser over it ([`parse`]), one help text from it ([`help`]).
//! Nothing here asks the world: no file, no environment variable, no clock.

pub mod completion;
pub mod help;
pub mod man;
pub mod parse;
pub mod table;

#[cfg(test)]
mod tests;

pub use parse::Arguments;
pub use table::Command;
