//! What is told of a container whose unit systemd has removed before anybody looked: its counters are gone.

use serde_json::json;

use super::exec::process;
use super::systemd::{is_gone, scoped, sleeping, unit};
use super::tests;
use crate::ctx::{Container, Ctx};
use crate::driver::Exec;
use crate::host::Need;
use crate::{Outcome, Trouble, check, same};

const MEMORY: Need = Need::Controller("memory");

tests! {
    memory_that_ran_out_is_told_when_its_counters_are_gone [Need::Systemd, Need::V2, MEMORY],
    who_was_killed_when_memory_ran_out_beside_him_is_not_told_that_his_did [Need::Systemd, Need::V2, MEMORY],
}

/// A container of which everybody dies when somebody takes more than 16 MiB.
fn limited<'a>(ctx: &'a Ctx<'_>) -> Result<Container<'a>, Trouble> {
    let mut bundle = scoped(ctx)?;
    bundle.set("/linux/resources/memory", json!({ "limit": 16 << 20, "swap": 16 << 20 }));
    bundle.set("/linux/resources/unified", json!({ "memory.oom.group": "1" }));
    sleeping(ctx, &mut bundle)
}

/// Takes too much and waits until there is nothing left of the container's cgroup.
fn runs_out(ctx: &Ctx<'_>, container: &Container<'_>) -> Outcome {
    let process = process(&["touch:268435456"]).to_string();
    let reply = ctx.driver.exec(Exec { id: &container.id, process, ..Exec::default() });
    same!(reply.code, 137, "exit code of the process that took too much");
    container.ended()?;
    is_gone(&unit(&container.id))
}

/// What is told up to the end: how often memory ran out. The command listens while it happens, so that it often finds the counters; the library looks afterwards.
fn told(ctx: &Ctx<'_>, container: &Container<'_>, act: &dyn Fn() -> Outcome) -> Result<usize, Trouble> {
    let text = ctx.driver.events(&container.id, &[act])?.good()?.out;
    check!(text.ends_with("end\n"), "the last line of {text}");
    Ok(text.matches("{\"type\":\"oom\"").count())
}

fn memory_that_ran_out_is_told_when_its_counters_are_gone(ctx: &Ctx<'_>) -> Outcome {
    let container = limited(ctx)?;
    same!(told(ctx, &container, &|| runs_out(ctx, &container))?, 1, "memory ran out once");
    container.delete()
}

fn who_was_killed_when_memory_ran_out_beside_him_is_not_told_that_his_did(ctx: &Ctx<'_>) -> Outcome {
    let (container, other) = (limited(ctx)?, limited(ctx)?);
    let killed = || {
        runs_out(ctx, &other)?;
        container.kill("KILL")?;
        container.ended()?;
        is_gone(&unit(&container.id))
    };
    same!(told(ctx, &container, &killed)?, 0, "memory ran out");
    container.delete()
}
