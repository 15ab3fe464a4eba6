//! Joining namespaces by path: one kind at a time, several, all, and what cannot be joined.

use serde_json::json;

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same};

tests! {
    a_pid_namespace_can_be_joined,
    a_network_namespace_can_be_joined,
    an_ipc_namespace_can_be_joined,
    a_uts_namespace_can_be_joined,
    a_cgroup_namespace_can_be_joined,
    a_user_namespace_can_be_joined [Need::Users],
    a_user_namespace_can_be_joined_with_equal_mappings [Need::Users],
    a_pod_shares_network_ipc_and_uts,
    all_namespaces_but_mount_can_be_joined,
    user_and_its_namespaces_can_be_joined_together [Need::Users],
    a_joined_pid_namespace_shows_both_processes,
    a_joined_uts_namespace_keeps_its_hostname,
    the_death_of_the_joiner_leaves_the_owner_alone,
    a_named_network_namespace_can_be_joined,
    a_path_of_another_kind_is_refused,
    a_missing_path_is_refused,
    a_path_that_is_no_namespace_is_refused,
    a_relative_path_is_refused_or_resolved_on_the_host,
    a_user_namespace_with_other_mappings_is_refused [Need::Users],
    new_namespaces_belong_to_a_joined_user_namespace [Need::Users],
    namespaces_of_two_owners_can_be_joined [Need::Users],
    a_new_user_namespace_takes_joined_ones [Need::Users],
    a_path_through_a_link_is_followed,
    the_namespace_of_a_dead_process_is_refused,
}

const LINKS: [(&str, &str); 6] = [
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("cgroup", "cgroup"),
    ("user", "user"),
];

/// Starts an owner, joins these of its namespaces from a second container, and checks every link of the second: equal
/// where it was joined, different elsewhere.
fn joined(ctx: &Ctx<'_>, kinds: &[&str], shape: impl Fn(&mut Bundle) -> Outcome) -> Outcome {
    let mut owner = ctx.bundle()?;
    shape(&mut owner)?;
    let (owner, theirs) = ctx.sleeping(&mut owner, &["ns"])?;
    let mut joiner = ctx.bundle()?;
    let pid = owner.pid;
    let path = |kind: &str| {
        let link = LINKS.iter().find(|(name, _)| *name == kind).map_or(kind, |(_, link)| link);
        format!("/proc/{pid}/ns/{link}")
    };
    if kinds.contains(&"uts") {
        joiner.remove("/hostname");
    }
    if kinds.contains(&"user") {
        std::os::unix::fs::chown(joiner.rootfs(), Some(100_000), Some(100_000))?;
    }
    for kind in kinds {
        joiner.join(kind, &path(kind));
    }
    let ours = ctx.see(&mut joiner, &["ns"])?;
    compare(kinds, &ours, &theirs)
}

fn compare(kinds: &[&str], ours: &Report, theirs: &Report) -> Outcome {
    for (kind, link) in LINKS.iter().filter(|(kind, _)| *kind != "user" || kinds.contains(kind)) {
        let is_same = ours.field("ns", link) == theirs.field("ns", link);
        let word = if is_same { "is" } else { "is not" };
        check!(is_same == kinds.contains(kind), "the {kind} namespace {word} the joined container's");
    }
    check!(ours.field("ns", "mnt") != theirs.field("ns", "mnt"), "the mount namespace is shared");
    Ok(())
}

fn plain(_: &mut Bundle) -> Outcome {
    Ok(())
}

fn mapped(bundle: &mut Bundle) -> Outcome {
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    Ok(())
}

fn a_pid_namespace_can_be_joined(ctx: &Ctx<'_>) -> Outcome {
    joined(ctx, &["pid"], plain)
}

fn a_network_namespace_can_be_joined(ctx: &Ctx<'_>) -> Outcome {
    joined(ctx, &["network"], plain)
}

fn an_ipc_namespace_can_be_joined(ctx: &Ctx<'_>) -> Outcome {
    joined(ctx, &["ipc"], plain)
}

fn a_uts_namespace_can_be_joined(ctx: &Ctx<'_>) -> Outcome {
    joined(ctx, &["uts"], plain)
}

fn a_cgroup_namespace_can_be_joined(ctx: &Ctx<'_>) -> Outcome {
    joined(ctx, &["cgroup"], plain)
}

fn a_user_namespace_can_be_joined(ctx: &Ctx<'_>) -> Outcome {
    joined(ctx, &["user"], mapped)
}

/// The mappings repeat what the namespace has; runc 1.1 demands them, later ones allow them.
fn a_user_namespace_can_be_joined_with_equal_mappings(ctx: &Ctx<'_>) -> Outcome {
    let mut owner = ctx.bundle()?;
    mapped(&mut owner)?;
    let (owner, theirs) = ctx.sleeping(&mut owner, &["ns"])?;
    let mut joiner = ctx.bundle()?;
    mapped(&mut joiner)?;
    joiner.join("user", &format!("/proc/{}/ns/user", owner.pid));
    same!(ctx.see(&mut joiner, &["ns"])?.field("ns", "user"), theirs.field("ns", "user"), "user namespace");
    Ok(())
}

fn a_pod_shares_network_ipc_and_uts(ctx: &Ctx<'_>) -> Outcome {
    joined(ctx, &["network", "ipc", "uts"], plain)
}

fn all_namespaces_but_mount_can_be_joined(ctx: &Ctx<'_>) -> Outcome {
    joined(ctx, &["pid", "network", "ipc", "uts", "cgroup"], plain)
}

fn user_and_its_namespaces_can_be_joined_together(ctx: &Ctx<'_>) -> Outcome {
    joined(ctx, &["user", "network", "ipc", "uts", "pid"], mapped)
}

fn a_joined_pid_namespace_shows_both_processes(ctx: &Ctx<'_>) -> Outcome {
    let mut owner = ctx.bundle()?;
    let (owner, _) = ctx.sleeping(&mut owner, &[])?;
    let mut joiner = ctx.bundle()?;
    joiner.join("pid", &format!("/proc/{}/ns/pid", owner.pid));
    let report = ctx.see(&mut joiner, &["pid", "read:/proc/1/cmdline"])?;
    check!(report.field("pid", "pid") != "1", "the joiner is pid 1");
    check!(report.text("read:/proc/1/cmdline").contains("sleep"), "pid 1 is not the owner's");
    Ok(())
}

fn a_joined_uts_namespace_keeps_its_hostname(ctx: &Ctx<'_>) -> Outcome {
    let mut owner = ctx.bundle()?;
    owner.set("/hostname", "the-owner");
    let (owner, _) = ctx.sleeping(&mut owner, &[])?;
    let mut joiner = ctx.bundle()?;
    joiner.join("uts", &format!("/proc/{}/ns/uts", owner.pid)).remove("/hostname");
    same!(ctx.see(&mut joiner, &["hostname"])?.text("hostname"), "the-owner", "hostname");
    Ok(())
}

/// With a joined pid namespace the end of init does not end the namespace.
fn the_death_of_the_joiner_leaves_the_owner_alone(ctx: &Ctx<'_>) -> Outcome {
    let mut owner = ctx.bundle()?;
    let (owner, _) = ctx.sleeping(&mut owner, &[])?;
    let mut joiner = ctx.bundle()?;
    joiner.join("pid", &format!("/proc/{}/ns/pid", owner.pid));
    let (joiner, _) = ctx.sleeping(&mut joiner, &["tree:4"])?;
    joiner.delete_by_force()?;
    same!(owner.status()?, "running", "status of the owner");
    Ok(())
}

/// Like `ip netns`: the namespace is bound on a file and has no process.
fn a_named_network_namespace_can_be_joined(ctx: &Ctx<'_>) -> Outcome {
    let file = ctx.dir.join("netns");
    std::fs::write(&file, "")?;
    let mut owner = ctx.bundle()?;
    let (container, theirs) = ctx.sleeping(&mut owner, &["ns"])?;
    let source = format!("/proc/{}/ns/net", container.pid);
    crate::sys::mount(source.as_ref(), &file, "none", nix::mount::MsFlags::MS_BIND, "")?;
    drop(container);
    let mut joiner = ctx.bundle()?;
    joiner.join("network", &file.to_string_lossy());
    let ours = ctx.see(&mut joiner, &["ns", "loopback"]);
    nix::mount::umount2(&file, nix::mount::MntFlags::MNT_DETACH)?;
    same!(ours?.field("ns", "net"), theirs.field("ns", "net"), "network namespace");
    Ok(())
}

fn refused_path(ctx: &Ctx<'_>, kind: &str, path: &str, texts: &[&str]) -> Result<(), Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.join(kind, path);
    ctx.refused(&bundle, texts)
}

fn a_path_of_another_kind_is_refused(ctx: &Ctx<'_>) -> Outcome {
    refused_path(ctx, "ipc", "/proc/self/ns/uts", &["invalid argument", "/proc/self/ns/uts", "namespaces"])
}

fn a_missing_path_is_refused(ctx: &Ctx<'_>) -> Outcome {
    refused_path(ctx, "ipc", "/nowhere/ns", &["/nowhere/ns", "namespaces"])
}

fn a_path_that_is_no_namespace_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let file = ctx.host.canary.join("secret");
    refused_path(ctx, "ipc", &file.to_string_lossy(), &["invalid argument", "secret", "namespaces"])
}

/// Never a way into the rootfs: either an error or nothing that the container chose.
fn a_relative_path_is_refused_or_resolved_on_the_host(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/linux/namespaces", json!({ "type": "time", "path": "rootfs/probe" }));
    ctx.refused(&bundle, &[])
}

fn mapped_owner<'a>(ctx: &'a Ctx<'_>) -> Result<crate::ctx::Container<'a>, Trouble> {
    let mut owner = ctx.bundle()?;
    mapped(&mut owner)?;
    Ok(ctx.sleeping(&mut owner, &[])?.0)
}

/// runc 1.1 and crun take whatever is written there.
fn a_user_namespace_with_other_mappings_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let owner = mapped_owner(ctx)?;
    for (place, size) in [("/linux/uidMappings", 65_535), ("/linux/gidMappings", 1)] {
        let mut joiner = ctx.bundle()?;
        mapped(&mut joiner)?;
        joiner.join("user", &format!("/proc/{}/ns/user", owner.pid));
        joiner.set(place, json!([{ "containerID": 0, "hostID": 100_000, "size": size }]));
        ctx.refused(&joiner, &["but both namespace path and non-matching mapping specified"])?;
    }
    Ok(())
}

/// Every other namespace is new, and belongs to the joined one.
fn new_namespaces_belong_to_a_joined_user_namespace(ctx: &Ctx<'_>) -> Outcome {
    let owner = mapped_owner(ctx)?;
    let mut joiner = ctx.bundle()?;
    std::os::unix::fs::chown(joiner.rootfs(), Some(100_000), Some(100_000))?;
    joiner.join("user", &format!("/proc/{}/ns/user", owner.pid));
    for set in ["bounding", "effective", "permitted"] {
        joiner.set(&format!("/process/capabilities/{set}"), json!(["CAP_SYS_ADMIN"]));
    }
    let ops = ["pid", "loopback", "mount:tmpfs:/dev/shm", "sethostname:mine", "hostname"];
    let report = ctx.see(&mut joiner, &ops)?;
    same!(report.field("pid", "pid"), "1", "pid");
    same!(report.text("loopback"), "ok", "loopback of the new network namespace");
    same!(report.text("mount:tmpfs:/dev/shm"), "ok", "mounting, for the mount namespace");
    same!(report.text("hostname"), "mine", "hostname, for the UTS namespace");
    Ok(())
}

/// The others belong to the host, the user namespace to a container.
fn namespaces_of_two_owners_can_be_joined(ctx: &Ctx<'_>) -> Outcome {
    let mut plain = ctx.bundle()?;
    let (plain, theirs) = ctx.sleeping(&mut plain, &["ns"])?;
    let owner = mapped_owner(ctx)?;
    let mut joiner = ctx.bundle()?;
    std::os::unix::fs::chown(joiner.rootfs(), Some(100_000), Some(100_000))?;
    // A sysfs is for the owner of the network namespace.
    joiner.set("/mounts", json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]));
    joiner.join("user", &format!("/proc/{}/ns/user", owner.pid)).remove("/hostname");
    for (kind, link) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        joiner.join(kind, &format!("/proc/{}/ns/{link}", plain.pid));
    }
    let ours = ctx.see(&mut joiner, &["ns"])?;
    for link in ["net", "ipc", "uts"] {
        same!(ours.field("ns", link), theirs.field("ns", link), "{link} namespace");
    }
    same!(ours.field("ns", "user"), crate::sys::namespace(&owner.pid.to_string(), "user")?, "user namespace");
    Ok(())
}

fn a_new_user_namespace_takes_joined_ones(ctx: &Ctx<'_>) -> Outcome {
    let mut plain = ctx.bundle()?;
    let (plain, theirs) = ctx.sleeping(&mut plain, &["ns"])?;
    let mut joiner = ctx.bundle()?;
    mapped(&mut joiner)?;
    joiner.set("/mounts", json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]));
    joiner.join("network", &format!("/proc/{}/ns/net", plain.pid));
    same!(ctx.see(&mut joiner, &["ns"])?.field("ns", "net"), theirs.field("ns", "net"), "network namespace");
    Ok(())
}

/// Like `ip netns`, whose files in /run are links on some machines.
fn a_path_through_a_link_is_followed(ctx: &Ctx<'_>) -> Outcome {
    let mut owner = ctx.bundle()?;
    let (owner, theirs) = ctx.sleeping(&mut owner, &["ns"])?;
    let link = ctx.dir.join("link");
    std::os::unix::fs::symlink(format!("/proc/{}/ns/net", owner.pid), &link)?;
    let mut joiner = ctx.bundle()?;
    joiner.join("network", &link.to_string_lossy());
    same!(ctx.see(&mut joiner, &["ns"])?.field("ns", "net"), theirs.field("ns", "net"), "network namespace");
    Ok(())
}

fn the_namespace_of_a_dead_process_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut child = std::process::Command::new("true").spawn()?;
    let path = format!("/proc/{}/ns/net", child.id());
    child.wait()?;
    refused_path(ctx, "network", &path, &[&path, "namespaces"])
}
