//! Compiles teu-init with one rustc call and leaves it in OUT_DIR, where `launch/carrier.rs` embeds it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// No libc, no start files, no unwinding, fixed address, pages packed tightly: the smallest image that the kernel can run.
const FLAGS: [&str; 12] = [
    "panic=abort",
    "opt-level=s",
    "lto=fat",
    "codegen-units=1",
    "relocation-model=static",
    "target-feature=+crt-static",
    "force-unwind-tables=no",
    "strip=symbols",
    "link-arg=-nostartfiles",
    "link-arg=-nostdlib",
    "link-arg=-static",
    "link-arg=-Wl,-z,noseparate-code,-z,max-page-size=4096,--build-id=none,--gc-sections,-z,norelro,--no-eh-frame-hdr",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=init/src");
    let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("init/src/main.rs");
    let output = PathBuf::from(env::var("OUT_DIR")?).join("teu-init");
    let mut rustc = Command::new(env::var("RUSTC")?);
    rustc.args(["--edition", "2024", "--crate-name", "teu_init_program", "--crate-type", "bin"]);
    rustc.args(FLAGS.iter().flat_map(|flag| ["-C", *flag])).args(["-C", "link-arg=-no-pie"]);
    rustc.arg("--target").arg(target()?).arg("-o").arg(&output).arg(source);
    // Flags of the outer build (sanitizers, coverage, crt-static) are not for this program.
    let status = rustc.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").status()?;
    if status.success() { Ok(()) } else { Err(format!("rustc could not build teu-init: {status}").into()) }
}

/// The target, or the compiler's own where that is the same processor: init needs `core` alone, which a libc does not change.
fn target() -> Result<String, env::VarError> {
    let (target, host) = (env::var("TARGET")?, env::var("HOST")?);
    Ok(if target.split('-').next() == host.split('-').next() { host } else { target })
}
