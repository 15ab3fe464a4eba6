//! Mounts: kinds, options, targets and the root.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::tests;
use crate::ctx::Ctx;
use crate::host::{Need, shown_group};
use crate::{Outcome, check, same};

tests! {
    default_mounts_are_there_in_order,
    proc_is_a_real_procfs,
    tmpfs_takes_mode_and_size,
    tmpfs_without_a_mode_takes_the_directory_s,
    tmpfs_hides_what_was_there,
    devpts_is_an_instance_of_its_own,
    shm_is_world_writable,
    mqueue_belongs_to_the_new_ipc_namespace,
    sysfs_is_read_only_as_asked,
    mount_flags_arrive,
    later_options_win,
    bind_shows_a_directory,
    bind_shows_a_file,
    bind_follows_writes,
    bind_can_be_read_only,
    bind_alone_leaves_submounts_out,
    rbind_brings_submounts,
    rbind_can_be_recursively_read_only [Need::Kernel(5, 12)],
    bind_source_is_relative_to_the_bundle,
    bind_of_a_missing_source_is_refused,
    bind_with_filesystem_data_is_refused,
    type_bind_without_the_option_is_a_bind,
    propagation_is_private_or_slave,
    propagation_is_as_asked,
    mounts_stay_in_the_container,
    nested_destinations_are_mounted_in_order,
    a_missing_destination_is_made,
    a_missing_file_destination_is_made,
    a_relative_destination_is_below_the_root,
    a_symlinked_destination_stays_inside,
    a_destination_with_parent_links_stays_inside,
    a_dev_that_leads_outside_changes_nothing,
    a_destination_with_odd_characters_works,
    a_mount_on_the_root_is_refused,
    a_bind_inside_proc_is_refused,
    a_tmpfs_inside_proc_is_refused,
    a_mount_on_an_allowed_proc_file_works,
    a_proc_that_is_a_symlink_is_refused,
    an_unknown_filesystem_is_refused_with_its_index_or_path,
    wrong_filesystem_data_is_refused,
    two_hundred_mounts_work,
    two_mounts_on_one_destination_stack,
    a_read_only_root_cannot_be_written,
    a_writable_root_can_be_written,
    a_read_only_root_still_gets_its_mount_points,
    nothing_of_the_old_root_is_left,
    masked_files_and_directories_are_empty,
    masked_paths_that_are_missing_are_skipped,
    read_only_paths_cannot_be_written,
    read_only_paths_that_are_missing_are_skipped,
}

fn default_mounts_are_there_in_order(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["mounts"])?;
    let seen = report.get("mounts").as_array().cloned().unwrap_or_default();
    let points: Vec<&str> = seen.iter().filter_map(|mount| mount["point"].as_str()).collect();
    let mut from = 0;
    for point in ["/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"] {
        let found = points.iter().skip(from).position(|one| *one == point);
        from += found.ok_or_else(|| format!("{point} is missing or out of order: {points:?}"))?;
    }
    Ok(())
}

fn proc_is_a_real_procfs(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["mounts", "statfs:/proc", "stat:/proc"])?;
    same!(report.field("statfs:/proc", "type"), "9fa0", "filesystem");
    same!(report.mount("/proc")["root"], "/", "root of the mount");
    same!(report.field("stat:/proc", "ino"), "1", "inode");
    Ok(())
}

fn tmpfs_takes_mode_and_size(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/t", "tmpfs", "tmpfs", &["mode=1711", "size=128k", "nodev"]);
    let report = ctx.see(&mut bundle, &["stat:/t", "statfs:/t", "mounts", "write:/t/file"])?;
    same!(report.field("stat:/t", "mode"), "1711", "mode");
    same!(report.field("statfs:/t", "bytes"), "131072", "size");
    same!(report.text("write:/t/file"), "ok", "a write");
    check!(report.mounted_with("/t", "nodev"), "not nodev: {}", report.mount("/t"));
    Ok(())
}

/// crun and runc copy the mode of the directory that the tmpfs covers.
fn tmpfs_without_a_mode_takes_the_directory_s(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.dir("t", 0o711)?;
    bundle.mount("/t", "tmpfs", "tmpfs", &["nosuid"]);
    same!(ctx.see(&mut bundle, &["stat:/t"])?.field("stat:/t", "mode"), "0711", "mode");
    Ok(())
}

fn tmpfs_hides_what_was_there(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.file("t/file", "below", 0o644)?;
    bundle.mount("/t", "tmpfs", "tmpfs", &[]);
    same!(ctx.see(&mut bundle, &["list:/t"])?.get("list:/t"), &json!([]), "the mounted directory");
    Ok(())
}

fn devpts_is_an_instance_of_its_own(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report =
        ctx.see(&mut bundle, &["list:/dev/pts", "openrw:/dev/ptmx", "stat:/dev/pts/ptmx", "mounts"])?;
    same!(report.get("list:/dev/pts"), &json!(["ptmx"]), "terminals");
    same!(report.text("openrw:/dev/ptmx"), "ok", "opening a terminal");
    same!(report.field("stat:/dev/pts/ptmx", "mode"), "0666", "mode of ptmx");
    let gid = format!("gid={}", shown_group(5));
    check!(report.mounted_with("/dev/pts", &gid), "no {gid}: {}", report.mount("/dev/pts"));
    Ok(())
}

fn shm_is_world_writable(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    let report = ctx.see(&mut bundle, &["stat:/dev/shm", "write:/dev/shm/x", "statfs:/dev/shm"])?;
    same!(report.field("stat:/dev/shm", "mode"), "1777", "mode");
    same!(report.text("write:/dev/shm/x"), "ok", "a write as a user");
    same!(report.field("statfs:/dev/shm", "bytes"), (65_536 * 1024).to_string(), "size");
    Ok(())
}

fn mqueue_belongs_to_the_new_ipc_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["mounts", "write:/dev/mqueue/q", "list:/dev/mqueue"])?;
    same!(report.mount("/dev/mqueue")["type"], "mqueue", "type");
    same!(report.get("list:/dev/mqueue"), &json!(["q"]), "queues");
    Ok(())
}

fn sysfs_is_read_only_as_asked(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["mounts", "write:/sys/class/net/lo/ifalias"])?;
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        check!(report.mounted_with("/sys", flag), "not {flag}: {}", report.mount("/sys"));
    }
    same!(report.text("write:/sys/class/net/lo/ifalias"), "EROFS", "a write");
    Ok(())
}

fn mount_flags_arrive(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let flags = ["nosuid", "nodev", "noexec", "noatime", "nodiratime", "sync"];
    bundle.mount("/t", "tmpfs", "tmpfs", &flags);
    let report = ctx.see(&mut bundle, &["mounts"])?;
    for flag in flags {
        check!(report.mounted_with("/t", flag), "not {flag}: {}", report.mount("/t"));
    }
    Ok(())
}

fn later_options_win(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/t", "tmpfs", "tmpfs", &["ro", "nosuid", "nodev", "rw", "suid"]);
    let report = ctx.see(&mut bundle, &["mounts", "write:/t/x"])?;
    same!(report.text("write:/t/x"), "ok", "a write");
    check!(!report.mounted_with("/t", "nosuid"), "still nosuid: {}", report.mount("/t"));
    check!(report.mounted_with("/t", "nodev"), "no longer nodev: {}", report.mount("/t"));
    Ok(())
}

fn bind_shows_a_directory(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.bind(&ctx.host.canary, "/canary", &["rbind", "ro"]);
    let report = ctx.see(&mut bundle, &["read:/canary/dir/file", "list:/canary"])?;
    same!(report.text("read:/canary/dir/file"), "canary dir/file", "content");
    same!(report.get("list:/canary"), &json!(["dir", "link", "ptmx", "secret"]), "names");
    Ok(())
}

fn bind_shows_a_file(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.bind(&ctx.host.canary.join("dir/file"), "/etc/name", &["bind", "ro"]);
    let report = ctx.see(&mut bundle, &["read:/etc/name", "stat:/etc/name"])?;
    same!(report.text("read:/etc/name"), "canary dir/file", "content");
    same!(report.field("stat:/etc/name", "mode"), "0444", "mode");
    Ok(())
}

fn bind_follows_writes(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let source = ctx.dir.join("shared");
    fs::create_dir(&source)?;
    bundle.bind(&source, "/shared", &["bind"]);
    same!(ctx.see(&mut bundle, &["write:/shared/x=hello"])?.text("write:/shared/x=hello"), "ok", "the write");
    same!(fs::read_to_string(source.join("x"))?, "hello", "the host's file");
    Ok(())
}

fn bind_can_be_read_only(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let source = ctx.dir.join("shared");
    fs::create_dir(&source)?;
    bundle.bind(&source, "/shared", &["bind", "ro", "nosuid", "noexec"]);
    let report = ctx.see(&mut bundle, &["write:/shared/x", "mounts"])?;
    same!(report.text("write:/shared/x"), "EROFS", "the write");
    for flag in ["ro", "nosuid", "noexec"] {
        check!(report.mounted_with("/shared", flag), "not {flag}: {}", report.mount("/shared"));
    }
    Ok(())
}

/// A directory with a tmpfs mounted below it, for the time of a closure.
fn with_submount(ctx: &Ctx<'_>, body: impl FnOnce(&std::path::Path) -> Outcome) -> Outcome {
    let source = ctx.dir.join("outer");
    fs::create_dir_all(source.join("inner"))?;
    let inner = source.join("inner");
    crate::sys::mount("tmpfs".as_ref(), &inner, "tmpfs", nix::mount::MsFlags::empty(), "size=64k")?;
    fs::write(inner.join("deep"), "deep")?;
    let outcome = body(&source);
    nix::mount::umount2(&inner, nix::mount::MntFlags::MNT_DETACH)?;
    outcome
}

fn bind_alone_leaves_submounts_out(ctx: &Ctx<'_>) -> Outcome {
    with_submount(ctx, |source| {
        let mut bundle = ctx.bundle()?;
        bundle.bind(source, "/b", &["bind"]);
        same!(ctx.see(&mut bundle, &["list:/b/inner"])?.get("list:/b/inner"), &json!([]), "the submount");
        Ok(())
    })
}

fn rbind_brings_submounts(ctx: &Ctx<'_>) -> Outcome {
    with_submount(ctx, |source| {
        let mut bundle = ctx.bundle()?;
        bundle.bind(source, "/b", &["rbind", "ro"]);
        let report = ctx.see(&mut bundle, &["read:/b/inner/deep", "write:/b/x", "write:/b/inner/x"])?;
        same!(report.text("read:/b/inner/deep"), "deep", "the submount");
        same!(report.text("write:/b/x"), "EROFS", "a write above");
        same!(report.text("write:/b/inner/x"), "ok", "a write in the submount, which ro does not reach");
        Ok(())
    })
}

fn rbind_can_be_recursively_read_only(ctx: &Ctx<'_>) -> Outcome {
    with_submount(ctx, |source| {
        let mut bundle = ctx.bundle()?;
        bundle.bind(source, "/b", &["rbind", "rro"]);
        let report = ctx.see(&mut bundle, &["write:/b/x", "write:/b/inner/x"])?;
        same!(report.text("write:/b/x"), "EROFS", "a write above");
        same!(report.text("write:/b/inner/x"), "EROFS", "a write in the submount");
        Ok(())
    })
}

fn bind_source_is_relative_to_the_bundle(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    fs::write(bundle.dir.join("beside"), "beside the rootfs")?;
    bundle.bind("beside".as_ref(), "/x", &["bind"]);
    same!(ctx.see(&mut bundle, &["read:/x"])?.text("read:/x"), "beside the rootfs", "content");
    Ok(())
}

fn bind_of_a_missing_source_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.bind("/nowhere/at/all".as_ref(), "/x", &["bind"]);
    ctx.refused(&bundle, &["/nowhere/at/all"])?;
    check!(!bundle.path("x").exists(), "the destination was made before the source was looked at");
    Ok(())
}

/// runc 1.1 lets the host's superblock be asked.
fn bind_with_filesystem_data_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.bind(&ctx.host.canary, "/x", &["bind", "size=1k"]);
    ctx.refused(&bundle, &["bind mounts cannot have any filesystem-specific options applied"])
}

/// runc wants the option.
fn type_bind_without_the_option_is_a_bind(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.bind(&ctx.host.canary, "/x", &["ro"]);
    same!(
        ctx.see(&mut bundle, &["read:/x/dir/file"])?.text("read:/x/dir/file"),
        "canary dir/file",
        "content"
    );
    Ok(())
}

fn propagation_is_private_or_slave(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["mounts"])?;
    for mount in report.get("mounts").as_array().into_iter().flatten() {
        check!(!mount["propagation"].as_str().unwrap_or_default().contains("shared:"), "shared: {mount}");
    }
    Ok(())
}

fn propagation_is_as_asked(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/a", "tmpfs", "tmpfs", &["shared"]).mount("/b", "tmpfs", "tmpfs", &["private"]);
    bundle.bind(&ctx.host.canary, "/c", &["rbind", "ro", "rshared"]);
    bundle.mount("/d", "tmpfs", "tmpfs", &["unbindable"]);
    let report = ctx.see(&mut bundle, &["mounts"])?;
    for (point, wanted) in [("/a", "shared:"), ("/b", ""), ("/c", "shared:"), ("/d", "unbindable")] {
        let seen = report.mount(point)["propagation"].as_str().unwrap_or_default().to_string();
        check!(seen.starts_with(wanted) && seen.is_empty() == wanted.is_empty(), "{point}: {seen:?}");
    }
    Ok(())
}

/// The oracle compares the host's mounts after the test; here they are compared while the container lives.
fn mounts_stay_in_the_container(ctx: &Ctx<'_>) -> Outcome {
    let before = fs::read_to_string("/proc/self/mountinfo")?;
    let mut bundle = ctx.bundle()?;
    let (_container, _) = ctx.sleeping(&mut bundle, &["mount:tmpfs:/dev/shm"])?;
    same!(fs::read_to_string("/proc/self/mountinfo")?, before, "the host's mounts");
    Ok(())
}

fn nested_destinations_are_mounted_in_order(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/a", "tmpfs", "tmpfs", &[]).mount("/a/b/c", "tmpfs", "tmpfs", &["size=64k"]);
    bundle.bind(&ctx.host.canary, "/a/b/c/d", &["rbind", "ro"]);
    let report = ctx.see(&mut bundle, &["read:/a/b/c/d/dir/file", "statfs:/a/b/c"])?;
    same!(report.text("read:/a/b/c/d/dir/file"), "canary dir/file", "content");
    same!(report.field("statfs:/a/b/c", "bytes"), "65536", "size of the middle one");
    Ok(())
}

fn a_missing_destination_is_made(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/not/there/yet", "tmpfs", "tmpfs", &[]);
    ctx.see(&mut bundle, &["mounts"])?;
    let made = bundle.path("not/there/yet");
    check!(made.is_dir(), "no directory");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(made)?.permissions());
    same!(mode & 0o777, 0o755, "its mode");
    Ok(())
}

fn a_missing_file_destination_is_made(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.bind(&ctx.host.canary.join("dir/file"), "/not/there/file", &["bind", "ro"]);
    let report = ctx.see(&mut bundle, &["read:/not/there/file"])?;
    same!(report.text("read:/not/there/file"), "canary dir/file", "content");
    same!(fs::read_to_string(bundle.path("not/there/file"))?, "", "the file below the mount");
    Ok(())
}

fn a_relative_destination_is_below_the_root(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("rel/ative", "tmpfs", "tmpfs", &["size=64k"]);
    let report = ctx.see(&mut bundle, &["statfs:/rel/ative"])?;
    same!(report.field("statfs:/rel/ative", "bytes"), "65536", "size");
    Ok(())
}

fn a_symlinked_destination_stays_inside(ctx: &Ctx<'_>) -> Outcome {
    for target in [
        ctx.host.canary.to_string_lossy().into_owned(),
        format!("../../../../../..{}", ctx.host.canary.display()),
    ] {
        let mut bundle = ctx.bundle()?;
        symlink(&target, bundle.path("link"))?;
        bundle.mount("/link/dir", "tmpfs", "tmpfs", &["size=64k"]);
        let report = ctx.see(&mut bundle, &["statfs:/link/dir", "mounts"])?;
        same!(report.field("statfs:/link/dir", "bytes"), "65536", "size seen through the link");
        let real = format!("{}/dir", ctx.host.canary.display());
        check!(!report.mount(&real).is_null(), "not mounted at {real} inside");
    }
    Ok(())
}

fn a_destination_with_parent_links_stays_inside(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/../../../../a/../b", "tmpfs", "tmpfs", &["size=64k"]);
    same!(ctx.see(&mut bundle, &["statfs:/b"])?.field("statfs:/b", "bytes"), "65536", "size");
    Ok(())
}

/// CVE-2026-41579: with /dev a link and no mount on it, the default links were made on the host. The oracle watches the
/// canary tree, whose `ptmx` such a runtime replaces.
fn a_dev_that_leads_outside_changes_nothing(ctx: &Ctx<'_>) -> Outcome {
    for target in
        [ctx.host.canary.to_string_lossy().into_owned(), format!("../../../..{}", ctx.host.canary.display())]
    {
        let mut bundle = ctx.bundle()?;
        symlink(target, bundle.path("dev"))?;
        bundle.set("/mounts", json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]));
        bundle.set("/root/readonly", false);
        // Refusing and containing are both right.
        let _ = ctx.run(bundle.ops(&[]))?;
    }
    Ok(())
}

fn a_destination_with_odd_characters_works(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    for name in ["/with space", "/tab\there", "/back\\slash", "/ünï", "/new\nline", "/quote\"d"] {
        bundle.mount(name, "tmpfs", "tmpfs", &["size=64k"]);
    }
    let ops = [
        "statfs:/with space",
        "statfs:/tab\there",
        "statfs:/back\\slash",
        "statfs:/ünï",
        "statfs:/new\nline",
    ];
    let report = ctx.see(&mut bundle, &ops)?;
    for op in ops {
        same!(report.field(op, "bytes"), "65536", "{op:?}");
    }
    Ok(())
}

/// crun mounts it; runc 1.1 mounts it as well and then misses /proc.
fn a_mount_on_the_root_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for destination in ["/", "/..", "//./"] {
        let mut bundle = ctx.bundle()?;
        bundle.mount(destination, "tmpfs", "tmpfs", &[]);
        ctx.refused(&bundle, &["mountpoint is on the top of rootfs"])?;
    }
    Ok(())
}

const INSIDE_PROC: [&str; 3] = ["/proc/sys", "/proc/self", "/proc/sysrq-trigger"];

fn a_bind_inside_proc_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for destination in INSIDE_PROC {
        let mut bundle = ctx.bundle()?;
        let source = if destination.ends_with("trigger") { "dir/file" } else { "dir" };
        bundle.bind(&ctx.host.canary.join(source), destination, &["bind", "ro"]);
        ctx.refused(&bundle, &["cannot be mounted because it is inside /proc"])?;
    }
    Ok(())
}

/// runc 1.1 looks at binds only.
fn a_tmpfs_inside_proc_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/proc/sys", "tmpfs", "tmpfs", &[]);
    ctx.refused(&bundle, &["cannot be mounted because it is inside /proc"])
}

fn a_mount_on_an_allowed_proc_file_works(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    for file in ["uptime", "loadavg", "meminfo"] {
        bundle.bind(&ctx.host.canary.join("dir/file"), &format!("/proc/{file}"), &["bind", "ro"]);
    }
    let report = ctx.see(&mut bundle, &["read:/proc/uptime", "read:/proc/meminfo"])?;
    for op in ["read:/proc/uptime", "read:/proc/meminfo"] {
        same!(report.text(op), "canary dir/file", "{op}");
    }
    Ok(())
}

fn a_proc_that_is_a_symlink_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let bundle = ctx.bundle()?;
    bundle.dir("elsewhere", 0o755)?;
    symlink("elsewhere", bundle.path("proc"))?;
    ctx.refused(&bundle, &["must be mounted on ordinary directory", "/proc"])
}

fn an_unknown_filesystem_is_refused_with_its_index_or_path(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/x", "nosuchfs", "nosuchfs", &[]);
    ctx.refused(&bundle, &["no such device"])
}

fn wrong_filesystem_data_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/x", "tmpfs", "tmpfs", &["no_such_option=1"]);
    ctx.refused(&bundle, &["invalid argument"])
}

fn two_hundred_mounts_work(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    for index in 0..200 {
        bundle.mount(&format!("/m/{index}"), "tmpfs", "tmpfs", &["size=4k"]);
    }
    let report = ctx.see(&mut bundle, &["mounts"])?;
    let all = report.get("mounts").as_array().cloned().unwrap_or_default();
    let ours =
        all.iter().filter(|mount| mount["point"].as_str().is_some_and(|point| point.starts_with("/m/")));
    same!(ours.count(), 200, "mounts below /m");
    Ok(())
}

fn two_mounts_on_one_destination_stack(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/t", "tmpfs", "first", &["size=64k"]).mount("/t", "tmpfs", "second", &["size=128k"]);
    same!(
        ctx.see(&mut bundle, &["statfs:/t"])?.field("statfs:/t", "bytes"),
        "131072",
        "size of the upper one"
    );
    Ok(())
}

fn a_read_only_root_cannot_be_written(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["write:/x", "mkdir:/d", "unlink:/probe", "mounts"])?;
    for op in ["write:/x", "mkdir:/d", "unlink:/probe"] {
        same!(report.text(op), "EROFS", "{op}");
    }
    check!(report.mounted_with("/", "ro"), "the root is not ro: {}", report.mount("/"));
    Ok(())
}

fn a_writable_root_can_be_written(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/root/readonly", false);
    same!(ctx.see(&mut bundle, &["write:/x=hello"])?.text("write:/x=hello"), "ok", "the write");
    same!(fs::read_to_string(bundle.path("x"))?, "hello", "the host's file");
    Ok(())
}

fn a_read_only_root_still_gets_its_mount_points(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/new/point", "tmpfs", "tmpfs", &["size=64k"]);
    let report = ctx.see(&mut bundle, &["statfs:/new/point", "write:/new/x"])?;
    same!(report.field("statfs:/new/point", "bytes"), "65536", "size");
    same!(report.text("write:/new/x"), "EROFS", "a write beside it");
    Ok(())
}

fn nothing_of_the_old_root_is_left(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report =
        ctx.see(&mut bundle, &["list:/", "stat:/", "stat:/..", "readlink:/proc/1/root", "mounts"])?;
    same!(report.get("list:/"), &json!(["dev", "probe", "proc", "sys"]), "names in the root");
    same!(report.field("stat:/..", "ino"), report.field("stat:/", "ino"), "the root's parent");
    same!(report.text("readlink:/proc/1/root"), "/", "root of pid 1");
    let hosts = report.get("mounts").as_array().into_iter().flatten();
    let foreign = hosts.filter(|mount| mount["point"] == "/" && mount["root"] == "/").count();
    same!(foreign, 0, "mounts of a whole host filesystem on the root");
    Ok(())
}

fn masked_files_and_directories_are_empty(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.file("secret/file", "secret", 0o644)?;
    bundle.file("key", "secret", 0o644)?;
    bundle.set("/linux/maskedPaths", json!(["/secret", "/key", "/proc/cpuinfo"]));
    let ops = [
        "list:/secret",
        "write:/secret/x",
        "read:/key",
        "stat:/key",
        "read:/proc/cpuinfo",
        "stat:/proc/cpuinfo",
    ];
    let report = ctx.see(&mut bundle, &ops)?;
    same!(report.get("list:/secret"), &json!([]), "the masked directory");
    same!(report.text("write:/secret/x"), "EROFS", "a write into it");
    same!(report.text("read:/key"), "", "the masked file");
    same!(report.field("stat:/key", "rdev"), "1:3", "device over the file");
    same!(report.field("stat:/proc/cpuinfo", "rdev"), "1:3", "device over /proc/cpuinfo");
    Ok(())
}

fn masked_paths_that_are_missing_are_skipped(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/maskedPaths", json!(["/not/here", "/proc/not-here"]));
    same!(ctx.see(&mut bundle, &["stat:/not/here"])?.text("stat:/not/here"), "ENOENT", "the path");
    Ok(())
}

fn read_only_paths_cannot_be_written(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.file("etc/conf", "x", 0o666)?;
    bundle.dir("var", 0o777)?;
    bundle
        .set("/root/readonly", false)
        .set("/linux/readonlyPaths", json!(["/etc/conf", "/var", "/proc/sys"]));
    let denied = ["write:/etc/conf", "write:/var/x", "write:/proc/sys/kernel/domainname"];
    let report = ctx.see(&mut bundle, &[denied.as_slice(), &["write:/etc/other"]].concat())?;
    // Root of a user namespace may not write that file anyway, and is told so first.
    let denied = denied.iter().filter(|op| !op.contains("/proc") || ctx.host.missing(Need::Root).is_none());
    for op in denied {
        same!(report.text(op), "EROFS", "{op}");
    }
    same!(report.text("write:/etc/other"), "ok", "a write beside them");
    Ok(())
}

fn read_only_paths_that_are_missing_are_skipped(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/readonlyPaths", json!(["/not/here", "/proc/not-here"]));
    ctx.see(&mut bundle, &["pid"])?;
    Ok(())
}
