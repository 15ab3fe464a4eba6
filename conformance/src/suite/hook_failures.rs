//! `hooks`: what a failure means, and what is left of those that are interrupted.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::hooks::{OF_CREATE, alive, shell, waiting, written};
use super::tests;
use crate::bundle::Bundle;
use crate::ctx::{Ctx, refusal};
use crate::driver::Reply;
use crate::host::Need;
use crate::{Outcome, check, same, sys};

tests! {
    a_failing_hook_of_create_leaves_nothing_and_says_why,
    a_hook_that_does_not_exist_is_a_failure_when_it_runs,
    a_hook_that_takes_too_long_is_killed_with_its_children,
    a_failing_start_container_hook_ends_the_container,
    a_start_container_hook_that_takes_too_long_ends_the_container [Need::Busybox],
    a_failing_poststart_hook_kills_the_container,
    a_program_that_cannot_be_executed_is_an_error_of_start_with_hooks,
    failing_poststop_hooks_are_warnings,
    a_foreground_run_with_a_failing_hook_leaves_nothing,
    a_delete_by_force_ends_a_create_that_hangs_in_a_hook [Need::Cli],
    a_creator_killed_while_a_hook_runs_leaves_what_delete_can_remove [Need::Cli],
    a_start_killed_while_a_hook_runs_leaves_what_delete_can_remove [Need::Cli, Need::Busybox],
}

fn a_failing_hook_of_create_leaves_nothing_and_says_why(ctx: &Ctx<'_>) -> Outcome {
    for kind in OF_CREATE {
        let mut bundle = ctx.bundle()?;
        let last = ctx.dir.join(format!("poststop-{kind}"));
        bundle.push(&format!("/hooks/{kind}"), shell("exit 0"));
        bundle.push(&format!("/hooks/{kind}"), shell("echo to out; echo to err >&2; exit 3"));
        bundle.push(&format!("/hooks/{kind}"), shell(&format!("touch {}-next", last.display())));
        bundle.push("/hooks/poststop", shell(&format!("cat > {}", last.display())));
        let why = format!("error running {kind} hook #1: exit status 3, stdout: to out, stderr: to err");
        ctx.refused(bundle.ops(&["sleep"]), &[&why]).map_err(|trouble| trouble.at(kind))?;
        let state = fs::read_to_string(&last).map_err(|_| format!("{kind}: poststop hooks did not run"))?;
        check!(state.contains("\"status\":\"stopped\""), "{kind}: state of poststop: {state}");
        check!(
            !Path::new(&format!("{}-next", last.display())).exists(),
            "the hook after a failed {kind} hook ran"
        );
        check!(!ctx.driver.root().join(&bundle.id).exists(), "the state directory is left");
    }
    Ok(())
}

fn a_hook_that_does_not_exist_is_a_failure_when_it_runs(ctx: &Ctx<'_>) -> Outcome {
    for kind in OF_CREATE {
        let mut bundle = ctx.bundle()?;
        let mark = ctx.dir.join(format!("before-{kind}"));
        bundle.push(&format!("/hooks/{kind}"), shell(&format!("touch {}", mark.display())));
        bundle.push(&format!("/hooks/{kind}"), json!({ "path": "/nosuch/hook" }));
        ctx.refused(bundle.ops(&["sleep"]), &["/nosuch/hook: no such file or directory"])?;
        check!(mark.exists(), "the {kind} hook before it did not run");
    }
    Ok(())
}

fn a_hook_that_takes_too_long_is_killed_with_its_children(ctx: &Ctx<'_>) -> Outcome {
    for kind in OF_CREATE {
        let mut bundle = ctx.bundle()?;
        let mark = format!("{}-{kind}", bundle.id);
        let mut hook = shell(&format!("sleep 1000 & exec sh -c 'sleep 1000; : {mark}'"));
        hook["timeout"] = json!(1);
        bundle.push(&format!("/hooks/{kind}"), hook);
        ctx.refused(bundle.ops(&["sleep"]), &["hook ran past specified timeout of 1.0s"])
            .map_err(|trouble| trouble.at(kind))?;
        check!(!alive(&mark)?, "a process of the {kind} hook lives");
    }
    Ok(())
}

/// Start fails with one of the words, and the container is stopped and can be deleted, with its last hooks.
fn failed_start(ctx: &Ctx<'_>, bundle: &mut Bundle, words: &[&str]) -> Outcome {
    let last = ctx.dir.join(format!("last-{}", bundle.id));
    bundle.push("/hooks/poststop", shell(&format!("touch {}", last.display())));
    let container = ctx.created(bundle)?;
    refusal(&ctx.driver.start(&container.id), words)?;
    container.ended()?;
    same!(container.status()?, "stopped", "status");
    check!(!last.exists(), "poststop hooks ran before delete");
    container.delete()?;
    check!(last.exists(), "poststop hooks did not run");
    Ok(())
}

fn a_failing_start_container_hook_ends_the_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push(
        "/hooks/startContainer",
        json!({ "path": "/probe", "args": ["probe", "print:said", "exit:4"] }),
    );
    failed_start(
        ctx,
        bundle.ops(&["sleep"]),
        &["error running startContainer hook #0: exit status 4, stdout: said"],
    )?;
    let mut bundle = ctx.bundle()?;
    bundle.push("/hooks/startContainer", json!({ "path": "/nosuch" }));
    failed_start(ctx, bundle.ops(&["sleep"]), &["/nosuch: no such file or directory"])
}

fn a_start_container_hook_that_takes_too_long_ends_the_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.busybox(&["sh", "sleep"])?;
    let args = ["sh", "-c", "sleep 1000 & sleep 1000"];
    bundle.push("/hooks/startContainer", json!({ "path": "/bin/sh", "args": args, "timeout": 1 }));
    failed_start(ctx, bundle.ops(&["sleep"]), &["hook ran past specified timeout of 1.0s"])
}

fn a_failing_poststart_hook_kills_the_container(ctx: &Ctx<'_>) -> Outcome {
    for pid_namespace in [true, false] {
        let mut bundle = ctx.bundle()?;
        if !pid_namespace {
            bundle.without_namespace("pid");
        }
        bundle.push("/hooks/poststart", shell("echo no; exit 1"));
        let words = ["error running poststart hook #0: exit status 1, stdout: no"];
        failed_start(ctx, bundle.ops(&["deaf", "sleep"]), &words)?;
    }
    Ok(())
}

/// Without hooks nobody hears of it.
fn a_program_that_cannot_be_executed_is_an_error_of_start_with_hooks(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.file("/empty", "", 0o755)?;
    bundle.push("/hooks/poststart", shell("exit 0"));
    failed_start(ctx, bundle.args(&["/empty"]), &["exec format error"])
}

fn failing_poststop_hooks_are_warnings(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let mark = ctx.dir.join("second");
    bundle.push("/hooks/poststop", shell("echo bad >&2; exit 1"));
    bundle.push("/hooks/poststop", json!({ "path": "/nosuch" }));
    bundle.push("/hooks/poststop", shell(&format!("touch {}", mark.display())));
    let container = ctx.started(bundle.ops(&["exit:0"]))?;
    container.ended()?;
    // A command says at its default level what ends it, and nothing else.
    let reply = match ctx.driver.cli() {
        Some(cli) => cli.call(&["--log-level", "warning", "delete", &container.id]),
        None => ctx.driver.delete(&container.id, false),
    };
    same!(reply.code, 0, "exit code of delete; {:?}", reply.err);
    check!(mark.exists(), "the hook after a failed one did not run");
    for words in
        ["level=warning", "error running poststop hook #0: exit status 1, stdout: , stderr: bad", "hook #1"]
    {
        check!(reply.err.contains(words), "delete does not say {words:?}: {}", reply.err);
    }
    Ok(())
}

fn a_foreground_run_with_a_failing_hook_leaves_nothing(ctx: &Ctx<'_>) -> Outcome {
    for kind in ["prestart", "createContainer", "startContainer", "poststart"] {
        let mut bundle = ctx.bundle()?;
        let mark = ctx.dir.join(format!("last-{kind}"));
        let bad = match kind {
            "startContainer" => json!({ "path": "/probe", "args": ["probe", "exit:1"] }),
            _ => shell("exit 1"),
        };
        bundle.push(&format!("/hooks/{kind}"), bad);
        bundle.push("/hooks/poststop", shell(&format!("touch {}", mark.display())));
        let reply = ctx.run(bundle.ops(&["sleep"]))?;
        refusal(&reply, &[&format!("error running {kind} hook #0: exit status 1")])?;
        check!(mark.exists(), "no poststop hook after a failed {kind} hook");
        check!(ctx.driver.state(&bundle.id).code != 0, "the container is left");
    }
    Ok(())
}

fn a_delete_by_force_ends_a_create_that_hangs_in_a_hook(ctx: &Ctx<'_>) -> Outcome {
    for kind in OF_CREATE {
        let (bundle, dir) = waiting(ctx, kind)?;
        let words = ["create", "--bundle", bundle.dir.to_str().ok_or("odd path")?, &bundle.id];
        let create = ctx.cli()?.spawn(&words)?;
        written(&dir.join("pid"))?;
        ctx.driver.delete(&bundle.id, true).good()?;
        let created: Reply = create.finish();
        check!(created.code == 1, "{kind}: the create says {created:?}");
        check!(!alive(&dir.join("go").display().to_string())?, "the {kind} hook lives");
    }
    Ok(())
}

/// Waits until no process has the word in its command line.
fn dies(word: &str) -> Outcome {
    let end = Instant::now() + sys::PATIENCE;
    while alive(word)? {
        check!(Instant::now() < end, "a process with {word} still lives");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn a_creator_killed_while_a_hook_runs_leaves_what_delete_can_remove(ctx: &Ctx<'_>) -> Outcome {
    for kind in OF_CREATE {
        let (bundle, dir) = waiting(ctx, kind)?;
        let words = ["create", "--bundle", bundle.dir.to_str().ok_or("odd path")?, &bundle.id];
        let create = ctx.cli()?.spawn(&words)?;
        written(&dir.join("pid"))?;
        create.kill_after(Duration::ZERO)?;
        // Nobody is left to tell it to go on: the hook ends, and so does init.
        dies(&dir.join("go").display().to_string()).map_err(|trouble| trouble.at(kind))?;
        ctx.driver.delete(&bundle.id, true).good()?;
        check!(ctx.driver.state(&bundle.id).code != 0, "the container is left");
    }
    Ok(())
}

fn a_start_killed_while_a_hook_runs_leaves_what_delete_can_remove(ctx: &Ctx<'_>) -> Outcome {
    let (bundle, dir) = waiting(ctx, "startContainer")?;
    let container = ctx.created(&bundle)?;
    let start = ctx.cli()?.spawn(&["start", &container.id])?;
    written(&dir.join("pid"))?;
    start.kill_after(Duration::ZERO)?;
    container.ended()?;
    same!(container.status()?, "stopped", "status");
    container.delete()
}
