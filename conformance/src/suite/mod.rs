//! The behaviours. Each file is one subject with a table of its tests; a test's name is a sentence about behaviour.

use crate::Outcome;
use crate::ctx::Ctx;
use crate::host::Need;

mod joins;
mod lifecycle;
mod namespaces;
mod state;

/// One behaviour.
#[derive(Clone, Copy)]
pub struct Test {
    /// The subject it belongs to.
    pub subject: &'static str,
    /// A sentence about behaviour.
    pub name: &'static str,
    /// Without these it is skipped.
    pub needs: &'static [Need],
    /// The body.
    pub body: fn(&Ctx<'_>) -> Outcome,
}

impl Test {
    /// Subject and name.
    pub fn full_name(&self) -> String {
        format!("{}::{}", self.subject, self.name)
    }
}

/// A table of tests: the functions' names become the tests' names; a list in brackets holds their needs.
macro_rules! tests {
    ($($body:ident $([$($need:expr),+])?),+ $(,)?) => {
        /// The behaviours of this subject.
        pub const TESTS: &[$crate::suite::Test] = &[
            $($crate::suite::Test {
                subject: $crate::suite::last(module_path!()),
                name: stringify!($body),
                needs: &[$($($need),+)?],
                body: $body,
            }),+
        ];
    };
}
pub(crate) use tests;

/// The last name of a module path.
pub(crate) const fn last(path: &'static str) -> &'static str {
    let bytes = path.as_bytes();
    let mut start = bytes.len();
    while start > 0 && bytes[start - 1] != b':' {
        start -= 1;
    }
    path.split_at(start).1
}

/// Every behaviour, in order.
pub fn all() -> Vec<Test> {
    [lifecycle::TESTS, state::TESTS, namespaces::TESTS, joins::TESTS].concat()
}
