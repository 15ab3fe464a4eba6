//! The one error type: what failed, where (JSON pointer, path, step), why (errno), and its kind for callers that decide.
//!
//! An error is made once, where it happens, and is added to only by code that knows something new. `Display` is one line,
//! lower case, with the wording that engines search for (Go's errno texts, runc's phrases).

use std::borrow::Cow;
use std::fmt;

/// The result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What a caller can decide on. The set grows; match with a wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// config.json breaks a rule of the specification; `pointer` names the place.
    InvalidSpec,
    /// An argument of the call is malformed (id, path, signal, option).
    InvalidArgument,
    /// The operation is not allowed in the container's present status.
    InvalidState,
    /// The id is in use.
    AlreadyExists,
    /// No container of that id.
    NotFound,
    /// The container has no process any more.
    NotRunning,
    /// The container is paused, and the operation would wait until it goes on.
    Paused,
    /// Another operation holds the container and the deadline passed, or its cgroup is occupied.
    Busy,
    /// The kernel, the host or this build lacks what was asked for.
    Unsupported,
    /// The caller may not do this.
    Denied,
    /// The program to run does not exist in the container (engines report 127).
    CommandNotFound,
    /// The program exists but cannot be executed (engines report 126).
    CommandNotExecutable,
    /// A hook failed.
    Hook,
    /// A cgroup operation failed.
    Cgroup,
    /// A mount or another step of the rootfs failed.
    Mount,
    /// The container's memory limit killed init before the program ran.
    OutOfMemory,
    /// A deadline passed.
    TimedOut,
    /// The caller's [`crate::Cancel`] was triggered.
    Cancelled,
    /// The kernel refused a call for another reason; `errno` tells.
    Kernel,
    /// Init ended without saying why.
    Died,
    /// A broken invariant of this library: a bug.
    Internal,
}

/// An error: one line for people, parts for programs.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    pointer: Option<String>,
    errno: Option<i32>,
    stage: Option<Cow<'static, str>>,
    /// What was put before the first text, innermost first.
    contexts: Vec<String>,
}

impl Error {
    /// An error of `kind` whose text is `message`: lower case, no full stop, the object in it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::made(kind, line(message.into()), None)
    }

    /// A kernel call failed: "`what`: `errno text`". The kind follows from the errno.
    pub fn os(what: impl fmt::Display, errno: i32) -> Self {
        let message = line(format!("{what}: {}", crate::errno::text(errno)));
        let error = Self::made(kind_of(errno), message, Some(errno));
        if errno == libc::ENOSYS { error.explained() } else { error }
    }

    /// Says which of the calls that teu needs are not there. For a kernel that is too old, and for a seccomp filter around the caller.
    fn explained(self) -> Self {
        let absent = crate::sys::calls::absent();
        if absent.is_empty() {
            return self;
        }
        let calls: Vec<String> =
            absent.iter().map(|(name, since)| format!("{name} (Linux {since})")).collect();
        let these = if calls.len() == 1 { "this call" } else { "these calls" };
        self.remark(format!(
            "the kernel, or a seccomp filter of the caller, lacks {these}: {}",
            calls.join(", ")
        ))
    }

    fn made(kind: ErrorKind, message: String, errno: Option<i32>) -> Self {
        Self(Box::new(Inner { kind, message, pointer: None, errno, stage: None, contexts: Vec::new() }))
    }

    /// Like [`Error::os`], from a `std::io::Error`.
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::os(what, errno),
            None => Self::new(ErrorKind::Kernel, format!("{what}: {error}")),
        }
    }

    /// The same error, of another kind.
    pub fn kind_is(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Names the place in config.json (RFC 6901 pointer such as `/mounts/3`), unless one is named already.
    /// What teu does for every container has no place there: a word without a slash before it is left out.
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        let pointer = line(pointer.into());
        if self.0.pointer.is_none() && (pointer.is_empty() || pointer.starts_with('/')) {
            self.0.pointer = Some(pointer);
        }
        self
    }

    /// Puts `outer: ` before the message.
    pub fn context(mut self, outer: impl fmt::Display) -> Self {
        let outer = line(outer.to_string());
        self.0.message = line(format!("{outer}: {}", self.0.message));
        self.0.contexts.push(outer);
        self
    }

    /// Names the part of the work in which it arose, such as `spec` or `init:mount`, unless one is named already.
    pub fn during(mut self, stage: impl Into<Cow<'static, str>>) -> Self {
        self.0.stage.get_or_insert_with(|| stage.into());
        self
    }

    /// Adds an explanation in parentheses.
    pub fn remark(mut self, text: impl fmt::Display) -> Self {
        self.0.message = line(format!("{} ({text})", self.0.message));
        self
    }

    /// What a caller can decide on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The errno of the kernel call that failed, if one did.
    pub fn errno(&self) -> Option<i32> {
        self.0.errno
    }

    /// The place in config.json, if the error has one.
    pub fn pointer(&self) -> Option<&str> {
        self.0.pointer.as_deref()
    }

    /// The part of the work in which it arose: `spec` (reading and checking config.json), `plan`, `prepare` (what the caller opens and makes), `launch`,
    /// `init:STEP` (a line of the plan), or a hook. Absent if the operation itself says enough.
    pub fn stage(&self) -> Option<&str> {
        self.0.stage.as_deref()
    }

    /// The causes from the outermost to the first one; joined by ": " they are the message.
    pub fn causes(&self) -> Vec<&str> {
        let outer: usize = self.0.contexts.iter().map(|context| context.len() + 2).sum();
        let first = self.0.message.get(outer..).unwrap_or(&self.0.message);
        self.0.contexts.iter().rev().map(String::as_str).chain([first]).collect()
    }

    /// The text without the pointer.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.pointer {
            Some(pointer) => write!(f, "{} (config.json: {pointer})", self.0.message),
            None => f.write_str(&self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {}

/// Longer texts lose their middle: what is quoted may be a mebibyte, and the reason stands behind it. Two paths fit.
const MAX_CHARS: usize = 10_000;

/// `text` on one line, or its beginning and its end. The kernel and the configuration are quoted with what they have.
pub(crate) fn line(text: String) -> String {
    let text = match text.contains(char::is_control) {
        true => text.chars().fold(String::new(), escaped),
        false => text,
    };
    if text.chars().nth(MAX_CHARS).is_none() {
        return text;
    }
    let head: String = text.chars().take(MAX_CHARS / 2).collect();
    let tail = text.char_indices().rev().nth(MAX_CHARS / 2 - 1).and_then(|(start, _)| text.get(start..));
    format!("{head}...{}", tail.unwrap_or_default())
}

fn escaped(mut text: String, c: char) -> String {
    match c.is_control() {
        true => text.extend(c.escape_default()),
        false => text.push(c),
    }
    text
}

fn kind_of(errno: i32) -> ErrorKind {
    match errno {
        libc::EPERM | libc::EACCES => ErrorKind::Denied,
        libc::ENOSYS | libc::EOPNOTSUPP => ErrorKind::Unsupported,
        libc::ESRCH => ErrorKind::NotRunning,
        _ => ErrorKind::Kernel,
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorKind};

    #[test]
    fn what_every_container_gets_has_no_place_in_the_configuration() {
        let place = |pointer: &str| {
            Error::new(ErrorKind::Cgroup, "x").at(pointer).at("/b").pointer().map(str::to_owned)
        };
        assert_eq!(place("/a").as_deref(), Some("/a"));
        assert_eq!(place("").as_deref(), Some(""), "the document as a whole");
        assert_eq!(place("default").as_deref(), Some("/b"));
    }

    #[test]
    fn a_text_is_one_line_with_its_beginning_and_its_reason() {
        let error = Error::new(ErrorKind::InvalidSpec, format!("path {:?} is bad", "ä".repeat(1 << 20)));
        let text = error.at(format!("/linux/sysctl/{}", "x".repeat(1 << 20))).to_string();
        assert!(text.chars().count() < 21_000);
        assert!(text.starts_with("path \"ää") && text.contains("ä\" is bad (config.json: /linux/sysctl/xx"));
        let error = Error::os("mount \u{1b}[2J\nx", 1).context("two\nlines").remark("a\ttab");
        assert_eq!(error.message(), "two\\nlines: mount \\u{1b}[2J\\nx: operation not permitted (a\\ttab)");
        assert_eq!(
            error.causes(),
            ["two\\nlines", "mount \\u{1b}[2J\\nx: operation not permitted (a\\ttab)"]
        );
        let short = "x".repeat(10_000);
        assert_eq!(Error::new(ErrorKind::InvalidSpec, short.as_str()).message(), short);
    }
}
