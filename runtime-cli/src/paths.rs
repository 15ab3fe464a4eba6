//! Paths of the command line, made absolute before anything else happens.

use std::path::{Component, Path, PathBuf};

use teu::{Error, Result};

/// `path` from the current directory, without `.` and `..`, which are taken as text (as Go's `filepath.Abs` does).
pub fn absolute(path: &Path) -> Result<PathBuf> {
    let start = match path.is_absolute() {
        true => PathBuf::new(),
        false => std::env::current_dir().map_err(|error| Error::io("getwd", &error))?,
    };
    Ok(cleaned(&start.join(path)))
}

fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}

/// The directory as the kernel knows it after a chdir there.
pub fn directory(path: &Path) -> Result<PathBuf> {
    let resolved = std::fs::canonicalize(path);
    resolved.map_err(|error| Error::io(format!("chdir {}", path.display()), &error))
}
