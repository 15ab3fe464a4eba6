//! Pause and resume: seen from outside, by a file that grows while the container runs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::tests;
use crate::ctx::{Container, Ctx, refusal};
use crate::host::Need;
use crate::sys::PATIENCE;
use crate::{Outcome, Trouble, check, same};

const FREEZER: Need = Need::Controller("freezer");

tests! {
    a_paused_container_stands_and_a_resumed_one_goes_on [FREEZER],
    everything_stands_when_pause_returns [FREEZER],
    a_created_container_can_be_paused_and_starts_afterwards [FREEZER],
    pausing_twice_is_refused [FREEZER],
    resuming_what_is_not_paused_is_refused [FREEZER],
    a_stopped_container_is_neither_paused_nor_resumed [FREEZER],
    an_unknown_container_is_neither_paused_nor_resumed,
    exec_into_a_paused_container_is_refused [FREEZER, Need::Cli],
    a_paused_container_dies_of_a_kill [FREEZER],
    a_paused_container_is_deleted_only_by_force [FREEZER],
    a_container_without_a_cgroup_cannot_be_paused [Need::Cli, Need::Cgroupfs],
}

/// A container that makes `file` grow.
fn counting<'a>(ctx: &'a Ctx<'_>) -> Result<(Container<'a>, std::path::PathBuf), Trouble> {
    let mut bundle = ctx.bundle()?;
    let file = bundle.file("counted/file", ".", 0o644)?;
    bundle.bind(&bundle.path("counted"), "/count", &["bind", "rw"]);
    let container = ctx.started(bundle.ops(&["count:/count/file"]))?;
    grows(&file)?;
    Ok((container, file))
}

fn length(file: &Path) -> Result<u64, Trouble> {
    Ok(fs::metadata(file)?.len())
}

fn grows(file: &Path) -> Outcome {
    let (before, deadline) = (length(file)?, Instant::now() + PATIENCE);
    while length(file)? == before {
        check!(Instant::now() < deadline, "the container does not run");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The name of the file that tells whether all stand, and what it has then.
fn stands(ctx: &Ctx<'_>) -> (&'static str, &'static str) {
    if ctx.host.is_v2() { ("cgroup.events", "frozen 1") } else { ("freezer.state", "FROZEN") }
}

fn a_paused_container_stands_and_a_resumed_one_goes_on(ctx: &Ctx<'_>) -> Outcome {
    let (container, file) = counting(ctx)?;
    for _ in 0..2 {
        ctx.driver.pause(&container.id).good()?;
        same!(container.status()?, "paused", "status");
        let before = length(&file)?;
        std::thread::sleep(Duration::from_millis(50));
        same!(length(&file)?, before, "length of the file while paused");
        ctx.driver.resume(&container.id).good()?;
        same!(container.status()?, "running", "status");
        grows(&file)?;
    }
    Ok(())
}

fn everything_stands_when_pause_returns(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &["tree:100"])?;
    let dir = ctx.host.cgroup("freezer", &container.id).ok_or("no freezer")?;
    let (file, words) = stands(ctx);
    for _ in 0..10 {
        ctx.driver.pause(&container.id).good()?;
        let text = fs::read_to_string(dir.join(file))?;
        check!(text.lines().any(|line| line == words), "{file} while paused: {text}");
        ctx.driver.resume(&container.id).good()?;
    }
    Ok(())
}

fn a_created_container_can_be_paused_and_starts_afterwards(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let mut container = ctx.created(bundle.ops(&["pid", "sleep"]))?;
    ctx.driver.pause(&container.id).good()?;
    same!(container.status()?, "paused", "status");
    refusal(&ctx.driver.start(&container.id), &["cannot start a container in the paused state"])?;
    ctx.driver.resume(&container.id).good()?;
    same!(container.status()?, "created", "status");
    container.start()?;
    same!(container.report()?.field("pid", "pid"), "1", "pid");
    Ok(())
}

fn pausing_twice_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    ctx.driver.pause(&container.id).good()?;
    refusal(&ctx.driver.pause(&container.id), &["container not running", "container paused"])?;
    same!(container.status()?, "paused", "status after the refusal");
    Ok(())
}

fn resuming_what_is_not_paused_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&["sleep"]))?;
    refusal(&ctx.driver.resume(&container.id), &["container not paused"])?;
    container.start()?;
    refusal(&ctx.driver.resume(&container.id), &["container not paused"])?;
    same!(container.status()?, "running", "status after the refusals");
    Ok(())
}

fn a_stopped_container_is_neither_paused_nor_resumed(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.started(bundle.ops(&[]))?;
    container.ended()?;
    refusal(&ctx.driver.pause(&container.id), &["container not running"])?;
    refusal(&ctx.driver.resume(&container.id), &["container not paused"])?;
    same!(container.status()?, "stopped", "status after the refusals");
    container.delete()
}

fn an_unknown_container_is_neither_paused_nor_resumed(ctx: &Ctx<'_>) -> Outcome {
    refusal(&ctx.driver.pause("nobody"), &["container does not exist"])?;
    refusal(&ctx.driver.resume("nobody"), &["container does not exist"])
}

fn exec_into_a_paused_container_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    ctx.driver.pause(&container.id).good()?;
    let reply = ctx.cli()?.call(&["exec", &container.id, "/probe", "exit:0"]);
    same!(reply.code, 255, "exit code");
    check!(reply.err.contains("cannot exec in a paused container"), "text: {}", reply.err);
    ctx.driver.resume(&container.id).good()?;
    ctx.cli()?.call(&["exec", &container.id, "/probe", "exit:0"]).good()?;
    Ok(())
}

fn a_paused_container_dies_of_a_kill(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = counting(ctx)?;
    ctx.driver.pause(&container.id).good()?;
    container.kill("KILL")?;
    container.ended()?;
    same!(container.status()?, "stopped", "status");
    container.delete()
}

fn a_paused_container_is_deleted_only_by_force(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = counting(ctx)?;
    ctx.driver.pause(&container.id).good()?;
    refusal(&ctx.driver.delete(&container.id, false), &["that is not stopped: paused"])?;
    same!(container.status()?, "paused", "status after the refusal");
    container.delete_by_force()
}

fn a_container_without_a_cgroup_cannot_be_paused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.remove("/linux/cgroupsPath").remove("/linux/resources").ops(&["sleep"]).write()?;
    let (cli, dir) = (ctx.cli()?, bundle.dir.to_string_lossy().into_owned());
    cli.call(&["--cgroup-manager", "disabled", "run", "-d", "-b", &dir, &bundle.id]).good()?;
    let refused = [cli.call(&["pause", &bundle.id]), cli.call(&["ps", &bundle.id])];
    let pid = ctx.state(&bundle.id)?["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    ctx.driver.delete(&bundle.id, true).good()?;
    crate::sys::reap_one(pid.ok_or("no pid")?);
    for reply in refused {
        refusal(&reply, &["cgroup not exist"])?;
    }
    Ok(())
}
