//! Namespaces: new ones, absent ones, and what follows from them.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::json;

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::{Outcome, check, same, sys};

tests! {
    a_new_pid_namespace_differs_from_the_host_s,
    a_new_network_namespace_differs_from_the_host_s,
    a_new_ipc_namespace_differs_from_the_host_s,
    a_new_uts_namespace_differs_from_the_host_s,
    a_new_mount_namespace_differs_from_the_host_s,
    a_new_cgroup_namespace_differs_from_the_host_s,
    a_new_user_namespace_differs_from_the_host_s [Need::Users],
    without_a_pid_namespace_the_host_s_is_used,
    without_a_network_namespace_the_host_s_is_used,
    without_an_ipc_namespace_the_host_s_is_used,
    without_a_uts_namespace_the_host_s_is_used,
    without_a_cgroup_namespace_the_host_s_is_used,
    without_a_user_namespace_the_host_s_is_used,
    without_a_mount_namespace_only_the_root_changes [Need::Root],
    init_is_pid_one_of_a_new_pid_namespace,
    init_leads_a_session_of_its_own,
    hostname_is_set_inside_only,
    hostname_without_a_uts_namespace_is_refused,
    loopback_is_up_in_a_new_network_namespace,
    cgroup_namespace_hides_the_path,
    duplicate_namespaces_are_refused,
    an_unknown_namespace_is_refused,
    kill_ends_every_process_of_a_shared_pid_namespace,
    kill_ends_what_outlives_init_in_a_shared_pid_namespace,
    delete_by_force_ends_every_process_of_a_shared_pid_namespace,
    user_namespace_maps_root_to_the_host_id [Need::Users],
    user_namespace_takes_several_mappings [Need::Users],
    user_namespace_has_its_own_users_and_groups [Need::Users],
    user_namespace_has_usable_devices [Need::Users],
    user_namespace_owns_the_other_namespaces [Need::Users],
    user_namespace_without_mappings_is_refused [Need::Users],
    user_namespace_with_overlapping_mappings_is_refused [Need::Users],
    mappings_without_a_user_namespace_are_refused,
}

/// The kind in the configuration and its link in /proc.
const KINDS: [(&str, &str); 7] = [
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("cgroup", "cgroup"),
    ("user", "user"),
];

fn is_new(ctx: &Ctx<'_>, kind: &str) -> Outcome {
    let mut bundle = ctx.bundle()?;
    if kind == "user" {
        bundle.map_users(&[(0, 100_000, 65_536)])?;
    }
    compare(ctx, &mut bundle, kind, true)
}

fn is_shared(ctx: &Ctx<'_>, kind: &str) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace(kind);
    if kind == "uts" {
        bundle.remove("/hostname");
    }
    compare(ctx, &mut bundle, kind, false)
}

fn compare(ctx: &Ctx<'_>, bundle: &mut Bundle, kind: &str, differs: bool) -> Outcome {
    let report = ctx.see(bundle, &["ns"])?;
    let link = KINDS.iter().find(|(name, _)| *name == kind).map_or("", |(_, link)| link);
    let (inside, host) = (report.field("ns", link), sys::namespace("self", link)?);
    check!(!inside.is_empty(), "the container has no {kind} namespace link");
    check!((inside != host) == differs, "{kind}: inside {inside}, host {host}");
    Ok(())
}

fn a_new_pid_namespace_differs_from_the_host_s(ctx: &Ctx<'_>) -> Outcome {
    is_new(ctx, "pid")
}

fn a_new_network_namespace_differs_from_the_host_s(ctx: &Ctx<'_>) -> Outcome {
    is_new(ctx, "network")
}

fn a_new_ipc_namespace_differs_from_the_host_s(ctx: &Ctx<'_>) -> Outcome {
    is_new(ctx, "ipc")
}

fn a_new_uts_namespace_differs_from_the_host_s(ctx: &Ctx<'_>) -> Outcome {
    is_new(ctx, "uts")
}

fn a_new_mount_namespace_differs_from_the_host_s(ctx: &Ctx<'_>) -> Outcome {
    is_new(ctx, "mount")
}

fn a_new_cgroup_namespace_differs_from_the_host_s(ctx: &Ctx<'_>) -> Outcome {
    is_new(ctx, "cgroup")
}

fn a_new_user_namespace_differs_from_the_host_s(ctx: &Ctx<'_>) -> Outcome {
    is_new(ctx, "user")
}

fn without_a_pid_namespace_the_host_s_is_used(ctx: &Ctx<'_>) -> Outcome {
    is_shared(ctx, "pid")
}

fn without_a_network_namespace_the_host_s_is_used(ctx: &Ctx<'_>) -> Outcome {
    is_shared(ctx, "network")
}

fn without_an_ipc_namespace_the_host_s_is_used(ctx: &Ctx<'_>) -> Outcome {
    is_shared(ctx, "ipc")
}

fn without_a_uts_namespace_the_host_s_is_used(ctx: &Ctx<'_>) -> Outcome {
    is_shared(ctx, "uts")
}

fn without_a_cgroup_namespace_the_host_s_is_used(ctx: &Ctx<'_>) -> Outcome {
    is_shared(ctx, "cgroup")
}

fn without_a_user_namespace_the_host_s_is_used(ctx: &Ctx<'_>) -> Outcome {
    is_shared(ctx, "user")
}

/// chroot, no pivot, and no mount, where none is asked for (`host_mounts::`).
/// runc 1.1 and crun do not work without /proc and /dev, and runc leaves a bind of the rootfs behind.
/// The root of a user namespace makes no nodes: it binds the host's, into the one mount namespace that there is.
fn without_a_mount_namespace_only_the_root_changes(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("mount").set("/mounts", json!([])).set("/root/readonly", false);
    bundle.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    let report = ctx.see(&mut bundle, &["stat:/probe", "stat:/etc", "cwd"])?;
    same!(report.text("cwd"), "/", "cwd");
    same!(report.text("stat:/etc"), "ENOENT", "the host's /etc");
    same!(report.field("stat:/probe", "kind"), "f", "the probe");
    Ok(())
}

fn init_is_pid_one_of_a_new_pid_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["pid", "list:/proc"])?;
    same!(report.field("pid", "pid"), "1", "pid");
    same!(report.field("pid", "ppid"), "0", "parent");
    let others = report.get("list:/proc").as_array().into_iter().flatten().filter(|name| {
        name.as_str().is_some_and(|name| name != "1" && name.bytes().all(|byte| byte.is_ascii_digit()))
    });
    same!(others.count(), 0, "other processes");
    Ok(())
}

fn init_leads_a_session_of_its_own(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("pid");
    let report = ctx.see(&mut bundle, &["pid"])?;
    same!(report.field("pid", "sid"), report.field("pid", "pid"), "session");
    same!(report.field("pid", "pgrp"), report.field("pid", "pid"), "process group");
    Ok(())
}

fn hostname_is_set_inside_only(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/hostname", "a.name-of_its.own");
    let report = ctx.see(&mut bundle, &["hostname"])?;
    same!(report.text("hostname"), "a.name-of_its.own", "hostname");
    Ok(())
}

fn hostname_without_a_uts_namespace_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("uts");
    ctx.refused(&bundle, &["unable to set hostname without a private UTS namespace"])
}

fn loopback_is_up_in_a_new_network_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["loopback", "list:/sys/class/net"])?;
    same!(report.text("loopback"), "ok", "a connection to 127.0.0.1");
    same!(report.get("list:/sys/class/net"), &json!(["lo"]), "interfaces");
    Ok(())
}

fn cgroup_namespace_hides_the_path(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["cgroup"])?;
    for line in report.get("cgroup").as_array().into_iter().flatten() {
        let line = line.as_str().unwrap_or_default();
        check!(
            !line.contains(&ctx.host.tag) || ctx.host.is_v2() && !line.starts_with("0:"),
            "the path shows: {line}"
        );
    }
    Ok(())
}

fn duplicate_namespaces_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/linux/namespaces", json!({ "type": "ipc" }));
    ctx.refused(&bundle, &["malformed spec file: duplicated ns", "duplicate", "/linux/namespaces"])
}

fn an_unknown_namespace_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/linux/namespaces", json!({ "type": "dream" }));
    ctx.refused(&bundle, &["namespace \"dream\" does not exist", "/linux/namespaces", "dream"])
}

fn family(ctx: &Ctx<'_>, end: impl FnOnce(&crate::ctx::Container<'_>) -> Outcome) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("pid");
    let (container, report) = ctx.sleeping(&mut bundle, &["tree:5", "daemon"])?;
    let daemon: i32 = report.field("pid", "pid").parse().map_err(|_| "no pid")?;
    end(&container)?;
    check!(sys::ended_within(daemon, sys::PATIENCE)?, "the daemon survived");
    Ok(())
}

/// The oracle sees that the five others are gone as well.
fn kill_ends_every_process_of_a_shared_pid_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("pid");
    let (container, _) = ctx.sleeping(&mut bundle, &["tree:5"])?;
    container.kill("KILL")?;
    container.ended()?;
    container.delete()
}

fn kill_ends_what_outlives_init_in_a_shared_pid_namespace(ctx: &Ctx<'_>) -> Outcome {
    family(ctx, |container| {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(container.pid), nix::sys::signal::SIGKILL)?;
        container.ended()?;
        same!(container.status()?, "stopped", "status");
        container.kill("KILL")
    })
}

fn delete_by_force_ends_every_process_of_a_shared_pid_namespace(ctx: &Ctx<'_>) -> Outcome {
    family(ctx, |container| container.delete_by_force())
}

fn user_namespace_maps_root_to_the_host_id(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    let (container, report) =
        ctx.sleeping(&mut bundle, &["status", "read:/proc/self/uid_map", "read:/proc/self/gid_map"])?;
    same!(report.status("Uid"), "0 0 0 0", "uid inside");
    let meta = fs::metadata(format!("/proc/{}", container.pid))?;
    same!((meta.uid(), meta.gid()), (100_000, 100_000), "owner on the host");
    for map in ["read:/proc/self/uid_map", "read:/proc/self/gid_map"] {
        same!(report.text(map).split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"], "{map}");
    }
    Ok(())
}

fn user_namespace_takes_several_mappings(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 10), (10, 200_000, 5), (1000, 1000, 1)])?;
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 12 }));
    let (container, report) = ctx.sleeping(&mut bundle, &["status", "read:/proc/self/uid_map"])?;
    same!(report.status("Uid"), "1000 1000 1000 1000", "uid inside");
    let map: Vec<&str> = report.text("read:/proc/self/uid_map").split_whitespace().collect();
    same!(map, ["0", "100000", "10", "10", "200000", "5", "1000", "1000", "1"], "map");
    let meta = fs::metadata(format!("/proc/{}", container.pid))?;
    check!(
        [(1000, 200_002), (0, 0)].contains(&(meta.uid(), meta.gid())),
        "owner {}:{}",
        meta.uid(),
        meta.gid()
    );
    Ok(())
}

fn user_namespace_has_its_own_users_and_groups(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    bundle.set("/process/user", json!({ "uid": 7, "gid": 8, "additionalGids": [9, 10] }));
    let report = ctx.see(&mut bundle, &["status"])?;
    same!(report.status("Uid"), "7 7 7 7", "uid");
    same!(report.status("Gid"), "8 8 8 8", "gid");
    same!(report.status("Groups"), "9 10", "groups");
    Ok(())
}

/// Nodes cannot be made in a user namespace; they are bound from the host.
fn user_namespace_has_usable_devices(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    let report = ctx
        .see(&mut bundle, &["openrw:/dev/null", "openrw:/dev/zero", "stat:/dev/full", "open:/dev/urandom"])?;
    for op in ["openrw:/dev/null", "openrw:/dev/zero", "open:/dev/urandom"] {
        same!(report.text(op), "ok", "{op}");
    }
    same!(report.field("stat:/dev/full", "rdev"), "1:7", "/dev/full");
    Ok(())
}

fn user_namespace_owns_the_other_namespaces(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let caps = json!(["CAP_SYS_ADMIN"]);
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(&format!("/process/capabilities/{set}"), caps.clone());
    }
    let report = ctx.see(&mut bundle, &["mount:tmpfs:/dev/shm", "sethostname:mine", "hostname"])?;
    same!(report.text("mount:tmpfs:/dev/shm"), "ok", "mounting, for the mount namespace");
    same!(report.text("hostname"), "mine", "hostname, for the UTS namespace");
    Ok(())
}

fn user_namespace_without_mappings_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/linux/namespaces", json!({ "type": "user" }));
    let text = "user namespaces enabled, but no namespace path to join nor mappings to apply specified";
    ctx.refused(&bundle, &[text, "ser namespaces enabled, but no uid mappings found"])
}

/// runc 1.1 prints three lines.
fn user_namespace_with_overlapping_mappings_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 100), (50, 200_000, 100)])?;
    ctx.refused(&bundle, &[])
}

/// runc 1.1 ignores them; later ones refuse.
fn mappings_without_a_user_namespace_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/uidMappings", json!([{ "containerID": 0, "hostID": 100_000, "size": 10 }]));
    ctx.refused(
        &bundle,
        &["user namespace mappings specified, but user namespace isn't enabled in the config", "user"],
    )
}
