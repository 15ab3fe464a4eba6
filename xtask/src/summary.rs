//! What a lane found, read from the lines it printed, and the one table at the end.
//!
//! Two dialects are read. libtest prints `test NAME ... ignored, REASON` and `test result: ok. N passed; ...`; our own
//! harness prints `skip NAME: REASON`, `FAIL NAME: REASON` and closes with `N passed, N failed, N skipped`.

use crate::Failure;

/// Counts of one lane, with a sentence for each failure and each skip.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub failures: Vec<String>,
    pub skips: Vec<String>,
    /// A closing line was seen. A lane without one did not finish.
    pub closed: bool,
}

impl Tally {
    pub fn pass() -> Tally {
        Tally { passed: 1, closed: true, ..Tally::default() }
    }

    pub fn fail(reason: impl Into<String>) -> Tally {
        Tally { failed: 1, failures: vec![reason.into()], closed: true, ..Tally::default() }
    }

    pub fn skip(reason: impl Into<String>) -> Tally {
        Tally { skipped: 1, skips: vec![reason.into()], closed: true, ..Tally::default() }
    }

    /// One pass or one failure.
    pub fn from_result(result: Result<(), String>) -> Tally {
        result.map_or_else(Tally::fail, |()| Tally::pass())
    }

    /// Adds what another run of the same lane found.
    pub fn add(&mut self, other: Tally) {
        self.close(other.passed, other.failed, other.skipped);
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
    }

    /// Reads one line of a lane's output.
    pub fn read(&mut self, line: &str) {
        if let Some(test) = line.strip_prefix("test ") {
            self.read_libtest(test);
        } else if let Some(skip) = line.strip_prefix("skip ") {
            self.skips.push(skip.trim().to_owned());
        } else if let Some(failure) = line.strip_prefix("FAIL ") {
            self.failures.push(failure.trim().to_owned());
        } else if let Some([passed, failed, skipped]) = closing_line(line) {
            self.close(passed, failed, skipped);
        }
    }

    /// The lane has ended: a bad exit without a counted failure is a failure, and so is silence.
    pub fn end(&mut self, exit: Result<(), String>) {
        let reason = match exit {
            Err(reason) if self.failed == 0 => reason,
            Ok(()) if !self.closed => "it ended without a closing line".to_owned(),
            _ => return,
        };
        self.failed += 1;
        self.failures.push(reason);
    }

    fn read_libtest(&mut self, test: &str) {
        if let Some(counts) = test.strip_prefix("result: ") {
            let count = |what| number_before(counts, what).unwrap_or(0);
            self.close(count(" passed"), count(" failed"), count(" ignored"));
        } else if let Some((name, reason)) = test.split_once(" ... ignored") {
            let reason = reason.strip_prefix(", ").unwrap_or("marked #[ignore] without a reason");
            self.skips.push(format!("{name}: {reason}"));
        } else if let Some(name) = test.strip_suffix(" ... FAILED") {
            self.failures.push(name.to_owned());
        }
    }

    fn close(&mut self, passed: usize, failed: usize, skipped: usize) {
        self.passed += passed;
        self.failed += failed;
        self.skipped += skipped;
        self.closed = true;
    }
}

/// `3 passed, 0 failed, 1 skipped`, alone on its line.
fn closing_line(line: &str) -> Option<[usize; 3]> {
    let mut parts = line.trim().split(", ");
    let mut count = |what| parts.next()?.strip_suffix(what)?.parse().ok();
    let counts = [count(" passed")?, count(" failed")?, count(" skipped")?];
    parts.next().is_none().then_some(counts)
}

fn number_before(text: &str, what: &str) -> Option<usize> {
    let before = text.get(..text.find(what)?)?;
    before.rsplit(' ').next()?.parse().ok()
}

/// All lanes of one command.
#[derive(Default)]
pub struct Summary {
    lanes: Vec<(String, Tally)>,
}

impl Summary {
    pub fn add(&mut self, lane: impl Into<String>, tally: Tally) {
        self.lanes.push((lane.into(), tally));
    }

    /// Prints the table and the last line; a failure if anything failed.
    pub fn finish(&self) -> Result<(), Failure> {
        print!("{}", self.text());
        let clean = self.lanes.iter().all(|(_, tally)| tally.failed == 0);
        if clean { Ok(()) } else { Err(Failure::InSummary) }
    }

    fn text(&self) -> String {
        let mut text = format!("\n{:<16}{:>8}{:>8}{:>8}\n", "lane", "passed", "failed", "skipped");
        for (lane, tally) in &self.lanes {
            text.push_str(&format!("{lane:<16}{:>8}{:>8}{:>8}\n", tally.passed, tally.failed, tally.skipped));
        }
        text.push_str(&self.reasons("failed", |tally| &tally.failures));
        text.push_str(&self.reasons("skipped", |tally| &tally.skips));
        let sum =
            |count: fn(&Tally) -> usize| self.lanes.iter().map(|(_, tally)| count(tally)).sum::<usize>();
        let (passed, failed, skipped) = (sum(|t| t.passed), sum(|t| t.failed), sum(|t| t.skipped));
        text.push_str(&format!("\n{passed} passed, {failed} failed, {skipped} skipped\n"));
        text
    }

    fn reasons(&self, word: &str, reasons: fn(&Tally) -> &Vec<String>) -> String {
        let line = |lane: &str, reason: &String| format!("  {word}: {lane}: {reason}\n");
        self.lanes
            .iter()
            .flat_map(|(lane, tally)| reasons(tally).iter().map(move |r| line(lane, r)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Tally {
        let mut tally = Tally::default();
        lines.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn libtest_results_of_several_binaries_add_up() {
        let tally = read(
            "running 2 tests\ntest a::b ... ok\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
             test c ... FAILED\ntest result: FAILED. 5 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        );
        assert_eq!((tally.passed, tally.failed, tally.skipped), (7, 1, 3));
        assert_eq!(tally.failures, ["c"]);
    }

    #[test]
    fn an_ignored_test_keeps_its_reason() {
        let tally = read("test mounts::x ... ignored, needs root\ntest y ... ignored");
        assert_eq!(tally.skips, ["mounts::x: needs root", "y: marked #[ignore] without a reason"]);
    }

    #[test]
    fn only_the_subject_of_the_conformance_suite_counts() {
        let tally = read(
            "runc FAIL mounts::a (3 ms) EPERM\nparity, v2 lane    teu   runc\nmounts::a           ok   FAIL\n\
             teu: 80 passed, 1 failed, 1 skipped\nrunc: 70 passed, 11 failed, 1 skipped\n\nteu:\n\
             FAIL mounts::b: EBUSY\nskip cgroups::hugetlb: no controller\n\n80 passed, 1 failed, 1 skipped\n",
        );
        assert_eq!((tally.passed, tally.failed, tally.skipped), (80, 1, 1));
        assert_eq!(tally.failures, ["mounts::b: EBUSY"]);
        assert_eq!(tally.skips, ["cgroups::hugetlb: no controller"]);
    }

    #[test]
    fn a_sentence_like_a_closing_line_is_none() {
        assert_eq!(read("so 1 passed, 2 failed\n1 passed, 2 failed, 3 skipped, 4 lost"), Tally::default());
    }

    #[test]
    fn a_lane_that_dies_without_a_closing_line_has_failed() {
        let mut tally = read("test a ... ok");
        tally.end(Err("suite failed: signal 9".to_owned()));
        assert_eq!((tally.failed, tally.failures.len()), (1, 1));
    }

    #[test]
    fn a_lane_that_succeeds_in_silence_has_failed() {
        let mut tally = Tally::default();
        tally.end(Ok(()));
        assert_eq!(tally.failed, 1);
    }

    #[test]
    fn a_bad_exit_is_not_counted_again_when_failures_were_counted() {
        let mut tally = read("3 passed, 2 failed, 0 skipped");
        tally.end(Err("exit 1".to_owned()));
        assert_eq!(tally.failed, 2);
    }

    #[test]
    fn the_last_line_is_the_sum() {
        let mut summary = Summary::default();
        summary.add("unit", read("test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured"));
        summary.add("v2", Tally::skip("needs root"));
        let text = summary.text();
        assert_eq!(text.lines().last(), Some("4 passed, 0 failed, 1 skipped"));
        assert!(text.contains("skipped: v2: needs root"), "{text}");
        assert!(summary.finish().is_ok());
    }

    #[test]
    fn a_failed_lane_fails_the_command() {
        let mut summary = Summary::default();
        summary.add("unit", Tally::fail("x"));
        assert_eq!(summary.finish(), Err(Failure::InSummary));
    }
}
