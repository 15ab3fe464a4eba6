//! A session: one client with one runtime, its daemons up, everything of it below one directory.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::Instant;

use crate::client::{Client, Daemon};
use crate::process::{self, GLANCE, LIMIT, Running};
use crate::step::{self, Act, Case, Reply, Step, one_line};

/// What every program finds, wherever this was called.
const ENVIRONMENT: [(&str, &str); 2] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root")];

/// A runtime under its name in the results.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Its name.
    pub name: String,
    /// Its program.
    pub path: PathBuf,
}

/// What went wrong in a case, and at which of its steps; 0 is the start of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The number of the step.
    pub step: usize,
    /// What was not as expected.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "step {}: {}", self.step, self.why)
    }
}

/// A client that is ready to work.
pub struct Session<'a> {
    /// The client.
    pub client: &'a Client,
    runtime: &'a Runtime,
    rootfs: &'a Path,
    dir: PathBuf,
    daemons: Vec<Child>,
}

impl<'a> Session<'a> {
    /// Makes the directory, starts the daemons and prepares what the cases need.
    pub fn start(
        client: &'a Client,
        runtime: &'a Runtime,
        rootfs: &'a Path,
        home: &Path,
    ) -> Result<Self, String> {
        let dir = home.join(format!("{}-{}", client.name, runtime.name));
        let mut session = Session { client, runtime, rootfs, dir, daemons: Vec::new() };
        session.write_files().map_err(|error| format!("{}: {error}", session.dir.display()))?;
        session.start_daemons()?;
        for line in client.prepare {
            session.once(&step::shell(line), "").map_err(|why| format!("{line}: {why}"))?;
        }
        Ok(session)
    }

    fn write_files(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        for (name, text) in self.client.files {
            fs::write(self.dir.join(name), self.fill(text, "", 0))?;
        }
        Ok(())
    }

    fn start_daemons(&mut self) -> Result<(), String> {
        for daemon in self.client.daemons {
            let log = self.dir.join(format!("{}.log", daemon.words[0]));
            let child = self.start_daemon(daemon, &log).map_err(|e| format!("{}: {e}", daemon.words[0]))?;
            self.daemons.push(child);
            self.await_ready(daemon, &log)?;
        }
        Ok(())
    }

    fn start_daemon(&self, daemon: &Daemon, log: &Path) -> io::Result<Child> {
        let file = fs::File::options().create(true).append(true).open(log)?;
        let mut command = self.command(daemon.words, "", 0);
        command.stdin(std::process::Stdio::null()).stdout(file.try_clone()?).stderr(file);
        command.spawn()
    }

    fn await_ready(&self, daemon: &Daemon, log: &Path) -> Result<(), String> {
        let end = Instant::now() + LIMIT;
        while self.call(&step::client(daemon.ready), "", 0)?.code != 0 {
            if Instant::now() > end {
                let said = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("{} does not serve: {}", daemon.words[0], one_line(&said)));
            }
            thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// Stops the daemons, the last started first.
    pub fn stop(mut self) -> Result<(), String> {
        for line in self.client.finish {
            let _ = self.once(&step::shell(line), "");
        }
        self.stop_daemons()
    }

    fn stop_daemons(&mut self) -> Result<(), String> {
        let mut faults = Vec::new();
        while let Some(mut child) = self.daemons.pop() {
            if let Err(error) = process::stop(&mut child) {
                faults.push(format!("a daemon of {}: {error}", self.client.name));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }

    /// Plays a case; `number` keeps its names apart from those of others.
    pub fn play(&mut self, case: &Case, number: usize) -> Result<(), Fault> {
        let id = self.name(number);
        case.steps
            .iter()
            .enumerate()
            .try_for_each(|(at, step)| self.step(step, &id).map_err(|why| Fault { step: at + 1, why }))
    }

    /// Removes what a case has made; what is there depends on how far it went.
    pub fn clean_up(&self, number: usize) {
        for words in self.client.cleanup {
            let _ = self.call(&step::client(words), &self.name(number), 0);
        }
    }

    /// The name of a case's containers. What one runtime leaves behind must not trouble another.
    fn name(&self, number: usize) -> String {
        format!("{}{number}", self.runtime.name)
    }

    fn step(&mut self, step: &Step, id: &str) -> Result<(), String> {
        match step.act {
            Act::Restart => self.stop_daemons().and_then(|()| self.start_daemons()),
            Act::Together(count, _) => self.together(step, id, count),
            Act::Until(_) => self.until(step, id),
            Act::Client(_) | Act::Shell(_) => self.once(step, id),
        }
    }

    fn once(&self, step: &Step, id: &str) -> Result<(), String> {
        let reply = self.call(step, id, 0)?;
        step.judge(&reply, &|text| self.fill(text, id, 0))
    }

    fn until(&self, step: &Step, id: &str) -> Result<(), String> {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);
        let end = Instant::now() + PATIENCE;
        loop {
            match self.once(step, id) {
                Err(why) if Instant::now() > end => return Err(why),
                Err(_) => thread::sleep(GLANCE),
                Ok(()) => return Ok(()),
            }
        }
    }

    fn together(&self, step: &Step, id: &str, count: u32) -> Result<(), String> {
        let start = |n| {
            let command = self.command_of(&step.act, id, n);
            Running::start(command, step.stdin, &self.dir.join(format!("output-{n}")))
        };
        let all: Vec<_> = (1..=count).map(start).collect();
        let judge = |(n, running): (u32, io::Result<Running>)| {
            let reply = running.and_then(Running::reply).map_err(|error| error.to_string())?;
            step.judge(&reply, &|text| self.fill(text, id, n)).map_err(|why| format!("number {n}: {why}"))
        };
        // All of them are waited for, whatever the first says.
        let faults: Vec<_> = (1..=count).zip(all).filter_map(|one| judge(one).err()).collect();
        faults.first().map_or(Ok(()), |fault| Err(format!("{} of {count} failed, {fault}", faults.len())))
    }

    fn call(&self, step: &Step, id: &str, n: u32) -> Result<Reply, String> {
        let mut command = self.command_of(&step.act, id, n);
        let reply = if step.terminal {
            let mut leader = Command::new("setsid");
            leader.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
            leader.env_clear().envs(ENVIRONMENT).envs(self.env(id)).current_dir(&self.dir);
            process::on_terminal(leader, step.stdin)
        } else {
            command.current_dir(&self.dir);
            Running::start(command, step.stdin, &self.dir.join("output")).and_then(Running::reply)
        };
        reply.map_err(|error| error.to_string())
    }

    fn command_of(&self, act: &Act, id: &str, n: u32) -> Command {
        match act {
            Act::Shell(line) => {
                let line = line.replace("{client}", &self.client.command.join(" "));
                self.command(&["sh", "-c", &line], id, n)
            }
            Act::Client(words) | Act::Together(_, words) | Act::Until(words) => {
                self.command(&with_options(self.client, words), id, n)
            }
            Act::Restart => self.command(&["true"], id, n),
        }
    }

    fn command(&self, words: &[&str], id: &str, n: u32) -> Command {
        let mut words = words.iter().map(|word| self.fill(word, id, n));
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env_clear().envs(ENVIRONMENT).envs(self.env(id)).current_dir(&self.dir);
        command
    }

    fn env(&self, id: &str) -> Vec<(&'static str, String)> {
        self.client.env.iter().map(|(name, value)| (*name, self.fill(value, id, 0))).collect()
    }

    fn fill(&self, text: &str, id: &str, n: u32) -> String {
        let places = [
            ("{id}", id.to_owned()),
            ("{n}", n.to_string()),
            ("{dir}", self.dir.display().to_string()),
            ("{rootfs}", self.rootfs.display().to_string()),
            ("{runtime}", self.runtime.path.display().to_string()),
        ];
        places.iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, value))
    }
}

impl Drop for Session<'_> {
    /// A session that could not be prepared has daemons too.
    fn drop(&mut self) {
        let _ = self.stop_daemons();
    }
}

/// The client's words before those of a call, and its options behind `run`.
fn with_options<'w>(client: &Client, words: &[&'w str]) -> Vec<&'w str>
where
    'static: 'w,
{
    let mut all = client.command.to_vec();
    for word in words {
        all.push(word);
        if *word == "run" && all.len() == client.command.len() + 1 {
            all.extend(client.run);
        }
    }
    all
}
