//! `cargo xt bench`: builds the release and measures it with the program `teu-bench` of benches.

use crate::artifact::{self, BENCH, TEU};
use crate::project::Project;
use crate::step::Step;
use crate::{lab, setup};

/// Rounds are many, and 5,000 containers take their time.
const LIMIT_SECONDS: u32 = 2 * 60 * 60;

/// The command. Arguments go to teu-bench.
pub fn run(project: &Project, args: &[String]) -> Result<(), String> {
    if !project.root_user {
        return Err("bench makes containers and needs root (uid 0 with CAP_SYS_ADMIN)".to_owned());
    }
    let setup = setup::prepare(project);
    let built = artifact::build(project, &[TEU, BENCH])?;
    let [teu, bench] = built.as_slice() else { return Err("the build gave no programs".to_owned()) };
    let mut step =
        Step::new("measure, in interleaved rounds", bench).arg("--teu").arg(teu).limit_seconds(LIMIT_SECONDS);
    if lab::ready(project) {
        step = step.arg("--lab").arg(lab::path(project));
    }
    let result = step.args(args).run(&project.root);
    setup.skips.iter().for_each(|skip| println!("not measured: {skip}"));
    result
}
