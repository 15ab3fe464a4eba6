//! Mounts of type `cgroup`: always the container's own part, on both versions, with and without namespaces of cgroups and users.

use serde_json::json;

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same};

tests! {
    with_a_namespace_it_is_the_container_s_part,
    without_a_namespace_it_is_the_container_s_part,
    in_a_user_namespace_it_is_the_container_s_part [Need::Users],
    in_a_user_namespace_without_one_of_cgroups_too [Need::Users],
    it_is_writable_unless_it_is_asked_otherwise,
    joined_controllers_have_links [Need::V1],
    a_type_of_cgroup_is_cgroup2_on_a_v2_host [Need::V2],
    recursive_flags_count [Need::Kernel(5, 12)],
}

/// A directory of the mount that holds a hierarchy with processes.
fn hierarchy(ctx: &Ctx<'_>) -> &'static str {
    if ctx.host.is_v2() { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/pids" }
}

/// A file that only the root of the host's hierarchy has (v1), or only that does not have (v2).
fn is_root(ctx: &Ctx<'_>, report: &Report) -> bool {
    let (v1, v2) = (report.text(&probes(ctx)[2]), report.text(&probes(ctx)[3]));
    if ctx.host.is_v2() { v2 == "ENOENT" } else { v1 != "ENOENT" }
}

fn probes(ctx: &Ctx<'_>) -> [String; 5] {
    let dir = hierarchy(ctx);
    [
        "mounts".into(),
        format!("read:{dir}/cgroup.procs"),
        format!("read:{dir}/release_agent"),
        format!("read:{dir}/cgroup.type"),
        format!("mkdir:{dir}/sub"),
    ]
}

/// What the container sees of its cgroup mount; it must be its own part.
fn own_part(ctx: &Ctx<'_>, bundle: &mut Bundle) -> Result<Report, Trouble> {
    let ops = probes(ctx);
    let report = ctx.see(bundle, &ops.each_ref().map(String::as_str))?;
    same!(report.text(&ops[1]), "1", "processes");
    check!(!is_root(ctx, &report), "the host's whole hierarchy is there");
    let kind = if ctx.host.is_v2() { "cgroup2" } else { "tmpfs" };
    same!(report.mount("/sys/fs/cgroup")["type"], kind, "filesystem of /sys/fs/cgroup");
    Ok(report)
}

fn with_a_namespace_it_is_the_container_s_part(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = own_part(ctx, &mut bundle)?;
    same!(report.mount(hierarchy(ctx))["root"], "/", "root of the mount");
    same!(report.text(&probes(ctx)[4]), "EROFS", "making a cgroup");
    Ok(())
}

fn without_a_namespace_it_is_the_container_s_part(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = own_part(ctx, bundle.without_namespace("cgroup"))?;
    let root = report.mount(hierarchy(ctx))["root"].as_str().unwrap_or_default().to_owned();
    check!(root.ends_with(&ctx.host.inside(&bundle.id)), "root of the mount: {root:?}");
    same!(report.text(&probes(ctx)[4]), "EROFS", "making a cgroup");
    Ok(())
}

fn in_a_user_namespace_it_is_the_container_s_part(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    own_part(ctx, bundle.map_users(&[(0, 100_000, 65_536)])?)?;
    Ok(())
}

fn in_a_user_namespace_without_one_of_cgroups_too(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    own_part(ctx, bundle.map_users(&[(0, 100_000, 65_536)])?.without_namespace("cgroup"))?;
    Ok(())
}

/// The options of the cgroup mount, which is the last of the default ones.
fn with_options(bundle: &mut Bundle, options: &[&str]) {
    let last = bundle.config["mounts"].as_array().map_or(0, |mounts| mounts.len() - 1);
    bundle.set(&format!("/mounts/{last}/options"), json!(options));
}

fn it_is_writable_unless_it_is_asked_otherwise(ctx: &Ctx<'_>) -> Outcome {
    for own_namespace in [true, false] {
        let mut bundle = ctx.bundle()?;
        if !own_namespace {
            bundle.without_namespace("cgroup");
        }
        with_options(&mut bundle, &["nosuid", "noexec", "nodev"]);
        let report = own_part(ctx, &mut bundle)?;
        same!(report.text(&probes(ctx)[4]), "ok", "making a cgroup, own namespace: {own_namespace}");
        for flag in ["nosuid", "noexec", "nodev"] {
            check!(report.mounted_with(hierarchy(ctx), flag), "{flag}: {}", report.mount(hierarchy(ctx)));
        }
    }
    Ok(())
}

fn joined_controllers_have_links(ctx: &Ctx<'_>) -> Outcome {
    let dirs = ctx.host.hierarchies.iter().filter_map(|one| one.root.file_name()?.to_str());
    let joined: Vec<&str> = dirs.filter(|dir| dir.contains(',')).collect();
    if joined.is_empty() {
        return Err(Trouble::Skipped("no hierarchy has two controllers".into()));
    }
    for dir in joined {
        let ops: Vec<String> = dir.split(',').map(|name| format!("readlink:/sys/fs/cgroup/{name}")).collect();
        let mut bundle = ctx.bundle()?;
        let report = ctx.see(&mut bundle, &ops.iter().map(String::as_str).collect::<Vec<_>>())?;
        for op in &ops {
            same!(report.text(op), dir, "{op}");
        }
    }
    Ok(())
}

fn a_type_of_cgroup_is_cgroup2_on_a_v2_host(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/again", "cgroup", "cgroup", &["ro"]);
    let report = ctx.see(&mut bundle, &["mounts", "read:/again/cgroup.procs"])?;
    same!(report.mount("/again")["type"], "cgroup2", "filesystem");
    same!(report.text("read:/again/cgroup.procs"), "1", "processes");
    Ok(())
}

fn recursive_flags_count(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    with_options(&mut bundle, &["rro", "rnosuid"]);
    let report = own_part(ctx, &mut bundle)?;
    same!(report.text(&probes(ctx)[4]), "EROFS", "making a cgroup");
    Ok(())
}
