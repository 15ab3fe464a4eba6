//! For fish: one line for each option and each word.

use std::fmt::Write;

use super::{Place, operands, options, value};
use crate::args::table::{COMMANDS, Command, Opt};

/// The script.
pub fn script(program: &str) -> String {
    let function = program.replace('-', "_");
    let names: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
    let mut text = format!(
        "# fish completion of {program}, written by \"{program} completion fish\"\n\n\
         function __fish_{function}_containers\n    command {program} list -q 2>/dev/null\nend\n\n\
         set -l commands {}\nset -l before \"not __fish_seen_subcommand_from $commands\"\n\n\
         complete -c {program} -f\n",
        names.join(" ")
    );
    for option in options(None) {
        line(&mut text, program, "$before", &option_words(option, &function), option.help);
    }
    for command in COMMANDS {
        line(&mut text, program, "$before", &format!("-a {}", command.name), command.about);
    }
    for command in COMMANDS {
        text.push('\n');
        let seen = format!("__fish_seen_subcommand_from {}", command.name);
        for option in options(Some(command)) {
            line(&mut text, program, &seen, &option_words(option, &function), option.help);
        }
        operand_lines(&mut text, program, &seen, command, &function);
    }
    text
}

/// fish does not count operands: every place offers what any of them may be.
fn operand_lines(text: &mut String, program: &str, seen: &str, command: &Command, function: &str) {
    for place in operands(command) {
        if let Some(words) = choices(&place, function) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "complete -c {program} -n \"{seen}\" {words}");
        }
    }
}

fn line(text: &mut String, program: &str, condition: &str, words: &str, about: &str) {
    let about = about.replace('\\', "\\\\").replace('\'', "\\'");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "complete -c {program} -n \"{condition}\" {words} -d '{about}'");
}

fn option_words(option: &Opt, function: &str) -> String {
    let mut words = format!("-l {}", option.long);
    for letter in option.letters.chars() {
        let _ = write!(words, " -s {letter}");
    }
    if let Some(place) = value(option) {
        let _ = write!(words, " -r {}", choices(&place, function).unwrap_or_default());
    }
    words.trim_end().to_owned()
}

fn choices(place: &Place, function: &str) -> Option<String> {
    match place {
        Place::Directory => Some("-a '(__fish_complete_directories)'".into()),
        Place::File => Some("-F".into()),
        Place::Container => Some(format!("-a '(__fish_{function}_containers)'")),
        Place::Words(words) => Some(format!("-a '{}'", words.join(" "))),
        Place::Free => None,
    }
}
