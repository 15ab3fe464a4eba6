//! What a run prints: a table per section, the figures, and what could not be measured.

use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::utsname::uname;
use serde_json::json;

use crate::calls;
use crate::concurrency::{self, CALLERS};
use crate::engine;
use crate::failure::Result;
use crate::figures::{Figure, figures};
use crate::hosts;
use crate::inprocess::PHASES;
use crate::memory::LEAST;
use crate::native;
use crate::one::{self, CYCLE, EXEC, VERSION};
use crate::parked;
use crate::run::{OURS, Run};
use crate::scale::{self, LEVELS};
use crate::seccomp;
use crate::section::Section;
use crate::stats::Samples;
use crate::table::{Table, number, ratio};

const VERBS: [&str; 9] = ["create", "state", "start", EXEC, "kill", "delete", "run", VERSION, CYCLE];

/// Prints everything, and writes the JSON if there is a file for it.
pub fn publish(run: &Run, samples: &Samples, json: Option<File>) -> Result<()> {
    let figures = figures(samples);
    println!("{}", machine(run));
    let tables = [
        whole(run, samples),
        phases(samples),
        hosts(samples),
        single_calls(samples),
        commands(run, samples),
        planning(samples),
        engines(run, samples),
        native(run, samples),
        parked(run, samples),
        callers(run, samples),
        crowd(run, samples),
        seccomp::table(samples),
    ];
    for table in tables.iter().filter(|table| !table.is_empty()) {
        println!("{table}");
    }
    println!("{}", promises(&figures));
    for (what, why) in samples.failures() {
        println!("not measured: {what}: {why}");
    }
    json.map_or(Ok(()), |file| write(run, samples, &figures, file))
}

fn machine(run: &Run) -> String {
    let kernel = uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let versions: Vec<String> =
        run.runtimes.iter().filter_map(|runtime| runtime.version().ok()).filter(|v| !v.is_empty()).collect();
    let mode = if run.quick { "quick" } else { "full" };
    format!("Linux {kernel}, {cpus} cpus, {mode}, {} rounds; {}\n", run.rounds, versions.join(", "))
}

/// Every way to make one whole container, beside the floors and the incumbents.
fn whole(run: &Run, samples: &Samples) -> Table {
    let heading =
        ["", "median", "p10", "p90", "n", "/floor", "/floor-full", "/floor-gated", "/crun", "/runc"];
    let mut table = Table::new("One container, from nothing to nothing (us)", heading.map(Into::into).into());
    let median = |name| samples.median(Section::One, name, CYCLE);
    let names = [one::SPAWN].into_iter().chain(one::WORKERS.map(|(name, _)| name));
    for name in names.chain(run.runtimes.iter().map(|runtime| runtime.name.as_str())) {
        let Some(summary) = samples.summary(Section::One, name, CYCLE) else { continue };
        let numbers = [summary.median, summary.p10, summary.p90].map(|value| number(Some(value)));
        let mut cells: Vec<String> = numbers.into();
        cells.push(summary.count.to_string());
        let others = ["floor", "floor-full", "floor-gated", "crun", "runc"];
        cells.extend(others.map(|other| ratio(Some(summary.median), median(other))));
        table.row(label(run, name), cells);
    }
    table
}

/// Where the time of the library goes.
fn phases(samples: &Samples) -> Table {
    let mut heading = vec![String::new()];
    heading.extend(PHASES.map(Into::into));
    let mut table = Table::new("Calls of the library: median (us)", heading);
    for (name, _) in one::WORKERS {
        let phases = PHASES.map(|phase| samples.median(Section::One, name, phase));
        if phases.iter().any(Option::is_some) {
            table.row(name, phases.map(number));
        }
    }
    table
}

/// Hosts in Rust and C, and where their time goes.
fn hosts(samples: &Samples) -> Table {
    let mut heading: Vec<String> = ["", "median", "p10", "p90", "n"].map(Into::into).into();
    heading.extend(PHASES.map(Into::into));
    let mut table = Table::new("Hosts in turn, one container: (us)", heading);
    for (name, _) in hosts::HOSTS {
        let Some(summary) = samples.summary(Section::Hosts, name, CYCLE) else { continue };
        let mut cells: Vec<String> =
            [summary.median, summary.p10, summary.p90].map(|value| number(Some(value))).into();
        cells.push(summary.count.to_string());
        cells.extend(PHASES.map(|phase| number(samples.median(Section::Hosts, name, phase))));
        table.row(name, cells);
    }
    table
}

fn single_calls(samples: &Samples) -> Table {
    let mut heading = vec![String::new()];
    heading.extend(calls::CALLS.map(Into::into));
    let mut table = Table::new("Single calls of the library: median (us)", heading);
    for (name, _) in calls::CALLERS {
        let medians = calls::CALLS.map(|call| samples.median(Section::Calls, name, call));
        if medians.iter().any(Option::is_some) {
            table.row(name, medians.map(number));
        }
    }
    table
}

fn label(run: &Run, name: &str) -> String {
    match name {
        one::SPAWN => "spawn of the program alone".into(),
        name if run.runtimes.iter().any(|runtime| runtime.name == name) => {
            format!("{name} create+state+start+delete")
        }
        name => name.into(),
    }
}

fn commands(run: &Run, samples: &Samples) -> Table {
    let rows = VERBS.map(|verb| (verb.to_owned(), verb.to_owned()));
    compare("One command, spawn to exit: median [p10-p90] (us)", run, samples, Section::One, &rows)
}

fn planning(samples: &Samples) -> Table {
    let mut table =
        Table::new("An engine's config in-process: median (us)", ["", "time"].map(Into::into).into());
    for call in engine::CALLS {
        if let Some(took) = samples.median(Section::Engine, OURS, call) {
            table.row(call, [number(Some(took))]);
        }
    }
    table
}

fn engines(run: &Run, samples: &Samples) -> Table {
    let rows = [(engine::CREATE.to_owned(), engine::CREATE.to_owned())];
    compare("With an engine's config: median [p10-p90] (us)", run, samples, Section::Engine, &rows)
}

fn native(run: &Run, samples: &Samples) -> Table {
    let measures = [native::CREATE, native::PAUSE, native::DELETE, native::DELETES[0], native::DELETES[1]];
    let rows = measures.map(|measure| (measure.to_owned(), measure.to_owned()));
    let title = "One command, or two, on the machine's own cgroup layout: median [p10-p90] (us)";
    compare(title, run, samples, Section::Native, &rows)
}

fn crowd(run: &Run, samples: &Samples) -> Table {
    let mut rows = Vec::new();
    for verb in scale::VERBS {
        for level in LEVELS {
            rows.push((scale::among(verb, level), format!("{verb} beside {level}")));
            rows.push((scale::apart(verb, level), format!("{verb} beside {level} of another root")));
        }
    }
    compare("Live containers: median [p10-p90] (us)", run, samples, Section::Scale, &rows)
}

/// Measures of all runtimes side by side, then ours over each incumbent's; only rows that ran.
fn compare(title: &str, run: &Run, samples: &Samples, section: Section, rows: &[(String, String)]) -> Table {
    let names: Vec<&str> = run.runtimes.iter().map(|runtime| runtime.name.as_str()).collect();
    let others: Vec<&str> =
        names.iter().copied().filter(|name| *name != OURS && names.contains(&OURS)).collect();
    let mut heading = vec![String::new()];
    heading.extend(names.iter().map(|name| (*name).to_owned()));
    heading.extend(others.iter().map(|other| format!("{OURS}/{other}")));
    let mut table = Table::new(title, heading);
    for (measure, label) in rows {
        let median = |name| samples.median(section, name, measure);
        if names.iter().all(|name| median(name).is_none()) {
            continue;
        }
        let mut cells: Vec<String> =
            names.iter().map(|name| spread(samples, section, name, measure)).collect();
        cells.extend(others.iter().map(|other| ratio(median(OURS), median(other))));
        table.row(label, cells);
    }
    table
}

fn spread(samples: &Samples, section: Section, name: &str, measure: &str) -> String {
    samples.summary(section, name, measure).map_or_else(
        || "-".into(),
        |s| format!("{} [{}-{}]", number(Some(s.median)), number(Some(s.p10)), number(Some(s.p90))),
    )
}

fn parked(run: &Run, samples: &Samples) -> Table {
    let mut heading = vec![String::new()];
    heading.extend(parked::MEASURES.map(Into::into));
    heading.push("least limit that starts".into());
    let mut table = Table::new("A created container's init, and memory limits (KiB)", heading);
    for runtime in &run.runtimes {
        let mut values: Vec<Option<f64>> =
            parked::MEASURES.map(|measure| samples.median(Section::Parked, &runtime.name, measure)).into();
        values.push(samples.median(Section::Memory, &runtime.name, LEAST));
        if values.iter().any(Option::is_some) {
            table.row(&runtime.name, values.into_iter().map(number));
        }
    }
    table
}

fn callers(run: &Run, samples: &Samples) -> Table {
    let measured = |callers: &usize| {
        samples.median(Section::Concurrency, concurrency::FLOOR, &callers.to_string()).is_some()
    };
    let callers: Vec<usize> = CALLERS.into_iter().filter(measured).collect();
    let mut heading = vec![String::new()];
    heading.extend(callers.iter().map(|callers| format!("{callers} callers")));
    let mut table = Table::new("Whole containers a second", heading);
    let names = [concurrency::FLOOR, one::IN_PROCESS];
    for name in names.into_iter().chain(run.runtimes.iter().map(|runtime| runtime.name.as_str())) {
        let rate = |callers: &usize| samples.median(Section::Concurrency, name, &callers.to_string());
        if callers.iter().any(|callers| rate(callers).is_some()) {
            table.row(name, callers.iter().map(|callers| number(rate(callers))));
        }
    }
    table
}

fn promises(figures: &[Figure]) -> Table {
    let heading = ["", "at most", "measured", "", "from the bound", "at p10"].map(Into::into);
    let mut table = Table::new("Figures", heading.into());
    for figure in figures {
        let shown = |value: f64| match figure.unit {
            "" => format!("{value:.2} x"),
            unit => format!("{} {unit}", number(Some(value))),
        };
        let quiet = figure.quiet.map_or_else(|| "-".into(), shown);
        let value = figure.value.map_or_else(|| "-".into(), shown);
        table.row(
            &figure.name,
            [shown(figure.bound), value, figure.verdict().into(), figure.distance(), quiet],
        );
    }
    table
}

fn write(run: &Run, samples: &Samples, figures: &[Figure], file: File) -> Result<()> {
    let when = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let report = json!({
        "version": 1,
        "seconds": when,
        "machine": machine(run).trim(),
        "quick": run.quick,
        "figures": figures,
        "samples": samples.lines(),
        "failures": samples.failures(),
    });
    Ok(serde_json::to_writer_pretty(file, &report)?)
}
