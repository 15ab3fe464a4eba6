//! One function for each fat op. Decisions about the configuration were made in the plan; here live only the kernel's answers.

pub mod mount;
pub mod namespace;
pub mod process;
pub mod procfs;
pub mod rootfs;
pub mod scheduling;
pub mod terminal;
