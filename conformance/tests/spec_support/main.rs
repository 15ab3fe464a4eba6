//! `docs/spec-support.md` is made from the table of fields, the golden plans, the tests and the coverage that the suite
//! measured. `cargo xt spec-support` runs the suite and writes it; without root, `BLESS=1` on this test writes what it can.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

#[path = "../../../libcontainer/tests/support/fields.rs"]
mod fields;
mod page;
mod proofs;
mod types;

use std::collections::BTreeSet;
use std::fs;

use oci_spec::runtime::Spec as Config;
use teu_conformance::coverage::Coverage;
use teu_conformance::suite;

/// A configuration with every field of the types.
const FULL: &str = include_str!("../../../libcontainer/tests/full.json");

/// Names that the types have wrong, and the right ones.
const MISSPELT: [(&str, &str); 2] = [
    ("SCHED_RESET_ON_FORK", "SCHED_FLAG_RESET_ON_FORK"),
    ("SCHED_FLAG_D_L_OVERRUN", "SCHED_FLAG_DL_OVERRUN"),
];

fn met() -> types::Met {
    let document = serde_json::from_str(FULL).unwrap();
    let met = types::met::<Config>(&document).unwrap();
    for name in met.enums.borrow_mut().values_mut().flatten() {
        *name = MISSPELT.iter().find(|(wrong, _)| wrong == name).map_or(*name, |(_, right)| right);
    }
    met
}

fn coverage() -> Coverage {
    Coverage::read(&proofs::root().join("conformance/coverage.txt")).unwrap()
}

#[test]
fn the_table_has_the_fields_of_the_types_and_no_others() {
    let leaves = types::leaves(&met().structs.borrow());
    let table: Vec<&str> =
        fields::CHAPTERS.iter().flat_map(|chapter| chapter.fields).map(|f| f.pointer).collect();
    let unique: BTreeSet<&str> = table.iter().copied().collect();
    assert_eq!(unique.len(), table.len(), "a field is in the table twice");
    let types: BTreeSet<&str> = leaves.iter().map(String::as_str).collect();
    assert_eq!(unique.symmetric_difference(&types).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn the_coverage_is_of_the_present_behaviours() {
    let measured: BTreeSet<String> = coverage().0.into_keys().collect();
    let present: BTreeSet<String> = suite::all().iter().map(suite::Test::full_name).collect();
    let stale: Vec<_> = measured.symmetric_difference(&present).collect();
    assert!(stale.is_empty(), "cargo xt spec-support measures these: {stale:?}");
}

#[test]
fn the_page_is_current() {
    let enums = met().enums.into_inner();
    let page = page::page(&proofs::collect(&coverage(), &enums), &enums);
    let path = proofs::root().join("docs/spec-support.md");
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let line = page.lines().zip(found.lines().chain(std::iter::repeat(""))).find(|(new, old)| new != old);
    assert!(
        page == found,
        "cargo xt spec-support writes docs/spec-support.md anew; first difference: {line:?}"
    );
}
