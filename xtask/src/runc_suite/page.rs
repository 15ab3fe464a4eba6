//! The page: the hand-written part of it stays, the tables behind the marker are made from the logs.

use super::reasons::{self, Row};
use super::tap::{self, Test, Verdict};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The views of cgroups: this machine's own, and one with cgroup v2 alone.
pub const VIEWS: [&str; 2] = ["native", "v2"];

/// The columns' runtimes.
const RUNTIMES: [&str; 2] = ["runc", "teu"];

const MARKER: &str = "<!-- Below this line: written by `cargo xt runc-suite --page`. -->\n";

/// Writes the tables. An outcome that nothing explains is an error, after the page is written.
pub fn write(page: &Path, logs: &Path) -> Result<(), String> {
    let old = fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
    let (head, _) = old.split_once(MARKER).ok_or_else(|| format!("{} has no marker line", page.display()))?;
    let files = load(logs);
    let mut text = format!("{head}{MARKER}\n{}", totals(&files));
    let mut unexplained = 0;
    for (name, rows) in &files {
        unexplained += table(&mut text, name, rows);
    }
    fs::write(page, text).map_err(|error| format!("{}: {error}", page.display()))?;
    match unexplained {
        0 => Ok(()),
        count => Err(format!("{count} outcomes are not explained in xtask/src/runc_suite/reasons.rs")),
    }
}

/// Every file of tests with its rows: a title and one outcome for each column.
fn load(logs: &Path) -> Vec<(String, Vec<Row>)> {
    let columns: Vec<_> =
        VIEWS.iter().flat_map(|view| RUNTIMES.map(|runtime| logs.join(view).join(runtime))).collect();
    let names: BTreeSet<String> = columns.iter().flat_map(|dir| tap_files(dir)).collect();
    let rows = |name: &String| {
        let columns: Vec<Vec<Test>> =
            columns.iter().map(|dir| tests(&dir.join(format!("{name}.tap")))).collect();
        (name.clone(), merge(&columns))
    };
    names.iter().map(rows).collect()
}

fn tap_files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter_map(|name| name.strip_suffix(".tap").map(str::to_owned)).collect()
}

fn tests(log: &Path) -> Vec<Test> {
    fs::read(log).map(|bytes| tap::read(&String::from_utf8_lossy(&bytes))).unwrap_or_default()
}

fn merge(columns: &[Vec<Test>]) -> Vec<Row> {
    let count = columns.iter().map(Vec::len).max().unwrap_or(0);
    let row = |number: usize| {
        let found: Vec<_> =
            columns.iter().map(|tests| tests.iter().find(|test| test.number == number)).collect();
        let title = found.iter().flatten().map(|test| test.title.clone()).find(|title| !title.is_empty());
        let verdicts = found.iter().map(|test| test.map(|test| test.verdict.clone())).collect();
        Row { number, title: title.unwrap_or_default(), verdicts }
    };
    (1..=count).map(row).collect()
}

fn totals(files: &[(String, Vec<Row>)]) -> String {
    let mut text = String::from("| | passed | failed | n.a. |\n|---|---|---|---|\n");
    let columns = VIEWS.iter().flat_map(|view| RUNTIMES.map(|runtime| format!("{runtime}, {view} view")));
    for (column, name) in columns.enumerate() {
        let verdicts: Vec<_> = files
            .iter()
            .flat_map(|(_, rows)| rows)
            .filter_map(|row| row.verdicts.get(column)?.clone())
            .collect();
        let count = |word: &str| verdicts.iter().filter(|verdict| cell(Some(verdict)) == word).count();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {name} | {} | {} | {} |", count("pass"), count("**fail**"), count("n.a."));
    }
    text
}

/// Appends the table of one file; tells how many outcomes have no explanation.
fn table(text: &mut String, name: &str, rows: &[Row]) -> usize {
    let mut unexplained = 0;
    let _ = writeln!(text, "\n### {name}\n\n| # | test | runc | teu | runc v2 | teu v2 | why |");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for row in rows {
        let why = match reasons::why(name, row) {
            Some(why) => why,
            None if row.needs_reason() => {
                unexplained += 1;
                println!("    {name} {} {:?}: not explained", row.number, row.title);
                "not explained".to_owned()
            }
            None => String::new(),
        };
        let cells: Vec<_> = row.verdicts.iter().map(|verdict| cell(verdict.as_ref())).collect();
        let title = row.title.replace('|', "\\|");
        let _ = writeln!(text, "| {} | {title} | {} | {why} |", row.number, cells.join(" | "));
    }
    unexplained
}

fn cell(verdict: Option<&Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Pass) => "pass",
        Some(Verdict::Fail | Verdict::Unfinished) => "**fail**",
        Some(Verdict::Skip(_)) => "n.a.",
        None => "-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(dir: &Path, column: &str, text: &str) {
        fs::create_dir_all(dir.join(column)).unwrap();
        fs::write(dir.join(column).join("ps.tap"), text).unwrap();
    }

    #[test]
    fn the_page_keeps_its_head_and_counts_what_nothing_explains() {
        let dir = std::env::temp_dir().join(format!("xt-runc-suite-{}", std::process::id()));
        log(&dir, "native/runc", "1..2\nok 1 a|b\nok 2 c # skip test requires systemd\n");
        log(&dir, "native/teu", "1..2\nnot ok 1 a|b\nok 2 c # skip test requires systemd\n");
        let page = dir.join("page.md");
        fs::write(&page, format!("# Head\n{MARKER}old")).unwrap();
        let error = write(&page, &dir).unwrap_err();
        let text = fs::read_to_string(&page).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert!(error.starts_with("1 outcomes"), "{error}");
        assert!(text.starts_with("# Head\n") && !text.contains("old"), "{text}");
        assert!(text.contains("| 1 | a\\|b | pass | **fail** | - | - | not explained |"), "{text}");
        assert!(text.contains("| 2 | c | n.a. | n.a. | - | - | no systemd here |"), "{text}");
        assert!(text.contains("| teu, native view | 0 | 1 | 1 |"), "{text}");
    }
}
