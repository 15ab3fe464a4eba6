//! `cargo xt test`: set up, then every lane, then one summary.

use crate::Failure;
use crate::artifact::{self, CONFORMANCE, TEU};
use crate::project::{Project, program};
use crate::step::Step;
use crate::summary::{Summary, Tally};
use crate::{lab, setup};
use std::path::{Path, PathBuf};

/// A group of tests that can be run by its name.
struct Lane {
    name: &'static str,
    why: &'static str,
    needs_root: bool,
    run: fn(&Project) -> Result<Tally, String>,
}

const LANES: &[Lane] = &[
    Lane {
        name: "unit",
        why: "unit, golden plan and law tests of every crate",
        needs_root: false,
        run: unit,
    },
    Lane {
        name: "native",
        why: "conformance on this machine's own cgroup layout",
        needs_root: true,
        run: native,
    },
    Lane { name: "v2", why: "conformance in a view that has cgroup v2 only", needs_root: true, run: v2 },
];

/// Names and reasons, for the help text.
pub fn lanes() -> Vec<(&'static str, &'static str)> {
    LANES.iter().map(|lane| (lane.name, lane.why)).collect()
}

/// The command. Arguments are lane names; none means all.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    let lanes = pick(args)?;
    if !project.root_user && lanes.iter().any(|lane| lane.needs_root) {
        println!(
            "Not root: lanes that make containers are skipped. Everything: sudo -E env \"PATH=$PATH\" cargo xt test"
        );
    }
    let mut summary = Summary::default();
    // What setup found is not a count of tests: only what it could not have is reported.
    let setup = setup::prepare(project);
    summary.add("setup", Tally { passed: 0, ..setup });
    for lane in lanes {
        println!("==> lane {}: {}", lane.name, lane.why);
        summary.add(lane.name, lane.tally(project));
    }
    summary.finish()
}

fn pick(names: &[String]) -> Result<Vec<&'static Lane>, String> {
    let find = |name: &String| LANES.iter().find(|lane| lane.name == name);
    if names.is_empty() {
        return Ok(LANES.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            find(name).ok_or_else(|| format!("no lane \"{name}\"; `cargo xt test --help` lists them"))
        })
        .collect()
}

impl Lane {
    fn tally(&self, project: &Project) -> Tally {
        if self.needs_root && !project.root_user {
            return Tally::skip("needs root (uid 0 with CAP_SYS_ADMIN)");
        }
        (self.run)(project).unwrap_or_else(Tally::fail)
    }
}

fn unit(project: &Project) -> Result<Tally, String> {
    let step = Step::new("run the tests of every crate, all of them even if one fails", &project.cargo);
    // A test that makes containers needs the program file of the CLI; cargo builds it only when it is asked to.
    tally(
        project,
        &step.args(["test", "--workspace", "--no-fail-fast"]).args(project.locked()).limit_seconds(1500),
    )
}

fn native(project: &Project) -> Result<Tally, String> {
    conformance(project, "native")
}

fn v2(project: &Project) -> Result<Tally, String> {
    conformance(project, "v2")
}

fn conformance(project: &Project, lane: &str) -> Result<Tally, String> {
    let built = artifact::build(project, &[TEU, CONFORMANCE])?;
    let [teu, suite] = built.as_slice() else { return Err("the build gave no programs".to_owned()) };
    std::fs::create_dir_all(project.lab())
        .map_err(|error| format!("{}: {error}", project.lab().display()))?;
    let json = project.lab().join(format!("conformance-{lane}.json"));
    let mut step =
        Step::new("run the conformance suite: teu by its Rust API and its CLI, others for parity", suite)
            .args(["--lane", lane])
            .arg("--json")
            .arg(json);
    if lab::ready(project) {
        step = step.arg("--debian").arg(lab::path(project));
    }
    for (name, path) in contenders(teu) {
        step = step.arg("--runtime").arg(format!("{name}={}", path.display()));
    }
    tally(project, &step)
}

/// teu's own command and the other runtimes of this machine.
fn contenders(teu: &Path) -> Vec<(&'static str, PathBuf)> {
    let others = ["runc", "crun"].into_iter().filter_map(|name| Some((name, program(name)?)));
    [("teu", teu.to_owned())].into_iter().chain(others).collect()
}

fn tally(project: &Project, step: &Step) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let status = step.lines(&project.root, |line| {
        println!("{line}");
        tally.read(line);
    })?;
    tally.end(step.judge(status));
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_picks_every_lane_and_a_wrong_one_is_an_error() {
        assert_eq!(pick(&[]).map(|lanes| lanes.len()).ok(), Some(LANES.len()));
        assert_eq!(pick(&["v2".to_owned()]).map(|lanes| lanes[0].name).ok(), Some("v2"));
        assert!(pick(&["v3".to_owned()]).is_err());
    }
}
