//! A container's terminal in the foreground, joined with this program's standard streams. One poll, no thread, no handler.
//!
//! Nothing is read before there is room for it, and nothing is written where the kernel would make us wait: a reader that has stalled stops the
//! container's output and nothing else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{isatty, read, write};
use teu::{Exit, Result, Terminal};

use crate::foreground::Foreground;
use crate::mask::{Blocked, failed, pass_on};

/// A pipe that is ready takes so much without waiting (PIPE_BUF).
const CHUNK: usize = 4096;

/// A terminal holds less than so many chunks.
const LAST_READS: u32 = 64;

/// How often a terminal that everybody has left is looked at: milliseconds.
const LOOK_AGAIN: u8 = 200;

/// The container's terminal and what is on its way.
pub struct Bridge {
    terminal: Terminal,
    /// From standard input, for the container.
    keys: Vec<u8>,
    /// From the container, for standard output.
    screen: Vec<u8>,
    input_open: bool,
    /// Nobody in the container has the terminal open, which the kernel would report without end.
    left: bool,
    /// Restores the caller's terminal when it goes.
    _raw: Option<Raw>,
}

/// The caller's terminal in raw mode: keys go to the container, which decides what they mean.
struct Raw(Termios);

impl Raw {
    /// `None` if standard input is no terminal.
    fn new() -> Result<Option<Self>> {
        let input = io::stdin();
        if !isatty(&input).unwrap_or(false) {
            return Ok(None);
        }
        let before = tcgetattr(&input).map_err(failed("tcgetattr"))?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        // The container's terminal leaves the ends of lines to this one.
        raw.output_flags |= OutputFlags::OPOST;
        let guard = Self(before);
        tcsetattr(&input, SetArg::TCSANOW, &raw).map_err(failed("tcsetattr"))?;
        Ok(Some(guard))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// Rows and columns of the caller's terminal, if it has one with a size.
pub fn size() -> Option<(u16, u16)> {
    let (input, output) = (io::stdin(), io::stdout());
    let found = Terminal::size_of(input.as_fd()).or_else(|_| Terminal::size_of(output.as_fd()));
    found.ok().filter(|size| *size != (0, 0))
}

impl Bridge {
    /// Takes the container's terminal over.
    pub fn new(terminal: Terminal) -> Result<Self> {
        let mut modes = tcgetattr(&terminal).map_err(failed("tcgetattr"))?;
        modes.output_flags &= !OutputFlags::ONLCR;
        tcsetattr(&terminal, SetArg::TCSANOW, &modes).map_err(failed("tcsetattr"))?;
        fcntl(&terminal, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK)).map_err(failed("fcntl"))?;
        let raw = Raw::new()?;
        let bridge =
            Self { terminal, keys: Vec::new(), screen: Vec::new(), input_open: true, left: false, _raw: raw };
        bridge.resize();
        Ok(bridge)
    }

    /// The container's terminal becomes as large as the caller's, if there is one.
    fn resize(&self) {
        if let Some((rows, columns)) = size() {
            // The container may have ended.
            let _ = self.terminal.resize(rows, columns);
        }
    }

    /// Carries bytes and signals until the container has ended and its last words are out.
    pub fn carry_until_exit(&mut self, container: &impl Foreground, signals: &Blocked) -> Result<Exit> {
        let Some(init) = container.pidfd() else { return container.wait() };
        loop {
            let ready = self.wait(init, signals.as_fd())?;
            if ready.signals {
                self.handle_signals(container, signals)?;
            }
            if ready.input {
                self.read_keys();
            }
            if ready.terminal_out {
                self.write_keys();
            }
            if ready.terminal_in {
                self.read_screen();
            }
            if ready.output {
                self.write_screen();
            }
            if ready.ended {
                self.drain();
                return container.wait();
            }
        }
    }

    fn wait(&self, init: BorrowedFd<'_>, signals: BorrowedFd<'_>) -> Result<Ready> {
        let when = |wanted: bool, flags: PollFlags| if wanted { flags } else { PollFlags::empty() };
        let terminal =
            when(self.screen.is_empty(), PollFlags::POLLIN) | when(!self.keys.is_empty(), PollFlags::POLLOUT);
        let (input, output) = (io::stdin(), io::stdout());
        let mut fds = vec![PollFd::new(init, PollFlags::POLLIN), PollFd::new(signals, PollFlags::POLLIN)];
        // A descriptor that is not asked about would still report its end, again and again.
        let mut add = |fd, flags: PollFlags| {
            (!flags.is_empty()).then(|| {
                fds.push(PollFd::new(fd, flags));
                fds.len() - 1
            })
        };
        let terminal = if self.left { None } else { add(self.terminal.as_fd(), terminal) };
        let input = add(input.as_fd(), when(self.input_open && self.keys.is_empty(), PollFlags::POLLIN));
        let output = add(output.as_fd(), when(!self.screen.is_empty(), PollFlags::POLLOUT));
        let timeout = if self.left { PollTimeout::from(LOOK_AGAIN) } else { PollTimeout::NONE };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed("poll")(errno)),
        }
        let events = |at: Option<usize>| {
            let found = at.and_then(|at| fds.get(at)).and_then(PollFd::revents);
            found.unwrap_or(PollFlags::empty())
        };
        let terminal = events(terminal);
        Ok(Ready {
            ended: !events(Some(0)).is_empty(),
            signals: !events(Some(1)).is_empty(),
            terminal_in: self.left || terminal.intersects(PollFlags::POLLIN | PollFlags::POLLHUP),
            terminal_out: terminal.contains(PollFlags::POLLOUT),
            input: !events(input).is_empty(),
            output: !events(output).is_empty(),
        })
    }

    /// A new size is the terminal's own affair: the kernel tells the container.
    fn handle_signals(&self, container: &impl Foreground, signals: &Blocked) -> Result<()> {
        while let Some(signal) = signals.read(container)? {
            if signal == Signal::SIGWINCH as i32 {
                self.resize();
            } else {
                pass_on(container, signal);
            }
        }
        Ok(())
    }

    fn read_keys(&mut self) {
        match fill(&mut self.keys, io::stdin()) {
            Ok(0) => self.input_open = false,
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.input_open = false,
        }
    }

    fn write_keys(&mut self) {
        match write(&self.terminal, &self.keys) {
            Ok(count) => drop(self.keys.drain(..count)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.keys.clear(),
        }
    }

    /// An error means that nobody has the terminal open at present; another process of the container may open it again.
    fn read_screen(&mut self) -> bool {
        let found = fill(&mut self.screen, &self.terminal);
        self.left = found == Err(Errno::EIO);
        found.is_ok_and(|count| count > 0)
    }

    /// Output that nobody takes any more is dropped, as runc does: the container goes on.
    fn write_screen(&mut self) {
        match write(io::stdout(), &self.screen) {
            Ok(count) => drop(self.screen.drain(..count)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.screen.clear(),
        }
    }

    /// What the container wrote before it ended. Now it is right to wait for the reader, but not for processes that outlived init and write on.
    fn drain(&mut self) {
        for _ in 0..LAST_READS {
            while !self.screen.is_empty() {
                self.write_screen();
            }
            if !self.read_screen() {
                return;
            }
        }
    }
}

/// What can be done now.
struct Ready {
    ended: bool,
    signals: bool,
    terminal_in: bool,
    terminal_out: bool,
    input: bool,
    output: bool,
}

/// Reads into an empty buffer.
fn fill(buffer: &mut Vec<u8>, from: impl AsFd) -> nix::Result<usize> {
    buffer.resize(CHUNK, 0);
    let count = read(from, buffer);
    buffer.truncate(*count.as_ref().unwrap_or(&0));
    count
}
