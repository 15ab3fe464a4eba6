//! `update`: other limits for a container that exists.
//!
//! Law: whole or not at all. The new configuration is written first under another name, then the kernel is asked, then the configuration gets its name; what
//! fails on the way takes everything before it back.

use oci_spec::runtime::LinuxResources;

use super::Container;
use crate::host::Host;
use crate::lifecycle::{Operation, permits};
use crate::options::UpdateOptions;
use crate::plan::cgroup::update::{Update, files, update};
use crate::plan::{cgroup::CgroupPlan, intel_rdt};
use crate::resctrl;
use crate::spec::{Spec, Updated};
use crate::state::StateDir;
use crate::until::{Patience, Until};
use crate::{Error, Result, Warning};

impl Container {
    /// Changes limits of a created, running or paused container: `resources` is a `linux.resources` of the specification as JSON. What it does not name stays;
    /// 0 means the same as absence, except where it is a limit (`pids.limit`, `cpu.idle`, `cpu.burst`, rates and huge pages); `memory.limit` of -1 takes the
    /// limit of swap away too, unless that is given. Device rules are replaced as a whole, if they differ from those the container was made with. What
    /// is kept is what `exec` and a later update see. Gives what of it is ignored, and why.
    ///
    /// # Errors
    /// `NotRunning` if the container has stopped; `InvalidSpec` with the place; `Unsupported` for a limit that this machine has nothing for; `Cgroup`: the
    /// kernel refuses a value. Then everything is as it was.
    ///
    /// ```no_run
    /// # let container = teu::Runtime::at("/run/teu")?.open(&teu::Id::new("web-1")?)?;
    /// container.update(br#"{"memory": {"limit": 67108864}, "pids": {"limit": 100}}"#, &Default::default())?;
    /// # Ok::<(), teu::Error>(())
    /// ```
    pub fn update(&self, resources: &[u8], options: &UpdateOptions) -> Result<Vec<Warning>> {
        self.update_within(resources, options, &Patience::default())
    }

    /// The same, and another operation on the container is waited for no longer than `patience`.
    ///
    /// # Errors
    /// As [`Container::update`]; `TimedOut`, `Cancelled`.
    pub fn update_within(
        &self,
        resources: &[u8],
        options: &UpdateOptions,
        patience: &Patience,
    ) -> Result<Vec<Warning>> {
        let until = Until::from(patience);
        until.check()?;
        let locked = self.locked_until(&until)?;
        self.current(|now| match permits(now.observe()?, Operation::Update) {
            true => now.change(&locked, resources, options, &until),
            false => Err(super::not_running()),
        })
    }

    fn change(
        &self,
        dir: &StateDir,
        resources: &[u8],
        options: &UpdateOptions,
        until: &Until,
    ) -> Result<Vec<Warning>> {
        let before = self.spec()?;
        let Updated { given, spec, mut warnings } =
            before.with_resources(resources, |given| files(given, self.record.cgroup.v2))?;
        let (spec, rdt) = self.schemata(spec, options)?;
        let plan = self.plan_update(&given, &before, &spec)?;
        warnings.extend(plan.ignored.iter().cloned());
        let kept = dir.new_config(&spec.json())?;
        let rdt = rdt.as_ref().map(resctrl::update).transpose()?;
        let limits = self.cgroup()?.update(&plan, until).map_err(explained)?;
        kept.commit()?;
        limits.keep();
        if let Some(rdt) = rdt {
            rdt.keep();
        }
        Ok(warnings)
    }

    fn plan_update(&self, given: &LinuxResources, before: &Spec, after: &Spec) -> Result<CgroupPlan> {
        let none = LinuxResources::default();
        let privileged = given.devices().is_none() || Host::probe()?.privileged;
        let changed = Update {
            given,
            before: resources(before).unwrap_or(&none),
            after: resources(after).unwrap_or(&none),
            default_devices: !self.record.no_default_device_rules,
            privileged,
        };
        update(&changed, &self.record.cgroup)
    }

    /// The configuration with other lines for the container's resctrl group, and these lines.
    fn schemata(&self, spec: Spec, options: &UpdateOptions) -> Result<(Spec, Option<intel_rdt::RdtPlan>)> {
        let given = |line: &Option<String>| line.clone().filter(|line| !line.is_empty());
        let (cache, bandwidth) = (given(&options.l3_cache_schema), given(&options.mem_bw_schema));
        if cache.is_none() && bandwidth.is_none() {
            return Ok((spec, None));
        }
        let mut host = Host::probe()?;
        host.probe_resctrl();
        resctrl::check(host.resctrl.as_deref(), cache.is_some(), bandwidth.is_some())?;
        let spec = spec.with_schemata(cache.as_deref(), bandwidth.as_deref())?;
        let plan = intel_rdt::plan(spec.config(), self.id().as_str(), &host)?;
        Ok((spec, plan))
    }
}

fn resources(spec: &Spec) -> Option<&LinuxResources> {
    spec.config().linux().as_ref()?.resources().as_ref()
}

/// v1 refuses a limit below what cannot be reclaimed, and says no more than that.
fn explained(error: Error) -> Error {
    match (error.errno(), error.pointer()) {
        (Some(libc::EBUSY), Some("/linux/resources/memory/limit")) => {
            error.remark("more is in use than could be reclaimed")
        }
        _ => error,
    }
}
