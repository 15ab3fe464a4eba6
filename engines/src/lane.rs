//! The lane: every case of every client, judged, and the lines that `cargo xt test` reads.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use crate::client::Client;
use crate::clients;
use crate::leftovers;
use crate::record::Corpus;
use crate::sandbox::{HOME, RECORD};
use crate::session::{Fault, Runtime, Session};
use crate::step::Case;

/// Passed, failed, skipped, as the summary of all lanes counts them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Why a case did not pass.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    Failed(String),
    Skipped(String),
}

/// Plays what the filters choose.
pub fn run(rootfs: &Path, filters: &[String], record: bool) -> Result<ExitCode, String> {
    let subject = subject(record);
    let mut corpus = record.then(|| Corpus::new(Path::new(RECORD)));
    let mut totals = Totals::default();
    for client in clients::ALL {
        let wanted = |case: &&Case| {
            let name = full_name(client, case);
            filters.is_empty() || filters.iter().any(|text| name.contains(text.as_str()))
        };
        let cases: Vec<&Case> = client.cases.iter().filter(wanted).collect();
        if !cases.is_empty() {
            let found = play(client, &subject, rootfs, &cases, &mut corpus);
            tell(client, &judge(client, &reference(client), rootfs, found), &mut totals);
        }
    }
    println!("{} passed, {} failed, {} skipped", totals.passed, totals.failed, totals.skipped);
    Ok(if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The runtime that is tried, itself or behind the recorder.
pub fn subject(record: bool) -> Runtime {
    let program = if record { "recorder/teu" } else { "teu" };
    Runtime { name: "teu".to_owned(), path: Path::new(HOME).join(program) }
}

/// The runtime that shows what the machine allows.
pub fn reference(client: &Client) -> Runtime {
    let path = PathBuf::from(client.reference);
    Runtime { name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path }
}

/// What one runtime made of the cases, and what it left behind.
struct Played<'c> {
    results: Vec<(&'c Case, Result<(), Fault>)>,
    clean: Result<(), String>,
}

fn play<'c>(
    client: &Client,
    runtime: &Runtime,
    rootfs: &Path,
    cases: &[&'c Case],
    corpus: &mut Option<Corpus<'_>>,
) -> Played<'c> {
    let before = match leftovers::look(client.keeps) {
        Ok(before) => before,
        Err(error) => return all_fail(cases, &error.to_string()),
    };
    let mut session = match Session::start(client, runtime, rootfs, Path::new(HOME)) {
        Ok(session) => session,
        Err(reason) => return all_fail(cases, &reason),
    };
    let mut results = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let started = Instant::now();
        let result = session.play(case, number);
        session.clean_up(number);
        let result = result.and_then(|()| match corpus {
            Some(corpus) => corpus
                .take(client.name, case.name)
                .map_err(|error| Fault { step: case.steps.len(), why: format!("the corpus: {error}") }),
            None => Ok(()),
        });
        let word = if result.is_ok() { "ok" } else { "no" };
        println!(
            "{} {word} {} ({} ms)",
            runtime.name,
            full_name(client, case),
            started.elapsed().as_millis()
        );
        results.push((*case, result));
    }
    let clean = session.stop().and_then(|()| leftovers::settle(&before, client.keeps));
    Played { results, clean }
}

fn all_fail<'c>(cases: &[&'c Case], reason: &str) -> Played<'c> {
    let fault = || Fault { step: 0, why: reason.to_owned() };
    let results = cases.iter().map(|case| (*case, Err(fault()))).collect();
    Played { results, clean: Ok(()) }
}

/// What failed is played with the reference; what fails there too is not the subject's fault.
fn judge<'c>(
    client: &Client,
    reference: &Runtime,
    rootfs: &Path,
    found: Played<'c>,
) -> Vec<(&'c str, Result<(), Trouble>)> {
    let failed: Vec<&Case> = found.results.iter().filter(|one| one.1.is_err()).map(|one| one.0).collect();
    let mut control = if failed.is_empty() {
        Vec::new()
    } else {
        play(client, reference, rootfs, &failed, &mut None).results
    };
    let mut verdicts: Vec<_> = found
        .results
        .into_iter()
        .map(|(case, result)| {
            (case.name, result.map_err(|fault| trouble(fault, control.remove(0).1.err(), reference)))
        })
        .collect();
    verdicts.push(("nothing_is_left_behind", found.clean.map_err(Trouble::Failed)));
    verdicts
}

/// Only what goes wrong at the same step is the same trouble.
fn trouble(fault: Fault, control: Option<Fault>, reference: &Runtime) -> Trouble {
    let name = &reference.name;
    match control {
        None => Trouble::Failed(fault.to_string()),
        Some(same) if same.step == fault.step => {
            Trouble::Skipped(format!("{name} cannot either, in the same place: {same}; teu: {}", fault.why))
        }
        Some(other) => Trouble::Failed(format!("{fault}; {name} at another: {other}")),
    }
}

fn tell(client: &Client, verdicts: &[(&str, Result<(), Trouble>)], totals: &mut Totals) {
    for (name, verdict) in verdicts {
        match verdict {
            Ok(()) => totals.passed += 1,
            Err(Trouble::Failed(why)) => {
                println!("FAIL {}::{name}: {why}", client.name);
                totals.failed += 1;
            }
            Err(Trouble::Skipped(why)) => {
                println!("skip {}::{name}: {why}", client.name);
                totals.skipped += 1;
            }
        }
    }
}

fn full_name(client: &Client, case: &Case) -> String {
    format!("{}::{}", client.name, case.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_reference_cannot_do_at_the_same_step_is_a_skip() {
        let reference = Runtime { name: "runc".to_owned(), path: PathBuf::from("/runc") };
        let fault = |step| Fault { step, why: format!("no {step}") };
        let judge = |control| trouble(fault(2), control, &reference);
        assert_eq!(judge(None), Trouble::Failed("step 2: no 2".to_owned()));
        assert_eq!(
            judge(Some(fault(1))),
            Trouble::Failed("step 2: no 2; runc at another: step 1: no 1".to_owned())
        );
        assert!(matches!(judge(Some(fault(2))), Trouble::Skipped(_)));
    }
}
