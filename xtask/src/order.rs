//! `cargo xt order`: in which order the functions of the shipped command lie, from what its commands execute.
//!
//! A command's life is short: of every function that it calls it pays for the page, and one page fault maps 16 pages. What the short
//! commands call lies together and first, then what the others call, then the rest (libcontainer/design/0054).

use crate::Failure;
use crate::artifact::{self, BENCH};
use crate::musl;
use crate::project::Project;
use crate::step::Step;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Read by the linker (GNU ld 2.43): see `musl.rs`. Functions that are not there any more are ignored.
pub const ORDER: &str = "xtask/src/order.ld";

const HEAD: &str = "/* In which order the functions of the command lie. Written by `cargo xt order`; not edited by hand. */\n";

/// Called first, and by all.
const SHORT: &[&str] = &["--version", "state", "start", "kill", "delete"];

/// A function: where it begins, where it ends, what it is called.
type Function = (u64, u64, String);

/// The command of the task runner.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    if let Some(arg) = args.first() {
        Err(format!("order takes no argument, got \"{arg}\""))?;
    }
    let teu = musl::build_with_symbols(project)?;
    let bench = artifact::build(project, &[BENCH])?;
    let steps = project.target.join("steps");
    let trace =
        Step::new("execute each command step by step", bench.first().ok_or("no teu-bench".to_owned())?);
    trace.arg("--teu").arg(&teu).arg("--steps").arg(&steps).run(&project.root)?;
    let read =
        |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let text = script(&executed(&read(&steps)?, &functions(project, &teu)?));
    let path = project.root.join(ORDER);
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("wrote {ORDER}");
    Ok(())
}

/// The functions of a program, in the order of their addresses.
fn functions(project: &Project, program: &Path) -> Result<Vec<Function>, String> {
    let mut found = Vec::new();
    let nm = Step::new("list its functions", "nm").arg("-S").arg(program);
    nm.lines(&project.root, |line| found.extend(function(line)))?;
    found.sort_unstable();
    Ok(found)
}

/// A line of nm: address, size, kind, name.
fn function(line: &str) -> Option<Function> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [address, size, "t" | "T" | "w" | "W", name] = fields.as_slice() else { return None };
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let address = number(address)?;
    Some((address, address + number(size)?, (*name).to_owned()))
}

/// The names of the executed functions, in the order of their first call; those of short commands first.
fn executed<'a>(steps: &str, functions: &'a [Function]) -> Vec<&'a str> {
    let mut calls: BTreeMap<bool, Vec<&str>> = BTreeMap::new();
    let mut long = false;
    for line in steps.lines() {
        match u64::from_str_radix(line, 16) {
            Ok(address) => calls.entry(long).or_default().extend(holder(functions, address)),
            Err(_) => long = !SHORT.contains(&line),
        }
    }
    let mut seen = BTreeSet::new();
    calls.into_values().flatten().filter(|name| seen.insert(*name)).collect()
}

/// The function that an address is in.
fn holder(functions: &[Function], address: u64) -> Option<&str> {
    let behind = functions.partition_point(|(begin, _, _)| *begin <= address);
    let (_, end, name) = functions.get(behind.checked_sub(1)?)?;
    (address < *end).then_some(name)
}

fn script(names: &[&str]) -> String {
    let mut seen = BTreeSet::new();
    let patterns = names.iter().map(|name| pattern(name)).filter(|pattern| seen.insert(pattern.clone()));
    let lines: Vec<String> = patterns.map(|pattern| format!("  *({pattern})\n")).collect();
    format!("{HEAD}.text : {{\n{}}}\n", lines.concat())
}

/// The section of a function, whatever the hash that rustc adds to its name.
fn pattern(name: &str) -> String {
    match name.rfind("17h").filter(|at| name.len() >= at + 20) {
        Some(at) => format!(".text.{}*", &name[..at + 3]),
        None => format!(".text.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_short_commands_call_comes_first_and_each_function_once() {
        let nm = "0000000000401000 0000000000000010 T main\n0000000000401010 0000000000000010 t _ZN3teu4plan17h0123456789abcdefE\n\
                  0000000000401020 0000000000000010 t late\n0000000000402000 0000000000000010 r table\n";
        let functions: Vec<Function> = nm.lines().filter_map(function).collect();
        let steps = "create\n401014\n401000\nstate\n401004\n40103f\n40102f\n401021\n";
        let names = executed(steps, &functions);
        assert_eq!(names, ["main", "late", "_ZN3teu4plan17h0123456789abcdefE"]);
        let text = script(&names);
        assert!(
            text.starts_with("/* ") && text.ends_with("  *(.text.late)\n  *(.text._ZN3teu4plan17h*)\n}\n"),
            "{text}"
        );
    }
}
