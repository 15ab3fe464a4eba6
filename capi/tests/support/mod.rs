//! What the tests that make containers share.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the test programs and what they need are made.
pub const OUT: &str = env!("CARGO_TARGET_TMPDIR");

/// A file of the tests.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// A bundle whose program ends with 3, in a folder of its own, that goes with it.
pub struct Bundle(PathBuf);

impl Bundle {
    /// `name` is one among the tests.
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("teu-capi-{name}-{}", std::process::id()));
        let rootfs = dir.join("bundle/rootfs");
        for folder in ["proc", "dev"] {
            fs::create_dir_all(rootfs.join(folder)).unwrap();
        }
        let flags = ["-Os", "-static", "-nostdlib", "-fno-stack-protector", "-fno-builtin", "-o"];
        let built = Command::new("cc").args(flags).arg(rootfs.join("guest")).arg(source("guest.c")).status();
        assert!(built.unwrap().success());
        let config = r#"{"ociVersion": "1.3.0", "root": {"path": "rootfs"},
            "process": {"cwd": "/", "args": ["/guest", "exit", "3"]},
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}}"#;
        fs::write(dir.join("bundle/config.json"), config).unwrap();
        Self(dir)
    }

    /// A program that makes containers from it.
    pub fn host(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut host = Command::new("timeout");
        host.arg("300").arg(program);
        host.env("TEU_TEST_BUNDLE", self.0.join("bundle")).env("TEU_TEST_ROOT", self.0.join("state"));
        host
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Containers need root.
pub fn privileged() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !root {
        eprintln!("skipped: not root");
    }
    root
}
