//! The smallest memory limit with which a runtime starts a static program, on the machine's own cgroup layout (on a hybrid
//! machine the memory controller is not in the v2 view).

use std::path::Path;
use std::time::Duration;

use crate::bundle::Bundle;
use crate::failure::Result;
use crate::lab::{self, HOME, View};
use crate::parked::kib;
use crate::process;
use crate::run::Run;
use crate::runtime::Runtime;
use crate::section::Section;
use crate::stats::Samples;

const SECTION: Section = Section::Memory;
const KIB: u64 = 1024;
const LIMITS: [u64; 8] =
    [256 * KIB, 512 * KIB, 1024 * KIB, 2048 * KIB, 4096 * KIB, 8192 * KIB, 16_384 * KIB, 32_768 * KIB];
/// So many starts in a row must succeed.
const TIMES: usize = 10;
const PATIENCE: Duration = Duration::from_secs(5);
/// The measure, in KiB.
pub const LEAST: &str = "least limit";

/// Tries the limits from the smallest up, each runtime until one works.
pub fn measure(run: &Run, view: View, samples: &mut Samples) -> Result<()> {
    lab::native_cgroups(view)?;
    let bundles: Result<Vec<(u64, Bundle)>> = LIMITS.into_iter().map(bundle).collect();
    let bundles = bundles?;
    for runtime in &run.runtimes {
        let mut why = String::new();
        let mut starts = |bundle: &Bundle| starts(runtime, bundle, &run.id("memory"), &mut why);
        match bundles.iter().find(|(_, bundle)| starts(bundle)) {
            Some((limit, _)) => samples.add(SECTION, &runtime.name, LEAST, kib(*limit)),
            None => samples.fail(SECTION, &runtime.name, &why),
        }
    }
    Ok(())
}

fn bundle(limit: u64) -> Result<(u64, Bundle)> {
    let path = Path::new(HOME).join(format!("memory-{limit}"));
    Ok((limit, Bundle::write(&path, Some(limit))?))
}

fn starts(runtime: &Runtime, bundle: &Bundle, id: &str, why: &mut String) -> bool {
    for round in 0..TIMES {
        let id = format!("{id}{round}");
        let Err(error) = runtime.run(&bundle.path, &id, PATIENCE) else { continue };
        *why = error.to_string();
        // It may have left anything from nothing to a running container.
        let _ = runtime.force_delete(&id);
        process::reap_orphans();
        return false;
    }
    true
}
