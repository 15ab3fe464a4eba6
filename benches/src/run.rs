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

/// At least `rounds`, so many that everybody comes behind each other one as often.
pub fn balanced(rounds: usize, contenders: usize) -> usize {
    rounds.next_multiple_of((contenders * (1 + contenders % 2)).max(1))
}

/// Lets everybody take a turn, in the order of that round; who gives `false` is out of the rounds that follow.
pub fn take_turns<T>(contenders: &mut Vec<T>, round: usize, mut turn: impl FnMut(&mut T) -> bool) {
    let mut stays = vec![true; contenders.len()];
    for index in order(contenders.len(), round) {
        stays[index] = turn(&mut contenders[index]);
    }
    let mut stays = stays.into_iter();
    contenders.retain(|_| stays.next() == Some(true));
}

/// The order of a round (a design of Williams): in as many rounds as there are contenders, or twice as many if their number is odd, each is first as often, and
/// within the rounds behind each other one as often. What one leaves in the caches and to the kernel meets the next.
fn order(count: usize, round: usize) -> Vec<usize> {
    // 0, 1, count - 1, 2, count - 2, ...: no distance between neighbours is there twice; if their number is odd, backwards brings the missing ones.
    let zigzag =
        (0..count).map(|place| if place % 2 == 1 { place / 2 + 1 } else { (count - place / 2) % count });
    let mut order: Vec<usize> = zigzag.map(|place| (place + round) % count).collect();
    if round / count.max(1) % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::{balanced, order, take_turns};

    #[test]
    fn rounds_are_rounded_up_to_whole_designs() {
        assert_eq!([balanced(100, 10), balanced(15, 10), balanced(100, 11)], [100, 20, 110]);
        assert_eq!([balanced(100, 3), balanced(15, 1), balanced(15, 0)], [102, 16, 15]);
    }

    #[test]
    fn everybody_comes_first_and_behind_each_other_as_often() {
        for count in 1..=11 {
            let (mut first, mut behind) = (vec![0; count], vec![vec![0; count]; count]);
            for round in 0..2 * count {
                let order = order(count, round);
                first[order[0]] += 1;
                order.windows(2).for_each(|pair| behind[pair[1]][pair[0]] += 1);
            }
            assert_eq!(first, vec![2; count]);
            for (who, behind) in behind.iter().enumerate() {
                let others: Vec<_> = (0..count).filter(|other| *other != who).map(|o| behind[o]).collect();
                assert!(others.iter().all(|times| *times == 2), "{count}: {who} {behind:?}");
            }
        }
    }

    #[test]
    fn who_fails_is_out_and_the_others_stay_in_their_places() {
        let (mut contenders, mut seen) = (vec!['a', 'b', 'c', 'd'], Vec::new());
        take_turns(&mut contenders, 1, |who| *who != 'b');
        assert_eq!(contenders, ['a', 'c', 'd']);
        take_turns(&mut contenders, 2, |who| {
            seen.push(*who);
            true
        });
        let wanted: Vec<char> = order(3, 2).into_iter().map(|index| contenders[index]).collect();
        assert_eq!((contenders, seen), (vec!['a', 'c', 'd'], wanted));
    }
}
