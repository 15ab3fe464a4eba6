//! Attributes of mounts that stand in their place: mount_setattr, and what does its work before Linux 5.12.

use super::procfs;
use crate::abi::{
    AT_EMPTY_PATH, AT_RECURSIVE, EINVAL, ENOSYS, ENOTDIR, EPERM, MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME,
    MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY, MOUNT_ATTR_STRICTATIME, MS_BIND, MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC,
    MS_NOSUID, MS_NOSYMFOLLOW, MS_RDONLY, MS_REC, MS_RELATIME, MS_REMOUNT, MS_STRICTATIME, MountAttr,
};
use crate::machine::{At, Fault, Outcome};
use crate::sys::{self, Fd, Result};
use crate::wire::step;
use core::ffi::CStr;

/// What a mount of a less privileged namespace inherits for good, beside its access times. The kernel never locks NOSYMFOLLOW.
const LOCKABLE: u64 = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
const LOCKABLE_FLAGS: u64 = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
const ATIME_FLAGS: u64 = MS_NOATIME | MS_NODIRATIME | MS_RELATIME;

/// Sets and clears attributes, of all the mounts below too if `depth` is AT_RECURSIVE.
pub(super) fn change(mount: Fd, [set, clear]: [u64; 2], depth: u32) -> Outcome {
    if set | clear == 0 {
        return Ok(());
    }
    // The kernel takes a new access-time mode only together with "clear them all".
    let clear = if set & MOUNT_ATTR__ATIME != 0 { clear | MOUNT_ATTR__ATIME } else { clear };
    let setattr = |set, clear| {
        let change = MountAttr { set, clear, ..MountAttr::default() };
        sys::mount_setattr(mount, c"", AT_EMPTY_PATH | depth, &change)
    };
    let result = match setattr(set, clear) {
        Err(ENOSYS) if depth == 0 => remount(mount, set, clear),
        // 5.12 and 5.13 know this attribute by mount(2) only.
        Err(EINVAL) if depth == 0 && set & MOUNT_ATTR_NOSYMFOLLOW != 0 => remount(mount, set, clear),
        Err(EINVAL) if clear & MOUNT_ATTR_NOSYMFOLLOW != 0 => setattr(set, clear & !MOUNT_ATTR_NOSYMFOLLOW),
        other => other,
    };
    result.at(step::ATTRIBUTES)
}

/// Sets what is named and clears all the rest of a bind. What is locked stays, unless it is named: then the kernel's refusal stands.
pub(super) fn reset(mount: Fd, [set, clear]: [u64; 2], locked: bool) -> Outcome {
    let free = clear | MOUNT_ATTR_NOSYMFOLLOW & !set;
    if locked {
        return change(mount, [set, free], 0);
    }
    match change(mount, [set, free | LOCKABLE & !set], 0) {
        Err(Fault { errno: EPERM, .. }) => change(mount, [set, free], 0),
        other => other,
    }
}

/// Carries out a change and checks that nothing went that the kernel would have locked, had the mount come by a copy of the namespace.
pub(super) fn keep_locked(mount: Fd, change: impl FnOnce() -> Outcome) -> Outcome {
    let before = sys::filesystem(mount)?.flags;
    change()?;
    let after = sys::filesystem(mount)?.flags;
    let lost = before & !after & LOCKABLE_FLAGS | (before ^ after) & ATIME_FLAGS;
    if lost == 0 { Ok(()) } else { Err(Fault { errno: EPERM, step: step::LOCKED }) }
}

/// Whether a change may take something that can be locked.
pub(super) fn takes(change: [[u64; 2]; 2]) -> bool {
    change.iter().any(|[set, clear]| {
        clear & (LOCKABLE | MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME) != 0
            || set & (MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME) != 0
    })
}

/// Linux before 5.12 has no mount_setattr: a remount of ".", so that no path of the container is walked.
pub(super) fn remount(mount: Fd, set: u64, clear: u64) -> Result<()> {
    let flags = MS_REMOUNT | MS_BIND | flags_after(sys::filesystem(mount)?.flags, set, clear);
    match sys::fchdir(mount) {
        Err(ENOTDIR) => remount_file(mount, flags),
        other => other.and_then(|()| sys::mount_flags(None, c".", flags)),
    }
}

fn flags_after(present: u64, set: u64, clear: u64) -> u64 {
    const TABLE: [(u64, u64); 6] = [
        (MOUNT_ATTR_RDONLY, MS_RDONLY),
        (MOUNT_ATTR_NOSUID, MS_NOSUID),
        (MOUNT_ATTR_NODEV, MS_NODEV),
        (MOUNT_ATTR_NOEXEC, MS_NOEXEC),
        (MOUNT_ATTR_NODIRATIME, MS_NODIRATIME),
        (MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW),
    ];
    // A mount without one of these two bits keeps strict access times; said in full, because one flag of them replaces all.
    let strict = if present & (MS_NOATIME | MS_RELATIME) == 0 { MS_STRICTATIME } else { 0 };
    let atime = match (clear & MOUNT_ATTR__ATIME, set & MOUNT_ATTR__ATIME) {
        (0, 0) => present & (MS_NOATIME | MS_RELATIME) | strict,
        (_, MOUNT_ATTR_NOATIME) => MS_NOATIME,
        (_, MOUNT_ATTR_STRICTATIME) => MS_STRICTATIME,
        _ => MS_RELATIME,
    };
    TABLE.iter().fold(present & !ATIME_FLAGS | present & MS_NODIRATIME | atime, |bits, (attr, flag)| {
        match (set & attr != 0, clear & attr != 0) {
            (true, _) => bits | flag,
            (false, true) => bits & !flag,
            (false, false) => bits,
        }
    })
}

/// A file cannot be entered. It is named by a link of a procfs that nothing covers.
fn remount_file(mount: Fd, flags: u64) -> Result<()> {
    let links = procfs::descriptors()?;
    let (name, start) = decimal(mount);
    let name = name.get(start..).and_then(|name| CStr::from_bytes_until_nul(name).ok()).ok_or(EINVAL)?;
    let result = sys::fchdir(links).and_then(|()| sys::mount_flags(None, name, flags));
    links.close();
    result
}

/// A descriptor's number in decimal, NUL-ended, at the end of the buffer: its start is the second value.
fn decimal(Fd(number): Fd) -> ([u8; 12], usize) {
    let mut text = [0u8; 12];
    let (mut start, mut rest) = (text.len() - 1, number.unsigned_abs());
    while rest != 0 && start > 0 {
        start -= 1;
        if let Some(place) = text.get_mut(start) {
            *place = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
    }
    (text, start)
}

/// Changes the propagation (MS_* bits with MS_REC); 0 leaves it.
pub(super) fn propagate(mount: Fd, flags: u32) -> Outcome {
    if flags == 0 {
        return Ok(());
    }
    let recursive = u64::from(flags) & MS_REC;
    let change = MountAttr { propagation: u64::from(flags) & !MS_REC, ..MountAttr::default() };
    let depth = if recursive != 0 { AT_RECURSIVE } else { 0 };
    match sys::mount_setattr(mount, c"", AT_EMPTY_PATH | depth, &change) {
        Err(ENOSYS) => {
            sys::fchdir(mount).and_then(|()| sys::mount_flags(None, c".", flags.into())).at(step::PROPAGATE)
        }
        other => other.at(step::PROPAGATE),
    }
}

#[cfg(test)]
mod tests;
