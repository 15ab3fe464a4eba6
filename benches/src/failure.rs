//! Errors of the harness: a sentence each, made where it is known what was being measured.

/// Any error, already a sentence.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What every function of the harness returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// The error that says `sentence`.
pub fn refuse<T>(sentence: impl Into<String>) -> Result<T> {
    Err(sentence.into().into())
}

/// Names what was being done when an error came.
pub trait While<T> {
    /// Puts `what` before the error's own words.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: std::fmt::Display> While<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| format!("{}: {error}", what()).into())
    }
}
