//! One suite of container behaviours, many drivers.
//!
//! A *behaviour* is one test: a sentence about what a container, or the runtime, does. A [`driver::Driver`] is a way to
//! ask a runtime for it: its command line, or a library. Around every test the [`oracle`] compares the host before and
//! after: a behaviour that leaves a mount, a cgroup, a process, a file or a descriptor behind has failed.
//!
//! Words: the *subject* is the runtime whose failures count; the other runtimes fill the parity table. The *lane* is the
//! cgroup layout the runtimes see. The *probe* is the static program that runs in the containers and tells what it sees.

pub mod agent;
pub mod bundle;
pub mod coverage;
pub mod ctx;
pub mod defaults;
pub mod driver;
pub mod host;
pub mod oracle;
pub mod probe;
pub mod report;
pub mod runner;
pub mod suite;
pub mod sys;

/// What ends a test before its last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The behaviour is not as the contract says.
    Failed(String),
    /// The behaviour is right and only the error's text differs from the one that callers match.
    Worded(String),
    /// The machine, the lane or the driver cannot show the behaviour; says why.
    Skipped(String),
}

/// The result of a test body.
pub type Outcome = Result<(), Trouble>;

impl Trouble {
    /// The same trouble, with the case in which it came.
    #[must_use]
    pub fn at(self, case: impl std::fmt::Display) -> Self {
        match self {
            Self::Failed(text) => Self::Failed(format!("{case}: {text}")),
            Self::Worded(text) => Self::Worded(format!("{case}: {text}")),
            Self::Skipped(text) => Self::Skipped(text),
        }
    }
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

impl From<&str> for Trouble {
    fn from(message: &str) -> Self {
        Self::Failed(message.into())
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<nix::Error> for Trouble {
    fn from(error: nix::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Fails the test with a message unless the condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Trouble::Failed(format!($($message)+)));
        }
    };
}

/// Fails the test unless both values are equal; the message names what was compared.
#[macro_export]
macro_rules! same {
    ($seen:expr, $wanted:expr, $($what:tt)+) => {
        match (&$seen, &$wanted) {
            (seen, wanted) => {
                $crate::check!(*seen == *wanted, "{}: saw {seen:?}, expected {wanted:?}", format!($($what)+));
            }
        }
    };
}
