//! A user namespace that maps the ids of a mount. Only a process can have one: an init that never gets a program lives as long as we need
//! to write its maps and open it. A thread of the host cannot stand in, and a fork of the host would be one.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use super::{carrier, clone, idmap, pair, reap};
use crate::plan::namespaces::kind;
use crate::{Error, Result};

/// A user namespace with these maps.
pub(crate) fn user_namespace(uids: &str, gids: &str, pointer: &str) -> Result<OwnedFd> {
    let failed = |what: &'static str| {
        move |error: std::io::Error| Error::io(format!("make a user namespace for a mount: {what}"), &error)
    };
    // Ours stays open until the end: init waits for a program on the other end.
    let (_ours, theirs) = pair().map_err(failed("socketpair"))?;
    let init = carrier::init().map_err(failed("make the init program"))?;
    let child = clone::spawn(kind::USER, None, theirs.as_fd(), init.as_fd()).map_err(failed("clone"))?;
    let written = idmap::write_maps(child.pid, uids, gids, pointer);
    let opened = written.and_then(|()| {
        let file = File::open(format!("/proc/{}/ns/user", child.pid)).map_err(failed("open"))?;
        crate::sys::fs::above_stdio(file.into()).map_err(failed("open"))
    });
    reap::kill(&child.pidfd);
    opened
}
