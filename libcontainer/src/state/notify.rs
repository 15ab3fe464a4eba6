//! The socket at which a container's program tells that it is ready (systemd's `sd_notify` protocol): in a directory of its own below the container's, which
//! the container sees read-only. Whoever starts the container binds the socket, because nobody can hand a bound one on.

use std::fs::Permissions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::StateDir;
use super::dir::open_in;
use crate::Result;

/// The directory, which the container sees at [`INSIDE`].
pub(crate) const DIRECTORY: &str = "notify";
const SOCKET: &str = "notify/notify.sock";
/// Where the container sees the directory.
pub(crate) const INSIDE: &str = "/run/notify";
/// What the container's program is told.
pub(crate) const VARIABLE: &str = "NOTIFY_SOCKET=/run/notify/notify.sock";

impl StateDir {
    /// Makes the directory. Any user of the container may look for the socket there.
    pub(crate) fn make_notify(&self) -> Result<()> {
        let made = mkdirat(&self.dir, DIRECTORY, Mode::from_bits_truncate(0o755)).map_err(io::Error::from);
        let opened = made.and_then(|()| open_in(&self.dir, DIRECTORY, OFlag::O_DIRECTORY));
        // The caller's umask may have cut the mode.
        let opened = opened.and_then(|dir| dir.set_permissions(Permissions::from_mode(0o755)));
        opened.map_err(|error| self.failed("create", DIRECTORY, &error))
    }

    /// Binds the socket, in the place of one that somebody bound before. `None` without the directory.
    pub(crate) fn bind_notify(&self) -> Result<Option<UnixDatagram>> {
        match open_in(&self.dir, DIRECTORY, OFlag::O_DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| self.failed("open", DIRECTORY, &error))?,
        };
        self.remove_file(SOCKET);
        // Addresses are short, and the state root may be anywhere.
        let path = format!("/proc/self/fd/{}/{SOCKET}", self.dir.as_raw_fd());
        let bound = UnixDatagram::bind(&path).and_then(|socket| {
            std::fs::set_permissions(Path::new(&path), Permissions::from_mode(0o777))?;
            crate::sys::fs::above_stdio(OwnedFd::from(socket))
        });
        bound.map(|socket| Some(socket.into())).map_err(|error| self.failed("bind", SOCKET, &error))
    }

    pub(super) fn remove_notify(&self) {
        self.remove_file(SOCKET);
        let _ = unlinkat(&self.dir, DIRECTORY, UnlinkatFlags::RemoveDir);
    }
}
