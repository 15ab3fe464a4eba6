//! What every section is given: the runtimes, the bundle, and how much to measure.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::arguments::Arguments;
use crate::bundle::Bundle;
use crate::failure::Result;
use crate::lab::{HOME, TEU};
use crate::process;
use crate::runtime::{INCUMBENTS, Runtime};

const QUICK_ROUNDS: usize = 15;
const FULL_ROUNDS: usize = 100;

/// The name of our own runtime.
pub const OURS: &str = "teu";

/// One run of the harness, inside the lab.
pub struct Run {
    /// teu if it was given, and those incumbents that are installed.
    pub runtimes: Vec<Runtime>,
    /// The bundle they all run.
    pub bundle: Bundle,
    /// Interleaved rounds.
    pub rounds: usize,
    /// Fewer of everything.
    pub quick: bool,
    prefix: String,
}

impl Run {
    /// Finds the runtimes and writes the bundle; every id begins with `prefix`.
    pub fn new(arguments: &Arguments, prefix: &str) -> Result<Run> {
        let mut runtimes = Vec::new();
        if arguments.teu.is_some() {
            runtimes.push(Runtime::new(OURS, PathBuf::from(TEU))?);
        }
        for name in INCUMBENTS {
            if let Some(program) = process::find(name) {
                runtimes.push(Runtime::new(name, program)?);
            }
        }
        let bundle = Bundle::write(&Path::new(HOME).join("bundle"), None)?;
        let rounds = if arguments.quick { QUICK_ROUNDS } else { FULL_ROUNDS };
        Ok(Run { runtimes, bundle, rounds, quick: arguments.quick, prefix: prefix.into() })
    }

    /// A container id that is this run's.
    pub fn id(&self, name: impl Display) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// Puts contenders into the order of a round: each is first in turn, and forwards and backwards, because what one leaves to the kernel to do meets the next.
pub fn turn<T>(contenders: &mut [T], round: usize) {
    contenders.reverse();
    let count = contenders.len().max(1);
    contenders.rotate_left(round % count);
}

#[cfg(test)]
mod tests {
    use super::turn;

    #[test]
    fn everybody_comes_first_and_behind_each_neighbour_as_often() {
        let (mut order, mut first, mut behind) = ([0, 1, 2], [0; 3], [[0; 3]; 3]);
        for round in 0..60 {
            turn(&mut order, round);
            first[order[0]] += 1;
            order.windows(2).for_each(|pair| behind[pair[1]][pair[0]] += 1);
        }
        assert_eq!(first, [20; 3]);
        for (who, behind) in behind.iter().enumerate() {
            let others: Vec<_> = (0..3).filter(|other| *other != who).map(|other| behind[other]).collect();
            assert!(others.iter().all(|times| *times == 20), "{who}: {behind:?}");
        }
    }
}
