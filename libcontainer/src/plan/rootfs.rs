//! `root` and `linux.rootfsPropagation`: the root handle before the mounts, and the switch into it after them.

use std::path::PathBuf;

use teu_init::abi::{MOUNT_ATTR_RDONLY, MS_REC};
use teu_init::program::{Op, Slot};

use super::mount_options;
use super::mounts::open_tree;
use super::namespaces::kind;
use super::program::Builder;
use super::{Source, Subject};

const MS_SLAVE: u32 = 1 << 19;
const MS_REC_SLAVE: u32 = MS_SLAVE | MS_REC as u32;
const ROOT_PATH: &str = "/root/path";
const PROPAGATION: &str = "/linux/rootfsPropagation";

/// The root of the container.
pub(super) struct Rootfs {
    path: PathBuf,
    sent: Option<Slot>,
    /// The container has a mount namespace of its own.
    private: bool,
}

impl Rootfs {
    /// Asks for the root's descriptor. A caller with privilege opens the tree itself: the path is resolved once.
    pub fn prepare(subject: &Subject<'_>, out: &mut Builder, sources: &mut Vec<Source>) -> Self {
        let private = subject.namespaces.has(kind::MOUNT);
        let path = subject.rootfs.clone();
        let (recursive, pointer) = (true, ROOT_PATH.to_owned());
        let source = match private {
            true if subject.host.privileged && !subject.namespaces.joins(kind::MOUNT) => {
                Some(Source::Tree { path: path.clone(), recursive, pointer })
            }
            true => None,
            false => Some(Source::Directory { path: path.clone(), pointer }),
        };
        let sent = source.map(|source| {
            sources.push(source);
            out.sends()
        });
        Self { path, sent, private }
    }

    /// Cuts the namespace off from the host's mount events.
    pub fn push_isolation(&self, out: &mut Builder) {
        if self.private {
            out.push(Op::Propagation { flags: MS_REC_SLAVE }, PROPAGATION);
        }
    }

    /// Makes the rootfs the root handle.
    pub fn push_root(&self, out: &mut Builder) {
        let tree = self.sent.unwrap_or_else(|| Slot(open_tree(out, &self.path, true, ROOT_PATH).0));
        out.push(Op::Root { tree, attach: self.private.into() }, ROOT_PATH);
    }

    /// Enters the rootfs.
    pub fn push_switch(&self, subject: &Subject<'_>, out: &mut Builder) {
        let pivot = self.private && !subject.shape.no_pivot;
        out.push(if pivot { Op::Pivot {} } else { Op::Chroot {} }, ROOT_PATH);
        if let Some(flags) = final_propagation(subject) {
            out.push(Op::Propagation { flags }, PROPAGATION);
        }
    }

    /// Makes the root read-only, after everything that init writes there.
    pub fn push_read_only(&self, subject: &Subject<'_>, out: &mut Builder) {
        let read_only = subject.config.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false);
        if read_only && self.private {
            let path = out.text("/");
            out.push(Op::Attr { path, set: MOUNT_ATTR_RDONLY, clear: 0 }, "/root/readonly");
        }
    }
}

/// The propagation that was asked for, unless it is the one that the mounts have already.
fn final_propagation(subject: &Subject<'_>) -> Option<u32> {
    let word = subject.config.linux().as_ref()?.rootfs_propagation().as_deref()?;
    mount_options::propagation(word).filter(|flags| flags & MS_SLAVE == 0)
}
