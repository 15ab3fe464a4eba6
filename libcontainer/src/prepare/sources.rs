//! Opens what the plan's sources name.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::sys::stat::fstat;

use crate::launch::mount_ids::user_namespace;
use crate::options::{FdMap, Stdio};
use crate::plan::live_mounts::Ready;
use crate::plan::namespaces::kind;
use crate::plan::{MountIds, Source, Tree};
use crate::sys;
use crate::{Error, ErrorKind, Result};

/// The descriptors that a caller gave, each handed out once.
pub(super) struct Opener {
    stdio: [Stdio; 3],
    extra: Vec<Option<FdMap>>,
    /// The null device, opened once.
    null: Option<OwnedFd>,
    /// User namespaces of mapped mounts.
    mount_ids: Vec<(MountIds, OwnedFd)>,
}

impl Opener {
    pub fn new(stdio: [Stdio; 3], extra: Vec<FdMap>) -> Self {
        Self { stdio, extra: extra.into_iter().map(Some).collect(), null: None, mount_ids: Vec::new() }
    }

    /// One descriptor for each source. `own` opens what belongs to the container that is made or entered.
    pub fn open(
        mut self,
        sources: &[Source],
        own: impl Fn(&Source) -> Result<OwnedFd>,
    ) -> Result<Vec<OwnedFd>> {
        let open_one = |source: &Source| match source {
            Source::Stdio(number) => self.stdio(*number),
            Source::Extra(index) => self.extra(*index),
            Source::Tree { tree, pointer } => self.tree(tree, pointer),
            Source::HostRoot { tree } => self.tree(tree, "/root/path"),
            Source::Ready { ready, pointer } => self.ready(ready, pointer),
            Source::MountIds { ids, pointer } => self.mount_ids(ids, pointer)?.try_clone().map_err(again),
            Source::Directory { path, pointer } => rootfs(path, pointer),
            Source::Namespace { kind, path, pointer, foreign } => {
                let file = namespace(path, *kind, pointer)?;
                foreign.as_ref().map_or(Ok(()), |refusal| not_ours(&file, *kind, refusal))?;
                Ok(file)
            }
            own_source => own(own_source),
        };
        sources.iter().map(open_one).collect()
    }

    fn tree(&mut self, tree: &Tree, pointer: &str) -> Result<OwnedFd> {
        let source = match pointer {
            "/root/path" => rootfs(&tree.path, pointer)?,
            _ => open_path(&tree.path, tree.keep_link).map_err(|error| {
                Error::io(format!("error mounting {:?}: open the source", tree.path), &error)
                    .kind_is(ErrorKind::Mount)
                    .at(pointer)
            })?,
        };
        let cut = if tree.private { libc::MS_PRIVATE } else { libc::MS_SLAVE };
        let copy = sys::mount::copy_tree(source.as_fd(), tree.recursive, cut).map_err(|error| {
            Error::io(format!("copy the mount tree of {}", tree.path.display()), &error).at(pointer)
        })?;
        if let Some((ids, below)) = &tree.ids {
            let userns = self.mount_ids(ids, pointer)?;
            sys::mount::map_ids(copy.as_fd(), userns.as_fd(), *below)
                .map_err(|error| cannot_map(&tree.path, &error).at(pointer))?;
        }
        Ok(copy)
    }

    fn ready(&mut self, ready: &Ready, pointer: &str) -> Result<OwnedFd> {
        let copy = self.tree(&ready.tree, pointer)?;
        for (wanted, below) in [(ready.top, false), (ready.all, true)] {
            sys::mount::change(copy.as_fd(), (wanted.set, wanted.clear), below).map_err(|error| {
                let what = format!("error mounting {:?}: change attributes", ready.tree.path);
                Error::io(what, &error).kind_is(ErrorKind::Mount).at(pointer)
            })?;
        }
        Ok(copy)
    }

    /// The user namespace of mapped mounts; those with equal maps share one.
    fn mount_ids(&mut self, ids: &MountIds, pointer: &str) -> Result<&OwnedFd> {
        let known = self.mount_ids.iter().position(|(known, _)| known == ids);
        let index = match known {
            Some(index) => index,
            None => {
                self.mount_ids.push((ids.clone(), ids_namespace(ids, pointer)?));
                self.mount_ids.len() - 1
            }
        };
        let found = self.mount_ids.get(index).map(|(_, userns)| userns);
        found.ok_or_else(|| Error::new(ErrorKind::Internal, "a user namespace got lost"))
    }

    fn stdio(&mut self, number: u32) -> Result<OwnedFd> {
        let chosen = self.stdio.get_mut(number as usize).map(std::mem::take).unwrap_or_default();
        let opened = match chosen {
            Stdio::Fd(fd) => Ok(fd),
            Stdio::Null => self.null(),
            Stdio::Inherit => match number {
                0 => io::stdin().as_fd().try_clone_to_owned(),
                1 => io::stdout().as_fd().try_clone_to_owned(),
                _ => io::stderr().as_fd().try_clone_to_owned(),
            }
            // The caller may have closed it.
            .or_else(|error| {
                if error.raw_os_error() == Some(libc::EBADF) { self.null() } else { Err(error) }
            }),
        };
        opened
            .and_then(sys::fs::above_stdio)
            .map_err(|error| Error::io(format!("open standard stream {number}"), &error))
    }

    fn null(&mut self) -> io::Result<OwnedFd> {
        if self.null.is_none() {
            self.null = Some(OpenOptions::new().read(true).write(true).open("/dev/null")?.into());
        }
        match &self.null {
            Some(null) => null.try_clone(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn extra(&mut self, index: usize) -> Result<OwnedFd> {
        let map = self.extra.get_mut(index).and_then(Option::take);
        map.map(|map| map.fd)
            .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, "the plan was made for other options"))
    }
}

/// A user namespace with these ids.
pub(crate) fn ids_namespace(ids: &MountIds, pointer: &str) -> Result<OwnedFd> {
    match ids {
        MountIds::Maps { uids, gids } => user_namespace(uids, gids, pointer),
        MountIds::Namespace(path) => namespace(path, kind::USER, pointer),
    }
}

fn again(error: io::Error) -> Error {
    Error::io("duplicate a user namespace", &error)
}

/// What a refusal of the kernel means.
pub(crate) fn cannot_map(path: &Path, error: &io::Error) -> Error {
    let error = Error::io(format!("error mounting {path:?}: map its ids"), error).kind_is(ErrorKind::Mount);
    error.remark("the filesystem may not support id-mapped mounts on this kernel")
}

fn open_path(path: &Path, keep_link: bool) -> io::Result<OwnedFd> {
    let link = if keep_link { libc::O_NOFOLLOW } else { 0 };
    let file = OpenOptions::new().read(true).custom_flags(libc::O_PATH | link).open(path)?;
    sys::fs::above_stdio(file.into())
}

/// The rootfs: a directory, and no symbolic link on the way to it.
fn rootfs(path: &Path, pointer: &str) -> Result<OwnedFd> {
    let invalid = |why: &dyn std::fmt::Display| {
        Error::new(ErrorKind::InvalidSpec, format!("invalid rootfs: {}: {why}", path.display())).at(pointer)
    };
    match sys::fs::open_directory_plain(path) {
        Ok(root) => Ok(root),
        Err(error) => Err(match error.raw_os_error() {
            Some(libc::ELOOP) if path.is_absolute() => {
                invalid(&"not an absolute path, or a symlink").remark("a part of it is a symbolic link")
            }
            Some(libc::ELOOP) => invalid(&"not an absolute path, or a symlink"),
            Some(errno) => invalid(&crate::errno::text(errno)),
            None => invalid(&error),
        }),
    }
}

/// Refuses the namespace of the calling thread.
fn not_ours(file: &OwnedFd, kind: u32, (message, pointer): &(String, String)) -> Result<()> {
    let ours = sys::fs::own_namespace(kind).and_then(|ours| Ok((fstat(&ours)?, fstat(file)?)));
    let failed = |error: io::Error| Error::io("compare namespaces", &error).at(pointer.clone());
    let (ours, theirs) = ours.map_err(failed)?;
    match (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino) {
        true => Err(Error::new(ErrorKind::InvalidSpec, message.clone()).at(pointer.clone())),
        false => Ok(()),
    }
}

fn namespace(path: &Path, kind: u32, pointer: &str) -> Result<OwnedFd> {
    let what = || format!("namespace {}", path.display());
    let file = File::open(path).map_err(|error| Error::io(format!("open {}", what()), &error).at(pointer))?;
    match sys::fs::namespace_kind(file.as_fd()) {
        Ok(found) if found == kind => {
            sys::fs::above_stdio(file.into()).map_err(|error| Error::io(what(), &error))
        }
        Ok(_) => {
            Err(Error::new(ErrorKind::InvalidSpec, format!("{} is of another type", what())).at(pointer))
        }
        Err(_) => {
            Err(Error::new(ErrorKind::InvalidSpec, format!("{} is not a namespace", what())).at(pointer))
        }
    }
}
