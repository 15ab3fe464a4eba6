//! The lanes `sanitizers` and `lifecycles`: the C tests of libteu again, watched more closely or run for longer than in every run.
//!
//! Library, standard library and test program are built with one sanitizer and linked with the runtime that comes with the compiler. `-Z` flags are
//! for nightly compilers; RUSTC_BOOTSTRAP lets the pinned one have them.

use crate::capi;
use crate::project::Project;
use crate::step::Step;
use crate::summary::Tally;
use crate::test;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What watches, and which programs.
struct Sanitizer {
    name: &'static str,
    /// The runtime's name in the compiler's library folder.
    runtime: &'static str,
    /// For the C compiler. What is undefined in C ends the program at once.
    flags: &'static str,
    options: (&'static str, &'static str),
    programs: &'static [&'static [&'static str]],
}

const SANITIZERS: &[Sanitizer] = &[
    // Leaks are looked for at the end of each program.
    Sanitizer {
        name: "address",
        runtime: "asan",
        flags: "-fsanitize=address,undefined -fsanitize-undefined-trap-on-error",
        // The stacks that tell a use after return are the thread's own, and a child in our memory would take them for its own too.
        options: ("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=0:exitcode=66"),
        programs: &[&["memory"], &["lifecycle"], &["misuse"], &["hygiene", "20", "64"]],
    },
    Sanitizer {
        name: "thread",
        runtime: "tsan",
        flags: "-fsanitize=thread",
        options: ("TSAN_OPTIONS", "exitcode=66"),
        programs: &[&["lifecycle"], &["misuse"], &["hygiene", "20", "64"]],
    },
];

/// The lane `sanitizers`.
pub fn sanitizers(project: &Project) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let libraries = sysroot()?.join("lib/rustlib");
    if !libraries.join("src/rust/library/std").is_dir() {
        return Ok(Tally::skip("the source of the standard library (rustup component add rust-src)"));
    }
    for sanitizer in SANITIZERS {
        let triple = project.triple()?;
        let folder = libraries.join(&triple).join("lib");
        let Some(runtime) = runtime(&folder, sanitizer.runtime) else {
            tally.add(Tally::skip(format!("{}: the compiler has no runtime for it", sanitizer.name)));
            continue;
        };
        let built = build(project, sanitizer, &triple)?;
        for program in sanitizer.programs {
            let ran = run(project, sanitizer, (&runtime, &built), program);
            tally.add(Tally::from_result(
                ran.map_err(|why| format!("{} {}: {why}", sanitizer.name, program[0])),
            ));
        }
    }
    Ok(tally)
}

/// The lane `lifecycles`: a thousand, in a host in C and in one in Rust.
pub fn lifecycles(project: &Project) -> Result<Tally, String> {
    let step =
        Step::new("compare a host before and after a thousand containers, in C and in Rust", &project.cargo);
    let step = step
        .args(["test", "--package", "teu-capi", "--test", "c", "--test", "hygiene"])
        .args(project.locked());
    let step = step.args(["--", "--nocapture", "is_the_same_before_and_after"]).env("TEU_LIFECYCLES", "1000");
    test::tally(project, &step)
}

fn sysroot() -> Result<PathBuf, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = Command::new(rustc).args(["--print", "sysroot"]).output();
    let told = told.map_err(|error| format!("rustc --print sysroot: {error}"))?;
    Ok(PathBuf::from(String::from_utf8_lossy(&told.stdout).trim()))
}

/// Its name has the compiler's channel in it.
fn runtime(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let end = format!("_rt.{name}.a");
    entries.flatten().map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with(&end))
}

/// The folder with the library. Std is built too: what it does without the sanitizer's knowledge would look like a race.
fn build(project: &Project, sanitizer: &Sanitizer, triple: &str) -> Result<PathBuf, String> {
    let target = project.target.join("sanitizers").join(sanitizer.name);
    Step::new(format!("build libteu and std with the {} sanitizer", sanitizer.name), &project.cargo)
        .args(["rustc", "--package", "teu-capi", "--lib", "--crate-type", "cdylib", "--target", triple])
        .args(["-Zbuild-std=std,panic_unwind", "--target-dir"])
        .arg(&target)
        .args(project.locked())
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", format!("-Zsanitizer={} -Cforce-frame-pointers=yes", sanitizer.name))
        .run(&project.root)?;
    let built = target.join(triple).join("debug");
    let soname = built.join("libteu.so.0");
    let _ = fs::remove_file(&soname);
    std::os::unix::fs::symlink("libteu.so", &soname)
        .map_err(|error| format!("{}: {error}", soname.display()))?;
    Ok(built)
}

/// One program, compiled and run in a folder of its own. A report is a file, because a host may have closed its streams.
fn run(
    project: &Project,
    sanitizer: &Sanitizer,
    (runtime, built): (&Path, &Path),
    program: &[&str],
) -> Result<(), String> {
    let [name, args @ ..] = program else { return Err("no program".to_owned()) };
    let folder = built.join(name);
    // What an earlier run was stopped with.
    let _ = fs::remove_dir_all(&folder);
    capi::bundle(project, &folder.join("bundle"))?;
    let host = folder.join(name);
    let compile = format!(
        "cc -g -O1 -std=c11 -pthread {} -fno-omit-frame-pointer -I include -c capi/tests/{name}.c -o '{host}.o' && \
         cc '{host}.o' -o '{host}' -rdynamic -Wl,--whole-archive '{}' -Wl,--no-whole-archive -L '{}' -lteu -lstdc++ -lpthread -ldl -lrt -lm",
        sanitizer.flags,
        runtime.display(),
        built.display(),
        host = host.display(),
    );
    Step::new(format!("build {name} with it"), "sh").arg("-c").arg(compile).run(&project.root)?;
    let (variable, options) = sanitizer.options;
    let ran = Step::new("run it", &host)
        .args(args)
        .env("LD_LIBRARY_PATH", built)
        .env("TEU_TEST_BUNDLE", folder.join("bundle"))
        .env("TEU_TEST_ROOT", folder.join("state"))
        .env(variable, format!("{options}:log_path={}", folder.join("report").display()))
        .limit_seconds(300)
        .run(&project.root);
    let reports = reports(&folder);
    match (ran, reports.is_empty()) {
        (ran, true) => ran,
        (_, false) => Err(format!("the sanitizer found something:\n{reports}")),
    }
}

fn reports(folder: &Path) -> String {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of_sanitizer = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("report."));
    let texts = of_sanitizer.map(|entry| fs::read_to_string(entry.path()).unwrap_or_default());
    // A child on a stack of its own is remarked upon, and that is all.
    texts
        .filter(|text| ["ERROR: ", "WARNING: ThreadSanitizer"].iter().any(|word| text.contains(word)))
        .collect()
}
