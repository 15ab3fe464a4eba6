//! `linux.readonlyPaths` and `linux.maskedPaths`. A masked file is covered by the null device, a directory by an empty read-only tmpfs. What does not
//! exist is skipped.

use std::path::Path;

use teu_init::program::{Op, Slot};

use super::Subject;
use super::mounts::open_tree;
use super::program::Builder;

/// The paths and the null device's tree.
pub(super) struct Masks<'a> {
    readonly: &'a [String],
    masked: &'a [String],
    null: Slot,
}

impl<'a> Masks<'a> {
    /// Reads the lists and opens the host's null device, whose numbers init checks.
    pub fn prepare(subject: &Subject<'a>, out: &mut Builder) -> Self {
        let linux = subject.config.linux().as_ref();
        let masked = linux.and_then(|linux| linux.masked_paths().as_deref()).unwrap_or(&[]);
        let readonly = linux.and_then(|linux| linux.readonly_paths().as_deref()).unwrap_or(&[]);
        let null = match masked {
            [] => Slot(0),
            _ => Slot(open_tree(out, Path::new("/dev/null"), false, "/linux/maskedPaths").0),
        };
        Self { readonly, masked, null }
    }

    /// Covers the paths.
    pub fn push(&self, out: &mut Builder) {
        for (index, path) in self.readonly.iter().enumerate() {
            let path = out.text(path);
            out.push(Op::Readonly { path }, format!("/linux/readonlyPaths/{index}"));
        }
        let mut seen = Vec::with_capacity(self.masked.len());
        for (index, path) in self.masked.iter().enumerate() {
            // Once is enough: each cover would be one more mount.
            if seen.contains(&path) {
                continue;
            }
            seen.push(path);
            let path = out.text(path);
            out.push(Op::Mask { null: self.null, path }, format!("/linux/maskedPaths/{index}"));
        }
    }
}
