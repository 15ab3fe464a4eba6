//! Files that the runtime makes in the rootfs, and the switch into it.

use crate::abi::{AT_SYMLINK_NOFOLLOW, EEXIST, MNT_DETACH, S_IFMT};
use crate::machine::{At, Fault, Machine, Outcome};
use crate::path::{self, Leaf};
use crate::program::Str;
use crate::sys;
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
pub fn device(machine: &Machine<'_>, node: Node) -> Outcome {
    let (directory, name) = path::parent(machine.root, machine.text(node.path)).at(step::TARGET)?;
    let name = name.as_c_str()?;
    let made = match sys::mknodat(directory, name, node.mode, makedev(node.device)) {
        Ok(()) if node.owner != (0, 0) => {
            sys::fchownat(directory, name, node.owner.0, node.owner.1).map_err(Fault::from)
        }
        Err(EEXIST) => same_node(&node, sys::statx(directory, name, AT_SYMLINK_NOFOLLOW)?),
        other => other.map_err(Fault::from),
    };
    directory.close();
    made
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
pub fn symlink(machine: &Machine<'_>, target: Str, path: Str) -> Outcome {
    let (directory, name) = path::parent(machine.root, machine.text(path)).at(step::TARGET)?;
    let made = sys::symlinkat(machine.text(target), directory, name.as_c_str()?);
    directory.close();
    match made {
        Err(EEXIST) => Ok(()),
        other => Ok(other?),
    }
}

/// Makes the root handle the root of the namespace and drops the host's tree.
pub fn pivot(machine: &Machine<'_>) -> Outcome {
    sys::fchdir(machine.root)?;
    // The same directory twice: the old root comes to lie over the new one and is dropped from there.
    sys::pivot_root(c".", c".")?;
    sys::umount(c".", MNT_DETACH)?;
    Ok(sys::chdir(c"/")?)
}

/// Makes the root handle the root of the process.
pub fn chroot(machine: &Machine<'_>) -> Outcome {
    sys::fchdir(machine.root)?;
    sys::chroot(c".")?;
    Ok(sys::chdir(c"/")?)
}

/// Makes the working directory.
pub fn make_cwd(machine: &Machine<'_>, path: Str) -> Outcome {
    path::open_or_make(machine.root, machine.text(path), Leaf::Directory, false)?.close();
    Ok(())
}
