//! The pid file: whole when it first appears, digits only.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Error, ErrorKind, Result};

/// A pid file that goes away again unless it is kept.
pub(super) struct PidFile(Option<PathBuf>);

/// Writes `pid` to `path` by way of a temporary file beside it.
pub(super) fn write(path: &Path, pid: i32) -> Result<PidFile> {
    let name = path.file_name().ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, format!("invalid pid file {}", path.display()))
    })?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    let temporary = path.with_file_name(hidden);
    let written = put(&temporary, pid).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Error::io(format!("write pid file {}", path.display()), &error)
    })?;
    Ok(PidFile(Some(path.to_owned())))
}

fn put(path: &Path, pid: i32) -> std::io::Result<()> {
    // Left by a creator that was killed: nobody else uses this name.
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(pid.to_string().as_bytes())
}

impl PidFile {
    /// Leaves the file where it is.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            let _ = fs::remove_file(path);
        }
    }
}
