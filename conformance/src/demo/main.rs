//! `teu-demo`: one container's life through the command line, from a bundle that needs no image and no network.
//!
//! It shows what is decided before anything is done (the plan), each step with its answer, what the container sees, and what the
//! steps cost beside runc and crun if they are installed.

mod cost;
mod life;
mod plan;
mod view;
mod work;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use teu_conformance::driver::Cli;
use teu_conformance::host::{Lane, enter};
use work::Work;

const USAGE: &str = "usage: teu-demo --teu PATH [--rounds N] [--lane native|v2]";
/// CAP_SYS_ADMIN: without it no namespace and no mount can be made, whatever the uid says.
const CAP_SYS_ADMIN: u32 = 21;

struct Options {
    teu: PathBuf,
    rounds: usize,
    lane: Lane,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| demo(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("teu-demo: {message}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let (mut teu, mut rounds, mut lane) = (None, 20, Lane::Native);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name}: a value is missing\n{USAGE}"))?;
        match name.as_str() {
            "--teu" => teu = Some(PathBuf::from(value)),
            "--rounds" => rounds = value.parse().map_err(|_| format!("--rounds {value}: not a number"))?,
            "--lane" if value == "native" => lane = Lane::Native,
            "--lane" if value == "v2" => lane = Lane::V2,
            "--lane" => return Err(format!("--lane {value}: not native or v2")),
            _ => return Err(format!("{name}: unknown option\n{USAGE}")),
        }
    }
    let teu = teu.ok_or_else(|| format!("--teu is missing\n{USAGE}"))?;
    let teu = teu.canonicalize().map_err(|error| format!("{}: {error}", teu.display()))?;
    Ok(Options { teu, rounds, lane })
}

fn demo(options: &Options) -> Result<(), String> {
    let root = may_make_containers();
    if root {
        // A mount namespace of our own: older releases of other runtimes refuse the cgroup mounts of some hybrid machines.
        enter(options.lane).map_err(|error| format!("a mount namespace for the demo: {error}"))?;
    } else {
        say(
            "Not root (uid 0 with CAP_SYS_ADMIN): no container can be made. The plan needs no rights: here it is.\n",
        );
    }
    let work = Work::make().map_err(|error| format!("the demo's folder: {error}"))?;
    let teu = Cli::new("teu", &options.teu, &work.state("teu"));
    plan::show(&teu, &work)?;
    if !root {
        say("\nLeft out, for want of root: the container's life, what it sees, and what the steps cost.");
        return Ok(());
    }
    let report = life::show(&teu, &work)?;
    view::show(&report);
    cost::show(&teu, &work, options.rounds);
    Ok(())
}

fn may_make_containers() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let effective = field("CapEff:").and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let uid = field("Uid:").and_then(|ids| ids.split_whitespace().nth(1));
    uid == Some("0") && effective.is_some_and(|mask| mask >> CAP_SYS_ADMIN & 1 == 1)
}

/// Prints a line. A reader who has seen enough (`| head`) is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
