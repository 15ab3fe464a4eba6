//! The name of the shared library, and the versions of its functions: `abi/symbols.txt` has a line `FUNCTION NODE` for each, which becomes assembly.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libteu.so.0");
    println!("cargo::rerun-if-changed=abi/symbols.txt");
    println!("cargo::rerun-if-changed=abi/teu.map");
    println!("cargo::rustc-check-cfg=cfg(teu_symver)");
    let symbols = fs::read_to_string("abi/symbols.txt")?;
    let lines = symbols.lines().filter_map(|line| line.split_once(' '));
    let text: String = lines.map(|(name, node)| format!(".symver {name}, {name}@@{node}\n")).collect();
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    fs::write(Path::new(&out).join("symver.s"), text)?;
    // The archive of the same source must not have them, so who wants them says so.
    println!("cargo::rerun-if-env-changed=TEU_SYMBOL_VERSIONS");
    if env::var_os("TEU_SYMBOL_VERSIONS").is_some() {
        let here = env::current_dir()?;
        println!("cargo::rustc-cfg=teu_symver");
        println!("cargo::rustc-cdylib-link-arg=-Wl,--version-script={}", here.join("abi/teu.map").display());
        // One copy of functions that are the same to the last instruction: lld does that, rustc's own linker on x86_64.
        if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64") {
            println!("cargo::rustc-cdylib-link-arg=-Wl,--icf=all");
        }
    }
    Ok(())
}
