//! `root` and `linux.rootfsPropagation`: the root handle before the mounts, and the switch into it after them.
//!
//! What of the host's mount events reaches the container, and the other way round, is decided before anything is attached: see `Events`.

use std::path::{Path, PathBuf};

use teu_init::abi::{MOUNT_ATTR_RDONLY, MS_REC};
use teu_init::program::{Op, Slot};

use super::mount_options;
use super::mounts::open_tree;
use super::namespaces::kind;
use super::program::Builder;
use super::{Hooks, Source, Subject, Tree};
use crate::{Error, ErrorKind, Result};

const MS_UNBINDABLE: u32 = 1 << 17;
const MS_PRIVATE: u32 = 1 << 18;
const MS_SLAVE: u32 = 1 << 19;
const MS_SHARED: u32 = 1 << 20;
const ROOT_PATH: &str = "/root/path";
const PROPAGATION: &str = "/linux/rootfsPropagation";

/// What `linux.rootfsPropagation` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Events {
    /// MS_* bits by which the namespace is cut off from the host.
    cut: u32,
    /// Sources of binds are opened before the cut: they stay peers of the host's mounts.
    peers: bool,
    /// MS_* bits for the new root, 0 for none.
    last: u32,
}

impl Events {
    fn of(subject: &Subject<'_>) -> Self {
        let word = subject.config.linux().as_ref().and_then(|linux| linux.rootfs_propagation().as_deref());
        let flags = word.and_then(mount_options::propagation).unwrap_or(0);
        let rec = MS_REC as u32;
        match flags & !rec {
            MS_PRIVATE => Self { cut: MS_PRIVATE | rec, peers: false, last: 0 },
            MS_UNBINDABLE => Self { cut: MS_PRIVATE | rec, peers: false, last: flags },
            MS_SHARED => Self { cut: MS_SLAVE | rec, peers: true, last: flags },
            _ => Self { cut: MS_SLAVE | rec, peers: false, last: 0 },
        }
    }

    /// Whether the host's mounts must not even come in.
    fn is_private(self) -> bool {
        self.cut & MS_PRIVATE != 0
    }
}

/// Whether later mounts of the host stay out of every tree that the container gets, and the container's out of the host's.
pub(super) fn is_private(subject: &Subject<'_>) -> bool {
    Events::of(subject).is_private() || !subject.namespaces.has(kind::MOUNT)
}

/// Whether there is something to mount.
fn wants_mounts(subject: &Subject<'_>) -> bool {
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let hides = |linux: &oci_spec::runtime::Linux| some(linux.masked_paths()) || some(linux.readonly_paths());
    subject.config.mounts().as_ref().is_some_and(|mounts| !mounts.is_empty())
        || subject.config.root().as_ref().is_some_and(|root| root.readonly() == Some(true))
        || subject.config.linux().as_ref().is_some_and(hides)
}

/// The root of the container.
pub(super) struct Rootfs {
    path: PathBuf,
    sent: Option<Slot>,
    /// The container has a mount namespace of its own.
    private: bool,
    /// It has none, and what it mounts lies on a copy of the rootfs in the host's.
    on_host: bool,
    events: Events,
}

impl Rootfs {
    /// Asks for the root's descriptor. A caller with privilege opens the tree itself: the path is resolved once.
    ///
    /// # Errors
    /// `InvalidSpec` if the propagation is not safe for the way into the rootfs.
    pub fn prepare(subject: &Subject<'_>, out: &mut Builder, sources: &mut Vec<Source>) -> Result<Self> {
        let private = subject.namespaces.has(kind::MOUNT);
        let path = subject.rootfs.clone();
        let (events, pointer) = (Events::of(subject), ROOT_PATH.to_owned());
        if subject.shape.no_pivot && events.cut & MS_PRIVATE != 0 && events.last == 0 {
            let message = "rootfsPropagation of [r]private is not safe without pivot_root";
            return Err(Error::new(ErrorKind::InvalidSpec, message).at(PROPAGATION));
        }
        let on_host = !private && wants_mounts(subject);
        if on_host {
            check_host(subject, &path)?;
        }
        let source = match private {
            true if subject.host.privileged && !subject.namespaces.joins(kind::MOUNT) => {
                let tree = Tree { recursive: true, private: events.is_private(), ..Tree::at(path.clone()) };
                Some(Source::Tree { tree, pointer })
            }
            true => None,
            false if on_host => {
                let tree = Tree { recursive: true, private: true, ..Tree::at(path.clone()) };
                Some(Source::HostRoot { tree })
            }
            false => Some(Source::Directory { path: path.clone(), pointer }),
        };
        let sent = source.map(|source| {
            sources.push(source);
            out.sends()
        });
        Ok(Self { path, sent, private, on_host, events })
    }

    /// Cuts the namespace off from the host's mount events.
    pub fn push_isolation(&self, out: &mut Builder) {
        if self.private {
            out.push(Op::Propagation { flags: self.events.cut }, PROPAGATION);
        }
    }

    /// Makes the rootfs the root handle.
    pub fn push_root(&self, hooks: &Hooks, out: &mut Builder) {
        let tree = self.sent.unwrap_or_else(|| Slot(open_tree(out, &self.path, true, ROOT_PATH).0));
        // Hooks that come before the switch look for the mounts below the path of the rootfs.
        let below = self.private && hooks.look_at_the_rootfs();
        let path = out.text(if below { self.path.as_os_str().as_encoded_bytes() } else { b"" });
        let attach = if below { 2 } else { self.private.into() };
        out.push(Op::Root { tree, attach, path }, ROOT_PATH);
    }

    /// Whether sources are opened before the namespace is cut off.
    pub fn peers(&self) -> bool {
        self.events.peers
    }

    /// Enters the rootfs.
    pub fn push_switch(&self, subject: &Subject<'_>, out: &mut Builder) {
        match (self.private, subject.shape.no_pivot) {
            (true, false) => out.push(Op::Pivot {}, ROOT_PATH),
            (own, _) => {
                if own {
                    out.push(Op::HideHost {}, "");
                }
                out.push(Op::Chroot {}, ROOT_PATH);
            }
        }
    }

    /// Gives the root its propagation, when nothing is mounted or copied any more: of an unbindable mount there is no copy.
    pub fn push_propagation(&self, out: &mut Builder) {
        if self.private && self.events.last != 0 {
            out.push(Op::Propagation { flags: self.events.last }, PROPAGATION);
        }
    }

    /// Makes the root read-only, after everything that init writes there.
    pub fn push_read_only(&self, subject: &Subject<'_>, out: &mut Builder) {
        let read_only = subject.config.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false);
        if read_only && (self.private || self.on_host) {
            let path = out.text("/");
            out.push(Op::Attr { path, set: MOUNT_ATTR_RDONLY, clear: 0 }, "/root/readonly");
        }
    }
}

/// Mounts in the host's mount namespace need the right to make them there, and a place that is not everybody's.
fn check_host(subject: &Subject<'_>, rootfs: &Path) -> Result<()> {
    if !subject.host.privileged {
        let message = "unable to set up mounts without a private mount namespace: the caller may not mount";
        return Err(Error::new(ErrorKind::Unsupported, message).at("/linux/namespaces"));
    }
    if rootfs == Path::new("/") {
        let message = "unable to set up mounts without a private mount namespace in the host's own root";
        return Err(Error::new(ErrorKind::InvalidSpec, message).at(ROOT_PATH));
    }
    Ok(())
}
