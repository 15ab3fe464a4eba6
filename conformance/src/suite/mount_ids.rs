//! Id-mapped mounts: whose ids a file shows, through mappings of the mount and of the container.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use nix::mount::MsFlags;
use serde_json::{Value, json};

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::sys::Tmpfs;
use crate::{Outcome, Trouble, check, same};

// A tmpfs takes mappings since 6.3.
tests! {
    a_mount_shows_its_own_mappings [Need::Kernel(6, 3)],
    mappings_without_the_option_are_enough [Need::Kernel(6, 3)],
    writes_through_a_mapped_mount_reach_the_right_owner [Need::Kernel(6, 3)],
    only_ridmap_maps_what_is_mounted_below [Need::Kernel(6, 3)],
    a_mount_can_have_the_container_s_mapping [Need::Users, Need::Kernel(6, 3)],
    a_joined_user_namespace_maps_a_mount [Need::Users, Need::Kernel(6, 3)],
    mappings_can_be_written_as_an_option [Need::Kernel(6, 3)],
    written_mappings_can_be_relative [Need::Users, Need::Kernel(6, 3)],
    mapped_mounts_take_flags [Need::Kernel(6, 3)],
    a_new_filesystem_can_be_mapped [Need::Kernel(6, 3)],
    a_mount_of_the_container_can_be_mapped [Need::Kernel(6, 3)],
    a_mount_of_the_container_can_be_mapped_in_a_user_namespace [Need::Users, Need::Kernel(6, 3)],
    many_mapped_mounts_leave_no_process [Need::Kernel(6, 3)],
    mapping_without_mappings_is_refused,
    half_of_the_mappings_is_refused,
    a_filesystem_that_cannot_be_mapped_is_refused,
}

/// A tree of two tmpfs, each with a file of user 0 and group 0, and one of 1 and 2.
fn source(ctx: &Ctx<'_>) -> Result<(Tmpfs, Tmpfs), Trouble> {
    let outer = Tmpfs::new(ctx.dir.join("source"), MsFlags::empty())?;
    let inner = Tmpfs::new(outer.0.join("inner"), MsFlags::empty())?;
    for dir in [&outer.0, &inner.0] {
        fs::write(dir.join("zero"), "zero")?;
        fs::write(dir.join("one"), "one")?;
        chown(dir.join("one"), Some(1), Some(2))?;
    }
    Ok((outer, inner))
}

fn map(list: &[(u32, u32, u32)]) -> Value {
    let one = |(inside, host, size): &(u32, u32, u32)| json!({ "containerID": inside, "hostID": host, "size": size });
    list.iter().map(one).collect()
}

/// Adds a bind with mappings of its own: user 0 is 1000 and 1 is 2001, groups are 3000 higher.
fn mapped(bundle: &mut Bundle, source: &Path, options: &[&str]) {
    bundle.push(
        "/mounts",
        json!({ "destination": "/m", "type": "bind", "source": source, "options": options,
                "uidMappings": map(&[(0, 1000, 1), (1, 2001, 9)]), "gidMappings": map(&[(0, 3000, 10)]) }),
    );
}

/// Owner and group of a file that the container sees.
fn owner(ctx: &Ctx<'_>, bundle: &mut Bundle, paths: &[&str]) -> Result<Vec<String>, Trouble> {
    let ops: Vec<String> = paths.iter().map(|path| format!("stat:{path}")).collect();
    let report = ctx.see(bundle, &ops.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(ops.iter().map(|op| format!("{}:{}", report.field(op, "uid"), report.field(op, "gid"))).collect())
}

fn a_mount_shows_its_own_mappings(ctx: &Ctx<'_>) -> Outcome {
    let (source, _inner) = source(ctx)?;
    let mut bundle = ctx.bundle()?;
    mapped(&mut bundle, &source.0, &["bind", "idmap"]);
    same!(owner(ctx, &mut bundle, &["/m/zero", "/m/one"])?, ["1000:3000", "2001:3002"], "owners");
    let host = fs::metadata(source.0.join("one"))?;
    same!((host.uid(), host.gid()), (1, 2), "owner on the host");
    Ok(())
}

fn mappings_without_the_option_are_enough(ctx: &Ctx<'_>) -> Outcome {
    let (source, _inner) = source(ctx)?;
    let mut bundle = ctx.bundle()?;
    mapped(&mut bundle, &source.0, &["rbind"]);
    same!(owner(ctx, &mut bundle, &["/m/zero", "/m/inner/zero"])?, ["1000:3000", "0:0"], "owners");
    Ok(())
}

fn writes_through_a_mapped_mount_reach_the_right_owner(ctx: &Ctx<'_>) -> Outcome {
    let (source, _inner) = source(ctx)?;
    let mut bundle = ctx.bundle()?;
    mapped(&mut bundle, &source.0, &["bind", "idmap"]);
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 3000 }));
    same!(ctx.see(&mut bundle, &["write:/m/new"])?.text("write:/m/new"), "ok", "the write");
    let made = fs::metadata(source.0.join("new"))?;
    same!((made.uid(), made.gid()), (0, 0), "owner on the host");
    Ok(())
}

fn only_ridmap_maps_what_is_mounted_below(ctx: &Ctx<'_>) -> Outcome {
    for (word, wanted) in [("idmap", "0:0"), ("ridmap", "1000:3000")] {
        let (source, _inner) = source(ctx)?;
        let mut bundle = ctx.bundle()?;
        mapped(&mut bundle, &source.0, &["rbind", word]);
        same!(owner(ctx, &mut bundle, &["/m/zero", "/m/inner/zero"])?, ["1000:3000", wanted], "{word}");
    }
    Ok(())
}

fn a_mount_can_have_the_container_s_mapping(ctx: &Ctx<'_>) -> Outcome {
    let (source, _inner) = source(ctx)?;
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    bundle.bind(&source.0, "/mapped", &["rbind", "ridmap"]).bind(&source.0, "/plain", &["bind"]);
    let paths = ["/mapped/zero", "/mapped/one", "/mapped/inner/one", "/plain/zero"];
    let wanted = ["0:0", "1:2", "1:2", "65534:65534"];
    same!(owner(ctx, &mut bundle, &paths)?, wanted, "owners");
    Ok(())
}

fn a_joined_user_namespace_maps_a_mount(ctx: &Ctx<'_>) -> Outcome {
    let (source, _inner) = source(ctx)?;
    let mut first = ctx.bundle()?;
    first.map_users(&[(0, 100_000, 65_536)])?;
    let (container, _) = ctx.sleeping(&mut first, &[])?;
    let mut bundle = ctx.bundle()?;
    chown(bundle.rootfs(), Some(100_000), Some(100_000))?;
    bundle.join("user", &format!("/proc/{}/ns/user", container.pid)).bind(
        &source.0,
        "/m",
        &["bind", "idmap"],
    );
    same!(owner(ctx, &mut bundle, &["/m/zero", "/m/one"])?, ["0:0", "1:2"], "owners");
    Ok(())
}

fn mappings_can_be_written_as_an_option(ctx: &Ctx<'_>) -> Outcome {
    let (source, _inner) = source(ctx)?;
    let mut bundle = ctx.bundle()?;
    bundle.bind(&source.0, "/m", &["rbind", "ridmap=uids=0-1000-1#1-2001-9;gids=0-3000-10"]);
    same!(owner(ctx, &mut bundle, &["/m/one", "/m/inner/one"])?, ["2001:3002", "2001:3002"], "owners");
    Ok(())
}

/// `@` counts in the container: what is 0 on the disk is 7 there.
fn written_mappings_can_be_relative(ctx: &Ctx<'_>) -> Outcome {
    let (source, _inner) = source(ctx)?;
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    bundle.bind(&source.0, "/m", &["bind", "idmap=uids=@0-7-3;gids=@0-8-3"]);
    same!(owner(ctx, &mut bundle, &["/m/zero", "/m/one"])?, ["7:8", "8:10"], "owners");
    Ok(())
}

fn mapped_mounts_take_flags(ctx: &Ctx<'_>) -> Outcome {
    let (source, _inner) = source(ctx)?;
    let mut bundle = ctx.bundle()?;
    mapped(&mut bundle, &source.0, &["bind", "idmap", "ro", "nosuid", "shared"]);
    let report = ctx.see(&mut bundle, &["write:/m/x", "mounts"])?;
    same!(report.text("write:/m/x"), "EROFS", "a write");
    check!(report.mounted_with("/m", "nosuid"), "not nosuid: {}", report.mount("/m"));
    check!(report.mounted_with("/m", "idmapped"), "not idmapped: {}", report.mount("/m"));
    Ok(())
}

/// runc refuses this.
fn a_new_filesystem_can_be_mapped(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/t", "tmpfs", "tmpfs", &["mode=755", "idmap=uids=0-1000-1;gids=0-3000-1"]);
    same!(owner(ctx, &mut bundle, &["/t"])?, ["1000:3000"], "owner");
    Ok(())
}

/// Each distinct mapping needs a process for a moment; equal ones share it.
/// The tree on `/own`, and that place of the rootfs on `/m`, mapped.
fn of_the_container(ctx: &Ctx<'_>, users: &[(u32, u32, u32)], wanted: [&str; 2]) -> Outcome {
    for (word, [zero, below]) in [("rbind", [wanted[0], wanted[1]]), ("ridmap", [wanted[0], wanted[0]])] {
        let (source, _inner) = source(ctx)?;
        let mut bundle = ctx.bundle()?;
        if !users.is_empty() {
            bundle.map_users(users)?;
        }
        let own = bundle.path("own");
        bundle.bind(&source.0, "/own", &["rbind"]);
        mapped(&mut bundle, &own, &["rbind", word]);
        let paths = ["/m/zero", "/m/inner/zero", "/own/zero"];
        same!(owner(ctx, &mut bundle, &paths)?, [zero, below, wanted[1]], "{word}");
    }
    Ok(())
}

fn a_mount_of_the_container_can_be_mapped(ctx: &Ctx<'_>) -> Outcome {
    of_the_container(ctx, &[], ["1000:3000", "0:0"])
}

fn a_mount_of_the_container_can_be_mapped_in_a_user_namespace(ctx: &Ctx<'_>) -> Outcome {
    // What the mapped mount shows is read again through the namespace's own mapping.
    of_the_container(ctx, &[(0, 1000, 1), (5, 3000, 1)], ["0:5", "65534:65534"])
}

fn many_mapped_mounts_leave_no_process(ctx: &Ctx<'_>) -> Outcome {
    let (source, _inner) = source(ctx)?;
    let mut bundle = ctx.bundle()?;
    for number in 0..20 {
        let option = format!("idmap=uids=0-{number}00-1;gids=0-1-1");
        bundle.bind(&source.0, &format!("/m/{number}"), &["bind", &option]);
    }
    let report = ctx.see(&mut bundle, &["stat:/m/0/zero", "stat:/m/19/zero"])?;
    same!(report.field("stat:/m/0/zero", "uid"), "0", "owner in the first");
    same!(report.field("stat:/m/19/zero", "uid"), "1900", "owner in the last");
    Ok(())
}

fn mapping_without_mappings_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.bind(&ctx.host.canary, "/m", &["bind", "idmap"]);
    ctx.refused(&bundle, &["id-mapped mounts must have both uid and gid mappings specified"])
}

fn half_of_the_mappings_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    mapped(&mut bundle, &ctx.host.canary, &["bind"]);
    let last = bundle.config["mounts"].as_array().map_or(0, |mounts| mounts.len() - 1);
    bundle.remove(&format!("/mounts/{last}/gidMappings"));
    ctx.refused(&bundle, &["id-mapped mounts must have both uid and gid mappings specified"])
}

fn a_filesystem_that_cannot_be_mapped_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    mapped(&mut bundle, Path::new("/proc/sys"), &["bind"]);
    ctx.refused(&bundle, &["the filesystem may not support id-mapped mounts on this kernel"])
}
