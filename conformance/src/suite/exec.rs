//! One more process in a container: what it sees is what the container's own process sees, save what is its own.

use std::fs;

use serde_json::{Value, json};

use super::tests;
use crate::agent::{self, Agent};
use crate::bundle::Bundle;
use crate::ctx::{Container, Ctx};
use crate::driver::Exec;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same, sys};

tests! {
    a_process_is_in_every_namespace_of_init,
    a_process_is_in_the_time_namespace_of_init [Need::Time],
    a_process_is_in_the_user_namespace_of_init [Need::Users],
    a_process_is_in_the_namespaces_that_init_joined,
    a_process_is_in_the_pid_namespace_that_init_joined,
    a_process_has_the_root_of_a_container_without_a_mount_namespace [Need::Root],
    a_process_enters_a_container_without_a_pid_namespace,
    a_process_has_the_session_keyring_of_init,
    a_process_in_a_user_namespace_has_the_session_keyring_of_init [Need::Users],
    a_process_is_in_the_cgroups_of_init,
    a_process_follows_init_into_a_cgroup_of_the_container_s_own [Need::V2, Need::Controller("pids")],
    a_process_that_is_more_than_the_limit_is_refused [Need::Controller("pids")],
    the_mounts_and_what_they_hide_are_the_container_s,
    user_groups_and_umask_are_the_process_s,
    the_environment_is_exact_and_in_order,
    home_comes_from_the_container_s_image,
    the_cwd_is_the_process_s,
    capabilities_and_privileges_are_the_process_s,
    limits_and_oom_score_are_the_process_s,
    the_personality_is_the_container_s,
    the_filter_is_the_container_s,
    an_agent_hears_of_one_more_process,
    only_the_three_streams_are_open,
    a_process_leads_its_own_session,
    a_process_in_a_user_namespace_is_nobody_outside [Need::Users],
    an_edited_configuration_does_not_matter,
}

/// The probe with these ops as a process without anything more.
pub(super) fn process(ops: &[&str]) -> Value {
    let args: Vec<&str> = ["/probe"].into_iter().chain(ops.iter().copied()).collect();
    json!({ "args": args, "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 } })
}

/// What a process sees that runs to its end.
pub(super) fn enter(ctx: &Ctx<'_>, id: &str, process: &Value) -> Result<Report, Trouble> {
    let reply = ctx.driver.exec(Exec { id, process: process.to_string(), ..Exec::default() }).good()?;
    Report::parse(&reply.out)
}

/// The same by the probe's ops.
fn inside(ctx: &Ctx<'_>, container: &Container<'_>, ops: &[&str]) -> Result<Report, Trouble> {
    enter(ctx, &container.id, &process(ops))
}

/// What a process with these properties sees in an ordinary container.
fn with(ctx: &Ctx<'_>, properties: &Value, ops: &[&str]) -> Result<Report, Trouble> {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let mut process = process(ops);
    for (key, value) in properties.as_object().into_iter().flatten() {
        process[key] = value.clone();
    }
    enter(ctx, &container.id, &process)
}

/// Init and one more process must see the same.
fn alike(ctx: &Ctx<'_>, bundle: &mut Bundle, ops: &[&str]) -> Outcome {
    let (container, init) = ctx.sleeping(bundle, ops)?;
    let further = inside(ctx, &container, ops)?;
    for op in ops {
        same!(further.get(op), init.get(op), "{op}");
    }
    Ok(())
}

fn a_process_is_in_every_namespace_of_init(ctx: &Ctx<'_>) -> Outcome {
    alike(ctx, &mut ctx.bundle()?, &["ns", "hostname"])
}

fn a_process_has_the_session_keyring_of_init(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/user", json!({ "uid": 7, "gid": 7 }));
    shares_its_keyring(ctx, &mut bundle)?;
    shares_its_keyring(ctx, &mut ctx.bundle()?)
}

fn a_process_in_a_user_namespace_has_the_session_keyring_of_init(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    shares_its_keyring(ctx, &mut bundle)
}

/// The number of a keyring tells it from another of the same name.
fn shares_its_keyring(ctx: &Ctx<'_>, bundle: &mut Bundle) -> Outcome {
    let (container, init) = ctx.sleeping(bundle, &["keyring", "keyserial"])?;
    if init.text("keyring") == "ENOSYS" {
        return Err(Trouble::Skipped("the kernel has no keyrings".into()));
    }
    let further = inside(ctx, &container, &["keyring", "keyserial"])?;
    same!(further.text("keyring"), format!("_ses.{}", container.id), "name of the keyring");
    same!(further.text("keyserial"), init.text("keyserial"), "keyring");
    Ok(())
}

fn a_process_is_in_the_time_namespace_of_init(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/linux/namespaces", json!({ "type": "time" }));
    bundle.set("/linux/timeOffsets", json!({ "boottime": { "secs": 5_000_000 } }));
    let (container, init) = ctx.sleeping(&mut bundle, &["ns"])?;
    let further = inside(ctx, &container, &["ns", "read:/proc/uptime"])?;
    same!(further.get("ns"), init.get("ns"), "namespaces");
    let seconds = further.text("read:/proc/uptime").split('.').next().unwrap_or_default().parse::<u64>();
    check!(seconds.is_ok_and(|seconds| seconds >= 5_000_000), "the uptime is not shifted");
    Ok(())
}

fn a_process_is_in_the_user_namespace_of_init(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    alike(ctx, &mut bundle, &["ns", "read:/proc/self/uid_map", "read:/proc/self/setgroups"])
}

fn join_of(ctx: &Ctx<'_>, kinds: &[(&str, &str)]) -> Outcome {
    let (owner, theirs) = ctx.sleeping(&mut ctx.bundle()?, &["ns"])?;
    let mut bundle = ctx.bundle()?;
    bundle.remove("/hostname");
    for (kind, link) in kinds {
        bundle.join(kind, &format!("/proc/{}/ns/{link}", owner.pid));
    }
    let (joiner, init) = ctx.sleeping(&mut bundle, &["ns"])?;
    let further = inside(ctx, &joiner, &["ns"])?;
    same!(further.get("ns"), init.get("ns"), "namespaces");
    for (_, link) in kinds {
        same!(further.field("ns", link), theirs.field("ns", link), "{link} namespace");
    }
    Ok(())
}

fn a_process_is_in_the_namespaces_that_init_joined(ctx: &Ctx<'_>) -> Outcome {
    join_of(ctx, &[("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroup")])
}

fn a_process_is_in_the_pid_namespace_that_init_joined(ctx: &Ctx<'_>) -> Outcome {
    join_of(ctx, &[("pid", "pid")])
}

/// The root of a user namespace makes no nodes: it binds the host's, into the one mount namespace that there is.
fn a_process_has_the_root_of_a_container_without_a_mount_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("mount").set("/mounts", json!([])).set("/root/readonly", false);
    bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    alike(ctx, &mut bundle, &["list:/", "stat:/", "list:/../..", "cwd"])
}

fn a_process_enters_a_container_without_a_pid_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("pid");
    alike(ctx, &mut bundle, &["ns", "mounts"])
}

fn a_process_is_in_the_cgroups_of_init(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("cgroup");
    let (container, init) = ctx.sleeping(&mut bundle, &["cgroup"])?;
    let further = inside(ctx, &container, &["cgroup"])?;
    same!(further.get("cgroup"), init.get("cgroup"), "cgroups");
    let all = further.get("cgroup").to_string();
    check!(all.contains(&container.id), "no cgroup is the container's: {all}");
    Ok(())
}

/// What systemd in a container does: a group with controllers below takes no process any more.
fn a_process_follows_init_into_a_cgroup_of_the_container_s_own(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    // Without a limit nobody would have given the controller to the container's cgroup.
    bundle.without_namespace("cgroup").set("/linux/resources/pids", json!({ "limit": 100 }));
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let dir = ctx.host.cgroup("pids", &container.id).ok_or("no cgroup")?;
    fs::create_dir_all(dir.join("init.scope/deep"))?;
    fs::write(dir.join("init.scope/cgroup.procs"), container.pid.to_string())?;
    let own = |report: &Report| report.get("cgroup")[0].as_str().unwrap_or_default().to_owned();
    let above = own(&inside(ctx, &container, &["cgroup"])?);
    check!(above.ends_with(&format!("/{}", container.id)), "born in {above}");
    fs::write(dir.join("cgroup.subtree_control"), "+pids")?;
    let beside = own(&inside(ctx, &container, &["cgroup"])?);
    check!(beside.ends_with(&format!("/{}/init.scope", container.id)), "born in {beside}");
    Ok(())
}

/// The limit counts the container's tasks; nobody of the runtime is left in the cgroup.
fn a_process_that_is_more_than_the_limit_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/resources/pids", json!({ "limit": 1 }));
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let exec = Exec { id: &container.id, process: process(&["pid"]).to_string(), ..Exec::default() };
    super::exec_calls::refused(&ctx.driver.exec(exec), &["resource temporarily unavailable"])?;
    let dir = ctx.host.cgroup("pids", &container.id).ok_or("no cgroup")?;
    same!(fs::read_to_string(dir.join("cgroup.procs"))?.trim(), container.pid.to_string(), "processes");
    Ok(())
}

fn the_mounts_and_what_they_hide_are_the_container_s(ctx: &Ctx<'_>) -> Outcome {
    let ops = [
        "mounts",
        "list:/sys/firmware",
        "stat:/proc/keys",
        "read:/proc/timer_list",
        "write:/proc/sys/kernel/hostname=x",
        "write:/file=x",
        "list:/dev",
        "mknod:/dev/shm/disk:b:7:0",
    ];
    alike(ctx, &mut ctx.bundle()?, &ops)
}

fn user_groups_and_umask_are_the_process_s(ctx: &Ctx<'_>) -> Outcome {
    let user = json!({ "uid": 1000, "gid": 2000, "additionalGids": [7, 5], "umask": 0o027 });
    let report = with(ctx, &json!({ "user": user }), &["status"])?;
    same!(report.status("Uid"), "1000 1000 1000 1000", "uids");
    same!(report.status("Gid"), "2000 2000 2000 2000", "gids");
    same!(report.status("Groups"), "5 7", "groups");
    same!(report.status("Umask"), "0027", "umask");
    let report = with(ctx, &json!({}), &["status"])?;
    same!((report.status("Groups"), report.status("Umask")), ("".into(), "0022".into()), "groups and umask");
    Ok(())
}

fn environment(report: &Report) -> Vec<&str> {
    report.get("env").as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn the_environment_is_exact_and_in_order(ctx: &Ctx<'_>) -> Outcome {
    let given = json!({ "env": ["ZED=last letter", "A=1", "HOME=/h", "B=", "A=2"] });
    let report = with(ctx, &given, &["env"])?;
    same!(environment(&report), ["ZED=last letter", "HOME=/h", "B=", "A=2"], "environment");
    Ok(())
}

fn home_comes_from_the_container_s_image(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.file("etc/passwd", "root:x:0:0::/r:/bin/sh\nme:x:1000:1000::/home/of-me:/bin/sh\n", 0o644)?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    // As runc: a user whom the image does not know is at home in the root.
    let wanted = [
        (0, vec!["PATH=/bin", "HOME=/r"]),
        (1000, vec!["PATH=/bin", "HOME=/home/of-me"]),
        (7, vec!["PATH=/bin", "HOME=/"]),
    ];
    for (uid, variables) in wanted {
        let mut process = process(&["env"]);
        process["user"] = json!({ "uid": uid, "gid": 0 });
        let report = enter(ctx, &container.id, &process)?;
        same!(environment(&report), variables, "environment of {uid}");
    }
    Ok(())
}

fn the_cwd_is_the_process_s(ctx: &Ctx<'_>) -> Outcome {
    same!(with(ctx, &json!({ "cwd": "/dev/shm" }), &["cwd"])?.text("cwd"), "/dev/shm", "cwd");
    for fd in 3..16 {
        let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
        let mut process = process(&["list:../../../..", "cwd"]);
        process["cwd"] = json!(format!("/proc/self/fd/{fd}"));
        let exec = Exec { id: &container.id, process: process.to_string(), ..Exec::default() };
        let reply = ctx.driver.exec(exec);
        // CVE-2024-21626: a refusal is right, and so is a directory of the container.
        check!(
            reply.code == 255 || !reply.out.contains("\"etc\""),
            "descriptor {fd} leads out: {}",
            reply.out
        );
    }
    Ok(())
}

fn capabilities_and_privileges_are_the_process_s(ctx: &Ctx<'_>) -> Outcome {
    let keys = ["CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb"];
    let sets = |report: &Report| keys.map(|key| report.status(key));
    let list = json!(["CAP_CHOWN", "CAP_KILL"]);
    let some = json!({ "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"], "effective": ["CAP_KILL"],
        "permitted": list, "inheritable": list, "ambient": ["CAP_CHOWN"] });
    let given = json!({ "capabilities": some, "noNewPrivileges": true, "user": { "uid": 9, "gid": 9 } });
    let report = with(ctx, &given, &["status"])?;
    // After the exec of the program a user has what is ambient.
    let wanted = ["421", "1", "1", "21", "1"].map(|bits| format!("{bits:0>16}"));
    same!(sets(&report), wanted, "{keys:?}");
    same!(report.status("NoNewPrivs"), "1", "no_new_privs");
    let report = with(ctx, &json!({}), &["status"])?;
    same!(sets(&report), [0; 5].map(|bits| format!("{bits:016x}")), "{keys:?} of a process without any");
    same!(report.status("NoNewPrivs"), "0", "no_new_privs");
    Ok(())
}

fn limits_and_oom_score_are_the_process_s(ctx: &Ctx<'_>) -> Outcome {
    let given = json!({ "oomScoreAdj": 321, "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 600, "soft": 500 },
        { "type": "RLIMIT_CORE", "hard": 0, "soft": 0 }] });
    let report = with(ctx, &given, &["limits", "read:/proc/self/oom_score_adj"])?;
    same!(report.get("limits")["Max open files"], json!(["500", "600"]), "open files");
    same!(report.get("limits")["Max core file size"], json!(["0", "0"]), "core file");
    same!(report.text("read:/proc/self/oom_score_adj"), "321", "oom score");
    Ok(())
}

fn the_personality_is_the_container_s(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/personality", json!({ "domain": "LINUX32" }));
    alike(ctx, &mut bundle, &["machine", "read:/proc/self/personality"])
}

fn the_filter_is_the_container_s(ctx: &Ctx<'_>) -> Outcome {
    let op = format!("call:{}:0", libc::SYS_sched_get_priority_max);
    for privileges in [true, false] {
        let mut bundle = ctx.bundle()?;
        let rule = json!({ "names": ["sched_get_priority_max"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77 });
        bundle.set("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] }));
        let (container, _) = ctx.sleeping(&mut bundle, &[])?;
        let mut process = process(&[&op, "status"]);
        process["noNewPrivileges"] = json!(!privileges);
        let report = enter(ctx, &container.id, &process)?;
        same!(report.text(&op), "errno 77", "the call with no_new_privs {}", !privileges);
        same!(report.status("Seccomp"), "2", "mode");
    }
    Ok(())
}

fn an_agent_hears_of_one_more_process(ctx: &Ctx<'_>) -> Outcome {
    let agent = Agent::at(agent::place(&ctx.dir)?)?;
    let mut bundle = ctx.bundle()?;
    let rule = json!({ "names": ["sched_get_priority_max"], "action": "SCMP_ACT_NOTIFY" });
    let profile =
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": agent.path, "syscalls": [rule] });
    bundle.set("/linux/seccomp", profile);
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let (_, _first) = agent.hear()?;
    let op = format!("call:{}:0", libc::SYS_sched_get_priority_max);
    let answered = std::thread::scope(|scope| {
        let process = scope.spawn(|| {
            let process = process(&[&op]).to_string();
            ctx.driver.exec(Exec { id: &container.id, process, ..Exec::default() })
        });
        let heard = agent.hear().and_then(|(state, listener)| {
            let question = agent::question(&listener)?;
            agent::answer(&listener, question.id, Err(78))?;
            Ok((state, question.pid))
        });
        Ok::<_, Trouble>((heard?, process.join().map_err(|_| "a thread panicked")?))
    });
    let ((said, pid), reply) = answered?;
    same!(Report::parse(&reply.good()?.out)?.text(&op), "errno 78", "the answer");
    same!(said["pid"], pid, "pid of the process");
    same!(said["state"]["pid"], container.pid, "pid of the container");
    same!(said["state"]["status"], "running", "status");
    Ok(())
}

fn only_the_three_streams_are_open(ctx: &Ctx<'_>) -> Outcome {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let mut held = Vec::new();
    for path in ["/", "/etc/passwd", "/proc/self/ns/mnt", "/dev/null", "/"] {
        let file = fs::File::open(path)?;
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
        held.push(file);
    }
    let report = inside(ctx, &container, &["fds"])?;
    let fds = report.get("fds").as_object().cloned().unwrap_or_default();
    same!(fds.keys().collect::<Vec<_>>(), ["0", "1", "2"], "descriptors {fds:?}");
    Ok(())
}

fn a_process_leads_its_own_session(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let report = inside(ctx, &container, &["pid", "status"])?;
    let ids = report.get("pid");
    check!(ids["sid"] == ids["pid"] && ids["pgrp"] == ids["pid"], "{ids}");
    same!(ids["ppid"], 0, "parent, who is outside");
    same!(report.status("SigBlk"), "0000000000000000", "blocked signals");
    Ok(())
}

fn a_process_in_a_user_namespace_is_nobody_outside(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let pid_file = ctx.dir.join("pid");
    let mut process = process(&["sleep"]);
    process["user"] = json!({ "uid": 5, "gid": 6, "additionalGids": [7] });
    let exec = Exec {
        id: &container.id,
        process: process.to_string(),
        detach: true,
        pid_file: Some(pid_file.clone()),
        ..Exec::default()
    };
    ctx.driver.exec(exec).good()?;
    let pid = fs::read_to_string(pid_file)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    super::exec_calls::end(&pid)?;
    for line in ["Uid:\t100005\t", "Gid:\t100006\t", "Groups:\t100007 "] {
        check!(status.contains(line), "no {line:?} in {status}");
    }
    Ok(())
}

/// The copy that `create` made counts.
fn an_edited_configuration_does_not_matter(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let rule = json!({ "names": ["sched_get_priority_max"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77 });
    bundle.set("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] }));
    let (container, init) = ctx.sleeping(&mut bundle, &["ns"])?;
    bundle.remove("/linux/seccomp").without_namespace("network").without_namespace("mount");
    bundle.set("/mounts", json!([])).write()?;
    let op = format!("call:{}:0", libc::SYS_sched_get_priority_max);
    for _ in 0..2 {
        let report = inside(ctx, &container, &["ns", &op])?;
        same!(report.get("ns"), init.get("ns"), "namespaces");
        same!(report.text(&op), "errno 77", "the call");
        let _ = fs::remove_file(bundle.dir.join("config.json"));
    }
    check!(sys::pidfd(container.pid).is_ok(), "init is gone");
    Ok(())
}
