//! What `--version` prints. moby splits the first line at the word `version` and reads `commit: `; go-runc wants `runc version `
//! of a program installed under that name.

/// The version of this build.
pub const NUMBER: &str = env!("CARGO_PKG_VERSION");

/// The revision it was built from, if the build was told.
const COMMIT: &str = match option_env!("TEU_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// The version of the runtime specification.
const SPEC: &str = "1.3.0";

/// The text of `--version`.
pub fn text(program: &str) -> String {
    format!("{program} version {NUMBER}\ncommit: {COMMIT}\nspec: {SPEC}\n")
}

/// Of the manual pages.
pub const DATE: &str = "2026-11-21";
