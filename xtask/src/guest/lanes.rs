//! The lanes that run the conformance suite in guests.

use super::image::{BOOKWORM, BULLSEYE, Image, TRIXIE};
use super::machine::{End, Job};
use crate::artifact::{self, CONFORMANCE, TEU, WITHOUT};
use crate::project::{Project, program};
use crate::summary::Tally;

/// The longest that one run of the suite in a guest may take, from power on to power off.
const LANE_SECONDS: u32 = 45 * 60;

/// How one run of the suite goes about.
struct Run {
    name: &'static str,
    script: &'static str,
}

const RUNS: &[Run] = &[
    Run { name: "root, cgroupfs", script: include_str!("root.sh") },
    Run { name: "root, systemd", script: include_str!("systemd.sh") },
    Run { name: "rootless, a delegated cgroup", script: include_str!("rootless.sh") },
];

const CORE: &[Run] = &[Run { name: "the core, root, cgroupfs", script: include_str!("core.sh") }];

/// Debian 13: every behaviour, by every cgroup driver.
pub fn guest(project: &Project) -> Result<Tally, String> {
    lane(project, &[&TRIXIE], RUNS)
}

/// Older kernels: the core.
pub fn guest_old(project: &Project) -> Result<Tally, String> {
    lane(project, &[&BOOKWORM, &BULLSEYE], CORE)
}

fn lane(project: &Project, images: &[&Image], runs: &[Run]) -> Result<Tally, String> {
    if program("qemu-system-x86_64").is_none() {
        return Ok(Tally::skip("qemu-system-x86_64 is not installed (qemu-system-x86)"));
    }
    let files = artifact::build(project, &[TEU, CONFORMANCE, WITHOUT])?;
    let mut sum = Tally::default();
    for image in images {
        if let Err(reason) = image.build(project) {
            sum.add(Tally::skip(format!("{}: {reason}", image.about)));
            continue;
        }
        for run in runs {
            println!("==> {}, {}", image.about, run.name);
            let job =
                Job { image, script: run.script.to_owned(), files: files.clone(), seconds: LANE_SECONDS };
            sum.add(tally(project, &job)?);
        }
    }
    Ok(sum)
}

fn tally(project: &Project, job: &Job<'_>) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let end = job.run(project, |line| {
        println!("{line}");
        tally.read(line);
    })?;
    tally.end(match end {
        End::Status(0) => Ok(()),
        End::Status(status) => Err(format!("the suite ended with status {status}")),
        End::Lost(reason) => Err(reason),
    });
    Ok(tally)
}
