//! How `exec` is called: streams, terminals and receivers, exit codes, refusals, and what goes on beside it.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::exec::{enter, process};
use super::terminal::Receiver;
use super::tests;
use crate::ctx::{Container, Ctx, Lines, refusal};
use crate::driver::{Exec, Reply};
use crate::host::Need;
use crate::probe::Report;
use crate::sys::{self, PATIENCE};
use crate::{Outcome, Trouble, check, same};

tests! {
    the_exit_code_is_the_program_s,
    a_detached_process_has_a_pid_file_and_ends_with_its_container,
    the_pidfd_of_a_process_is_sent,
    a_terminal_goes_to_its_receiver,
    a_terminal_of_a_process_in_the_foreground_is_shown,
    a_process_in_the_foreground_joins_the_caller_s_terminal [Need::Cli],
    options_change_the_container_s_own_process [Need::Cli],
    as_many_descriptors_are_kept_as_asked_for [Need::Cli],
    a_stopped_container_is_refused,
    a_paused_container_is_refused [Need::Controller("freezer")],
    a_process_of_a_paused_container_runs_when_it_goes_on [Need::Controller("freezer")],
    who_waits_for_a_paused_container_can_be_ended [Need::Cli, Need::V2],
    what_is_not_there_is_refused_by_name,
    a_malformed_process_is_refused,
    options_that_say_nothing_good_are_refused [Need::Cli],
    numbers_that_are_none_are_wrong_usage [Need::Cli],
    a_capability_that_nobody_knows_is_left_out_with_a_warning [Need::Cli],
    dead_receivers_are_refused,
    a_created_container_can_be_entered,
    a_failed_process_leaves_nothing,
    a_container_that_dies_meanwhile_leaves_nothing,
    twenty_processes_enter_at_once,
}

/// Exit code 255, the words that engines look for, and one of the texts.
pub(super) fn refused(reply: &Reply, texts: &[&str]) -> Outcome {
    same!(reply.code, 255, "exit code: {}", reply.err.trim_end());
    check!(reply.err.contains("exec failed: "), "no \"exec failed: \" in {}", reply.err);
    refusal(&Reply { code: 1, ..reply.clone() }, texts)
}

/// Ends a detached process and collects it, as whoever detaches one has to.
pub(super) fn end(pid: &str) -> Outcome {
    let pid: i32 = pid.trim().parse().map_err(|_| format!("{pid:?} is no pid"))?;
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
    check!(sys::ended_within(pid, PATIENCE)?, "{pid} still lives");
    sys::reap_one(pid);
    Ok(())
}

fn of<'a>(container: &'a Container<'_>, ops: &[&str]) -> Exec<'a> {
    Exec { id: &container.id, process: process(ops).to_string(), ..Exec::default() }
}

fn sleeping<'a>(ctx: &'a Ctx<'a>) -> Result<Container<'a>, Trouble> {
    Ok(ctx.sleeping(&mut ctx.bundle()?, &[])?.0)
}

fn the_exit_code_is_the_program_s(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    for (op, code) in [("exit:0", 0), ("exit:7", 7), ("exit:255", 255), ("die:9", 137), ("die:15", 143)] {
        let reply = ctx.driver.exec(of(&container, &[op]));
        same!((reply.code, reply.err.as_str()), (code, ""), "{op}");
    }
    same!(container.status()?, "running", "status");
    Ok(())
}

fn a_detached_process_has_a_pid_file_and_ends_with_its_container(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let (out, stdout) = sys::pipe()?;
    let pid_file = ctx.dir.join("pid");
    let exec = Exec {
        detach: true,
        pid_file: Some(pid_file.clone()),
        stdout: Some(stdout),
        ..of(&container, &["pid", "sleep"])
    };
    let reply = ctx.driver.exec(exec).good()?;
    same!((reply.out.as_str(), reply.err.as_str()), ("", ""), "what the command says");
    let report = Report::parse(&Lines::new(out).next(PATIENCE)?.ok_or("no report")?)?;
    let pid = fs::read_to_string(&pid_file)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let inner = format!("NSpid:\t{pid}\t{}\n", report.field("pid", "pid"));
    container.kill("KILL")?;
    let number = pid.parse().unwrap_or(0);
    let ended = sys::ended_within(number, PATIENCE)?;
    end(&pid)?;
    check!(ended, "the process outlives its container");
    check!(status.contains(&inner), "no {inner:?} in {status}");
    container.ended()
}

fn the_pidfd_of_a_process_is_sent(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let (receiver, pid_file) = (Receiver::of(ctx)?, ctx.dir.join("pid"));
    let exec = Exec {
        detach: true,
        pid_file: Some(pid_file.clone()),
        pidfd_socket: Some(receiver.path.clone()),
        ..of(&container, &["sleep"])
    };
    ctx.driver.exec(exec).good()?;
    let pid = fs::read_to_string(&pid_file)?;
    let taken = receiver.take();
    let info = taken.and_then(|(text, pidfd)| {
        Ok((text, fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?))
    });
    end(&pid)?;
    let (text, info) = info?;
    same!(text, "setns", "message");
    check!(info.contains(&format!("Pid:\t{pid}\n")), "the descriptor is not of {pid}: {info}");
    Ok(())
}

fn a_terminal_goes_to_its_receiver(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let (receiver, pid_file) = (Receiver::of(ctx)?, ctx.dir.join("pid"));
    let mut process = process(&["tty:0", "isatty:1", "isatty:2", "fds", "pid", "openrw:/dev/tty", "sleep"]);
    process["terminal"] = json!(true);
    process["consoleSize"] = json!({ "height": 11, "width": 222 });
    let exec = Exec {
        process: process.to_string(),
        detach: true,
        pid_file: Some(pid_file.clone()),
        console_socket: Some(receiver.path.clone()),
        ..of(&container, &[])
    };
    ctx.driver.exec(exec).good()?;
    let (text, master) = receiver.take()?;
    let line = Lines::new(master).next(PATIENCE);
    end(&fs::read_to_string(&pid_file)?)?;
    let report = Report::parse(&line?.ok_or("the terminal was closed without a word")?)?;
    let tty = report.get("tty:0");
    same!(report.field("tty:0", "name"), text, "name of the terminal and message");
    same!((&tty["rows"], &tty["columns"]), (&json!(11), &json!(222)), "size");
    same!(tty["sid"], report.get("pid")["pid"], "session of the terminal");
    same!(report.get("isatty:1"), &json!(true), "isatty 1");
    same!(report.get("isatty:2"), &json!(true), "isatty 2");
    same!(report.text("openrw:/dev/tty"), "ok", "opening /dev/tty");
    same!(report.get("fds").as_object().map_or(0, serde_json::Map::len), 3, "descriptors");
    Ok(())
}

fn a_terminal_of_a_process_in_the_foreground_is_shown(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let mut process = process(&["isatty:1", "exit:7"]);
    process["terminal"] = json!(true);
    let reply = ctx.driver.exec(Exec { process: process.to_string(), ..of(&container, &[]) });
    same!(reply.code, 7, "exit code; stderr: {}", reply.err);
    same!(Report::parse(reply.out.trim_end())?.get("isatty:1"), &json!(true), "isatty");
    Ok(())
}

/// The size is there from the first instruction on: the program runs before the command carries anything.
fn a_process_in_the_foreground_joins_the_caller_s_terminal(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let size = nix::pty::Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
    let nix::pty::OpenptyResult { master, slave } = nix::pty::openpty(&size, None)?;
    let on = || -> Result<Exec<'_>, Trouble> {
        let (stdin, stdout) = (Some(slave.try_clone()?), Some(slave.try_clone()?));
        Ok(Exec { stdin, stdout, ..Exec::default() })
    };
    let args = ["-t", &container.id, "/probe", "tty:0", "say", "cat", "exit:9"];
    let running = ctx.cli()?.spawn_exec(on()?, &args)?;
    let (mut keyboard, mut screen) = (File::from(master.try_clone()?), Lines::new(master));
    let report = Report::parse(&screen.next(PATIENCE)?.unwrap_or_default())?;
    same!((&report.get("tty:0")["rows"], &report.get("tty:0")["columns"]), (&json!(33), &json!(77)), "size");
    keyboard.write_all(b"typed\r")?;
    for who in ["echo of the container's terminal", "copy of the program"] {
        same!(screen.next(PATIENCE)?.as_deref(), Some("typed"), "{who}");
    }
    keyboard.write_all(&[4])?;
    same!(running.finish().code, 9, "exit code");
    Ok(())
}

fn options_change_the_container_s_own_process(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/user", json!({ "uid": 5, "gid": 6, "additionalGids": [7] }));
    bundle.set("/process/env", ["A=1", "HOME=/h"]);
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let see = |options: &[&str]| -> Result<Report, Trouble> {
        let ops = [container.id.as_str(), "/probe", "status", "env", "cwd", "limits"];
        let args: Vec<&str> = ["exec"].iter().chain(options).chain(&ops).copied().collect();
        Report::parse(&ctx.cli()?.call(&args).good()?.out)
    };
    let plain = see(&[])?;
    same!((plain.status("Uid"), plain.status("Groups")), ("5 5 5 5".into(), "7".into()), "user, groups");
    same!(plain.get("env"), &json!(["A=1", "HOME=/h"]), "environment");
    same!(plain.status("NoNewPrivs"), "1", "no_new_privs");
    same!(plain.get("limits")["Max open files"], json!(["1024", "1024"]), "open files");
    let options = [
        "--cwd",
        "/dev",
        "-e",
        "B=2",
        "--env",
        "C=3",
        "-u",
        "0:9",
        "-g",
        "8",
        "-c",
        "CAP_CHOWN",
        "--no-new-privs=false",
    ];
    let changed = see(&options)?;
    same!(changed.text("cwd"), "/dev", "cwd");
    same!(changed.get("env"), &json!(["A=1", "HOME=/h", "B=2", "C=3"]), "environment");
    same!((changed.status("Uid"), changed.status("Gid")), ("0 0 0 0".into(), "9 9 9 9".into()), "user");
    same!(changed.status("Groups"), "7 8", "groups");
    same!(changed.status("NoNewPrivs"), "0", "no_new_privs");
    same!(changed.status("CapBnd"), format!("{:016x}", 1 << 29 | 1 << 5 | 1 << 10 | 1), "bounding set");
    Ok(())
}

fn as_many_descriptors_are_kept_as_asked_for(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let cli = ctx.cli()?.behind(&["/bin/sh", "-c", "exec 3</dev/zero 4</dev/full; exec \"$@\"", "sh"]);
    for (count, wanted) in [("0", 3), ("1", 4), ("2", 5)] {
        let reply = cli.call(&["exec", "--preserve-fds", count, &container.id, "/probe", "fds"]).good()?;
        let report = Report::parse(&reply.out)?;
        same!(
            report.get("fds").as_object().map_or(0, serde_json::Map::len),
            wanted,
            "descriptors of {count}"
        );
        check!(count == "0" || report.field("fds", "3").ends_with("/zero"), "{}", report.get("fds"));
    }
    let reply = cli.call(&["exec", "--preserve-fds", "3", &container.id, "/probe", "fds"]);
    refused(&reply, &["unable to stat preserved-fd 2 (of 3)"])
}

fn a_stopped_container_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    container.kill("KILL")?;
    container.ended()?;
    refused(&ctx.driver.exec(of(&container, &["pid"])), &["cannot exec in a stopped container"])
}

/// Pauses and lets go on whatever happens.
fn paused<T>(
    ctx: &Ctx<'_>,
    container: &Container<'_>,
    meanwhile: impl FnOnce() -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let dir = ctx.host.cgroup("freezer", &container.id).ok_or("no freezer")?;
    let (file, frozen, thawed) =
        if ctx.host.is_v2() { ("cgroup.freeze", "1", "0") } else { ("freezer.state", "FROZEN", "THAWED") };
    fs::write(dir.join(file), frozen)?;
    let done = meanwhile();
    fs::write(dir.join(file), thawed)?;
    done
}

fn a_paused_container_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let reply = paused(ctx, &container, || Ok(ctx.driver.exec(of(&container, &["pid"]))))?;
    refused(&reply, &["cannot exec in a paused container (use --ignore-paused to override)"])
}

fn a_process_of_a_paused_container_runs_when_it_goes_on(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let procs = ctx.host.cgroup("freezer", &container.id).ok_or("no freezer")?.join("cgroup.procs");
    let count = || fs::read_to_string(&procs).map(|text| text.lines().count());
    let reply = std::thread::scope(|scope| {
        let waiting = paused(ctx, &container, || {
            let exec = Exec { ignore_paused: true, ..of(&container, &["exit:7"]) };
            let thread = scope.spawn(|| ctx.driver.exec(exec));
            let end = std::time::Instant::now() + PATIENCE;
            while count()? < 2 && !thread.is_finished() && std::time::Instant::now() < end {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            check!(count()? == 2, "no process came into the cgroup");
            // In there it is frozen, and nothing that it is asked for can happen.
            check!(!thread.is_finished(), "exec returned while the container was paused");
            Ok(thread)
        })?;
        waiting.join().map_err(|_| Trouble::from("a thread panicked"))
    })?;
    same!(reply.code, 7, "exit code: {}", reply.err);
    Ok(())
}

/// On v1 the same takes ten seconds: there a frozen process cannot be killed, and is left to end when it goes on.
fn who_waits_for_a_paused_container_can_be_ended(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let procs = ctx.host.cgroup("freezer", &container.id).ok_or("no freezer")?.join("cgroup.procs");
    let count = || fs::read_to_string(&procs).map(|text| text.lines().count());
    for options in [&["exec", "--ignore-paused"][..], &["exec", "--ignore-paused", "-d"]] {
        let args = [options, &[&container.id, "/probe"]].concat();
        let reply = paused(ctx, &container, || {
            let running = ctx.cli()?.spawn(&args)?;
            let end = std::time::Instant::now() + PATIENCE;
            while count()? < 2 && std::time::Instant::now() < end {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            kill(Pid::from_raw(running.pid()), Signal::SIGTERM)?;
            Ok(running.finish())
        })?;
        same!(reply.code, 128 + 15, "exit code of {args:?}: {}", reply.err.trim_end());
        same!(count()?, 1, "processes in the cgroup");
    }
    Ok(())
}

fn what_is_not_there_is_refused_by_name(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.file("text", "x", 0o644)?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let refused_with = |key: &str, value: serde_json::Value, texts: &[&str]| {
        let mut process = process(&["pid"]);
        process[key] = value;
        let exec = Exec { process: process.to_string(), ..of(&container, &[]) };
        refused(&ctx.driver.exec(exec), texts).map_err(|trouble| trouble.at(key))
    };
    refused_with("args", json!(["nowhere"]), &["exec: \"nowhere\": executable file not found in $PATH"])?;
    refused_with("args", json!(["/nowhere"]), &["exec: \"/nowhere\": no such file or directory"])?;
    refused_with("args", json!(["/text"]), &["exec: \"/text\": permission denied"])?;
    refused_with("cwd", json!("/text"), &["not a directory"])?;
    let exec = Exec { id: "nobody-knows-it", process: process(&[]).to_string(), ..Exec::default() };
    refused(&ctx.driver.exec(exec), &["container does not exist"])
}

fn a_malformed_process_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let texts = [
        "",
        "{",
        "[]",
        "{}",
        "{\"cwd\":\"/\"}",
        "{\"args\":[],\"cwd\":\"/\"}",
        "{\"args\":[\"/probe\"],\"cwd\":\"x\"}",
    ];
    for text in texts {
        let exec = Exec { process: text.into(), ..of(&container, &[]) };
        refused(&ctx.driver.exec(exec), &[]).map_err(|trouble| trouble.at(format!("{text:?}")))?;
    }
    let mut process = process(&["pid"]);
    process["rlimits"] = json!([{ "type": "RLIMIT_NONE", "hard": 1, "soft": 1 }]);
    let exec = Exec { process: process.to_string(), ..of(&container, &[]) };
    refused(&ctx.driver.exec(exec), &["/process/rlimits/0"])
}

fn options_that_say_nothing_good_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let id = container.id.as_str();
    let receiver = Receiver::of(ctx)?;
    let socket = receiver.path.to_string_lossy();
    let cases: [(&[&str], &str); 7] = [
        (&[id], "exec args cannot be empty"),
        (&["-g", "-1", id, "/probe"], "additional-gids must be a positive number -1"),
        (&["-u", "root", id, "/probe"], "parsing root as int for uid failed"),
        (&["-p", "/nowhere", id], "no such file or directory"),
        (
            &["-d", "-t", id, "/probe"],
            "cannot allocate tty if runc will detach without setting console socket",
        ),
        (
            &["-d", "--console-socket", &socket, id, "/probe"],
            "cannot use console socket if runc will not detach or allocate tty",
        ),
        (
            &["-t", "--console-socket", &socket, id, "/probe"],
            "cannot use console socket if runc will not detach or allocate tty",
        ),
    ];
    for (args, text) in cases {
        let args: Vec<&str> = ["exec"].iter().chain(args).copied().collect();
        refused(&ctx.cli()?.call(&args), &[text])?;
    }
    Ok(())
}

/// Told before the container is asked for: the exit code is that of any wrong usage.
fn numbers_that_are_none_are_wrong_usage(ctx: &Ctx<'_>) -> Outcome {
    for args in [["--preserve-fds", "x"], ["-g", "1.5"]] {
        let reply = ctx.cli()?.call(&["exec", args[0], args[1], "nobody", "/probe"]);
        same!(reply.code, 1, "exit code: {}", reply.err.trim_end());
        check!(reply.err.contains("invalid value"), "{}", reply.err);
    }
    Ok(())
}

/// The words after the id may be led by what ends options.
fn a_capability_that_nobody_knows_is_left_out_with_a_warning(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let reply = ctx.cli()?.call(&["exec", "--cap", "CAP_NOBODY", &container.id, "--", "/probe", "exit:7"]);
    same!(reply.code, 7, "exit code: {}", reply.err.trim_end());
    check!(reply.err.contains("warning") && reply.err.contains("CAP_NOBODY"), "{}", reply.err);
    Ok(())
}

fn dead_receivers_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let dead = ctx.dir.join("dead");
    drop(UnixListener::bind(&dead)?);
    let mut process = process(&["pid"]);
    let exec = |process: &serde_json::Value| Exec {
        process: process.to_string(),
        detach: true,
        ..of(&container, &[])
    };
    let reply = ctx.driver.exec(Exec { pidfd_socket: Some(dead.clone()), ..exec(&process) });
    refused(&reply, &["connection refused"])?;
    process["terminal"] = json!(true);
    let reply = ctx.driver.exec(Exec { console_socket: Some(dead), ..exec(&process) });
    refused(&reply, &["connection refused"])
}

/// What waits at the gate is entered without being let go.
fn a_created_container_can_be_entered(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let mut container = ctx.created(bundle.ops(&["ns", "say", "sleep"]))?;
    let further = enter(ctx, &container.id, &process(&["ns", "pid"]))?;
    same!(container.status()?, "created", "status");
    check!(container.is_silent()?, "the container's program runs");
    container.start()?;
    same!(container.report()?.get("ns"), further.get("ns"), "namespaces");
    Ok(())
}

fn a_failed_process_leaves_nothing(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let scope = crate::oracle::Scope::of(ctx.host, ctx.driver.root(), &[ctx.driver.root().to_path_buf()]);
    let before = scope.look()?;
    let pid_file = ctx.dir.join("pid");
    for args in [json!(["nowhere"]), json!(["/proc/self/status"]), json!(["/"])] {
        let mut process = process(&[]);
        process["args"] = args;
        let (process, pid_file) = (process.to_string(), Some(pid_file.clone()));
        refused(&ctx.driver.exec(Exec { process, pid_file, ..of(&container, &[]) }), &[])?;
    }
    ctx.driver.exec(of(&container, &["pid"])).good()?;
    check!(!pid_file.exists(), "a pid file of nobody");
    same!(before.changes(&scope.look()?), Vec::<String>::new(), "changes");
    Ok(())
}

/// Whoever comes first: the process ran, was killed, or never came in.
fn a_container_that_dies_meanwhile_leaves_nothing(ctx: &Ctx<'_>) -> Outcome {
    for round in 0..12 {
        let container = sleeping(ctx)?;
        let reply = std::thread::scope(|scope| {
            let thread = scope.spawn(|| ctx.driver.exec(of(&container, &["pid", "sleep"])));
            std::thread::sleep(std::time::Duration::from_micros(300 * round));
            container.kill("KILL")?;
            thread.join().map_err(|_| Trouble::from("a thread panicked"))
        })?;
        check!([137, 255].contains(&reply.code), "round {round}: exit code {}: {}", reply.code, reply.err);
        check!(!reply.err.contains("panic"), "it panicked: {}", reply.err);
        container.ended()?;
        container.delete()?;
    }
    Ok(())
}

fn twenty_processes_enter_at_once(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx)?;
    let gate = std::sync::Barrier::new(20);
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let (gate, container) = (&gate, &container);
        let one = move |code: i32| {
            gate.wait();
            ctx.driver.exec(of(container, &["fds", &format!("exit:{code}")]))
        };
        let threads: Vec<_> = (0..20).map(|code| scope.spawn(move || one(code))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    same!(replies.len(), 20, "answers");
    for (code, reply) in (0..).zip(&replies) {
        same!(reply.code, code, "exit code: {}", reply.err);
        let report = Report::parse(&reply.out)?;
        let fds = report.get("fds").as_object().cloned().unwrap_or_default();
        same!(fds.keys().collect::<Vec<_>>(), ["0", "1", "2"], "descriptors of {code}: {fds:?}");
    }
    same!(container.status()?, "running", "status");
    Ok(())
}
