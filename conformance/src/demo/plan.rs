//! The plan, with long runs of one kind made short.

use std::fs;

use teu_conformance::driver::Cli;

use crate::say;
use crate::work::Work;

/// Lines of one kind in a row that are shown.
const SHOWN: usize = 2;
/// Characters of a line that are shown.
const WIDTH: usize = 112;

/// Shows the bundle and its plan.
pub fn show(teu: &Cli, work: &Work) -> Result<(), String> {
    let size = |path| fs::metadata(path).map_or(0, |found| found.len());
    say(&format!(
        "The bundle: config.json ({} bytes) and a root with one static program ({} KiB). No image, no network.\n",
        size(work.bundle_dir().join("config.json")),
        size(work.bundle.path("probe")) / 1024
    ));
    let bundle = work.bundle_dir().to_string_lossy();
    let reply = teu.call(&["plan", "--bundle", &bundle, &work.bundle.id]);
    let plan = reply.good().map_err(|why| format!("teu plan: {why}"))?.out;
    say(
        "The plan, decided before the kernel is asked to do anything. Above, what the caller prepares; numbered, what",
    );
    say("init does; at the right, the place in config.json. In full: `teu plan`.\n");
    let lines: Vec<&str> = plan.lines().collect();
    for run in lines.chunk_by(|one, next| kind(one) == kind(next)) {
        let shown = if run.len() == SHOWN + 1 { run.len() } else { SHOWN };
        run.iter().take(shown).for_each(|line| say(&format!("    {}", short(&work.plain(line)))));
        if let (Some(first), Some(more @ 1..)) = (run.first(), run.len().checked_sub(shown)) {
            say(&format!("    ..  {more} more {}", kind(first)));
        }
    }
    Ok(())
}

/// A line that fits the screen.
fn short(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or(line)),
        None => line.to_owned(),
    }
}

/// What a line is about: its first word, behind the number if it has one; of a cgroup the second.
fn kind(line: &str) -> &str {
    let mut words = line.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some("cgroup"), Some(second)) => second,
        (Some(first), Some(second)) if first.starts_with(|c: char| c.is_ascii_digit()) => second,
        (first, _) => first.unwrap_or_default(),
    }
}
