//! The processes of a container.

use std::fs;

use super::tests;
use crate::ctx::{Container, Ctx, refusal};
use crate::host::Need;
use crate::{Outcome, Trouble, check, same};

const FREEZER: Need = Need::Controller("freezer");

tests! {
    ps_lists_every_process_of_the_cgroup_and_no_other [FREEZER],
    ps_of_a_created_container_is_init,
    ps_of_a_stopped_container_is_null,
    ps_of_an_unknown_container_is_refused,
    ps_as_a_table_keeps_the_header_and_the_containers_lines [Need::Cli],
    ps_passes_options_on [Need::Cli],
    ps_without_a_pid_column_is_refused [Need::Cli],
    ps_with_an_unknown_format_is_refused [Need::Cli],
    the_probes_for_checkpoint_and_restore_are_answered [Need::Cli],
}

fn pids(ctx: &Ctx<'_>, id: &str) -> Result<Vec<i32>, Trouble> {
    let text = ctx.driver.processes(id).good()?.out;
    let mut pids: Vec<i32> = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    pids.sort_unstable();
    Ok(pids)
}

/// A container with one process beside init.
fn two<'a>(ctx: &'a Ctx<'_>) -> Result<Container<'a>, Trouble> {
    let mut bundle = ctx.bundle()?;
    Ok(ctx.sleeping(&mut bundle, &["tree:1"])?.0)
}

fn ps_lists_every_process_of_the_cgroup_and_no_other(ctx: &Ctx<'_>) -> Outcome {
    let container = two(ctx)?;
    let dir = ctx.host.cgroup("freezer", &container.id).ok_or("no cgroup")?;
    let text = fs::read_to_string(dir.join("cgroup.procs"))?;
    let mut wanted: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    wanted.sort_unstable();
    same!(wanted.len(), 2, "processes in the cgroup");
    same!(pids(ctx, &container.id)?, wanted, "pids");
    check!(wanted.contains(&container.pid), "init {} is not among {wanted:?}", container.pid);
    Ok(())
}

fn ps_of_a_created_container_is_init(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&["sleep"]))?;
    same!(pids(ctx, &container.id)?, [container.pid], "pids");
    Ok(())
}

fn ps_of_a_stopped_container_is_null(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.started(bundle.ops(&[]))?;
    container.exit_code()?;
    same!(ctx.driver.processes(&container.id).good()?.out, "null\n", "output");
    Ok(())
}

fn ps_of_an_unknown_container_is_refused(ctx: &Ctx<'_>) -> Outcome {
    refusal(&ctx.driver.processes("nobody"), &["container does not exist"])
}

fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

fn ps_as_a_table_keeps_the_header_and_the_containers_lines(ctx: &Ctx<'_>) -> Outcome {
    let container = two(ctx)?;
    let wanted = pids(ctx, &container.id)?;
    for args in [vec!["ps", &container.id], vec!["ps", "-f", "table", &container.id]] {
        let text = ctx.cli()?.call(&args).good()?.out;
        let rows = rows(&text);
        let (header, lines) = rows.split_first().ok_or("no header")?;
        same!(header.get(..3), Some(["UID", "PID", "PPID"].as_slice()), "header");
        let mut seen: Vec<i32> = lines.iter().filter_map(|line| line.get(1)?.parse().ok()).collect();
        seen.sort_unstable();
        same!(seen, wanted, "pids of the table");
    }
    Ok(())
}

fn ps_passes_options_on(ctx: &Ctx<'_>) -> Outcome {
    let container = two(ctx)?;
    let text = ctx.cli()?.call(&["ps", &container.id, "-e", "-o", "comm,pid"]).good()?.out;
    let rows = rows(&text);
    same!(rows.first().map(Vec::as_slice), Some(["COMMAND", "PID"].as_slice()), "header");
    let init = ["probe".to_owned(), container.pid.to_string()];
    check!(rows.iter().any(|row| row.as_slice() == init), "init is not shown: {text}");
    same!(rows.len(), 3, "lines");
    Ok(())
}

fn ps_without_a_pid_column_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = two(ctx)?;
    refusal(&ctx.cli()?.call(&["ps", &container.id, "-e", "-o", "comm"]), &["PID"])?;
    refusal(&ctx.cli()?.call(&["ps", &container.id, "--no-such-option"]), &[])
}

fn ps_with_an_unknown_format_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = two(ctx)?;
    refusal(&ctx.cli()?.call(&["ps", "-f", "yaml", &container.id]), &["invalid format option"])
}

/// How engines ask, before they offer it to their users.
fn the_probes_for_checkpoint_and_restore_are_answered(ctx: &Ctx<'_>) -> Outcome {
    let cli = ctx.cli()?;
    for command in ["checkpoint", "restore"] {
        let help = cli.call(&[command, "--help"]).good()?.out;
        check!(help.starts_with("NAME:\n   ") && help.contains("--image-path"), "help of {command}: {help}");
    }
    let reply = cli.call(&["restore", "--lsm-mount-context"]);
    same!(reply.code, 1, "exit code");
    check!(reply.err.contains("flag needs an argument: --lsm-mount-context"), "text: {}", reply.err);
    Ok(())
}
