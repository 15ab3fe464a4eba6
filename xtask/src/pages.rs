//! What is shipped beside the command: manual pages and completions, which the command itself writes from its table of options.

use crate::project::Project;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Shells, and where they look for the completions of `teu` below a prefix such as /usr.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/teu"),
    ("zsh", "share/zsh/site-functions/_teu"),
    ("fish", "share/fish/vendor_completions.d/teu.fish"),
];

/// Writes all of them, as they lie below a prefix, and tells where that is.
pub fn write(project: &Project, teu: &Path) -> Result<PathBuf, String> {
    let prefix = project.target.join("pages");
    let manual = prefix.join("share/man/man8");
    fs::create_dir_all(&manual).map_err(|error| format!("{}: {error}", manual.display()))?;
    said(teu, &["man", "--into", &manual.to_string_lossy()])?;
    for (shell, place) in COMPLETIONS {
        put(&prefix.join(place), &said(teu, &["completion", shell])?)?;
    }
    Ok(prefix)
}

fn put(path: &Path, content: &[u8]) -> Result<(), String> {
    let directory = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(directory).and_then(|()| fs::write(path, content));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

fn said(teu: &Path, args: &[&str]) -> Result<Vec<u8>, String> {
    let output =
        Command::new(teu).args(args).output().map_err(|error| format!("{}: {error}", teu.display()))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(format!("{} {}: {}", teu.display(), args.join(" "), output.status)),
    }
}
