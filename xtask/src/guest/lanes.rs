//! The lanes that run the conformance suite in guests.

use super::image::{BOOKWORM, BULLSEYE, Image, LABELLED, TRIXIE};
use super::machine::{Cgroups, End, Job};
use crate::artifact::{self, CONFORMANCE, TEU, WITHOUT};
use crate::project::{Project, program};
use crate::summary::Tally;
use std::time::Instant;

/// The longest that one run of the suite in a guest may take, from power on to power off.
const LANE_SECONDS: u32 = 45 * 60;

/// How one run of the suite goes about.
struct Run {
    name: &'static str,
    image: &'static Image,
    cgroups: Cgroups,
    script: &'static str,
}

const fn run(name: &'static str, image: &'static Image, script: &'static str) -> Run {
    Run { name, image, cgroups: Cgroups::V2, script }
}

const RUNS: &[Run] = &[
    run("root, cgroupfs", &TRIXIE, include_str!("root.sh")),
    run("root, systemd", &TRIXIE, include_str!("systemd.sh")),
    run("root, systemd, by the library", &TRIXIE, include_str!("systemd_library.sh")),
    run("rootless, a delegated cgroup", &TRIXIE, include_str!("rootless.sh")),
    run("rootless, systemd", &TRIXIE, include_str!("rootless_systemd.sh")),
];

const OLD: &[Run] = &[
    run("the core, root, cgroupfs", &BOOKWORM, include_str!("core.sh")),
    Run { cgroups: Cgroups::Hybrid, ..run("cgroups, root, v1", &BOOKWORM, include_str!("v1.sh")) },
    run("the core, root, cgroupfs", &BULLSEYE, include_str!("core.sh")),
    run("units, root, systemd", &BULLSEYE, include_str!("units.sh")),
];

const SELINUX: &[Run] = &[run("labels and rdma", &LABELLED, include_str!("labelled.sh"))];

/// Debian 13: every behaviour, by every cgroup driver.
pub fn guest(project: &Project) -> Result<Tally, String> {
    lane(project, RUNS)
}

/// Older kernels: the core. And the layout of cgroups that was usual with them.
pub fn guest_old(project: &Project) -> Result<Tally, String> {
    lane(project, OLD)
}

/// Debian 13 with SELinux: what a label does.
pub fn guest_selinux(project: &Project) -> Result<Tally, String> {
    lane(project, SELINUX)
}

fn lane(project: &Project, runs: &[Run]) -> Result<Tally, String> {
    if program("qemu-system-x86_64").is_none() {
        return Ok(Tally::skip("qemu-system-x86_64 is not installed (qemu-system-x86)"));
    }
    let files = artifact::build(project, &[TEU, CONFORMANCE, WITHOUT])?;
    let mut sum = Tally::default();
    for run in runs {
        let name = format!("{}, {}", run.image.about, run.name);
        if let Err(reason) = run.image.build(project) {
            sum.add(Tally::skip(format!("{name}: {reason}")));
            continue;
        }
        println!("==> {name}");
        let (script, files) = (run.script.to_owned(), files.clone());
        let begun = Instant::now();
        let job = Job { image: run.image, cgroups: run.cgroups, script, files, seconds: LANE_SECONDS };
        let tally = tally(project, &job)?;
        println!(
            "==> {name}: {} passed, {} failed, {} skipped, {} s",
            tally.passed,
            tally.failed,
            tally.skipped,
            begun.elapsed().as_secs()
        );
        sum.add(tally);
    }
    Ok(sum)
}

fn tally(project: &Project, job: &Job<'_>) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let end = job.run(project, |line| {
        println!("{line}");
        tally.read(line);
    })?;
    let end = match end {
        End::Status(0) => Ok(()),
        End::Status(status) => Err(format!("the suite ended with status {status}")),
        End::Lost(reason) => Err(reason),
    };
    // The summary says it too, but the other runs come before it.
    if let Err(reason) = &end {
        println!("==> {reason}");
    }
    tally.end(end);
    Ok(tally)
}
