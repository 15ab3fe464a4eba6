//! teu-recorder: stands in a runtime's place, writes down how it was called, and becomes the runtime.
//!
//! It lies at `DIR/recorder/NAME`; the runtime is `DIR/NAME`, the recordings are files of `DIR/calls`.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// Variables that a runtime looks at.
const VARIABLES: &[&str] = &[
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "XDG_RUNTIME_DIR",
    "PATH",
    "HOME",
    "USER",
];

fn main() -> ExitCode {
    match become_runtime() {
        Err(error) => eprintln!("teu-recorder: {error}"),
        Ok(never) => match never {},
    }
    ExitCode::FAILURE
}

fn become_runtime() -> io::Result<std::convert::Infallible> {
    let me = std::env::current_exe()?;
    let dir = me.parent().and_then(Path::parent).ok_or(io::ErrorKind::NotFound)?;
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = Command::new(dir.join(me.file_name().unwrap_or_default()));
    command.args(&words);
    let mut call = facts(&words);
    if words.iter().any(|word| word == "--resources=-")
        || words.windows(2).any(|two| two == ["--resources", "-"])
    {
        let text = io::read_to_string(io::stdin())?;
        let copy = dir.join("calls").join(format!("{}.in", std::process::id()));
        fs::write(&copy, &text)?;
        command.stdin(File::open(copy)?);
        call.insert("input".into(), json_or_text(&text));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    let file = dir.join("calls").join(format!("{:020}-{}.json", now.as_nanos(), std::process::id()));
    fs::write(file, serde_json::to_vec_pretty(&Value::Object(call))?)?;
    Err(command.exec())
}

fn facts(words: &[OsString]) -> Map<String, Value> {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut call = Map::new();
    call.insert("words".into(), json!(words));
    let variables =
        VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?.into())));
    call.insert("env".into(), Value::Object(variables.collect()));
    call.insert("cwd".into(), json!(std::env::current_dir().unwrap_or_default()));
    call.insert("descriptors".into(), Value::Object(descriptors()));
    for (key, file) in
        [("config", config(&words)), ("process", value(&words, &["--process", "-p"]).map(PathBuf::from))]
    {
        if let Some(text) = file.and_then(|file| read(&file).ok()) {
            call.insert(key.into(), json_or_text(&text));
        }
    }
    call
}

/// The configuration, if the command is one that reads it.
fn config(words: &[String]) -> Option<PathBuf> {
    let creates = words.iter().any(|word| matches!(word.as_str(), "create" | "run" | "restore"));
    let bundle = value(words, &["--bundle", "-b"]).map_or_else(|| PathBuf::from("."), PathBuf::from);
    creates.then(|| bundle.join("config.json"))
}

fn value(words: &[String], names: &[&str]) -> Option<String> {
    let attached = |word: &String| {
        names.iter().find_map(|name| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    };
    words.iter().find_map(attached).or_else(|| {
        let at = words.iter().position(|word| names.contains(&word.as_str()))?;
        words.get(at + 1).cloned()
    })
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// What each descriptor is, by kind.
fn descriptors() -> Map<String, Value> {
    let mut found: Vec<(u32, String)> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse().ok()?, kind(&fs::read_link(entry.path()).ok()?)))
        })
        // The listing's own descriptor, and what the caller of all this has left open.
        .filter(|(number, kind)| kind != "proc" && *number < 10)
        .collect();
    found.sort();
    found.into_iter().map(|(number, kind)| (number.to_string(), kind.into())).collect()
}

fn kind(link: &Path) -> String {
    let text = link.to_string_lossy();
    let kinds = [
        ("pipe:", "pipe"),
        ("socket:", "socket"),
        ("/dev/null", "null"),
        ("/dev/pts/", "terminal"),
        ("/proc/", "proc"),
        ("/", "file"),
    ];
    kinds
        .iter()
        .find(|(start, _)| text.starts_with(start))
        .map_or(text.to_string(), |(_, kind)| (*kind).to_owned())
}
