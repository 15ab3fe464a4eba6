//! The task runner: `cargo xt <command>`. It prints each step that it runs and why, and depends on nothing but std.
//!
//! Words: a *step* is one program that is run; a *lane* is a named group of checks or tests with a tally of passed,
//! failed and skipped; the *lab* is a cached Debian root filesystem under `target/lab`.
#![forbid(unsafe_code)]

mod artifact;
mod bench;
mod capi;
mod check;
mod demo;
mod dist;
mod engines;
mod guest;
mod lab;
mod licence;
mod lint;
mod musl;
mod mutants;
mod order;
mod packages;
mod pages;
mod project;
mod runc_suite;
mod sanitize;
mod setup;
mod step;
mod summary;
mod support;
mod syscalls;
mod test;

use project::Project;
use std::process::ExitCode;

/// Why a command did not succeed.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// The summary has said it already, and its last line stays the last.
    InSummary,
    Because(String),
    /// A program that was run for the caller ended so.
    Status(u8),
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure::Because(reason)
    }
}

/// One row of the help text and of the dispatch.
struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(&Project, &[String]) -> Result<(), Failure>,
    lanes: fn() -> Vec<(&'static str, &'static str)>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        about: "build teu and show one container's life, beside runc and crun if they are installed",
        run: demo::run,
        lanes: Vec::new,
    },
    Command {
        name: "test",
        about: "set up, then every test; [LANE...] picks lanes",
        run: test::run,
        lanes: test::lanes,
    },
    Command {
        name: "check",
        about: "everything that needs no container; [CHECK...] picks checks",
        run: check::run,
        lanes: check::lanes,
    },
    Command {
        name: "bench",
        about: "measure teu beside the kernel's floor, runc and crun; [SECTION...] [--quick] [--json FILE]",
        run: bench::run,
        lanes: Vec::new,
    },
    Command {
        name: "engines",
        about: "container engines with teu: --race N takes times beside runc, --record writes engines/corpus anew (root)",
        run: engines::run,
        lanes: Vec::new,
    },
    Command {
        name: "guest",
        about: "a Debian machine under qemu: [--kernel trixie|bookworm|bullseye] [--v1] [--user NAME] [--share FILE] [--seconds N] [--build] [-- COMMAND]",
        run: guest::run,
        lanes: Vec::new,
    },
    Command {
        name: "spec-support",
        about: "measure which fields the behaviours set (root), and write docs/spec-support.md",
        run: support::run,
        lanes: Vec::new,
    },
    Command {
        name: "release",
        about: "build the command as it is shipped, static and with musl, with its manual pages and completions",
        run: musl::run,
        lanes: Vec::new,
    },
    Command {
        name: "order",
        about: "write the order in which the functions of the command lie, from what each of its commands executes",
        run: order::run,
        lanes: Vec::new,
    },
    Command {
        name: "runc-suite",
        about: "runc's integration tests, --checkout DIR from outside, against runc and teu; --page writes the page",
        run: runc_suite::run,
        lanes: Vec::new,
    },
    Command {
        name: "dist",
        about: "build libteu as it is shipped and install it: --prefix DIR [--destdir DIR]",
        run: dist::run,
        lanes: Vec::new,
    },
    Command {
        name: "setup",
        about: "install what the tests need (root, apt-get) and build the lab",
        run: setup::run,
        lanes: Vec::new,
    },
    Command {
        name: "syscalls",
        about: "write seccomp's table of system calls anew, from the newest kernel headers in Debian",
        run: syscalls::run,
        lanes: Vec::new,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Status(status)) => ExitCode::from(status),
        Err(Failure::InSummary) => ExitCode::FAILURE,
        Err(Failure::Because(reason)) => {
            eprintln!("xt: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<(), Failure> {
    let is_help = |arg: &String| matches!(arg.as_str(), "--help" | "-h" | "help");
    let Some((name, rest)) = args.split_first().filter(|(name, _)| !is_help(name)) else {
        print!("{}", help());
        return Ok(());
    };
    let command = COMMANDS
        .iter()
        .find(|command| command.name == name)
        .ok_or_else(|| format!("no command \"{name}\"; `cargo xt` lists them"))?;
    if rest.iter().any(is_help) {
        print!("{}", command_help(command));
        return Ok(());
    }
    (command.run)(&Project::find()?, rest)
}

fn help() -> String {
    let mut text = String::from("usage: cargo xt <command> [--help]\n\n");
    for command in COMMANDS {
        text.push_str(&command_help(command));
    }
    text
}

fn command_help(command: &Command) -> String {
    let mut text = format!("  {:<13}{}\n", command.name, command.about);
    for (name, why) in (command.lanes)() {
        text.push_str(&format!("          {name:<10}{why}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_command() {
        for command in COMMANDS {
            assert!(help().contains(&format!("\n  {}", command.name)), "{} is missing", command.name);
        }
    }

    #[test]
    fn an_unknown_command_is_an_error_that_names_it() {
        let failure = dispatch(&["tset".to_owned()]).unwrap_err();
        assert!(matches!(&failure, Failure::Because(reason) if reason.contains("\"tset\"")), "{failure:?}");
    }
}
