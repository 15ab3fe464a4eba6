//! The process that `exec` runs: a file, or the container's own process with other arguments and what the options change.

use std::borrow::Cow;

use serde_json::{Value, json};
use teu::{Error, ErrorKind, Result};

use crate::args::Arguments;

/// A `process` of the specification.
pub struct ProcessSpec(Value);

/// Where the process comes from.
pub enum Source<'a> {
    /// `--process`.
    File(ProcessSpec),
    /// The container's own, with these words as its arguments and what the options change.
    Own(Vec<Cow<'a, str>>, &'a Arguments),
}

impl<'a> Source<'a> {
    /// Reads `--process`, or finds the words to run.
    pub fn of(args: &'a Arguments) -> Result<Self> {
        if let Some(path) = args.path("process") {
            let failed = |error: &std::io::Error| Error::io(format!("read {}", path.display()), error);
            let text = std::fs::read(path).map_err(|error| failed(&error))?;
            let process: Value = serde_json::from_slice(&text).map_err(|error| failed(&error.into()))?;
            return Ok(Self::File(ProcessSpec(process)));
        }
        let words: Vec<_> = args.operands.iter().skip(1).map(|word| word.to_string_lossy()).collect();
        match words.is_empty() {
            true => Err(invalid("exec args cannot be empty")),
            false => Ok(Self::Own(words, args)),
        }
    }

    /// The process; `own` is the container's.
    pub fn resolve(self, own: &str) -> Result<ProcessSpec> {
        let (words, args) = match self {
            Self::File(process) => return Ok(process),
            Self::Own(words, args) => (words, args),
        };
        let mut process = ProcessSpec(parse(own)?);
        process.set("args", json!(words));
        process.set("terminal", json!(args.flag("tty")));
        // The size was of another terminal.
        process.remove("consoleSize");
        process.change(args)?;
        Ok(process)
    }
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_slice(text.as_bytes())
        .map_err(|error| Error::new(ErrorKind::Internal, format!("process: {error}")))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

impl ProcessSpec {
    /// Whether it has a terminal.
    pub fn terminal(&self) -> bool {
        self.0.get("terminal").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Gives its terminal, if it has one, the size of the caller's, in rows and columns: the program runs before the caller carries
    /// anything, and may ask for the size at once.
    pub fn fit(&mut self, caller: Option<(u16, u16)>) {
        if let Some((rows, columns)) = caller.filter(|_| self.terminal()) {
            self.set("consoleSize", json!({ "height": rows, "width": columns }));
        }
    }

    /// As JSON.
    pub fn json(&self) -> String {
        self.0.to_string()
    }

    /// Does what the options say, in runc's order.
    fn change(&mut self, args: &Arguments) -> Result<()> {
        // table: the option and the key whose text it is
        for (option, key) in
            [("cwd", "cwd"), ("apparmor", "apparmorProfile"), ("process-label", "selinuxLabel")]
        {
            if let Some(text) = args.text(option) {
                self.set(key, json!(text));
            }
        }
        if let Some(value) = args.value("no-new-privs") {
            self.set("noNewPrivileges", json!(value == "true"));
        }
        for variable in args.texts("env") {
            self.push(&["env"], json!(variable));
        }
        self.add_capabilities(args);
        self.user(args)
    }

    /// To the ambient set only if there is an inheritable one, without which the kernel refuses it.
    fn add_capabilities(&mut self, args: &Arguments) {
        let inheritable = self.0.pointer("/capabilities/inheritable").and_then(Value::as_array);
        let sets: &[&str] = match inheritable.is_some_and(|set| !set.is_empty()) {
            true => &["bounding", "effective", "permitted", "ambient"],
            false => &["bounding", "effective", "permitted"],
        };
        for capability in args.texts("cap") {
            for set in sets {
                self.push(&["capabilities", set], json!(capability));
            }
        }
    }

    /// `--user UID[:GID]`: what is not given stays as configured.
    fn user(&mut self, args: &Arguments) -> Result<()> {
        if let Some(user) = args.text("user") {
            let (uid, gid) = user.split_once(':').map_or((&*user, None), |(uid, gid)| (uid, Some(gid)));
            for (key, text) in [("uid", Some(uid)), ("gid", gid)] {
                let Some(text) = text else { continue };
                let id: u32 =
                    text.parse().map_err(|_| invalid(format!("parsing {text} as int for {key} failed")))?;
                *self.place(&["user", key]) = json!(id);
            }
        }
        for gid in args.texts("additional-gids") {
            let id = gid.parse::<u32>();
            let id = id.map_err(|_| invalid(format!("additional-gids must be a positive number {gid}")))?;
            self.push(&["user", "additionalGids"], json!(id));
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: Value) {
        if let Some(process) = self.0.as_object_mut() {
            process.insert(key.to_owned(), value);
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some(process) = self.0.as_object_mut() {
            process.remove(key);
        }
    }

    /// Adds to the list at the end of `path`.
    fn push(&mut self, path: &[&str], value: Value) {
        match self.place(path) {
            Value::Array(list) => list.push(value),
            other => *other = json!([value]),
        }
    }

    /// The value at the end of `path`, null if it was not there.
    fn place(&mut self, path: &[&str]) -> &mut Value {
        let mut place = &mut self.0;
        for key in path {
            // Indexing makes what is missing; what is no object here was none in the configuration either, which was refused then.
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[*key];
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{parse as words, table};

    #[test]
    fn a_terminal_has_the_caller_s_size_before_its_program_runs() {
        let fitted = |process: Value, caller| {
            let mut process = ProcessSpec(process);
            process.fit(caller);
            process.0.get("consoleSize").cloned()
        };
        let terminal = json!({ "terminal": true, "consoleSize": { "height": 1, "width": 2 } });
        assert_eq!(fitted(terminal.clone(), Some((33, 77))), Some(json!({ "height": 33, "width": 77 })));
        assert_eq!(fitted(terminal.clone(), None), terminal.get("consoleSize").cloned());
        assert_eq!(fitted(json!({ "terminal": false }), Some((33, 77))), None);
        assert_eq!(fitted(json!({}), Some((33, 77))), None);
    }

    fn changed(line: &str, process: Value) -> Result<Value> {
        let options = table::Command::named("exec").unwrap().options;
        let args = words::parse(line.split(' ').map(Into::into), options, true).unwrap();
        let mut process = ProcessSpec(process);
        process.change(&args)?;
        Ok(process.0)
    }

    #[test]
    fn options_change_what_they_name_and_nothing_else() {
        let base = json!({ "cwd": "/", "env": ["A=1"], "user": { "uid": 5, "gid": 6 }, "args": ["x"] });
        let after =
            changed("--cwd /tmp -e B=2 --env C=3,4 -u 7 -g 8 -g 9 --no-new-privs=false id", base).unwrap();
        let expected = json!({
            "cwd": "/tmp", "env": ["A=1", "B=2", "C=3,4"], "args": ["x"], "noNewPrivileges": false,
            "user": { "uid": 7, "gid": 6, "additionalGids": [8, 9] },
        });
        assert_eq!(after, expected);
    }

    #[test]
    fn a_capability_is_ambient_only_beside_inheritable_ones() {
        let sets = |base: Value| changed("-c CAP_KILL id", json!({ "capabilities": base })).unwrap();
        let plain = sets(json!({ "bounding": ["CAP_CHOWN"] }));
        assert_eq!(plain["capabilities"]["bounding"], json!(["CAP_CHOWN", "CAP_KILL"]));
        assert_eq!(plain["capabilities"].get("ambient"), None);
        let inheritable = sets(json!({ "inheritable": ["CAP_CHOWN"] }));
        assert_eq!(inheritable["capabilities"]["ambient"], json!(["CAP_KILL"]));
    }

    #[test]
    fn bad_numbers_are_refused_by_name() {
        let refused = |line: &str| changed(line, json!({})).unwrap_err().to_string();
        assert_eq!(refused("-g -1 id"), "additional-gids must be a positive number -1");
        assert_eq!(refused("-u root id"), "parsing root as int for uid failed");
    }
}
