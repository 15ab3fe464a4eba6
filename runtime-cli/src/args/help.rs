//! `--help`, from the table: of the program and of one command. Line 0 is `NAME:`, line 1 the name and what it does.

use std::fmt::Write;

use super::table::{COMMANDS, Command, GLOBAL, HELP, Kind, Opt};

/// What the program is.
pub const ABOUT: &str = "Open Container Initiative runtime";

/// The help of the whole program; `program` is the name to show.
pub fn program(program: &str) -> String {
    let mut text = format!(
        "NAME:\n   {program} - {ABOUT}\n\n\
         USAGE:\n   {program} [global options] command [command options] [arguments...]\n\n\
         VERSION:\n   {}\n\nCOMMANDS:\n",
        crate::version::NUMBER
    );
    let rows: Vec<_> = COMMANDS.iter().map(|command| (command.name.to_owned(), command.about)).collect();
    columns(&mut text, &rows);
    text.push_str("\nGLOBAL OPTIONS:\n");
    columns(&mut text, &options(&[GLOBAL, HELP]));
    text
}

/// The help of one command.
pub fn command(program: &str, command: &Command) -> String {
    let Command { name, about, operands, details, .. } = command;
    let mut usage = format!("{program} {name}");
    for part in [if command.options.is_empty() { "" } else { "[command options]" }, operands] {
        if !part.is_empty() {
            usage.push(' ');
            usage.push_str(part);
        }
    }
    let mut text = format!(
        "NAME:\n   {program} {name} - {about}\n\nUSAGE:\n   {usage}\n\nDESCRIPTION:\n   {details}\n\nOPTIONS:\n"
    );
    let groups: Vec<&[Opt]> = command.options.iter().copied().chain([HELP]).collect();
    columns(&mut text, &options(&groups));
    text
}

fn options(groups: &[&[Opt]]) -> Vec<(String, &'static str)> {
    groups.iter().flat_map(|group| group.iter()).map(|option| (spelling(option), option.help)).collect()
}

/// `--bundle DIR, -b DIR`.
fn spelling(option: &Opt) -> String {
    let value = match option.kind {
        Kind::Flag => String::new(),
        Kind::Value(name) | Kind::List(name) => format!(" {name}"),
    };
    let mut text = format!("--{}{value}", option.long);
    for letter in option.letters.chars() {
        text.push_str(&format!(", -{letter}{value}"));
    }
    text
}

fn columns(text: &mut String, rows: &[(String, &str)]) {
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0);
    for (left, right) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "   {left:width$}  {right}");
    }
}
