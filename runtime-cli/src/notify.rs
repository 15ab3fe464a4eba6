//! `NOTIFY_SOCKET`: a service manager waits for a word of the container's program, and this program passes it on. The manager hears that the container is
//! ready, and which process is the service now.

use std::ffi::OsString;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use teu::{Container, Error, Result};

/// A datagram of the protocol is not longer.
const LONGEST: usize = 4096;
/// How long the manager may take to read what it was sent: milliseconds.
const BARRIER: u16 = 30_000;

/// Whether a service manager waits for this program.
pub fn is_wanted() -> bool {
    address().is_some()
}

fn address() -> Option<OsString> {
    std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())
}

/// The container's socket and the way to the manager.
pub struct Relay {
    container: UnixDatagram,
    manager: UnixDatagram,
}

impl Relay {
    /// Binds the container's socket, to be done before the start. `None` if nobody waits, or the container was made without it.
    pub fn open(container: &Container) -> Result<Option<Self>> {
        let Some(address) = address() else { return Ok(None) };
        let Some(socket) = container.bind_notify_socket()? else { return Ok(None) };
        match connect(address.as_bytes()) {
            Ok(manager) => Ok(Some(Self { container: socket, manager })),
            Err(error) => {
                // A manager that is gone is no reason to keep the container from its work.
                log::warn!("NOTIFY_SOCKET {}: {error}", address.to_string_lossy());
                Ok(None)
            }
        }
    }

    /// Waits until the container's program is ready or has ended, and says which process it is.
    pub fn wait(self, container: &Container) -> Result<()> {
        let Some(init) = container.pidfd() else { return Ok(()) };
        loop {
            let mut fds = [self.container.as_fd(), init.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::os("poll", errno as i32)),
            }
            let [said, ended] = fds.map(|fd| fd.any() == Some(true));
            if said && self.pass_on(container.pid().unwrap_or_default()) || !said && ended {
                return Ok(());
            }
        }
    }

    /// Passes words on beside what this program does, which stays the service's main process.
    pub fn attend(self) {
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        thread::spawn(move || while !self.pass_on(own) {});
    }

    /// Takes one message of the container. True if it was the one that counts.
    fn pass_on(&self, main: i32) -> bool {
        let mut buffer = [0; LONGEST];
        let count = match self.container.recv(&mut buffer) {
            Ok(count) => count,
            Err(error) => return error.raw_os_error() != Some(Errno::EINTR as i32),
        };
        let Some(ready) = ready(buffer.get(..count).unwrap_or_default()) else { return false };
        if let Err(error) = self.tell(ready, main) {
            log::warn!("NOTIFY_SOCKET: {error}");
        }
        true
    }

    fn tell(&self, ready: &[u8], main: i32) -> std::io::Result<()> {
        self.manager.send(&[ready, b"\n"].concat())?;
        self.manager.send(format!("MAINPID={main}\n").as_bytes())?;
        Ok(self.barrier()?)
    }

    /// Waits until the manager has read everything: it closes the pipe that it is given. A manager that looks too late does not know us any more.
    fn barrier(&self) -> nix::Result<()> {
        let (ours, theirs) = nix::unistd::pipe()?;
        let (rights, text) = ([theirs.as_raw_fd()], [IoSlice::new(b"BARRIER=1")]);
        let rights = [ControlMessage::ScmRights(&rights)];
        sendmsg::<()>(self.manager.as_raw_fd(), &text, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
        drop(theirs);
        let mut fds = [PollFd::new(ours.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::from(BARRIER)).map(drop)
    }
}

/// `@name` is abstract.
fn connect(address: &[u8]) -> std::io::Result<UnixDatagram> {
    let address = match address.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(address))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// The line that tells that the program is ready. What else it says about itself is not this program's to say.
fn ready(message: &[u8]) -> Option<&[u8]> {
    message.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"READY="))
}

#[cfg(test)]
mod tests {
    use super::ready;

    #[test]
    fn of_all_that_a_program_says_only_that_it_is_ready_is_passed_on() {
        assert_eq!(ready(b"READY=1"), Some(&b"READY=1"[..]));
        assert_eq!(ready(b"STATUS=READY=1\nREADY=1\nMAINPID=1\n"), Some(&b"READY=1"[..]));
        assert_eq!(ready(b"MAINPID=1\nSTATUS=READY=1"), None);
        assert_eq!(ready(b""), None);
    }
}
