//! Lints of our own, for what rustc and clippy cannot say: they read the text of the tree.

mod length;
mod source;

use crate::project::Project;
use crate::summary::Tally;
use source::Source;
use std::fs;
use std::path::{Path, PathBuf};

/// Where `unsafe` may stand: the folders and files whose subject it is, and the crates that only test and measure.
const UNSAFE_ADDRESSES: &[&str] = &[
    "libcontainer/init/src/sys/",
    "libcontainer/init/src/main.rs",
    // Tests of init fork and move descriptors as no safe code can.
    "libcontainer/init/src/harness.rs",
    "libcontainer/init/src/boot/tests.rs",
    "libcontainer/init/src/ops/hook/tests.rs",
    "libcontainer/init/src/ops/mount/tests.rs",
    "libcontainer/init/src/ops/process/tests.rs",
    "libcontainer/init/src/ops/procfs/tests.rs",
    "libcontainer/init/src/ops/rootfs/tests.rs",
    "libcontainer/init/src/ops/scheduling/tests.rs",
    "libcontainer/init/src/ops/seccomp/tests.rs",
    "libcontainer/init/src/ops/terminal/tests.rs",
    "libcontainer/init/src/path/tests.rs",
    "libcontainer/init/src/talk/tests.rs",
    "libcontainer/src/launch/clone.rs",
    "libcontainer/src/launch/stub.rs",
    "libcontainer/src/sys/",
    // An allocator that counts.
    "libcontainer/tests/stats.rs",
    // A C library as an oracle.
    "libcontainer/tests/support/libseccomp.rs",
    "capi/src/ffi.rs",
    // A host with a signal handler and closed streams.
    "capi/tests/hygiene.rs",
    // The allocator, copies, the stack and the end of the command.
    "runtime-cli/src/copies.rs",
    "runtime-cli/src/heap.rs",
    "runtime-cli/src/end.rs",
    "runtime-cli/src/growth.rs",
    "runtime-cli/src/stack.rs",
    "conformance/",
    "benches/",
];

/// Compiled by a build script and therefore never seen by clippy, which elsewhere asks for SAFETY comments.
const UNSEEN_BY_CLIPPY: &[&str] = &["libcontainer/init/src/main.rs", "libcontainer/init/src/sys/memory.rs"];

/// Generated, or of somebody else's wording.
const NOT_OURS: &[&str] = &["Cargo.lock", "LICENSE"];

/// Folders that are no part of the tree.
const SKIPPED_FOLDERS: &[&str] = &[".git", "target", ".cache"];

pub fn length(project: &Project) -> Tally {
    lint(project, is_rust, |path, text| length::faults(path, &Source::new(text)))
}

pub fn unsafe_address(project: &Project) -> Tally {
    lint(project, is_rust, |path, text| unsafe_faults(path, &Source::new(text)))
}

pub fn machine_paths(project: &Project) -> Tally {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let banned = machine_folders(&neighbours(&project.root), home.as_deref());
    lint(project, |path| !NOT_OURS.contains(&path), |path, text| path_faults(path, text, &banned))
}

pub fn ledger(project: &Project) -> Tally {
    let read = |path: &str| fs::read_to_string(project.root.join(path)).unwrap_or_default();
    let manifests: Vec<String> =
        files(project).iter().filter(|path| path.ends_with("/Cargo.toml")).map(|path| read(path)).collect();
    tally(1, ledger_faults(&read("Cargo.toml"), &manifests.concat(), &read("CONTRIBUTING.md")))
}

/// Gives each file that `wanted` picks to `faults` and counts the clean ones.
fn lint(project: &Project, wanted: fn(&str) -> bool, faults: impl Fn(&str, &str) -> Vec<String>) -> Tally {
    let mut found = Vec::new();
    let mut clean = 0;
    for path in files(project).iter().filter(|path| wanted(path)) {
        // Not text, not linted.
        let Ok(text) = fs::read_to_string(project.root.join(path)) else { continue };
        let before = found.len();
        found.extend(faults(path, &text));
        clean += usize::from(found.len() == before);
    }
    tally(clean, found)
}

/// A lint is one check however many files it reads; every fault is a failure of its own.
fn tally(files: usize, faults: Vec<String>) -> Tally {
    if faults.is_empty() && files > 0 {
        return Tally::pass();
    }
    faults.iter().for_each(|fault| println!("    {fault}"));
    Tally { failed: faults.len().max(1), failures: faults, closed: true, ..Tally::default() }
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

/// Every file of the tree, relative to its root, sorted. git is not asked: a tarball is linted as well as a clone.
fn files(project: &Project) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![project.root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) => {
                    folders.push(entry.path())
                }
                Ok(kind) if kind.is_file() => found.extend(relative(&project.root, &entry.path())),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn relative(root: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(root).ok()?.to_str().map(str::to_owned)
}

fn unsafe_faults(path: &str, source: &Source) -> Vec<String> {
    let found = source.words("unsafe");
    if UNSEEN_BY_CLIPPY.contains(&path) {
        let (blocks, comments) = (
            found.iter().filter(|at| source.opens_block(**at)).count(),
            source.text.matches("SAFETY").count(),
        );
        let fault = format!("{path}: {blocks} unsafe blocks, {comments} SAFETY comments");
        return if blocks > comments { vec![fault] } else { Vec::new() };
    }
    if UNSAFE_ADDRESSES.iter().any(|address| path.starts_with(address)) {
        return Vec::new();
    }
    // The C layer exports its symbols by an attribute that edition 2024 calls unsafe; it holds no unsafe code.
    let exports = |at: usize| path.starts_with("capi/") && source.is_attribute(at);
    let fault = |at: &usize| format!("{path}:{}: unsafe is not allowed here", source.line(*at));
    found.iter().filter(|at| !exports(**at)).map(fault).collect()
}

/// The checkout and, unless it lies in /tmp or at the top of the file system, what lies beside it.
fn neighbours(root: &Path) -> Vec<PathBuf> {
    let parent = root.parent().filter(|parent| ![Path::new("/"), Path::new("/tmp")].contains(parent));
    let beside = parent.and_then(|parent| fs::read_dir(parent).ok()).into_iter().flatten().flatten();
    beside.map(|entry| entry.path()).chain([root.to_owned()]).collect()
}

/// What the paths of one machine or one person start with.
fn machine_folders(neighbours: &[PathBuf], home: Option<&Path>) -> Vec<String> {
    // In two pieces each, so that this file passes its own lint.
    let usual = [
        concat!("/home", "/runner/"),
        concat!("/Us", "ers/"),
        concat!("/root", "/."),
        concat!("/tmp", "/teu/"),
    ];
    // One component is too common: a container's own /app is not the /app that somebody has cloned into.
    let telling = |path: &&Path| path.components().count() > 2;
    let folders = neighbours.iter().map(PathBuf::as_path).chain(home).filter(telling);
    folders.map(|path| path.to_string_lossy().into_owned()).chain(usual.map(str::to_owned)).collect()
}

fn path_faults(path: &str, text: &str, banned: &[String]) -> Vec<String> {
    let lines = text.lines().enumerate();
    let hit = |line: &str| banned.iter().find(|folder| line.contains(folder.as_str()));
    lines
        .filter_map(|(at, line)| Some(format!("{path}:{}: {} is a path of one machine", at + 1, hit(line)?)))
        .collect()
}

/// Each dependency from outside: named by a member's manifest, and by a row of the ledger.
fn ledger_faults(workspace: &str, members: &str, contributing: &str) -> Vec<String> {
    let section = workspace.split_once("[workspace.dependencies]").map_or("", |(_, rest)| rest);
    let rows =
        section.lines().take_while(|line| !line.starts_with('[')).filter(|line| !line.contains("path ="));
    let names = rows.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
    let mut faults = Vec::new();
    for name in names {
        if ![".workspace", " = { workspace"].iter().any(|form| members.contains(&format!("\n{name}{form}"))) {
            faults.push(format!("Cargo.toml: no crate of the workspace uses {name}"));
        } else if !contributing.contains(&format!("\n| {name} |")) {
            faults.push(format!("CONTRIBUTING.md: the ledger has no row for {name}"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsafe_in(path: &str, text: &str) -> usize {
        unsafe_faults(path, &Source::new(text)).len()
    }

    #[test]
    fn unsafe_is_refused_outside_its_addresses() {
        let block = "fn f() { unsafe { g() } }";
        assert_eq!(unsafe_in("libcontainer/src/plan/mounts.rs", block), 1);
        assert_eq!(unsafe_in("libcontainer/src/sys/mount.rs", block), 0);
        assert_eq!(unsafe_in("libcontainer/src/launch/mod.rs", block), 1);
        assert_eq!(unsafe_in("libcontainer/src/launch/stub.rs", block), 0);
    }

    #[test]
    fn the_word_unsafe_in_prose_or_in_a_longer_word_is_no_unsafe() {
        assert_eq!(unsafe_in("a.rs", "#![forbid(unsafe_code)]\n// unsafe\nconst S: &str = \"unsafe\";"), 0);
    }

    #[test]
    fn the_c_layer_may_export_symbols_and_nothing_more() {
        let export = "#[unsafe(no_mangle)]\npub extern \"C\" fn teu_new() {}";
        assert_eq!(unsafe_in("capi/src/runtime.rs", export), 0);
        assert_eq!(unsafe_in("runtime-cli/src/main.rs", export), 1);
        assert_eq!(unsafe_in("capi/src/runtime.rs", "fn f() { unsafe { g() } }"), 1);
    }

    #[test]
    fn code_that_clippy_never_sees_still_needs_its_safety_comments() {
        let path = "libcontainer/init/src/main.rs";
        assert_eq!(unsafe_in(path, "fn f() { unsafe { g() } }"), 1);
        assert_eq!(unsafe_in(path, "// SAFETY: because.\nfn f() { unsafe { g() } }"), 0);
    }

    #[test]
    fn the_checkout_its_neighbours_and_the_home_folder_are_machine_paths() {
        let neighbours = ["/src0/teu", "/src0/notes"].map(PathBuf::from);
        let banned = machine_folders(&neighbours, Some(Path::new("/home/ada")));
        assert_eq!(
            path_faults("x", "a\nsee /src0/notes/1", &banned),
            ["x:2: /src0/notes is a path of one machine"]
        );
        assert_eq!(path_faults("x", "/home/ada/.cargo", &banned).len(), 1);
        assert!(path_faults("x", "/home/app, /src0/else, /root and /usr/bin", &banned).is_empty());
    }

    #[test]
    fn a_folder_at_the_top_is_too_common_to_be_banned() {
        let banned = machine_folders(&[PathBuf::from("/app")], Some(Path::new("/root")));
        assert!(path_faults("x", "cwd /app/data, HOME=/root", &banned).is_empty());
    }

    #[test]
    fn a_dependency_without_use_or_row_is_a_fault() {
        let workspace = "[workspace.dependencies]\nteu = { path = \"x\" }\nlibc = \"0.2\"\nlog = \"0.4\"\nnix = { version = \"1\" }\n[other]\nx = 1\n";
        let members = "\nlibc.workspace = true\nnix = { workspace = true }\n";
        let faults = ledger_faults(workspace, members, "\n| libc | it saves |\n");
        assert_eq!(
            faults,
            [
                "Cargo.toml: no crate of the workspace uses log",
                "CONTRIBUTING.md: the ledger has no row for nix"
            ]
        );
    }
}
