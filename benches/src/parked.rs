//! What a container weighs while it is created and waits for `start`: the memory of its init, and the program that init runs.

use std::fs;
use std::path::Path;

use crate::failure::{Result, refuse};
use crate::run::Run;
use crate::runtime::Runtime;
use crate::section::Section;
use crate::stats::Samples;

const SECTION: Section = Section::Parked;
const TIMES: usize = 5;
/// The measures: proportional and resident set, and the size of the init program, all in KiB.
pub const MEASURES: [&str; 3] = ["Pss", "Rss", "init program"];

/// Creates one container at a time with each runtime and looks at its init.
pub fn measure(run: &Run, samples: &mut Samples) -> Result<()> {
    for round in 0..TIMES {
        for runtime in &run.runtimes {
            if let Err(error) = weigh(runtime, &run.bundle.path, &run.id(format!("parked{round}")), samples) {
                samples.fail(SECTION, &runtime.name, &error.to_string());
            }
        }
    }
    Ok(())
}

fn weigh(runtime: &Runtime, bundle: &Path, id: &str, samples: &mut Samples) -> Result<()> {
    let created = runtime.create(bundle, id)?;
    let proc = created.init.proc();
    let weights = fs::read_to_string(proc.join("smaps_rollup"));
    let program = fs::metadata(proc.join("exe"));
    created.init.end()?;
    runtime.verb("delete", id)?;
    let weights = weights?;
    for measure in MEASURES.into_iter().take(2) {
        samples.add(SECTION, &runtime.name, measure, field(&weights, measure)?);
    }
    samples.add(SECTION, &runtime.name, MEASURES[2], kib(program?.len()));
    Ok(())
}

/// The KiB of a line such as `Pss:   120 kB`.
fn field(smaps: &str, name: &str) -> Result<f64> {
    let line = smaps.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    match line.and_then(|line| line.trim().strip_suffix("kB")) {
        Some(number) => Ok(number.trim().parse()?),
        None => refuse(format!("no {name} in smaps_rollup")),
    }
}

/// Bytes as KiB; exact up to 2^53.
pub fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pss_is_not_taken_for_one_of_its_parts() {
        let smaps = "Rss:  12 kB\nPss_Dirty:  3 kB\nPss:   7 kB\n";
        assert_eq!(field(smaps, "Pss").unwrap(), 7.0);
        assert!(field(smaps, "Swap").is_err());
    }
}
