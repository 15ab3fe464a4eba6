//! What the runtime does beside a mount: copies what a tmpfs covers, keeps or copies links, finds a stand-in for sysfs; and devices and streams.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use serde_json::json;

use super::tests;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::{Outcome, check, same};

tests! {
    tmpcopyup_starts_with_what_is_covered,
    tmpcopyup_follows_no_link_and_enters_no_mount,
    tmpcopyup_of_more_than_fits_is_refused,
    tmpcopyup_on_another_filesystem_is_refused,
    a_link_is_copied,
    a_copied_link_must_not_meet_something_else,
    a_source_that_is_a_link_can_be_kept,
    a_target_that_is_a_link_can_be_kept,
    sysfs_of_a_foreign_network_is_refused [Need::Users],
    sysfs_of_a_foreign_network_has_a_fallback [Need::Users],
    the_core_link_is_there_if_the_kernel_has_the_file,
    masked_directories_share_one_filesystem,
    a_null_stream_is_the_container_s_own,
    long_options_of_an_overlay_arrive,
    a_source_in_the_rootfs_is_what_the_mounts_before_have_made,
    a_source_in_the_rootfs_does_not_lead_out_of_it,
    a_destination_that_names_the_rootfs_lies_in_it,
}

fn tmpcopyup_starts_with_what_is_covered(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let big = "0123456789".repeat(2000);
    bundle.dir("t/sub", 0o2711)?;
    chown(bundle.file("t/sub/big", &big, 0o640)?, Some(1000), Some(1001))?;
    fs::set_permissions(bundle.path("t/sub/big"), fs::Permissions::from_mode(0o4755))?;
    bundle.file("t/empty", "", 0o600)?;
    symlink("/sub/nowhere", bundle.path("t/link"))?;
    bundle.dir("t", 0o711)?;
    bundle.mount("/t", "tmpfs", "tmpfs", &["tmpcopyup", "size=1m"]);
    bundle.mount("/missing", "tmpfs", "tmpfs", &["tmpcopyup", "ro"]);
    let ops = [
        "read:/t/sub/big",
        "stat:/t",
        "stat:/t/sub",
        "stat:/t/sub/big",
        "stat:/t/empty",
        "readlink:/t/link",
        "write:/t/new",
        "statfs:/t",
        "list:/missing",
        "write:/missing/x",
    ];
    let report = ctx.see(&mut bundle, &ops)?;
    same!(report.text("read:/t/sub/big"), big, "content");
    same!(report.field("stat:/t", "mode"), "0711", "mode of the top");
    same!(report.field("stat:/t/sub", "mode"), "2711", "mode of a directory");
    same!(report.field("stat:/t/sub/big", "mode"), "4755", "mode of a file");
    same!(report.field("stat:/t/sub/big", "uid"), "1000", "owner");
    same!(report.field("stat:/t/sub/big", "gid"), "1001", "group");
    same!(report.field("stat:/t/empty", "mode"), "0600", "mode of an empty file");
    same!(report.text("readlink:/t/link"), "/sub/nowhere", "a link");
    same!(report.text("write:/t/new"), "ok", "a write");
    same!(report.field("statfs:/t", "type"), "1021994", "filesystem");
    check!(!bundle.path("t/new").exists(), "the write reached what is covered");
    same!(report.get("list:/missing"), &json!([]), "a directory that was not there");
    same!(report.text("write:/missing/x"), "EROFS", "a write into the read-only one");
    Ok(())
}

fn tmpcopyup_follows_no_link_and_enters_no_mount(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.dir("t/sub", 0o755)?;
    symlink(&ctx.host.canary, bundle.path("t/out"))?;
    symlink("/t", bundle.path("by-link"))?;
    bundle.bind(&ctx.host.canary, "/t/sub", &["bind", "ro"]);
    bundle.mount("/by-link", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let report = ctx.see(&mut bundle, &["readlink:/t/out", "list:/t/sub", "statfs:/t"])?;
    same!(report.text("readlink:/t/out"), ctx.host.canary.to_string_lossy(), "the link");
    same!(report.get("list:/t/sub"), &json!([]), "what was mounted below");
    same!(report.field("statfs:/t", "type"), "1021994", "filesystem behind the linked destination");
    Ok(())
}

fn tmpcopyup_of_more_than_fits_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.file("t/big", &"x".repeat(100_000), 0o644)?;
    bundle.mount("/t", "tmpfs", "tmpfs", &["tmpcopyup", "size=16k"]);
    ctx.refused(&bundle, &["no space left on device"])
}

fn tmpcopyup_on_another_filesystem_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.bind(&ctx.host.canary, "/t", &["bind", "tmpcopyup"]);
    ctx.refused(&bundle, &["\"tmpcopyup\" is for mounts of type tmpfs"])
}

fn a_link_is_copied(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/root/readonly", false);
    let source = ctx.dir.join("link");
    symlink("../some/where", &source)?;
    bundle.bind(&source, "/made/copy", &["bind", "copy-symlink"]);
    bundle.bind(&source, "/made/copy", &["bind", "copy-symlink"]);
    bundle.bind(&ctx.host.canary.join("dir/file"), "/file", &["bind", "ro", "copy-symlink"]);
    let report = ctx.see(&mut bundle, &["readlink:/made/copy", "read:/file", "mounts"])?;
    same!(report.text("readlink:/made/copy"), "../some/where", "the link");
    same!(report.text("read:/file"), "canary dir/file", "a source that is no link");
    check!(report.mount("/made/copy").is_null(), "mounted: {}", report.mount("/made/copy"));
    Ok(())
}

fn a_copied_link_must_not_meet_something_else(ctx: &Ctx<'_>) -> Outcome {
    let source = ctx.dir.join("link");
    symlink("to/here", &source)?;
    for other in ["file", "link"] {
        let mut bundle = ctx.bundle()?;
        match other {
            "file" => drop(bundle.file("copy", "x", 0o644)?),
            _ => symlink("to/there", bundle.path("copy"))?,
        }
        bundle.bind(&source, "/copy", &["bind", "copy-symlink"]);
        ctx.refused(&bundle, &["exists and is something else"])?;
    }
    Ok(())
}

fn a_source_that_is_a_link_can_be_kept(ctx: &Ctx<'_>) -> Outcome {
    let source = ctx.dir.join("link");
    symlink("dangling", &source)?;
    let mut bundle = ctx.bundle()?;
    bundle.bind(&source, "/link", &["bind", "src-nofollow"]);
    same!(ctx.see(&mut bundle, &["readlink:/link"])?.text("readlink:/link"), "dangling", "the link");
    let mut bundle = ctx.bundle()?;
    bundle.bind(&source, "/link", &["bind"]);
    ctx.refused(&bundle, &["no such file or directory"])
}

fn a_target_that_is_a_link_can_be_kept(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    symlink("elsewhere", bundle.path("link"))?;
    bundle.file("elsewhere", "elsewhere", 0o644)?;
    bundle.bind(&ctx.host.canary.join("dir/file"), "/link", &["bind", "dest-nofollow"]);
    let report = ctx.see(&mut bundle, &["lstat:/link", "read:/link", "read:/elsewhere"])?;
    same!(report.field("lstat:/link", "kind"), "f", "what stands there now");
    same!(report.text("read:/link"), "canary dir/file", "its content");
    same!(report.text("read:/elsewhere"), "elsewhere", "what the link pointed to");
    Ok(())
}

fn sysfs_of_a_foreign_network_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?.without_namespace("network");
    ctx.refused(&bundle, &["operation not permitted"])
}

fn sysfs_of_a_foreign_network_has_a_fallback(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?.without_namespace("network");
    bundle.set("/annotations", json!({ "teu.mount.sysfs-fallback": "1" }));
    let report = ctx.see(&mut bundle, &["statfs:/sys", "mounts", "read:/sys/class/net/lo/ifindex"])?;
    same!(report.field("statfs:/sys", "type"), "62656572", "filesystem");
    same!(report.text("read:/sys/class/net/lo/ifindex"), "1", "a file of the host's network");
    check!(report.mounted_with("/sys", "ro"), "not read-only: {}", report.mount("/sys"));
    Ok(())
}

fn the_core_link_is_there_if_the_kernel_has_the_file(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let wanted = if std::path::Path::new("/proc/kcore").exists() { "/proc/kcore" } else { "ENOENT" };
    let report = ctx.see(&mut bundle, &["readlink:/dev/core"])?;
    same!(report.text("readlink:/dev/core"), wanted, "/dev/core");
    Ok(())
}

/// One superblock for each masked directory would slow the end of every container down.
fn masked_directories_share_one_filesystem(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    for name in ["one", "two", "three"] {
        bundle.file(&format!("{name}/secret"), "secret", 0o644)?;
    }
    bundle.set("/linux/maskedPaths", json!(["/one", "/two", "/three", "/one"]));
    let report = ctx.see(&mut bundle, &["mounts", "list:/one", "list:/two", "list:/three"])?;
    for name in ["one", "two", "three"] {
        let point = format!("/{name}");
        same!(report.mount(&point)["device"], report.mount("/one")["device"], "device of {name}");
        same!(report.get(&format!("list:{point}")), &json!([]), "names in {name}");
        check!(report.mounted_with(&point, "ro"), "not read-only: {}", report.mount(&point));
        same!(report.mounts_at(&point), 1, "mounts at {point}");
    }
    Ok(())
}

/// One option of a filesystem context has at most 255 bytes; runc knows no such limit.
fn long_options_of_an_overlay_arrive(ctx: &Ctx<'_>) -> Outcome {
    let layers = crate::sys::Tmpfs::new(ctx.dir.join("layers"), nix::mount::MsFlags::empty())?;
    let mut dirs = Vec::new();
    for name in ["lower", "upper"] {
        let dir = layers.0.join(name.repeat(30));
        fs::create_dir(&dir)?;
        fs::write(dir.join(name), name)?;
        dirs.push(dir.to_string_lossy().into_owned());
    }
    let mut bundle = ctx.bundle()?;
    let option = format!("lowerdir={}", dirs.join(":"));
    check!(option.len() > 264, "too short to be a test: {option}");
    bundle.mount("/o", "overlay", "overlay", &["nosuid", "ro", &option, "private"]);
    let report = ctx.see(&mut bundle, &["list:/o", "mounts", "write:/o/x"])?;
    same!(report.get("list:/o"), &json!(["lower", "upper"]), "names in both layers");
    same!(report.text("write:/o/x"), "EROFS", "a write");
    check!(report.mounted_with("/o", "nosuid"), "not nosuid: {}", report.mount("/o"));
    Ok(())
}

/// Through the host's null device root could change its mode for everybody.
fn a_null_stream_is_the_container_s_own(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let ops = ["stat:/proc/self/fd/0", "stat:/dev/null", "openrw:/proc/self/fd/0", "fds"];
    let report = ctx.see(&mut bundle, &ops)?;
    same!(report.field("stat:/proc/self/fd/0", "rdev"), "1:3", "device of stdin");
    same!(
        report.field("stat:/proc/self/fd/0", "ino"),
        report.field("stat:/dev/null", "ino"),
        "inode of stdin"
    );
    same!(report.text("openrw:/proc/self/fd/0"), "ok", "opening it");
    let fds: Vec<&String> = report.get("fds").as_object().map(|fds| fds.keys().collect()).unwrap_or_default();
    same!(fds, ["0", "1", "2"], "descriptors");
    Ok(())
}

/// A tree of the host on /mnt, and what is below the rootfs's path of it on /seen.
fn seen_again(ctx: &Ctx<'_>, below: &str, users: bool) -> Result<crate::bundle::Bundle, crate::Trouble> {
    let outer = ctx.dir.join("outer");
    fs::create_dir_all(outer.join("x"))?;
    fs::create_dir_all(ctx.dir.join("host"))?;
    fs::write(outer.join("x/file"), "of the mount")?;
    let _ = symlink(ctx.dir.join("host"), outer.join("out"));
    let mut bundle = ctx.bundle()?;
    if users {
        bundle.map_users(&[(0, 100_000, 65_536)])?;
    }
    bundle.file("mnt/x/file", "of the image", 0o644)?;
    bundle.bind(&outer, "/mnt", &["bind"]);
    let source = bundle.path(below);
    bundle.bind(&source, "/seen", &["rbind"]);
    Ok(bundle)
}

fn a_source_in_the_rootfs_is_what_the_mounts_before_have_made(ctx: &Ctx<'_>) -> Outcome {
    let cases = [
        ("mnt", "read:/seen/x/file", false),
        ("mnt/x", "read:/seen/file", false),
        ("mnt", "read:/seen/x/file", true),
    ];
    for (below, file, users) in cases {
        let report = ctx.see(&mut seen_again(ctx, below, users)?, &[file])?;
        same!(report.text(file), "of the mount", "{below}, user namespace {users}");
    }
    Ok(())
}

fn a_source_in_the_rootfs_does_not_lead_out_of_it(ctx: &Ctx<'_>) -> Outcome {
    ctx.refused(&seen_again(ctx, "mnt/out", false)?, &["open the source", "no such file or directory"])
}

fn a_destination_that_names_the_rootfs_lies_in_it(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let target = bundle.path("here").to_string_lossy().into_owned();
    bundle.mount(&target, "tmpfs", "tmpfs", &[]);
    let report = ctx.see(&mut bundle, &["mounts"])?;
    check!(!report.mount("/here").is_null(), "no mount at /here");
    Ok(())
}
