//! create, start, kill, delete and run: the life of a container and the errors of a wrong state.

use std::fs;
use std::io::Write;

use super::tests;
use crate::ctx::{Ctx, refusal};
use crate::driver::New;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, check, same, sys};

tests! {
    without_a_process_a_container_is_created_and_cannot_be_started,
    create_leaves_the_program_waiting,
    a_container_that_idles_is_one_process_and_nothing_else,
    start_runs_the_program,
    the_end_of_the_program_makes_it_stopped,
    exit_status_of_the_program_is_init_s,
    stdout_closes_when_the_container_ends,
    start_twice_is_refused,
    start_of_a_stopped_container_is_refused,
    start_of_a_container_whose_init_was_killed_is_refused,
    kill_sends_the_signal_to_init,
    kill_understands_names_and_numbers,
    kill_of_a_created_container_stops_it,
    a_created_container_is_not_deaf_to_signals_that_end_a_process,
    kill_with_an_unknown_signal_is_refused,
    kill_of_a_stopped_container_is_refused,
    kill_all_of_a_stopped_container_is_quiet,
    kill_all_reaches_every_process_of_a_shared_pid_namespace,
    a_pattern_names_many_containers [Need::Cli],
    a_pattern_that_is_none_is_refused [Need::Cli],
    kill_without_a_signal_is_sigterm [Need::Cli],
    delete_of_a_running_container_is_refused,
    delete_of_a_created_container_kills_it,
    delete_of_a_stopped_container_removes_it,
    delete_by_force_ends_a_running_container,
    delete_by_force_of_an_unknown_container_succeeds,
    delete_twice_finds_nothing,
    an_id_can_be_used_again_after_delete,
    an_id_in_use_is_refused,
    an_unknown_container_does_not_exist,
    run_returns_the_exit_code,
    run_returns_128_and_the_signal,
    run_removes_the_container,
    run_passes_stdin_and_stdout,
    run_detached_leaves_the_container_running,
    run_of_a_missing_program_leaves_nothing,
    containers_live_side_by_side,
    odd_but_valid_ids_work [Need::Cgroupfs],
    pid_file_holds_digits_only,
    pid_file_replaces_an_older_one_atomically,
    log_file_holds_the_error_as_json [Need::Cli],
    without_a_log_file_the_error_is_a_log_line [Need::Cli],
    bundle_defaults_to_the_current_directory [Need::Cli],
}

/// The specification wants a process at `start` only. runc refuses the creation.
fn without_a_process_a_container_is_created_and_cannot_be_started(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.remove("/process");
    let container = ctx.created(&bundle)?;
    for _ in 0..2 {
        refusal(&ctx.driver.start(&container.id), &["process property must not be empty"])?;
        same!(container.status()?, "created", "status");
    }
    container.delete()
}

fn create_leaves_the_program_waiting(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&["pid"]))?;
    same!(container.status()?, "created", "status");
    check!(container.is_silent()?, "the program ran before start");
    same!(container.status()?, "created", "status, asked again");
    Ok(())
}

/// Whatever a runtime leaves behind becomes a child of the suite, which is a subreaper: nobody but init is there, at the gate and afterwards.
fn a_container_that_idles_is_one_process_and_nothing_else(ctx: &Ctx<'_>) -> Outcome {
    let threads = || fs::read_dir("/proc/self/task").map(Iterator::count);
    let (before, alone) = (threads()?, sys::descendants()?);
    same!(alone, [0; 0], "descendants of the suite before");
    let mut bundle = ctx.bundle()?;
    let mut container = ctx.created(bundle.ops(&["pid", "sleep"]))?;
    same!(sys::descendants()?, [container.pid], "descendants of the suite while it waits at the gate");
    container.start()?;
    container.report()?;
    same!(sys::descendants()?, [container.pid], "descendants of the suite while it runs");
    same!(threads()?, before, "threads of the suite");
    Ok(())
}

fn start_runs_the_program(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, report) = ctx.sleeping(&mut bundle, &["args"])?;
    same!(report.get("args"), &serde_json::json!(["/probe", "args", "pid", "sleep"]), "arguments");
    same!(container.status()?, "running", "status");
    Ok(())
}

fn the_end_of_the_program_makes_it_stopped(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.started(bundle.ops(&["exit:0"]))?;
    container.ended()?;
    same!(container.status()?, "stopped", "status");
    container.delete()
}

fn exit_status_of_the_program_is_init_s(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.started(bundle.ops(&["exit:42"]))?;
    same!(container.exit_code()?, 42, "exit code");
    Ok(())
}

/// No part of the runtime may keep the container's stdio open.
fn stdout_closes_when_the_container_ends(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let mut container = ctx.started(bundle.ops(&["print:last words"]))?;
    same!(container.line()?, Some("last words".to_string()), "first line");
    same!(container.line()?, None, "after the end");
    Ok(())
}

fn start_twice_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let text = "cannot start an already running container";
    refusal(&ctx.driver.start(&container.id), &[text])?;
    same!(container.status()?, "running", "status");
    Ok(())
}

fn start_of_a_stopped_container_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.started(bundle.ops(&[]))?;
    container.ended()?;
    refusal(&ctx.driver.start(&container.id), &["cannot start a container that has stopped"])
}

fn start_of_a_container_whose_init_was_killed_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&["pid"]))?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(container.pid), nix::sys::signal::SIGKILL)?;
    container.ended()?;
    same!(container.status()?, "stopped", "status");
    refusal(&ctx.driver.start(&container.id), &["cannot start a container that has stopped"])?;
    container.delete()
}

fn kill_sends_the_signal_to_init(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    // A shared pid namespace, because pid 1 of a new one is immune to signals it has no handler for.
    bundle.without_namespace("pid");
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    container.kill("TERM")?;
    same!(container.exit_code()?, 128 + 15, "exit code");
    Ok(())
}

/// runc 1.1 knows no real-time signals by name.
fn kill_understands_names_and_numbers(ctx: &Ctx<'_>) -> Outcome {
    let signals = [
        ("SIGUSR1", 10),
        ("usr2", 12),
        ("1", 1),
        ("Int", 2),
        ("KILL", 9),
        ("SIGRTMIN+1", 35),
        ("RTMAX-2", 62),
    ];
    for (signal, number) in signals {
        let mut bundle = ctx.bundle()?;
        bundle.without_namespace("pid");
        let (container, _) = ctx.sleeping(&mut bundle, &[])?;
        container.kill(signal)?;
        same!(container.exit_code()?, 128 + number, "exit code after {signal}");
    }
    Ok(())
}

fn kill_of_a_created_container_stops_it(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&["pid"]))?;
    container.kill("KILL")?;
    container.ended()?;
    same!(container.status()?, "stopped", "status");
    Ok(())
}

/// Although it is the first process of its pid namespace, and has not asked for any signal.
fn a_created_container_is_not_deaf_to_signals_that_end_a_process(ctx: &Ctx<'_>) -> Outcome {
    for signal in ["TERM", "INT", "HUP"] {
        let mut bundle = ctx.bundle()?;
        let container = ctx.created(bundle.ops(&["pid"]))?;
        container.kill(signal)?;
        container.ended().map_err(|trouble| trouble.at(signal))?;
        same!(container.status()?, "stopped", "status after {signal}");
    }
    Ok(())
}

fn kill_with_an_unknown_signal_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    for signal in ["NOSUCH", "SIGNOSUCH", "1x", "0x9"] {
        refusal(&ctx.driver.kill(&container.id, signal, false), &["unknown signal", "not defined"])?;
    }
    same!(container.status()?, "running", "status");
    Ok(())
}

fn kill_of_a_stopped_container_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.started(bundle.ops(&[]))?;
    container.ended()?;
    refusal(&ctx.driver.kill(&container.id, "TERM", false), &["container not running"])
}

fn kill_all_of_a_stopped_container_is_quiet(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.started(bundle.ops(&[]))?;
    container.ended()?;
    ctx.driver.kill(&container.id, "KILL", true).good()?;
    Ok(())
}

/// With --all any signal, without it SIGKILL alone: init is not the parent of the others' namespace.
fn kill_all_reaches_every_process_of_a_shared_pid_namespace(ctx: &Ctx<'_>) -> Outcome {
    for (signal, all) in [("TERM", true), ("KILL", false), ("KILL", true)] {
        let mut bundle = ctx.bundle()?;
        bundle.without_namespace("pid");
        let (container, report) = ctx.sleeping(&mut bundle, &["tree:6"])?;
        same!(report.get("tree:6"), &serde_json::json!(6), "processes beside init");
        let pids: Vec<i32> = serde_json::from_str(&ctx.driver.processes(&container.id).good()?.out)
            .map_err(|error| error.to_string())?;
        same!(pids.len(), 7, "processes");
        ctx.driver.kill(&container.id, signal, all).good()?;
        for pid in pids {
            check!(sys::ended_within(pid, sys::PATIENCE)?, "{signal} {all}: {pid} still lives");
        }
    }
    Ok(())
}

fn a_pattern_names_many_containers(ctx: &Ctx<'_>) -> Outcome {
    let make = || ctx.sleeping(&mut ctx.bundle()?, &[]).map(|(container, _)| container);
    let (one, two, other) = (make()?, make()?, make()?);
    let cli = ctx.cli()?;
    let pattern = format!("^({}|{})$", one.id, two.id);
    let refused = cli.call(&["delete", "--regex", &pattern]);
    same!(refused.code, 1, "exit code of a delete of running containers");
    for id in [&one.id, &two.id] {
        check!(refused.err.contains(&format!("container {id}: cannot delete")), "{id}: {}", refused.err);
    }
    cli.call(&["kill", "--regex", &pattern, "KILL"]).good()?;
    one.ended()?;
    two.ended()?;
    same!(other.status()?, "running", "status of the third");
    // Those that have ended are nobody to signal.
    cli.call(&["kill", "-r", &pattern]).good()?;
    cli.call(&["delete", "-r", &pattern]).good()?;
    for container in [&one, &two] {
        check!(ctx.driver.state(&container.id).code == 1, "{} is still there", container.id);
    }
    same!(other.status()?, "running", "status of the third");
    cli.call(&["delete", "--force", "--regex", "no such id"]).good()?;
    cli.call(&["delete", "--force", "--regex", &other.id]).good()?;
    check!(ctx.driver.state(&other.id).code == 1, "the third is still there");
    Ok(())
}

fn a_pattern_that_is_none_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    for command in [&["kill", "--regex", "("][..], &["delete", "--force", "--regex", "("]] {
        refusal(&ctx.cli()?.call(command), &["invalid regular expression \"(\""])?;
    }
    // Without the option it is no id.
    refusal(&ctx.cli()?.call(&["delete", "--force", ".*"]), &["invalid container ID format"])?;
    same!(container.status()?, "running", "status");
    Ok(())
}

fn kill_without_a_signal_is_sigterm(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("pid");
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    ctx.cli()?.call(&["kill", &container.id]).good()?;
    same!(container.exit_code()?, 128 + 15, "exit code");
    Ok(())
}

fn delete_of_a_running_container_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let text = format!("cannot delete container {} that is not stopped: running", container.id);
    refusal(&ctx.driver.delete(&container.id, false), &[&text])?;
    same!(container.status()?, "running", "status");
    Ok(())
}

fn delete_of_a_created_container_kills_it(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&["pid"]))?;
    container.delete()?;
    container.ended()?;
    check!(
        container.is_silent().unwrap_or(true) || ctx.driver.state(&container.id).code == 1,
        "it still exists"
    );
    Ok(())
}

fn delete_of_a_stopped_container_removes_it(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.started(bundle.ops(&[]))?;
    container.ended()?;
    container.delete()?;
    refusal(&ctx.driver.state(&container.id), &["container does not exist"])
}

fn delete_by_force_ends_a_running_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &["deaf"])?;
    container.delete_by_force()?;
    container.ended()?;
    refusal(&ctx.driver.state(&container.id), &["container does not exist"])
}

fn delete_by_force_of_an_unknown_container_succeeds(ctx: &Ctx<'_>) -> Outcome {
    ctx.driver.delete(&ctx.id(), true).good()?;
    Ok(())
}

fn delete_twice_finds_nothing(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&[]))?;
    container.delete()?;
    refusal(&ctx.driver.delete(&container.id, false), &["container does not exist"])
}

fn an_id_can_be_used_again_after_delete(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["pid"]);
    let first = ctx.created(&bundle)?;
    first.delete()?;
    let mut second = ctx.started(&bundle)?;
    second.report()?;
    Ok(())
}

fn an_id_in_use_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&["pid"]))?;
    // runc 1.1 says "container with id exists"; the contract's text is that of 1.2 and later.
    let texts = ["container with given ID already exists", "container with id exists", "already exists"];
    refusal(&ctx.driver.create(ctx.new_of(&bundle)?), &texts)?;
    same!(container.status()?, "created", "status of the first");
    container.start()
}

fn an_unknown_container_does_not_exist(ctx: &Ctx<'_>) -> Outcome {
    let id = ctx.id();
    let driver = ctx.driver;
    let replies =
        [driver.state(&id), driver.start(&id), driver.kill(&id, "TERM", false), driver.delete(&id, false)];
    for reply in replies {
        refusal(&reply, &["container does not exist"])?;
    }
    Ok(())
}

fn run_returns_the_exit_code(ctx: &Ctx<'_>) -> Outcome {
    for code in [0, 1, 7, 255] {
        let mut bundle = ctx.bundle()?;
        let reply = ctx.run(bundle.ops(&[&format!("exit:{code}")]))?;
        same!(reply.code, code, "exit code");
        same!(reply.err, "", "stderr");
    }
    Ok(())
}

fn run_returns_128_and_the_signal(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("pid");
    same!(ctx.run(bundle.ops(&["die:9"]))?.code, 128 + 9, "exit code");
    Ok(())
}

fn run_removes_the_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    ctx.run(bundle.ops(&[]))?.good()?;
    refusal(&ctx.driver.state(&bundle.id), &["container does not exist"])
}

fn run_passes_stdin_and_stdout(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["cat", "print:done"]);
    let (stdin, writer) = sys::pipe()?;
    std::fs::File::from(writer).write_all(b"through the container\n")?;
    let reply = ctx.driver.run(New { stdin: Some(stdin), ..ctx.new_of(&bundle)? }).good()?;
    same!(reply.out, "through the container\ndone\n", "stdout");
    Ok(())
}

fn run_detached_leaves_the_container_running(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["pid", "sleep"]);
    let (out, stdout) = sys::pipe()?;
    ctx.driver.run(New { detach: true, stdout: Some(stdout), ..ctx.new_of(&bundle)? }).good()?;
    let line = crate::ctx::Lines::new(out).next(sys::PATIENCE)?;
    let report = line.map(|line| Report::parse(&line)).transpose();
    let status = ctx.status(&bundle.id);
    ctx.driver.delete(&bundle.id, true).good()?;
    check!(report?.is_some(), "the program said nothing");
    same!(status?, "running", "status");
    Ok(())
}

fn run_of_a_missing_program_leaves_nothing(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let reply = ctx.run(bundle.args(&["/nowhere"]))?;
    refusal(&reply, &["no such file or directory"])?;
    refusal(&ctx.driver.state(&bundle.id), &["container does not exist"])
}

fn containers_live_side_by_side(ctx: &Ctx<'_>) -> Outcome {
    let mut bundles = Vec::new();
    for _ in 0..5 {
        bundles.push(ctx.bundle()?);
    }
    let mut containers = Vec::new();
    for bundle in &mut bundles {
        containers.push(ctx.sleeping(bundle, &["hostname"])?.0);
    }
    containers.first().ok_or("no container")?.delete_by_force()?;
    for container in containers.iter().skip(1) {
        same!(container.status()?, "running", "status of {}", container.id);
    }
    Ok(())
}

fn odd_but_valid_ids_work(ctx: &Ctx<'_>) -> Outcome {
    let tag = &ctx.host.tag;
    for id in [
        format!("{tag}_a+b-c.d"),
        format!("_{tag}"),
        format!("+{tag}..x"),
        format!("{tag}{}", "x".repeat(200)),
    ] {
        let mut bundle = ctx.bundle()?;
        bundle.id.clone_from(&id);
        bundle.set("/linux/cgroupsPath", format!("/{tag}/odd"));
        let container = ctx.created(bundle.ops(&["exit:3"]))?;
        same!(ctx.state(&id)?["id"], id, "id in the state");
        container.start()?;
        same!(container.exit_code()?, 3, "exit code");
        container.delete()?;
    }
    Ok(())
}

fn pid_file_holds_digits_only(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["pid"]);
    let file = bundle.dir.join("pid");
    ctx.driver.create(New { pid_file: Some(file.clone()), ..ctx.new_of(&bundle)? }).good()?;
    let (text, state) = (fs::read_to_string(&file), ctx.state(&bundle.id));
    ctx.driver.delete(&bundle.id, true).good()?;
    same!(text?, state?["pid"].to_string(), "pid file");
    Ok(())
}

fn pid_file_replaces_an_older_one_atomically(ctx: &Ctx<'_>) -> Outcome {
    use std::os::unix::fs::MetadataExt;
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["pid"]);
    let dir = ctx.dir.join("pids");
    fs::create_dir(&dir)?;
    let file = dir.join("pid");
    fs::write(&file, "an older pid file, longer than the new one")?;
    let inode = fs::metadata(&file)?.ino();
    ctx.driver.create(New { pid_file: Some(file.clone()), ..ctx.new_of(&bundle)? }).good()?;
    ctx.driver.delete(&bundle.id, true).good()?;
    check!(fs::read_to_string(&file)?.bytes().all(|byte| byte.is_ascii_digit()), "more than digits");
    check!(fs::metadata(&file)?.ino() != inode, "the old file was written in place");
    same!(fs::read_dir(&dir)?.count(), 1, "files next to the pid file");
    Ok(())
}

fn log_file_holds_the_error_as_json(ctx: &Ctx<'_>) -> Outcome {
    let log = ctx.dir.join("log");
    let id = ctx.id();
    let reply = ctx.cli()?.call(&["--log", &log.to_string_lossy(), "--log-format", "json", "start", &id]);
    refusal(&reply, &["container does not exist"])?;
    let text = fs::read_to_string(&log)?;
    let entry: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    same!(entry["level"], "error", "level");
    check!(entry["msg"].as_str().unwrap_or_default().contains("container does not exist"), "message: {text}");
    check!(entry["time"].as_str().unwrap_or_default().len() >= 20, "time: {text}");
    check!(!reply.err.contains("level="), "stderr holds a log line, not the bare message: {}", reply.err);
    Ok(())
}

fn without_a_log_file_the_error_is_a_log_line(ctx: &Ctx<'_>) -> Outcome {
    let reply = ctx.cli()?.call(&["state", &ctx.id()]);
    refusal(&reply, &["container does not exist"])?;
    check!(reply.err.contains("level=error msg="), "stderr: {}", reply.err);
    Ok(())
}

fn bundle_defaults_to_the_current_directory(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["exit:6"]).write()?;
    same!(ctx.cli()?.call_in(&bundle.dir, &["run", &bundle.id]).code, 6, "exit code");
    Ok(())
}
