//! Log lines: where they go, how they look, and which are written. By default warnings and the error that
//! ends the program, as runc's; of a JSON log only the error, because podman reads the whole file as one object.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use log::LevelFilter;
use nix::fcntl::OFlag;
use teu::{Error, ErrorKind, Result};

use crate::args::Arguments;
use crate::clock;
use crate::json::Json;
use crate::log_service::Service;

/// Where log lines go and how they look.
#[derive(Debug, Default)]
pub struct Log {
    target: Target,
    json: bool,
}

/// Where lines go.
#[derive(Debug, Default)]
enum Target {
    #[default]
    Stderr,
    File(File),
    Service(Service),
}

impl Log {
    /// The log that the global options ask for. A wrong option is reported in the log as far as it is known by then.
    pub fn open(globals: &Arguments, program: &str) -> (Self, Result<LevelFilter>) {
        let (json, format) = match globals.text("log-format").as_deref() {
            None | Some("text") => (false, Ok(())),
            Some("json") => (true, Ok(())),
            Some(other) => (false, Err(invalid(format!("unknown log-format {other:?}")))),
        };
        let (target, opened) = match target(globals, program) {
            Ok(target) => (target, Ok(())),
            Err(error) => (Target::Stderr, Err(error)),
        };
        (Self { target, json }, format.and(opened).and_then(|()| level(globals, json)))
    }

    /// The line of a fatal error; with a log file the bare text on stderr too. A log that cannot be written to is no reason to
    /// lose the message.
    pub fn fatal(&self, message: &str) {
        let written = match self.target {
            Target::Stderr => false,
            _ => self.write(log::Level::Error, message).is_ok(),
        };
        let text = if written { format!("{message}\n") } else { self.line("error", message) };
        // There is nobody left to tell if stderr fails.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    fn write(&self, level: log::Level, message: &str) -> std::io::Result<()> {
        let line = || self.line(word(level), message);
        match &self.target {
            Target::Stderr => std::io::stderr().lock().write_all(line().as_bytes()),
            Target::File(file) => (&*file).write_all(line().as_bytes()),
            Target::Service(service) => service.say(level, message),
        }
    }

    /// Lets the library's lines of `level` and above through.
    pub fn install(self, level: LevelFilter) -> &'static Self {
        let log: &'static Self = Box::leak(Box::new(self));
        if log::set_logger(log).is_ok() {
            log::set_max_level(level);
        }
        log
    }

    /// The number of the log's descriptor, which must not be taken for one that the caller passed.
    pub fn number(&self) -> Option<i32> {
        match &self.target {
            Target::Stderr => None,
            Target::File(file) => Some(file.as_raw_fd()),
            Target::Service(service) => Some(service.number()),
        }
    }

    fn line(&self, level: &str, message: &str) -> String {
        let time = clock::now();
        if !self.json {
            return format!("time=\"{time}\" level={level} msg={}\n", quoted(message));
        }
        let fields = [("level", level), ("msg", message), ("time", &time)];
        let fields = fields.map(|(key, value)| (key.to_owned(), Json::text(value)));
        let mut line = Json::Object(fields.into()).compact();
        line.push('\n');
        line
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // A lost debug line must not end a container.
        let _ = self.write(record.level(), &record.args().to_string());
    }

    fn flush(&self) {}
}

fn word(level: log::Level) -> &'static str {
    match level {
        log::Level::Error => "error",
        log::Level::Warn => "warning",
        log::Level::Info => "info",
        log::Level::Debug | log::Level::Trace => "debug",
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

fn level(globals: &Arguments, json: bool) -> Result<LevelFilter> {
    if globals.flag("debug") {
        return Ok(LevelFilter::Debug);
    }
    match globals.text("log-level").as_deref() {
        None if !json => Ok(LevelFilter::Warn),
        // Only the fatal line, which does not pass through the logger.
        None | Some("error") => Ok(LevelFilter::Off),
        Some("warning") => Ok(LevelFilter::Warn),
        Some("info") => Ok(LevelFilter::Info),
        Some("debug") => Ok(LevelFilter::Debug),
        Some(other) => Err(invalid(format!("unknown log-level {other:?}"))),
    }
}

/// Where `--log` wants the lines; youki's `--systemd-log` wants them in the journal.
fn target(globals: &Arguments, program: &str) -> Result<Target> {
    let journal = globals.flag("systemd-log").then_some(OsStr::new("journald:"));
    let named = globals.value("log").or(journal);
    let Some(name) = named.filter(|name| !name.is_empty() && *name != "/dev/stderr") else {
        return Ok(Target::Stderr);
    };
    let text = name.to_string_lossy();
    if let Some(opened) = Service::open(&text, program) {
        return opened
            .map(Target::Service)
            .map_err(|(socket, error)| Error::io(format!("connect to {}", socket.display()), &error));
    }
    let path = text.strip_prefix("file:").map_or(name, |path| path.as_ref());
    // The engine reads the file after a crash too, hence O_SYNC. In a directory that others may write to, a link is a trap; links of
    // the kernel to what is open already are not.
    let follow = ["/dev/", "/proc/"].iter().any(|place| text.starts_with(place));
    let flags = if follow { OFlag::O_SYNC } else { OFlag::O_SYNC | OFlag::O_NOFOLLOW }.bits();
    let file = OpenOptions::new().append(true).create(true).mode(0o644).custom_flags(flags).open(path);
    file.map(Target::File).map_err(|error| Error::io(format!("open {}", Path::new(path).display()), &error))
}

/// `text` as Go's `%q` prints it.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if other.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(other))),
            other if other.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(other))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::{Log, quoted};

    fn without_time(line: &str) -> String {
        let at = line.find("20").unwrap();
        format!("{}T{}", &line[..at], &line[at + "2026-01-02T03:04:05Z".len()..])
    }

    #[test]
    fn json_lines_have_level_msg_time() {
        let line = Log { json: true, ..Log::default() }.line("error", "container \"<a>\" does not exist");
        let expected = "{\"level\":\"error\",\"msg\":\"container \\\"\\u003ca\\u003e\\\" does not exist\",\"time\":\"T\"}\n";
        assert_eq!(without_time(&line), expected);
    }

    #[test]
    fn text_lines_quote_the_message() {
        let line = Log::default().line("error", "exec: \"x\": no");
        assert_eq!(without_time(&line), "time=\"T\" level=error msg=\"exec: \\\"x\\\": no\"\n");
    }

    #[test]
    fn quotes_escape_what_would_break_a_line() {
        assert_eq!(quoted("a\"b\\c\nd\te\u{1b}f\u{85}ü"), r#""a\"b\\c\nd\te\x1bf\u0085ü""#);
    }
}
