//! Compiles the probe, the static program the suite runs inside containers, with one call of rustc.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=probe");
    let (Some(rustc), Some(out), Some(target)) =
        (env::var_os("RUSTC"), env::var_os("OUT_DIR").map(PathBuf::from), env::var_os("TARGET"))
    else {
        println!("cargo::error=RUSTC, OUT_DIR and TARGET come from cargo");
        return ExitCode::FAILURE;
    };
    match probe(&rustc, &target).arg("-o").arg(out.join("probe")).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => report(&format!("the probe does not compile: {status}")),
        Err(error) => report(&format!("cannot run rustc: {error}")),
    }
}

fn probe(rustc: &OsString, target: &OsString) -> Command {
    let mut command = Command::new(rustc);
    command.args(["--edition", "2024", "--crate-name", "probe", "--target"]).arg(target);
    // Static, because the rootfs holds nothing else; small, because it is copied into every bundle.
    command.args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static", "-C", "opt-level=z"]);
    command.args(["-C", "panic=abort", "-C", "strip=symbols", "-C", "lto=fat", "-D", "warnings"]);
    command.arg("probe/main.rs");
    command
}

fn report(message: &str) -> ExitCode {
    println!("cargo::error={message}");
    ExitCode::FAILURE
}
