//! The seccomp compiler: what Docker's default profile costs to compile, and what a filtered call costs, beside the program
//! that libseccomp makes of the same profile and beside no filter.
//!
//! Each loop runs in a thread of its own, because a thread never gets rid of its filter. The first call is one that a profile
//! always allows, which the kernel remembers; the second is allowed by its argument, so that the program runs each time.

use std::thread;
use std::time::Instant;

use teu::seccomp::{NATIVE, compile};

use crate::failure::{Result, refuse};
use crate::run::Run;
use crate::section::Section;
use crate::stats::Samples;
use crate::sys;
use crate::table::{Table, number, ratio};

const SECTION: Section = Section::Seccomp;

/// Docker's default profile, as an engine writes it.
pub const PROFILE: &str = include_str!("../../libcontainer/tests/profiles/docker.json");
/// Words in hexadecimal, each an instruction; written by the tests.
const LIBSECCOMPS: &str = include_str!("../../libcontainer/tests/profiles/docker.libseccomp");

const COMPILES: usize = 20;
const LOOPS: u32 = 100_000;
const NANOSECONDS: f64 = 1e9;

/// The filter of a loop.
const CONTENDERS: [&str; 3] = ["no filter", "teu", "libseccomp"];
/// The measure of compiling, in microseconds.
const COMPILE: &str = "compile";
/// The measures of one call, in nanoseconds.
const CALLS: [(&str, fn()); 2] = [("getppid", sys::getppid), ("personality", sys::personality)];

/// Compiles, and runs the loops of all filters in an order that rotates.
pub fn measure(run: &Run, samples: &mut Samples) -> Result<()> {
    let profile = serde_json::from_str(PROFILE)?;
    let ours = compile(&profile, NATIVE)?.insns;
    let theirs: std::result::Result<Vec<u64>, _> =
        LIBSECCOMPS.lines().map(|word| u64::from_str_radix(word, 16)).collect();
    let filters = [Vec::new(), ours, theirs?];
    for round in 0..=run.rounds {
        let mut scratch = Samples::default();
        let into = if round == 0 { &mut scratch } else { &mut *samples };
        for _ in 0..COMPILES {
            let start = Instant::now();
            let filter = compile(&profile, NATIVE)?;
            into.time(SECTION, "teu", COMPILE, start.elapsed());
            drop(filter);
        }
        for turn in 0..CONTENDERS.len() {
            let index = (round + turn) % CONTENDERS.len();
            let (Some(name), Some(filter)) = (CONTENDERS.get(index), filters.get(index)) else { continue };
            for (measure, took) in loops(filter)? {
                into.add(SECTION, name, measure, took);
            }
        }
    }
    Ok(())
}

/// Nanoseconds of one call, for each measure.
fn loops(filter: &[u64]) -> Result<Vec<(&'static str, f64)>> {
    let looped = thread::scope(|scope| {
        let thread = scope.spawn(|| -> std::io::Result<Vec<(&'static str, f64)>> {
            if !filter.is_empty() {
                sys::load_filter(filter)?;
            }
            let timed = |call: fn()| {
                let start = Instant::now();
                (0..LOOPS).for_each(|_| call());
                start.elapsed().as_secs_f64() * NANOSECONDS / f64::from(LOOPS)
            };
            Ok(CALLS.into_iter().map(|(measure, call)| (measure, timed(call))).collect())
        });
        thread.join()
    });
    match looped {
        Ok(times) => Ok(times?),
        Err(_) => refuse("a loop panicked"),
    }
}

/// What was measured.
pub fn table(samples: &Samples) -> Table {
    let heading = ["", "compile (us)", "getppid (ns)", "/libseccomp", "personality (ns)", "/libseccomp"];
    let mut table = Table::new("Docker's seccomp profile: median", heading.map(Into::into).into());
    let median = |name, measure| samples.median(SECTION, name, measure);
    for name in CONTENDERS.into_iter().filter(|name| median(name, "getppid").is_some()) {
        let mut cells = vec![number(median(name, COMPILE))];
        for (measure, _) in CALLS {
            let took = median(name, measure);
            cells.extend([number(took), ratio(took, median("libseccomp", measure))]);
        }
        table.row(name, cells);
    }
    table
}
