//! The parser: words and groups of options in, [`Arguments`] out. The grammar is that of Go's flag package as engines use it:
//! `-name` equals `--name`, a value follows or stands behind `=`, a boolean takes a value only behind `=`.
//!
//! lexopt reads `-root` as a cluster of letters, so the words are taken apart here.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::table::{Arity, Command, HELP, Kind, Opt};

/// What stood on the command line: option values by their long name, and the operands in order.
#[derive(Debug, Default)]
pub struct Arguments {
    values: Vec<(&'static str, OsString)>,
    /// The words that are no options.
    pub operands: Vec<OsString>,
}

impl Arguments {
    /// Whether the boolean option is on.
    pub fn flag(&self, long: &str) -> bool {
        self.value(long).is_some_and(|value| value == "true")
    }

    /// The value of the option; of several the last.
    pub fn value(&self, long: &str) -> Option<&OsStr> {
        self.values.iter().rfind(|(name, _)| *name == long).map(|(_, value)| value.as_os_str())
    }

    /// Every value of the option, as text, in order.
    pub fn texts<'a>(&'a self, long: &'a str) -> impl Iterator<Item = std::borrow::Cow<'a, str>> {
        let all = self.values.iter().filter(move |(name, _)| *name == long);
        all.map(|(_, value)| value.to_string_lossy())
    }

    /// The same, as a path.
    pub fn path(&self, long: &str) -> Option<&Path> {
        self.value(long).map(Path::new)
    }

    /// The same, as text; what is no UTF-8 cannot be one of the words or numbers that are asked for in this way.
    pub fn text(&self, long: &str) -> Option<std::borrow::Cow<'_, str>> {
        self.value(long).map(OsStr::to_string_lossy)
    }

    /// The first operand: the container's id. Bytes that are no UTF-8 become a character that no id may contain.
    pub fn id(&self) -> std::borrow::Cow<'_, str> {
        self.operands.first().map(|id| id.to_string_lossy()).unwrap_or_default()
    }
}

/// Takes `words` apart. With `operand_ends_options` everything from the first operand on is an operand.
/// The error is the text behind `Incorrect Usage: `.
pub fn parse(
    words: impl IntoIterator<Item = OsString>,
    options: &[&'static [Opt]],
    operand_ends_options: bool,
) -> Result<Arguments, String> {
    let mut found = Arguments::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            found.operands.extend(words.by_ref());
        } else if !is_option(&word) {
            found.operands.push(word);
            if operand_ends_options {
                found.operands.extend(words.by_ref());
            }
        } else {
            option(&word, options, &mut words, &mut found.values)?;
        }
    }
    Ok(found)
}

/// The same for the words behind a command's name. As in runc 1.5, `--` may also stand behind the operand that has ended the options.
pub fn parse_command(
    command: &Command,
    words: impl IntoIterator<Item = OsString>,
) -> Result<Arguments, String> {
    let groups: Vec<_> = command.options.iter().copied().chain([HELP]).collect();
    let mut found = parse(words, &groups, command.operand_ends_options)?;
    if command.operand_ends_options && found.operands.get(1).is_some_and(|word| word == "--") {
        found.operands.remove(1);
    }
    Ok(found)
}

/// Whether the number of operands fits. The error is the text behind `ARGV0: "CMD" requires `.
pub fn check(arity: &Arity, count: usize) -> Result<(), String> {
    let Arity { min, max } = *arity;
    if (min..=max).contains(&count) {
        return Ok(());
    }
    let (word, bound) = match count < min {
        _ if min == max => ("exactly", min),
        true => ("a minimum of", min),
        false => ("a maximum of", max),
    };
    Err(format!("{word} {bound} argument(s)"))
}

/// Go's booleans.
pub fn boolean(value: &OsStr) -> Option<bool> {
    match value.as_bytes() {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Some(false),
        _ => None,
    }
}

fn is_option(word: &OsStr) -> bool {
    word.len() > 1 && word.as_bytes().starts_with(b"-")
}

fn option(
    word: &OsStr,
    options: &[&'static [Opt]],
    words: &mut impl Iterator<Item = OsString>,
    values: &mut Vec<(&'static str, OsString)>,
) -> Result<(), String> {
    let (name, attached) = split(word)?;
    let Some(found) = lookup(&name, options) else {
        return cluster(word, options, values).ok_or(format!("flag provided but not defined: -{name}"));
    };
    let value = match (found.kind, attached) {
        (Kind::Flag, None) => OsString::from("true"),
        (Kind::Flag, Some(value)) => match boolean(&value) {
            Some(value) => OsString::from(if value { "true" } else { "false" }),
            None => return Err(bad_boolean(&value, &name)),
        },
        (Kind::Value(_) | Kind::List(_), Some(value)) => value,
        // As Go does: the next word is the value even if it looks like an option.
        (Kind::Value(_) | Kind::List(_), None) => {
            words.next().ok_or(format!("flag needs an argument: --{}", found.long))?
        }
    };
    if is_number(found.kind) && !is_integer(&value) {
        return Err(format!("invalid value {:?} for flag -{name}: parse error", value.to_string_lossy()));
    }
    values.push((found.long, value));
    Ok(())
}

/// Whether the value is one of those that the table calls a number.
pub fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Value("N" | "GID") | Kind::List("N" | "GID"))
}

fn is_integer(value: &OsStr) -> bool {
    value.to_str().is_some_and(|text| text.parse::<i64>().is_ok())
}

/// The text for a boolean that is none.
pub fn bad_boolean(value: &OsStr, name: &str) -> String {
    format!("invalid boolean value {:?} for -{name}: parse error", value.to_string_lossy())
}

/// `--name=value` into its parts.
fn split(word: &OsStr) -> Result<(String, Option<OsString>), String> {
    let bytes = word.as_bytes();
    let body = bytes.strip_prefix(b"--").or(bytes.strip_prefix(b"-")).unwrap_or(bytes);
    let (name, value) = match body.iter().position(|byte| *byte == b'=') {
        Some(at) => (&body[..at], Some(OsString::from_vec(body[at + 1..].to_vec()))),
        None => (body, None),
    };
    if name.is_empty() || name.starts_with(b"-") {
        return Err(format!("bad flag syntax: {}", word.to_string_lossy()));
    }
    Ok((String::from_utf8_lossy(name).into_owned(), value))
}

fn lookup(name: &str, options: &[&'static [Opt]]) -> Option<&'static Opt> {
    let mut letters = name.chars();
    let letter = letters.next().filter(|_| letters.next().is_none());
    options
        .iter()
        .flat_map(|group| group.iter())
        .find(|option| option.long == name || letter.is_some_and(|letter| option.letters.contains(letter)))
}

/// `-it`: each letter on its own, if all of them are boolean options. Nothing is taken from a cluster with a stranger in it.
fn cluster(
    word: &OsStr,
    options: &[&'static [Opt]],
    values: &mut Vec<(&'static str, OsString)>,
) -> Option<()> {
    let letters = word.to_str()?.strip_prefix('-').filter(|letters| letters.len() > 1)?;
    let flags: Option<Vec<_>> = letters
        .chars()
        .map(|letter| {
            lookup(letter.encode_utf8(&mut [0; 4]), options).filter(|found| found.kind == Kind::Flag)
        })
        .collect();
    values.extend(flags?.into_iter().map(|found| (found.long, OsString::from("true"))));
    Some(())
}
