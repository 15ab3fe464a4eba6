//! Files that the runtime makes in the rootfs, and the switch into it.

use crate::abi::{AT_SYMLINK_NOFOLLOW, EEXIST, MNT_DETACH, S_IFMT};
use crate::machine::{At, Fault, Machine, Outcome};
use crate::path::{self, Leaf, Name};
use crate::program::Str;
use crate::sys::{self, Fd};
use crate::wire::step;

/// A device node or fifo as the program describes it.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Where.
    pub path: Str,
    /// Type and permission bits.
    pub mode: u32,
    /// Device numbers.
    pub device: (u32, u32),
    /// Owner: user and group.
    pub owner: (u32, u32),
}

/// Makes a device node.
pub fn device(machine: &mut Machine<'_>, node: Node) -> Outcome {
    let (directory, name) = place(machine, node.path)?;
    let name = name.as_c_str()?;
    match sys::mknodat(directory, name, node.mode, makedev(node.device)) {
        Ok(()) if node.owner != (0, 0) => {
            sys::fchownat(directory, name, node.owner.0, node.owner.1).map_err(Fault::from)
        }
        Err(EEXIST) => same_node(&node, sys::statx(directory, name, AT_SYMLINK_NOFOLLOW)?),
        other => other.map_err(Fault::from),
    }
}

/// The directory in which something is made, and its name there. The directory stays open: the next one is mostly made in the same.
fn place(machine: &mut Machine<'_>, path: Str) -> Result<(Fd, Name), Fault> {
    let (head, tail) = path::split(machine.text(path))?;
    let name = Name::new(tail)?;
    match machine.directory {
        Some((known, directory)) if known == head => Ok((directory, name)),
        _ => {
            let directory = path::directory(machine.root, head).at(step::TARGET)?;
            machine.keep_directory(Some((head, directory)));
            Ok((directory, name))
        }
    }
}

fn same_node(node: &Node, found: crate::abi::Statx) -> Outcome {
    let same = u32::from(found.mode) & S_IFMT == node.mode & S_IFMT
        && (found.rdev_major, found.rdev_minor) == node.device;
    if same { Ok(()) } else { Err(Fault { errno: EEXIST, step: step::MISMATCH }) }
}

/// The kernel's encoding of device numbers in `mknod`.
fn makedev((major, minor): (u32, u32)) -> u32 {
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12
}

/// Makes a symbolic link. What exists already stays: an image may ship its own.
pub fn symlink(machine: &mut Machine<'_>, target: Str, path: Str) -> Outcome {
    let (directory, name) = place(machine, path)?;
    match sys::symlinkat(machine.text(target), directory, name.as_c_str()?) {
        Err(EEXIST) => Ok(()),
        other => Ok(other?),
    }
}

/// Makes the root handle the root of the namespace and drops the host's tree.
pub fn pivot(machine: &mut Machine<'_>) -> Outcome {
    machine.keep_directory(None);
    sys::fchdir(machine.root)?;
    // The same directory twice: the old root comes to lie over the new one and is dropped from there.
    sys::pivot_root(c".", c".")?;
    sys::umount(c".", MNT_DETACH)?;
    Ok(sys::chdir(c"/")?)
}

/// Makes the root handle the root of the process.
pub fn chroot(machine: &mut Machine<'_>) -> Outcome {
    machine.keep_directory(None);
    sys::fchdir(machine.root)?;
    sys::chroot(c".")?;
    Ok(sys::chdir(c"/")?)
}

/// Makes the working directory.
pub fn make_cwd(machine: &Machine<'_>, path: Str) -> Outcome {
    path::open_or_make(machine.root, machine.text(path), Leaf::Directory, false)?.close();
    Ok(())
}

#[cfg(test)]
mod tests;
