//! `kill`: a signal to init, or with `--all` to every process of the container.

use teu::{Error, ErrorKind, Result};

use crate::args::Arguments;
use crate::invocation::Invocation;
use crate::{matching, signals};

/// Does the command.
pub fn run(invocation: &Invocation, args: &Arguments) -> Result<u8> {
    let signal = signal(args)?;
    let runtime = invocation.runtime()?;
    let all = args.flag("all");
    let forgives = all || args.flag("regex");
    matching::each(&runtime, args, |id| {
        let container = runtime.open(id)?;
        let sent = if all { container.kill_all(signal) } else { container.kill(signal) };
        if forgives { reached(sent) } else { sent }
    })?;
    Ok(0)
}

/// As runc: whoever signals all processes of a stopped container has what they want. A pattern is for those that run.
fn reached(all: Result<()>) -> Result<()> {
    all.or_else(|error| if error.kind() == ErrorKind::NotRunning { Ok(()) } else { Err(error) })
}

fn signal(args: &Arguments) -> Result<i32> {
    let Some(word) = args.operands.get(1) else { return Ok(signals::TERM) };
    let word = word.to_string_lossy();
    signals::parse(&word)
        .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, format!("unknown signal {word:?}")))
}

#[cfg(test)]
mod tests {
    use teu::{Error, ErrorKind};

    use super::reached;

    #[test]
    fn only_a_stopped_container_is_no_error_for_all() {
        assert!(reached(Ok(())).is_ok());
        assert!(reached(Err(Error::new(ErrorKind::NotRunning, "container not running"))).is_ok());
        assert!(reached(Err(Error::new(ErrorKind::Denied, "operation not permitted"))).is_err());
    }
}
