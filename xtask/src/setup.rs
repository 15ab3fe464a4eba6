//! `cargo xt setup`: brings a Debian machine to where every test can run. It may be run again at any time.

use crate::Failure;
use crate::lab::LAB;
use crate::packages;
use crate::project::Project;
use crate::summary::Tally;

/// The command: what could not be had is said, and is no error.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    if let Some(arg) = args.first() {
        Err(format!("setup takes no argument, got \"{arg}\""))?;
    }
    let tally = prepare(project);
    for skip in &tally.skips {
        println!("missing: {skip}");
    }
    println!("{} of {} present", tally.passed, tally.passed + tally.skipped);
    Ok(())
}

/// Installs and builds what is missing. Passed: what is there. Skipped: what is not, and why.
pub fn prepare(project: &Project) -> Tally {
    let mut tally = install_packages(project);
    let lab = if project.root_user { LAB.build(project) } else { Err("debootstrap needs root".to_owned()) };
    match lab {
        _ if LAB.ready(project) => tally.passed += 1,
        Err(reason) => {
            skip(&mut tally, format!("the lab (a real Debian rootfs, runc and crun inside): {reason}"))
        }
        Ok(()) => skip(&mut tally, "the lab: it was built and is not there".to_owned()),
    }
    tally
}

fn install_packages(project: &Project) -> Tally {
    let missing = packages::missing(project);
    let installed = match missing.as_slice() {
        [] => Ok(()),
        _ if !project.root_user => Err("not root, apt-get not tried".to_owned()),
        packages => packages::install(project, packages),
    };
    let still_missing = packages::missing(project);
    let mut tally =
        Tally { passed: packages::PACKAGES.len() - still_missing.len(), closed: true, ..Tally::default() };
    let reason = installed.err().unwrap_or_else(|| "installed, but not found afterwards".to_owned());
    for package in still_missing {
        skip(&mut tally, format!("{} ({}): {reason}", package.name, package.why));
    }
    tally
}

fn skip(tally: &mut Tally, reason: String) {
    tally.skipped += 1;
    tally.skips.push(reason);
}
