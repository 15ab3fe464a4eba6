//! Programs that are run: with a time limit, with files or a terminal as their streams, their reply as one text.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::step::Reply;

/// The longest that one call of a client may take.
pub const LIMIT: Duration = Duration::from_secs(60);
/// The pause between two looks at something that is awaited.
pub const GLANCE: Duration = Duration::from_millis(5);
/// The size of the terminals: one that nobody would guess.
const SIZE: Winsize = Winsize { ws_row: 31, ws_col: 97, ws_xpixel: 0, ws_ypixel: 0 };

/// A program under way whose output goes to a file.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: std::path::PathBuf,
}

impl Running {
    /// Starts `command` with the text as its input; both outputs go to the file.
    pub fn start(mut command: Command, stdin: &str, output: &Path) -> io::Result<Running> {
        let file = File::create(output)?;
        command.stdout(file.try_clone()?).stderr(file).stdin(input(stdin, output)?);
        Ok(Running { child: command.spawn()?, output: output.to_owned() })
    }

    /// Waits for its end.
    pub fn reply(mut self) -> io::Result<Reply> {
        let status = wait(&mut self.child, LIMIT)?;
        let bytes = fs::read(&self.output)?;
        Ok(reply(status, &bytes))
    }
}

/// A pipe would end with its writer; a file is there as long as it is read.
fn input(text: &str, output: &Path) -> io::Result<Stdio> {
    if text.is_empty() {
        return Ok(Stdio::null());
    }
    let path = output.with_extension("in");
    fs::write(&path, text)?;
    Ok(File::open(path)?.into())
}

/// Runs `command` on a terminal of its own, types the text there and reads until the end.
pub fn on_terminal(mut command: Command, typed: &str) -> io::Result<Reply> {
    let OpenptyResult { master, slave } = openpty(&SIZE, None)?;
    command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
    let mut child = command.spawn()?;
    // The command holds copies of the terminal; the master sees its end when the last one is closed.
    drop(command);
    let mut master = File::from(master);
    let mut reader = master.try_clone()?;
    let seen = thread::spawn(move || {
        let mut seen = Vec::new();
        // The end of a terminal is an error, EIO; what was read before it is kept.
        let _ = reader.read_to_end(&mut seen);
        seen
    });
    master.write_all(typed.as_bytes())?;
    let status = wait(&mut child, LIMIT)?;
    Ok(reply(status, &seen.join().unwrap_or_default()))
}

/// Waits for the end of a child, and kills it when the time is over.
pub fn wait(child: &mut Child, limit: Duration) -> io::Result<ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other(format!("not finished within {} s", limit.as_secs())));
        }
        thread::sleep(GLANCE);
    }
}

/// Ends a daemon as a service manager does.
pub fn stop(child: &mut Child) -> io::Result<ExitStatus> {
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    kill(Pid::from_raw(pid), Signal::SIGTERM)?;
    wait(child, LIMIT)
}

fn reply(status: ExitStatus, bytes: &[u8]) -> Reply {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Reply { code, text: String::from_utf8_lossy(bytes).replace("\r\n", "\n") }
}
