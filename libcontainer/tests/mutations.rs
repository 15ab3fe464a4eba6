//! Nothing is silently ignored: one change at one place of a rich configuration is refused at that place, in one line, or it
//! changes the plan, or it is warned about. What may change nothing is listed here with its reason.
//!
//! `CASE=machine:number` runs one case and shows it; `SEED=number` rolls other dice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};
use teu::plan::{Plan, Shape, compile};
use teu::{Error, Host, Id, Result, Spec, Warning};

#[path = "support/fields.rs"]
mod fields;
#[path = "support/mutate.rs"]
mod mutate;
mod support;

use fields::matches;
use mutate::{Dice, Mutation, mutate, remove};

/// Over all machines.
const CASES: u64 = 10_000;
const FULL: &str = include_str!("full.json");

/// So long an error may be, with its pointer.
const MAX_ERROR: usize = 24_000;

/// A configuration is the full one without these places, on this host.
struct Machine {
    name: &'static str,
    host: &'static str,
    without: &'static [&'static str],
}

const NO_USERS: &[&str] = &["/linux/namespaces/6", "/linux/uidMappings", "/linux/gidMappings"];

const MACHINES: &[Machine] = &[
    Machine { name: "v2", host: "v2", without: NO_USERS },
    Machine { name: "v2-users", host: "v2", without: &[] },
    Machine { name: "hybrid", host: "hybrid", without: NO_USERS },
    Machine { name: "v1", host: "v1", without: NO_USERS },
    Machine { name: "v1-all", host: "v1-all", without: NO_USERS },
    Machine { name: "v2-rdt", host: "v2-rdt", without: NO_USERS },
    Machine { name: "nested", host: "nested", without: &[] },
    Machine { name: "labels", host: "labels", without: NO_USERS },
];

/// A change here, or of what holds it, may be refused there, where it makes a contradiction.
const RELATED: &[(&str, &str)] = &[
    ("/linux/namespaces", ""),
    ("/linux/uidMappings", "/process/user"),
    ("/linux/gidMappings", "/process/user"),
    ("/linux/resources/memory/limit", "/linux/resources/memory/swap"),
    ("/linux/resources/cpu/realtimePeriod", "/linux/resources/cpu/realtimeRuntime"),
    ("/process/capabilities/permitted", "/process/capabilities/effective"),
    ("/mounts/*/type", "/mounts/*/destination"),
];

/// What may change nothing: place, change, reason.
type Same = (&'static str, fn(&Mutation, &Value) -> bool, &'static str);

const BOUND: &str = "in a user namespace the host's node is bound with its permissions and owner";

// table: place, change, why it means the same
const SAME: &[Same] = &[
    ("", |m, _| m.what == "an unknown key", "unknown fields are ignored, as the specification says"),
    ("", |m, _| is_zero(&m.before) && is_zero(&m.after), "empty, null, zero and absent are the same"),
    ("/process/capabilities/*", |m, _| same_set(m), "a set has no order"),
    ("/process/env", |m, _| m.what == "the last one twice", "of duplicates the last one counts"),
    ("/process/consoleSize", |_, base| !base["process"]["terminal"].is_boolean(), "there is no terminal"),
    ("/mounts/*/options", |m, _| m.what == "the last one first", "flags have no order"),
    ("/mounts/*/options", |m, _| m.what == "the last one twice", "a flag is set once"),
    ("/mounts/*/options/*", |m, _| m.before == "idmap", "own mappings mean idmap"),
    ("/mounts/3/options", |m, _| m.what == "without the last one", "own mappings mean idmap"),
    ("/mounts/*/source", |m, _| is_zero(&m.after), "a filesystem without a source is named by its type"),
    ("/mounts/3/type", |_, _| true, "a bind has no type"),
    ("/linux/rootfsPropagation", |m, _| is_zero(&m.after), "rslave is the default"),
    ("/linux/resources/cpu/period", |m, _| is_zero(&m.after), "100 ms is the default"),
    ("/linux/resources/devices/*/access", |m, _| is_zero(&m.after), "rwm is the default"),
    ("/linux/resources/devices/0", |m, _| m.after.get("access").is_none(), "its keys have their defaults"),
    ("/linux/resources/memory/useHierarchy", |m, _| m.after != false, "it is always so"),
    ("/linux/resources/cpu/*", |m, _| m.what == "a space in front", "the kernel skips it"),
    ("/linux/seccomp/syscalls/*/names", |m, _| same_set(m), "a set has no order"),
    (
        "/linux/seccomp/syscalls/*/args",
        |m, _| m.what == "the last one twice",
        "a condition holds as often as it is said",
    ),
    ("/linux/memoryPolicy/nodes", |m, _| m.what == "a space in front", "runc skips it"),
    ("/linux/memoryPolicy/flags", |m, _| same_set(m), "a set has no order"),
    ("/process/scheduler/flags", |m, _| same_set(m), "a set has no order"),
    ("/linux/seccomp/architectures", |m, _| same_set(m), "a set has no order"),
    (
        "/linux/seccomp/architectures/*",
        |m, _| m.before == "SCMP_ARCH_X86_64" && m.after == "SCMP_ARCH_NATIVE",
        "the native one is always there",
    ),
    ("/linux/seccomp/flags", |m, _| same_set(m), "a set has no order"),
    (
        "/linux/seccomp/syscalls",
        |m, _| same_set(m),
        "rules of different calls, names and conditions have no order",
    ),
    ("/linux/seccomp/syscalls/*/args/0/valueTwo", |_, _| true, "only SCMP_CMP_MASKED_EQ has two values"),
    ("/linux/devices/*/fileMode", |_, base| has_users(base), BOUND),
    ("/linux/devices/*/uid", |_, base| has_users(base), BOUND),
    ("/linux/devices/*/gid", |_, base| has_users(base), BOUND),
];

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_zero),
    }
}

fn has_users(base: &Value) -> bool {
    base["linux"]["uidMappings"].is_array()
}

fn same_set(mutation: &Mutation) -> bool {
    let set = |value: &Value| -> Option<BTreeSet<String>> {
        value.as_array().map(|items| items.iter().map(Value::to_string).collect())
    };
    set(&mutation.before) == set(&mutation.after)
}

/// One of the two places is the other, or lies in it.
fn overlap(pattern: &str, pointer: &str) -> bool {
    pattern.split('/').zip(pointer.split('/')).all(|(own, given)| own == "*" || own == given)
}

struct Planned {
    plan: Plan,
    warnings: Vec<Warning>,
}

impl Planned {
    fn warns_at(&self, place: &str) -> bool {
        let all = self.warnings.iter().chain(&self.plan.cgroup.ignored);
        all.map(|warning| &warning.pointer).any(|pointer| overlap(pointer, place))
    }
}

fn plan(document: &Value, host: &Host) -> Result<Planned> {
    let spec = Spec::from_json("/bundle", document.to_string().as_bytes())?;
    let plan = compile(&Id::new("web").unwrap(), &spec, host, &Shape::default())?;
    Ok(Planned { plan, warnings: spec.warnings().to_vec() })
}

/// A configuration to change, and what it comes to.
struct Base {
    document: Value,
    planned: Planned,
    host: Host,
    /// What this build cannot do yet.
    missing: Vec<String>,
}

impl Base {
    /// The full configuration without what this machine or this build cannot have.
    fn of(machine: &Machine) -> Self {
        let host = support::host(machine.host);
        let mut document: Value = serde_json::from_str(FULL).unwrap();
        let mut missing = Vec::new();
        machine.without.iter().for_each(|pointer| assert!(remove(&mut document, pointer), "{pointer}"));
        loop {
            match plan(&document, &host) {
                Ok(planned) => return Self { document, planned, host, missing },
                Err(error) => {
                    println!("{}: without {error}", machine.name);
                    let pointer = error.pointer().unwrap_or_else(|| panic!("no pointer: {error}")).to_owned();
                    let pointer = match &document["linux"]["namespaces"] {
                        // The last one is the latest.
                        Value::Array(list) if pointer == "/linux/namespaces" => {
                            format!("{pointer}/{}", list.len() - 1)
                        }
                        _ => pointer,
                    };
                    assert!(remove(&mut document, &pointer), "{error}");
                    missing.extend(error.message().contains("not supported yet").then_some(pointer));
                }
            }
        }
    }

    fn judge(&self, mutation: &Mutation) -> std::result::Result<(), String> {
        let found = catch_unwind(AssertUnwindSafe(|| plan(&mutation.document, &self.host)));
        match found.map_err(|_| "it panics".to_owned())? {
            Err(error) => refusal(&error, mutation),
            Ok(planned) if planned.plan != self.planned.plan => Ok(()),
            Ok(planned) if planned.warns_at(&mutation.pointer) => Ok(()),
            Ok(_) if self.may_be_ignored(mutation) => Ok(()),
            Ok(_) => Err("it is ignored".to_owned()),
        }
    }

    fn may_be_ignored(&self, mutation: &Mutation) -> bool {
        let mut fields = fields::CHAPTERS.iter().flat_map(|chapter| chapter.fields);
        let no_effect = fields
            .by_ref()
            .filter(|field| overlap(field.pointer, &mutation.pointer))
            .all(|field| !field.no_effect.is_empty());
        let same = |(place, is, _): &Same| matches(place, &mutation.pointer) && is(mutation, &self.document);
        no_effect || SAME.iter().any(same)
    }
}

fn refusal(error: &Error, mutation: &Mutation) -> std::result::Result<(), String> {
    let (text, place) = (error.to_string(), &mutation.pointer);
    let Some(pointer) = error.pointer() else { return Err(format!("no pointer: {text}")) };
    let related = |(from, to): &(&str, &str)| overlap(from, place) && matches(to, pointer);
    if text.contains(char::is_control) {
        return Err(format!("more than a line: {text:?}"));
    }
    if text.len() > MAX_ERROR {
        return Err(format!("an error of {} bytes", text.len()));
    }
    let here = matches(place, pointer) || matches(pointer, place);
    if here || RELATED.iter().any(related) { Ok(()) } else { Err(format!("refused elsewhere: {text}")) }
}

/// Faults by place and kind: the machines that have it, how often it came, and the first case.
type Faults = BTreeMap<String, (BTreeSet<&'static str>, u32, String)>;

fn note(faults: &mut Faults, machine: &'static str, number: u64, mutation: &Mutation, fault: &str) {
    let short = |text: &str| -> String { text.chars().take(120).collect() };
    let place: String = mutation.pointer.chars().map(|c| if c.is_ascii_digit() { '*' } else { c }).collect();
    let example =
        || format!("CASE={machine}:{number} {} -> {}", mutation.what, short(&mutation.after.to_string()));
    let entry =
        faults.entry(format!("{place}: {}", short(fault))).or_insert_with(|| (BTreeSet::new(), 0, example()));
    entry.0.insert(machine);
    entry.1 += 1;
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn a_change_is_refused_at_its_place_or_changes_the_plan() {
    let (seed, only) = (variable("SEED").unwrap_or(3_u64), variable::<String>("CASE"));
    let only_ref = only.as_deref();
    let found: Vec<Faults> = std::thread::scope(|scope| {
        let run = |machine| scope.spawn(move || faults(machine, seed, only_ref));
        let threads: Vec<_> = MACHINES.iter().map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut all = Faults::new();
    for (place, (machines, count, example)) in found.into_iter().flatten() {
        let entry = all.entry(place).or_insert((BTreeSet::new(), 0, example));
        entry.0.extend(machines);
        entry.1 += count;
    }
    let lines: Vec<String> = all
        .iter()
        .map(|(place, (machines, count, example))| {
            format!("{place}\n    {count} times on {machines:?}, {example}")
        })
        .collect();
    assert!(
        lines.is_empty(),
        "{} faults; fix them, or list them above with a reason:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

fn faults(machine: &'static Machine, seed: u64, only: Option<&str>) -> Faults {
    let (base, mut faults) = (Base::of(machine), Faults::new());
    let places = mutate::places(&base.document);
    for number in 0..CASES / MACHINES.len() as u64 {
        let case = format!("{}:{number}", machine.name);
        if only.is_some_and(|only| only != case) {
            continue;
        }
        let mutation = mutate(&base.document, &places, &mut Dice::new(seed << 32 | number));
        let verdict = base.judge(&mutation);
        if only.is_some() {
            println!("{} {}\n{}\n{verdict:?}", mutation.pointer, mutation.what, mutation.document);
        }
        if let Err(fault) = verdict {
            note(&mut faults, machine.name, number, &mutation, &fault);
        }
    }
    faults
}

/// What no machine of this test has is not tested: only what this build cannot do yet may be such.
#[test]
fn every_field_is_on_some_machine() {
    let bases: Vec<Base> = MACHINES.iter().map(Base::of).collect();
    let full: Value = serde_json::from_str(FULL).unwrap();
    let mut lost = Vec::new();
    for place in mutate::places(&full) {
        let there = bases.iter().any(|base| base.document.pointer(&place).is_some());
        let missing = bases.iter().all(|base| base.missing.iter().any(|missing| matches(missing, &place)));
        let missing = missing || place.starts_with("/linux/namespaces/7");
        if !there && !missing && full.pointer(&place) != Some(&json!({})) {
            lost.push(place);
        }
    }
    assert_eq!(lost, Vec::<String>::new());
}
