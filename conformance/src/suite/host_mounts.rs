//! Mounts of a container without a mount namespace: they are the host's for as long as the container is there, and nothing of them stays.

use std::fs;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;

use super::terminal::Receiver;
use super::tests;
use crate::bundle::Bundle;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::{Outcome, Trouble, check, same};

tests! {
    mounts_without_a_mount_namespace_go_with_the_container [Need::Root, Need::Kernel(6, 8)],
    a_terminal_among_mounts_of_the_host_goes_with_them [Need::Root, Need::Kernel(6, 8)],
    what_the_host_mounted_below_a_source_stays_mounted [Need::Root, Need::Kernel(6, 8)],
    a_create_that_fails_takes_its_mounts_from_the_host [Need::Root, Need::Kernel(6, 8)],
    a_mount_over_the_container_s_is_not_taken_away [Need::Root, Need::Kernel(6, 8)],
    mounts_without_a_mount_namespace_need_the_host_s_root [Need::Users],
}

const NONE: Option<&str> = None;

/// Usual mounts and a read-only root, where there is no namespace for them.
fn on_the_host(ctx: &Ctx<'_>) -> Result<Bundle, Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("mount").set("/root/readonly", true);
    Ok(bundle)
}

/// How many mounts of ours lie at or below a directory.
fn mounts_below(dir: &Path) -> Result<usize, Trouble> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    Ok(points.filter(|point| Path::new(point).starts_with(dir)).count())
}

fn mounts_without_a_mount_namespace_go_with_the_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = on_the_host(ctx)?;
    let ops =
        ["readlink:/proc/self/exe", "write:/new=x", "stat:/dev/null", "write:/proc/sys/kernel/domainname=x"];
    let (container, report) = ctx.sleeping(&mut bundle, &ops)?;
    same!(report.text(ops[0]), "/probe", "own program in a /proc of the container");
    same!(report.text(ops[1]), "EROFS", "writing to a read-only root");
    same!(report.field(ops[2], "kind"), "c", "the null device");
    same!(report.text(ops[3]), "EROFS", "writing to a read-only path");
    let rootfs = bundle.dir.join("rootfs");
    check!(mounts_below(&rootfs)? > 2, "the host has no mounts below the rootfs");
    container.delete_by_force()?;
    same!(mounts_below(&rootfs)?, 0, "mounts below the rootfs when the container is gone");
    Ok(())
}

fn a_terminal_among_mounts_of_the_host_goes_with_them(ctx: &Ctx<'_>) -> Outcome {
    let receiver = Receiver::of(ctx)?;
    let mut bundle = on_the_host(ctx)?;
    bundle.ops(&["tty:0", "stat:/dev/console", "sleep"]).set("/process/terminal", true);
    let container = ctx.created_by(&bundle, |new| new.console_socket = Some(receiver.path.clone()))?;
    container.start()?;
    container.delete_by_force()?;
    same!(mounts_below(&bundle.dir)?, 0, "mounts below the bundle");
    Ok(())
}

/// A copy that still heard the host would take the host's own mounts away with it.
fn what_the_host_mounted_below_a_source_stays_mounted(ctx: &Ctx<'_>) -> Outcome {
    let source = ctx.dir.join("source");
    let below = source.join("below");
    fs::create_dir(&source)?;
    mount(Some("tmpfs"), &source, Some("tmpfs"), MsFlags::empty(), NONE)?;
    mount(NONE, &source, NONE, MsFlags::MS_SHARED, NONE)?;
    fs::create_dir(&below)?;
    mount(Some("tmpfs"), &below, Some("tmpfs"), MsFlags::empty(), NONE)?;
    fs::write(below.join("file"), "x")?;
    let mut bundle = on_the_host(ctx)?;
    bundle.mount("/source", "bind", &source.to_string_lossy(), &["rbind"]);
    bundle.mount("/shared", "bind", &source.to_string_lossy(), &["rbind", "rshared"]);
    let seen = ctx.see(&mut bundle, &["stat:/source/below/file", "stat:/shared/below/file"]);
    let left = mounts_below(&source)?;
    umount2(&source, MntFlags::MNT_DETACH)?;
    same!(left, 2, "mounts of the host");
    let report = seen?;
    for op in ["stat:/source/below/file", "stat:/shared/below/file"] {
        same!(report.field(op, "kind"), "f", "{op}");
    }
    Ok(())
}

/// The oracle of the host sees what stays.
fn a_create_that_fails_takes_its_mounts_from_the_host(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = on_the_host(ctx)?;
    bundle.mount("/nothing", "nosuchfs", "nothing", &[]);
    ctx.refused(&bundle, &["no such device"])?;
    same!(mounts_below(&bundle.dir)?, 0, "mounts below the bundle");
    let mut bundle = on_the_host(ctx)?;
    bundle.set("/process/args", json!(["/no-such-program"]));
    ctx.refused(&bundle, &["no such file or directory"])?;
    same!(mounts_below(&bundle.dir)?, 0, "mounts below the bundle");
    Ok(())
}

fn a_mount_over_the_container_s_is_not_taken_away(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = on_the_host(ctx)?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let rootfs = bundle.dir.join("rootfs");
    mount(Some("tmpfs"), &rootfs, Some("tmpfs"), MsFlags::empty(), NONE)?;
    let reply = ctx.driver.delete(&container.id, true);
    umount2(&rootfs, MntFlags::MNT_DETACH)?;
    check!(reply.code == 1 && reply.err.contains("another mount lies over"), "{reply:?}");
    ctx.driver.delete(&container.id, true).good()?;
    same!(mounts_below(&rootfs)?, 0, "mounts below the rootfs");
    Ok(())
}

fn mounts_without_a_mount_namespace_need_the_host_s_root(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = on_the_host(ctx)?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    ctx.refused(&bundle, &["without a private mount namespace"])
}
