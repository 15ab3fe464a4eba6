//! What shows a field: golden plans that have it, tests of the library that name it, behaviours that set it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use teu_conformance::coverage::Coverage;

use crate::fields::{self, Field};
use crate::types::Names;

/// Names of proofs, by the pointer of the field.
pub type Proofs = BTreeMap<&'static str, BTreeSet<String>>;

/// Everything that shows something.
#[derive(Default)]
pub struct All {
    /// Golden plans.
    pub plans: Proofs,
    /// Golden refusals, and tests of the library that name the field.
    pub tests: Proofs,
    /// Behaviours in which a container had the field.
    pub shown: Proofs,
    /// Behaviours in which a configuration was refused.
    pub refused: Proofs,
    /// Behaviours that need another machine than the one that wrote the coverage.
    pub unseen: Proofs,
    /// Values of enums in golden plans, by place.
    pub values: BTreeMap<String, BTreeSet<String>>,
}

fn add(proofs: &mut Proofs, pointer: &str, name: &str) {
    if let Some(field) = fields::find(pointer) {
        proofs.entry(field.pointer).or_default().insert(name.to_owned());
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Collects all of it.
pub fn collect(coverage: &Coverage, enums: &Names) -> All {
    let mut all = All::default();
    for (behaviour, fields) in &coverage.0 {
        let sets = [
            (&mut all.shown, &fields.shown),
            (&mut all.refused, &fields.refused),
            (&mut all.unseen, &fields.unseen),
        ];
        for (proofs, pointers) in sets {
            pointers.iter().for_each(|pointer| add(proofs, pointer, behaviour));
        }
    }
    golden(&mut all, enums);
    for folder in ["libcontainer/src", "libcontainer/tests"] {
        for path in rust_files(&root().join(folder)) {
            named(&fs::read_to_string(&path).unwrap(), &mut all.tests);
        }
    }
    all
}

fn golden(all: &mut All, enums: &Names) {
    for entry in fs::read_dir(root().join("libcontainer/tests/plans")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(config) = fs::read(folder.join("config.json")) else { continue };
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let plan = fs::read_to_string(folder.join("expect.plan")).unwrap_or_default();
        match plan.strip_prefix("refused ") {
            Some(refusal) => {
                let pointer = refusal.rsplit_once("config.json: ").map_or("", |(_, pointer)| pointer);
                add(&mut all.tests, pointer.trim_end_matches(['\n', ')']), &name);
            }
            None => walk(&serde_json::from_slice(&config).unwrap(), "", &mut |place, value| {
                add(&mut all.plans, place, &name);
                if let (Some(text), true) = (value.as_str(), enums.contains_key(place)) {
                    all.values.entry(place.to_owned()).or_default().insert(text.to_owned());
                }
            }),
        }
    }
}

/// Calls `seen` with every value that is no object; an index is `*`.
fn walk(value: &Value, place: &str, seen: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, item)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            walk(item, &format!("{place}/{key}"), seen);
        }),
        Value::Array(items) => items.iter().for_each(|item| walk(item, &format!("{place}/*"), seen)),
        // What every engine writes of a container without a terminal.
        Value::Bool(false) if place == "/process/terminal" => {}
        _ => seen(place, value),
    }
    // A key of a map is a value as well.
    if let (Value::Object(_), Some(Field { .. })) = (value, fields::find(place)) {
        seen(place, value);
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|kind| kind == "rs"))
        .collect()
}

/// Tests whose text has a literal that is the pointer of a field.
fn named(source: &str, proofs: &mut Proofs) {
    let (mut is_test, mut test) = (false, None);
    for line in source.lines() {
        is_test |= line.trim() == "#[test]";
        if let Some((before, rest)) = line.split_once("fn ").filter(|(before, _)| before.trim().is_empty()) {
            let name = rest.split('(').next().unwrap_or_default();
            test = is_test.then(|| format!("{}{name}", before.trim()));
            is_test = false;
        }
        if let Some(test) = &test {
            let literals = line.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/'));
            literals.for_each(|pointer| add(proofs, pointer, test));
        }
    }
}
