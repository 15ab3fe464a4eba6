//! `--regex`: the container's id on the command line is a pattern, and the command is for every container whose id it is found in.

use std::io::Write;

use regex_lite::Regex;
use teu::{Error, ErrorKind, Id, Result, Runtime};

use crate::args::Arguments;

/// Does `act` for the container that is named, or with `--regex` for all that match. Then one that fails does not keep the others from their turn: its error
/// is told, and the last one is that of the whole.
pub fn each(runtime: &Runtime, args: &Arguments, act: impl Fn(&Id) -> Result<()>) -> Result<()> {
    if !args.flag("regex") {
        return act(&Id::new(args.id())?);
    }
    let pattern = pattern(&args.id())?;
    let ids = runtime.list()?.into_iter().filter(|entry| pattern.is_match(&entry.id));
    let failed = ids.filter_map(|entry| {
        let done = Id::new(entry.id.as_str()).and_then(|id| act(&id));
        done.err().map(|error| error.context(format_args!("container {}", entry.id)))
    });
    let Some(last) = failed.reduce(|earlier, later| {
        // A closed stderr hides no container.
        let _ = writeln!(std::io::stderr(), "{earlier}");
        later
    }) else {
        return Ok(());
    };
    Err(last)
}

fn pattern(text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|error| {
        let why = error.to_string().replace('\n', " ");
        Error::new(ErrorKind::InvalidArgument, format!("invalid regular expression {text:?}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn a_pattern_is_found_anywhere_unless_it_says_otherwise() {
        let table = [
            ("web", "my-web-1", true),
            ("^web", "my-web-1", false),
            ("^web-[0-9]+$", "web-12", true),
            ("a|b{2}", "xbby", true),
            ("a.c", "abc", true),
            ("a\\.c", "abc", false),
            ("", "x", true),
        ];
        for (text, id, expected) in table {
            assert_eq!(pattern(text).unwrap().is_match(id), expected, "{text:?} {id:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_in_one_line() {
        for text in ["(", "a{2,1}", "[", "*"] {
            let error = pattern(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid regular expression {text:?}: ")), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
