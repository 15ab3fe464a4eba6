//! Binds of what earlier mounts of the container have made: opened by init when their turn comes, below the root handle.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use teu_init::program::{Op, Slot, tree_flag};

use super::mounts::{Simple, What, components, open_with};
use super::program::Builder;
use super::{MountIds, Subject};

/// A tree below the rootfs.
#[derive(Debug)]
pub(super) struct Inner {
    /// Its path there.
    path: String,
    /// Bits of `tree_flag`.
    flags: u32,
    /// Its place in the list of trees that get other ids.
    mapped: Option<u32>,
}

/// A tree that init opens and the caller gives other ids: init may not, where it is in a user namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedTree {
    /// Its path, as config.json says it.
    pub source: PathBuf,
    /// The ids.
    pub ids: MountIds,
    /// What is mounted below has them too.
    pub below: bool,
    /// The place in config.json.
    pub pointer: String,
}

/// As runc, whose mounts are made at the path of the rootfs: a source below it is found as the mounts before have left it. Where they have not touched it,
/// it is opened with all others.
pub(super) fn find<'a: 'b, 'b>(
    subject: &Subject<'_>,
    simple: &mut Simple<'a>,
    mut before: impl Iterator<Item = &'b Simple<'a>>,
    mapped: &mut Vec<MappedTree>,
) {
    let What::Bind { tree } = &simple.what else { return };
    let Some(path) = below(&subject.rootfs, &tree.path) else { return };
    let source = components(&path);
    let touches = |earlier: &Simple<'_>| {
        let target = components(&earlier.target);
        target.starts_with(&source) || source.starts_with(&target)
    };
    if !before.any(touches) {
        return;
    }
    let index = u32::try_from(mapped.len()).ok().filter(|_| tree.ids.is_some());
    mapped.extend(tree.ids.clone().map(|(ids, below)| MappedTree {
        source: tree.path.clone(),
        ids,
        below,
        pointer: simple.pointer.clone(),
    }));
    let flags = tree_flag::IN_ROOT | tree.flags();
    simple.what = What::Inner(Inner { path, flags, mapped: index });
}

impl Inner {
    /// Opens it, and has it mapped.
    pub fn push(&self, pointer: &str, out: &mut Builder) -> Slot {
        let tree = Slot(open_with(out, Path::new(&self.path), self.flags, pointer).0);
        if let Some(index) = self.mapped {
            out.push(Op::MapTree { tree, index }, pointer.to_owned());
        }
        tree
    }
}

/// The part of a path of the host that lies below `root`, if it does and the root is not all there is.
pub(super) fn below(root: &Path, path: &Path) -> Option<String> {
    // Most paths part from the root at their first name.
    let first = first(root)?;
    if self::first(path) != Some(first) {
        return None;
    }
    let rest = path.strip_prefix(root).ok()?.to_str()?;
    Some(format!("/{rest}"))
}

/// The first name of an absolute path.
fn first(path: &Path) -> Option<&[u8]> {
    let mut names = path.as_os_str().as_bytes().strip_prefix(b"/")?.split(|byte| *byte == b'/');
    names.find(|name| !matches!(*name, b"" | b"."))
}
