//! teu: the command line face of the library. Arguments become plain values ([`args`]), a command ([`commands`]) makes one call of
//! the library and prints ([`output`]). What is accepted and printed follows runc to the byte, because engines parse it.
#![deny(unsafe_code)]

mod activation;
mod amendment;
mod args;
mod clock;
mod commands;
#[cfg(all(any(test, target_env = "musl"), target_arch = "x86_64"))]
mod copies;
mod creation;
mod durations;
mod end;
mod foreground;
mod growth;
#[cfg(any(test, target_env = "musl"))]
mod heap;
mod invocation;
mod json;
mod log_service;
mod logging;
mod mask;
mod matching;
mod notify;
mod output;
mod paths;
mod process;
mod signals;
mod sizes;
mod stack;
mod terminal;
mod version;

use std::ffi::{OsStr, OsString};

use args::{Arguments, Command, help, parse, table};
use invocation::Invocation;
use logging::Log;

/// musl's own allocator maps and unmaps memory for nearly every object of a short life (libcontainer/design/0026).
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: heap::Heap = heap::Heap::new();

fn main() {
    growth::refused_is_an_error();
    end::end(answer())
}

/// Does what the command line says; the exit status.
fn answer() -> u8 {
    let mut words = std::env::args_os();
    let argv0 = words.next().unwrap_or_default();
    let program = invocation::program(&argv0);
    let globals = match parse::parse(words, &[table::GLOBAL, table::HELP], true) {
        Ok(globals) => globals,
        Err(message) => return misuse(&Log::default(), &message, &message, help::program(program)),
    };
    // Answered before anything is opened: clients ask for the version with whatever options they have at hand.
    let about = [("version", version::text as fn(&str) -> String), ("help", help::program)];
    if let Some((_, text)) = about.iter().find(|(option, _)| globals.flag(option)) {
        return done(&Log::default(), output::print(&text(program)).map(|()| 0));
    }
    let (log, level) = Log::open(&globals, program);
    let ready = level.and_then(|level| Ok((level, Invocation::new(program, &globals, log.number())?)));
    match ready {
        Ok((log::LevelFilter::Off, invocation)) => dispatch(&log, &invocation, &argv0, globals),
        Ok((level, invocation)) => dispatch(log.install(level), &invocation, &argv0, globals),
        Err(error) => fatal(&log, &error.to_string()),
    }
}

/// Finds the command and does it; `globals` still has the command line from the command on as its operands.
fn dispatch(log: &Log, invocation: &Invocation, argv0: &OsStr, globals: Arguments) -> u8 {
    let program = invocation.program;
    let mut words = globals.operands.into_iter();
    let mut word = words.next();
    let wants_help = word.as_ref().is_some_and(|word| word == "help" || word == "h");
    if wants_help {
        word = words.next();
    }
    let Some(word) = word else {
        return done(log, output::print(&help::program(program)).map(|()| 0));
    };
    let Some(command) = Command::named(&word.to_string_lossy()) else {
        let asked = wants_help || words.any(|word| word == "-h" || word == "--help");
        return fatal(log, &no_command(&word.to_string_lossy(), asked));
    };
    if wants_help {
        return done(log, output::print(&help::command(program, command)).map(|()| 0));
    }
    execute(log, invocation, argv0, command, words)
}

/// As runc: who asks for help is told that there is none.
fn no_command(word: &str, asked_for_help: bool) -> String {
    if asked_for_help { format!("No help topic for '{word}'") } else { format!("unknown command {word:?}") }
}

fn execute(
    log: &Log,
    invocation: &Invocation,
    argv0: &OsStr,
    command: &Command,
    words: impl Iterator<Item = OsString>,
) -> u8 {
    let help = || help::command(invocation.program, command);
    let args = match parse::parse_command(command, words) {
        Ok(args) => args,
        Err(message) => return misuse(log, &message, &message, help()),
    };
    if args.flag("help") {
        return done(log, output::print(&help()).map(|()| 0));
    }
    if let Err(requires) = parse::check(&command.arity, args.operands.len()) {
        let message = format!("{}: {:?} requires {requires}", argv0.to_string_lossy(), command.name);
        return misuse(log, "", &message, help());
    }
    teu::keep_exit_statuses();
    match (command.run)(invocation, &args) {
        Err(error) => {
            log.fatal(&error.to_string());
            command.failure
        }
        Ok(code) => code,
    }
}

fn done(log: &Log, outcome: teu::Result<u8>) -> u8 {
    match outcome {
        Ok(code) => code,
        Err(error) => fatal(log, &error.to_string()),
    }
}

fn fatal(log: &Log, message: &str) -> u8 {
    log.fatal(message);
    1
}

/// Wrong usage: what is wrong and the help on stdout, the error as any other.
fn misuse(log: &Log, what: &str, message: &str, help: String) -> u8 {
    let head = if what.is_empty() { "Incorrect Usage.".into() } else { format!("Incorrect Usage: {what}") };
    // The error below is what counts; a closed stdout does not hide it.
    let _ = output::print(&format!("{head}\n\n{help}"));
    fatal(log, message)
}
