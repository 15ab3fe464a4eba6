//! What init asks its caller to do while it waits: one line of the table for each `ask` of the program.

use teu_init::program::ask;

use super::Launch;
use crate::{Error, ErrorKind, Result};

/// Does what was asked for. An error ends the launch, and init with it.
type Answer = fn(&mut Launch) -> Result<()>;

/// Questions of `teu_init::program::ask` and their answers.
const ANSWERS: &[(u32, Answer)] = &[(ask::NET_DEVICES, Launch::move_devices)];

impl Launch {
    /// Answers one question of init.
    pub(super) fn answer(&mut self, what: u32) -> Result<()> {
        match ANSWERS.iter().find(|(question, _)| *question == what) {
            Some((_, answer)) => answer(self),
            None => Err(Error::new(ErrorKind::Internal, format!("init asked for {what}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_to_a_known_question_and_there_is_one() {
        for (index, (what, _)) in ANSWERS.iter().enumerate() {
            assert!(ask::TABLE.iter().any(|(question, _)| question == what), "{what}");
            assert!(ANSWERS.iter().take(index).all(|(earlier, _)| earlier != what), "{what} twice");
        }
    }
}
