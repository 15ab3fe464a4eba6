//! `stats`: what a container uses.

use super::Container;
use crate::cgroup::Cgroup;
use crate::host::Host;
use crate::plan::intel_rdt;
use crate::resctrl;
use crate::stats::{RdtReader, Stats, StatsReader};
use crate::{Error, ErrorKind, Result, Status};

impl Container {
    /// What the container uses now. To ask often, keep a [`Container::stats_reader`].
    ///
    /// # Errors
    /// As [`Container::stats_reader`] and [`StatsReader::fill`].
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = Stats::default();
        self.stats_reader()?.fill(&mut stats)?;
        Ok(stats)
    }

    /// Opens the files that tell what the container uses: some dozens of descriptors, for as long as the reader lives.
    ///
    /// # Errors
    /// `NotRunning` if the container has stopped; `Unsupported` for one that was made without a cgroup; `Cgroup` if its cgroup is gone.
    ///
    /// ```no_run
    /// # let container = teu::Runtime::at("/run/teu")?.open(&teu::Id::new("web-1")?)?;
    /// let (mut reader, mut stats) = (container.stats_reader()?, teu::stats::Stats::default());
    /// reader.fill(&mut stats)?; // again and again, without allocating
    /// println!("{:?} bytes of memory", stats.memory.usage.usage);
    /// # Ok::<(), teu::Error>(())
    /// ```
    pub fn stats_reader(&self) -> Result<StatsReader> {
        self.current(|now| {
            if now.observe()? == Status::Stopped {
                return Err(super::not_running());
            }
            if now.record.cgroup.dirs.is_empty() {
                let why = "the container was made without a cgroup, which would count";
                return Err(Error::new(ErrorKind::Unsupported, format!("cgroup not exist: {why}")));
            }
            let cgroup = Cgroup::open(&now.record.cgroup)?;
            if !cgroup.is_there() {
                let why = "somebody has removed the container's own, and it runs elsewhere";
                return Err(Error::new(ErrorKind::Cgroup, format!("cgroup not exist: {why}")));
            }
            Ok(StatsReader::new(&cgroup, now.rdt_reader()?))
        })
    }

    /// Only for a container that asked for a group: others share the root's, which says nothing about them.
    fn rdt_reader(&self) -> Result<Option<RdtReader>> {
        // Parsing takes longer than all the rest, and few configurations have the word in them.
        let config = self.dir.read_config()?;
        if !config.split(|byte| *byte == b'"').any(|word| word == b"intelRdt") {
            return Ok(None);
        }
        let spec = self.spec()?;
        if !intel_rdt::wants_resctrl(spec.config()) {
            return Ok(None);
        }
        let mut host = Host::probe()?;
        host.probe_resctrl();
        let Some(plan) = intel_rdt::plan(spec.config(), self.id().as_str(), &host)? else { return Ok(None) };
        let (group, monitor) = resctrl::places(&plan);
        let monitor = monitor.unwrap_or_else(|| group.clone());
        Ok(Some(RdtReader::new(plan.root, group, monitor)))
    }
}
