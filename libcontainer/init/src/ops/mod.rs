//! One function for each fat op. Decisions about the configuration were made in the plan; here live only the kernel's answers.

mod attributes;
mod copy_up;
pub mod hook;
pub mod mount;
pub mod namespace;
pub mod process;
pub mod procfs;
pub mod rootfs;
pub mod scheduling;
pub mod seccomp;
pub mod stdio;
pub mod terminal;
