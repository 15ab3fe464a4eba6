//! Wrong use of the command: options, counts, files and sockets that are none; and streams that are closed.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::tests;
use crate::ctx::{Ctx, refusal};
use crate::driver::Driver;
use crate::host::Need;
use crate::{Outcome, check, same};

tests! {
    a_console_socket_that_nobody_can_connect_to_is_refused,
    a_process_file_that_cannot_be_used_is_refused [Need::Cli],
    wrong_usage_prints_help_and_one_error_and_changes_nothing [Need::Cli],
    warnings_are_written_unless_the_log_is_json [Need::Cli],
    an_earlier_image_is_named_from_the_new_one [Need::Cli],
    commands_without_stdio_do_their_work [Need::Cli],
    a_terminal_in_the_foreground_outlives_the_end_of_its_input [Need::Cli],
}

fn a_console_socket_that_nobody_can_connect_to_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/terminal", true);
    fs::write(ctx.dir.join("file"), "")?;
    let datagrams = std::os::unix::net::UnixDatagram::bind(ctx.dir.join("datagrams"))?;
    drop(std::os::unix::net::UnixListener::bind(ctx.dir.join("dead"))?);
    let long = "x".repeat(300);
    let cases = [
        ("nowhere", "no such file or directory"),
        ("nowhere/socket", "no such file or directory"),
        ("file", "connection refused"),
        ("dead", "connection refused"),
        ("datagrams", "protocol wrong type for socket"),
        (".", "connection refused"),
        ("file/socket", "not a directory"),
        (&long, "file name too long"),
    ];
    for (name, text) in cases {
        let path = ctx.dir.join(name);
        let refused = ctx.refused_by(&bundle, |new| new.console_socket = Some(path), &[text]);
        refused.map_err(|trouble| trouble.at(name.get(..20).unwrap_or(name)))?;
    }
    drop(datagrams);
    Ok(())
}

fn a_process_file_that_cannot_be_used_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let file = |name: &str, content: &[u8]| -> std::io::Result<String> {
        fs::write(ctx.dir.join(name), content)?;
        Ok(ctx.dir.join(name).to_string_lossy().into_owned())
    };
    let good = r#"{"args":["/probe"],"cwd":"/""#;
    let cases = [
        (ctx.dir.to_string_lossy().into_owned(), "is a directory"),
        (file("empty", b"")?, "EOF"),
        (file("half", good.as_bytes())?, "EOF"),
        (file("text", b"args: [x]")?, "expected"),
        (file("array", b"[]")?, "process"),
        (file("number", b"{\"args\":[1],\"cwd\":\"/\"}")?, "/process/args/0"),
        (file("nothing", b"{\"cwd\":\"/\"}")?, "args must not be empty"),
        (file("nul", format!("{good},\"env\":[\"A=\\u0000\"]}}").as_bytes())?, "/process/env/0"),
        (file("bytes", b"{\"args\":[\"\xff\"],\"cwd\":\"/\"}")?, "invalid unicode"),
        (file("depth", "[".repeat(1 << 16).as_bytes())?, "recursion limit"),
        ("/proc/self/mem".into(), "input/output error"),
    ];
    for (path, text) in cases {
        let reply = ctx.cli()?.call(&["exec", "--process", &path, &container.id]);
        super::exec_calls::refused(&reply, &[text]).map_err(|trouble| trouble.at(&path))?;
    }
    same!(ctx.driver.processes(&container.id).out.trim(), format!("[{}]", container.pid), "processes");
    same!(container.status()?, "running", "status");
    Ok(())
}

/// Every command of the contract, with a container whose state must stay the same.
fn wrong_usage_prints_help_and_one_error_and_changes_nothing(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let id = container.id.as_str();
    let commands = [
        "create",
        "run",
        "start",
        "state",
        "kill",
        "delete",
        "exec",
        "ps",
        "pause",
        "resume",
        "list",
        "spec",
        "features",
        "checkpoint",
        "restore",
    ];
    for command in commands {
        let stranger = ctx.cli()?.call(&[command, "--no-such-option", id]);
        let text = "flag provided but not defined: -no-such-option";
        refusal(&stranger, &[text]).map_err(|trouble| trouble.at(command))?;
        check!(
            stranger.out.starts_with(&format!("Incorrect Usage: {text}\n\nNAME:\n")),
            "{command}: {}",
            stranger.out
        );
        if matches!(command, "exec" | "ps" | "kill") {
            let none = ctx.cli()?.call(&[command]);
            refusal(&none, &["requires a minimum of 1 argument(s)"])
                .map_err(|trouble| trouble.at(command))?;
            continue;
        }
        let many = ctx.cli()?.call(&[command, id, "one", "two"]);
        refusal(&many, &["requires exactly "]).map_err(|trouble| trouble.at(command))?;
        check!(many.out.starts_with("Incorrect Usage.\n\nNAME:\n"), "{command}: {}", many.out);
    }
    same!(container.status()?, "running", "status");
    check!(!Path::new("/config.json").exists(), "a configuration was written");
    Ok(())
}

/// A JSON log is read as one object by podman. runc and crun write there too.
fn warnings_are_written_unless_the_log_is_json(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/capabilities", json!({ "ambient": ["CAP_KILL"], "permitted": ["CAP_KILL"] }));
    bundle.ops(&[]).write()?;
    let (dir, file) = (bundle.dir.to_string_lossy(), ctx.dir.join("log"));
    let log = file.to_string_lossy();
    let cases: [(&[&str], bool, bool); 4] = [
        (&[], true, false),
        (&["--log-level", "error"], false, false),
        (&["--log", &log], false, true),
        (&["--log", &log, "--log-format", "json"], false, false),
    ];
    for (options, on_stderr, in_file) in cases {
        let _ = fs::remove_file(&file);
        let reply = ctx.cli()?.call(&[options, &["run", "--bundle", &dir, &bundle.id]].concat()).good()?;
        let says = |text: &str| text.contains("can't raise ambient capability CAP_KILL");
        let logged = fs::read_to_string(&file).unwrap_or_default();
        same!((says(&reply.err), says(&logged)), (on_stderr, in_file), "{options:?}");
    }
    Ok(())
}

/// So that both can be moved together. Says nothing about the operation itself.
fn an_earlier_image_is_named_from_the_new_one(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    fs::create_dir(ctx.dir.join("image"))?;
    fs::write(ctx.dir.join("file"), "")?;
    let (image, absolute) = (ctx.dir.join("image"), ctx.dir.join("image/../image"));
    let (image, absolute) = (image.to_string_lossy(), absolute.to_string_lossy());
    let cases = [
        (&*absolute, "must be relative"),
        ("../none", "no such file or directory"),
        ("../file", "not a directory"),
    ];
    for (parent, text) in cases {
        let line = ["checkpoint", "--image-path", &image, "--parent-path", parent, &container.id];
        refusal(&ctx.cli()?.call(&line), &["--parent-path", text]).map_err(|trouble| trouble.at(parent))?;
    }
    same!(container.status()?, "running", "status");
    Ok(())
}

fn commands_without_stdio_do_their_work(ctx: &Ctx<'_>) -> Outcome {
    let cli = ctx.cli()?.behind(&["/bin/sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"]);
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["sleep"]).write()?;
    let (id, dir) = (bundle.id.as_str(), bundle.dir.to_string_lossy().into_owned());
    let calls: [(&[&str], i32); 8] = [
        (&["create", "--bundle", &dir, id], 0),
        (&["start", id], 0),
        (&["exec", id, "/probe", "exit:5"], 5),
        (&["exec", "--tty", id, "/probe", "exit:6"], 6),
        (&["list"], 0),
        (&["state", "nowhere"], 1),
        (&["kill", id, "KILL"], 0),
        (&["delete", "--force", id], 0),
    ];
    for (call, code) in calls {
        let reply = cli.call(call);
        if reply.code != code {
            let _ = ctx.driver.delete(id, true);
        }
        same!(reply.code, code, "{call:?}");
    }
    Ok(())
}

fn a_terminal_in_the_foreground_outlives_the_end_of_its_input(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/terminal", true).ops(&["isatty:0", "say", "touch:4096", "exit:9"]);
    let reply = ctx.cli()?.run(ctx.new_of(&bundle)?);
    same!(reply.code, 9, "exit code: {}", reply.err);
    check!(reply.out.contains("\"isatty:0\":true"), "{}", reply.out);
    Ok(())
}
