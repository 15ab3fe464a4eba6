//! `cargo xt demo`: one container's life, shown by the program `teu-demo` of conformance.

use crate::Failure;
use crate::artifact::{self, DEMO, TEU};
use crate::project::Project;
use crate::step::Step;

/// The command. Arguments go to teu-demo.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    if !project.root_user {
        println!("Not root: no container can be made, so the demo shows what is decided before one is.");
        println!("For the rest: sudo -E env \"PATH=$PATH\" cargo xt demo");
    }
    let built = artifact::build(project, &[TEU, DEMO])?;
    let [teu, demo] = built.as_slice() else { Err("the build gave no programs".to_owned())? };
    let step =
        Step::new("show one container's life", demo).arg("--teu").arg(teu).args(args).limit_seconds(300);
    Ok(step.run(&project.root)?)
}
