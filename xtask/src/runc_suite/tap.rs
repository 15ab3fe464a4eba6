//! The lines that bats prints for each test (the Test Anything Protocol).

/// What came of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
    /// Not applicable, with the word that the test itself gave.
    Skip(String),
    /// The file was stopped before this test had ended.
    Unfinished,
}

/// One test of a file, in the order of its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    pub number: usize,
    pub title: String,
    pub verdict: Verdict,
}

/// Reads one file's output. A test that was announced by the count and is missing is unfinished.
pub fn read(text: &str) -> Vec<Test> {
    let lines = || text.lines().map(str::trim_end);
    let mut tests: Vec<Test> = lines().filter_map(test).collect();
    let announced = lines().find_map(|line| line.strip_prefix("1..")?.parse::<usize>().ok()).unwrap_or(0);
    for number in 1..=announced {
        if tests.iter().all(|test| test.number != number) {
            tests.push(Test { number, title: String::new(), verdict: Verdict::Unfinished });
        }
    }
    tests.sort_by_key(|test| test.number);
    tests
}

/// `ok 3 TITLE`, `not ok 4 TITLE`, `ok 5 TITLE # skip REASON`.
fn test(line: &str) -> Option<Test> {
    let (passed, rest) = match line.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok ")?),
    };
    let (number, title) = rest.split_once(' ')?;
    let (title, skip) = match title.split_once(" # skip") {
        Some((title, reason)) => (title, Some(reason.trim().to_owned())),
        None => (title, None),
    };
    let verdict = match (skip, passed) {
        (Some(reason), _) => Verdict::Skip(reason),
        (None, true) => Verdict::Pass,
        (None, false) => Verdict::Fail,
    };
    Some(Test { number: number.parse().ok()?, title: title.trim().to_owned(), verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_read_and_a_missing_test_is_unfinished() {
        let text =
            "Script started\r\n1..4\r\nok 1 a b\r\nnot ok 2 c\r\n# why\r\nok 3 d # skip test requires x\r\n";
        let got = read(text);
        let verdicts: Vec<Verdict> = got.iter().map(|test| test.verdict.clone()).collect();
        let skip = Verdict::Skip("test requires x".to_owned());
        assert_eq!(verdicts, [Verdict::Pass, Verdict::Fail, skip, Verdict::Unfinished]);
        assert_eq!((got[0].title.as_str(), got[2].title.as_str()), ("a b", "d"));
    }

    #[test]
    fn output_of_a_test_is_no_test() {
        assert_eq!(read("# ok 1 said a test\nok\nok then\n"), []);
    }
}
