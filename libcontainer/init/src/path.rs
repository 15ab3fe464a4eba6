//! Finding and making files below the root handle: `openat2` with RESOLVE_IN_ROOT, on fixed buffers.
//!
//! The rootfs is hostile and may change at any moment, so nothing is ever checked by path and then used by path: each step starts at
//! the root handle again, and what is made is one component below a directory that was opened just before.

use crate::abi::{
    EAGAIN, EEXIST, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, O_CLOEXEC, O_CREAT, O_EXCL, O_NOFOLLOW, O_PATH,
    O_WRONLY, OpenHow, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS,
};
use crate::sys::{self, Fd, Result};
use core::ffi::CStr;

/// Longest path, NUL included.
const PATH_MAX: usize = 4096;
/// As many symbolic links as the kernel follows.
const MAX_LINKS: u32 = 40;
/// How often a step is tried again while somebody renames in the rootfs.
const MAX_RETRIES: u32 = 128;

/// What a missing last component becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// A directory of mode 0755.
    Directory,
    /// An empty regular file of mode 0644.
    File,
}

/// Opens `path` below `root` as a handle (O_PATH). With `plain` no symbolic link may be on the way.
pub fn open(root: Fd, path: &CStr, plain: bool) -> Result<Fd> {
    resolve(root, path, O_PATH | O_CLOEXEC, if plain { RESOLVE_NO_SYMLINKS } else { 0 })
}

/// Opens `path` below `root` as a handle. A last component that is a symbolic link is opened itself.
pub fn open_link(root: Fd, path: &CStr) -> Result<Fd> {
    resolve(root, path, O_PATH | O_CLOEXEC | O_NOFOLLOW, 0)
}

fn resolve(root: Fd, path: &CStr, flags: u32, links: u64) -> Result<Fd> {
    let resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | links;
    let how = OpenHow { flags: u64::from(flags), mode: 0, resolve };
    let path = if path.is_empty() { c"." } else { path };
    for _ in 0..MAX_RETRIES {
        // The kernel gives EAGAIN when a rename crossed the walk and it cannot prove that `..` stayed inside.
        match sys::openat2(root, path, &how) {
            Err(EAGAIN) => {}
            other => return other,
        }
    }
    Err(EAGAIN)
}

/// Opens `path` below `root`, making what is missing.
pub fn open_or_make(root: Fd, path: &CStr, leaf: Leaf, plain: bool) -> Result<Fd> {
    match open(root, path, plain) {
        Err(ENOENT) => Walk::new(root, path, leaf, plain)?.run(),
        other => other,
    }
}

/// Splits off the last component.
pub fn split(path: &CStr) -> Result<(&[u8], &[u8])> {
    let bytes = trim(path.to_bytes());
    let cut = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    bytes.split_at_checked(cut).ok_or(EINVAL)
}

/// Opens a directory whose path has no NUL at its end, making it if it is missing.
pub fn directory(root: Fd, path: &[u8]) -> Result<Fd> {
    open_or_make(root, Name::<PATH_MAX>::new(path)?.as_c_str()?, Leaf::Directory, false)
}

fn trim(mut path: &[u8]) -> &[u8] {
    while let [head @ .., b'/'] = path {
        path = head;
    }
    path
}

/// A NUL-ended copy of a path or a component.
#[derive(Clone, Copy, Debug)]
pub struct Name<const N: usize = 256> {
    bytes: [u8; N],
}

impl<const N: usize> Name<N> {
    /// Copies `text`.
    pub fn new(text: &[u8]) -> Result<Self> {
        let mut bytes = [0; N];
        let place = bytes.get_mut(..text.len()).filter(|_| text.len() < N).ok_or(ENAMETOOLONG)?;
        place.copy_from_slice(text);
        Ok(Self { bytes })
    }

    /// The copy as a C string.
    pub fn as_c_str(&self) -> Result<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).map_err(|_| EINVAL)
    }
}

/// One walk that makes directories on its way.
struct Walk {
    root: Fd,
    leaf: Leaf,
    plain: bool,
    path: [u8; PATH_MAX],
    len: usize,
}

/// A component: `path[start..stop]`, and whether it is the last.
struct Component {
    start: usize,
    stop: usize,
    last: bool,
}

impl Walk {
    fn new(root: Fd, path: &CStr, leaf: Leaf, plain: bool) -> Result<Self> {
        let source = trim(path.to_bytes());
        let mut walk = Self { root, leaf, plain, path: [0; PATH_MAX], len: source.len() };
        walk.path
            .get_mut(..source.len())
            .filter(|place| place.len() < PATH_MAX)
            .ok_or(ENAMETOOLONG)?
            .copy_from_slice(source);
        Ok(walk)
    }

    fn run(mut self) -> Result<Fd> {
        let (mut done, mut links, mut retries) = (0, 0, 0);
        while let Some(component) = self.component(done) {
            match self.open_prefix(component.stop) {
                Ok(found) if component.last => return Ok(found),
                Ok(found) => {
                    found.close();
                    (done, retries) = (component.stop, 0);
                }
                Err(ENOENT) if retries < MAX_RETRIES => {
                    retries += 1;
                    if self.make(&component)? {
                        links += 1;
                        done = 0;
                    }
                    if links > MAX_LINKS {
                        return Err(ELOOP);
                    }
                }
                Err(errno) => return Err(errno),
            }
        }
        open(self.root, c".", self.plain)
    }

    fn component(&self, done: usize) -> Option<Component> {
        let path = self.path.get(..self.len)?;
        let start = done + path.get(done..)?.iter().position(|byte| *byte != b'/')?;
        let stop =
            path.get(start..)?.iter().position(|byte| *byte == b'/').map_or(self.len, |slash| start + slash);
        Some(Component { start, stop, last: stop == self.len })
    }

    fn open_prefix(&self, stop: usize) -> Result<Fd> {
        let prefix = Name::<PATH_MAX>::new(self.path.get(..stop).ok_or(EINVAL)?)?;
        open(self.root, prefix.as_c_str()?, self.plain)
    }

    /// Makes a component. True if the path was rewritten instead, because the component is a link to something missing.
    fn make(&mut self, component: &Component) -> Result<bool> {
        let directory = self.open_prefix(component.start)?;
        let made = self.make_in(directory, component);
        directory.close();
        made
    }

    fn make_in(&mut self, directory: Fd, component: &Component) -> Result<bool> {
        let name = Name::<256>::new(self.path.get(component.start..component.stop).ok_or(EINVAL)?)?;
        let name = name.as_c_str()?;
        let made = match self.leaf {
            Leaf::File if component.last => make_file(directory, name),
            _ => sys::mkdirat(directory, name, 0o755),
        };
        match made {
            Err(EEXIST) => self.follow(directory, name, component),
            other => other.map(|()| false),
        }
    }

    fn follow(&mut self, directory: Fd, name: &CStr, component: &Component) -> Result<bool> {
        let mut link = [0u8; PATH_MAX];
        let length = match sys::readlinkat(directory, name, &mut link) {
            Ok(length) => length,
            Err(EINVAL | ENOENT) => return Ok(false), // made or removed by somebody meanwhile: look again
            Err(errno) => return Err(errno),
        };
        let target = link.get(..length).ok_or(EINVAL)?;
        let kept = if target.first() == Some(&b'/') { 0 } else { component.start };
        self.splice(kept, target, component.stop)?;
        Ok(true)
    }

    /// Replaces `path[kept..stop]` by `target`.
    fn splice(&mut self, kept: usize, target: &[u8], stop: usize) -> Result<()> {
        let mut spliced = [0u8; PATH_MAX];
        let mut len = 0;
        let parts = [self.path.get(..kept), Some(target), self.path.get(stop..self.len)];
        for part in parts.into_iter().flatten() {
            let place = spliced
                .get_mut(len..len + part.len())
                .filter(|_| len + part.len() < PATH_MAX)
                .ok_or(ENAMETOOLONG)?;
            place.copy_from_slice(part);
            len += part.len();
        }
        self.path = spliced;
        // A link may end in a slash. With it the last component would not be the last.
        self.len = trim(self.path.get(..len).ok_or(EINVAL)?).len();
        Ok(())
    }
}

fn make_file(directory: Fd, name: &CStr) -> Result<()> {
    let flags = u64::from(O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC);
    let how = OpenHow { flags, mode: 0o644, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS };
    sys::openat2(directory, name, &how).map(Fd::close)
}

#[cfg(test)]
mod tests;
