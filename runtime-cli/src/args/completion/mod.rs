//! Completions for shells, from the table of options: what may stand at a place, in the words of each shell.

mod bash;
mod fish;
mod zsh;

use super::table::{Command, GLOBAL, HELP, Kind, Opt};

/// What a script is made for a program of that name.
type Script = fn(&str) -> String;

/// The shells.
pub const SHELLS: &[(&str, Script)] = &[("bash", bash::script), ("zsh", zsh::script), ("fish", fish::script)];

/// What can be said of a value or an operand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Directory,
    File,
    /// The id of a container that exists.
    Container,
    /// One of these.
    Words(Vec<&'static str>),
    /// Anything.
    Free,
}

/// Signals that people send.
const SIGNALS: [&str; 10] = ["TERM", "KILL", "HUP", "INT", "QUIT", "USR1", "USR2", "STOP", "CONT", "WINCH"];

/// The place behind an option that takes a value.
fn value(option: &Opt) -> Option<Place> {
    match option.kind {
        Kind::Flag => None,
        Kind::Value(name) | Kind::List(name) => Some(match name {
            "DIR" => Place::Directory,
            "FILE" | "SOCKET" | "PATH" => Place::File,
            words if words.contains('|') => Place::Words(words.split('|').collect()),
            _ => Place::Free,
        }),
    }
}

/// The places of a command's operands, in order; the last may come again if it says so.
fn operands(command: &Command) -> Vec<Place> {
    let place = |word: &'static str| match word.trim_matches(['<', '>', '[', ']']) {
        // A container that does not exist yet has a name that nobody knows.
        "container-id" if ["create", "run", "restore", "plan"].contains(&command.name) => Place::Free,
        "container-id" => Place::Container,
        "signal" => Place::Words(SIGNALS.to_vec()),
        "command-name" => Place::Words(super::table::COMMANDS.iter().map(|command| command.name).collect()),
        "file" => Place::File,
        words if words.contains('|') => Place::Words(words.split('|').collect()),
        _ => Place::Free,
    };
    command.operands.split_whitespace().map(place).collect()
}

/// Every option of a command; of the program without one.
fn options(command: Option<&Command>) -> impl Iterator<Item = &'static Opt> {
    let groups = command.map_or(&[GLOBAL][..], |command| command.options);
    groups.iter().copied().chain([HELP]).flatten()
}

/// `--bundle` and `-b`.
fn spellings(option: &Opt) -> Vec<String> {
    let letters = option.letters.chars().map(|letter| format!("-{letter}"));
    std::iter::once(format!("--{}", option.long)).chain(letters).collect()
}

#[cfg(test)]
mod tests;
