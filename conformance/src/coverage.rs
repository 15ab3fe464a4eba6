//! Which fields of the specification a behaviour sets: measured by watching the configurations that it hands to the runtime, and
//! kept in a file of one line for each behaviour.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::defaults;
use crate::driver::{Cli, Driver, Exec, New, Reply};
use crate::{Outcome, Trouble};

/// The fields of one behaviour: JSON pointers of values that differ from the default configuration, `*` for an index.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Fields {
    /// In configurations that became containers.
    pub shown: BTreeSet<String>,
    /// In configurations that the runtime refused.
    pub refused: BTreeSet<String>,
    /// In configurations of a behaviour that this machine could not show.
    pub unseen: BTreeSet<String>,
}

/// The fields of every behaviour by its full name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Coverage(pub BTreeMap<String, Fields>);

impl Coverage {
    /// Reads a file; one that does not exist is empty.
    pub fn read(path: &Path) -> io::Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Reads the lines that [`Coverage::text`] makes.
    pub fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (name, rest) = line.split_once(':').filter(|_| !line.starts_with('#'))?;
            let (subject, rest) = rest.strip_prefix(':')?.split_once(' ').unwrap_or((rest.get(1..)?, ""));
            let mut fields = Fields::default();
            for word in rest.split(' ').filter(|word| !word.is_empty()) {
                let (set, pointer) = match word.split_at(1) {
                    ("+", pointer) => (&mut fields.shown, pointer),
                    ("-", pointer) => (&mut fields.refused, pointer),
                    (_, pointer) => (&mut fields.unseen, pointer),
                };
                set.insert(pointer.to_owned());
            }
            Some((format!("{name}::{subject}"), fields))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// One line for each behaviour: its name, and a sign before each pointer: `+` shown, `-` refused, `?` not seen here.
    pub fn text(&self) -> String {
        let mut text = String::from(
            "# Which fields each behaviour sets: + in a container, - in a refused configuration, ? where this machine could not show it.\n\
             # Written by `cargo xt spec-support`.\n",
        );
        for (name, fields) in &self.0 {
            text.push_str(name);
            for (sign, set) in [(" +", &fields.shown), (" -", &fields.refused), (" ?", &fields.unseen)] {
                set.iter().for_each(|pointer| text.extend([sign, pointer]));
            }
            text.push('\n');
        }
        text
    }

    /// Adds what another run saw. What was seen once is no longer unseen.
    pub fn add(&mut self, name: &str, more: Fields) {
        let fields = self.0.entry(name.to_owned()).or_default();
        fields.shown.extend(more.shown);
        fields.refused.extend(more.refused);
        fields.unseen.extend(more.unseen);
        let seen = |pointer: &String| fields.shown.contains(pointer) || fields.refused.contains(pointer);
        let unseen =
            std::mem::take(&mut fields.unseen).into_iter().filter(|pointer| !seen(pointer)).collect();
        fields.unseen = unseen;
    }
}

/// A driver that notes what passes through it.
pub struct Recorder<'a> {
    inner: &'a dyn Driver,
    fields: Mutex<Fields>,
}

impl<'a> Recorder<'a> {
    /// In front of `inner`.
    pub fn new(inner: &'a dyn Driver) -> Self {
        Self { inner, fields: Mutex::default() }
    }

    /// What was noted, and what lies in bundles below `dir` that no call named: those of a command line. A behaviour
    /// that was not seen to succeed shows nothing.
    pub fn fields(self, dir: &Path, succeeded: bool) -> Fields {
        let mut fields = self.fields.into_inner().unwrap_or_else(PoisonError::into_inner);
        let left: BTreeSet<String> = fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .flat_map(|entry| differences(&entry.path()))
            .collect();
        if succeeded {
            let new = left.into_iter().filter(|pointer| !fields.refused.contains(pointer));
            fields.shown.extend(new);
            return fields;
        }
        let unseen = fields.shown.into_iter().chain(fields.refused).chain(left).collect();
        Fields { unseen, ..Fields::default() }
    }

    fn note(&self, new: New<'_>, call: impl FnOnce(New<'_>) -> Reply) -> Reply {
        let pointers = differences(&new.bundle);
        let reply = call(new);
        let mut fields = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        // A program may end with 1 too, but it says nothing then.
        let set =
            if reply.code == 1 && !reply.err.is_empty() { &mut fields.refused } else { &mut fields.shown };
        set.extend(pointers);
        reply
    }
}

impl Driver for Recorder<'_> {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn root(&self) -> &Path {
        self.inner.root()
    }
    fn create(&self, new: New<'_>) -> Reply {
        self.note(new, |new| self.inner.create(new))
    }
    fn run(&self, new: New<'_>) -> Reply {
        self.note(new, |new| self.inner.run(new))
    }
    fn start(&self, id: &str) -> Reply {
        self.inner.start(id)
    }
    fn exec(&self, exec: Exec<'_>) -> Reply {
        self.inner.exec(exec)
    }
    fn state(&self, id: &str) -> Reply {
        self.inner.state(id)
    }
    fn kill(&self, id: &str, signal: &str, all: bool) -> Reply {
        self.inner.kill(id, signal, all)
    }
    fn delete(&self, id: &str, force: bool) -> Reply {
        self.inner.delete(id, force)
    }
    fn pause(&self, id: &str) -> Reply {
        self.inner.pause(id)
    }
    fn resume(&self, id: &str) -> Reply {
        self.inner.resume(id)
    }
    fn processes(&self, id: &str) -> Reply {
        self.inner.processes(id)
    }
    fn update(&self, id: &str, resources: &str) -> Reply {
        self.inner.update(id, resources)
    }
    fn stats(&self, id: &str) -> Reply {
        self.inner.stats(id)
    }
    fn events(&self, id: &str, acts: &[&dyn Fn() -> Outcome]) -> Result<Reply, Trouble> {
        self.inner.events(id, acts)
    }

    fn events_of_starvation(&self, id: &str, acts: &[&dyn Fn() -> Outcome]) -> Result<Reply, Trouble> {
        self.inner.events_of_starvation(id, acts)
    }
    fn list(&self) -> Reply {
        self.inner.list()
    }
    fn cli(&self) -> Option<&Cli> {
        self.inner.cli()
    }
}

/// A driver that refuses everything: with it, a behaviour whose needs are missing still tells what it would have set.
pub struct Mute<'a>(pub &'a dyn Driver);

impl Mute<'_> {
    fn refusal() -> Reply {
        Reply { code: 1, err: "refused".into(), ..Reply::default() }
    }
}

impl Driver for Mute<'_> {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn root(&self) -> &Path {
        self.0.root()
    }
    fn create(&self, _: New<'_>) -> Reply {
        Self::refusal()
    }
    fn run(&self, _: New<'_>) -> Reply {
        Self::refusal()
    }
    fn start(&self, _: &str) -> Reply {
        Self::refusal()
    }
    fn exec(&self, _: Exec<'_>) -> Reply {
        Self::refusal()
    }
    fn state(&self, _: &str) -> Reply {
        Self::refusal()
    }
    fn kill(&self, _: &str, _: &str, _: bool) -> Reply {
        Self::refusal()
    }
    fn delete(&self, _: &str, _: bool) -> Reply {
        Self::refusal()
    }
    fn pause(&self, _: &str) -> Reply {
        Self::refusal()
    }
    fn resume(&self, _: &str) -> Reply {
        Self::refusal()
    }
    fn processes(&self, _: &str) -> Reply {
        Self::refusal()
    }
    fn update(&self, _: &str, _: &str) -> Reply {
        Self::refusal()
    }
    fn stats(&self, _: &str) -> Reply {
        Self::refusal()
    }
    fn events(&self, _: &str, _: &[&dyn Fn() -> Outcome]) -> Result<Reply, Trouble> {
        Ok(Self::refusal())
    }
    fn list(&self) -> Reply {
        Self::refusal()
    }
}

/// The pointers at which the configuration of a bundle differs from the default one.
fn differences(bundle: &Path) -> BTreeSet<String> {
    let text = fs::read(bundle.join("config.json")).unwrap_or_default();
    let mut found = BTreeSet::new();
    let Ok(config) = serde_json::from_slice::<Value>(&text) else { return found };
    compare(&defaults::config(), &config, "", &mut found);
    let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    // Every bundle of the suite has a cgroup path of its own and a probe that looks around: they say nothing.
    if text("/linux/cgroupsPath").rsplit('/').next().is_some_and(|name| bundle.ends_with(name)) {
        found.remove("/linux/cgroupsPath");
    }
    if text("/process/args/0") == "/probe" {
        found.remove("/process/args/*");
    }
    found
}

fn compare(base: &Value, other: &Value, place: &str, found: &mut BTreeSet<String>) {
    match (base, other) {
        (Value::Object(one), Value::Object(two)) => {
            for key in one.keys().chain(two.keys()) {
                let at = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                compare(&at(one), &at(two), &below(place, key), found);
            }
        }
        (Value::Array(one), Value::Array(two)) => {
            // An element that is left out moves the others, which are the same ones still.
            let only = |list: &[Value], other: &[Value]| -> Vec<Value> {
                list.iter().filter(|item| !other.contains(item)).cloned().collect()
            };
            let (one, two) = (only(one, two), only(two, one));
            for index in 0..one.len().max(two.len()) {
                let at = |list: &[Value]| list.get(index).cloned().unwrap_or_default();
                compare(&at(&one), &at(&two), &below(place, "*"), found);
            }
        }
        (one, two) if one == two => {}
        (one, two) => {
            spread(one, place, found);
            spread(two, place, found);
        }
    }
}

/// Every value inside of `value`, or the place itself if it holds none.
fn spread(value: &Value, place: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Null => {}
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, item)| spread(item, &below(place, key), found));
        }
        Value::Array(list) if !list.is_empty() => {
            list.iter().for_each(|item| spread(item, &below(place, "*"), found));
        }
        _ => drop(found.insert(place.to_owned())),
    }
}

/// A key may hold what separates the words of the file.
fn below(place: &str, key: &str) -> String {
    let key: String = key.replace('~', "~0").replace('/', "~1").chars().take(60).collect();
    format!("{place}/{}", key.replace(|c: char| c.is_whitespace() || c.is_control(), "_"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::{Coverage, Fields, compare};

    fn set(pointers: &[&str]) -> BTreeSet<String> {
        pointers.iter().map(|pointer| (*pointer).to_owned()).collect()
    }

    #[test]
    fn what_differs_is_named_by_its_pointer() {
        let base = json!({ "a": [{ "b": 1 }, { "b": 2 }], "c": { "d": true } });
        let other = json!({ "a": [{ "b": 1 }, { "b": 3 }, { "e": [] }], "c": { "x y": "z" } });
        let mut found = BTreeSet::new();
        compare(&base, &other, "", &mut found);
        assert_eq!(found, set(&["/a/*/b", "/a/*/e", "/c/d", "/c/x_y"]));
    }

    #[test]
    fn a_file_survives_reading_and_writing() {
        let fields = Fields { shown: set(&["/a", "/b/*"]), refused: set(&["/c"]), unseen: set(&["/d"]) };
        let mut coverage = Coverage::default();
        coverage.add("mounts::one", fields);
        coverage.add("mounts::none", Fields::default());
        assert_eq!(Coverage::parse(&coverage.text()), coverage);
    }

    #[test]
    fn what_was_seen_once_is_no_longer_unseen() {
        let mut coverage = Coverage::default();
        coverage.add("a::b", Fields { unseen: set(&["/a", "/b"]), ..Fields::default() });
        coverage.add("a::b", Fields { shown: set(&["/a"]), ..Fields::default() });
        let fields = coverage.0.values().next().cloned().unwrap_or_default();
        assert_eq!((fields.shown, fields.unseen), (set(&["/a"]), set(&["/b"])));
    }
}
