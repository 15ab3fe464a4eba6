//! Containers as services: the word that a program is ready, and descriptors that a service manager passes.

use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use serde_json::json;

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::Ctx;
use crate::driver::{Cli, Driver, New, Reply};
use crate::host::Need;
use crate::probe::Report;
use crate::sys::{self, PATIENCE};
use crate::{Outcome, Trouble, check, same};

tests! {
    the_word_of_a_program_in_the_foreground_reaches_the_manager [Need::Cli],
    a_detached_run_returns_when_the_program_is_ready [Need::Cli],
    a_start_returns_when_the_program_is_ready [Need::Cli],
    a_program_that_ends_without_a_word_holds_nobody [Need::Cli],
    a_manager_with_an_abstract_address_is_told [Need::Cli],
    a_manager_that_is_gone_stops_nobody [Need::Cli],
    the_program_cannot_change_the_socket_s_directory [Need::Cli],
    without_a_manager_there_is_no_socket [Need::Cli],
    a_container_with_a_socket_is_deleted_whole [Need::Cli],
    descriptors_of_the_manager_go_to_the_program [Need::Cli],
    descriptors_for_another_process_stay_outside [Need::Cli],
    preserved_descriptors_come_behind_those_of_the_manager [Need::Cli],
    a_descriptor_that_is_not_there_is_refused [Need::Cli],
    log_lines_go_to_the_journal [Need::Cli],
    log_lines_go_to_syslog [Need::Cli],
    a_log_service_that_is_not_there_is_refused [Need::Cli],
}

/// A service manager, to which the runtime reports.
struct Manager {
    socket: UnixDatagram,
    variable: String,
}

impl Manager {
    fn of(ctx: &Ctx<'_>) -> Result<Self, Trouble> {
        let path = ctx.dir.join("manager");
        let variable = format!("NOTIFY_SOCKET={}", path.display());
        Ok(Self { socket: UnixDatagram::bind(path)?, variable })
    }

    fn abstract_of(ctx: &Ctx<'_>) -> Result<Self, Trouble> {
        let name = ctx.id();
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        Ok(Self { socket, variable: format!("NOTIFY_SOCKET=@{name}") })
    }

    /// The command as a service of this manager.
    fn cli(&self, ctx: &Ctx<'_>) -> Result<Cli, Trouble> {
        Ok(ctx.cli()?.behind(&["/usr/bin/env", &self.variable]))
    }

    /// What was said, each message one word; descriptors that come along are closed, as the protocol wants.
    fn heard(&self, count: usize) -> Result<Vec<String>, Trouble> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while all.len() < count {
            check!(sys::readable_within(self.socket.as_fd(), PATIENCE)?, "nothing more after {all:?}");
            let length = self.socket.recv(&mut buffer)?;
            all.push(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).trim_end().to_owned());
        }
        Ok(all)
    }

    fn is_silent(&self) -> Result<bool, Trouble> {
        Ok(!sys::readable_within(self.socket.as_fd(), std::time::Duration::ZERO)?)
    }
}

/// Says this and that before it is ready.
const READY: [&str; 3] = ["notify:STATUS=READY=1 soon", "notify:MAINPID=1|READY=1", "say"];

fn the_word_of_a_program_in_the_foreground_reaches_the_manager(ctx: &Ctx<'_>) -> Outcome {
    let manager = Manager::of(ctx)?;
    let mut bundle = ctx.bundle()?;
    let ops = [&READY[..], &["sleep"]].concat();
    let running = manager.cli(ctx)?.spawn_run(ctx.new_of(bundle.ops(&ops))?)?;
    let heard = manager.heard(3);
    let pid = running.pid();
    let killed = ctx.driver.kill(&bundle.id, "KILL", false);
    let reply = running.finish();
    same!(heard?, ["READY=1".to_owned(), format!("MAINPID={pid}"), "BARRIER=1".to_owned()], "messages");
    same!((killed.code, reply.code), (0, 137), "exit codes of kill and run: {}", reply.err);
    Ok(())
}

/// Runs `act`, which must not return before the program's word, while the manager listens.
fn ready_before(manager: &Manager, act: impl FnOnce() -> Reply + Send) -> Result<Vec<String>, Trouble> {
    std::thread::scope(|scope| {
        let acting = scope.spawn(act);
        let heard = manager.heard(3);
        let reply = acting.join().map_err(|_| Trouble::from("a thread panicked"))?;
        reply.good()?;
        heard
    })
}

fn a_detached_run_returns_when_the_program_is_ready(ctx: &Ctx<'_>) -> Outcome {
    let manager = Manager::of(ctx)?;
    let mut bundle = ctx.bundle()?;
    let ops = [&READY[..], &["sleep"]].concat();
    let new = New { detach: true, ..ctx.new_of(bundle.ops(&ops))? };
    let cli = manager.cli(ctx)?;
    let heard = ready_before(&manager, move || cli.run(new));
    let pid = ctx.state(&bundle.id).map(|state| state["pid"].to_string());
    ctx.driver.delete(&bundle.id, true).good()?;
    same!(heard?, ["READY=1".to_owned(), format!("MAINPID={}", pid?), "BARRIER=1".to_owned()], "messages");
    Ok(())
}

fn start_with(ctx: &Ctx<'_>, manager: &Manager) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&[&READY[..], &["sleep"]].concat());
    let cli = manager.cli(ctx)?;
    cli.create(ctx.new_of(&bundle)?).good()?;
    let silent = manager.is_silent();
    let id = bundle.id.clone();
    let heard = ready_before(manager, move || cli.start(&id));
    let pid = ctx.state(&bundle.id).map(|state| state["pid"].to_string());
    ctx.driver.delete(&bundle.id, true).good()?;
    check!(silent?, "something was said before the start");
    same!(heard?, ["READY=1".to_owned(), format!("MAINPID={}", pid?), "BARRIER=1".to_owned()], "messages");
    Ok(())
}

fn a_start_returns_when_the_program_is_ready(ctx: &Ctx<'_>) -> Outcome {
    start_with(ctx, &Manager::of(ctx)?)
}

fn a_manager_with_an_abstract_address_is_told(ctx: &Ctx<'_>) -> Outcome {
    start_with(ctx, &Manager::abstract_of(ctx)?)
}

fn a_program_that_ends_without_a_word_holds_nobody(ctx: &Ctx<'_>) -> Outcome {
    let manager = Manager::of(ctx)?;
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["notify:STATUS=x", "exit:4"]);
    same!(manager.cli(ctx)?.run(ctx.new_of(&bundle)?).code, 4, "exit code of run");
    let reply = manager.cli(ctx)?.run(New { detach: true, ..ctx.new_of(&bundle)? });
    let status = ctx.status(&bundle.id);
    ctx.driver.delete(&bundle.id, true).good()?;
    same!(reply.code, 0, "exit code of the detached run: {}", reply.err);
    same!(status?, "stopped", "status");
    check!(manager.is_silent()?, "the manager was told something");
    Ok(())
}

fn a_manager_that_is_gone_stops_nobody(ctx: &Ctx<'_>) -> Outcome {
    let manager = Manager::of(ctx)?;
    let cli = manager.cli(ctx)?;
    drop(manager);
    let mut bundle = ctx.bundle()?;
    let reply = cli.run(ctx.new_of(bundle.ops(&["pid", "exit:6"]))?);
    same!(reply.code, 6, "exit code");
    let warned = reply.err.contains("level=warning") && reply.err.contains("NOTIFY_SOCKET");
    check!(warned && reply.err.lines().count() == 1, "stderr: {:?}", reply.err);
    Ok(())
}

fn seen(ctx: &Ctx<'_>, cli: &Cli, bundle: &mut Bundle, ops: &[&str]) -> Result<Report, Trouble> {
    Report::parse(&cli.run(ctx.new_of(bundle.ops(ops))?).good()?.out)
}

fn the_program_cannot_change_the_socket_s_directory(ctx: &Ctx<'_>) -> Outcome {
    let (manager, mut bundle) = (Manager::of(ctx)?, ctx.bundle()?);
    let ops = [
        "env",
        "list:/run/notify",
        "unlink:/run/notify/notify.sock",
        "mkdir:/run/notify/x",
        "stat:/run/notify",
        "mounts",
    ];
    let report = seen(ctx, &manager.cli(ctx)?, &mut bundle, &ops)?;
    let env = report.get("env").to_string();
    check!(env.contains("\"NOTIFY_SOCKET=/run/notify/notify.sock\""), "environment: {env}");
    same!(report.get("list:/run/notify"), &json!(["notify.sock"]), "what is there");
    same!(report.text("unlink:/run/notify/notify.sock"), "EROFS", "removing it");
    same!(report.text("mkdir:/run/notify/x"), "EROFS", "making something beside it");
    let mounts = report.get("mounts").as_array().cloned().unwrap_or_default();
    let mount = mounts.iter().find(|mount| mount.to_string().contains("\"/run/notify\""));
    let mount = mount.ok_or("it is no mount")?.to_string();
    for flag in ["nosuid", "nodev", "noexec", "ro"] {
        check!(mount.contains(flag), "not {flag}: {mount}");
    }
    Ok(())
}

fn without_a_manager_there_is_no_socket(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    for launcher in [&["/usr/bin/env", "--unset=NOTIFY_SOCKET"][..], &["/usr/bin/env", "NOTIFY_SOCKET="]] {
        let cli = ctx.cli()?.behind(launcher);
        let report = seen(ctx, &cli, &mut bundle, &["env", "list:/run/notify"])?;
        same!(report.text("list:/run/notify"), "ENOENT", "the directory");
        check!(!report.get("env").to_string().contains("NOTIFY_SOCKET"), "{}", report.get("env"));
    }
    Ok(())
}

fn a_container_with_a_socket_is_deleted_whole(ctx: &Ctx<'_>) -> Outcome {
    let (manager, mut bundle) = (Manager::of(ctx)?, ctx.bundle()?);
    let cli = manager.cli(ctx)?;
    cli.create(ctx.new_of(bundle.ops(&["exit:0"]))?).good()?;
    cli.start(&bundle.id).good()?;
    cli.delete(&bundle.id, true).good()?;
    check!(!ctx.driver.root().join(&bundle.id).exists(), "something is left");
    Ok(())
}

/// Two descriptors, for whom `pid` says.
fn activated(ctx: &Ctx<'_>, pid: &str, count: &str) -> Result<Cli, Trouble> {
    let script = format!(
        "exec 3</dev/zero 4</dev/full; LISTEN_FDS={count} LISTEN_PID={pid} LISTEN_FDNAMES=zero:full exec \"$@\""
    );
    Ok(ctx.cli()?.behind(&["/bin/sh", "-c", &script, "sh"]))
}

fn open(report: &Report) -> usize {
    report.get("fds").as_object().map_or(0, serde_json::Map::len)
}

fn descriptors_of_the_manager_go_to_the_program(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/env", json!(["PATH=/bin", "LISTEN_FDS=9"]));
    let report = seen(ctx, &activated(ctx, "$$", "2")?, &mut bundle, &["fds", "env"])?;
    same!(open(&report), 5, "descriptors: {}", report.get("fds"));
    check!(report.field("fds", "3").ends_with("/zero"), "3: {}", report.get("fds"));
    check!(report.field("fds", "4").ends_with("/full"), "4: {}", report.get("fds"));
    let env = report.get("env").to_string();
    for variable in ["LISTEN_FDS=2", "LISTEN_PID=1", "LISTEN_FDNAMES=zero:full"] {
        check!(env.contains(&format!("\"{variable}\"")), "no {variable} in {env}");
    }
    same!(env.matches("LISTEN_FDS=").count(), 1, "LISTEN_FDS in {env}");
    Ok(())
}

fn descriptors_for_another_process_stay_outside(ctx: &Ctx<'_>) -> Outcome {
    for (pid, count) in [("1", "2"), ("$$", "0"), ("$$", "x"), ("", "2")] {
        let report = seen(ctx, &activated(ctx, pid, count)?, &mut ctx.bundle()?, &["fds", "env"])?;
        same!(open(&report), 3, "LISTEN_PID={pid} LISTEN_FDS={count}: {}", report.get("fds"));
        check!(!report.get("env").to_string().contains("LISTEN_"), "{}", report.get("env"));
    }
    Ok(())
}

fn preserved_descriptors_come_behind_those_of_the_manager(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["fds", "env"]).write()?;
    let dir = bundle.dir.to_string_lossy().into_owned();
    let run = ["run", "--preserve-fds", "1", "--bundle", &dir, &bundle.id];
    let report = Report::parse(&activated(ctx, "$$", "1")?.call(&run).good()?.out)?;
    same!(open(&report), 5, "descriptors: {}", report.get("fds"));
    check!(report.get("env").to_string().contains("\"LISTEN_FDS=1\""), "{}", report.get("env"));
    let report = Report::parse(&activated(ctx, "1", "1")?.call(&run).good()?.out)?;
    same!(open(&report), 4, "descriptors without a manager: {}", report.get("fds"));
    Ok(())
}

fn a_descriptor_that_is_not_there_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let bundle = ctx.bundle()?;
    let reply = activated(ctx, "$$", "3")?.run(ctx.new_of(&bundle)?);
    crate::ctx::refusal(&reply, &["unable to stat descriptor 5 of LISTEN_FDS"])?;
    bundle.write()?;
    let dir = bundle.dir.to_string_lossy().into_owned();
    let cli = ctx.cli()?;
    for count in ["1", "70000", "-1", "x"] {
        let reply = cli.call(&["create", "--preserve-fds", count, "--bundle", &dir, &bundle.id]);
        let told = ["unable to stat preserved-fd 0 (of 1)", "invalid value"];
        crate::ctx::refusal(&reply, &told).map_err(|trouble| trouble.at(count))?;
    }
    check!(ctx.driver.state(&bundle.id).code != 0, "the container exists");
    Ok(())
}

/// The command with a socket of the test's in the place of a service's, which only this command sees.
fn before_service(ctx: &Ctx<'_>, place: &str, socket: &std::path::Path) -> Result<Cli, Trouble> {
    let top = place.split('/').nth(1).unwrap_or_default();
    let script = format!(
        "mount -t tmpfs none /{top} && mkdir -p $(dirname {place}) && ln -s {} {place} && exec \"$@\"",
        socket.display()
    );
    Ok(ctx.cli()?.behind(&["/usr/bin/unshare", "--mount", "/bin/sh", "-e", "-c", &script, "sh"]))
}

/// What a service hears of a command for a container that is not there.
fn logged(ctx: &Ctx<'_>, place: &str, options: &[&str]) -> Result<(Reply, Vec<String>), Trouble> {
    let manager = Manager::of(ctx)?;
    let words = [options, &["state", "nowhere"]].concat();
    let reply = before_service(ctx, place, &ctx.dir.join("manager"))?.call(&words);
    check!(reply.err.contains("container does not exist"), "{reply:?}");
    let heard = manager.heard(1)?;
    std::fs::remove_file(ctx.dir.join("manager"))?;
    Ok((reply, heard))
}

fn log_lines_go_to_the_journal(ctx: &Ctx<'_>) -> Outcome {
    for (options, name) in [(&["--log", "journald:web"][..], "web"), (&["--systemd-log"], "teu")] {
        let (reply, heard) = logged(ctx, "/run/systemd/journal/socket", options)?;
        same!(reply.err, "container does not exist\n", "stderr");
        let lines: Vec<&str> = heard.first().map(|all| all.lines().collect()).unwrap_or_default();
        for line in ["MESSAGE=container does not exist", "PRIORITY=3", &format!("SYSLOG_IDENTIFIER={name}")] {
            check!(lines.contains(&line), "no {line} in {lines:?}");
        }
    }
    Ok(())
}

fn log_lines_go_to_syslog(ctx: &Ctx<'_>) -> Outcome {
    let (reply, heard) = logged(ctx, "/dev/log", &["--log=syslog:web", "--log-level=debug"])?;
    same!(reply.err, "container does not exist\n", "stderr");
    let line = heard.first().cloned().unwrap_or_default();
    check!(line.starts_with("<11>web[") && line.ends_with("]: container does not exist"), "{line}");
    Ok(())
}

fn a_log_service_that_is_not_there_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let nowhere = ctx.dir.join("nobody");
    for (place, target) in [("/run/systemd/journal/socket", "journald:x"), ("/dev/log", "syslog:x")] {
        let reply = before_service(ctx, place, &nowhere)?.call(&["--log", target, "list"]);
        let told = format!("connect to {place}: no such file or directory");
        crate::ctx::refusal(&reply, &[&told])?;
        same!(reply.out, "", "stdout");
    }
    Ok(())
}
