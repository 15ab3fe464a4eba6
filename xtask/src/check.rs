//! `cargo xt check`: everything that can be said about the tree without making a container.

use crate::Failure;
use crate::project::Project;
use crate::step::Step;
use crate::summary::{Summary, Tally};
use crate::{licence, lint, packages, setup};
use std::fs;
use std::path::{Path, PathBuf};

/// On disk, and mapped by every container that waits for its start.
const INIT_LIMIT_BYTES: u64 = 64 * 1024;

struct Check {
    name: &'static str,
    why: &'static str,
    run: fn(&Project) -> Tally,
}

const CHECKS: &[Check] = &[
    Check { name: "fmt", why: "one formatting for all", run: fmt },
    Check { name: "clippy", why: "no warning in any target", run: clippy },
    Check { name: "doc", why: "the documentation builds and its links lead somewhere", run: doc },
    Check {
        name: "deny",
        why: "licences, sources and bans of the dependencies (deny.toml)",
        run: licence::check,
    },
    Check {
        name: "length",
        why: "no function over 60 lines, no file over 600, save tables",
        run: lint::length,
    },
    Check { name: "unsafe", why: "unsafe only at its addresses", run: lint::unsafe_address },
    Check {
        name: "paths",
        why: "no path of a developer's machine in a tracked file",
        run: lint::machine_paths,
    },
    Check {
        name: "ledger",
        why: "every dependency is used and has its line in CONTRIBUTING.md",
        run: lint::ledger,
    },
    Check { name: "init-size", why: "the embedded init is at most 64 KiB", run: init_size },
];

/// Names and reasons, for the help text.
pub fn lanes() -> Vec<(&'static str, &'static str)> {
    CHECKS.iter().map(|check| (check.name, check.why)).collect()
}

/// The command. Arguments are names of checks; none means all.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    if let Some(name) = args.iter().find(|name| CHECKS.iter().all(|check| check.name != *name)) {
        Err(format!("no check \"{name}\"; `cargo xt check --help` lists them"))?;
    }
    let mut summary = Summary::default();
    for check in CHECKS.iter().filter(|check| args.is_empty() || args.iter().any(|name| name == check.name)) {
        println!("==> check {}: {}", check.name, check.why);
        summary.add(check.name, (check.run)(project));
    }
    summary.finish()
}

fn fmt(project: &Project) -> Tally {
    let step = Step::new("compare every file with rustfmt's output", &project.cargo)
        .args(["fmt", "--all", "--check"]);
    with_tool(project, "fmt", &step)
}

fn clippy(project: &Project) -> Tally {
    let step = Step::new("lint every target of every crate", &project.cargo)
        .args(["clippy", "--workspace", "--all-targets"])
        .args(project.locked())
        .args(["--", "-D", "warnings"]);
    with_tool(project, "clippy", &step)
}

fn doc(project: &Project) -> Tally {
    // With private items, as a contributor reads it: their links are checked too.
    // Libraries only, and not the C one: the command `teu`, the C library `teu` and the library `teu` would write to the same folder.
    let step = Step::new("build the documentation of every library", &project.cargo)
        .args([
            "doc",
            "--workspace",
            "--exclude",
            "teu-capi",
            "--no-deps",
            "--lib",
            "--document-private-items",
        ])
        .args(project.locked())
        .env("RUSTDOCFLAGS", "-D warnings");
    Tally::from_result(step.run(&project.root))
}

/// Runs a step that needs a part of the Rust distribution; a fresh Debian gets it from apt, when that is allowed.
fn with_tool(project: &Project, tool: &str, step: &Step) -> Tally {
    if !packages::cargo_has(project, tool) {
        setup::prepare(project);
    }
    if !packages::cargo_has(project, tool) {
        return Tally::skip(format!("cargo {tool} is not installed (rustup component add, or apt-get)"));
    }
    Tally::from_result(step.run(&project.root))
}

fn init_size(project: &Project) -> Tally {
    Tally::from_result(built_init(project).and_then(|path| {
        let size = fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?.len();
        println!("    init: {size} bytes of {INIT_LIMIT_BYTES}");
        if size <= INIT_LIMIT_BYTES {
            Ok(())
        } else {
            Err(format!("{size} bytes, the limit is {INIT_LIMIT_BYTES}"))
        }
    }))
}

/// The init that the build script of `teu` made, found where cargo says that script wrote.
fn built_init(project: &Project) -> Result<PathBuf, String> {
    let step = Step::new("build teu, which builds and embeds init", &project.cargo)
        .args(["build", "--package", "teu", "--message-format=json-render-diagnostics"])
        .args(project.locked());
    let mut out_dir = None;
    let status = step.lines(&project.root, |line| out_dir = script_out_dir(line).or(out_dir.take()))?;
    step.judge(status)?;
    let dir = out_dir.ok_or("teu has no build script: there is no init yet")?;
    ["init", "teu-init"]
        .map(|name| Path::new(&dir).join(name))
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| format!("no init in {dir}"))
}

/// The out_dir in cargo's message about the build script of `teu`.
fn script_out_dir(message: &str) -> Option<String> {
    let ours =
        message.contains("\"reason\":\"build-script-executed\"") && message.contains("/libcontainer#teu@");
    let (_, rest) = message.split_once("\"out_dir\":\"").filter(|_| ours)?;
    rest.split('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::script_out_dir;

    #[test]
    fn the_out_dir_of_teu_is_told_from_that_of_others() {
        let message = |package: &str| {
            format!(
                "{{\"reason\":\"build-script-executed\",\"package_id\":\"path+file:///x/{package}@0.1.0\",\"out_dir\":\"/t/out\"}}"
            )
        };
        assert_eq!(script_out_dir(&message("libcontainer#teu")).as_deref(), Some("/t/out"));
        assert_eq!(script_out_dir(&message("libcontainer/init#teu-init")), None);
        assert_eq!(script_out_dir(&message("libc#libc")), None);
    }
}
