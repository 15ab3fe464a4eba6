//! The command as it is shipped: with musl, whose programs start five times faster than glibc's (libcontainer/design/0026).
//!
//! A toolchain with the musl target (`rustup target add`) builds it like anything else. Where the target is missing, Debian's compiler builds the
//! standard library for musl from Debian's own source, in a root of its own.

use crate::Failure;
use crate::artifact::{self, TEU};
use crate::lab::WORKSHOP;
use crate::order::ORDER;
use crate::pages;
use crate::project::Project;
use crate::step::Step;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The command of the task runner.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    if let Some(arg) = args.first() {
        Err(format!("release takes no argument, got \"{arg}\""))?;
    }
    let teu = build(project)?;
    println!("{}\n{}", teu.display(), pages::write(project, &teu)?.display());
    Ok(())
}

/// The command's path. The error says why it cannot be built.
pub fn build(project: &Project) -> Result<PathBuf, String> {
    made(project, "symbols")
}

/// The same with the names of its functions.
pub fn build_with_symbols(project: &Project) -> Result<PathBuf, String> {
    made(project, "none")
}

/// Builds it; `strip` is cargo's word for what is left out.
fn made(project: &Project, strip: &'static str) -> Result<PathBuf, String> {
    let triple = triple(&project.triple()?);
    if toolchain_has(&triple) {
        let ordered =
            linker_orders().then(|| format!("-C link-arg=-Wl,--section-ordering-file={}", order(project)));
        let built = artifact::build_for(
            project,
            &triple,
            &[TEU],
            Some((STRIP, strip)),
            ordered.as_deref().unwrap_or_default(),
        )?;
        return built.into_iter().next().ok_or_else(|| "the build gave no program".to_owned());
    }
    if !project.root_user {
        return Err(format!("the toolchain lacks {triple} (rustup target add {triple})"));
    }
    WORKSHOP.build(project)?;
    let target = project.target.join("musl");
    std::fs::create_dir_all(&target).map_err(|error| format!("{}: {error}", target.display()))?;
    in_workshop(project, &triple, &target).env(STRIP, strip).run(&project.root)?;
    artifact::existing(target.join(&triple).join("release/teu"))
}

/// The setting of cargo that says what a release leaves out.
const STRIP: &str = "CARGO_PROFILE_RELEASE_STRIP";

/// Where the order of the functions is.
fn order(project: &Project) -> String {
    project.root.join(ORDER).display().to_string()
}

/// Whether the machine's linker puts functions in a given order: GNU ld does since 2.43. `musl.sh` asks the workshop's.
fn linker_orders() -> bool {
    let help = Command::new("ld").arg("--help").output();
    help.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("--section-ordering-file"))
}

/// The musl target of a glibc one.
fn triple(host: &str) -> String {
    host.replace("-gnu", "-musl")
}

fn toolchain_has(triple: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Command::new(rustc).args(["--print", "target-libdir", "--target", triple]).output();
    asked.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// A chroot in a mount namespace of its own: nothing that it mounts stays.
fn in_workshop(project: &Project, triple: &str, target: &Path) -> Step {
    let why =
        format!("build the command for {triple} with Debian's compiler (the toolchain lacks that target)");
    Step::new(why, "unshare")
        .args(["--mount", "--propagation", "private", "sh", "-e", "xtask/src/workshop.sh"])
        .arg(WORKSHOP.path(project))
        .arg(&project.root)
        .arg(target)
        .arg(triple)
}

#[cfg(test)]
mod tests {
    use super::triple;

    #[test]
    fn the_musl_target_keeps_the_processor() {
        assert_eq!(triple("aarch64-unknown-linux-gnu"), "aarch64-unknown-linux-musl");
    }
}
