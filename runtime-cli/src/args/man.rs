//! Manual pages in roff, from the table of options.

use std::fmt::Write;

use super::table::{COMMANDS, Command, GLOBAL, HELP, Kind, Opt};
use crate::version::{DATE, NUMBER};

const SECTION: &str = "8";

/// What the variables of the environment do.
const VARIABLES: &[(&str, &str)] = &[
    (
        "XDG_RUNTIME_DIR",
        "For a user other than root: the state is kept below it, unless --root says otherwise.",
    ),
    (
        "NOTIFY_SOCKET",
        "A socket of a service manager. The program of a container finds another one at which it can tell that it is ready; that is passed on.",
    ),
    (
        "LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES",
        "Descriptors of a service manager, which the program of a container gets under the same numbers.",
    ),
    ("RUN_OCI_SECCOMP_RECEIVER", "The agent of seccomp profiles that name none."),
];

/// The name of a page's file.
pub fn file(program: &str, command: Option<&Command>) -> String {
    format!("{}.{SECTION}", title(program, command))
}

fn title(program: &str, command: Option<&Command>) -> String {
    command.map_or(program.to_owned(), |command| format!("{program}-{}", command.name))
}

/// The page of the program.
pub fn program(program: &str) -> String {
    let mut page = head(&title(program, None), super::help::ABOUT);
    section(&mut page, "SYNOPSIS");
    line(&mut page, &format!(".B {program}"));
    text(&mut page, "[global options] command [command options] [arguments...]");
    section(&mut page, "DESCRIPTION");
    text(
        &mut page,
        "Creates and runs containers from bundles as the Open Container Initiative's runtime specification describes them. \
         What it accepts, prints and returns is what runc does.",
    );
    section(&mut page, "COMMANDS");
    for command in COMMANDS {
        line(&mut page, ".TP");
        line(&mut page, &format!("\\fB{}\\fR({SECTION})", escaped(&title(program, Some(command)))));
        text(&mut page, &sentence(command.about));
    }
    section(&mut page, "GLOBAL OPTIONS");
    options(&mut page, &[GLOBAL, HELP]);
    section(&mut page, "EXIT STATUS");
    text(
        &mut page,
        "0, or 1 after an error. Commands that wait for a program have its status, or 128 and the number of the signal that ended it.",
    );
    section(&mut page, "ENVIRONMENT");
    for (name, about) in VARIABLES {
        line(&mut page, ".TP");
        line(&mut page, &format!("\\fB{name}\\fR"));
        text(&mut page, about);
    }
    section(&mut page, "FILES");
    line(&mut page, ".TP\n.I /run/teu");
    text(&mut page, "The state of the containers, a directory each.");
    line(&mut page, ".TP\n.I config.json");
    text(&mut page, "The configuration of a bundle.");
    page
}

/// The page of a command.
pub fn command(program: &str, command: &Command) -> String {
    let Command { name, about, operands, details, failure, .. } = command;
    let mut page = head(&title(program, Some(command)), about);
    section(&mut page, "SYNOPSIS");
    line(&mut page, &format!(".B {program} {name}"));
    text(&mut page, format!("[command options] {operands}").trim_end());
    section(&mut page, "DESCRIPTION");
    text(&mut page, &format!("{} {details}", sentence(about)));
    section(&mut page, "OPTIONS");
    let groups: Vec<&[Opt]> = command.options.iter().copied().chain([HELP]).collect();
    options(&mut page, &groups);
    section(&mut page, "EXIT STATUS");
    let waits = ["run", "exec"].contains(name);
    let good =
        if waits { "That of the program, or 128 and the number of the signal that ended it" } else { "0" };
    text(&mut page, &format!("{good}; {failure} after an error."));
    section(&mut page, "SEE ALSO");
    line(&mut page, &format!(".BR {program} ({SECTION})"));
    page
}

fn head(title: &str, about: &str) -> String {
    format!(
        ".TH {} {SECTION} {DATE} \"{}\" \"System Administration\"\n.SH NAME\n{} \\- {}\n",
        escaped(&title.to_uppercase()),
        escaped(&format!("teu {NUMBER}")),
        escaped(title),
        escaped(about)
    )
}

fn options(page: &mut String, groups: &[&[Opt]]) {
    for option in groups.iter().flat_map(|group| group.iter()) {
        let letters = option.letters.chars().map(|letter| format!("\\-{letter}"));
        let spellings = std::iter::once(format!("\\-\\-{}", escaped(option.long))).chain(letters);
        let spellings =
            spellings.map(|spelling| format!("\\fB{spelling}\\fR")).collect::<Vec<_>>().join(", ");
        let value = match option.kind {
            Kind::Flag => String::new(),
            Kind::Value(name) | Kind::List(name) => format!(" \\fI{}\\fR", escaped(name)),
        };
        let again = if matches!(option.kind, Kind::List(_)) { " May be given again." } else { "" };
        line(page, ".TP");
        line(page, &format!("{spellings}{value}"));
        text(page, &format!("{}{again}", sentence(option.help)));
    }
}

/// A phrase of the table as a sentence.
fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

fn section(page: &mut String, title: &str) {
    line(page, &format!(".SH {title}"));
}

fn line(page: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{line}");
}

/// A paragraph, a sentence a line as roff likes it.
fn text(page: &mut String, paragraph: &str) {
    let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in words.split_inclusive(". ") {
        line(page, &escaped(sentence.trim_end()));
    }
}

/// Text that is no request and has no escapes.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command as Program, Stdio};

    use super::*;

    fn pages() -> Vec<(String, String)> {
        let commands = COMMANDS.iter().map(|one| (file("teu", Some(one)), command("teu", one)));
        std::iter::once((file("teu", None), program("teu"))).chain(commands).collect()
    }

    #[test]
    fn every_option_is_on_the_page_of_its_command() {
        for (one, (name, page)) in std::iter::once(None).chain(COMMANDS.iter().map(Some)).zip(pages()) {
            let options = one.map_or(&[GLOBAL][..], |one| one.options);
            for option in options.iter().copied().flatten() {
                assert!(
                    page.contains(&format!("\\fB\\-\\-{}\\fR", escaped(option.long))),
                    "{name}: {}",
                    option.long
                );
            }
        }
        let (name, page) = &pages()[0];
        assert_eq!(name, "teu.8");
        assert!(COMMANDS.iter().all(|one| page.contains(&format!("\\fBteu\\-{}\\fR(8)", one.name))));
    }

    #[test]
    fn what_roff_would_take_for_a_request_is_text() {
        assert_eq!(escaped(".so x"), "\\&.so x");
        assert_eq!(escaped("'x' a\\b --y"), "\\&'x' a\\eb \\-\\-y");
        assert_eq!(sentence("the id"), "The id.");
    }

    /// The complaints of a program that reads pages; `None` if it is not installed.
    fn complaints(program: &str, args: &[&str], page: &str) -> Option<String> {
        let mut command = Program::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        if program == "mandoc" {
            command.stdout(Stdio::piped());
        }
        let mut child = command.spawn().ok()?;
        child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        Some(String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    }

    #[test]
    fn the_readers_of_pages_that_are_installed_do_not_complain() {
        let readers: [(&str, &[&str]); 2] =
            [("mandoc", &["-T", "lint", "-W", "warning"]), ("groff", &["-man", "-ww", "-z", "-Tutf8"])];
        for (reader, args) in readers {
            for (name, page) in pages() {
                match complaints(reader, args, &page) {
                    Some(said) => assert_eq!(said, "", "{reader} {name}"),
                    None => eprintln!("skipped: {reader} is not installed"),
                }
            }
        }
    }
}
