//! The lane `engines`: real clients with teu as their runtime, played by the program `teu-engines` in the Debian root that has them.

use crate::artifact::{self, TEU};
use crate::lab;
use crate::project::Project;
use crate::step::Step;
use crate::summary::Tally;
use crate::test;

pub fn run(project: &Project) -> Result<Tally, String> {
    let root = &lab::ENGINES;
    if let Err(reason) = root.build(project) {
        return Ok(Tally::skip(format!("the root filesystem with the engines: {reason}")));
    }
    let built = artifact::build(project, &[TEU, artifact::ENGINES])?;
    let [teu, engines] = built.as_slice() else { return Err("the build gave no programs".to_owned()) };
    let step = Step::new("let container engines work with teu, each in a sandbox of namespaces", engines)
        .arg("--root")
        .arg(root.path(project))
        .arg("--runtime")
        .arg(teu)
        .limit_seconds(900);
    test::tally(project, &step)
}
