//! `process.terminal` and `process.consoleSize`: the pty that init opens, and who its standard streams belong to.

use oci_spec::runtime::Process;
use teu_init::program::{NewSlot, Op, Slot};

use super::namespaces::{Namespaces, kind};
use super::program::Builder;
use crate::{Error, ErrorKind, Result};

/// Whether the process has a terminal.
pub(super) fn wanted(process: &Process) -> bool {
    process.terminal() == Some(true)
}

/// A receiver of the terminal makes sense only if there is one.
pub(super) fn check_receiver(process: &Process, console_socket: bool) -> Result<()> {
    match console_socket && !wanted(process) {
        true => Err(Error::new(
            ErrorKind::InvalidArgument,
            "cannot use console socket if runc will not detach or allocate tty",
        )),
        false => Ok(()),
    }
}

/// Opens the terminal; its slave becomes the three standard streams and, for a container's first process, `/dev/console`.
pub(super) fn push(process: &Process, console: bool, out: &mut Builder) -> Option<Slot> {
    if !wanted(process) {
        return None;
    }
    // Larger values were refused.
    let size = process.console_size().map_or((0, 0), |size| (size.height(), size.width()));
    let [rows, columns] = [size.0, size.1].map(|value| u32::try_from(value).unwrap_or(0));
    let slave = out.opens();
    out.push(Op::Terminal { rows, columns, console: console.into(), slave }, "/process/terminal");
    let NewSlot(slave) = slave;
    Some(Slot(slave))
}

/// Gives the standard streams to a user who is not root, or may not be the root that made them.
pub(super) fn push_owner(process: &Process, namespaces: &Namespaces, out: &mut Builder) {
    let uid = process.user().uid();
    if uid != 0 || namespaces.has(kind::USER) {
        out.push(Op::OwnStdio { uid, terminal: wanted(process).into() }, "/process/user/uid");
    }
}
