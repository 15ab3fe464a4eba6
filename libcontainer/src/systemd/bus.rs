//! One connection to a manager of systemd. Every wait ends by itself: by an answer, the caller's patience, or a limit of ours.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};

use super::address::{Address, Socket};
use super::wire::{self, Call, ERROR, Message, REPLY, SIGNAL};
use crate::plan::cgroup::systemd::Value;
use crate::sys::socket::{connect_abstract_at_once, connect_at_once};
use crate::until::{Until, Woken, cancelled};
use crate::{Error, ErrorKind, Result};

/// The socket's owner is told by the kernel: no name has to be sent, which would be another one in a user namespace. All of it at once, as systemd's own
/// clients do: a message that comes together with `BEGIN` stays unread in systemd 257 until another one comes.
const LOGIN: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
/// The longest line of a login.
const LINE: usize = 4096;
/// A queue of connections that is full is tried again after this.
const AGAIN: Duration = Duration::from_millis(5);

const BUS: &str = "org.freedesktop.DBus";

/// How long a conversation may take.
#[derive(Clone, Debug)]
pub(super) struct Limit<'a> {
    pub until: &'a Until,
    pub end: Instant,
}

/// A connection.
pub(super) struct Bus<'a> {
    socket: OwnedFd,
    limit: Limit<'a>,
    /// What has been received and not been read yet.
    buffer: Vec<u8>,
    /// Signals that came while an answer was waited for, of the one kind that is waited for later.
    signals: VecDeque<Message>,
    wanted: &'static str,
    serial: u32,
    /// Whether a bus is between.
    pub is_bus: bool,
}

/// What a manager answered.
pub(super) enum Answer {
    Done(Message),
    /// The error's name and its text.
    Refused {
        name: String,
        text: String,
    },
}

impl Limit<'_> {
    fn check(&self) -> Result<()> {
        self.until.check()?;
        if Instant::now() < self.end {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::TimedOut, "no answer in time"))
        }
    }

    fn wait(&self, socket: &OwnedFd, events: i16) -> Result<()> {
        match self.until.wait_before(&[socket.as_fd()], events, Some(self.end)) {
            Ok(Woken::Ready) => Ok(()),
            Ok(Woken::Late) => Err(Error::new(ErrorKind::TimedOut, "no answer in time")),
            Ok(Woken::Cancelled) => Err(cancelled()),
            Err(error) => Err(Error::io("poll", &error)),
        }
    }

    /// Waits a moment; an error when the time is over.
    fn pause(&self) -> Result<()> {
        let again = Instant::now() + AGAIN;
        match self.until.wait_before(&[], libc::POLLIN, Some(again.min(self.end))) {
            Ok(Woken::Cancelled) => Err(cancelled()),
            Ok(_) if again < self.end => self.until.check(),
            Ok(_) => Err(Error::new(ErrorKind::TimedOut, "no connection in time")),
            Err(error) => Err(Error::io("poll", &error)),
        }
    }
}

impl<'a> Bus<'a> {
    /// Connects and logs in.
    pub fn connect(address: &Address, limit: Limit<'a>) -> Result<Self> {
        let socket = loop {
            let socket = match &address.socket {
                Socket::Path(path) => connect_at_once(path),
                Socket::Abstract(name) => connect_abstract_at_once(name),
            };
            match socket {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => limit.pause()?,
                other => break other.map_err(|error| Error::io("connect", &error))?,
            }
        };
        let (buffer, signals) = (Vec::new(), VecDeque::new());
        let mut bus = Self { socket, limit, buffer, signals, wanted: "", serial: 0, is_bus: address.is_bus };
        bus.log_in()?;
        if bus.is_bus {
            bus.ask(&bus_call("Hello", &[]))?;
        }
        Ok(bus)
    }

    fn log_in(&mut self) -> Result<()> {
        self.write(LOGIN)?;
        loop {
            let line = self.line()?;
            match line.split(|byte| *byte == b' ').next() {
                Some(b"DATA") => {}
                Some(b"OK") => return Ok(()),
                _ => {
                    let message = format!("login refused: {}", String::from_utf8_lossy(&line));
                    return Err(Error::new(ErrorKind::Denied, message));
                }
            }
        }
    }

    /// A line without its end.
    fn line(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let mut line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                line.truncate(end);
                return Ok(line);
            }
            if self.buffer.len() > LINE {
                return Err(garbage("a line that is too long"));
            }
            self.fill()?;
        }
    }

    /// Wants to be told of a signal of that name. A peer sends all that there are.
    pub fn watch(&mut self, name: &'static str, rule: &str) -> Result<()> {
        self.wanted = name;
        if self.is_bus {
            self.ask(&bus_call("AddMatch", &[Value::text(rule)]))?;
        }
        Ok(())
    }

    /// Calls and waits for success.
    pub fn ask(&mut self, call: &Call<'_>) -> Result<Message> {
        match self.call(call)? {
            Answer::Done(message) => Ok(message),
            Answer::Refused { name, text } => Err(refused(&name, &text).context(call.member)),
        }
    }

    /// Calls and waits for the answer.
    pub fn call(&mut self, call: &Call<'_>) -> Result<Answer> {
        self.serial += 1;
        let serial = self.serial;
        self.write(&call.encode(serial))?;
        loop {
            let message = self.next()?;
            match message.kind {
                REPLY if message.answers == serial => return Ok(Answer::Done(message)),
                ERROR if message.answers == serial => {
                    return Ok(Answer::Refused { text: message.text(0).to_owned(), name: message.error });
                }
                SIGNAL if message.member == self.wanted => self.signals.push_back(message),
                _ => {}
            }
        }
    }

    /// The next signal.
    pub fn signal(&mut self) -> Result<Message> {
        loop {
            if let Some(signal) = self.signals.pop_front() {
                return Ok(signal);
            }
            let message = self.next()?;
            if message.kind == SIGNAL && message.member == self.wanted {
                return Ok(message);
            }
        }
    }

    fn next(&mut self) -> Result<Message> {
        loop {
            let length = wire::length(&self.buffer).map_err(garbage)?;
            if let Some(length) = length.filter(|length| *length <= self.buffer.len()) {
                let bytes: Vec<u8> = self.buffer.drain(..length).collect();
                return wire::parse(&bytes).map_err(garbage);
            }
            self.fill()?;
        }
    }

    /// Receives something.
    fn fill(&mut self) -> Result<()> {
        let mut bytes = [0; 4096];
        // Who never stops talking is as bad as who never answers.
        self.limit.check()?;
        loop {
            match nix::unistd::read(&self.socket, &mut bytes) {
                Ok(0) => return Err(Error::new(ErrorKind::Cgroup, "the connection was closed")),
                Ok(count) => {
                    self.buffer.extend(bytes.iter().take(count));
                    return Ok(());
                }
                Err(Errno::EAGAIN) => self.limit.wait(&self.socket, libc::POLLIN)?,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::io("receive", &errno.into())),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match send(self.socket.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::EAGAIN) => self.limit.wait(&self.socket, libc::POLLOUT)?,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::io("send", &errno.into())),
            }
        }
        Ok(())
    }
}

fn bus_call<'a>(member: &'a str, body: &'a [Value]) -> Call<'a> {
    Call { destination: BUS, path: "/org/freedesktop/DBus", interface: BUS, member, body }
}

fn garbage(what: &str) -> Error {
    Error::new(ErrorKind::Cgroup, format!("it sent {what}"))
}

/// An answer that is an error.
pub(super) fn refused(name: &str, text: &str) -> Error {
    let denied = name.ends_with(".AccessDenied") || name.ends_with(".InteractiveAuthorizationRequired");
    let kind = if denied { ErrorKind::Denied } else { ErrorKind::Cgroup };
    let text = if text.is_empty() { name } else { text };
    Error::new(kind, text)
}
