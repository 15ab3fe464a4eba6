//! The behaviours. Each file is one subject with a table of its tests; a test's name is a sentence about behaviour.

use crate::Outcome;
use crate::ctx::Ctx;
use crate::host::Need;

mod absent;
mod caller;
mod cgroup_faults;
mod cgroup_mounts;
mod cgroups;
mod devices;
mod errors;
mod events;
mod exec;
mod exec_calls;
mod exec_cgroup;
mod hook_failures;
mod hooks;
mod host_mounts;
mod hostile;
mod joins;
mod labels;
mod lifecycle;
mod live_mounts;
mod mount_flags;
mod mount_ids;
mod mount_more;
mod mounts;
mod mutations;
mod namespaces;
mod netdev;
mod pause;
mod process;
mod propagation;
mod ps;
mod races;
mod real_rootfs;
mod resctrl;
mod resources;
mod rootless;
mod scheduling;
mod seccomp;
mod seccomp_agent;
mod service;
mod state;
mod sysctl;
mod systemd;
mod terminal;
mod time;
mod unit_memory;
mod update;
mod usage;

/// One behaviour.
#[derive(Clone, Copy)]
pub struct Test {
    /// The module it is written in; the last name is its subject.
    pub module: &'static str,
    /// A sentence about behaviour.
    pub name: &'static str,
    /// Without these it is skipped.
    pub needs: &'static [Need],
    /// The body.
    pub body: fn(&Ctx<'_>) -> Outcome,
}

impl Test {
    /// Subject and name.
    pub fn full_name(&self) -> String {
        let subject = self.module.rsplit("::").next().unwrap_or_default();
        format!("{subject}::{}", self.name)
    }
}

/// A table of tests: the functions' names become the tests' names; a list in brackets holds their needs.
macro_rules! tests {
    ($($body:ident $([$($need:expr),+])?),+ $(,)?) => {
        /// The behaviours of this subject.
        pub const TESTS: &[$crate::suite::Test] = &[
            $($crate::suite::Test {
                module: module_path!(),
                name: stringify!($body),
                needs: &[$($($need),+)?],
                body: $body,
            }),+
        ];
    };
}
pub(crate) use tests;

/// Every behaviour, in order.
pub fn all() -> Vec<Test> {
    [
        lifecycle::TESTS,
        state::TESTS,
        pause::TESTS,
        ps::TESTS,
        update::TESTS,
        events::TESTS,
        namespaces::TESTS,
        joins::TESTS,
        time::TESTS,
        sysctl::TESTS,
        netdev::TESTS,
        rootless::TESTS,
        mounts::TESTS,
        mount_flags::TESTS,
        mount_more::TESTS,
        mount_ids::TESTS,
        live_mounts::TESTS,
        propagation::TESTS,
        devices::TESTS,
        process::TESTS,
        labels::TESTS,
        seccomp::TESTS,
        seccomp_agent::TESTS,
        terminal::TESTS,
        service::TESTS,
        scheduling::TESTS,
        cgroups::TESTS,
        cgroup_faults::TESTS,
        cgroup_mounts::TESTS,
        systemd::TESTS,
        unit_memory::TESTS,
        resources::TESTS,
        resctrl::TESTS,
        errors::TESTS,
        usage::TESTS,
        hooks::TESTS,
        hook_failures::TESTS,
        exec::TESTS,
        exec_calls::TESTS,
        exec_cgroup::TESTS,
        races::TESTS,
        caller::TESTS,
        absent::TESTS,
        host_mounts::TESTS,
        hostile::TESTS,
        mutations::TESTS,
        real_rootfs::TESTS,
    ]
    .concat()
}
