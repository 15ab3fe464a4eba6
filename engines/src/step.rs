//! The words of the tables: a case is a sentence and its steps; a step is a command and what must come of it.
//!
//! Placeholders in words: `{id}` a container's name of this case alone, `{dir}` the session's directory, `{rootfs}` a rootfs with busybox,
//! `{runtime}` the runtime's program.

/// One behaviour of a client.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// A sentence about behaviour.
    pub name: &'static str,
    /// What is done, in order, until one step is not as expected.
    pub steps: &'static [Step],
}

/// One command and what must come of it.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// What is done.
    pub act: Act,
    /// The exit code it must have.
    pub code: i32,
    /// What must be among what it prints, on either stream; placeholders are filled in.
    pub prints: &'static [&'static str],
    /// What must not be printed.
    pub hides: &'static str,
    /// It has a terminal of its own instead of files.
    pub terminal: bool,
    /// What it reads.
    pub stdin: &'static str,
}

/// What a step does.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Runs the client with these arguments.
    Client(&'static [&'static str]),
    /// The same so many times at once; `{n}` is the number of each.
    Together(u32, &'static [&'static str]),
    /// The same again and again until it is as expected or the patience is over.
    Until(&'static [&'static str]),
    /// Runs a shell command; `{client}` is the client and its own options.
    Shell(&'static str),
    /// Stops the client's daemons and starts them again; containers live on.
    Restart,
}

const fn step(act: Act) -> Step {
    Step { act, code: 0, prints: &[], hides: "", terminal: false, stdin: "" }
}

/// The client with these arguments succeeds.
pub const fn client(words: &'static [&'static str]) -> Step {
    step(Act::Client(words))
}

/// So many clients at once all succeed.
pub const fn together(count: u32, words: &'static [&'static str]) -> Step {
    step(Act::Together(count, words))
}

/// The client is asked until it says what is expected.
pub const fn until(words: &'static [&'static str]) -> Step {
    step(Act::Until(words))
}

/// The shell command succeeds.
pub const fn shell(line: &'static str) -> Step {
    step(Act::Shell(line))
}

/// The daemons stop and start.
pub const RESTART: Step = step(Act::Restart);

impl Step {
    /// The exit code is this one.
    pub const fn code(mut self, code: i32) -> Step {
        self.code = code;
        self
    }

    /// All these texts are printed.
    pub const fn prints(mut self, texts: &'static [&'static str]) -> Step {
        self.prints = texts;
        self
    }

    /// This text is not printed.
    pub const fn hides(mut self, text: &'static str) -> Step {
        self.hides = text;
        self
    }

    /// It runs on a terminal.
    pub const fn terminal(mut self) -> Step {
        self.terminal = true;
        self
    }

    /// It reads this text.
    pub const fn stdin(mut self, text: &'static str) -> Step {
        self.stdin = text;
        self
    }

    /// Whether the reply is as expected; the error says what is not.
    pub fn judge(&self, reply: &Reply, fill: &dyn Fn(&str) -> String) -> Result<(), String> {
        let missing = self.prints.iter().map(|text| fill(text)).find(|text| !reply.text.contains(text));
        let fault = if reply.code != self.code {
            format!("exit code {} instead of {}", reply.code, self.code)
        } else if let Some(text) = missing {
            format!("without {text:?}")
        } else if !self.hides.is_empty() && reply.text.contains(self.hides) {
            format!("with {:?}", self.hides)
        } else {
            return Ok(());
        };
        Err(format!("{fault}: {}", one_line(&reply.text)))
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The exit code, 128 and more for a signal.
    pub code: i32,
    /// Both streams.
    pub text: String,
}

/// Lines become one, and only the end of a long text is kept: that is where errors stand.
pub fn one_line(text: &str) -> String {
    const LONGEST: usize = 600;
    let joined = text.trim().replace("\r\n", "\n").replace('\n', " | ");
    let cut = joined.len().saturating_sub(LONGEST);
    let start = (cut..joined.len()).find(|at| joined.is_char_boundary(*at)).unwrap_or(0);
    joined[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(step: Step, code: i32, text: &str) -> Result<(), String> {
        step.judge(&Reply { code, text: text.into() }, &|text| text.replace("{id}", "c1"))
    }

    #[test]
    fn a_reply_needs_the_code_and_the_texts_that_are_expected() {
        let step = client(&["ps"]).code(3).prints(&["{id}", "up"]).hides("down");
        assert_eq!(judge(step, 3, "c1 up\n"), Ok(()));
        assert_eq!(judge(step, 0, "c1 up\n").unwrap_err(), "exit code 0 instead of 3: c1 up");
        assert_eq!(judge(step, 3, "c1\n").unwrap_err(), "without \"up\": c1");
        assert_eq!(judge(step, 3, "c1 up\ndown").unwrap_err(), "with \"down\": c1 up | down");
    }

    #[test]
    fn of_a_long_text_the_end_is_shown() {
        let text = format!("{}é{}", "a".repeat(500), "b".repeat(599));
        assert_eq!(one_line(&text), "b".repeat(599));
    }
}
