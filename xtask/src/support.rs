//! `cargo xt spec-support`: measures which fields of the specification the behaviours set, and writes the page about it.

use crate::Failure;
use crate::project::Project;
use crate::setup;
use crate::step::Step;
use crate::test::Suite;

/// What the suite saw, kept beside it: the page can then be made without root.
const COVERAGE: &str = "conformance/coverage.txt";

/// The command. Without root the coverage stays as it is.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    if let Some(arg) = args.first() {
        Err(format!("spec-support takes no \"{arg}\""))?;
    }
    if project.root_user {
        measure(project)?;
    } else {
        println!("Not root: {COVERAGE} stays as it is.");
    }
    let page = Step::new("write docs/spec-support.md", &project.cargo)
        .args(["test", "--quiet", "--package", "teu-conformance", "--test", "spec_support"])
        .args(project.locked())
        .env("BLESS", "1");
    Ok(page.run(&project.root)?)
}

fn measure(project: &Project) -> Result<(), String> {
    setup::prepare(project);
    let suite = Suite::build(project)?;
    let measured = project.lab().join("coverage.txt");
    let _ = std::fs::remove_file(&measured);
    for view in ["native", "v2"] {
        suite.coverage(view, &measured).run(&project.root)?;
    }
    let kept = project.root.join(COVERAGE);
    std::fs::copy(&measured, &kept).map_err(|error| format!("{}: {error}", kept.display()))?;
    Ok(())
}
