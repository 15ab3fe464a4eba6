//! Figures by (section, contender, measure), and what is said of them: median and percentiles.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::section::Section;

/// The samples of a run.
#[derive(Default)]
pub struct Samples {
    values: BTreeMap<(Section, String, String), Vec<f64>>,
    failures: BTreeMap<String, String>,
}

/// What is said of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Half of the samples are below.
    pub median: f64,
    /// A tenth of the samples is below.
    pub p10: f64,
    /// A tenth of the samples is above.
    pub p90: f64,
    /// The number of samples.
    pub count: usize,
}

/// One line of the JSON.
#[derive(Serialize)]
pub struct Line<'a> {
    section: Section,
    contender: &'a str,
    measure: &'a str,
    #[serde(flatten)]
    summary: Summary,
}

impl Samples {
    /// Adds one value.
    pub fn add(&mut self, section: Section, contender: &str, measure: &str, value: f64) {
        self.values.entry((section, contender.into(), measure.into())).or_default().push(value);
    }

    /// Adds one time, in microseconds.
    pub fn time(&mut self, section: Section, contender: &str, measure: &str, took: Duration) {
        self.add(section, contender, measure, took.as_secs_f64() * 1e6);
    }

    /// Notes that a contender could not be measured; the first reason stays.
    pub fn fail(&mut self, section: Section, contender: &str, why: &str) {
        self.failures.entry(format!("{} {contender}", section.name())).or_insert_with(|| why.into());
    }

    /// Contenders that could not be measured, and why.
    pub fn failures(&self) -> &BTreeMap<String, String> {
        &self.failures
    }

    /// What is known of a measure.
    pub fn summary(&self, section: Section, contender: &str, measure: &str) -> Option<Summary> {
        self.values.get(&(section, contender.into(), measure.into())).and_then(|values| summary(values))
    }

    /// The median of a measure.
    pub fn median(&self, section: Section, contender: &str, measure: &str) -> Option<f64> {
        self.summary(section, contender, measure).map(|summary| summary.median)
    }

    /// Every measure, for the JSON.
    pub fn lines(&self) -> Vec<Line<'_>> {
        let lines = self.values.iter().filter_map(|((section, contender, measure), values)| {
            summary(values).map(|summary| Line { section: *section, contender, measure, summary })
        });
        lines.collect()
    }
}

fn summary(values: &[f64]) -> Option<Summary> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |percent: usize| sorted.get((sorted.len().saturating_sub(1) * percent + 50) / 100).copied();
    Some(Summary { median: at(50)?, p10: at(10)?, p90: at(90)?, count: sorted.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_do_not_depend_on_the_order_of_samples() {
        let summary = summary(&[11.0, 1.0, 2.0, 3.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0]);
        assert_eq!(summary, Some(Summary { median: 6.0, p10: 2.0, p90: 10.0, count: 11 }));
    }

    #[test]
    fn no_samples_have_no_summary() {
        assert_eq!(summary(&[]), None);
    }
}
