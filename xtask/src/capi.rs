//! The lane `capi`: libteu as it is shipped, and everything that can be built on it. What is not installed is skipped with its name.

use crate::dist;
use crate::project::{Project, program};
use crate::step::Step;
use crate::summary::Tally;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The shared library, stripped as it is shipped: 2.5 MiB.
const LIMIT_BYTES: u64 = 5 << 19;

/// What the library may ask of the system: all else would be somebody else's code in every host.
/// libm is a part of libc, and converts cpu shares.
const NEEDED: &[&str] =
    &["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];

/// An installation below `target`, and the bundle of the examples.
struct Shipped<'a> {
    project: &'a Project,
    prefix: PathBuf,
    bundle: PathBuf,
}

/// A check: its name and what it does.
type Check = (&'static str, fn(&Shipped<'_>) -> Result<Tally, String>);

const CHECKS: &[Check] = &[
    ("size", size),
    ("needs", needs),
    ("symbols", symbols),
    ("abi", abi),
    ("c", c_example),
    ("python", python_example),
    ("go", go_example),
];

/// The lane.
pub fn run(project: &Project) -> Result<Tally, String> {
    let shipped = Shipped::build(project)?;
    let mut tally = Tally::default();
    for (name, check) in CHECKS {
        let found = check(&shipped).unwrap_or_else(Tally::fail);
        println!("    {name}: {} passed, {} failed, {} skipped", found.passed, found.failed, found.skipped);
        tally.add(found);
    }
    Ok(tally)
}

/// A bundle whose program ends with 3.
pub fn bundle(project: &Project, bundle: &Path) -> Result<(), String> {
    let rootfs = bundle.join("rootfs");
    for dir in ["proc", "dev"] {
        fs::create_dir_all(rootfs.join(dir)).map_err(|error| format!("{}: {error}", rootfs.display()))?;
    }
    Step::new("build the program of the containers", "cc")
        .args(["-Os", "-static", "-nostdlib", "-fno-stack-protector", "-fno-builtin", "-o"])
        .arg(rootfs.join("guest"))
        .arg("capi/tests/guest.c")
        .run(&project.root)?;
    let config = r#"{"ociVersion": "1.3.0", "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["/guest", "exit", "3"]},
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}}"#;
    fs::write(bundle.join("config.json"), config).map_err(|error| format!("config.json: {error}"))
}

impl<'a> Shipped<'a> {
    fn build(project: &'a Project) -> Result<Self, String> {
        let prefix = project.target.join("dist/prefix");
        dist::install(project, &prefix, Path::new(""))?;
        let folder = project.target.join("dist/bundle");
        bundle(project, &folder)?;
        Ok(Self { project, prefix, bundle: folder })
    }

    fn library(&self) -> PathBuf {
        self.prefix.join("lib/libteu.so.0")
    }

    /// A program that uses the installation and makes containers.
    fn step(&self, why: &str, program: &str) -> Step {
        Step::new(why, program)
            .env("LD_LIBRARY_PATH", self.prefix.join("lib"))
            .env("PKG_CONFIG_PATH", self.prefix.join("lib/pkgconfig"))
            .env("TEU_LIBRARY", self.library())
            .env("TEU_TEST_BUNDLE", &self.bundle)
            .env("TEU_TEST_ROOT", self.project.target.join("dist/state"))
            .limit_seconds(300)
    }
}

fn size(shipped: &Shipped<'_>) -> Result<Tally, String> {
    let bytes = fs::metadata(shipped.library()).map_err(|error| error.to_string())?.len();
    println!("    libteu.so: {bytes} bytes of {LIMIT_BYTES}");
    if bytes <= LIMIT_BYTES { Ok(Tally::pass()) } else { Err(format!("libteu.so has {bytes} bytes")) }
}

/// What a tool prints about the library; `None` if it is not installed.
fn told(shipped: &Shipped<'_>, tool: &str, args: &[&str]) -> Result<Option<String>, String> {
    if program(tool).is_none() {
        return Ok(None);
    }
    let output = Command::new(tool).args(args).arg(shipped.library()).output();
    let output = output.map_err(|error| format!("{tool}: {error}"))?;
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn needs(shipped: &Shipped<'_>) -> Result<Tally, String> {
    let Some(text) = told(shipped, "objdump", &["-p"])? else { return Ok(Tally::skip("objdump")) };
    let values = |key: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix(key));
        lines.map(|value| value.trim().to_owned()).collect()
    };
    let strange: Vec<_> =
        values("NEEDED").into_iter().filter(|name| !NEEDED.contains(&name.as_str())).collect();
    match values("SONAME").as_slice() {
        _ if !strange.is_empty() => Err(format!("libteu.so needs {}", strange.join(", "))),
        [name] if name == "libteu.so.0" => Ok(Tally::pass()),
        other => Err(format!("the name of libteu.so is {other:?}")),
    }
}

/// What the library exports is the list, with its versions and nothing else.
fn symbols(shipped: &Shipped<'_>) -> Result<Tally, String> {
    let Some(text) = told(shipped, "objdump", &["-T"])? else { return Ok(Tally::skip("objdump")) };
    let exported: BTreeSet<String> = text.lines().filter_map(exported).collect();
    let path = shipped.project.root.join("capi/abi/symbols.txt");
    let list = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let listed: BTreeSet<String> = list.lines().map(str::to_owned).collect();
    if exported == listed {
        return Ok(Tally::pass());
    }
    let differ: Vec<_> = exported.symmetric_difference(&listed).cloned().collect();
    Err(format!("exported functions and capi/abi/symbols.txt differ: {}", differ.join(", ")))
}

/// `NAME NODE` of a line of `objdump -T` about something that the library has itself, save the node's own.
fn exported(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (name, node) = (words.last()?, words.get(words.len().checked_sub(2)?)?);
    let ours = words.len() >= 6 && !words.contains(&"*UND*") && !words.contains(&"*ABS*");
    ours.then(|| format!("{name} {}", node.trim_matches(['(', ')'])))
}

/// The types and functions are those of the first release, or more.
fn abi(shipped: &Shipped<'_>) -> Result<Tally, String> {
    let baseline = shipped.project.root.join("capi/abi/teu.abi");
    if program("abidiff").is_none() {
        return Ok(Tally::skip("abidiff (abigail-tools)"));
    }
    if std::env::var_os("BLESS").is_some() {
        dump(shipped, &baseline)?;
    }
    let current = shipped.project.target.join("dist/teu.abi");
    dump(shipped, &current)?;
    // What is new is no change for those who do not know it.
    let step = Step::new("compare the ABI with the first release's", "abidiff").arg("--no-added-syms");
    let step = step.arg(baseline).arg(current);
    step.run(&shipped.project.root).map(|()| Tally::pass())
}

/// The ABI as a C program sees it: types come from a program that uses the header, because the library itself is Rust.
fn dump(shipped: &Shipped<'_>, to: &Path) -> Result<(), String> {
    let root = &shipped.project.root;
    let object = shipped.project.target.join("dist/libteu-header.so");
    let source = shipped.project.target.join("dist/header.c");
    let header = fs::read_to_string(root.join("include/teu.h")).map_err(|error| error.to_string())?;
    fs::write(&source, bodies(&header)).map_err(|error| error.to_string())?;
    // Read from a stream, so that no path of this machine is written down.
    let compile = format!(
        "cc -g -shared -fPIC -w -I include -x c -o '{}' - < '{}'",
        object.display(),
        source.display()
    );
    Step::new("make a library of the header alone", "sh").arg("-c").arg(compile).run(root)?;
    Step::new("write down its ABI", "abidw")
        .args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--out-file"])
        .arg(to)
        .arg(&object)
        .run(root)
}

/// Every declared function, defined; and a variable of each enum, which no function names: flags and codes are numbers to it.
fn bodies(header: &str) -> String {
    let mut text = String::from("#include <teu.h>\n");
    for name in header.lines().filter_map(|line| line.strip_prefix("enum ")?.strip_suffix(" {")) {
        text.push_str(&format!("enum {name} {name}_is;\n"));
    }
    let mut declaration = String::new();
    for line in header.lines() {
        let starts = declaration.is_empty() && line.contains("teu_") && line.contains('(');
        let declares = starts && !line.starts_with([' ', '/', '#']) && !line.starts_with("typedef");
        if declares || !declaration.is_empty() {
            declaration.push_str(line.trim());
            declaration.push(' ');
        }
        if declaration.trim_end().ends_with(");") {
            text.push_str(declaration.trim_end().trim_end_matches(';'));
            text.push_str(" { __builtin_trap(); }\n");
            declaration.clear();
        }
    }
    text
}

fn c_example(shipped: &Shipped<'_>) -> Result<Tally, String> {
    if program("pkg-config").is_none() {
        return Ok(Tally::skip("pkg-config"));
    }
    let mut tally = Tally::default();
    // The warning of a static program is glibc's: a look-up of names, which the library does not do, would need its shared parts.
    for (name, flags) in [("engine", "--libs"), ("engine-static", "-static --static --libs")] {
        let engine = shipped.project.target.join("dist").join(name).to_string_lossy().into_owned();
        let (link, ask) = flags.split_once(' ').unwrap_or(("", flags));
        let build = format!(
            "cc -std=c11 -Wall -Wextra -Werror {link} examples/c/engine.c $(pkg-config --cflags {ask} teu) -o {engine}"
        );
        let compile = shipped.step("build the engine in C as a newcomer would", "sh");
        compile.arg("-c").arg(build).run(&shipped.project.root)?;
        let script = format!("{engine} --root \"$TEU_TEST_ROOT\" engine \"$TEU_TEST_BUNDLE\"; test $? = 3");
        shipped.step("run it", "sh").args(["-c", &script]).run(&shipped.project.root)?;
        tally.add(Tally::pass());
    }
    Ok(tally)
}

fn python_example(shipped: &Shipped<'_>) -> Result<Tally, String> {
    if program("python3").is_none() {
        return Ok(Tally::skip("python3"));
    }
    let step = shipped.step("run the tests of the Python package", "python3");
    step.args(["-B", "-m", "unittest", "-q", "test_teu"])
        .run(&shipped.project.root.join("examples/python"))
        .map(|()| Tally::pass())
}

fn go_example(shipped: &Shipped<'_>) -> Result<Tally, String> {
    if program("go").is_none() || program("pkg-config").is_none() {
        return Ok(Tally::skip("go (golang-go) and pkg-config"));
    }
    let step = shipped.step("run the tests of the Go package", "go").env("GOFLAGS", "-count=1");
    let cache = shipped.project.target.join("dist/go");
    step.env("GOCACHE", cache)
        .args(["test", "./..."])
        .run(&shipped.project.root.join("examples/go"))
        .map(|()| Tally::pass())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_is_told_from_what_is_used() {
        let ours = "0000000000012345 g    DF .text	0000000000000061  TEU_0.1     teu_new";
        assert_eq!(exported(ours).as_deref(), Some("teu_new TEU_0.1"));
        assert_eq!(exported("0000000000000000      DF *UND*	0000000000000000 (GLIBC_2.34) dlsym"), None);
        assert_eq!(exported("0000000000000000 g    DO *ABS*	0000000000000000  TEU_0.1     TEU_0.1"), None);
        assert_eq!(exported("DYNAMIC SYMBOL TABLE:"), None);
    }

    #[test]
    fn every_declaration_becomes_a_definition() {
        let text = bodies(
            "enum teu_e {\n    TEU_E = 1,\n};\ntypedef void (*teu_log_fn)(void *);\nint teu_a(int x,\n          int y);\nvoid teu_b(void);\n",
        );
        assert_eq!(text.matches("__builtin_trap").count(), 2);
        assert!(text.contains("int teu_a(int x, int y) {"));
        assert!(text.contains("enum teu_e teu_e_is;"));
    }
}
