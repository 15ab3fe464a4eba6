//! Writes to files of a procfs that nothing can cover.
//!
//! CVE-2025-52881 and its like: whoever shapes `/proc` of the container decides where a write to it goes, and a label that was
//! written elsewhere is no label. So init has a procfs of its own, made before the rootfs is touched and never attached: no path leads
//! to it, and no mount can be on it. Where that is refused, the host's `/proc` stands in, and no mount is crossed below it.

use crate::abi::{
    EINVAL, ENOENT, FSCONFIG_CMD_CREATE, FSCONFIG_SET_STRING, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID, O_CLOEXEC, O_PATH, O_WRONLY, OpenHow, PROC_ROOT_INO, PROC_SUPER_MAGIC,
    RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV,
};
use crate::machine::{At, Fault, Machine, Outcome};
use crate::ops::mount::copy_of;
use crate::program::{List, NewSlot, Slot, Str};
use crate::sys::{self, Fd, Result};
use crate::wire::step;
use core::ffi::CStr;

/// Opens the procfs; one that is not `whole` has only the directories of processes.
pub fn open(machine: &mut Machine<'_>, whole: bool, proc: NewSlot) -> Outcome {
    let found = trusted(whole).at(step::UNTRUSTED)?;
    machine.fill(proc, found);
    Ok(())
}

/// Binds the offsets of the time namespace that is meant for children.
pub fn time_offsets(machine: &Machine<'_>, offsets: Str) -> Outcome {
    let proc = trusted(false).at(step::UNTRUSTED)?;
    let file = below(proc, c"self/timens_offsets").at(step::TARGET);
    proc.close();
    put(file?, machine.text(offsets).to_bytes())
}

fn trusted(whole: bool) -> Result<Fd> {
    verified(fresh(whole))
        .or_else(|_| verified(copy_of(Fd::CWD, c"/proc", false)))
        .or_else(|_| verified(host()))
}

/// The directory whose links are the descriptors of this process.
pub(super) fn descriptors() -> Result<Fd> {
    let proc = trusted(false)?;
    let resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    let how = OpenHow { flags: u64::from(O_PATH | O_CLOEXEC), mode: 0, resolve };
    let found = sys::openat2(proc, c"self/fd", &how);
    proc.close();
    found
}

/// A new instance for the pid namespace of init, attached nowhere.
fn fresh(whole: bool) -> Result<Fd> {
    let context = sys::fsopen(c"proc")?;
    let subset = if whole {
        Ok(())
    } else {
        sys::fsconfig(context, FSCONFIG_SET_STRING, Some(c"subset"), Some(c"pid"))
    };
    let made = subset
        .and_then(|()| sys::fsconfig(context, FSCONFIG_CMD_CREATE, None, None))
        .and_then(|()| sys::fsmount(context, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    context.close();
    made
}

fn host() -> Result<Fd> {
    let how = OpenHow { flags: u64::from(O_PATH | O_CLOEXEC), mode: 0, resolve: RESOLVE_NO_MAGICLINKS };
    sys::openat2(Fd::CWD, c"/proc", &how)
}

/// The same descriptor, if it is the root directory of a procfs.
fn verified(proc: Result<Fd>) -> Result<Fd> {
    let proc = proc?;
    let is_root = sys::filesystem(proc)?.kind == PROC_SUPER_MAGIC
        && sys::statx(proc, c"", crate::abi::AT_EMPTY_PATH)?.ino == PROC_ROOT_INO;
    if is_root {
        Ok(proc)
    } else {
        proc.close();
        Err(EINVAL)
    }
}

/// Writes `value` to the first of `paths` that exists, in one call: the kernel takes labels and sysctls only whole.
pub fn write(machine: &mut Machine<'_>, proc: Slot, paths: List, value: Str) -> Outcome {
    let (proc, value) = (machine.slot(proc), machine.text(value).to_bytes());
    let mut file = Err(Fault { errno: ENOENT, step: step::TARGET });
    for path in machine.texts(paths) {
        file = below(proc, path).at(step::TARGET);
        if !matches!(file, Err(Fault { errno: ENOENT, .. })) {
            break;
        }
    }
    put(file?, value)
}

fn put(file: Fd, value: &[u8]) -> Outcome {
    let written = sys::write(file, value);
    file.close();
    if written? == value.len() { Ok(()) } else { Err(EINVAL.into()) }
}

/// Opens a file for writing. `self` is a link of procfs itself; a magic link or a mount on the way is refused.
fn below(proc: Fd, path: &CStr) -> Result<Fd> {
    let resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    sys::openat2(proc, path, &OpenHow { flags: u64::from(O_WRONLY | O_CLOEXEC), mode: 0, resolve })
}

#[cfg(test)]
mod tests;
