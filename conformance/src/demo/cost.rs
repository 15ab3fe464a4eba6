//! What each step costs, beside the runtimes that are installed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use teu_conformance::driver::{Cli, Driver, New, Reply};
use teu_conformance::sys;

use crate::say;
use crate::work::Work;

/// Steps of a round. The last column of the table is the sum of their medians.
const STEPS: [&str; 5] = ["create", "state", "start", "kill", "delete"];
const OTHERS: [&str; 2] = ["runc", "crun"];
const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// One runtime and what its steps took.
struct Contender {
    cli: Cli,
    name: &'static str,
    rounds: Vec<[Duration; STEPS.len()]>,
    failure: Option<String>,
}

/// Measures and shows the table.
pub fn show(teu: &Cli, work: &Work, rounds: usize) {
    let mut contenders = vec![contender("teu", teu.clone())];
    for name in OTHERS {
        match find(name) {
            Some(path) => contenders.push(contender(name, Cli::new(name, &path, &work.state(name)))),
            None => say(&format!("\n{name} is not installed: left out below.")),
        }
    }
    for _ in 0..rounds {
        // In turn, so that whatever else the machine does meets all of them.
        for contender in contenders.iter_mut().filter(|contender| contender.failure.is_none()) {
            match round(contender, work) {
                Ok(took) => contender.rounds.push(took),
                Err(why) => contender.failure = Some(why),
            }
        }
    }
    say(&format!(
        "\nWhat each step costs, in milliseconds from spawn to exit: medians of {rounds} rounds, the runtimes in turn:\n"
    ));
    table(&contenders);
}

fn contender(name: &'static str, cli: Cli) -> Contender {
    Contender { cli, name, rounds: Vec::new(), failure: None }
}

fn find(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

fn round(contender: &Contender, work: &Work) -> Result<[Duration; STEPS.len()], String> {
    let (cli, id) = (&contender.cli, work.bundle.id.as_str());
    let result = steps(cli, id, work);
    if result.is_err() {
        cli.delete(id, true);
    }
    result
}

fn steps(cli: &Cli, id: &str, work: &Work) -> Result<[Duration; STEPS.len()], String> {
    let new = New { id, bundle: work.bundle_dir().into(), ..New::default() };
    let (create, _) = timed("create", || cli.create(new))?;
    let (state, answer) = timed("state", || cli.state(id))?;
    let pid = serde_json::from_str(&answer.out).ok().and_then(|state: Value| state["pid"].as_i64());
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).ok_or("state: no pid")?;
    let (start, _) = timed("start", || cli.start(id))?;
    let (kill, _) = timed("kill", || cli.kill(id, "KILL", false))?;
    sys::ended_within(pid, Duration::from_secs(10)).map_err(|error| format!("the end: {error}"))?;
    let (delete, _) = timed("delete", || cli.delete(id, false))?;
    Ok([create, state, start, kill, delete])
}

fn timed(name: &str, act: impl FnOnce() -> Reply) -> Result<(Duration, Reply), String> {
    let began = Instant::now();
    let reply = act();
    let took = began.elapsed();
    reply.good().map(|reply| (took, reply)).map_err(|why| format!("{name}: {why}"))
}

fn table(contenders: &[Contender]) {
    let head: String = STEPS.iter().chain(&["together"]).map(|step| format!("{step:>10}")).collect();
    say(&format!("    {:<8}{head}", ""));
    let teu: Option<Duration> = contenders.first().map(|teu| medians(teu).iter().sum());
    for contender in contenders {
        if let Some(why) = &contender.failure {
            say(&format!("    {:<8}  failed: {why}", contender.name));
            continue;
        }
        let steps = medians(contender);
        let total: Duration = steps.iter().sum();
        let cell = |took: &Duration| format!("{:>10.2}", took.as_secs_f64() * 1e3);
        let row: String = steps.iter().chain([&total]).map(cell).collect();
        let ratio = match teu {
            Some(teu) if contender.name != "teu" && !teu.is_zero() => {
                format!("   {:.1} x teu", total.as_secs_f64() / teu.as_secs_f64())
            }
            _ => String::new(),
        };
        say(&format!("    {:<8}{row}{ratio}", contender.name));
    }
}

/// One median for each step.
fn medians(contender: &Contender) -> Vec<Duration> {
    let of = |step: usize| median(contender.rounds.iter().map(|round| round[step]));
    (0..STEPS.len()).filter_map(of).collect()
}

fn median(samples: impl Iterator<Item = Duration>) -> Option<Duration> {
    let mut samples: Vec<Duration> = samples.collect();
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied()
}
