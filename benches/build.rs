//! Builds the tiny static program of the test bundle with one rustc call; `src/bundle.rs` embeds it.
use std::path::PathBuf;
use std::process::Command;
use std::{env, io};

const SOURCE: &str = "programs/tiny.rs";
const LINK: [&str; 5] =
    ["-nostartfiles", "-nodefaultlibs", "-static", "-Wl,--build-id=none", "-Wl,-z,norelro"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={SOURCE}");
    let out = PathBuf::from(variable("OUT_DIR")?).join("tiny");
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc.args(["--edition", "2024", "--crate-type", "bin", "-C", "panic=abort", "-C", "opt-level=2"]);
    rustc.args(["-C", "relocation-model=static", "-C", "strip=symbols", "--target"]).arg(variable("TARGET")?);
    for argument in LINK {
        rustc.arg("-C").arg(format!("link-arg={argument}"));
    }
    let status = rustc.arg("-o").arg(&out).arg(SOURCE).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("rustc {SOURCE}: {status}"))) }
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|_| io::Error::other(format!("cargo did not set {name}")))
}
