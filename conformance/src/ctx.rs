//! What a test body works with: bundles in a directory of its own, containers that are gone when the body ends, and the
//! questions nearly every test asks.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::bundle::Bundle;
use crate::driver::{Cli, Driver, New, Reply};
use crate::host::Host;
use crate::probe::Report;
use crate::sys::{self, PATIENCE};
use crate::{Outcome, Trouble, check};

/// One test's view of the runtime and the machine.
pub struct Ctx<'a> {
    /// The runtime under test.
    pub driver: &'a dyn Driver,
    /// The machine.
    pub host: &'a Host,
    /// A directory of this test's own.
    pub dir: PathBuf,
    made: AtomicU32,
}

/// A container that was created. Dropping it removes it by force.
pub struct Container<'a> {
    ctx: &'a Ctx<'a>,
    /// Its id.
    pub id: String,
    /// The pid of init.
    pub pid: i32,
    out: Lines,
    err: File,
}

/// Lines from a pipe, each within the patience limit.
pub struct Lines {
    from: OwnedFd,
    rest: Vec<u8>,
}

impl<'a> Ctx<'a> {
    /// A view for one test; the directory exists.
    pub fn new(driver: &'a dyn Driver, host: &'a Host, dir: PathBuf) -> Self {
        Self { driver, host, dir, made: AtomicU32::new(0) }
    }

    /// A fresh id. Every id carries the run's tag, so that the oracle knows its cgroups anywhere.
    pub fn id(&self) -> String {
        format!("{}-{}", self.host.tag, self.made.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A bundle with the probe.
    pub fn bundle(&self) -> Result<Bundle, Trouble> {
        let id = self.id();
        Ok(self.placed(Bundle::with_probe(self.dir.join(&id), &id)?))
    }

    /// A bundle with busybox and some of its applets.
    pub fn busybox(&self, applets: &[&str]) -> Result<Bundle, Trouble> {
        let id = self.id();
        let busybox = self.host.busybox.as_ref().ok_or("no busybox")?;
        Ok(self.placed(Bundle::with_busybox(self.dir.join(&id), &id, busybox, applets)?))
    }

    /// A bundle on the Debian rootfs.
    pub fn debian(&self) -> Result<Bundle, Trouble> {
        let id = self.id();
        let rootfs = self.host.debian.as_ref().ok_or("no Debian rootfs")?;
        Ok(self.placed(Bundle::on(self.dir.join(&id), &id, rootfs)?))
    }

    fn placed(&self, mut bundle: Bundle) -> Bundle {
        bundle.set("/linux/cgroupsPath", self.host.cgroups_path(&bundle.id));
        bundle
    }

    /// The command line, for behaviours only a command has; such tests name `Need::Cli`.
    pub fn cli(&self) -> Result<&Cli, Trouble> {
        self.driver.cli().ok_or_else(|| Trouble::Skipped("the driver is not a command line".into()))
    }

    /// What a bundle's container is made from.
    pub fn new_of<'b>(&self, bundle: &'b Bundle) -> Result<New<'b>, Trouble> {
        bundle.write()?;
        Ok(New { id: &bundle.id, bundle: bundle.dir.clone(), ..New::default() })
    }

    /// Runs the bundle to its end in the foreground.
    pub fn run(&self, bundle: &Bundle) -> Result<Reply, Trouble> {
        Ok(self.driver.run(self.new_of(bundle)?))
    }

    /// Runs the probe to its end and reads its report.
    pub fn see(&self, bundle: &mut Bundle, ops: &[&str]) -> Result<Report, Trouble> {
        let reply = self.run(bundle.ops(ops))?.good()?;
        Report::parse(&reply.out)
    }

    /// Asks for a container that must be refused: exit code 1, an error of one line with one of the texts in it, no
    /// container afterwards.
    pub fn refused(&self, bundle: &Bundle, texts: &[&str]) -> Outcome {
        self.refused_by(bundle, |_| (), texts)
    }

    /// The same with a creation that the test shapes.
    pub fn refused_by(&self, bundle: &Bundle, shape: impl FnOnce(&mut New<'_>), texts: &[&str]) -> Outcome {
        let mut new = self.new_of(bundle)?;
        shape(&mut new);
        let reply = self.driver.create(new);
        if reply.code == 0 {
            let _ = self.driver.delete(&bundle.id, true);
        }
        refusal(&reply, texts)?;
        check!(self.driver.state(&bundle.id).code != 0, "the container exists after a failed create");
        Ok(())
    }

    /// Creates a container whose stdout is a pipe to the test.
    pub fn created(&'a self, bundle: &Bundle) -> Result<Container<'a>, Trouble> {
        self.created_with(bundle, None)
    }

    /// Creates and starts a container.
    pub fn started(&'a self, bundle: &Bundle) -> Result<Container<'a>, Trouble> {
        let container = self.created(bundle)?;
        container.start()?;
        Ok(container)
    }

    /// Creates and starts the probe with these ops, then `sleep`, and reads the report it makes before sleeping.
    pub fn sleeping(&'a self, bundle: &mut Bundle, ops: &[&str]) -> Result<(Container<'a>, Report), Trouble> {
        let ops: Vec<&str> = ops.iter().copied().chain(["pid", "sleep"]).collect();
        let mut container = self.started(bundle.ops(&ops))?;
        let report = container.report()?;
        Ok((container, report))
    }

    /// Creates a container with a stdin of the test's choice.
    pub fn created_with(&'a self, bundle: &Bundle, stdin: Option<OwnedFd>) -> Result<Container<'a>, Trouble> {
        self.created_by(bundle, |new| new.stdin = stdin)
    }

    /// Creates a container in the way that the test shapes.
    pub fn created_by(
        &'a self,
        bundle: &Bundle,
        shape: impl FnOnce(&mut New<'_>),
    ) -> Result<Container<'a>, Trouble> {
        let (out, stdout) = sys::pipe()?;
        let err = sys::memfd()?;
        let mut new = self.new_of(bundle)?;
        new.stdout = Some(stdout);
        new.stderr = Some(err.try_clone()?);
        shape(&mut new);
        let reply = self.driver.create(new);
        if reply.code != 0 {
            return Err(format!("create: exit code {}: {}", reply.code, reply.err.trim_end()).into());
        }
        let out = Lines { from: out, rest: Vec::new() };
        let mut container = Container { ctx: self, id: bundle.id.clone(), pid: 0, out, err };
        container.pid = container.pid_now()?;
        check!(container.pid > 0, "a new container has pid {}", container.pid);
        Ok(container)
    }

    /// The parsed state of a container.
    pub fn state(&self, id: &str) -> Result<Value, Trouble> {
        let reply = self.driver.state(id).good()?;
        serde_json::from_str(&reply.out)
            .map_err(|error| format!("state is not JSON: {error}: {}", reply.out).into())
    }

    /// The status of a container.
    pub fn status(&self, id: &str) -> Result<String, Trouble> {
        Ok(self.state(id)?["status"].as_str().unwrap_or_default().into())
    }
}

/// Checks a refusal: exit code 1, one line on stderr, one of the texts in it. Warnings in front of that line are left to
/// the one test that is about them.
pub fn refusal(reply: &Reply, texts: &[&str]) -> Outcome {
    check!(reply.code != 0, "it was not refused");
    check!(reply.code == 1, "refused with exit code {} instead of 1: {}", reply.code, reply.err.trim_end());
    let counts = |line: &&str| !line.trim().is_empty() && !line.contains(" level=warning ");
    let lines = reply.err.lines().filter(counts).count();
    check!(lines == 1, "the error has {lines} lines instead of one: {:?}", reply.err);
    check!(!reply.err.contains("panic"), "it panicked: {}", reply.err);
    // A log line of the text format has its quotes escaped.
    let said = reply.err.replace("\\\"", "\"");
    if texts.is_empty() || texts.iter().any(|text| said.contains(text)) {
        return Ok(());
    }
    Err(Trouble::Worded(format!("the error has none of {texts:?}: {}", reply.err.trim_end())))
}

impl Container<'_> {
    /// Opens the gate.
    pub fn start(&self) -> Outcome {
        self.ctx.driver.start(&self.id).good()?;
        Ok(())
    }

    /// The status now.
    pub fn status(&self) -> Result<String, Trouble> {
        self.ctx.status(&self.id)
    }

    /// The pid that the state names.
    pub fn pid_now(&self) -> Result<i32, Trouble> {
        let pid = self.ctx.state(&self.id)?["pid"].as_i64().unwrap_or_default();
        i32::try_from(pid).map_err(|_| format!("odd pid {pid}").into())
    }

    /// The next report of the probe.
    pub fn report(&mut self) -> Result<Report, Trouble> {
        match self.out.next(PATIENCE)? {
            Some(line) => Report::parse(&line),
            None => Err(format!("no report; stderr: {}", sys::content(&self.err)?).into()),
        }
    }

    /// The next line of the container's stdout; none at its end.
    pub fn line(&mut self) -> Result<Option<String>, Trouble> {
        self.out.next(PATIENCE)
    }

    /// True if nothing was written yet.
    pub fn is_silent(&self) -> Result<bool, Trouble> {
        Ok(!sys::readable_within(self.out.from.as_fd(), Duration::ZERO)?)
    }

    /// Sends a signal to init.
    pub fn kill(&self, signal: &str) -> Outcome {
        self.ctx.driver.kill(&self.id, signal, false).good()?;
        Ok(())
    }

    /// Waits until init has ended.
    pub fn ended(&self) -> Outcome {
        check!(sys::ended_within(self.pid, PATIENCE)?, "init of {} still lives", self.id);
        Ok(())
    }

    /// Waits for init's end and returns how it ended. Only if init is our child, as with a subreaper it is.
    pub fn exit_code(&self) -> Result<i32, Trouble> {
        self.ended()?;
        Ok(sys::exit_code(self.pid)?)
    }

    /// Removes the container without force.
    pub fn delete(&self) -> Outcome {
        self.ctx.driver.delete(&self.id, false).good()?;
        Ok(())
    }

    /// Removes the container by force.
    pub fn delete_by_force(&self) -> Outcome {
        self.ctx.driver.delete(&self.id, true).good()?;
        Ok(())
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.ctx.driver.delete(&self.id, true);
        // A zombie that only we can collect keeps its pid namespace, and so whoever is pid 1 of it, from ending.
        sys::reap_one(self.pid);
    }
}

impl Lines {
    /// A reader of a pipe's end.
    pub fn new(from: OwnedFd) -> Self {
        Self { from, rest: Vec::new() }
    }

    /// The next line; none when every writer has closed its end.
    pub fn next(&mut self, limit: Duration) -> Result<Option<String>, Trouble> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().into()));
            }
            check!(sys::readable_within(self.from.as_fd(), limit)?, "nothing was written within {limit:?}");
            let mut block = vec![0; 1 << 16];
            let count = match nix::unistd::read(&self.from, &mut block) {
                // A terminal that everybody has left.
                Err(nix::Error::EIO) => 0,
                other => other.map_err(io::Error::from)?,
            };
            if count == 0 {
                return Ok(None);
            }
            self.rest.extend(block.iter().take(count));
        }
    }
}
