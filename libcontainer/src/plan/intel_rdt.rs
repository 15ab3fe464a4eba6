//! `linux.intelRdt`: the resctrl group that the container's processes belong to, and what it may have of caches and memory
//! bandwidth. Pure.
//!
//! Law: the group is whole before init enters it, and init enters it before anything of the container runs. Who asks for a
//! group that exists shares it with others: its schemata are compared and never written.

use std::fmt;
use std::path::PathBuf;

use oci_spec::runtime::{LinuxIntelRdt, Spec};
use teu_init::program::{Op, Slot};

use super::Source;
use super::program::Builder;
use crate::host::Host;
use crate::{Error, ErrorKind, Result};

const POINTER: &str = "/linux/intelRdt";

/// What is done in the resctrl filesystem for one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RdtPlan {
    /// Where resctrl is mounted.
    pub root: PathBuf,
    /// The group.
    pub group: RdtGroup,
    /// Lines of its schemata, in the order in which they count.
    pub schemata: Vec<String>,
    /// The monitoring group of the container below it.
    pub monitor: Option<String>,
}

/// The group that a container belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RdtGroup {
    /// Named after the container and its alone: made, and removed with it.
    Own(String),
    /// Named by the configuration: made if it is not there, with the schemata it is to have.
    Named(String),
    /// Named by the configuration, without schemata: it has to be there.
    Configured(String),
    /// The root group, which every process is in that belongs to no other.
    Root,
}

impl RdtGroup {
    /// Its directory below the mount; empty for the root group.
    pub fn name(&self) -> &str {
        match self {
            Self::Own(name) | Self::Named(name) | Self::Configured(name) => name,
            Self::Root => "",
        }
    }
}

/// Whether `compile` wants to be told where resctrl is mounted.
pub(crate) fn wants_resctrl(config: &Spec) -> bool {
    field(config).is_some()
}

/// The plan of container `id`, if the configuration asks for one. Even an empty object does.
///
/// # Errors
/// `Unsupported` where resctrl is not mounted.
pub(crate) fn plan(config: &Spec, id: &str, host: &Host) -> Result<Option<RdtPlan>> {
    let Some(rdt) = field(config) else { return Ok(None) };
    let disabled = || {
        let message = "intelRdt is specified in config, but Intel RDT is not enabled";
        Error::new(ErrorKind::Unsupported, message).at(POINTER)
    };
    let root = host.resctrl.clone().ok_or_else(disabled)?;
    let schemata = schemata(rdt);
    let group = match rdt.clos_id().as_deref() {
        None => RdtGroup::Own(id.to_owned()),
        Some("/") => RdtGroup::Root,
        Some(name) if schemata.is_empty() => RdtGroup::Configured(name.to_owned()),
        Some(name) => RdtGroup::Named(name.to_owned()),
    };
    let monitor = rdt.enable_monitoring().unwrap_or(false).then(|| id.to_owned());
    Ok(Some(RdtPlan { root, group, schemata, monitor }))
}

/// The groups of a container that exists, as one more process joins them: it makes and writes nothing.
///
/// # Errors
/// As [`plan`].
pub(super) fn joined(config: &Spec, id: &str, host: &Host) -> Result<Option<RdtPlan>> {
    let Some(plan) = plan(config, id, host)? else { return Ok(None) };
    let group = match plan.group {
        RdtGroup::Own(name) | RdtGroup::Named(name) => RdtGroup::Configured(name),
        there => there,
    };
    Ok(Some(RdtPlan { group, schemata: Vec::new(), ..plan }))
}

/// The cache's lines, the bandwidth's, then the lines given as they are. A bandwidth of its own replaces one among the cache's.
fn schemata(rdt: &LinuxIntelRdt) -> Vec<String> {
    let bandwidth = rdt.mem_bw_schema().as_deref();
    let cache = rdt.l3_cache_schema().as_deref().unwrap_or_default().lines();
    let cache = cache.filter(|line| bandwidth.is_none() || !line.trim_start().starts_with("MB:"));
    let given = rdt.schemata().iter().flatten().map(String::as_str);
    cache.chain(bandwidth).chain(given).map(str::to_owned).collect()
}

/// Asks for the files by which init enters the group, and the monitoring group below it.
pub(super) fn entrances(
    plan: Option<&RdtPlan>,
    out: &mut Builder,
    sources: &mut Vec<Source>,
) -> Vec<(Slot, &'static str)> {
    let Some(plan) = plan else { return Vec::new() };
    let mut entrance = |source, pointer| {
        sources.push(source);
        (out.sends(), pointer)
    };
    // A process can be in a monitoring group only when it is in the group above.
    let mut slots = vec![entrance(Source::RdtEntrance { monitor: false }, POINTER)];
    if plan.monitor.is_some() {
        slots.push(entrance(Source::RdtEntrance { monitor: true }, "/linux/intelRdt/enableMonitoring"));
    }
    slots
}

/// Lets init enter. The file is like that of a v1 cgroup: 0 is the writer.
pub(super) fn push(entrances: &[(Slot, &'static str)], out: &mut Builder) {
    for (tasks, pointer) in entrances {
        out.push(Op::EnterCgroup { tasks: *tasks }, *pointer);
    }
}

fn field(config: &Spec) -> Option<&LinuxIntelRdt> {
    config.linux().as_ref()?.intel_rdt().as_ref()
}

impl fmt::Display for RdtPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.group {
            RdtGroup::Own(_) => "own",
            RdtGroup::Named(_) => "made unless there",
            RdtGroup::Configured(_) => "must be there",
            RdtGroup::Root => "root",
        };
        let dir = self.root.join(self.group.name());
        writeln!(f, "resctrl  {:<42} {POINTER}", format!("{} ({kind})", dir.display()))?;
        for line in &self.schemata {
            writeln!(f, "schemata {line:<42} {POINTER}")?;
        }
        match &self.monitor {
            Some(name) => writeln!(f, "monitor  mon_groups/{name:<31} {POINTER}/enableMonitoring"),
            None => Ok(()),
        }
    }
}
