//! The page: what is not shown yet, then a table for each chapter.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::fields::{CHAPTERS, Field};
use crate::proofs::{All, Proofs};
use crate::types::Names;

/// So many names stand in a cell; the rest are counted.
const NAMES: usize = 3;

const HEAD: &str = "\
# What config.json can say, and what teu does with it

Every field of a Linux configuration of runtime-spec 1.3, as the types of the `oci-spec` crate know them. A golden plan is a folder of
`libcontainer/tests/plans`; a test is one of the library that names the field's JSON pointer, most of them refusals; a behaviour is one of
`teu-conformance --list`, and is named if it was seen to set the field (*refused*: in a configuration that must fail; *not here*: this machine
cannot show it). Where no kernel is named, Linux 5.10 has it, the oldest that teu runs on. Nothing is silently ignored: what a kernel or a machine lacks is
refused, or the table says otherwise.

Written by `cargo xt spec-support`; do not edit.
";

pub fn page(all: &All, enums: &Names) -> String {
    let mut page = HEAD.to_owned();
    not_shown(all, enums, &mut page);
    for chapter in CHAPTERS {
        let _ = writeln!(page, "\n## {}\n", chapter.title);
        page.push_str("| field | what teu does | since Linux, and without it | golden plans | tests | behaviours |\n|---|---|---|---|---|---|\n");
        chapter.fields.iter().for_each(|field| row(field, all, &mut page));
    }
    page
}

fn not_shown(all: &All, enums: &Names, page: &mut String) {
    let fields =
        || CHAPTERS.iter().flat_map(|chapter| chapter.fields).filter(|field| field.no_effect.is_empty());
    let without = |proofs: &[&Proofs]| -> Vec<String> {
        let missing = fields().filter(|field| proofs.iter().all(|all| !all.contains_key(field.pointer)));
        together(missing.map(|field| field.pointer))
    };
    let values = enums.iter().filter_map(|(place, names)| {
        let found = all.values.get(place);
        let missing = names.iter().filter(|name| found.is_none_or(|found| !found.contains(**name)));
        let missing: Vec<&str> = missing.copied().collect();
        (!missing.is_empty()).then(|| format!("`{place}` {}", missing.join(" ")))
    });
    let lists = [
        ("no golden plan", without(&[&all.plans])),
        ("no test of the library that names them", without(&[&all.tests])),
        ("no behaviour that shows them", without(&[&all.shown])),
        ("no behaviour at all", without(&[&all.shown, &all.refused, &all.unseen])),
        ("values in no golden plan", values.collect()),
    ];
    page.push_str("\n## Not shown yet\n");
    for (what, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
        let _ = writeln!(page, "\n{what}:\n\n- {}", list.join("\n- "));
    }
    if lists.iter().all(|(_, list)| list.is_empty()) {
        page.push_str("\nNothing: every field has all three.\n");
    }
}

/// One line for the fields of one object.
fn together(pointers: impl Iterator<Item = &'static str>) -> Vec<String> {
    let mut objects: Vec<(&str, Vec<&str>)> = Vec::new();
    for (object, name) in pointers.filter_map(|pointer| pointer.rsplit_once('/')) {
        match objects.iter_mut().find(|(other, _)| *other == object) {
            Some((_, names)) => names.push(name),
            None => objects.push((object, vec![name])),
        }
    }
    objects.iter().map(|(object, names)| format!("`{object}/` {}", names.join(" "))).collect()
}

fn row(field: &Field, all: &All, page: &mut String) {
    let does = match field.no_effect {
        "" => field.does.to_owned(),
        why => format!("{}; no effect at create: {why}", field.does),
    };
    let kernel = match (field.since, field.without) {
        ("", "") => String::new(),
        ("", without) => without.to_owned(),
        (since, without) => format!("{since}; {without}"),
    };
    let behaviours = [("", &all.shown), ("refused: ", &all.refused), ("not here: ", &all.unseen)]
        .map(|(word, proofs)| (word, names(proofs, field)))
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("{word}{names}"));
    let cells = [
        format!("`{}`", field.pointer),
        does,
        kernel,
        names(&all.plans, field),
        names(&all.tests, field),
        behaviours.collect::<Vec<_>>().join("; "),
    ];
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

/// The names that stand for the fewest fields first: they are about this one.
fn names(proofs: &Proofs, field: &Field) -> String {
    let empty = BTreeSet::new();
    let of = proofs.get(field.pointer).unwrap_or(&empty);
    let weight = |name: &String| proofs.values().filter(|names| names.contains(name)).count();
    let mut sorted: Vec<_> = of.iter().map(|name| (weight(name), name)).collect();
    sorted.sort();
    let mut text =
        sorted.iter().take(NAMES).map(|(_, name)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if sorted.len() > NAMES {
        let _ = write!(text, " and {} more", sorted.len() - NAMES);
    }
    text
}
