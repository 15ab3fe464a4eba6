//! Bytes become a configuration. The good path parses once; only a failure parses again, to be lenient and to name the place.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use oci_spec::runtime::Spec as Config;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::place::{self, Fault};
use super::strict::Strict;
use super::{Warning, lenient, lost, pointer};
use crate::{Error, ErrorKind, Result};

/// Larger configurations are refused unread: the largest known ones have a few hundred kilobytes.
const MAX_BYTES: u64 = 16 << 20;

/// Longer texts from the document are cut in messages.
const MAX_SHOWN: usize = 300;

/// Reads `config`, a path below `bundle` unless absolute.
pub fn read(bundle: &Path, config: &Path) -> Result<Vec<u8>> {
    let shown = config.display();
    // O_NONBLOCK: a fifo in this place must not hang the caller.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(bundle.join(config));
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            return Err(invalid(format!("JSON specification file {shown} not found")));
        }
        Err(error) => return Err(Error::io(format!("open {shown}"), &error)),
    };
    let metadata = file.metadata().map_err(|error| Error::io(format!("stat {shown}"), &error))?;
    if metadata.is_dir() {
        return Err(Error::os(format!("read {shown}"), libc::EISDIR));
    }
    if !metadata.is_file() {
        return Err(invalid(format!("{shown} is not a regular file")));
    }
    check_size(metadata.len())?;
    let mut json = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1);
    // The file may grow meanwhile.
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut json)
        .map_err(|error| Error::io(format!("read {shown}"), &error))?;
    Ok(json)
}

/// Parses `json`, leniently where runc is lenient.
pub fn parse(json: &[u8], warnings: &mut Vec<Warning>) -> Result<Config> {
    check_size(json.len() as u64)?;
    // A derived struct also reads from an array.
    if !json.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice::<Value>(json).map_err(|error| syntax(&error))?;
        return Err(invalid("config.json is not a JSON object"));
    }
    // Known to be text as a whole it need not be looked at string by string.
    let text = std::str::from_utf8(json).ok();
    let mut config = match text.and_then(|text| typed(text).ok()) {
        Some(config) => config,
        // Also what reads like a fault of syntax: that is how serde_json refuses a number in the place of a word.
        None => parse_leniently(json, warnings)?,
    };
    refuse_nul(json, text)?;
    let lost = text.map(|text| lost::find(text, &config)).unwrap_or_default();
    if (lost.odd_capability || lost::has_no_page_size(&config)) && warnings.is_empty() {
        config = parse_leniently(json, warnings)?;
    }
    if !lost.pids_limit {
        lost::forget_pids_limit(&mut config);
    }
    if lost.no_io_class {
        return Err(invalid("ioPriority without a class").at("/process/ioPriority/class"));
    }
    match lost.device_number {
        None => Ok(config),
        Some((index, number)) => {
            let message = format!("device without a {number} number");
            Err(Error::new(ErrorKind::InvalidSpec, message).at(format!("/linux/devices/{index}/{number}")))
        }
    }
}

fn typed(text: &str) -> serde_json::Result<Config> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let config = Config::deserialize(Strict(&mut reader))?;
    reader.end().map(|()| config)
}

fn parse_leniently(json: &[u8], warnings: &mut Vec<Warning>) -> Result<Config> {
    let mut value: Value = serde_json::from_slice(json).map_err(|error| syntax(&error))?;
    lenient::relax(&mut value, warnings);
    let text = value.to_string();
    // By the reader of texts once more: that of bytes would be all these types a second time, a tenth of the library.
    typed(&text).map_err(|error| {
        let (place, refusal) = refused(&value, &text, &error);
        let refusal = one_line(&refusal);
        match place {
            Some(pointer) => invalid(known_words(&pointer, refusal)).at(pointer),
            None => invalid(refusal),
        }
    })
}

/// Faults of a whole object or array, as serde words them.
const OF_THE_WHOLE: [&str; 3] = ["missing field", "duplicate field", "invalid length"];

/// The place in `value` that its types refuse, and why. `text` is the value's.
fn refused(value: &Value, text: &str, error: &serde_json::Error) -> (Option<String>, String) {
    let shown = error.to_string();
    let words = shown.rsplit_once(" at line ").map_or(shown.as_str(), |(words, _)| words);
    let fault = match error.is_syntax() {
        true => Fault::Begun,
        false if OF_THE_WHOLE.iter().any(|whole| words.starts_with(whole)) => Fault::Missing,
        false => Fault::Value,
    };
    let place = place::of(text.as_bytes(), error.column(), fault);
    // The document is well-formed: serde_json found no word where it needs one.
    let found = value.pointer(place.as_deref().unwrap_or_default()).filter(|_| fault == Fault::Begun);
    let refusal = match found {
        Some(found) => format!("invalid type: {}, expected string or map", kind(found)),
        None => words.to_owned(),
    };
    (place, refusal)
}

/// A value in serde's words.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("boolean `{value}`"),
        Value::Number(number) if number.is_f64() => format!("floating point `{number}`"),
        Value::Number(number) => format!("integer `{number}`"),
        Value::String(text) => format!("string {text:?}"),
        Value::Array(_) => "sequence".to_owned(),
        Value::Object(_) => "map".to_owned(),
    }
}

/// Where clients know a fault by runc's words, these come first.
const WORDS: [(&str, &str); 2] = [
    ("/linux/memoryPolicy/flags/", "invalid memory policy flag"),
    ("/linux/memoryPolicy", "invalid memory policy mode"),
];

fn known_words(pointer: &str, refusal: String) -> String {
    match WORDS.iter().find(|(place, _)| pointer.starts_with(place)) {
        Some((_, words)) => format!("{words}: {refusal}"),
        None => refusal,
    }
}

/// Parses `json`, which must be an object, as it is; `what` names it in errors.
pub fn object(json: &[u8], what: &str) -> Result<Value> {
    check_size(json.len() as u64)?;
    match serde_json::from_slice(json) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(invalid(format!("{what} is not a JSON object"))),
        Err(error) => Err(invalid(format!("{what} is not valid JSON: {}", one_line(&error.to_string())))),
    }
}

/// The members of an object, each as it is written.
pub type Members<'a> = BTreeMap<String, &'a RawValue>;

/// The members of `json`, which must be an object, as they are written: nothing below them is looked into.
pub fn members<'a>(json: &'a [u8], what: &str) -> Result<Members<'a>> {
    check_size(json.len() as u64)?;
    serde_json::from_slice(json).map_err(|error| {
        invalid(format!("{what} is not an object in valid JSON: {}", one_line(&error.to_string())))
    })
}

fn check_size(bytes: u64) -> Result<()> {
    if bytes > MAX_BYTES {
        return Err(invalid(format!("config.json is larger than {} MiB", MAX_BYTES >> 20)));
    }
    Ok(())
}

/// The text of serde_json names line and column.
fn syntax(error: &serde_json::Error) -> Error {
    let what = if error.is_eof() { "config.json is truncated" } else { "config.json is not valid JSON" };
    invalid(format!("{what}: {}", one_line(&error.to_string())))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSpec, message)
}

/// serde quotes the document in its messages, newlines included.
fn one_line(text: &str) -> String {
    let line: String = text.chars().take(MAX_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MAX_SHOWN).is_some() { line + "..." } else { line }
}

/// A NUL would end every string early on its way into the kernel. JSON can only write it as an escape, so that one scan of
/// the text clears all strings of the configuration.
fn refuse_nul(json: &[u8], text: Option<&str>) -> Result<()> {
    if text.is_some_and(|text| !text.contains("\\u0000")) {
        return Ok(());
    }
    let value: Value = serde_json::from_slice(json).map_err(|error| syntax(&error))?;
    match find_nul(&value, "") {
        Some(pointer) => Err(invalid("strings may not contain NUL").at(pointer)),
        None => Ok(()),
    }
}

/// The first key or string with a NUL. The recursion is bounded by the parser's depth of 128.
fn find_nul(value: &Value, place: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| place.to_owned()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| find_nul(item, &pointer::join(place, &index.to_string()))),
        Value::Object(map) => map.iter().find_map(|(key, item)| {
            let place = pointer::join(place, key);
            if key.contains('\0') { Some(place) } else { find_nul(item, &place) }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}
