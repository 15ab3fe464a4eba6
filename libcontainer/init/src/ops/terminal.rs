//! The container's terminal, and who owns the standard streams.
//!
//! Nothing is opened by a name that the image could have chosen (CVE-2025-52565): `/dev/pts` is proved to be a devpts, where only the kernel makes
//! files; the master is opened in it, the slave through the master.

use crate::abi::{
    AT_EMPTY_PATH, DEVPTS_SUPER_MAGIC, EINVAL, ENODEV, EPERM, EROFS, MOVE_MOUNT_F_EMPTY_PATH,
    MOVE_MOUNT_T_EMPTY_PATH, O_CLOEXEC, O_NOCTTY, O_RDWR, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE, OpenHow,
    PTY_SLAVE_MAJOR, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, S_IFCHR, S_IFIFO, S_IFMT,
    WindowSize,
};
use crate::machine::{At, Fault, Machine, Outcome};
use crate::path::{self, Leaf};
use crate::program::NewSlot;
use crate::sys::{self, Fd};
use crate::talk;
use crate::wire::{self, Frame, step};

const FLAGS: u32 = O_RDWR | O_NOCTTY | O_CLOEXEC;

/// Gives the session a terminal and the caller its master.
pub fn open(machine: &mut Machine<'_>, size: [u32; 2], console: bool, slave: NewSlot) -> Outcome {
    let (master, peer) = pty(machine.root)?;
    resize(master, size)?;
    if console {
        cover_console(machine.root, peer)?;
    }
    sys::set_controlling_terminal(peer)?;
    machine.fill(slave, peer);
    let frame = Frame { value: sys::pty_number(master)?, ..Frame::word(wire::TERMINAL) };
    talk::send_fd(machine.socket, &frame, master)?;
    master.close();
    Ok(())
}

/// Master and slave of a new pty on the container's devpts.
fn pty(root: Fd) -> Result<(Fd, Fd), Fault> {
    let devpts = path::open(root, c"/dev/pts", true).at(step::DEVPTS)?;
    if sys::filesystem(devpts).at(step::DEVPTS)?.kind != DEVPTS_SUPER_MAGIC {
        return Err(Fault { errno: ENODEV, step: step::DEVPTS });
    }
    // Something may be mounted on a file of the devpts.
    let resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    let how = OpenHow { flags: FLAGS.into(), mode: 0, resolve };
    let master = sys::openat2(devpts, c"ptmx", &how).at(step::DEVPTS)?;
    devpts.close();
    sys::unlock_pty(master)?;
    let peer = sys::pty_peer(master, FLAGS)?;
    check_slave(peer)?;
    Ok((master, peer))
}

fn check_slave(peer: Fd) -> Outcome {
    let found = sys::statx(peer, c"", AT_EMPTY_PATH)?;
    let is_slave = u32::from(found.mode) & S_IFMT == S_IFCHR && found.rdev_major == PTY_SLAVE_MAJOR;
    let on_devpts = sys::filesystem(peer)?.kind == DEVPTS_SUPER_MAGIC;
    if is_slave && on_devpts { Ok(()) } else { Err(Fault { errno: ENODEV, step: step::NOT_PTY }) }
}

/// A size with a zero in it is none.
fn resize(master: Fd, [rows, columns]: [u32; 2]) -> Outcome {
    if rows == 0 || columns == 0 {
        return Ok(());
    }
    let narrow = |value: u32| u16::try_from(value).map_err(|_| EINVAL);
    let size = WindowSize { rows: narrow(rows)?, columns: narrow(columns)?, pixels: [0; 2] };
    Ok(sys::set_window_size(master, &size)?)
}

/// Binds the slave on `/dev/console`.
fn cover_console(root: Fd, peer: Fd) -> Outcome {
    let target = path::open_or_make(root, c"/dev/console", Leaf::File, true).at(step::TARGET)?;
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
    let tree = sys::open_tree(peer, c"", flags).at(step::ATTACH)?;
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    sys::move_mount(tree, target, c"", flags).at(step::ATTACH)?;
    target.close();
    tree.close();
    Ok(())
}

/// Gives pipes to the user, who could not open `/dev/stdout` else, and the terminal. Files, devices and terminals of the host keep their owner.
pub fn own_stdio(uid: u32, terminal: bool) -> Outcome {
    for stream in [Fd(0), Fd(1), Fd(2)] {
        let found = sys::statx(stream, c"", AT_EMPTY_PATH)?;
        let changes = match u32::from(found.mode) & S_IFMT {
            S_IFIFO => true,
            S_IFCHR => terminal,
            _ => false,
        };
        if !changes || found.uid == uid {
            continue;
        }
        match sys::chown_user(stream, uid) {
            // The owner is no id of this user namespace, or the file is on a read-only mount.
            Ok(()) | Err(EPERM | EINVAL | EROFS) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
