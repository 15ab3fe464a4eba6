//! `linux.seccomp` with an agent: who asks, who is told, and who may not be.

use serde_json::json;

use super::seccomp::{CALL, call, profile, rule};
use super::tests;
use crate::agent::{self, Agent};
use crate::bundle::Bundle;
use crate::ctx::{Ctx, refusal};
use crate::driver::Driver;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same};

tests! {
    an_agent_answers_for_the_kernel,
    an_agent_is_told_which_container_it_is_for,
    an_agent_that_is_gone_leaves_enosys,
    an_agent_may_watch_init_read,
    a_missing_agent_is_refused,
    sockets_of_agents_are_absolute_and_short,
    questions_that_nobody_could_answer_are_refused,
    the_receiver_of_the_annotation_is_an_agent,
    the_receiver_of_the_environment_is_an_agent,
}

/// The variable that names an agent.
const RECEIVER: &str = "RUN_OCI_SECCOMP_RECEIVER";

fn asking(ctx: &Ctx<'_>) -> Result<(Bundle, Agent), Trouble> {
    let mut bundle = ctx.bundle()?;
    let agent = Agent::at(agent::place(&bundle.dir)?)?;
    profile(&mut bundle, "SCMP_ACT_ALLOW", &[rule(&[CALL], "SCMP_ACT_NOTIFY")]);
    bundle.set("/linux/seccomp/listenerPath", agent.path.to_string_lossy());
    bundle
        .set("/linux/seccomp/listenerMetadata", "tenant \"seven\"\n")
        .set("/annotations", json!({ "a.b": "c" }));
    Ok((bundle, agent))
}

fn an_agent_answers_for_the_kernel(ctx: &Ctx<'_>) -> Outcome {
    for no_new_privileges in [true, false] {
        let (mut bundle, agent) = asking(ctx)?;
        let (first, second) = (call(&[11, 12]), call(&[13]));
        bundle.ops(&[&first, &second]).set("/process/noNewPrivileges", no_new_privileges);
        let mut container = ctx.created(&bundle)?;
        let (_, listener) = agent.hear()?;
        container.start()?;
        let question = agent::question(&listener)?;
        same!(i64::from(question.call), libc::SYS_sched_get_priority_max, "call");
        same!(question.args[..2], [11, 12], "arguments");
        same!(question.pid, container.pid, "pid in the agent's namespace");
        agent::answer(&listener, question.id, Err(77))?;
        let question = agent::question(&listener)?;
        same!(question.args[0], 13, "arguments");
        agent::answer(&listener, question.id, Ok(5))?;
        let report = container.report()?;
        same!((report.text(&first), report.text(&second)), ("errno 77", "ok"), "what the program gets");
        container.ended()?;
        container.delete()?;
    }
    Ok(())
}

fn an_agent_is_told_which_container_it_is_for(ctx: &Ctx<'_>) -> Outcome {
    let (bundle, agent) = asking(ctx)?;
    let container = ctx.created(&bundle)?;
    let (said, _listener) = agent.hear()?;
    same!(said["fds"], json!(["seccompFd"]), "descriptors");
    same!(said["pid"], container.pid, "pid");
    same!(said["metadata"], "tenant \"seven\"\n", "metadata");
    let version = said["ociVersion"].as_str().unwrap_or_default();
    check!(version.starts_with("1."), "version {version:?}");
    let state = &said["state"];
    same!(state["status"], "creating", "status");
    same!(state["id"], bundle.id, "id");
    same!(state["pid"], container.pid, "pid of the state");
    same!(state["bundle"], bundle.dir.to_string_lossy().as_ref(), "bundle");
    same!(state["annotations"]["a.b"], "c", "annotation");
    container.start()?;
    container.ended()?;
    container.delete()
}

/// Nobody but the agent has the listener, init neither: what waits for a dead agent would wait for ever.
fn an_agent_that_is_gone_leaves_enosys(ctx: &Ctx<'_>) -> Outcome {
    let (mut bundle, agent) = asking(ctx)?;
    let op = call(&[0]);
    let mut container = ctx.created(bundle.ops(&[&op]))?;
    drop(agent.hear()?);
    container.start()?;
    same!(container.report()?.text(&op), "errno 38", "answer");
    container.ended()?;
    container.delete()
}

/// init reads under the filter, before the caller goes on: the agent must have its listener by then.
fn an_agent_may_watch_init_read(ctx: &Ctx<'_>) -> Outcome {
    let (mut bundle, agent) = asking(ctx)?;
    bundle.set("/linux/seccomp/syscalls/0/names", ["read"]).ops(&["args"]);
    let watching = std::thread::spawn(move || agent.allow_all());
    let reply = ctx.run(&bundle);
    let watched = watching.join().map_err(|_| "the agent panicked")?;
    reply?.good()?;
    check!(watched? > 1, "the agent was not asked about init's reads");
    Ok(())
}

fn a_missing_agent_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let (bundle, agent) = asking(ctx)?;
    let path = agent.path.clone();
    drop(agent);
    let failed = ["failed to connect with seccomp agent"];
    ctx.refused(&bundle, &failed).map_err(|trouble| trouble.at("connection refused"))?;
    std::fs::remove_file(&path)?;
    ctx.refused(&bundle, &failed).map_err(|trouble| trouble.at("no socket"))
}

fn sockets_of_agents_are_absolute_and_short(ctx: &Ctx<'_>) -> Outcome {
    let (mut bundle, _agent) = asking(ctx)?;
    for path in ["agent.sock".to_owned(), format!("/{}", "x".repeat(107))] {
        bundle.set("/linux/seccomp/listenerPath", path);
        ctx.refused(&bundle, &["/linux/seccomp/listenerPath"])?;
    }
    Ok(())
}

fn questions_that_nobody_could_answer_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let (mut bundle, _agent) = asking(ctx)?;
    bundle.set("/linux/seccomp/syscalls/0/names", [CALL, "write"]);
    ctx.refused(&bundle, &["cannot be used for the write syscall"])?;
    bundle.set("/linux/seccomp/syscalls", json!([])).set("/linux/seccomp/defaultAction", "SCMP_ACT_NOTIFY");
    ctx.refused(&bundle, &["cannot be used as default action"])?;
    let (mut bundle, _agent) = asking(ctx)?;
    ctx.refused(bundle.remove("/linux/seccomp/listenerPath"), &["listenerPath is not set"])
}

fn the_receiver_of_the_annotation_is_an_agent(ctx: &Ctx<'_>) -> Outcome {
    let (mut bundle, agent) = asking(ctx)?;
    let op = call(&[0]);
    bundle.remove("/linux/seccomp/listenerPath").ops(&[&op]);
    bundle.set("/annotations", json!({ "run.oci.seccomp.receiver": agent.path.to_string_lossy() }));
    let mut container = ctx.created(&bundle)?;
    let (_, listener) = agent.hear()?;
    container.start()?;
    agent::answer(&listener, agent::question(&listener)?.id, Err(77))?;
    same!(container.report()?.text(&op), "errno 77", "answer");
    container.ended()?;
    container.delete()
}

/// For profiles that name no agent. Of the command alone: the library reads no variables.
fn the_receiver_of_the_environment_is_an_agent(ctx: &Ctx<'_>) -> Outcome {
    let (mut bundle, agent) = asking(ctx)?;
    let op = call(&[0]);
    bundle.remove("/linux/seccomp/listenerPath").ops(&[&op]);
    let with = |path: &str| Ok::<_, Trouble>(ctx.cli()?.behind(&["env", &format!("{RECEIVER}={path}")]));
    refusal(
        &with("agent.sock")?.run(ctx.new_of(&bundle)?),
        &["RUN_OCI_SECCOMP_RECEIVER: the seccomp receiver is not an absolute path"],
    )?;
    let cli = with(&agent.path.to_string_lossy())?;
    let answering = std::thread::spawn(move || {
        let (_, listener) = agent.hear()?;
        agent::answer(&listener, agent::question(&listener)?.id, Err(77))
    });
    let reply = cli.run(ctx.new_of(&bundle)?);
    answering.join().map_err(|_| "the agent panicked")??;
    same!(Report::parse(&reply.good()?.out)?.text(&op), "errno 77", "answer");
    Ok(())
}
