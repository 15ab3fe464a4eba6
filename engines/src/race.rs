//! How long a whole run takes from the client's side, with the subject and with the reference, round by round in turn.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::clients;
use crate::lane::{reference, subject};
use crate::leftovers;
use crate::sandbox::HOME;
use crate::session::Session;

/// Prints a line for each client: both medians, and their ratio.
pub fn run(rootfs: &Path, filters: &[String], rounds: usize) -> Result<(), String> {
    let wanted = |client: &&Client| {
        filters.is_empty() || filters.iter().any(|text| client.name.contains(text.as_str()))
    };
    println!("{:<18}{:>12}{:>12}{:>8}   medians of {rounds} rounds", "one run", "teu", "reference", "ratio");
    for client in clients::ALL.iter().filter(wanted) {
        let before = leftovers::look(client.keeps).map_err(|error| error.to_string())?;
        let [subject, reference] = race(client, rootfs, rounds)?;
        let ratio = subject.as_secs_f64() / reference.as_secs_f64();
        println!(
            "{:<18}{:>9} ms{:>9} ms{ratio:>8.2}",
            client.name,
            subject.as_millis(),
            reference.as_millis()
        );
        leftovers::settle(&before, client.keeps)?;
    }
    Ok(())
}

fn race(client: &Client, rootfs: &Path, rounds: usize) -> Result<[Duration; 2], String> {
    let (subject, reference) = (subject(false), reference(client));
    let mut sessions = [
        Session::start(client, &subject, rootfs, Path::new(HOME))?,
        Session::start(client, &reference, rootfs, Path::new(HOME))?,
    ];
    let mut times = [Vec::new(), Vec::new()];
    // The first round of each fills caches.
    for round in 0..=rounds {
        for (session, times) in sessions.iter_mut().zip(&mut times) {
            let started = Instant::now();
            session.play(&client.race, round).map_err(|fault| fault.to_string())?;
            times.push(started.elapsed());
        }
    }
    sessions.into_iter().try_for_each(Session::stop)?;
    Ok(times.map(|times| median(times.get(1..).unwrap_or_default())))
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&[9, 1, 5].map(Duration::from_millis)), Duration::from_millis(5));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
