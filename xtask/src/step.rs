//! One program that is run: announced with its reason, bounded in time, and without a standard input.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Longest time one step may take unless it says otherwise: a hang becomes a failure, not a stuck CI job.
const DEFAULT_LIMIT_SECONDS: u32 = 20 * 60;

/// A command line, why it is run, and how long it may take.
pub struct Step {
    why: String,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    limit: u32,
}

impl Step {
    /// A step that runs `program`, announced by `why`.
    pub fn new(why: impl Into<String>, program: impl AsRef<OsStr>) -> Step {
        let program = program.as_ref().to_owned();
        Step { why: why.into(), program, args: Vec::new(), env: Vec::new(), limit: DEFAULT_LIMIT_SECONDS }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Step {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Step {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Step {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    pub fn limit_seconds(mut self, limit: u32) -> Step {
        self.limit = limit;
        self
    }

    /// Runs it; its output goes where ours goes.
    pub fn run(&self, dir: &Path) -> Result<(), String> {
        self.announce(dir);
        let status = self.command(dir).status();
        self.judge(status.map_err(|error| self.cannot_run(&error))?)
    }

    /// Runs it and gives each line of its standard output to `line`. The status is returned, not judged.
    pub fn lines(&self, dir: &Path, mut line: impl FnMut(&str)) -> Result<ExitStatus, String> {
        self.announce(dir);
        let mut child = self.command(dir).stdout(Stdio::piped()).spawn().map_err(|e| self.cannot_run(&e))?;
        if let Some(stdout) = child.stdout.take() {
            // A program may print bytes that are not UTF-8: the line is kept, lossily, and the reading goes on.
            for bytes in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                line(&String::from_utf8_lossy(&bytes));
            }
        }
        child.wait().map_err(|error| self.cannot_run(&error))
    }

    /// Runs it with both outputs in the file `log`.
    pub fn run_logged(&self, dir: &Path, log: &Path) -> Result<(), String> {
        self.announce(dir);
        println!("    output in {}", log.strip_prefix(dir).unwrap_or(log).display());
        let cannot_log = |error| format!("{}: {error}", log.display());
        let file = File::create(log).map_err(cannot_log)?;
        let copy = file.try_clone().map_err(cannot_log)?;
        let status = self.command(dir).stdout(file).stderr(copy).status();
        self.judge(status.map_err(|error| self.cannot_run(&error))?)
    }

    /// Turns an exit status into a sentence that names the program.
    pub fn judge(&self, status: ExitStatus) -> Result<(), String> {
        const TIMED_OUT: i32 = 124; // timeout(1)
        match status.code() {
            Some(0) => Ok(()),
            Some(TIMED_OUT) => Err(format!("{} took longer than {} s", self.short(), self.limit)),
            _ => Err(format!("{} failed: {status}", self.short())),
        }
    }

    fn announce(&self, dir: &Path) {
        // Paths below the workspace are shown as seen from it.
        let shown = self.shown().replace(&format!("{}/", dir.display()), "");
        println!("==> {}\n    $ {shown}", self.why);
    }

    /// The step below timeout(1), which also takes the step's own children down when the time is over. At a terminal it
    /// stays in our process group instead, so that Ctrl-C reaches everything.
    fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new("timeout");
        if std::io::stdin().is_terminal() {
            command.arg("--foreground");
        }
        command.arg("--kill-after=20").arg(self.limit.to_string()).arg(&self.program).args(&self.args);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(dir).stdin(Stdio::null());
        command
    }

    fn name(&self) -> String {
        Path::new(&self.program).file_name().unwrap_or(&self.program).to_string_lossy().into_owned()
    }

    /// `cargo clippy` rather than `cargo`: the first argument belongs to the name if it is a plain word.
    fn short(&self) -> String {
        let is_word = |arg: &str| arg.bytes().all(|byte| byte.is_ascii_lowercase());
        let word = self.args.first().and_then(|arg| arg.to_str()).filter(|arg| is_word(arg));
        word.map_or_else(|| self.name(), |word| format!("{} {word}", self.name()))
    }

    fn shown(&self) -> String {
        let env = self.env.iter().map(|(name, value)| format!("{name}=\"{}\"", value.to_string_lossy()));
        let args = self.args.iter().map(|arg| arg.to_string_lossy().into_owned());
        env.chain([self.name()]).chain(args).collect::<Vec<_>>().join(" ")
    }

    fn cannot_run(&self, error: &std::io::Error) -> String {
        format!("cannot run {}: {error}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Step;
    use std::path::Path;

    #[test]
    fn a_step_that_outlives_its_limit_fails_with_a_sentence_about_time() {
        let error = Step::new("test", "sleep").arg("60").limit_seconds(1).run(Path::new("/")).unwrap_err();
        assert_eq!(error, "sleep took longer than 1 s");
    }

    #[test]
    fn a_failure_names_the_subcommand() {
        let error = Step::new("test", "sh").args(["nosuchcommand", "-x"]).run(Path::new("/")).unwrap_err();
        assert!(error.starts_with("sh nosuchcommand failed: exit status"), "{error}");
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let error = Step::new("test", "no-such-program").run(Path::new("/")).unwrap_err();
        assert!(error.contains("no-such-program"), "{error}");
    }

    #[test]
    fn lines_keeps_what_is_not_utf8() {
        let mut seen = Vec::new();
        let step = Step::new("test", "printf").arg(r"one\n\377\nthree");
        assert!(step.lines(Path::new("/"), |line| seen.push(line.to_owned())).unwrap().success());
        assert_eq!(seen, ["one", "\u{fffd}", "three"]);
    }
}
