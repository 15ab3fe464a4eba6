//! Runs behaviours through one driver, each inside the host oracle.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::coverage::{Fields, Mute, Recorder};
use crate::ctx::Ctx;
use crate::driver::Driver;
use crate::host::{Host, Need};
use crate::oracle::{self, Scope, Snapshot};
use crate::suite::Test;
use crate::{Outcome, Trouble};

/// How one behaviour went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The suite and the name of the test.
    pub test: String,
    /// The outcome.
    pub outcome: Outcome,
    /// How long it took, the oracle included.
    pub took: Duration,
    /// The fields of the specification that it set.
    pub fields: Fields,
}

/// What to run.
pub struct Run<'a> {
    /// The machine.
    pub host: &'a Host,
    /// Trees that must not change, beside the host's own.
    pub canaries: &'a [PathBuf],
    /// The behaviours, in order.
    pub tests: &'a [Test],
    /// Let behaviours whose needs are missing tell what they would set.
    pub rehearse: bool,
    /// Is told each finding as it is made.
    pub told: &'a dyn Fn(&Finding),
}

/// Runs the tests in order, reporting each as it ends.
pub fn run(driver: &dyn Driver, run: &Run<'_>) -> io::Result<Vec<Finding>> {
    let scope = Scope::of(run.host, driver.root(), run.canaries);
    let mut findings = Vec::new();
    for (number, test) in run.tests.iter().enumerate() {
        let started = Instant::now();
        let dir = run.host.work.join(format!("{}-{number}", driver.name()));
        let (outcome, fields) = match missing(driver, run.host, test.needs) {
            Some(reason) if run.rehearse => {
                let mute = Mute(driver);
                let fields = guarded(&mute, run.host, &scope, test, dir).map(|(_, fields)| fields);
                (Err(Trouble::Skipped(reason)), fields.unwrap_or_default())
            }
            Some(reason) => (Err(Trouble::Skipped(reason)), Fields::default()),
            // A machine that cannot even be looked at is this test's doing, and no reason to lose the others.
            None => guarded(driver, run.host, &scope, test, dir).unwrap_or_else(|error| {
                (Err(format!("the harness itself: {error}").into()), Fields::default())
            }),
        };
        let finding = Finding { test: test.full_name(), outcome, took: started.elapsed(), fields };
        (run.told)(&finding);
        findings.push(finding);
    }
    Ok(findings)
}

fn missing(driver: &dyn Driver, host: &Host, needs: &[Need]) -> Option<String> {
    if needs.contains(&Need::Cli) && driver.cli().is_none() {
        return Some("the driver is not a command line".into());
    }
    if needs.contains(&Need::Library) && driver.cli().is_some() {
        return Some("a command line has no such option".into());
    }
    needs.iter().find_map(|need| host.missing(*need))
}

fn guarded(
    driver: &dyn Driver,
    host: &Host,
    scope: &Scope,
    test: &Test,
    dir: PathBuf,
) -> io::Result<(Outcome, Fields)> {
    fs::create_dir(&dir)?;
    fs::create_dir_all(driver.root())?;
    let before = scope.look()?;
    let recorder = Recorder::new(driver);
    let outcome = catch_unwind(AssertUnwindSafe(|| (test.body)(&Ctx::new(&recorder, host, dir.clone()))));
    let outcome = outcome.unwrap_or_else(|_| Err("the test itself panicked".into()));
    let left = leftovers(scope, &before)?;
    if !left.is_empty() {
        scope.clean(&before)?;
        host.replant()?;
    }
    let fields = recorder.fields(&dir, outcome.is_ok());
    fs::remove_dir_all(&dir)?;
    Ok((with_leftovers(outcome, &left), fields))
}

fn with_leftovers(outcome: Outcome, left: &[String]) -> Outcome {
    match (outcome, left.is_empty()) {
        (Err(Trouble::Failed(text)), true) if not_yet(&text).is_some() => {
            Err(Trouble::Skipped(not_yet(&text).unwrap_or_default()))
        }
        (outcome, true) => outcome,
        (Ok(()) | Err(Trouble::Skipped(_)), false) => Err(left.join("; ").into()),
        (Err(Trouble::Failed(text) | Trouble::Worded(text)), false) => {
            Err(format!("{text}; and {}", left.join("; ")).into())
        }
    }
}

/// What a runtime says of itself that it cannot do yet: a gap that is counted as skipped with these words, and not as a defect.
fn not_yet(text: &str) -> Option<String> {
    let end = text.find(" is not supported yet by this build")?;
    let start = text[..end].rfind(": ").map_or(0, |at| at + 2);
    Some(format!("refused by the runtime: {} is not supported yet", text[start..end].trim()))
}

/// What the test left behind.
fn leftovers(scope: &Scope, before: &Snapshot) -> io::Result<Vec<String>> {
    oracle::settle()?;
    Ok(before.changes(&scope.look()?))
}

#[cfg(test)]
mod tests {
    use super::not_yet;

    #[test]
    fn a_refusal_of_what_a_runtime_cannot_do_yet_is_told_from_a_failure() {
        let refusal = "exit code 1: time=\"x\" level=error msg=\"teu run failed: linux.hooks is not supported yet by this build (config.json: /hooks)\"";
        assert_eq!(
            not_yet(refusal).as_deref(),
            Some("refused by the runtime: linux.hooks is not supported yet")
        );
        assert_eq!(not_yet("exit code 1: permission denied"), None);
    }
}
