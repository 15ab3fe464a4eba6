//! teu-engines: container engines as Debian ships them, with a runtime of the caller's choice.
//!
//! Words: a *client* is a program that calls a runtime, with the daemons it needs; a *session* is a client with one runtime, ready to work; a
//! *case* is one behaviour of a client, a row of its table. Everything happens in a *sandbox* of namespaces on a Debian root filesystem.
//!
//! Law: a case that fails is played again with the reference runtime in the same place. If it fails at the same step there, the reason is not the
//! subject's: it is a skip, with both reasons.
#![forbid(unsafe_code)]

mod client;
mod clients;
mod lane;
mod leftovers;
mod process;
mod race;
mod record;
mod rootfs;
mod sandbox;
mod session;
mod step;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: teu-engines --root DEBIAN --runtime PATH [--filter TEXT] [--recorder PATH --record DIR | --race ROUNDS]";

/// The command line.
#[derive(Debug, Default)]
struct Options {
    root: PathBuf,
    runtime: PathBuf,
    filters: Vec<String>,
    recorder: Option<PathBuf>,
    record: Option<PathBuf>,
    race: Option<usize>,
    inside: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match parse(&arguments).and_then(|options| run(&options, &arguments)) {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("teu-engines: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[OsString]) -> Result<Options, String> {
    use lexopt::Arg::Long;
    use lexopt::ValueExt;
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let Long(name) = argument else { return Err(USAGE.to_owned()) };
        let name = name.to_owned();
        if name == "inside" {
            options.inside = true;
            continue;
        }
        let value = parser.value().map_err(|error| error.to_string())?;
        match name.as_str() {
            "root" => options.root = value.into(),
            "runtime" => options.runtime = value.into(),
            "filter" => options.filters.push(value.to_string_lossy().into_owned()),
            "recorder" => options.recorder = Some(value.into()),
            "record" => options.record = Some(value.into()),
            "race" => options.race = Some(value.parse().map_err(|error| format!("--race: {error}"))?),
            _ => return Err(USAGE.to_owned()),
        }
    }
    if options.root.as_os_str().is_empty() || options.runtime.as_os_str().is_empty() {
        return Err(USAGE.to_owned());
    }
    Ok(options)
}

fn run(options: &Options, arguments: &[OsString]) -> Result<ExitCode, String> {
    if !options.inside {
        let status = sandbox::run(arguments).map_err(|error| format!("the sandbox: {error}"))?;
        return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut files = vec![(options.runtime.as_path(), "teu")];
    files.extend(options.recorder.iter().map(|path| (path.as_path(), "recorder/teu")));
    sandbox::enter(&options.root, &files, options.record.as_deref())
        .map_err(|error| format!("the sandbox: {error}"))?;
    let rootfs = PathBuf::from(sandbox::HOME).join("rootfs");
    rootfs::make(&rootfs).map_err(|error| format!("{}: {error}", rootfs.display()))?;
    if let Some(rounds) = options.race {
        return race::run(&rootfs, &options.filters, rounds).map(|()| ExitCode::SUCCESS);
    }
    lane::run(&rootfs, &options.filters, options.record.is_some())
}
