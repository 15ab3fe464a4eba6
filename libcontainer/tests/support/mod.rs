//! Hosts for tests of the planner: facts about machines that nobody needs to own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests
#![allow(dead_code, missing_docs)] // each test program uses its part

use std::path::{Path, PathBuf};

use serde::Deserialize;
use teu::{CgroupLayout, Hierarchy, Host, OwnCgroup};

pub const HOSTS: [&str; 12] = [
    "v2",
    "hybrid",
    "v1",
    "v1-all",
    "no-cgroup",
    "rootless",
    "rootless-no-cgroup",
    "nested",
    "nested-root",
    "labels",
    "old-kernel",
    "v2-rdt",
];

/// A [`Host`] as `tests/plans/hosts/NAME.json` has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    euid: u32,
    privileged: bool,
    in_userns: bool,
    /// Absent: as it is for root outside of user namespaces and for others.
    sets_groups: Option<bool>,
    last_cap: u32,
    kernel: (u32, u32),
    kcore: Option<bool>,
    #[serde(default)]
    apparmor: bool,
    #[serde(default)]
    selinux: bool,
    resctrl: Option<PathBuf>,
    cgroup: Option<Layout>,
    /// Lines of `/proc/self/cgroup`.
    own_cgroup: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum Layout {
    V2 { root: PathBuf },
    V1 { root: PathBuf, hierarchies: Vec<(String, Vec<String>)>, unified: Option<PathBuf> },
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans")
}

pub fn host(name: &str) -> Host {
    let path = folder().join("hosts").join(name).with_extension("json");
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let facts: Facts = serde_json::from_slice(&text).unwrap();
    Host {
        euid: facts.euid,
        privileged: facts.privileged,
        in_userns: facts.in_userns,
        sets_groups: facts.sets_groups.unwrap_or(facts.euid == 0 && !facts.in_userns || facts.privileged),
        last_cap: facts.last_cap,
        kernel: facts.kernel,
        kcore: facts.kcore.unwrap_or(true),
        apparmor: facts.apparmor,
        selinux: facts.selinux,
        resctrl: facts.resctrl,
        cgroup: facts.cgroup.map_or(CgroupLayout::None, layout),
        own_cgroup: OwnCgroup::parse(&facts.own_cgroup.join("\n")),
    }
}

fn layout(layout: Layout) -> CgroupLayout {
    match layout {
        Layout::V2 { root } => CgroupLayout::V2 { root },
        Layout::V1 { root, hierarchies, unified } => {
            let hierarchy = |(dir, controllers)| Hierarchy { dir, controllers };
            CgroupLayout::V1 { root, hierarchies: hierarchies.into_iter().map(hierarchy).collect(), unified }
        }
    }
}
