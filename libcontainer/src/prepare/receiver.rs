//! Who gets a descriptor of the new container: connected before anything is made, so that a receiver that is not there costs nothing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::options::Receiver;
use crate::spec::annotations;
use crate::sys::socket;
use crate::{Error, ErrorKind, Result};

/// The connected receivers of one container.
#[derive(Debug, Default)]
pub(crate) struct Receivers {
    console: Option<Connected>,
    pidfd: Option<Connected>,
    /// That of the annotation, which is told nothing but the descriptor.
    annotated: Option<Connected>,
}

/// What crun sends with a descriptor: a message cannot be empty.
const NO_TEXT: &str = " ";

#[derive(Debug)]
struct Connected {
    socket: OwnedFd,
    /// As errors name it.
    name: String,
}

impl Receivers {
    /// Connects to who waits for the terminal's master, and to who waits for a pidfd.
    pub fn connect(console: Option<Receiver>, pidfd: Option<Receiver>) -> Result<Self> {
        let connect = |what, receiver: Option<Receiver>| {
            receiver.map(|receiver| Connected::new(what, receiver)).transpose()
        };
        let (console, pidfd) = (connect("console socket", console)?, connect("pidfd socket", pidfd)?);
        Ok(Self { console, pidfd, annotated: None })
    }

    /// Connects to the receiver of the annotation as well.
    pub fn and_annotated(mut self, path: Option<&Path>) -> Result<Self> {
        let connect = |path: &Path| Connected::new("pidfd receiver", Receiver::Path(path.to_owned()));
        self.annotated =
            path.map(connect).transpose().map_err(|error| error.at(annotations::PIDFD_RECEIVER_SITE))?;
        Ok(self)
    }

    /// Whether nobody waits for anything.
    pub fn is_empty(&self) -> bool {
        [&self.console, &self.pidfd, &self.annotated].iter().all(|receiver| receiver.is_none())
    }

    /// Whether somebody waits for the terminal.
    pub fn want_terminal(&self) -> bool {
        self.console.is_some()
    }

    /// Sends the terminal's master with the name of its slave.
    pub fn send_terminal(&self, master: BorrowedFd<'_>, name: &str) -> Result<()> {
        self.console.as_ref().map_or(Ok(()), |console| console.send("the terminal", name, master))
    }

    /// Sends the descriptor of the process, with the word that says how it came to be.
    pub fn send_pidfd(&self, text: &str, pidfd: BorrowedFd<'_>) -> Result<()> {
        let receivers = [(&self.pidfd, text), (&self.annotated, NO_TEXT)];
        let mut present = receivers.iter().filter_map(|(receiver, text)| Some((receiver.as_ref()?, *text)));
        present.try_for_each(|(receiver, text)| receiver.send("the pidfd", text, pidfd))
    }
}

impl Connected {
    fn new(what: &str, receiver: Receiver) -> Result<Self> {
        match receiver {
            Receiver::Socket(socket) if socket::is_one(socket.as_fd()) => {
                Ok(Self { socket, name: what.to_owned() })
            }
            Receiver::Socket(_) => {
                Err(Error::new(ErrorKind::InvalidArgument, format!("the {what}'s descriptor is no socket")))
            }
            Receiver::Path(path) => {
                let name = format!("{what} {}", path.display());
                match socket::connect_to(&path) {
                    Ok(socket) => Ok(Self { socket, name }),
                    Err(error) => Err(Error::io(format!("connect to the {name}"), &error)),
                }
            }
        }
    }

    fn send(&self, what: &str, text: &str, fd: BorrowedFd<'_>) -> Result<()> {
        socket::send_fd(self.socket.as_fd(), text, fd)
            .map_err(|error| Error::io(format!("send {what} to the {}", self.name), &error))
    }
}
