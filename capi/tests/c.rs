//! C programs against the committed header and the libraries of this source.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use support::{Bundle, OUT, privileged, source};

/// The folder of the built libraries. cargo makes shared and static libraries for nobody's test, so they are asked for here, in the same target folder.
static LIBRARIES: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--offline", "--package", "teu-capi", "--target-dir"]).arg(target);
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    assert!(built.success(), "{cargo:?}: {built}");
    let soname = target.join("debug/libteu.so.0");
    let _ = std::os::unix::fs::symlink("libteu.so", soname);
    target.join("debug")
});

/// How a program is linked.
#[derive(Clone, Copy)]
struct Link(&'static str, &'static [&'static str]);

const SHARED: Link = Link("shared", &["-lteu"]);
const STATIC: Link =
    Link("static", &["-Wl,-Bstatic", "-lteu", "-Wl,-Bdynamic", "-lgcc_s", "-lpthread", "-lm", "-ldl"]);

/// Compiles a program with warnings as errors.
fn compile(program: &str, link: Link, flags: &[&str]) -> PathBuf {
    let out = Path::new(OUT).join(format!("{program}-{}", link.0));
    let mut cc = Command::new("cc");
    cc.args(["-g", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"]).arg(source("../../include"));
    cc.args(flags).arg(source(&format!("{program}.c"))).arg("-o").arg(&out);
    let compiled = cc.arg("-L").arg(&*LIBRARIES).args(link.1).status().expect("a C compiler is needed: cc");
    assert!(compiled.success(), "{cc:?}: {compiled}");
    out
}

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.env("LD_LIBRARY_PATH", &*LIBRARIES).output().unwrap();
    assert!(status.success(), "{command:?}: {status}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn compile_and_run(program: &str, link: Link) -> String {
    run(&mut Command::new(compile(program, link, &["-std=c11"])))
}

#[test]
fn the_shared_library_is_the_one_of_the_header() {
    assert_eq!(compile_and_run("version", SHARED).trim(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_static_library_is_the_one_of_the_header() {
    assert_eq!(compile_and_run("version", STATIC).trim(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_container_lives_through_c() {
    if privileged() {
        for link in [SHARED, STATIC] {
            let bundle = Bundle::new(&format!("life-{}", link.0));
            run(&mut bundle.host(compile("lifecycle", link, &["-std=c11"])));
        }
    }
}

#[test]
fn what_c_does_wrong_is_an_error_and_leaves_nothing() {
    if privileged() {
        let bundle = Bundle::new("misuse");
        run(&mut bundle.host(compile("misuse", SHARED, &["-std=c11", "-pthread"])));
    }
}

#[test]
fn every_kind_of_bad_input_has_its_code_and_leaves_the_host_alone() {
    if privileged() {
        let bundle = Bundle::new("bad");
        run(&mut bundle.host(compile("bad", SHARED, &["-std=c11"])));
    }
}

#[test]
fn calls_that_are_made_often_allocate_nothing() {
    if privileged() {
        let bundle = Bundle::new("allocation");
        run(&mut bundle.host(compile("allocation", SHARED, &["-std=c11", "-O1"])));
    }
}

/// `TEU_LIFECYCLES=1000` runs as many; few are enough to see what changes with each.
#[test]
fn a_host_is_the_same_before_and_after() {
    if privileged() {
        let bundle = Bundle::new("hygiene");
        let cycles = std::env::var("TEU_LIFECYCLES").unwrap_or_else(|_| "40".to_owned());
        let heap = std::env::var("TEU_HEAP_MIB").unwrap_or_else(|_| "1024".to_owned());
        let mut host = bundle.host(compile("hygiene", SHARED, &["-std=c11", "-O1", "-pthread"]));
        let ran = host.args([cycles, heap]).env("LD_LIBRARY_PATH", &*LIBRARIES).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{}: {said}", ran.status);
        print!("{said}");
    }
}

/// TEU_LIBRARIES may name the folder of the library that `cargo xt dist` makes.
#[test]
#[ignore = "a measurement"]
fn what_the_calls_cost() {
    let bundle = Bundle::new("figures");
    let mut host = bundle.host(compile("figures", SHARED, &["-std=c11", "-O1"]));
    let libraries = std::env::var_os("TEU_LIBRARIES").unwrap_or_else(|| LIBRARIES.clone().into());
    print!("{}", String::from_utf8(host.env("LD_LIBRARY_PATH", libraries).output().unwrap().stdout).unwrap());
}

#[test]
fn the_library_can_be_unloaded() {
    let host = compile("load", Link("loaded", &["-ldl"]), &["-std=gnu11", "-Wno-pedantic"]);
    run(Command::new(host).arg(LIBRARIES.join("libteu.so")));
}

/// The header alone, for every language it promises to be good for, by every compiler that is here.
#[test]
fn the_header_compiles_without_a_warning() {
    let (header, mut compiled) = (source("../../include/teu.h"), 0);
    for (compilers, language, standards) in
        [(["gcc", "clang"], "c", &["c99", "c11", "c17"][..]), (["g++", "clang++"], "c++", &["c++17"][..])]
    {
        for (compiler, standard) in
            compilers.iter().flat_map(|one| standards.iter().map(move |two| (one, two)))
        {
            let mut cc = Command::new(compiler);
            cc.args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-x", language]);
            match cc.arg(format!("-std={standard}")).arg(&header).status() {
                Ok(status) => assert!(status.success(), "{cc:?}"),
                Err(_) => continue,
            }
            compiled += 1;
        }
    }
    assert!(compiled >= 3, "a C compiler is needed: gcc");
}

/// The same life under valgrind's eyes, if it is installed: no invalid access, and nothing that is lost.
#[test]
fn memory_is_given_back() {
    let valgrind = Command::new("valgrind").arg("--version").output().is_ok_and(|ran| ran.status.success());
    if !privileged() || !valgrind {
        eprintln!("skipped: needs root and valgrind");
        return;
    }
    let bundle = Bundle::new("valgrind");
    let mut host = bundle.host("valgrind");
    host.args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite"]);
    host.args(["--errors-for-leak-kinds=definite"]).arg(compile("memory", SHARED, &["-std=c11"]));
    run(&mut host);
}
