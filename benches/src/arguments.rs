//! The command line: plain values, resolved later.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::failure::{Result, refuse};
use crate::section::Section;

/// What `--help` prints.
pub const USAGE: &str = "\
usage: teu-bench [--teu PATH] [--c PATH] [--lab DIR] [--quick] [--json FILE] [--only NAME]...
       teu-bench --teu PATH --steps FILE

  --teu PATH   the teu program to measure beside runc and crun
  --c PATH     benches/programs/engine.c, linked with libteu and static
  --lab DIR    a root filesystem with runc and crun in it; all contenders run inside (default: this machine's own)
  --quick      fewer rounds, containers and levels: under a minute
  --json FILE  where the figures go (default: benches/results/<seconds since 1970>.json, if ./benches is there)
  --steps FILE measures nothing; writes which instructions each command of teu executes
  --only NAME  one section: one, hosts, calls, engine, parked, memory, concurrency, scale, seccomp; may be given again

Needs root, the cgroup2 hierarchy and Linux 5.10. Leaves nothing behind.";

/// What a run is asked to measure.
#[derive(Clone, Default)]
pub struct Arguments {
    /// Only print the usage.
    pub help: bool,
    /// The teu program.
    pub teu: Option<PathBuf>,
    /// The worker in C.
    pub c: Option<PathBuf>,
    /// The root filesystem with the other runtimes.
    pub lab: Option<PathBuf>,
    /// Fewer rounds.
    pub quick: bool,
    /// Where the figures go.
    pub json: Option<PathBuf>,
    /// Where the steps of each command go.
    pub steps: Option<PathBuf>,
    /// The sections to measure; none means all.
    pub only: Vec<Section>,
    /// Set by the guard for the process it starts: the prefix of every container id.
    pub inside: Option<String>,
    /// Set for a worker: what it is, and its own arguments.
    pub worker: Vec<String>,
}

impl Arguments {
    /// Reads `args`, without the program's name.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Arguments> {
        let mut read = Arguments::default();
        let mut parser = Parser::from_args(args);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("help") | Arg::Short('h') => read.help = true,
                Arg::Long("teu") => read.teu = Some(parser.value()?.into()),
                Arg::Long("c") => read.c = Some(parser.value()?.into()),
                Arg::Long("lab") => read.lab = Some(parser.value()?.into()),
                Arg::Long("quick") => read.quick = true,
                Arg::Long("json") => read.json = Some(parser.value()?.into()),
                Arg::Long("steps") => read.steps = Some(parser.value()?.into()),
                Arg::Long("only") => read.only.push(Section::named(&parser.value()?.string()?)?),
                Arg::Long("inside") => read.inside = Some(parser.value()?.string()?),
                Arg::Long("worker") => read.worker = values(&mut parser)?,
                other => return refuse(format!("{}\n\n{USAGE}", other.unexpected())),
            }
        }
        Ok(read)
    }

    /// Whether `section` is asked for.
    pub fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }
}

fn values(parser: &mut Parser) -> Result<Vec<String>> {
    parser.values()?.map(|value| Ok(value.string()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments> {
        Arguments::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_section_that_does_not_exist_is_refused() {
        assert!(parse("--only nothing").is_err());
    }

    #[test]
    fn no_only_means_every_section() {
        assert!(parse("--quick").unwrap().wants(Section::Scale));
        assert!(!parse("--only parked").unwrap().wants(Section::Scale));
    }
}
