//! Calls about terminals.

use super::{Fd, Result, at, at_mut, done, fd, nr, syscall};
use crate::abi::WindowSize;

/// Makes the slave of a pty usable.
pub fn unlock_pty(master: Fd) -> Result<()> {
    let unlocked = 0u32;
    // SAFETY: TIOCSPTLCK reads an int, which is borrowed.
    done(unsafe {
        syscall(nr::IOCTL, [master.arg(), crate::abi::TIOCSPTLCK as usize, at(&unlocked), 0, 0, 0])
    })
}

/// The number of a pty: the name of its slave on its devpts.
pub fn pty_number(master: Fd) -> Result<u32> {
    let mut number = 0u32;
    // SAFETY: TIOCGPTN writes an unsigned int, which is borrowed for writing.
    done(unsafe {
        syscall(nr::IOCTL, [master.arg(), crate::abi::TIOCGPTN as usize, at_mut(&mut number), 0, 0, 0])
    })?;
    Ok(number)
}

/// Opens the slave of a pty without a path (Linux 4.13).
pub fn pty_peer(master: Fd, flags: u32) -> Result<Fd> {
    // SAFETY: takes no pointer.
    fd(unsafe {
        syscall(nr::IOCTL, [master.arg(), crate::abi::TIOCGPTPEER as usize, flags as usize, 0, 0, 0])
    })
}

pub fn set_window_size(terminal: Fd, size: &WindowSize) -> Result<()> {
    // SAFETY: TIOCSWINSZ reads a struct winsize, which is borrowed.
    done(unsafe { syscall(nr::IOCTL, [terminal.arg(), crate::abi::TIOCSWINSZ as usize, at(size), 0, 0, 0]) })
}

/// Makes a terminal that of the session which this process leads.
pub fn set_controlling_terminal(terminal: Fd) -> Result<()> {
    // SAFETY: takes no pointer; 0 takes the terminal from nobody.
    done(unsafe { syscall(nr::IOCTL, [terminal.arg(), crate::abi::TIOCSCTTY as usize, 0, 0, 0, 0]) })
}
