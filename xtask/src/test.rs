//! `cargo xt test`: set up, then every lane, then one summary.

use crate::Failure;
use crate::artifact::{self, CONFORMANCE, TEU, WITHOUT};
use crate::capi;
use crate::engines;
use crate::guest;
use crate::lab::LAB;
use crate::musl;
use crate::mutants;
use crate::project::{Project, program};
use crate::sanitize;
use crate::setup;
use crate::step::Step;
use crate::summary::{Summary, Tally};
use std::path::{Path, PathBuf};

/// A group of tests that can be run by its name.
struct Lane {
    name: &'static str,
    why: &'static str,
    needs_root: bool,
    /// Too slow for every run: only when it is named.
    slow: bool,
    run: fn(&Project) -> Result<Tally, String>,
}

const fn lane(name: &'static str, why: &'static str, run: fn(&Project) -> Result<Tally, String>) -> Lane {
    Lane { name, why, needs_root: true, slow: false, run }
}

const LANES: &[Lane] = &[
    Lane { needs_root: false, ..lane("unit", "unit, golden plan and law tests of every crate", unit) },
    lane("capi", "libteu as it is shipped: symbols, ABI, engines in C, Python and Go built on it", capi::run),
    lane("native", "conformance on this machine's own cgroup layout", native),
    lane("native-library", "the same, with the library in the suite's own process", native_library),
    lane("native-c", "the same, through the C library", native_c),
    lane("v2", "conformance in a view that has cgroup v2 only", v2),
    lane("v2-library", "the same, with the library in the suite's own process", v2_library),
    Lane { slow: true, ..lane("v2-c", "only by name: the view of v2 through the C library", v2_c) },
    Lane {
        slow: true,
        ..lane("release", "only by name: both views with the command as it is shipped, with musl", release)
    },
    Lane {
        slow: true,
        ..lane(
            "sanitizers",
            "only by name: the C tests of libteu under the address, leak and thread sanitizers",
            sanitize::sanitizers,
        )
    },
    Lane {
        slow: true,
        ..lane(
            "lifecycles",
            "only by name: a thousand containers leave their host as it was",
            sanitize::lifecycles,
        )
    },
    Lane {
        slow: true,
        ..lane(
            "engines",
            "only by name: containerd, Docker, podman and buildah with teu as their runtime",
            engines::lane,
        )
    },
    Lane {
        slow: true,
        ..lane(
            "enosys",
            "only by name: kernels that seem to lack a call, one call at a time (native has it too)",
            enosys,
        )
    },
    Lane {
        slow: true,
        ..lane(
            "guest",
            "only by name: conformance in a Debian 13 of its own, with systemd and cgroup v2",
            guest::guest,
        )
    },
    Lane {
        slow: true,
        ..lane(
            "guest-selinux",
            "only by name: labels of SELinux and limits of rdma, in a Debian 13 that has them",
            guest::guest_selinux,
        )
    },
    Lane {
        slow: true,
        ..lane("guest-old", "only by name: its core on Linux 6.1 and 5.10", guest::guest_old)
    },
    Lane {
        slow: true,
        ..lane(
            "repeat",
            "only by name: conformance of teu five times a view, to find what fails rarely",
            repeat,
        )
    },
    Lane {
        slow: true,
        ..lane("parity", "only by name: both views with runc and crun beside teu, as a table", parity)
    },
    Lane {
        slow: true,
        ..lane("mutants", "only by name: teu broken on purpose, to see behaviours fail", mutants::run)
    },
];

/// How often the lane `repeat` runs each view.
const REPEATS: usize = 5;

/// Names and reasons, for the help text.
pub fn lanes() -> Vec<(&'static str, &'static str)> {
    LANES.iter().map(|lane| (lane.name, lane.why)).collect()
}

/// The command. Arguments are lane names; none means all that are not slow.
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
        return Ok(LANES.iter().filter(|lane| !lane.slow).collect());
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
    tally(
        project,
        &step.args(["test", "--workspace", "--no-fail-fast"]).args(project.locked()).limit_seconds(1500),
    )
}

fn native(project: &Project) -> Result<Tally, String> {
    tally(project, &Suite::build(project)?.step("native", false))
}

fn v2(project: &Project) -> Result<Tally, String> {
    tally(project, &Suite::build(project)?.step("v2", false))
}

fn native_library(project: &Project) -> Result<Tally, String> {
    tally(project, &Suite::build(project)?.library("native"))
}

fn v2_library(project: &Project) -> Result<Tally, String> {
    tally(project, &Suite::build(project)?.library("v2"))
}

fn enosys(project: &Project) -> Result<Tally, String> {
    tally(project, &Suite::build(project)?.step("native", false).args(["--filter", "absent::"]))
}

fn native_c(project: &Project) -> Result<Tally, String> {
    tally(project, &Suite::loading(project)?.step("native", false))
}

fn v2_c(project: &Project) -> Result<Tally, String> {
    tally(project, &Suite::loading(project)?.step("v2", false))
}

fn release(project: &Project) -> Result<Tally, String> {
    let mut suite = Suite::build(project)?;
    suite.replace_subject(musl::build(project)?);
    let mut sum = Tally::default();
    for view in ["native", "v2"] {
        sum.add(tally(project, &suite.step(view, false))?);
    }
    Ok(sum)
}

fn repeat(project: &Project) -> Result<Tally, String> {
    let suite = Suite::build(project)?;
    let mut sum = Tally::default();
    for _ in 0..REPEATS {
        for view in ["native", "v2"] {
            sum.add(tally(project, &suite.step(view, false))?);
        }
    }
    Ok(sum)
}

fn parity(project: &Project) -> Result<Tally, String> {
    let suite = Suite::build(project)?;
    let mut sum = Tally::default();
    for view in ["native", "v2"] {
        sum.add(tally(project, &suite.step(view, true))?);
    }
    Ok(sum)
}

/// The conformance suite, built, and where it finds what it needs.
pub struct Suite {
    program: PathBuf,
    teu: PathBuf,
    lab: Option<PathBuf>,
    reports: PathBuf,
}

impl Suite {
    pub fn build(project: &Project) -> Result<Suite, String> {
        let built = artifact::build(project, &[TEU, CONFORMANCE, WITHOUT])?;
        let [teu, program, _] = built.as_slice() else { return Err("the build gave no programs".to_owned()) };
        let reports = project.lab();
        std::fs::create_dir_all(&reports).map_err(|error| format!("{}: {error}", reports.display()))?;
        let lab = LAB.ready(project).then(|| LAB.path(project));
        Ok(Suite { program: program.clone(), teu: teu.clone(), lab, reports })
    }

    /// The suite as a program that can load a library, which a static one cannot, and libteu in teu's place.
    fn loading(project: &Project) -> Result<Suite, String> {
        Step::new("build the suite and libteu", &project.cargo)
            .args(["build", "--package", "teu-conformance", "--package", "teu-capi"])
            .args(project.locked())
            .run(&project.root)?;
        let built = project.target.join("debug");
        let lab = LAB.ready(project).then(|| LAB.path(project));
        let (program, teu) = (built.join("teu-conformance"), built.join("libteu.so"));
        Ok(Suite { program, teu, lab, reports: project.lab() })
    }

    /// One run in one view of cgroups; with `parity` the other runtimes of this machine show what they do.
    pub fn step(&self, view: &str, parity: bool) -> Step {
        let mut step = self.plain(view).args([format!("--runtime=teu={}", self.teu.display())]);
        if parity {
            step = step.limit_seconds(3600);
            let others = ["runc", "crun"].into_iter().filter_map(|name| Some((name, self.contender(name)?)));
            step = step.args(others.map(|(name, path)| format!("--runtime={name}={}", path.display())));
            step = step.arg("--json").arg(self.reports.join(format!("conformance-{view}.json")));
        }
        step
    }

    /// Another program takes teu's place.
    pub fn replace_subject(&mut self, program: PathBuf) {
        self.teu = program;
    }

    /// One run of teu that adds to `file` which fields the behaviours set.
    pub fn coverage(&self, view: &str, file: &Path) -> Step {
        self.step(view, false).args(["--quiet", "--coverage"]).arg(file)
    }

    /// The same bodies through the library in the suite's own process.
    fn library(&self, view: &str) -> Step {
        let json = self.reports.join(format!("conformance-{view}-library.json"));
        self.plain(view).args(["--library", "lib", "--subject", "lib"]).arg("--json").arg(json)
    }

    fn plain(&self, view: &str) -> Step {
        let step = Step::new(format!("run the conformance suite, {view} view"), &self.program)
            .args(["--lane", view])
            .limit_seconds(900);
        match &self.lab {
            Some(lab) => step.arg("--debian").arg(lab),
            None => step,
        }
    }

    /// Another runtime for the parity table: the lab's, which is newer, if it can be run from there.
    fn contender(&self, name: &str) -> Option<PathBuf> {
        let places =
            self.lab.iter().flat_map(|lab| [lab.join("usr/sbin").join(name), lab.join("usr/bin").join(name)]);
        let newer = places.into_iter().find(|path| path.is_file()).filter(|_| program("patchelf").is_some());
        newer.or_else(|| program(name))
    }
}

pub fn tally(project: &Project, step: &Step) -> Result<Tally, String> {
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
    fn no_name_picks_every_lane_that_is_not_slow_and_a_wrong_one_is_an_error() {
        let names = |lanes: Vec<&Lane>| lanes.iter().map(|lane| lane.name).collect::<Vec<_>>();
        let usual = vec!["unit", "capi", "native", "native-library", "native-c", "v2", "v2-library"];
        assert_eq!(pick(&[]).map(names), Ok(usual));
        assert_eq!(pick(&["repeat".to_owned()]).map(names), Ok(vec!["repeat"]));
        assert_eq!(pick(&["mutants".to_owned()]).map(names), Ok(vec!["mutants"]));
        assert!(pick(&["v3".to_owned()]).is_err());
    }
}
