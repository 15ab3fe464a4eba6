//! Real clients with teu as their runtime, by the program `teu-engines` in the Debian root that has them: the lane `engines`, and the recording
//! of what they call.

use crate::Failure;
use crate::artifact::{self, ENGINES, RECORDER, TEU};
use crate::lab;
use crate::project::Project;
use crate::step::Step;
use crate::summary::Tally;
use crate::test;
use std::path::PathBuf;

/// What the clients called, kept for the tests that need no client.
const CORPUS: &str = "engines/corpus";

/// The lane. It makes the root filesystem itself, because no other lane needs it.
pub fn lane(project: &Project) -> Result<Tally, String> {
    if let Err(reason) = lab::ENGINES.build(project) {
        return Ok(Tally::skip(format!("the root filesystem with the engines: {reason}")));
    }
    test::tally(project, &step(project, "let container engines work with teu, in a sandbox of namespaces")?.0)
}

/// `cargo xt engines`: other things than the lane. `--record` writes the corpus anew, `--race N` takes times; both need root.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    lab::ENGINES.build(project)?;
    let (step, recorder) = step(project, "let container engines work with teu, in a sandbox of namespaces")?;
    let corpus = project.root.join(CORPUS);
    let step = match args {
        [flag] if flag == "--record" => {
            empty(&corpus).map_err(|error| format!("{CORPUS}: {error}"))?;
            step.arg("--recorder").arg(recorder).arg("--record").arg(corpus)
        }
        args => step.args(args),
    };
    Ok(step.run(&project.root)?)
}

/// The run of `teu-engines`, and the recorder that was built with it.
fn step(project: &Project, why: &str) -> Result<(Step, PathBuf), String> {
    let built = artifact::build(project, &[TEU, ENGINES, RECORDER])?;
    let [teu, engines, recorder] = built.as_slice() else {
        return Err("the build gave no programs".to_owned());
    };
    let step = Step::new(why, engines).arg("--root").arg(lab::ENGINES.path(project));
    Ok((step.arg("--runtime").arg(teu).limit_seconds(900), recorder.clone()))
}

/// Cases that have another name now would stay otherwise.
fn empty(corpus: &std::path::Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(corpus)?;
    std::fs::create_dir_all(corpus)
}
