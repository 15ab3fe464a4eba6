//! C programs against the committed header and the libraries of this source.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The folder of the built libraries. cargo makes shared and static libraries for nobody's test, so they are asked for here, in the same target folder.
static LIBRARIES: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--offline", "--package", "teu-capi", "--target-dir"]).arg(target);
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
    assert!(built.success(), "{cargo:?}: {built}");
    target.join("debug")
});

/// Compiles `program` with warnings as errors and runs it; returns what it printed.
fn compile_and_run(program: &str, name: &str, link: &[&str]) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"]).arg(here.join("../include"));
    cc.arg(here.join("tests").join(program)).arg("-o").arg(&out).arg("-L").arg(&*LIBRARIES).args(link);
    let compiled = cc.status().expect("a C compiler is needed: cc");
    assert!(compiled.success(), "{cc:?}: {compiled}");
    let ran = Command::new(&out).env("LD_LIBRARY_PATH", &*LIBRARIES).output().unwrap();
    assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn the_shared_library_is_the_one_of_the_header() {
    assert_eq!(compile_and_run("version.c", "version-shared", &["-lteu"]).trim(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_static_library_is_the_one_of_the_header() {
    let link = ["-Wl,-Bstatic", "-lteu", "-Wl,-Bdynamic", "-lgcc_s", "-lpthread", "-lm", "-ldl"];
    assert_eq!(compile_and_run("version.c", "version-static", &link).trim(), env!("CARGO_PKG_VERSION"));
}
