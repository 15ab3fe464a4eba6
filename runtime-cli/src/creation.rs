//! What `create`, `run` and `plan` have in common: the arguments resolved to an id, a spec and options, and the creation itself,
//! which a signal unwinds.

use std::mem::ManuallyDrop;
use std::path::Path;

use teu::{
    CgroupManager, Container, CreateOptions, Delete, Error, ErrorKind, FdMap, Id, Receiver, Result, Spec,
    Stdio,
};

use crate::args::Arguments;
use crate::commands::delete;
use crate::invocation::Invocation;
use crate::mask::Blocked;
use crate::{activation, amendment, notify, paths, stack};

/// A container to be made.
pub struct Creation {
    /// Its id.
    pub id: Id,
    /// Its configuration.
    pub spec: Spec,
    /// How it is made.
    pub options: CreateOptions,
}

impl Creation {
    /// Resolves the arguments: paths, the configuration, the descriptors to pass on.
    pub fn resolve(invocation: &Invocation, args: &Arguments) -> Result<Self> {
        stack::populate();
        let pid_file = args.path("pid-file").map(paths::absolute).transpose()?;
        let id = Id::new(args.id())?;
        let listen = activation::count();
        let options = CreateOptions {
            stdio: [Stdio::Inherit, Stdio::Inherit, Stdio::Inherit],
            fds: preserved(invocation, args, listen)?,
            pid_file,
            env: activation::environment(listen),
            notify_socket: notify::is_wanted(),
            no_pivot: args.flag("no-pivot"),
            no_new_keyring: args.flag("no-new-keyring"),
            cgroup_manager: invocation.cgroup_manager()?,
            console_socket: receiver(args, "console-socket")?,
            pidfd_socket: receiver(args, "pidfd-socket")?,
            ..CreateOptions::default()
        };
        let spec = spec(args)?;
        for warning in spec.warnings() {
            log::warn!("config.json: {}: {}", warning.pointer, warning.message);
        }
        Ok(Self { id, spec, options })
    }

    /// Whether the process has a terminal.
    pub fn has_terminal(&self) -> bool {
        self.spec.config().process().as_ref().is_some_and(|process| process.terminal() == Some(true))
    }

    /// Checks that a terminal and its receiver come together: a caller that does not wait cannot be the terminal's other end, and one that waits is.
    pub fn check_terminal(&self, waits: bool) -> Result<()> {
        let invalid = |message| Err(Error::new(ErrorKind::InvalidArgument, message));
        match (self.has_terminal(), self.options.console_socket.is_some()) {
            (true, false) if !waits => {
                invalid("cannot allocate tty if runc will detach without setting console socket")
            }
            (terminal, true) if waits || !terminal => {
                invalid("cannot use console socket if runc will not detach or allocate tty")
            }
            _ => Ok(()),
        }
    }

    /// Makes the container. A signal that came meanwhile unwinds it and then has its usual effect.
    pub fn create(mut self, invocation: &Invocation, signals: &Blocked) -> Result<Container> {
        // systemd may not answer for a long time.
        if self.options.cgroup_manager == CgroupManager::Systemd {
            self.options.cancel = Some(signals.cancel()?);
        }
        let runtime = invocation.runtime_for_create()?;
        // Freed by the end of the command, which is near: an engine's configuration has a thousand strings.
        let spec = ManuallyDrop::new(self.spec);
        let made = runtime.create(&self.id, &spec, self.options);
        let container = made.map_err(of_start)?;
        if signals.interrupted() {
            delete::warn(&container.delete(Delete::Force)?);
            return Err(Error::new(ErrorKind::Died, "interrupted by a signal"));
        }
        Ok(container)
    }
}

/// Puts the phrase that engines know before an error of the start itself; what was wrong with the request stays as it is.
pub fn of_start(error: Error) -> Error {
    use ErrorKind::{AlreadyExists, InvalidArgument, InvalidSpec, InvalidState, NotFound};
    const PHRASE: &str = "unable to start container process";
    let of_request =
        matches!(error.kind(), AlreadyExists | InvalidArgument | InvalidSpec | InvalidState | NotFound);
    if of_request || error.message().starts_with(PHRASE) { error } else { error.context(PHRASE) }
}

/// The socket of that option, by its absolute path.
pub fn receiver(args: &Arguments, name: &'static str) -> Result<Option<Receiver>> {
    args.path(name).map(|path| paths::absolute(path).map(Receiver::Path)).transpose()
}

fn spec(args: &Arguments) -> Result<Spec> {
    let bundle = args.path("bundle").unwrap_or(Path::new("."));
    let config = args.path("config").unwrap_or(Path::new("config.json"));
    amendment::spec(bundle, config)
}

/// The descriptors from 3 on: those of socket activation, then as many as `--preserve-fds` says.
pub fn preserved(invocation: &Invocation, args: &Arguments, listen: u16) -> Result<Vec<FdMap>> {
    let extra = match args.text("preserve-fds") {
        Some(digits) => digits.parse::<u16>().map_err(|_| {
            let message = format!("invalid value {digits:?} for flag -preserve-fds: not a number");
            Error::new(ErrorKind::InvalidArgument, message)
        })?,
        None => 0,
    };
    let first = 3 + i32::from(listen);
    let numbers = 3..first + i32::from(extra);
    // All are looked at before the first is copied: the copy might take the number of one that is missing.
    for number in numbers.clone() {
        check_open(invocation, number).map_err(|error| match number < first {
            true => error.context(format_args!("unable to stat descriptor {number} of LISTEN_FDS")),
            false => {
                error.context(format_args!("unable to stat preserved-fd {} (of {extra})", number - first))
            }
        })?;
    }
    numbers.map(inherited).collect()
}

fn check_open(invocation: &Invocation, number: i32) -> Result<()> {
    let path = format!("/proc/self/fd/{number}");
    // Our own log file may have been opened under the number of a descriptor that the caller did not pass.
    let found = match invocation.log_number == Some(number) {
        true => Err(std::io::Error::from_raw_os_error(nix::errno::Errno::ENOENT as i32)),
        false => std::fs::metadata(&path),
    };
    found.map(drop).map_err(|error| Error::io(format_args!("stat {path}"), &error))
}

/// Safe code cannot own a descriptor that it has not opened: the library has to hand it out.
fn inherited(number: i32) -> Result<FdMap> {
    FdMap::inherited(number)
}

#[cfg(test)]
mod tests {
    use teu::{Error, ErrorKind};

    use super::{Creation, of_start};

    #[test]
    fn a_terminal_and_its_receiver_come_together() {
        const NOBODY: &str = "cannot allocate tty if runc will detach without setting console socket";
        const USELESS: &str = "cannot use console socket if runc will not detach or allocate tty";
        let creation = |terminal: bool, socket: bool| {
            let json = format!(
                r#"{{"ociVersion": "1.3.0", "root": {{"path": "r"}}, "linux": {{"namespaces": [{{"type": "mount"}}]}},
                "process": {{"terminal": {terminal}, "cwd": "/", "args": ["sh"]}}}}"#
            );
            let console_socket = socket.then(|| teu::Receiver::Path("/s".into()));
            Creation {
                id: teu::Id::new("x").unwrap(),
                spec: teu::Spec::from_json("/b", json.as_bytes()).unwrap(),
                options: teu::CreateOptions { console_socket, ..Default::default() },
            }
        };
        // (terminal, socket, waits for the end, the refusal)
        let table = [
            (false, false, false, None),
            (false, false, true, None),
            (true, true, false, None),
            (true, false, true, None),
            (true, false, false, Some(NOBODY)),
            (false, true, false, Some(USELESS)),
            (false, true, true, Some(USELESS)),
            (true, true, true, Some(USELESS)),
        ];
        for (terminal, socket, waits, refusal) in table {
            let checked = creation(terminal, socket).check_terminal(waits);
            let said = checked.err().map(|error| error.to_string());
            assert_eq!(said.as_deref(), refusal, "{terminal} {socket} {waits}");
        }
    }

    #[test]
    fn errors_of_the_start_carry_the_phrase_once_and_those_of_the_request_do_not() {
        const PHRASE: &str = "unable to start container process: ";
        let shown = |kind, message: &str| of_start(Error::new(kind, message)).to_string();
        assert_eq!(shown(ErrorKind::Mount, "m"), format!("{PHRASE}m"));
        assert_eq!(shown(ErrorKind::CommandNotFound, &format!("{PHRASE}x")), format!("{PHRASE}x"));
        for kind in [ErrorKind::AlreadyExists, ErrorKind::InvalidSpec, ErrorKind::InvalidArgument] {
            assert_eq!(shown(kind, "m"), "m", "{kind:?}");
        }
    }

    #[test]
    fn the_place_in_the_configuration_stays_at_the_end() {
        let error = of_start(Error::new(ErrorKind::Mount, "m").at("/mounts/3"));
        assert_eq!(
            error.context("teu create failed").to_string(),
            "teu create failed: unable to start container process: m (config.json: /mounts/3)"
        );
    }
}
