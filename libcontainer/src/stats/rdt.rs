//! What a container with `intelRdt` may have and uses of caches and memory bandwidth: read from the resctrl filesystem.

use std::path::{Path, PathBuf};

use super::parse;

/// Caches and memory bandwidth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RdtStats {
    /// `info/L3/cbm_mask`, `min_cbm_bits` and `num_closids`.
    pub l3_cbm_mask: Option<String>,
    /// The fewest bits that a mask may have.
    pub l3_min_cbm_bits: Option<u64>,
    /// How many groups the machine can tell apart.
    pub l3_groups: Option<u64>,
    /// `info/MB/bandwidth_gran`.
    pub bandwidth_granularity: Option<u64>,
    /// `info/MB/delay_linear`.
    pub delay_linear: Option<u64>,
    /// `info/MB/min_bandwidth`.
    pub min_bandwidth: Option<u64>,
    /// How many groups the machine can tell apart.
    pub bandwidth_groups: Option<u64>,
    /// The lines of the root group's schemata.
    pub root_schemata: Vec<String>,
    /// The lines of the container's group.
    pub schemata: Vec<String>,
    /// What is counted for the container's monitoring group, or for its group, in each domain of the L3.
    pub domains: Vec<RdtDomain>,
}

/// What one L3 cache counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RdtDomain {
    /// The name of its directory, as `mon_L3_00`.
    pub name: String,
    /// Bytes that went through it.
    pub total_bytes: Option<u64>,
    /// Those to and from memory of its own node.
    pub local_bytes: Option<u64>,
    /// Bytes of it that are occupied.
    pub occupancy: Option<u64>,
}

/// The directories that are asked.
#[derive(Debug)]
pub(crate) struct RdtReader {
    root: PathBuf,
    group: PathBuf,
    monitor: PathBuf,
}

impl RdtReader {
    /// `group` is the container's, `monitor` the one in which it is counted.
    pub fn new(root: PathBuf, group: PathBuf, monitor: PathBuf) -> Self {
        Self { root, group, monitor }
    }

    /// What is there now. Few machines have it, and fewer ask: this opens its files each time.
    pub fn fill(&self, stats: &mut RdtStats) {
        let text = |path: &Path| std::fs::read_to_string(path).ok();
        let number = |path: &str| text(&self.root.join(path)).and_then(|text| parse::number(&text));
        let lines = |group: &Path| {
            let text = text(&group.join("schemata")).unwrap_or_default();
            text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
        };
        *stats = RdtStats {
            l3_cbm_mask: text(&self.root.join("info/L3/cbm_mask")).map(|mask| mask.trim().to_owned()),
            l3_min_cbm_bits: number("info/L3/min_cbm_bits"),
            l3_groups: number("info/L3/num_closids"),
            bandwidth_granularity: number("info/MB/bandwidth_gran"),
            delay_linear: number("info/MB/delay_linear"),
            min_bandwidth: number("info/MB/min_bandwidth"),
            bandwidth_groups: number("info/MB/num_closids"),
            root_schemata: lines(&self.root),
            schemata: lines(&self.group),
            domains: self.domains(),
        };
    }

    fn domains(&self) -> Vec<RdtDomain> {
        let entries = std::fs::read_dir(self.monitor.join("mon_data")).into_iter().flatten().flatten();
        let mut domains: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok().filter(|name| name.starts_with("mon_L3_"))?;
                let count = |file: &str| {
                    let text = std::fs::read_to_string(entry.path().join(file)).ok()?;
                    parse::number(&text)
                };
                Some(RdtDomain {
                    total_bytes: count("mbm_total_bytes"),
                    local_bytes: count("mbm_local_bytes"),
                    occupancy: count("llc_occupancy"),
                    name,
                })
            })
            .collect();
        domains.sort_by(|a, b| a.name.cmp(&b.name));
        domains
    }
}

impl RdtStats {
    /// The line of the container's group, or of the root's, that is about a resource.
    pub(super) fn line(lines: &[String], resource: &str) -> Option<String> {
        let is_it = |line: &&String| line.split(':').next().unwrap_or_default().trim() == resource;
        lines.iter().find(is_it).cloned()
    }
}
