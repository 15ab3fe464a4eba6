//! Release builds as they would be shipped: static programs, in a target folder of their own.

use crate::project::Project;
use crate::step::Step;
use std::path::PathBuf;

/// A program of the workspace: its package and its file.
#[derive(Clone, Copy)]
pub struct Artifact {
    package: &'static str,
    file: &'static str,
}

pub const TEU: Artifact = Artifact { package: "teu-cli", file: "teu" };
pub const CONFORMANCE: Artifact = Artifact { package: "teu-conformance", file: "teu-conformance" };
pub const WITHOUT: Artifact = Artifact { package: "teu-conformance", file: "teu-without" };
pub const ENGINES: Artifact = Artifact { package: "teu-engines", file: "teu-engines" };
pub const RECORDER: Artifact = Artifact { package: "teu-engines", file: "teu-recorder" };
pub const DEMO: Artifact = Artifact { package: "teu-conformance", file: "teu-demo" };
pub const BENCH: Artifact = Artifact { package: "teu-bench", file: "teu-bench" };

/// Builds `artifacts` for the machine's own target and returns their paths in the same order.
pub fn build(project: &Project, artifacts: &[Artifact]) -> Result<Vec<PathBuf>, String> {
    build_for(project, &project.triple()?, artifacts, None, "")
}

/// The same for another target that the toolchain has, with a setting of cargo and more flags for rustc.
pub fn build_for(
    project: &Project,
    triple: &str,
    artifacts: &[Artifact],
    setting: Option<(&'static str, &str)>,
    flags: &str,
) -> Result<Vec<PathBuf>, String> {
    // A folder of its own: other RUSTFLAGS in the same one would rebuild everything at each change of command.
    let target = project.target.join("static");
    let mut step = Step::new("build the release, static as it is shipped", &project.cargo)
        .args(["build", "--release", "--target", triple, "--target-dir"])
        .arg(&target)
        .args(project.locked())
        .env(
            "RUSTFLAGS",
            format!("-C target-feature=+crt-static -C relocation-model=static {flags}").trim_end(),
        );
    if let Some((name, value)) = setting {
        step = step.env(name, value);
    }
    for artifact in artifacts {
        step = step.args(["--package", artifact.package, "--bin", artifact.file]);
    }
    step.run(&project.root)?;
    let dir = target.join(triple).join("release");
    artifacts.iter().map(|artifact| existing(dir.join(artifact.file))).collect()
}

/// `path`, if it is there.
pub fn existing(path: PathBuf) -> Result<PathBuf, String> {
    if path.is_file() { Ok(path) } else { Err(format!("{} was not built", path.display())) }
}
