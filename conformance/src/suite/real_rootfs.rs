//! Real programs on a real rootfs: busybox, and a Debian with bash, perl and python.

use serde_json::json;

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::{Outcome, Trouble, check, same, sys};

tests! {
    busybox_runs_a_shell [Need::Busybox],
    busybox_runs_a_pipeline [Need::Busybox],
    busybox_init_reaps_and_ends [Need::Busybox],
    debian_runs_bash [Need::Debian],
    debian_runs_perl [Need::Debian],
    debian_runs_python [Need::Debian],
    debian_knows_its_users [Need::Debian],
    debian_as_a_user_with_a_home [Need::Debian],
    a_daemonising_program_ends_the_container [Need::Busybox],
    a_tree_of_two_hundred_processes_is_ended,
    a_tree_of_two_hundred_processes_in_the_host_s_pid_namespace_is_ended,
    a_program_that_ignores_sigterm_is_ended_by_force,
    a_program_can_be_pid_one_for_its_orphans [Need::Busybox],
    a_fork_bomb_behind_a_pids_limit_is_ended [Need::Busybox, Need::Controller("pids")],
}

fn shell(ctx: &Ctx<'_>, applets: &[&str], script: &str) -> Result<String, Trouble> {
    let mut bundle = ctx.busybox(applets)?;
    bundle.args(&["sh", "-c", script]);
    Ok(ctx.run(&bundle)?.good()?.out)
}

fn busybox_runs_a_shell(ctx: &Ctx<'_>) -> Outcome {
    same!(shell(ctx, &["sh", "id"], "cd /bin && echo $PWD $$ $(id -u)")?, "/bin 1 0\n", "output");
    Ok(())
}

fn busybox_runs_a_pipeline(ctx: &Ctx<'_>) -> Outcome {
    let applets = ["sh", "seq", "grep", "wc", "tr"];
    same!(shell(ctx, &applets, "seq 1 1000 | grep 7 | wc -l | tr -d ' '")?, "271\n", "output");
    Ok(())
}

fn busybox_init_reaps_and_ends(ctx: &Ctx<'_>) -> Outcome {
    let script = "for i in 1 2 3 4 5; do (sleep 0 &) ; done; wait; exit 9";
    let mut bundle = ctx.busybox(&["sh", "sleep"])?;
    same!(ctx.run(bundle.args(&["sh", "-c", script]))?.code, 9, "exit code");
    Ok(())
}

fn debian(ctx: &Ctx<'_>, args: &[&str]) -> Result<String, Trouble> {
    let mut bundle = ctx.debian()?;
    bundle.mount("/tmp", "tmpfs", "tmpfs", &["mode=1777"]).args(args);
    Ok(ctx.run(&bundle)?.good()?.out)
}

fn debian_runs_bash(ctx: &Ctx<'_>) -> Outcome {
    let script = "set -e; a=(x y z); echo ${#a[@]} > /tmp/n; read n < <(cat /tmp/n); echo $n ${BASH_VERSION%%.*}; ! touch /x 2>/dev/null";
    let out = debian(ctx, &["bash", "-c", script])?;
    check!(out.starts_with("3 5"), "output: {out}");
    Ok(())
}

fn debian_runs_perl(ctx: &Ctx<'_>) -> Outcome {
    let script =
        "use POSIX; my $k = fork // die; exit 3 unless $k; wait; print $? >> 8, ' ', (getpid()), \"\\n\"";
    same!(debian(ctx, &["perl", "-e", script])?, "3 1\n", "output");
    Ok(())
}

fn debian_runs_python(ctx: &Ctx<'_>) -> Outcome {
    // Builtin modules only: the rootfs may have the minimal interpreter.
    let script = "import os, _thread\n\
                  lock = _thread.allocate_lock(); lock.acquire(); _thread.start_new_thread(lock.release, ()); lock.acquire()\n\
                  child = os.fork()\n\
                  if child == 0: os._exit(7)\n\
                  print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), os.getpid(), os.uname().nodename)";
    if !ctx.host.debian.as_ref().is_some_and(|root| root.join("usr/bin/python3").exists()) {
        return Err(Trouble::Skipped("the Debian rootfs has no python3".into()));
    }
    same!(debian(ctx, &["python3", "-c", script])?, "7 1 conformance\n", "output");
    Ok(())
}

fn debian_knows_its_users(ctx: &Ctx<'_>) -> Outcome {
    same!(debian(ctx, &["id", "-un"])?, "root\n", "user");
    same!(debian(ctx, &["bash", "-c", "echo ~ $HOME"])?, "/root /root\n", "home");
    Ok(())
}

fn debian_as_a_user_with_a_home(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle: Bundle = ctx.debian()?;
    bundle.set("/process/user", json!({ "uid": 1, "gid": 1, "additionalGids": [5] }));
    bundle.args(&["bash", "-c", "id -un; id -Gn; echo $HOME"]);
    same!(ctx.run(&bundle)?.good()?.out, "daemon\ndaemon tty\n/usr/sbin\n", "output");
    Ok(())
}

/// Its first process ends, and with it the pid namespace.
fn a_daemonising_program_ends_the_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.busybox(&["sh", "setsid", "sleep"])?;
    bundle.args(&["sh", "-c", "setsid sleep 1000 & echo forked"]);
    let mut container = ctx.started(&bundle)?;
    same!(container.line()?, Some("forked".into()), "output");
    same!(container.line()?, None, "stdout, which the daemon holds");
    container.ended()?;
    same!(container.status()?, "stopped", "status");
    container.delete()
}

fn a_tree_of_two_hundred_processes_is_ended(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, report) = ctx.sleeping(&mut bundle, &["tree:200"])?;
    same!(report.get("tree:200"), &json!(200), "processes");
    container.kill("KILL")?;
    container.ended()?;
    container.delete()
}

fn a_tree_of_two_hundred_processes_in_the_host_s_pid_namespace_is_ended(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("pid");
    let (container, report) = ctx.sleeping(&mut bundle, &["tree:200"])?;
    same!(report.get("tree:200"), &json!(200), "processes");
    container.delete_by_force()
}

fn a_program_that_ignores_sigterm_is_ended_by_force(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("pid");
    let (container, _) = ctx.sleeping(&mut bundle, &["deaf"])?;
    container.kill("TERM")?;
    same!(container.status()?, "running", "status after SIGTERM");
    container.kill("KILL")?;
    same!(container.exit_code()?, 128 + 9, "exit code");
    container.delete()
}

fn a_program_can_be_pid_one_for_its_orphans(ctx: &Ctx<'_>) -> Outcome {
    let script = "(sh -c 'echo $PPID; exec sleep 0' &); sleep 0; (exec sh -c 'sleep 0' ) ; wait; echo end";
    let out = shell(ctx, &["sh", "sleep"], script)?;
    check!(out.ends_with("end\n"), "output: {out}");
    Ok(())
}

fn a_fork_bomb_behind_a_pids_limit_is_ended(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.busybox(&["sh", "sleep"])?;
    bundle.set("/linux/resources/pids/limit", 50);
    bundle.args(&["sh", "-c", "echo go; b() { b | b & }; b; sleep 1000"]);
    let mut container = ctx.started(&bundle)?;
    same!(container.line()?, Some("go".into()), "output");
    container.delete_by_force()?;
    check!(sys::ended_within(container.pid, sys::PATIENCE)?, "init survived");
    Ok(())
}
