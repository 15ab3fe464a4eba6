//! `cargo xt bench`: builds the release and measures it with the program `teu-bench` of benches.

use crate::Failure;
use crate::artifact::{self, BENCH, TEU};
use crate::lab::LAB;
use crate::project::Project;
use crate::step::Step;
use crate::{dist, musl, setup};
use std::path::{Path, PathBuf};

/// Rounds are many, and 5,000 containers take their time.
const LIMIT_SECONDS: u32 = 2 * 60 * 60;

/// The command. Leading words are sections (`cargo xt bench scale`); the rest goes to teu-bench as it is.
pub fn run(project: &Project, args: &[String]) -> Result<(), Failure> {
    if !project.root_user {
        Err("bench makes containers and needs root (uid 0 with CAP_SYS_ADMIN)".to_owned())?;
    }
    let setup = setup::prepare(project);
    let built = artifact::build(project, &[BENCH])?;
    let [bench] = built.as_slice() else { Err("the build gave no program".to_owned())? };
    let teu = command(project)?;
    let mut step =
        Step::new("measure, in interleaved rounds", bench).arg("--teu").arg(teu).limit_seconds(LIMIT_SECONDS);
    match engine(project) {
        Ok(engine) => step = step.arg("--c").arg(engine),
        Err(reason) => println!("not measured: libteu by C: {reason}"),
    }
    if LAB.ready(project) {
        step = step.arg("--lab").arg(LAB.path(project));
    }
    let result = step.args(bench_args(args)).run(&project.root);
    setup.skips.iter().for_each(|skip| println!("not measured: {skip}"));
    Ok(result?)
}

/// The command as it is shipped; where that cannot be built, the glibc one, and its figures say so.
fn command(project: &Project) -> Result<PathBuf, String> {
    match musl::build(project) {
        Ok(path) => Ok(path),
        Err(reason) => {
            println!("The command is measured as a static glibc program, which starts slower: {reason}");
            let built = artifact::build(project, &[TEU])?;
            built.into_iter().next().ok_or_else(|| "the build gave no program".to_owned())
        }
    }
}

/// The worker in C with the library as it is shipped, static.
fn engine(project: &Project) -> Result<PathBuf, String> {
    let prefix = project.target.join("dist/prefix");
    dist::install(project, &prefix, Path::new(""))?;
    let engine = project.target.join("dist/bench-engine");
    let step = Step::new("build the worker in C", "cc")
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-I"]);
    let step =
        step.arg(prefix.join("include")).arg("benches/programs/engine.c").arg(prefix.join("lib/libteu.a"));
    // What is not called is left out, as rustc has it left out of the host in Rust.
    step.args(["-Wl,--gc-sections", "-lpthread", "-lm", "-o"]).arg(&engine).run(&project.root)?;
    Ok(engine)
}

/// `scale --quick` becomes `--only scale --quick`.
fn bench_args(args: &[String]) -> Vec<&str> {
    let sections = args.iter().take_while(|arg| !arg.starts_with('-')).count();
    let only = args.iter().take(sections).flat_map(|section| ["--only", section]);
    only.chain(args.iter().skip(sections).map(String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::bench_args;

    #[test]
    fn leading_words_are_sections_and_a_value_of_a_flag_is_not() {
        let args = ["one", "scale", "--json", "file"].map(str::to_owned);
        assert_eq!(bench_args(&args), ["--only", "one", "--only", "scale", "--json", "file"]);
    }
}
