//! `list`: the containers of the state root as a table, as JSON or as bare ids.

use std::io::Write;

use teu::{Error, ErrorKind, Result, State};

use crate::args::Arguments;
use crate::invocation::Invocation;
use crate::json::Json;
use crate::output;

const HEADER: [&str; 6] = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let states = states(invocation)?;
    let text = match args.text("format").as_deref() {
        _ if args.flag("quiet") => quiet(&states),
        None | Some("table") => table(&states),
        Some("json") => json(&states),
        Some(_) => return Err(Error::new(ErrorKind::InvalidArgument, "invalid format option")),
    };
    output::print(&text)?;
    Ok(0)
}

fn states(invocation: &Invocation) -> Result<Vec<State>> {
    if let Some(root) = invocation.given_root() {
        let found = std::fs::metadata(root);
        found.map_err(|error| Error::io(format!("open {}", root.display()), &error))?;
    }
    let mut states = Vec::new();
    for entry in invocation.runtime()?.list()? {
        match entry.state {
            Ok(state) => states.push(state),
            // A closed stderr is no reason to hide the other containers.
            Err(error) => drop(writeln!(std::io::stderr(), "load container {}: {error}", entry.id)),
        }
    }
    Ok(states)
}

fn quiet(states: &[State]) -> String {
    states.iter().map(|state| format!("{}\n", state.id)).collect()
}

fn json(states: &[State]) -> String {
    // Go's encoder writes the empty list so.
    if states.is_empty() {
        return "null\n".into();
    }
    let passwd = passwd();
    let entries = states.iter().map(|state| output::entry(state, output::owner(state.owner_uid, &passwd)));
    format!("{}\n", Json::Array(entries.collect()).compact())
}

fn table(states: &[State]) -> String {
    let passwd = if states.is_empty() { String::new() } else { passwd() };
    let row = |state: &State| {
        [
            state.id.clone(),
            state.pid.to_string(),
            state.status.to_string(),
            state.bundle.to_string_lossy().into_owned(),
            output::created(&state.created),
            output::owner(state.owner_uid, &passwd),
        ]
    };
    let rows: Vec<_> = std::iter::once(HEADER.map(str::to_owned)).chain(states.iter().map(row)).collect();
    output::table(&rows)
}

/// A host without the file has numbers for owners.
fn passwd() -> String {
    std::fs::read_to_string("/etc/passwd").unwrap_or_default()
}
