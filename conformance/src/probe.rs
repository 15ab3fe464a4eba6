//! The probe's bytes, and what it reports.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::Value;

use crate::Trouble;

const PROBE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe"));

/// Writes the probe as an executable file.
pub fn install(path: &Path) -> std::io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(path)?.write_all(PROBE)
}

/// One report of the probe: ops and what they saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Report(pub Value);

impl Report {
    /// Reads one line of the probe.
    pub fn parse(line: &str) -> Result<Self, Trouble> {
        serde_json::from_str(line)
            .map(Self)
            .map_err(|error| format!("not a report: {error}: {line:?}").into())
    }

    /// What an op saw.
    pub fn get(&self, op: &str) -> &Value {
        &self.0[op]
    }

    /// What an op saw, as text; empty when it is none.
    pub fn text(&self, op: &str) -> &str {
        self.0[op].as_str().unwrap_or_default()
    }

    /// One field of what an op saw, as text; numbers become digits.
    pub fn field(&self, op: &str, key: &str) -> String {
        match &self.0[op][key] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        }
    }

    /// A field of /proc/self/status with its blanks made single.
    pub fn status(&self, key: &str) -> String {
        self.field("status", key).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The topmost mount at a point, or null.
    pub fn mount(&self, point: &str) -> &Value {
        let list = self.0["mounts"].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().rev().find(|entry| entry["point"] == point).unwrap_or(&Value::Null)
    }

    /// How many mounts lie on each other at a point.
    pub fn mounts_at(&self, point: &str) -> usize {
        let list = self.0["mounts"].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().filter(|entry| entry["point"] == point).count()
    }

    /// True if the mount at a point has an option, of the mount or of the filesystem.
    pub fn mounted_with(&self, point: &str, option: &str) -> bool {
        let entry = self.mount(point);
        let has = |key: &str| entry[key].as_str().unwrap_or_default().split(',').any(|word| word == option);
        has("options") || has("super")
    }
}
