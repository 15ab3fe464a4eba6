//! teu-init: the first process of a container, an interpreter of a flat program.
//!
//! This crate is compiled twice: by cargo as a library, from which the planner takes the program format, and by the build script
//! of `teu` with one rustc call as a static program without libc, which is embedded and run from a sealed memfd.
//! No allocation, no formatting, no panic: numbers, bytes and order.
#![cfg_attr(not(test), no_std)]
#![deny(clippy::indexing_slicing)]
#![allow(dead_code)] // the library build does not run the program

pub mod abi;
mod boot;
#[cfg(test)]
mod harness;
mod interpret;
mod machine;
mod ops;
mod path;
pub mod program;
pub mod sys;
pub mod talk;
pub mod wire;
