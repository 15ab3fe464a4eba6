//! A caller without any privilege: an ordinary user with one mapped id, its own state root, and no right to a cgroup.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use serde_json::{Value, json};

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::{Ctx, Lines, refusal};
use crate::driver::{Cli, Driver, Reply};
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same, sys};

tests! {
    a_user_runs_a_container [Need::Cli, Need::Users, Need::Setpriv],
    a_user_s_container_lives_and_dies [Need::Cli, Need::Users, Need::Setpriv],
    a_user_enters_its_own_container [Need::Cli, Need::Users, Need::Setpriv],
    a_user_has_new_namespaces_that_it_owns [Need::Cli, Need::Users, Need::Setpriv],
    a_user_may_have_a_network_namespace [Need::Cli, Need::Users, Need::Setpriv],
    a_user_may_shift_its_clocks [Need::Cli, Need::Users, Need::Setpriv, Need::Time],
    a_user_may_set_sysctls_of_its_namespaces [Need::Cli, Need::Users, Need::Setpriv],
    a_user_may_not_do_without_a_user_namespace [Need::Cli, Need::Users, Need::Setpriv],
    a_user_may_not_set_groups [Need::Cli, Need::Users, Need::Setpriv],
    root_of_a_user_namespace_may_set_groups [Need::Cli, Need::Users],
    a_user_may_not_map_what_it_has_not [Need::Cli, Need::Users, Need::Setpriv],
    a_user_may_not_move_devices [Need::Cli, Need::Users, Need::Setpriv],
    a_user_may_not_give_mounts_to_unmapped_ids [Need::Cli, Need::Users, Need::Setpriv],
    a_user_may_not_join_a_namespace_of_root [Need::Cli, Need::Users, Need::Setpriv],
    a_user_joins_its_own_user_namespace_first [Need::Cli, Need::Users, Need::Setpriv],
    a_user_may_not_have_limits_without_a_cgroup [Need::Cli, Need::Users, Need::Setpriv],
}

/// Nobody: owns nothing and has no subordinate ids.
const USER: u32 = 65_534;

/// The runtime as the user calls it: a copy that it can reach, with a state root of its own.
fn cli(ctx: &Ctx<'_>) -> Result<Cli, Trouble> {
    let copy = ctx.dir.join("runtime");
    if !copy.exists() {
        fs::copy(ctx.cli()?.path(), &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
    }
    let root = ctx.dir.join("run");
    fs::create_dir_all(&root)?;
    chown(&root, Some(USER), Some(USER))?;
    let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"];
    Ok(Cli::new(ctx.driver.name(), &copy, &root).behind(&user))
}

/// A bundle of the user's, with the configuration that the runtime itself proposes.
fn bundle(ctx: &Ctx<'_>, cli: &Cli) -> Result<Bundle, Trouble> {
    let mut bundle = ctx.bundle()?;
    give(&bundle.dir, USER)?;
    let dir = bundle.dir.to_string_lossy().into_owned();
    cli.call(&["spec", "--rootless", "--bundle", &dir]).good()?;
    let text = fs::read(bundle.dir.join("config.json"))?;
    bundle.config = serde_json::from_slice(&text).map_err(std::io::Error::from)?;
    bundle.set("/process/terminal", false);
    Ok(bundle)
}

fn give(path: &Path, user: u32) -> std::io::Result<()> {
    if path.is_dir() {
        fs::read_dir(path)?.try_for_each(|entry| give(&entry?.path(), user))?;
    }
    chown(path, Some(user), Some(user))
}

fn see(ctx: &Ctx<'_>, edit: impl FnOnce(&mut Bundle), ops: &[&str]) -> Result<Report, Trouble> {
    let cli = cli(ctx)?;
    let mut bundle = bundle(ctx, &cli)?;
    edit(&mut bundle);
    Report::parse(&cli.run(ctx.new_of(bundle.ops(ops))?).good()?.out)
}

fn refused(ctx: &Ctx<'_>, edit: impl FnOnce(&mut Bundle), texts: &[&str]) -> Outcome {
    let cli = cli(ctx)?;
    let mut bundle = bundle(ctx, &cli)?;
    edit(&mut bundle);
    let reply: Reply = cli.create(ctx.new_of(bundle.ops(&[]))?);
    if reply.code == 0 {
        let _ = cli.delete(&bundle.id, true);
    }
    refusal(&reply, texts)?;
    check!(cli.state(&bundle.id).code != 0, "the container exists after a failed create");
    Ok(())
}

fn a_user_runs_a_container(ctx: &Ctx<'_>) -> Outcome {
    let map = "read:/proc/self/uid_map";
    let report = see(ctx, |_| {}, &["status", map, "pid", "hostname", "write:/dev/shm/x=y"])?;
    same!(report.status("Uid"), "0 0 0 0", "uid inside");
    same!(report.text(map).split_whitespace().collect::<Vec<_>>(), ["0", "65534", "1"], "map");
    same!(report.field("pid", "pid"), "1", "pid");
    same!(report.text("write:/dev/shm/x=y"), "ok", "a write to a tmpfs");
    Ok(())
}

fn a_user_s_container_lives_and_dies(ctx: &Ctx<'_>) -> Outcome {
    let cli = cli(ctx)?;
    let mut bundle = bundle(ctx, &cli)?;
    cli.create(ctx.new_of(bundle.ops(&["sleep"]))?).good()?;
    let state = || -> Result<Value, Trouble> {
        Ok(serde_json::from_str(&cli.state(&bundle.id).good()?.out).map_err(std::io::Error::from)?)
    };
    same!(state()?["status"], json!("created"), "status");
    let pid = i32::try_from(state()?["pid"].as_i64().unwrap_or(0)).unwrap_or(0);
    let owner = fs::read_to_string(format!("/proc/{pid}/status"))?;
    check!(owner.contains("Uid:\t65534\t65534\t65534\t65534"), "init has another owner: {owner}");
    cli.start(&bundle.id).good()?;
    same!(state()?["status"], json!("running"), "status");
    cli.kill(&bundle.id, "KILL", false).good()?;
    check!(sys::ended_within(pid, sys::PATIENCE)?, "init still lives");
    same!(state()?["status"], json!("stopped"), "status");
    cli.delete(&bundle.id, false).good()?;
    check!(cli.state(&bundle.id).code != 0, "the container outlives its delete");
    Ok(())
}

fn a_user_enters_its_own_container(ctx: &Ctx<'_>) -> Outcome {
    let cli = cli(ctx)?;
    let mut bundle = bundle(ctx, &cli)?;
    bundle.push("/linux/namespaces", json!({ "type": "network" }));
    let (out, stdout) = sys::pipe()?;
    let mut new = ctx.new_of(bundle.ops(&["ns", "mounts", "cgroup", "sleep"]))?;
    new.stdout = Some(stdout);
    cli.create(new).good()?;
    cli.start(&bundle.id).good()?;
    let init = Lines::new(out).next(sys::PATIENCE);
    let call = |args: &[&str]| {
        let all = ["exec", &bundle.id, "/probe"].iter().chain(args).copied().collect::<Vec<_>>();
        cli.call(&all)
    };
    let (seen, ended) = (call(&["ns", "mounts", "cgroup", "status", "fds"]), call(&["exit:7"]));
    let refused = cli.call(&["exec", "-g", "5", &bundle.id, "/probe"]);
    cli.delete(&bundle.id, true).good()?;
    let (init, seen) = (Report::parse(&init?.ok_or("no report")?)?, Report::parse(&seen.good()?.out)?);
    for op in ["ns", "mounts", "cgroup"] {
        same!(seen.get(op), init.get(op), "{op}");
    }
    same!(seen.status("Uid"), "0 0 0 0", "uid inside");
    same!(seen.get("fds").as_object().map_or(0, serde_json::Map::len), 3, "descriptors");
    same!(ended.code, 7, "exit code: {}", ended.err);
    super::exec_calls::refused(&refused, &["/process/user/additionalGids"])
}

fn a_user_has_new_namespaces_that_it_owns(ctx: &Ctx<'_>) -> Outcome {
    let report = see(ctx, |_| {}, &["ns"])?;
    for kind in ["user", "mnt", "pid", "uts", "ipc"] {
        check!(
            report.field("ns", kind) != sys::namespace("self", kind)?,
            "the {kind} namespace is the host's"
        );
    }
    same!(report.field("ns", "net"), sys::namespace("self", "net")?, "network namespace");
    Ok(())
}

fn a_user_may_have_a_network_namespace(ctx: &Ctx<'_>) -> Outcome {
    let network = |bundle: &mut Bundle| {
        bundle.push("/linux/namespaces", json!({ "type": "network" }));
    };
    same!(see(ctx, network, &["loopback"])?.text("loopback"), "ok", "a connection to 127.0.0.1");
    Ok(())
}

fn a_user_may_shift_its_clocks(ctx: &Ctx<'_>) -> Outcome {
    let edit = |bundle: &mut Bundle| {
        bundle.push("/linux/namespaces", json!({ "type": "time" }));
        bundle.set("/linux/timeOffsets", json!({ "boottime": { "secs": 5_000_000 } }));
    };
    let report = see(ctx, edit, &["read:/proc/uptime", "ns"])?;
    check!(report.field("ns", "time") != sys::namespace("self", "time")?, "the time namespace is the host's");
    let uptime = report.text("read:/proc/uptime").split('.').next().unwrap_or_default();
    check!(uptime.parse::<u64>().unwrap_or(0) >= 5_000_000, "uptime {uptime} is not shifted");
    Ok(())
}

fn a_user_may_set_sysctls_of_its_namespaces(ctx: &Ctx<'_>) -> Outcome {
    let edit = |bundle: &mut Bundle| {
        bundle.push("/linux/namespaces", json!({ "type": "network" }));
        bundle.set("/linux/sysctl", json!({ "net.core.somaxconn": "321" }));
    };
    let op = "read:/proc/sys/net/core/somaxconn";
    same!(see(ctx, edit, &[op])?.text(op), "321", "inside");
    Ok(())
}

fn a_user_may_not_do_without_a_user_namespace(ctx: &Ctx<'_>) -> Outcome {
    let edit = |bundle: &mut Bundle| {
        bundle.without_namespace("user").remove("/linux/uidMappings").remove("/linux/gidMappings");
    };
    refused(ctx, edit, &["rootless container requires user namespaces", "user namespace"])
}

fn a_user_may_not_set_groups(ctx: &Ctx<'_>) -> Outcome {
    let edit = |bundle: &mut Bundle| {
        bundle.set("/process/user/additionalGids", json!([0]));
    };
    refused(ctx, edit, &["cannot set any additional groups in a rootless container", "groups"])
}

/// As podman calls a runtime for an ordinary user: root of a user namespace that was given its ids by somebody privileged.
fn root_of_a_user_namespace_may_set_groups(ctx: &Ctx<'_>) -> Outcome {
    const INSIDE: &str = "unshare --user sleep 1000 & P=$!
        until test \"$(readlink /proc/$P/ns/user)\" != \"$(readlink /proc/self/ns/user)\"; do sleep 0.01; done
        echo 0 0 1000000 > /proc/$P/uid_map && echo 0 0 1000000 > /proc/$P/gid_map
        nsenter --user --target $P --setuid 0 --setgid 0 \"$@\"; CODE=$?; kill $P; wait $P; exit $CODE";
    let mut bundle = ctx.bundle()?;
    let maps = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
    bundle.push("/linux/namespaces", json!({ "type": "user" }));
    bundle.set("/linux/uidMappings", maps.clone()).set("/linux/gidMappings", maps);
    bundle
        .set("/process/user/additionalGids", json!([7, 1000]))
        .remove("/linux/cgroupsPath")
        .remove("/linux/resources");
    give(&bundle.dir, 100_000)?;
    let inside = ctx.cli()?.behind(&["/bin/sh", "-c", INSIDE, "sh"]);
    let cli = inside.at_root(&ctx.dir.join("run"));
    let reply = cli.run(ctx.new_of(bundle.ops(&["status"]))?).good()?;
    same!(Report::parse(&reply.out)?.status("Groups"), "7 1000", "groups");
    Ok(())
}

fn a_user_may_not_map_what_it_has_not(ctx: &Ctx<'_>) -> Outcome {
    let maps = json!([{ "containerID": 0, "hostID": 0, "size": 1 }]);
    refused(
        ctx,
        |bundle| {
            bundle.set("/linux/uidMappings", maps);
        },
        &["uid_map", "/linux/uidMappings"],
    )
}

fn a_user_may_not_move_devices(ctx: &Ctx<'_>) -> Outcome {
    let edit = |bundle: &mut Bundle| {
        bundle.push("/linux/namespaces", json!({ "type": "network" }));
        bundle.set("/linux/netDevices", json!({ "lo": {} }));
    };
    refused(ctx, edit, &["network devices cannot be moved into a rootless container", "rootless", "device"])
}

fn a_user_may_not_give_mounts_to_unmapped_ids(ctx: &Ctx<'_>) -> Outcome {
    let text = "cannot specify gid=5 mount option for rootless container";
    refused(
        ctx,
        |bundle| {
            bundle.mount("/tmp", "tmpfs", "tmpfs", &["gid=5"]);
        },
        &[text, "gid=5"],
    )
}

fn a_user_may_not_join_a_namespace_of_root(ctx: &Ctx<'_>) -> Outcome {
    let mut owner = ctx.bundle()?;
    let (owner, _) = ctx.sleeping(&mut owner, &[])?;
    let path = format!("/proc/{}/ns/net", owner.pid);
    refused(
        ctx,
        |bundle| {
            bundle.join("network", &path);
        },
        &["permission denied", "operation not permitted", &path],
    )
}

/// Only the user namespace gives the right to enter the others.
fn a_user_joins_its_own_user_namespace_first(ctx: &Ctx<'_>) -> Outcome {
    let cli = cli(ctx)?;
    let mut owner = bundle(ctx, &cli)?;
    owner.push("/linux/namespaces", json!({ "type": "network" }));
    cli.create(ctx.new_of(owner.ops(&["sleep"]))?).good()?;
    let state: Value =
        serde_json::from_str(&cli.state(&owner.id).good()?.out).map_err(std::io::Error::from)?;
    let pid = i32::try_from(state["pid"].as_i64().unwrap_or(0)).unwrap_or(0);
    cli.start(&owner.id).good()?;
    let joined = |kind: &str, link: &str| (kind.to_owned(), format!("/proc/{pid}/ns/{link}"));
    let paths = [joined("user", "user"), joined("network", "net"), joined("ipc", "ipc")];
    let edit = |bundle: &mut Bundle| {
        bundle.remove("/linux/uidMappings").remove("/linux/gidMappings");
        paths.iter().for_each(|(kind, path)| {
            bundle.join(kind, path);
        });
    };
    let links = [("user", "user"), ("network", "net"), ("ipc", "ipc")];
    let expected = links.map(|(_, link)| sys::namespace(&pid.to_string(), link));
    let report = see(ctx, edit, &["ns"]);
    cli.delete(&owner.id, true).good()?;
    let report = report?;
    for ((_, link), expected) in links.into_iter().zip(expected) {
        same!(report.field("ns", link), expected?, "{link} namespace");
    }
    Ok(())
}

/// Never silently weaker: without a cgroup there is nothing to limit with.
fn a_user_may_not_have_limits_without_a_cgroup(ctx: &Ctx<'_>) -> Outcome {
    let edit = |bundle: &mut Bundle| {
        bundle.set("/linux/resources", json!({ "pids": { "limit": 9 } }));
    };
    refused(ctx, edit, &["cgroup"])
}
