//! teu: an OCI container runtime as a library.
//!
//! One way, every arrow a type:
//!
//! ```text
//! config.json ─► Spec ─► Plan ─► Prepared ─► Container ─► state.json
//!                (pure)  (pure)  (effects of the caller, then one clone3)
//! ```
//!
//! - [`Spec`] is config.json, parsed and validated; a refusal names its place by JSON pointer.
//! - [`Plan`] is everything that will be done, decided before the kernel is asked to do anything. It is a value and prints itself.
//! - [`Prepared`] owns what was opened and made for the plan; dropping it takes all back.
//! - [`Container`] is the result: an init of a few pages that waits for [`Container::start`].
//!
//! The library lives in foreign processes: it never forks, never changes process-global state, installs no handler, starts no thread, prints nothing and
//! exits never. Init is a separate program of a few kilobytes (`teu-init`), run from a sealed memfd; see its crate for the program that it interprets.
#![deny(unsafe_code)]

pub mod cgroup;
mod container;
mod errno;
mod error;
pub mod events;
mod features;
mod host;
mod image;
mod launch;
mod lifecycle;
mod options;
pub mod plan;
mod prepare;
mod resctrl;
mod runtime;
pub mod seccomp;
pub mod spec;
mod state;
pub mod stats;
mod sys;
mod systemd;
mod terminal;
mod until;

pub use container::{Container, Exit, Process};
pub use error::{Error, ErrorKind, Result};
pub use features::features;
pub use host::{CgroupLayout, Hierarchy, Host, OwnCgroup};
pub use launch::init_size;
pub use lifecycle::{Operation, Status, permits};
pub use options::{
    CgroupManager, CreateOptions, Delete, ExecCgroup, ExecOptions, FdMap, Receiver, Stdio, UpdateOptions,
};
pub use plan::Plan;
pub use prepare::Prepared;
pub use runtime::{Listed, Runtime};
pub use spec::{Id, Spec, Warning};
pub use state::{OCI_VERSION, State, Summary};
pub use sys::process::keep_exit_statuses;
pub use terminal::Terminal;
pub use until::{Cancel, Patience};
