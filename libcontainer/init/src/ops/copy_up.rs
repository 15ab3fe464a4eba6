//! `tmpcopyup`: what a tmpfs covers becomes its first content. Content, mode and owner of files, directories, links, fifos, sockets and
//! devices; as in runc no times and no extended attributes.
//!
//! The copy is made while the tmpfs is detached, so nobody can interfere with what is written. What is read is opened one component at a
//! time below the directory before, without links and without entering another mount: nothing outside is reached.

use crate::abi::{
    AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, EINVAL, EISDIR, ELOOP, EXDEV, O_CLOEXEC, O_CREAT, O_DIRECTORY,
    O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_WRONLY, OpenHow, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, Statx,
};
use crate::machine::{Fault, Machine, Outcome};
use crate::path::Name;
use crate::sys::{self, Fd, Result};
use crate::wire::step;
use core::ffi::CStr;

/// Directories in directories: a deeper tree is refused. Each level holds two descriptors.
const MAX_DEPTH: u32 = 64;
/// Entries are read in blocks of this many bytes; the longest takes 280.
const BLOCK: usize = 1024;
/// Where the name starts in a `struct linux_dirent64`, and its length of the whole.
const NAME: usize = 19;
const LENGTH: core::ops::Range<usize> = 16..18;

/// Copies the content of the directory `covered` into `mount`, the root of a detached tmpfs.
pub(super) fn copy(machine: &mut Machine<'_>, covered: Fd, mount: Fd) -> Outcome {
    let done = directory(covered, c".").and_then(|from| {
        let to = directory(mount, c".")?;
        let copied = content(machine, from, to, MAX_DEPTH);
        to.close();
        from.close();
        copied
    });
    done.map_err(|errno| Fault { errno, step: step::COPY })
}

fn directory(parent: Fd, name: &CStr) -> Result<Fd> {
    open(parent, name, O_DIRECTORY, 0)
}

fn open(parent: Fd, name: &CStr, flags: u32, mode: u64) -> Result<Fd> {
    let resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    let how = OpenHow { flags: u64::from(flags | O_NOFOLLOW | O_CLOEXEC), mode, resolve };
    sys::openat2(parent, name, &how)
}

fn content(machine: &mut Machine<'_>, from: Fd, to: Fd, depth: u32) -> Result<()> {
    let mut block = [0u8; BLOCK];
    loop {
        let length = sys::getdents(from, &mut block)?;
        let mut rest = block.get(..length).ok_or(EINVAL)?;
        if rest.is_empty() {
            return Ok(());
        }
        while !rest.is_empty() {
            let size = rest.get(LENGTH).and_then(|two| two.try_into().ok()).map_or(0, u16::from_ne_bytes);
            let (entry, tail) = rest.split_at_checked(size.into()).ok_or(EINVAL)?;
            let name = entry.get(NAME..).and_then(|name| CStr::from_bytes_until_nul(name).ok());
            let name = name.ok_or(EINVAL)?;
            if name != c"." && name != c".." {
                if let Err(errno) = one(machine, from, to, name, depth) {
                    if machine.notes().is_empty() {
                        machine.note(name.to_bytes());
                    }
                    return Err(errno);
                }
            }
            rest = tail;
        }
    }
}

fn one(machine: &mut Machine<'_>, from: Fd, to: Fd, name: &CStr, depth: u32) -> Result<()> {
    let found = sys::statx(from, name, AT_SYMLINK_NOFOLLOW)?;
    match u32::from(found.mode) & S_IFMT {
        S_IFDIR => sub_directory(machine, from, to, name, depth)?,
        S_IFREG => file(from, to, name)?,
        S_IFLNK => return link(from, to, name, &found),
        _ => node(to, name, &found)?,
    }
    // The owner first: changing it takes the set-id bits away.
    sys::fchownat(to, name, found.uid, found.gid)?;
    sys::fchmodat(to, name, u32::from(found.mode) & 0o7777)
}

fn sub_directory(machine: &mut Machine<'_>, from: Fd, to: Fd, name: &CStr, depth: u32) -> Result<()> {
    sys::mkdirat(to, name, 0o700)?;
    let inner = match directory(from, name) {
        Err(EXDEV) => return Ok(()), // another mount: only its mount point is ours to copy
        other => other?,
    };
    let depth = depth.checked_sub(1).ok_or(ELOOP)?;
    let copy = directory(to, name)?;
    let copied = content(machine, inner, copy, depth);
    copy.close();
    inner.close();
    copied
}

fn file(from: Fd, to: Fd, name: &CStr) -> Result<()> {
    let source = match open(from, name, O_NONBLOCK, 0) {
        Err(EXDEV) => None, // a file that is mounted here: only its mount point is ours to copy
        other => Some(other?),
    };
    let copy = open(to, name, O_WRONLY | O_CREAT | O_EXCL, 0o600)?;
    if let Some(source) = source {
        // Somebody may have put something else in its place meanwhile.
        let found = sys::statx(source, c"", AT_EMPTY_PATH)?;
        if u32::from(found.mode) & S_IFMT != S_IFREG {
            return Err(EISDIR);
        }
        while sys::sendfile(copy, source, 1 << 30)? != 0 {}
        source.close();
    }
    copy.close();
    Ok(())
}

fn link(from: Fd, to: Fd, name: &CStr, found: &Statx) -> Result<()> {
    let mut text = [0u8; 4096];
    let length = sys::readlinkat(from, name, &mut text)?;
    let target = Name::<4096>::new(text.get(..length).ok_or(EINVAL)?)?;
    sys::symlinkat(target.as_c_str()?, to, name)?;
    sys::fchownat(to, name, found.uid, found.gid)
}

fn node(to: Fd, name: &CStr, found: &Statx) -> Result<()> {
    let device = super::rootfs::makedev((found.rdev_major, found.rdev_minor));
    sys::mknodat(to, name, found.mode.into(), device)
}

#[cfg(test)]
mod tests;
