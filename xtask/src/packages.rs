//! Debian packages the project uses: a table of what each is for, and the one apt-get call that adds the missing ones.

use crate::project::{Project, program};
use crate::step::Step;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What proves that a package's content is there, however it came.
enum Probe {
    Program(&'static str),
    File(&'static str),
    /// `cargo NAME --version` works, from rustup or from Debian.
    Cargo(&'static str),
    /// A busybox that is not linked to a shared libc: it runs in an empty rootfs.
    StaticBusybox,
    /// A library that the C compiler finds.
    Library(&'static str),
}

pub struct Package {
    pub name: &'static str,
    pub why: &'static str,
    probe: Probe,
}

const fn package(name: &'static str, probe: Probe, why: &'static str) -> Package {
    Package { name, why, probe }
}

// table: package, what proves it is there, why
pub const PACKAGES: &[Package] = &[
    package("libc6-dev", Probe::Library("libc.a"), "libc.a: the release command is a static program"),
    package("rustfmt", Probe::Cargo("fmt"), "cargo xt check: formatting"),
    package("rust-clippy", Probe::Cargo("clippy"), "cargo xt check: lints"),
    package("runc", Probe::Program("runc"), "the reference runtime, for the parity table and the demo"),
    package("crun", Probe::Program("crun"), "the fastest other runtime, for the parity table and the demo"),
    package("busybox-static", Probe::StaticBusybox, "small static programs inside test containers"),
    package("iproute2", Probe::Program("ip"), "makes the network devices that conformance moves"),
    package(
        "libseccomp2",
        Probe::Library("libseccomp.so.2"),
        "the oracle of the seccomp compiler, in tests only",
    ),
    package("strace", Probe::Program("strace"), "counts the system calls of one create"),
    package("pkg-config", Probe::Program("pkg-config"), "finds libteu, as the examples do"),
    package("clang", Probe::Program("clang"), "the second compiler of the C header"),
    package("valgrind", Probe::Program("valgrind"), "watches the memory of the C library's objects"),
    package("abigail-tools", Probe::Program("abidiff"), "compares the C ABI with the first release's"),
    package("golang-go", Probe::Program("go"), "runs the example in Go"),
    package("patchelf", Probe::Program("patchelf"), "runs the lab's newer runc and crun outside of it"),
    package("debootstrap", Probe::Program("debootstrap"), "makes the lab, a real Debian root filesystem"),
    package(
        "debian-archive-keyring",
        Probe::File("/usr/share/keyrings/debian-archive-keyring.gpg"),
        "the keys by which debootstrap trusts what it downloads",
    ),
];

/// The packages whose content is not on this machine.
pub fn missing(project: &Project) -> Vec<&'static Package> {
    PACKAGES.iter().filter(|package| !package.probe.present(project)).collect()
}

impl Probe {
    fn present(&self, project: &Project) -> bool {
        match self {
            Probe::Program(name) => program(name).is_some(),
            Probe::File(path) => Path::new(path).exists(),
            Probe::Cargo(name) => cargo_has(project, name),
            Probe::StaticBusybox => program("busybox").is_some_and(|path| is_static(&path)),
            Probe::Library(name) => compiler_finds(name),
        }
    }
}

/// `cargo NAME --version` succeeds.
pub fn cargo_has(project: &Project, name: &str) -> bool {
    Command::new(&project.cargo)
        .args([name, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A dynamic program names its loader, a static one has no reason to.
fn is_static(path: &Path) -> bool {
    const LOADER: &[u8] = b"/ld-linux";
    fs::read(path).is_ok_and(|bytes| !bytes.windows(LOADER.len()).any(|window| window == LOADER))
}

/// `cc` prints the bare name of a file that it does not find, and a path otherwise.
fn compiler_finds(library: &str) -> bool {
    let output = Command::new("cc").arg(format!("-print-file-name={library}")).output();
    output.is_ok_and(|output| output.stdout.starts_with(b"/"))
}

/// Installs `packages`; a second try follows an update of the package lists, which a fresh machine lacks.
pub fn install(project: &Project, packages: &[&Package]) -> Result<(), String> {
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    let why =
        packages.iter().map(|package| format!("{} ({})", package.name, package.why)).collect::<Vec<_>>();
    let why = format!("install {}", why.join(", "));
    // --no-remove: busybox-static would otherwise push a machine's own busybox out.
    let step = apt(why).args(["install", "-y", "-qq", "--no-install-recommends", "--no-remove"]).args(&names);
    if step.run(&project.root).is_ok() {
        return Ok(());
    }
    apt("update the package lists: the installation failed with those at hand")
        .args(["update", "-q"])
        .run(&project.root)?;
    step.run(&project.root)
}

fn apt(why: impl Into<String>) -> Step {
    let step = Step::new(why, "apt-get").args(["-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0"]);
    step.env("DEBIAN_FRONTEND", "noninteractive").limit_seconds(600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_told_from_a_static_one() {
        let dir = std::env::temp_dir().join(format!("teu-xtask-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (dynamic, fixed) = (dir.join("dynamic"), dir.join("static"));
        fs::write(&dynamic, b"\x7fELF..../lib64/ld-linux-x86-64.so.2\0").unwrap();
        fs::write(&fixed, b"\x7fELF....").unwrap();
        assert!(is_static(&fixed) && !is_static(&dynamic) && !is_static(&dir.join("absent")));
        fs::remove_dir_all(&dir).unwrap();
    }
}
