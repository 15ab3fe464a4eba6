//! The plan's first lines.

use std::fs;

use teu_conformance::driver::Cli;

use crate::say;
use crate::work::Work;

/// Lines of each part of the plan that are shown: enough to see its kind.
const HEAD: usize = 6;
const OPS: usize = 14;

/// Shows the bundle and the beginning of its plan.
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
    let (ops, head): (Vec<&str>, Vec<&str>) = plan.lines().partition(|line| is_op(line));
    say("The plan, decided before the kernel is asked to do anything (`teu plan`):\n");
    lines(work, &head, HEAD, "lines of what the caller prepares");
    lines(work, &ops, OPS, "steps of init");
    Ok(())
}

/// A step of init begins with its number.
fn is_op(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_digit())
}

fn lines(work: &Work, lines: &[&str], shown: usize, what: &str) {
    for line in lines.iter().take(shown) {
        say(&format!("    {}", work.plain(line)));
    }
    if let Some(rest) = lines.len().checked_sub(shown).filter(|rest| *rest > 0) {
        say(&format!("    ...  and {rest} more {what}"));
    }
}
