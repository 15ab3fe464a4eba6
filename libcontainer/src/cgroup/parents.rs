//! The directories above the container's cgroup.
//!
//! One that had to be made carries a mark, an extended attribute of its own. Whoever removes the last container below it
//! removes it too, whether that is the container it was made for or another.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Dir, files};
use crate::sys::fs::{Resolve, has_mark, open_below, set_mark};

/// Extended attributes of this kind work on both cgroup filesystems since Linux 5.7, for unprivileged owners too.
const MARK: &std::ffi::CStr = c"user.teu.made";
/// How often a parent may vanish between two steps: containers beside us come and go.
const TRIES: usize = 64;

/// Makes the directory and what is missing above it; `false` if it was there already.
pub(super) fn make(root: BorrowedFd<'_>, dir: &Dir) -> io::Result<bool> {
    for _ in 0..TRIES {
        match mkdir(root, &dir.path) {
            Err(Errno::ENOENT) => match make_above(root, dir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(e) => return Err(e.into()),
            },
            other => return Ok(other?),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ENOENT))
}

fn make_above(root: BorrowedFd<'_>, dir: &Dir) -> nix::Result<()> {
    for above in above(&dir.path).collect::<Vec<_>>().into_iter().rev() {
        if mkdir(root, above)? {
            // Without the mark the directory stays behind, which is all that other runtimes promise.
            set_mark(&dir.root.join(above), MARK)
                .unwrap_or_else(|e| log::debug!("cgroup: mark {above}: {e}"));
        }
    }
    Ok(())
}

fn mkdir(root: BorrowedFd<'_>, path: &str) -> nix::Result<bool> {
    match mkdirat(root, path, Mode::from_bits_truncate(0o755)) {
        Ok(()) => Ok(true),
        Err(Errno::EEXIST) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Removes the marked directories above, from the lowest up to the first that is still in use.
pub(super) fn remove_marked(root: BorrowedFd<'_>, dir: &Dir) {
    for above in above(&dir.path) {
        let marked = has_mark(&dir.root.join(above), MARK);
        if !marked || unlinkat(root, above, UnlinkatFlags::RemoveDir).is_err() {
            return;
        }
    }
}

/// The proper prefixes of a path, the longest first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').filter_map(|(end, _)| path.get(..end))
}

/// A new v1 cpuset has no cpus and takes no process: as everybody does, it gets those of the cgroup above it.
pub(super) fn fill_cpuset(dir: &Dir) -> io::Result<()> {
    let root = dir.open_root()?;
    for file in ["cpuset.cpus", "cpuset.mems"] {
        fill(root.as_fd(), &dir.path, file)?;
    }
    Ok(())
}

/// Finds the nearest cgroup that has a value and hands it down, so that every cgroup on the way may have it.
fn fill(root: BorrowedFd<'_>, path: &str, file: &str) -> io::Result<()> {
    let mut empty = Vec::new();
    let mut value = String::new();
    for place in std::iter::once(path).chain(above(path)).chain([""]) {
        let name = if place.is_empty() { file.to_owned() } else { format!("{place}/{file}") };
        value = files::read(open_below(root, &name, libc::O_RDONLY, Resolve::Beneath)?.as_fd())?;
        if !value.trim().is_empty() {
            break;
        }
        empty.push(name);
    }
    for name in empty.iter().rev() {
        files::write(open_below(root, name, libc::O_WRONLY, Resolve::Beneath)?.as_fd(), value.trim())?;
    }
    Ok(())
}
