//! `cargo xt dist --prefix DIR`: libteu as a distribution ships it. Header, shared and static library, pkg-config file, manual page.
//!
//! Two builds of one source: the functions of the shared library carry versions, which an archive must not have.

use crate::Failure;
use crate::artifact::existing;
use crate::project::Project;
use crate::step::Step;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const SONAME: &str = "libteu.so.0";

/// What a program that links the archive needs beside it: rustc's `--print native-static-libs` without the library of unwinding, which compilers choose
/// themselves: a static program has another one.
const PRIVATE: &str = "-lutil -lrt -lpthread -lm -ldl -lc";

/// The command. `--destdir DIR` is put before every path that is written, and into none.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    let (mut prefix, mut destdir) = (None, PathBuf::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a directory"))?;
        match arg.as_str() {
            "--prefix" => prefix = Some(PathBuf::from(value)),
            "--destdir" => destdir = PathBuf::from(value),
            other => Err(format!("dist: unknown option {other}"))?,
        }
    }
    let prefix = prefix.ok_or_else(|| "dist needs --prefix DIR".to_owned())?;
    let written = install(project, &prefix, &destdir)?;
    written.iter().for_each(|path| println!("{}", path.display()));
    Ok(())
}

/// Builds and installs; gives what was written.
pub fn install(project: &Project, prefix: &Path, destdir: &Path) -> Result<Vec<PathBuf>, String> {
    let shared = library(project, "cdylib", "libteu.so", Some(("TEU_SYMBOL_VERSIONS", "1")))?;
    let archive = library(project, "staticlib", "libteu.a", None)?;
    let below =
        destdir.join(prefix.strip_prefix("/").ok().filter(|_| destdir != Path::new("")).unwrap_or(prefix));
    let version = env!("CARGO_PKG_VERSION");
    let real = format!("libteu.so.{version}");
    let text =
        |path: &str| fs::read_to_string(project.root.join(path)).map_err(|error| format!("{path}: {error}"));
    let pkg_config = text("capi/teu.pc.in")?
        .replace("@PREFIX@", &prefix.display().to_string())
        .replace("@VERSION@", version)
        .replace("@PRIVATE@", PRIVATE);
    let files = [
        put(&below.join("lib").join(&real), &read(&shared)?)?,
        put(&below.join("lib/libteu.a"), &read(&archive)?)?,
        put(&below.join("include/teu.h"), text("include/teu.h")?.as_bytes())?,
        put(&below.join("lib/pkgconfig/teu.pc"), pkg_config.as_bytes())?,
        put(&below.join("share/man/man3/teu.3"), text("capi/teu.3")?.as_bytes())?,
    ];
    let links = [link(&below.join("lib").join(SONAME), &real)?, link(&below.join("lib/libteu.so"), SONAME)?];
    Ok(files.into_iter().chain(links).collect())
}

/// One build of the C layer, alone: the linker must see functions and versions in one object, which is what a release does.
fn library(
    project: &Project,
    kind: &str,
    file: &str,
    variable: Option<(&'static str, &str)>,
) -> Result<PathBuf, String> {
    let target = project.target.join("dist").join(kind);
    let why = format!("build {file} as it is shipped");
    let mut step = Step::new(why, &project.cargo)
        .args(["rustc", "--package", "teu-capi", "--lib", "--release", "--crate-type", kind, "--target-dir"])
        .arg(&target)
        .args(project.locked());
    if let Some((name, value)) = variable {
        step = step.env(name, value);
    }
    step.run(&project.root)?;
    existing(target.join("release").join(file))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn put(path: &Path, content: &[u8]) -> Result<PathBuf, String> {
    let failed = |error| format!("{}: {error}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(path)).map_err(failed)?;
    fs::write(path, content).map_err(failed)?;
    Ok(path.to_owned())
}

fn link(path: &Path, to: &str) -> Result<PathBuf, String> {
    // An older installation may have left one.
    let _ = fs::remove_file(path);
    symlink(to, path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path.to_owned())
}
