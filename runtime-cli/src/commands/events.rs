//! `events`: what a container uses, at every interval, and when its memory ran out: one JSON object a line, until it ends.

use std::time::{Duration, Instant};

use teu::events::{Event, EventOptions, Events};
use teu::stats::{Stats, StatsReader};
use teu::{Container, Error, ErrorKind, Id, Result, Status};

use crate::args::Arguments;
use crate::durations::duration;
use crate::invocation::Invocation;
use crate::json::Json;
use crate::output;

const INTERVAL: Duration = Duration::from_secs(5);

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let container = invocation.runtime()?.open(&Id::new(args.id())?)?;
    let interval = interval(args)?;
    if container.status()? == Status::Stopped {
        let message = format!("container with id {} is not running", container.id());
        return Err(Error::new(ErrorKind::NotRunning, message));
    }
    if args.flag("stats") {
        output::print(&stats_line(&container, &container.stats()?))?;
        return Ok(0);
    }
    let events = container.events(&EventOptions::default())?;
    follow(&container, events, container.stats_reader()?, interval)?;
    Ok(0)
}

fn interval(args: &Arguments) -> Result<Duration> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidArgument, message);
    let Some(text) = args.text("interval") else { return Ok(INTERVAL) };
    let time = duration(&text)
        .ok_or_else(|| invalid(format!("invalid value {text:?} for flag -interval: parse error")))?;
    match time.is_zero() {
        true => Err(invalid("duration interval must be greater than 0".to_owned())),
        false => Ok(time),
    }
}

fn follow(
    container: &Container,
    mut events: Events,
    mut reader: StatsReader,
    interval: Duration,
) -> Result<()> {
    let mut stats = Stats::default();
    let mut next = Instant::now().checked_add(interval);
    loop {
        match events.wait(next)? {
            Some(Event::Oom { .. }) => output::print(&line("oom", container, None))?,
            Some(Event::Exit) => return Ok(()),
            Some(_) => {}
            None => {
                next = Instant::now().checked_add(interval);
                // The end of the group comes before the news of it.
                if reader.fill(&mut stats).is_ok() {
                    output::print(&stats_line(container, &stats))?;
                }
            }
        }
    }
}

fn stats_line(container: &Container, stats: &Stats) -> String {
    line("stats", container, Some(&stats.runc_json()))
}

fn line(kind: &str, container: &Container, data: Option<&str>) -> String {
    let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    let id = Json::text(container.id().as_str()).compact();
    format!("{{\"type\":\"{kind}\",\"id\":{id}{data}}}\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::args::{parse, table};

    #[test]
    fn an_interval_is_a_time_above_zero() {
        let interval = |line: &str| {
            let options = table::Command::named("events").unwrap().options;
            super::interval(&parse::parse(line.split(' ').map(Into::into), options, false).unwrap())
        };
        assert_eq!(interval("id").unwrap(), Duration::from_secs(5));
        assert_eq!(interval("--interval=500ms id").unwrap(), Duration::from_millis(500));
        for zero in ["0", "0s", "-1s", "-1"] {
            let error = interval(&format!("--interval {zero} id")).unwrap_err();
            assert_eq!(error.to_string(), "duration interval must be greater than 0");
        }
        let error = interval("--interval soon id").unwrap_err();
        assert_eq!(error.to_string(), "invalid value \"soon\" for flag -interval: parse error");
    }
}
