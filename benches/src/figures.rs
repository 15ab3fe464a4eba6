//! The figures teu promises, each a value of this run against its bound.

use serde::Serialize;

use crate::calls::CALLS;
use crate::engine;
use crate::hosts::{BIG_C, BY_C, IN_RUST};
use crate::inprocess::PHASES;
use crate::memory::LEAST;
use crate::native;
use crate::one::{CYCLE, EXEC, IN_PROCESS, SPAWN, TRUE, VERSION};
use crate::parked::MEASURES;
use crate::run::OURS;
use crate::scale::{self, LEVELS};
use crate::section::Section;
use crate::stats::{Samples, Summary};

const BIG_HEAP: &str = "teu in-process, 1 GiB heap";

/// A promise: at most `bound`.
#[derive(Serialize)]
pub struct Figure {
    /// What is promised.
    pub name: String,
    /// At most this.
    pub bound: f64,
    /// What was measured; none if it was not.
    pub value: Option<f64>,
    /// For times, the same of their tenth percentiles: what other work on the machine disturbs least.
    pub quiet: Option<f64>,
    /// KiB, us, or nothing for a ratio.
    pub unit: &'static str,
}

impl Figure {
    /// Kept, missed, or not measured.
    pub fn verdict(&self) -> &'static str {
        match self.value {
            Some(value) if value <= self.bound => "PASS",
            Some(_) => "MISS",
            None => "none",
        }
    }

    /// How far the value lies from the bound, as a sentence.
    pub fn distance(&self) -> String {
        let Some(value) = self.value else { return "not measured in this run".into() };
        let percent = (value / self.bound - 1.0) * 100.0;
        if percent <= 0.0 { format!("{:.0} % below", -percent) } else { format!("{percent:.0} % above") }
    }
}

/// All figures, from what was measured.
pub fn figures(samples: &Samples) -> Vec<Figure> {
    let mut figures = command_figures(samples);
    figures.extend(in_process_figures(samples));
    figures.extend(c_figures(samples));
    figures.extend(engine_figures(samples));
    figures.extend(native_figures(samples));
    figures.extend(weight_figures(samples));
    figures.extend(scale_figures(samples));
    figures
}

fn command_figures(samples: &Samples) -> Vec<Figure> {
    let rows = [
        (CYCLE, "create+state+start+delete by CLI, to crun's", 0.25, ("crun", CYCLE)),
        ("run", "run by CLI, to crun's", 0.35, ("crun", "run")),
        ("state", "state by CLI, to crun's", 0.3, ("crun", "state")),
        (EXEC, "exec by CLI, to crun's", 0.3, ("crun", EXEC)),
        (EXEC, "exec by CLI, to runc's", 0.15, ("runc", EXEC)),
        (VERSION, "--version, to the machine's true", 1.2, (SPAWN, TRUE)),
    ];
    let one = |contender, measure| samples.summary(Section::One, contender, measure);
    rows.map(|(measure, name, bound, (other, same))| ratio(name, bound, one(OURS, measure), one(other, same)))
        .into()
}

fn in_process_figures(samples: &Samples) -> Vec<Figure> {
    let cycle = |contender| samples.summary(Section::One, contender, CYCLE);
    let ours = cycle(IN_PROCESS);
    vec![
        ratio("in-process cycle, to floor-full (what the config asks for)", 1.15, ours, cycle("floor-full")),
        ratio("in-process cycle, to floor-gated (the same in two steps)", 1.15, ours, cycle("floor-gated")),
        ratio("in-process cycle, to floor (its bare part)", 1.15, ours, cycle("floor")),
        ratio("in-process cycle with a 1 GiB heap, to the empty one's", 1.1, cycle(BIG_HEAP), ours),
    ]
}

fn c_figures(samples: &Samples) -> Vec<Figure> {
    let host = |contender, measure| samples.summary(Section::Hosts, contender, measure);
    let mut figures = vec![
        ratio("cycle by C, to Rust's that reads its config", 1.02, host(BY_C, CYCLE), host(IN_RUST, CYCLE)),
        ratio(
            "create by C with a 1 GiB heap, to the empty one's",
            1.1,
            host(BIG_C, PHASES[0]),
            host(BY_C, PHASES[0]),
        ),
    ];
    figures.extend(CALLS.into_iter().zip([30.0, 20.0, 150.0]).map(|(call, bound)| {
        let took = samples.summary(Section::Calls, BY_C, call);
        let (value, quiet) = (took.map(|took| took.median), took.map(|took| took.p10));
        Figure { name: format!("{call} by C"), bound, value, quiet, unit: "us" }
    }));
    figures
}

/// The plan and single calls are promises in microseconds: nobody else has a plan to compare it with.
fn engine_figures(samples: &Samples) -> Vec<Figure> {
    let summary = |contender, measure| samples.summary(Section::Engine, contender, measure);
    let plan = summary(OURS, engine::CALLS[1]);
    let name = "plan of an engine's config, in-process, with a new Runtime".into();
    let (value, quiet) = (plan.map(|plan| plan.median), plan.map(|plan| plan.p10));
    let create = [OURS, "crun"].map(|contender| summary(contender, engine::CREATE));
    vec![
        Figure { name, bound: 400.0, value, quiet, unit: "us" },
        ratio("create with an engine's config by CLI, to crun's", 0.35, create[0], create[1]),
    ]
}

fn native_figures(samples: &Samples) -> Vec<Figure> {
    let of = |contender, measure| samples.summary(Section::Native, contender, measure);
    let [first, last] = native::DELETES;
    vec![
        ratio(
            "create on the machine's own layout, to crun's",
            0.5,
            of(OURS, native::CREATE),
            of("crun", native::CREATE),
        ),
        ratio("pause and resume there, to crun's", 0.3, of(OURS, native::PAUSE), of("crun", native::PAUSE)),
        ratio("the last of 1,000 deletes, to the first", 1.2, of(OURS, last), of(OURS, first)),
    ]
}

fn weight_figures(samples: &Samples) -> Vec<Figure> {
    let parked = |measure| samples.median(Section::Parked, OURS, measure);
    let least = samples.median(Section::Memory, OURS, LEAST);
    let rows = [
        ("init program", 64.0, parked(MEASURES[2])),
        ("Pss of a created container's init", 128.0, parked(MEASURES[0])),
        ("least memory limit that starts a program", 512.0, least),
    ];
    rows.map(|(name, bound, value)| Figure { name: name.into(), bound, value, quiet: None, unit: "KiB" })
        .into()
}

fn scale_figures(samples: &Samples) -> Vec<Figure> {
    let at = |verb, level| samples.summary(Section::Scale, OURS, &scale::among(verb, level));
    let last = LEVELS[LEVELS.len() - 1];
    let mut figures = Vec::new();
    for verb in scale::VERBS {
        let highest = LEVELS.into_iter().rev().find(|level| *level > 1 && at(verb, *level).is_some());
        let level = highest.unwrap_or(last);
        let note = if level == last { "" } else { " (5,000 is not in this run)" };
        let name = format!("{verb} beside {level} containers, to beside 1{note}");
        figures.push(ratio(&name, 1.2, at(verb, level), at(verb, 1)));
    }
    figures
}

fn ratio(name: &str, bound: f64, ours: Option<Summary>, to: Option<Summary>) -> Figure {
    let over = |part: fn(Summary) -> f64| ours.zip(to).map(|(ours, to)| part(ours) / part(to));
    let (value, quiet) = (over(|summary| summary.median), over(|summary| summary.p10));
    Figure { name: name.into(), bound, value, quiet, unit: "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(ours: f64, crun: f64) -> Samples {
        let mut samples = Samples::default();
        samples.add(Section::One, OURS, "state", ours);
        samples.add(Section::One, "crun", "state", crun);
        samples
    }

    fn verdict(samples: &Samples) -> &'static str {
        let figures = figures(samples);
        figures.iter().find(|figure| figure.name.starts_with("state by")).unwrap().verdict()
    }

    #[test]
    fn a_figure_is_missed_just_above_its_bound() {
        assert_eq!(verdict(&with(30.0, 100.0)), "PASS");
        assert_eq!(verdict(&with(30.1, 100.0)), "MISS");
    }

    #[test]
    fn a_figure_without_its_contender_is_not_a_pass() {
        assert_eq!(verdict(&Samples::default()), "none");
    }
}
