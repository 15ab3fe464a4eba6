//! Measures teu beside the kernel's floor and other runtimes: one run, interleaved rounds, medians and ratios.
//!
//! Three processes deep. The guard makes a pid namespace and cleans up whatever happens; the driver in it enters the lab and
//! measures; workers measure from inside what has no command line.
//!
//! Build it static, so that it runs inside any root filesystem:
//! `RUSTFLAGS="-C target-feature=+crt-static" cargo build --release -p teu-bench --target x86_64-unknown-linux-gnu`.

mod arguments;
mod bundle;
mod calls;
mod concurrency;
mod engine;
mod failure;
mod figures;
mod floor;
mod guard;
mod heap;
mod hosts;
mod inprocess;
mod lab;
mod memory;
mod native;
mod one;
mod parked;
mod process;
mod report;
mod run;
mod runtime;
mod scale;
mod seccomp;
mod section;
mod stats;
mod steps;
mod sys;
mod table;
mod worker;

use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};

use crate::arguments::{Arguments, USAGE};
use crate::failure::{Result, While};
use crate::run::Run;
use crate::section::Section;
use crate::stats::Samples;

const RESULTS: &str = "benches/results";

fn main() -> ExitCode {
    match Arguments::parse(std::env::args_os().skip(1)).and_then(|arguments| dispatch(&arguments)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("teu-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &Arguments) -> Result<u8> {
    if arguments.help {
        println!("{USAGE}");
        return Ok(0);
    }
    if !arguments.worker.is_empty() {
        return worker::serve(&arguments.worker).map(|()| 0);
    }
    match &arguments.inside {
        Some(prefix) => drive(arguments, prefix).map(|()| 0),
        None => guard::run(arguments),
    }
}

/// The driver: the first process of the pid namespace.
fn drive(arguments: &Arguments, prefix: &str) -> Result<()> {
    // The guard blocked them, and what is blocked is inherited.
    SigSet::all().thread_unblock()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if let Some(path) = &arguments.steps {
        let out = File::create(path).doing(|| format!("--steps {}", path.display()))?;
        lab::enter(None, arguments.teu.as_deref(), None)?;
        return steps::record(&Run::new(arguments, prefix)?, out);
    }
    let json = json(arguments)?;
    let mut view = lab::enter(arguments.lab.as_deref(), arguments.teu.as_deref(), arguments.c.as_deref())?;
    let run = Run::new(arguments, prefix)?;
    let mut samples = Samples::default();
    for section in Section::ALL.into_iter().filter(|section| arguments.wants(*section)) {
        eprintln!("teu-bench: {}", section.name());
        match section {
            Section::One => one::measure(&run, &mut samples)?,
            Section::Hosts => hosts::measure(&run, &mut samples)?,
            Section::Calls => calls::measure(&run, &mut view, &mut samples)?,
            Section::Native => native::measure(&run, &mut view, &mut samples)?,
            Section::Engine => engine::measure(&run, &mut samples)?,
            Section::Parked => parked::measure(&run, &mut samples)?,
            Section::Concurrency => concurrency::measure(&run, &mut samples)?,
            Section::Scale => scale::measure(&run, &mut samples)?,
            Section::Seccomp => seccomp::measure(&run, &mut samples)?,
            Section::Memory => memory::measure(&run, view, &mut samples)?,
        }
    }
    report::publish(&run, &samples, json)
}

/// The file for the JSON, opened while its path still means what the caller meant.
fn json(arguments: &Arguments) -> Result<Option<File>> {
    let path = match &arguments.json {
        Some(path) => path.clone(),
        None if !Path::new(RESULTS).parent().is_some_and(Path::is_dir) => return Ok(None),
        None => {
            fs::create_dir_all(RESULTS)?;
            let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            Path::new(RESULTS).join(format!("{seconds}.json"))
        }
    };
    Ok(Some(File::create(&path).doing(|| format!("--json {}", path.display()))?))
}
