//! The corpus: what the recorder wrote down of a case, with everything taken out that is of one run or of one machine.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use crate::sandbox::HOME;

/// A seccomp profile above this size is the engine's own, and not kept: it would be most of the corpus.
const LARGE: usize = 2_000;
/// The length of the ids that engines make.
const ID: usize = 64;
/// How much of it they use as a short name.
const SHORT: usize = 12;
/// The length of those of BuildKit.
const BUILDKIT_ID: usize = 25;

/// The recordings of a run.
#[derive(Debug)]
pub struct Corpus<'a> {
    target: &'a Path,
    /// The fields of the configurations so far.
    fields: BTreeSet<String>,
}

impl<'a> Corpus<'a> {
    /// A corpus that is written to this directory.
    pub fn new(target: &'a Path) -> Self {
        Self { target, fields: BTreeSet::new() }
    }

    /// Takes what was recorded since the last time as the calls of this case.
    pub fn take(&mut self, client: &str, case: &str) -> io::Result<()> {
        let calls = taken(&Path::new(HOME).join("calls"))?;
        if calls.is_empty() {
            return Ok(());
        }
        let text = calls.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        let text = normal(&text, client);
        let lines = text.lines().filter(|line| !is_one_of_many(line)).map(|line| self.smaller(client, line));
        let lines: Vec<String> = lines.collect::<io::Result<_>>()?;
        let dir = self.target.join(client);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(case).with_extension("json"), format!("[\n{}\n]\n", lines.join(",\n")))
    }

    /// A configuration is kept if it has a field that none before it had.
    fn smaller(&mut self, client: &str, line: &str) -> io::Result<String> {
        let mut call: Map<String, Value> = serde_json::from_str(line)?;
        let Some(mut config) = call.shift_remove("config") else { return Ok(line.to_owned()) };
        let large = |profile: &Value| profile.to_string().len() > LARGE;
        if config.pointer("/linux/seccomp").is_some_and(large) {
            if let Some(Value::Object(linux)) = config.pointer_mut("/linux") {
                linux.shift_remove("seccomp");
            }
        }
        let known = self.fields.len();
        add_fields(&config, client.to_owned(), &mut self.fields);
        if self.fields.len() > known {
            call.insert("config".into(), config);
        }
        Ok(Value::Object(call).to_string())
    }
}

/// The paths of all fields; the elements of an array count as one.
fn add_fields(value: &Value, path: String, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| add_fields(value, format!("{path}/{key}"), fields));
        }
        Value::Array(list) => list.iter().for_each(|value| add_fields(value, format!("{path}/-"), fields)),
        _ => drop(fields.insert(path)),
    }
}

/// Reads the recordings in their order, and removes them.
fn taken(dir: &Path) -> io::Result<Vec<Value>> {
    let mut paths: Vec<_> =
        fs::read_dir(dir)?.map(|entry| entry.map(|one| one.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let call = serde_json::from_slice(&fs::read(path)?)?;
            fs::remove_file(path)?;
            Ok(call)
        })
        .collect()
}

/// The text without the directories, ids and numbers of this run.
fn normal(text: &str, client: &str) -> String {
    let mut text = text.replace(&format!("{HOME}/{client}-teu"), "/session").replace(HOME, "/engines");
    for (number, id) in ids(&text).iter().enumerate() {
        text = text.replace(id, &format!("id{number}")).replace(&id[..SHORT], &format!("id{number}"));
    }
    without_letters(&without_numbers(&text))
}

/// The end of conmon's socket is six letters by chance.
fn without_letters(text: &str) -> String {
    const NAME: &str = "/conmon-term.";
    let mut parts = text.split(NAME);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + NAME + "0" + part.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric())
    })
}

/// A further container of those that a case runs at once: `teu7-2` and so on.
fn is_one_of_many(line: &str) -> bool {
    (2..=20).any(|n| line.contains(&format!("-{n}\"],\"env\"")))
}

/// Every word that looks like an id, in order: 64 hexadecimal digits, a short one on its own, or a name of BuildKit.
fn ids(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in text.split(|letter: char| !letter.is_ascii_alphanumeric()) {
        let mixed = word.bytes().any(|byte| byte.is_ascii_lowercase())
            && word.bytes().any(|byte| byte.is_ascii_digit());
        let hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let like = hex && matches!(word.len(), ID | SHORT) || word.len() == BUILDKIT_ID;
        if mixed && like && !found.iter().any(|known| known.starts_with(word)) {
            found.push(word.to_owned());
        }
    }
    found
}

/// Temporary names of Go and numbers of processes: a digit for each run of five or more behind a letter or a slash.
fn without_numbers(text: &str) -> String {
    const RUN: usize = 5;
    let (mut out, mut digits) = (String::with_capacity(text.len()), String::new());
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let named =
            out.ends_with(|before: char| before.is_ascii_alphabetic() || matches!(before, '/' | '-' | '.'));
        out.push_str(if named && digits.len() >= RUN { "0" } else { &digits });
        digits.clear();
        out.push(letter);
    }
    out.truncate(text.len().min(out.len().saturating_sub(1)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_loses_what_is_of_one_run() {
        let id = "0123456789abcdef".repeat(4);
        let text = format!(
            "{HOME}/docker-teu/exec/{id} {HOME}/teu /tmp/runc-process123456 0123456789ab 65536 v=1048576 /tmp/conmon-term.aB3xYz\""
        );
        assert_eq!(
            normal(&text, "docker"),
            "/session/exec/id0 /engines/teu /tmp/runc-process0 id0 65536 v=1048576 /tmp/conmon-term.0\""
        );
    }
}
