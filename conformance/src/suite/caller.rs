//! Callers in odd circumstances: without stdio, in a deleted directory, with signals ignored, through relative paths.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::sys::signal::{SIGTERM, kill};
use nix::unistd::Pid;

use super::tests;
use crate::ctx::{Ctx, Lines};
use crate::driver::{Driver, Exec, New};
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same, sys};

tests! {
    a_caller_without_stdio_is_served [Need::Cli],
    a_caller_in_a_deleted_directory_is_served [Need::Cli],
    a_caller_that_ignores_sigchld_still_gets_the_exit_code [Need::Cli],
    a_caller_with_an_empty_environment_is_served [Need::Cli],
    a_relative_bundle_becomes_absolute [Need::Cli],
    a_bundle_behind_a_link_works,
    a_foreground_run_passes_signals_on [Need::Cli],
    a_foreground_exec_passes_signals_on [Need::Cli],
    a_kept_container_stays_with_its_cgroup [Need::Cli],
    a_container_that_is_not_kept_leaves_nothing [Need::Cli],
    the_session_keyring_is_the_container_s_unless_the_caller_s_is_kept [Need::Cli],
    init_is_the_child_of_the_caller_s_subreaper [Need::Cli],
    run_collects_what_a_container_leaves_behind [Need::Cli, Need::Busybox],
    create_start_kill_and_delete_print_nothing,
    the_state_root_is_made_for_the_owner_alone [Need::Cli],
    four_threads_make_forty_containers,
}

/// The exit code tells that the program ran; with its stdio closed it cannot tell anything else.
fn served(ctx: &Ctx<'_>, launcher: &[&str]) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let reply = ctx.cli()?.behind(launcher).run(ctx.new_of(bundle.ops(&["exit:7"]))?);
    same!(reply.code, 7, "exit code; stderr {:?}", reply.err);
    Ok(())
}

fn a_caller_without_stdio_is_served(ctx: &Ctx<'_>) -> Outcome {
    served(ctx, &["/bin/sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"])
}

fn a_caller_in_a_deleted_directory_is_served(ctx: &Ctx<'_>) -> Outcome {
    let dir = ctx.dir.join("gone");
    fs::create_dir(&dir)?;
    let script = format!("cd {0} && rmdir {0} && exec \"$@\"", dir.display());
    served(ctx, &["/bin/sh", "-c", &script, "sh"])
}

fn a_caller_that_ignores_sigchld_still_gets_the_exit_code(ctx: &Ctx<'_>) -> Outcome {
    served(ctx, &["/usr/bin/env", "--ignore-signal=CHLD"])
}

fn a_caller_with_an_empty_environment_is_served(ctx: &Ctx<'_>) -> Outcome {
    served(ctx, &["/usr/bin/env", "--ignore-environment"])
}

fn a_relative_bundle_becomes_absolute(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["pid"]).write()?;
    let name = bundle.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let path = format!("./../{}/{name}", ctx.dir.file_name().unwrap_or_default().to_string_lossy());
    ctx.cli()?.call_in(&ctx.dir, &["create", "--bundle", &path, &bundle.id]).good()?;
    let state = ctx.state(&bundle.id);
    ctx.driver.delete(&bundle.id, true).good()?;
    same!(state?["bundle"], *bundle.dir.to_string_lossy(), "bundle");
    Ok(())
}

fn a_bundle_behind_a_link_works(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["exit:7"]).write()?;
    let link = ctx.dir.join("link");
    symlink(&bundle.dir, &link)?;
    let reply = ctx.driver.run(New { id: &bundle.id, bundle: link, ..New::default() });
    same!(reply.code, 7, "exit code; stderr {:?}", reply.err);
    Ok(())
}

fn a_foreground_run_passes_signals_on(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("pid").ops(&["pid", "sleep"]);
    let (out, stdout) = sys::pipe()?;
    let running = ctx.cli()?.spawn_run(New { stdout: Some(stdout), ..ctx.new_of(&bundle)? })?;
    let said = Lines::new(out).next(sys::PATIENCE);
    kill(Pid::from_raw(running.pid()), SIGTERM)?;
    let reply = running.finish();
    check!(said?.is_some(), "the program said nothing: {reply:?}");
    same!(reply.code, 128 + 15, "exit code");
    Ok(())
}

fn a_foreground_exec_passes_signals_on(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let (out, stdout) = sys::pipe()?;
    let exec = Exec { stdout: Some(stdout), ..Exec::default() };
    let running = ctx.cli()?.spawn_exec(exec, &[container.id.as_str(), "/probe", "pid", "sleep"])?;
    let said = Lines::new(out).next(sys::PATIENCE);
    kill(Pid::from_raw(running.pid()), SIGTERM)?;
    let reply = running.finish();
    check!(said?.is_some(), "the program said nothing: {reply:?}");
    same!(reply.code, 128 + 15, "exit code");
    same!(container.status()?, "running", "status of the container");
    Ok(())
}

/// BuildKit reads what the cgroup counted after the end.
fn a_kept_container_stays_with_its_cgroup(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["exit:3"]).write()?;
    let dir = bundle.dir.to_string_lossy().into_owned();
    let reply = ctx.cli()?.call(&["run", "--keep", "--bundle", &dir, &bundle.id]);
    let status = ctx.status(&bundle.id);
    let kept = ctx.host.hierarchies.iter().all(|one| ctx.host.dir(one, &bundle.id).exists());
    ctx.driver.delete(&bundle.id, false).good()?;
    same!((reply.code, status?.as_str()), (3, "stopped"), "exit code and status");
    check!(kept, "the cgroup is gone");
    Ok(())
}

fn a_container_that_is_not_kept_leaves_nothing(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["exit:3"]);
    same!(ctx.run(&bundle)?.code, 3, "exit code");
    check!(ctx.driver.state(&bundle.id).err.contains("container does not exist"), "there is still a state");
    check!(!ctx.driver.root().join(&bundle.id).exists(), "there is still a directory");
    let left = |one: &crate::host::Hierarchy| ctx.host.dir(one, &bundle.id).exists();
    check!(!ctx.host.hierarchies.iter().any(left), "there is still a cgroup");
    Ok(())
}

fn the_session_keyring_is_the_container_s_unless_the_caller_s_is_kept(ctx: &Ctx<'_>) -> Outcome {
    let see = |options: &[&str]| -> Result<(String, String), Trouble> {
        let mut bundle = ctx.bundle()?;
        bundle.ops(&["keyring"]).write()?;
        let dir = bundle.dir.to_string_lossy().into_owned();
        let words = [&["run"], options, &["--bundle", &dir, &bundle.id]].concat();
        let reply = ctx.cli()?.call(&words).good()?;
        Ok((Report::parse(&reply.out)?.text("keyring").to_owned(), format!("_ses.{}", bundle.id)))
    };
    let (new, wanted) = see(&[])?;
    if new == "ENOSYS" {
        return Err(Trouble::Skipped("the kernel has no keyrings".into()));
    }
    same!(new, wanted, "keyring");
    let (kept, not_wanted) = see(&["--no-new-keyring"])?;
    check!(!kept.is_empty() && kept != not_wanted && !kept.starts_with('E'), "keyring of the caller: {kept}");
    Ok(())
}

/// The caller of create is a subreaper, as conmon and the shim are, and collects init.
fn init_is_the_child_of_the_caller_s_subreaper(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let parent = fs::read_to_string(format!("/proc/{}/status", container.pid))?;
    let parent = parent.lines().find_map(|line| line.strip_prefix("PPid:\t")).unwrap_or_default().to_owned();
    same!(parent, std::process::id().to_string(), "parent of init");
    for options in [&["--no-subreaper"][..], &["-no-subreaper", "--no-new-keyring"]] {
        let mut bundle = ctx.bundle()?;
        bundle.ops(&["exit:4"]).write()?;
        let dir = bundle.dir.to_string_lossy().into_owned();
        let words = [&["run"], options, &["--bundle", &dir, &bundle.id]].concat();
        same!(ctx.cli()?.call(&words).code, 4, "{options:?}");
    }
    Ok(())
}

/// Without a pid namespace of its own. Init is the child of `run`: an orphan gets the same parent, and does not stay when it has ended.
const ORPHAN: &str = r#"
    (sh -c 'first=$PPID
        : > /tmp/seen
        while read -r a b c parent rest < /proc/$$/stat; [ $parent = $first ]; do sleep 0.01; done
        echo $$ $parent > /tmp/orphan' &
    until [ -e /tmp/seen ]; do sleep 0.01; done)
    until [ -s /tmp/orphan ]; do sleep 0.01; done
    read -r pid parent < /tmp/orphan
    if [ $parent != $PPID ]; then echo left; exit; fi
    until [ ! -d /proc/$pid ]; do sleep 0.01; done
    echo collected"#;

fn run_collects_what_a_container_leaves_behind(ctx: &Ctx<'_>) -> Outcome {
    for (options, wanted) in [(&[][..], "collected\n"), (&["--no-subreaper"], "left\n")] {
        let mut bundle = ctx.busybox(&["sh", "sleep"])?;
        bundle.without_namespace("pid").mount("/tmp", "tmpfs", "tmpfs", &["mode=1777"]);
        bundle.args(&["sh", "-c", ORPHAN]).write()?;
        let dir = bundle.dir.to_string_lossy().into_owned();
        let words = [&["run"], options, &["--bundle", &dir, &bundle.id]].concat();
        same!(ctx.cli()?.call(&words).good()?.out, wanted, "{options:?}");
    }
    Ok(())
}

/// The container's stdio is the caller's, so a word of the runtime would be taken for the program's.
fn create_start_kill_and_delete_print_nothing(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["sleep"]);
    let (driver, id) = (ctx.driver, bundle.id.as_str());
    let replies = [
        driver.create(ctx.new_of(&bundle)?),
        driver.start(id),
        driver.kill(id, "KILL", false),
        driver.delete(id, true),
    ];
    for (verb, reply) in ["create", "start", "kill", "delete"].iter().zip(replies) {
        let reply = reply.good()?;
        same!((reply.out.as_str(), reply.err.as_str()), ("", ""), "output of {verb}");
    }
    Ok(())
}

fn the_state_root_is_made_for_the_owner_alone(ctx: &Ctx<'_>) -> Outcome {
    let root = ctx.dir.join("fresh/root");
    let cli = ctx.cli()?.at_root(&root);
    let mut bundle = ctx.bundle()?;
    cli.create(ctx.new_of(bundle.ops(&["pid"]))?).good()?;
    let mode = fs::metadata(&root).map(|meta| meta.permissions().mode() & 0o7777);
    cli.delete(&bundle.id, true).good()?;
    same!(format!("{:04o}", mode?), "0700", "mode of the state root");
    Ok(())
}

/// For the library these are threads of one process: forks, descriptors and locks of each other are in the way.
fn four_threads_make_forty_containers(ctx: &Ctx<'_>) -> Outcome {
    let mut bundles = Vec::new();
    for _ in 0..40 {
        let mut bundle = ctx.bundle()?;
        bundle.ops(&["fds", "exit:5"]).write()?;
        bundles.push(bundle);
    }
    let driver = ctx.driver;
    let make = |bundle: &crate::bundle::Bundle| {
        driver.run(New { id: &bundle.id, bundle: bundle.dir.clone(), ..New::default() })
    };
    let replies = std::thread::scope(|scope| {
        let threads: Vec<_> = bundles
            .chunks(10)
            .map(|chunk| scope.spawn(move || chunk.iter().map(make).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect::<Vec<_>>()
    });
    same!(replies.len(), 40, "containers");
    for reply in replies {
        same!(reply.code, 5, "exit code; stderr {:?}", reply.err);
        let report = crate::probe::Report::parse(&reply.out)?;
        same!(
            report.get("fds").as_object().map(serde_json::Map::len),
            Some(3),
            "descriptors: {}",
            report.get("fds")
        );
    }
    Ok(())
}
