//! The check `deny`: cargo-deny when it is installed, else the part of it that `cargo tree` can answer.
//!
//! Both read deny.toml, so there is one list of allowed licences.

use crate::packages::cargo_has;
use crate::project::Project;
use crate::step::Step;
use crate::summary::Tally;
use std::fs;

pub fn check(project: &Project) -> Tally {
    if cargo_has(project, "deny") {
        let step = Step::new("check licences, bans and sources", &project.cargo);
        return Tally::from_result(
            step.args(["deny", "check", "licenses", "bans", "sources"]).run(&project.root),
        );
    }
    Tally::from_result(built_in(project))
}

/// Every package of the lock file: its licence is allowed, and it comes from the registry or from this workspace.
fn built_in(project: &Project) -> Result<(), String> {
    let deny =
        fs::read_to_string(project.root.join("deny.toml")).map_err(|error| format!("deny.toml: {error}"))?;
    let allowed = allowed(&deny);
    let step =
        Step::new("cargo-deny is not installed: read licences and sources from cargo tree", &project.cargo)
            .args(["tree", "--workspace", "--target", "all", "--edges", "normal,build,dev", "--no-dedupe"])
            .args(["--prefix", "none", "--format", "{p}|{l}"])
            .args(project.locked());
    let mut packages = std::collections::BTreeSet::new();
    let status = step.lines(&project.root, |line| {
        packages.insert(line.to_owned());
    })?;
    step.judge(status)?;
    println!("    {} packages, allowed: {}", packages.len(), allowed.join(", "));
    let root = project.root.to_string_lossy();
    let (banned, exceptions) = (banned(&deny), exceptions(&deny));
    let faults: Vec<_> = packages
        .iter()
        .filter(|package| !exceptions.iter().any(|(name, licence)| excepted(package, name, licence)))
        .filter_map(|package| fault(package, &allowed, &banned, &root))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// The strings of the `allow` list below `[licenses]`.
fn allowed(deny: &str) -> Vec<&str> {
    let section = deny.split_once("[licenses]").map_or("", |(_, rest)| rest);
    let list = section.split_once("allow = [").map_or("", |(_, rest)| rest);
    let list = list.split_once(']').map_or("", |(list, _)| list);
    list.split('"').skip(1).step_by(2).collect()
}

/// The lines `{ crate = "NAME", allow = ["LICENCE"] }`.
fn exceptions(deny: &str) -> Vec<(&str, &str)> {
    deny.lines().filter_map(exception).collect()
}

fn exception(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.trim().strip_prefix("{ crate = \"")?.split_once("\", allow = [\"")?;
    Some((name, rest.split('"').next()?))
}

fn excepted(line: &str, name: &str, licence: &str) -> bool {
    let found = line.split_once('|').map(|(package, found)| (package.split(' ').next(), found));
    found == Some((Some(name), licence))
}

/// The crates named by `[[bans.deny]]`.
fn banned(deny: &str) -> Vec<&str> {
    deny.lines().filter_map(|line| line.strip_prefix("crate = \"")?.strip_suffix('"')).collect()
}

/// What is wrong with one `NAME VERSION (SOURCE)|LICENCE` line.
fn fault(line: &str, allowed: &[&str], banned: &[&str], root: &str) -> Option<String> {
    let (package, licence) = line.split_once('|')?;
    if banned.iter().any(|name| package.split(' ').next() == Some(name)) {
        return Some(format!("{package} is banned; deny.toml says why"));
    }
    let source = package.split_once('(').map(|(_, source)| source.trim_end_matches(')'));
    let foreign = source.is_some_and(|source| source != "proc-macro" && !source.starts_with(root));
    if foreign {
        return Some(format!("{package} is neither from the registry nor from this workspace"));
    }
    (!permitted(licence, allowed)).then(|| format!("{package}: licence \"{licence}\" is not allowed"))
}

/// SPDX: OR needs one side, AND both; AND binds closer. The old form `A/B` means OR.
fn permitted(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words, allowed)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words, allowed: &[&str]) -> bool {
    let mut result = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        result |= all(words, allowed);
    }
    result
}

fn all(words: &mut Words, allowed: &[&str]) -> bool {
    let mut result = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        result &= one(words, allowed);
    }
    result
}

fn one(words: &mut Words, allowed: &[&str]) -> bool {
    match words.next() {
        Some("(") => {
            let result = any(words, allowed);
            words.next();
            result
        }
        // An exception only ever adds permissions.
        Some(licence) => {
            if words.next_if_eq(&"WITH").is_some() {
                words.next();
            }
            allowed.contains(&licence)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &[&str] = &["MIT", "Apache-2.0", "Unicode-3.0"];

    #[test]
    fn licence_expressions_are_read_as_spdx_reads_them() {
        // table: expression, verdict
        for (expression, verdict) in [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR GPL-3.0-only", true),
            ("GPL-3.0-only AND MIT", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND Unicode-4.0", false),
            ("Unlicense/MIT", true),
            ("Apache-2.0 / MIT", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("GPL-2.0-only OR GPL-3.0-only AND MIT", false),
            ("", false),
        ] {
            assert_eq!(permitted(expression, ALLOWED), verdict, "{expression}");
        }
    }

    #[test]
    fn the_allow_list_is_read_from_the_licenses_section_only() {
        let deny = "[bans]\nallow = [\"x\"]\n[licenses]\nallow = [\n  \"MIT\", # why\n  \"Zlib\",\n]\n[sources]\nallow = [\"y\"]";
        assert_eq!(allowed(deny), ["MIT", "Zlib"]);
    }

    #[test]
    fn a_banned_crate_is_a_fault() {
        let banned = banned("[[bans.deny]]\ncrate = \"clap\"\nreason = \"x\"\n");
        assert!(fault("clap v4.0.0|MIT", ALLOWED, &banned, "/src/teu").is_some());
        assert!(fault("clap_lex v1.0.0|MIT", ALLOWED, &banned, "/src/teu").is_none());
    }

    #[test]
    fn a_git_dependency_is_a_fault_and_a_workspace_member_is_not() {
        assert!(fault("a v1.0.0 (https://example.org/a#1234)|MIT", ALLOWED, &["clap"], "/src/teu").is_some());
        assert!(fault("a v1.0.0 (/elsewhere/a)|MIT", ALLOWED, &["clap"], "/src/teu").is_some());
        assert!(
            fault("teu v0.1.0 (/src/teu/libcontainer)|Apache-2.0", ALLOWED, &["clap"], "/src/teu").is_none()
        );
        assert!(fault("serde_derive v1.0.0 (proc-macro)|MIT", ALLOWED, &["clap"], "/src/teu").is_none());
    }
}
