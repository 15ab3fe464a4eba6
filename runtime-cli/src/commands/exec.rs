//! `exec`: one more process in a container that exists. Whatever goes wrong before its program runs makes the exit status 255.

use teu::{Error, ErrorKind, ExecCgroup, ExecOptions, Id, Process, Result, Stdio};

use crate::args::Arguments;
use crate::creation::{of_start, preserved, receiver};
use crate::invocation::Invocation;
use crate::mask::Blocked;
use crate::process::Source;
use crate::terminal::Bridge;
use crate::{activation, paths, stack, terminal};

/// The exit status of an exec that failed: programs in containers seldom use it.
pub const FAILED: u8 = 255;

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    enter(invocation, args).map_err(|error| error.context("exec failed"))
}

fn enter(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    stack::populate();
    let detach = args.flag("detach");
    let mut options = options(invocation, args)?;
    let container = invocation.runtime()?.open(&Id::new(args.id())?)?;
    let source = Source::of(args)?;
    let socket = options.console_socket.is_some();
    let process = |own: &str| {
        let mut process = source.resolve(own)?;
        check_terminal(process.terminal(), socket, detach)?;
        if !detach {
            process.fit(terminal::size());
        }
        Ok(process.json())
    };
    let signals = Blocked::all()?;
    if options.ignore_paused {
        // It may be long until a frozen container goes on.
        options.cancel = Some(signals.cancel()?);
    }
    match container.exec_changed(process, options) {
        Ok(process) if detach => drop(process),
        Ok(process) => return wait(process, &signals),
        Err(error) => return signals.release().and(Err(of_start(error))),
    }
    Ok(0)
}

fn options(invocation: &Invocation, args: &Arguments) -> Result<ExecOptions> {
    Ok(ExecOptions {
        stdio: [Stdio::Inherit, Stdio::Inherit, Stdio::Inherit],
        fds: preserved(invocation, args, activation::count())?,
        pid_file: args.path("pid-file").map(paths::absolute).transpose()?,
        console_socket: receiver(args, "console-socket")?,
        pidfd_socket: receiver(args, "pidfd-socket")?,
        cgroup: cgroup(args)?,
        ignore_paused: args.flag("ignore-paused"),
        ..ExecOptions::default()
    })
}

/// `--cgroup PATH`, or `--cgroup CTRL[,CTRL]:PATH` as often as wanted.
fn cgroup(args: &Arguments) -> Result<ExecCgroup> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
    let given: Vec<_> = args.texts("cgroup").collect();
    let mut paths: Vec<(String, String)> = Vec::new();
    for text in &given {
        match text.split_once(':') {
            None if given.len() == 1 => return Ok(ExecCgroup::Below(text.clone().into_owned())),
            None => {
                return invalid(format!("invalid --cgroup argument: {text} (missing <controller>: prefix)"));
            }
            Some((_, path)) if path.contains(':') => {
                return invalid(format!("invalid --cgroup argument: {text}"));
            }
            Some((controllers, path)) => {
                for controller in controllers.split(',') {
                    if paths.iter().any(|(known, _)| known == controller) {
                        let why = format!("controller {controller} specified multiple times");
                        return invalid(format!("invalid --cgroup argument(s): {why}"));
                    }
                    paths.push((controller.to_owned(), path.to_owned()));
                }
            }
        }
    }
    Ok(if paths.is_empty() { ExecCgroup::Container } else { ExecCgroup::ByController(paths) })
}

/// As for `run`: who waits is the terminal's other end, and who does not must name another one.
fn check_terminal(terminal: bool, socket: bool, detach: bool) -> Result<()> {
    let message = match (terminal, socket) {
        (true, false) if detach => "cannot allocate tty if runc will detach without setting console socket",
        (_, true) if !detach || !terminal => {
            "cannot use console socket if runc will not detach or allocate tty"
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

fn wait(mut process: Process, signals: &Blocked) -> Result<u8> {
    let exit = match process.take_terminal().map(Bridge::new).transpose()? {
        Some(mut bridge) => bridge.carry_until_exit(&process, signals)?,
        None => signals.forward_until_exit(&process)?,
    };
    Ok(u8::try_from(exit.status()).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use teu::ExecCgroup;

    use super::cgroup;
    use crate::args::{parse, table};

    fn given(line: &str) -> Result<ExecCgroup, String> {
        let options = table::Command::named("exec").unwrap().options;
        let args = parse::parse(line.split(' ').map(Into::into), options, true).unwrap();
        cgroup(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn a_cgroup_is_a_path_or_paths_of_controllers() {
        let pair = |name: &str, path: &str| (name.to_owned(), path.to_owned());
        let by = |pairs: &[(String, String)]| Ok(ExecCgroup::ByController(pairs.to_vec()));
        assert_eq!(given("id"), Ok(ExecCgroup::Container));
        assert_eq!(given("--cgroup a/b id"), Ok(ExecCgroup::Below("a/b".into())));
        assert_eq!(given("--cgroup cpu,cpuacct:a id"), by(&[pair("cpu", "a"), pair("cpuacct", "a")]));
        assert_eq!(
            given("--cgroup cpu:a --cgroup memory:/ id"),
            by(&[pair("cpu", "a"), pair("memory", "/")])
        );
    }

    #[test]
    fn an_ambiguous_cgroup_is_refused() {
        let table = [
            ("--cgroup a --cgroup b id", "invalid --cgroup argument: a (missing <controller>: prefix)"),
            ("--cgroup cpu:a --cgroup b id", "invalid --cgroup argument: b (missing <controller>: prefix)"),
            ("--cgroup cpu:a:b id", "invalid --cgroup argument: cpu:a:b"),
            (
                "--cgroup cpu:a --cgroup memory,cpu:a id",
                "invalid --cgroup argument(s): controller cpu specified multiple times",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(given(line), Err(expected.to_owned()), "{line}");
        }
    }
}
