//! The standard streams of a hook: the state comes in, what it says goes into the error or into files of the caller's choice.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::pipe2;

use crate::sys::fs::above_stdio;

/// Most bytes of each stream that are kept for an error; more is read and dropped, so that the hook is never held up.
const KEPT: usize = 4096;

/// The annotation that names a file for a stream, and the stream's word in an error.
const OUTPUTS: [(&str, &str); 2] = [("run.oci.hooks.stdout", "stdout"), ("run.oci.hooks.stderr", "stderr")];

/// Our ends of standard output and error.
#[derive(Debug)]
pub(super) struct Streams([Output; 2]);

#[derive(Debug, Default)]
struct Output {
    pipe: Option<File>,
    kept: Vec<u8>,
    /// The file it goes to instead.
    path: String,
}

/// The streams of a hook that reads `state`: its ends, and ours. An error has its object.
pub(super) fn make(
    annotations: &BTreeMap<String, String>,
    state: &[u8],
) -> Result<([OwnedFd; 3], Streams), (String, io::Error)> {
    let failed = |error| ("make the streams of a hook".to_owned(), error);
    let input = input(state).map_err(failed)?;
    let [out, err] = OUTPUTS.map(|(annotation, _)| match annotations.get(annotation) {
        Some(path) => output_file(path).map_err(|error| (format!("open {path:?} of {annotation}"), error)),
        None => output_pipe().map_err(failed),
    });
    let ((out, kept_out), (err, kept_err)) = (out?, err?);
    Ok(([input, out, err], Streams([kept_out, kept_err])))
}

/// A pipe that was filled before: nobody has to write while the hook runs, and a hook that does not read harms nobody. What no pipe holds is
/// a sealed file.
fn input(state: &[u8]) -> io::Result<OwnedFd> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let mut writer = File::from(above_stdio(writer)?);
    match writer.write(state) {
        Ok(written) if written == state.len() => {
            fcntl(&reader, FcntlArg::F_SETFL(OFlag::empty()))?;
            above_stdio(reader)
        }
        _ => input_file(state),
    }
}

fn input_file(state: &[u8]) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(above_stdio(memfd_create(c"teu-hook-state", flags)?)?);
    file.write_all_at(state, 0)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(nix::fcntl::SealFlag::all()))?;
    Ok(file.into())
}

fn output_pipe() -> io::Result<(OwnedFd, Output)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let reader = File::from(above_stdio(reader)?);
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((above_stdio(writer)?, Output { pipe: Some(reader), ..Output::default() }))
}

/// Appended to, as crun does. A fifo that nobody reads is an error and not a wait.
fn output_file(path: &str) -> io::Result<(OwnedFd, Output)> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok((above_stdio(file.into())?, Output { path: path.to_owned(), ..Output::default() }))
}

impl Streams {
    /// The pipes that may still say something.
    pub fn open(&self) -> Vec<BorrowedFd<'_>> {
        self.0.iter().filter_map(|output| output.pipe.as_ref().map(AsFd::as_fd)).collect()
    }

    /// Takes what is there, without a wait for more.
    pub fn take(&mut self) {
        self.0.iter_mut().for_each(Output::take);
    }
}

impl Output {
    /// Reads until the pipe is empty; at its end it is closed. The bytes of one call are bounded: somebody may write for ever.
    fn take(&mut self) {
        const ROUNDS: usize = 64;
        let mut block = [0u8; 4096];
        for _ in 0..ROUNDS {
            let Some(mut pipe) = self.pipe.as_ref() else { return };
            match pipe.read(&mut block) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let room = KEPT.saturating_sub(self.kept.len());
                    self.kept.extend(block.iter().take(count.min(room)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

/// One line, whatever the hook wrote.
impl Display for Streams {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, (output, (_, word))) in self.0.iter().zip(OUTPUTS).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{word}: ")?;
            if !output.path.is_empty() {
                write!(f, "(in {})", output.path)?;
            }
            for c in String::from_utf8_lossy(&output.kept).trim_end().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
            }
        }
        Ok(())
    }
}
