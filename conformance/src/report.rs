//! The parity table, the kept JSON, and the closing line.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::Trouble;
use crate::host::Lane;
use crate::runner::Finding;

/// Everything one run found, a column for each runtime.
#[derive(Debug)]
pub struct Report {
    /// The cgroup layout of the run.
    pub lane: Lane,
    /// Runtimes in the order they ran, each with one finding for each test.
    pub columns: Vec<(String, Vec<Finding>)>,
}

/// Passed, failed and skipped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Behaviours as the contract says.
    pub passed: usize,
    /// Behaviours that differ from it.
    pub failed: usize,
    /// Behaviours that could not be shown.
    pub skipped: usize,
}

impl std::fmt::Display for Totals {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Counts findings.
pub fn totals(findings: &[Finding]) -> Totals {
    let mut all = Totals::default();
    for finding in findings {
        match finding.outcome {
            Ok(()) => all.passed += 1,
            Err(Trouble::Failed(_) | Trouble::Worded(_)) => all.failed += 1,
            Err(Trouble::Skipped(_)) => all.skipped += 1,
        }
    }
    all
}

/// One word for the table; `text` counts as a failure.
pub fn word(finding: &Finding) -> &'static str {
    match finding.outcome {
        Ok(()) => "ok",
        Err(Trouble::Failed(_)) => "FAIL",
        Err(Trouble::Worded(_)) => "text",
        Err(Trouble::Skipped(_)) => "skip",
    }
}

/// What there is to say beyond the word.
pub fn detail(finding: &Finding) -> &str {
    match &finding.outcome {
        Ok(()) => "",
        Err(Trouble::Failed(text) | Trouble::Worded(text) | Trouble::Skipped(text)) => text,
    }
}

impl Report {
    /// One line for each behaviour, one column for each runtime, and the sums.
    pub fn table(&self) -> String {
        let names: Vec<&str> = self
            .columns
            .first()
            .map(|(_, all)| all.iter().map(|one| one.test.as_str()).collect())
            .unwrap_or_default();
        let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut out = format!("{:width$}", format!("parity, {} lane", self.lane_name()));
        for (runtime, _) in &self.columns {
            let _ = write!(out, "  {runtime:>6}");
        }
        for (row, name) in names.iter().enumerate() {
            let _ = write!(out, "\n{name:width$}");
            for (runtime, findings) in &self.columns {
                let _ = write!(out, "  {:>1$}", findings.get(row).map_or("", word), runtime.len().max(6));
            }
        }
        for (runtime, findings) in &self.columns {
            let _ = write!(out, "\n{runtime}: {}", totals(findings));
        }
        out
    }

    /// Failures and skips of one runtime with their reasons.
    pub fn reasons(&self, runtime: &str) -> String {
        let mut out = String::new();
        for finding in self.findings(runtime).iter().filter(|finding| finding.outcome.is_err()) {
            let word = if matches!(finding.outcome, Err(Trouble::Skipped(_))) { "skip" } else { "FAIL" };
            // One line each, for whoever reads them with a program.
            let _ =
                writeln!(out, "{word} {}: {}", finding.test, detail(finding).trim_end().replace('\n', " | "));
        }
        out
    }

    /// The findings of one runtime.
    pub fn findings(&self, runtime: &str) -> &[Finding] {
        self.columns.iter().find(|(name, _)| name == runtime).map_or(&[], |(_, findings)| findings)
    }

    /// The whole report for a file.
    pub fn json(&self) -> Value {
        let finding = |one: &Finding| {
            let micros = u64::try_from(one.took.as_micros()).unwrap_or(u64::MAX);
            json!({ "test": one.test, "result": word(one), "detail": detail(one), "micros": micros })
        };
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|(name, all)| json!({ "runtime": name, "findings": all.iter().map(finding).collect::<Vec<_>>() }))
            .collect();
        json!({ "lane": self.lane_name(), "runtimes": columns })
    }

    fn lane_name(&self) -> &'static str {
        match self.lane {
            Lane::Native => "native",
            Lane::V2 => "v2",
        }
    }
}
