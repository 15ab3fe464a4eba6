//! The socket at which the container's program tells that it is ready.

use std::os::unix::net::UnixDatagram;

use super::Container;
use crate::Result;

impl Container {
    /// Binds the socket that the container's program finds through `NOTIFY_SOCKET`, in the place of one bound before: its messages are those of `sd_notify`
    /// (`READY=1`). To be done before the start. `None` if the container was not made with [`crate::CreateOptions::notify_socket`].
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn bind_notify_socket(&self) -> Result<Option<UnixDatagram>> {
        self.dir.bind_notify()
    }
}
