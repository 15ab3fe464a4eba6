//! One container from create to delete, each step with its answer.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use serde_json::Value;
use teu_conformance::driver::{Cli, Driver, New, Reply};
use teu_conformance::probe::Report;
use teu_conformance::sys;

use crate::say;
use crate::work::Work;

/// How long the program in the container may take to answer, and a killed one to end.
const LIMIT: Duration = Duration::from_secs(10);

/// Shows the life and returns what the container saw.
pub fn show(teu: &Cli, work: &Work) -> Result<Report, String> {
    say("\nOne container's life:\n");
    let report = live(teu, work);
    if report.is_err() {
        teu.delete(&work.bundle.id, true);
    }
    report
}

fn live(teu: &Cli, work: &Work) -> Result<Report, String> {
    let id = work.bundle.id.as_str();
    let (answers, stdout) = sys::pipe().map_err(|error| format!("a pipe: {error}"))?;
    let new = New { id, bundle: work.bundle_dir().into(), stdout: Some(stdout), ..New::default() };
    step("create", || teu.create(new), |_| "init has done everything but the last step, and waits".into())?;
    let state = step("state", || teu.state(id), status)?;
    let pid = number(&state, "pid")?;
    step("start", || teu.start(id), |_| "init has become the container's program".into())?;
    if !sys::readable_within(answers.as_fd(), LIMIT).unwrap_or(false) {
        return Err("the container's program says nothing".into());
    }
    let mut line = String::new();
    BufReader::new(File::from(answers)).read_line(&mut line).map_err(|error| error.to_string())?;
    step("state", || teu.state(id), status)?;
    step("kill", || teu.kill(id, "KILL", false), |_| "SIGKILL, sent by descriptor and not by number".into())?;
    sys::ended_within(pid, LIMIT).map_err(|error| format!("the end of process {pid}: {error}"))?;
    step("delete", || teu.delete(id, false), |_| "nothing is left".into())?;
    Report::parse(line.trim()).map_err(|why| format!("{why:?}"))
}

fn step(name: &str, act: impl FnOnce() -> Reply, tell: impl Fn(&Reply) -> String) -> Result<Reply, String> {
    let began = Instant::now();
    let reply = act();
    let took = began.elapsed();
    let reply = reply.good().map_err(|why| format!("teu {name}: {why}"))?;
    say(&format!("    teu {name:<7} {:>7.2} ms   {}", took.as_secs_f64() * 1e3, tell(&reply)));
    Ok(reply)
}

fn status(reply: &Reply) -> String {
    let state: Value = serde_json::from_str(&reply.out).unwrap_or_default();
    format!("{}, pid {}", state["status"].as_str().unwrap_or("?"), state["pid"])
}

fn number(reply: &Reply, key: &str) -> Result<i32, String> {
    let state: Value = serde_json::from_str(&reply.out).map_err(|error| format!("teu state: {error}"))?;
    let number = state[key].as_i64().and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| format!("teu state: no {key}"))
}
