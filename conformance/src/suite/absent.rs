//! Kernels that lack a call: teu works by another way, or says in one line which call it is and which Linux has it. Never a hang, nothing left.

use std::path::PathBuf;

use serde_json::json;

use super::exec::process;
use super::tests;
use crate::bundle::Bundle;
use crate::ctx::{Ctx, refusal};
use crate::driver::{Cli, Driver, Exec, Reply};
use crate::host::Need;
use crate::{Outcome, Trouble, check, same};

tests! {
    without_openat2 [Need::Cli],
    without_clone3 [Need::Cli],
    without_close_range [Need::Cli],
    without_pidfd_open [Need::Cli],
    without_pidfd_send_signal [Need::Cli],
    without_fsopen [Need::Cli],
    without_fsconfig [Need::Cli],
    without_fsmount [Need::Cli],
    without_open_tree [Need::Cli],
    without_move_mount [Need::Cli],
    without_memfd_create [Need::Cli],
    without_execveat [Need::Cli],
    without_mount_setattr_nothing_plain_is_lost [Need::Cli],
    without_the_flag_of_executable_memory_nothing_is_lost [Need::Cli],
    without_bpf_no_container_is_made_that_may_open_every_device [Need::Cli, Need::V2, Need::Root],
}

fn without_openat2(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "openat2", "Linux 5.6")
}

fn without_clone3(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "clone3", "Linux 5.7")
}

fn without_close_range(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "close_range", "Linux 5.9")
}

fn without_pidfd_open(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "pidfd_open", "Linux 5.3")
}

fn without_pidfd_send_signal(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "pidfd_send_signal", "Linux 5.1")
}

fn without_fsopen(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "fsopen", "Linux 5.2")
}

fn without_fsconfig(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "fsconfig", "Linux 5.2")
}

fn without_fsmount(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "fsmount", "Linux 5.2")
}

fn without_open_tree(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "open_tree", "Linux 5.2")
}

fn without_move_mount(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "move_mount", "Linux 5.2")
}

fn without_memfd_create(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "memfd_create", "Linux 3.17")
}

fn without_execveat(ctx: &Ctx<'_>) -> Outcome {
    absent(ctx, "execveat", "Linux 3.19")
}

/// 5.12, and the oldest kernel that teu knows is 5.10.
fn without_mount_setattr_nothing_plain_is_lost(ctx: &Ctx<'_>) -> Outcome {
    whole(ctx, "mount_setattr")
}

/// 6.3.
fn without_the_flag_of_executable_memory_nothing_is_lost(ctx: &Ctx<'_>) -> Outcome {
    whole(ctx, "MFD_EXEC")
}

/// The filter is loaded while init makes the container or, for hooks, before there is an init. Refused, it takes back what there is by then.
fn without_bpf_no_container_is_made_that_may_open_every_device(ctx: &Ctx<'_>) -> Outcome {
    let launcher = launcher()?;
    let without = ctx.cli()?.behind(&[&launcher.to_string_lossy(), "bpf", "--"]);
    for hooks in [json!(null), json!({ "poststop": [] })] {
        let mut bundle = bundle(ctx)?;
        if !hooks.is_null() {
            bundle.set("/hooks", hooks);
        }
        let reply = without.create(ctx.new_of(bundle.ops(&["sleep"]))?);
        refusal(&reply, &["device filter of "])?;
        refusal(&reply, &["lacks this call: bpf (Linux 4.15)"])?;
        check!(ctx.driver.state(&bundle.id).code != 0, "the container exists after a failed create");
    }
    Ok(())
}

/// A call that teu may refuse to work without.
fn absent(ctx: &Ctx<'_>, call: &str, since: &str) -> Outcome {
    lives(ctx, call, &|verb, reply, code| {
        if reply.code == code {
            return Ok(());
        }
        // What `exec` could not start ends with 255, as with runc.
        let code = if verb == "exec" && reply.code == 255 { 1 } else { reply.code };
        let reply = Reply { code, ..reply.clone() };
        let said = refusal(&reply, &[call]).and_then(|()| refusal(&reply, &[since]));
        said.map_err(|trouble| trouble.at(verb))
    })
}

/// A call that is younger than the oldest kernel.
fn whole(ctx: &Ctx<'_>, call: &str) -> Outcome {
    lives(ctx, call, &|verb, reply, code| {
        same!(reply.code, code, "{verb}: exit code; stderr {:?}", reply.err);
        Ok(())
    })
}

type Judge<'a> = &'a dyn Fn(&str, &Reply, i32) -> Outcome;

/// What becomes of a new container, and of one that was made while the call was there.
fn lives(ctx: &Ctx<'_>, call: &str, judge: Judge<'_>) -> Outcome {
    let launcher = launcher()?;
    let without = ctx.cli()?.behind(&[&launcher.to_string_lossy(), call, "--"]);
    judge("run", &without.run(ctx.new_of(bundle(ctx)?.ops(&["exit:7"]))?), 7)?;
    let mut bundle = bundle(ctx)?;
    let new = ctx.new_of(bundle.ops(&["sleep"]))?;
    let reply = without.create(new);
    judge("create", &reply, 0)?;
    if reply.code == 0 {
        judge("start", &without.start(&bundle.id), 0)?;
        judge("delete", &without.delete(&bundle.id, true), 0)?;
    }
    // Whatever it could not do: with every call it can.
    let _ = ctx.driver.delete(&bundle.id, true);
    check!(ctx.driver.state(&bundle.id).code != 0, "the container still exists");
    on_another(ctx, &without, judge)
}

fn on_another(ctx: &Ctx<'_>, without: &Cli, judge: Judge<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut bundle(ctx)?, &[])?;
    let id = container.id.as_str();
    judge("state", &without.state(id), 0)?;
    judge("list", &without.list(), 0)?;
    judge("ps", &without.processes(id), 0)?;
    judge("stats", &without.stats(id), 0)?;
    if ctx.host.controller("pids").is_some() {
        judge("update", &without.update(id, r#"{"pids": {"limit": 100}}"#), 0)?;
    }
    judge(
        "exec",
        &without.exec(Exec { id, process: process(&["exit:7"]).to_string(), ..Exec::default() }),
        7,
    )?;
    judge("pause", &without.pause(id), 0)?;
    ctx.driver.pause(id);
    judge("resume", &without.resume(id), 0)?;
    ctx.driver.resume(id);
    judge("kill", &without.kill(id, "KILL", false), 0)?;
    ctx.driver.kill(id, "KILL", false);
    container.ended()?;
    judge("delete", &without.delete(id, false), 0)
}

/// With mounts of each kind: bound, of a new filesystem, read-only.
fn bundle(ctx: &Ctx<'_>) -> Result<Bundle, Trouble> {
    let mut bundle = ctx.bundle()?;
    let source = ctx.dir.to_string_lossy();
    bundle.mount("/bound", "bind", &source, &["bind", "ro", "nosuid"]);
    Ok(bundle)
}

/// The program that takes calls away is built beside the suite.
fn launcher() -> Result<PathBuf, Trouble> {
    let place = std::env::current_exe()?.with_file_name("teu-without");
    if place.is_file() { Ok(place) } else { Err(Trouble::Skipped("teu-without was not built".into())) }
}
