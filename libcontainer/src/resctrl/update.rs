//! Other schemata for a group that exists, and the way back.

use std::path::PathBuf;

use super::{failed, places, refused};
use crate::plan::intel_rdt::RdtPlan;
use crate::{Error, ErrorKind, Result};

/// What the machine must be able to do, by the directory that tells: which lines it is about, and how runc says that it is missing.
const ABILITIES: [(&str, &str); 2] = [
    ("info/L3", "Intel RDT/CAT: l3 cache schema is not enabled"),
    ("info/MB", "Intel RDT/MBA: memory bandwidth schema is not enabled"),
];

/// Schemata that are in force and not kept yet. Dropped, they are taken back.
#[derive(Debug)]
pub(crate) struct Change {
    file: PathBuf,
    before: String,
}

/// Whether the machine can do what `cache` and `bandwidth` ask for. `root` is where resctrl is mounted.
///
/// # Errors
/// `Unsupported`.
pub(crate) fn check(root: Option<&std::path::Path>, cache: bool, bandwidth: bool) -> Result<()> {
    for ((dir, message), wanted) in ABILITIES.into_iter().zip([cache, bandwidth]) {
        // With code and data apart, the directories of L3 have longer names.
        let there =
            root.is_some_and(|root| root.join(dir).is_dir() || root.join(format!("{dir}CODE")).is_dir());
        if wanted && !there {
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    }
    Ok(())
}

/// Writes the plan's schemata to its group, which others may share: who updates means them too.
///
/// # Errors
/// The group is gone, or the kernel refuses a line; then the group has what it had.
pub(crate) fn update(plan: &RdtPlan) -> Result<Change> {
    let file = places(plan).0.join("schemata");
    let before =
        std::fs::read_to_string(&file).map_err(|e| failed(format!("read {}", file.display()), &e))?;
    let change = Change { file, before };
    change.write(&plan.schemata).map_err(|error| refused(plan, &change.file, &error))?;
    Ok(change)
}

impl Change {
    /// Keeps them.
    pub fn keep(mut self) {
        self.before.clear();
    }

    fn write(&self, lines: &[String]) -> std::io::Result<()> {
        let text: String = lines.iter().map(|line| format!("{}\n", line.trim())).collect();
        let mut opened = std::fs::OpenOptions::new().write(true).open(&self.file)?;
        std::io::Write::write_all(&mut opened, text.as_bytes())
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        let lines: Vec<_> = self.before.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            return;
        }
        if let Err(error) = self.write(&lines) {
            log::warn!("intelRdt: cannot take the schemata of {} back: {error}", self.file.display());
        }
    }
}
