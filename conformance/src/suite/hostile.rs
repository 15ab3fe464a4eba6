//! A hostile rootfs, state root and neighbour: every walk stays inside, nothing of the host is seen or changed.
//!
//! In most of these tests a refusal and a container that was held are both right; the judge is the oracle, which watches the
//! canary tree that every link here points to.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

use serde_json::json;

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::{Ctx, refusal};
use crate::driver::New;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same, sys};

tests! {
    mount_targets_behind_links_stay_inside,
    file_mount_targets_behind_links_stay_inside,
    device_paths_behind_links_stay_inside,
    default_mount_points_behind_links_stay_inside,
    a_cwd_behind_links_stays_inside,
    masked_and_read_only_paths_behind_links_stay_inside,
    a_masked_path_over_a_replaced_null_device_shows_nothing,
    a_masked_path_over_a_bound_null_device_shows_nothing,
    program_paths_by_descriptor_lead_nowhere,
    a_waiting_init_holds_no_directory_of_the_host,
    a_waiting_init_runs_from_a_copy_of_its_own,
    a_waiting_init_cannot_be_looked_into_by_its_neighbours,
    the_root_s_parent_is_the_root,
    a_planted_link_in_the_state_root_is_not_followed,
    a_planted_file_in_the_state_root_is_an_error,
    a_pid_file_that_is_a_link_is_not_followed,
    a_log_that_is_a_link_is_not_followed [Need::Cli],
}

/// Link targets that lead to the canary tree if anybody follows them on the host.
fn shapes(ctx: &Ctx<'_>) -> Vec<String> {
    let canary = ctx.host.canary.display();
    let up = "../".repeat(20);
    vec![
        format!("{canary}"),
        format!("{canary}/new"),
        format!("{canary}/dir/"),
        format!("{canary}/secret"),
        format!("{up}{canary}"),
        format!("/proc/self/root{up}{canary}"),
        format!("{canary}/dir/../dir/./new"),
    ]
}

/// For each shape: a rootfs whose `name` is such a link, and a configuration that uses it. The outcome is the oracle's.
fn for_each_shape(ctx: &Ctx<'_>, name: &str, configure: impl Fn(&mut Bundle) -> Outcome) -> Outcome {
    for shape in shapes(ctx) {
        let mut bundle = ctx.bundle()?;
        bundle.set("/root/readonly", false);
        fs::create_dir_all(bundle.path(name).parent().unwrap_or(&bundle.dir))?;
        symlink(&shape, bundle.path(name))?;
        configure(&mut bundle)?;
        let reply = ctx.run(bundle.ops(&[&format!("write:{name}/by-the-container"), "mounts"]))?;
        check!([0, 1].contains(&reply.code), "{shape}: exit code {}: {}", reply.code, reply.err);
        let now =
            fs::read_dir(&ctx.host.canary)?.count() + fs::read_dir(ctx.host.canary.join("dir"))?.count();
        same!(now, 6, "entries of the canary tree after {name} -> {shape}");
    }
    Ok(())
}

fn mount_targets_behind_links_stay_inside(ctx: &Ctx<'_>) -> Outcome {
    for_each_shape(ctx, "link", |bundle| {
        bundle.mount("/link", "tmpfs", "tmpfs", &[]).mount("/link/below", "tmpfs", "tmpfs", &[]);
        Ok(())
    })?;
    for_each_shape(ctx, "a/b", |bundle| {
        bundle.mount("/a/b/c", "tmpfs", "tmpfs", &[]);
        Ok(())
    })
}

fn file_mount_targets_behind_links_stay_inside(ctx: &Ctx<'_>) -> Outcome {
    let source = ctx.dir.join("source");
    fs::write(&source, "source")?;
    for_each_shape(ctx, "etc/name", |bundle| {
        bundle.bind(&source, "/etc/name", &["bind"]);
        Ok(())
    })
}

fn device_paths_behind_links_stay_inside(ctx: &Ctx<'_>) -> Outcome {
    for_each_shape(ctx, "etc", |bundle| {
        bundle.push("/linux/devices", json!({ "path": "/etc/null", "type": "c", "major": 1, "minor": 3 }));
        Ok(())
    })?;
    for_each_shape(ctx, "etc/node", |bundle| {
        bundle.push("/linux/devices", json!({ "path": "/etc/node", "type": "c", "major": 1, "minor": 3 }));
        Ok(())
    })
}

/// CVE-2026-41579 and CVE-2026-47766 are `/dev`; here are the others that every container has.
fn default_mount_points_behind_links_stay_inside(ctx: &Ctx<'_>) -> Outcome {
    for name in ["proc", "sys", "dev"] {
        for_each_shape(ctx, name, |_| Ok(()))?;
    }
    Ok(())
}

fn a_cwd_behind_links_stays_inside(ctx: &Ctx<'_>) -> Outcome {
    for_each_shape(ctx, "link", |bundle| {
        bundle.set("/process/cwd", "/link/made");
        Ok(())
    })
}

fn masked_and_read_only_paths_behind_links_stay_inside(ctx: &Ctx<'_>) -> Outcome {
    for_each_shape(ctx, "link", |bundle| {
        bundle.set("/linux/maskedPaths", json!(["/link", "/link/secret"]));
        bundle.set("/linux/readonlyPaths", json!(["/link/dir", "/link"]));
        Ok(())
    })
}

/// CVE-2025-31133: the image has its own /dev/null, a link to the very file that is to be hidden.
fn a_masked_path_over_a_replaced_null_device_shows_nothing(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.dir("dev", 0o755)?;
    symlink("/proc/sysrq-trigger", bundle.path("dev/null"))?;
    bundle.file("secret", "secret", 0o644)?;
    bundle.set("/mounts", json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]));
    masked_or_refused(ctx, &mut bundle)
}

/// Nothing is made in a bound /dev, so what is there as null stays until the masks.
fn a_masked_path_over_a_bound_null_device_shows_nothing(ctx: &Ctx<'_>) -> Outcome {
    for name in ["link", "zero", "file"] {
        let dev = ctx.dir.join(name);
        fs::create_dir(&dev)?;
        match name {
            "link" => symlink("/proc/sysrq-trigger", dev.join("null"))?,
            "zero" => {
                use nix::sys::stat::{Mode, SFlag, makedev, mknod};
                mknod(&dev.join("null"), SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 5))?;
            }
            _ => fs::write(dev.join("null"), "shown")?,
        }
        let mut bundle = ctx.bundle()?;
        bundle.file("secret", "secret", 0o644)?;
        bundle.set("/mounts", json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]));
        bundle.bind(&dev, "/dev", &["bind"]);
        masked_or_refused(ctx, &mut bundle).map_err(|trouble| trouble.at(name))?;
    }
    Ok(())
}

/// Either the masks are the real null device, or there is no container and the error names what is wrong.
fn masked_or_refused(ctx: &Ctx<'_>, bundle: &mut Bundle) -> Outcome {
    bundle.set("/linux/maskedPaths", json!(["/secret", "/proc/cpuinfo"])).set("/root/readonly", false);
    let ops = ["stat:/secret", "stat:/proc/cpuinfo", "read:/secret"];
    let reply = ctx.run(bundle.ops(&ops))?;
    if reply.code != 0 {
        return refusal(&reply, &["/dev/null"]);
    }
    let report = Report::parse(&reply.out)?;
    for op in ["stat:/secret", "stat:/proc/cpuinfo"] {
        same!((report.field(op, "kind"), report.field(op, "rdev")), ("c".into(), "1:3".into()), "{op}");
    }
    same!(report.text("read:/secret"), "", "what is masked");
    Ok(())
}

/// CVE-2024-21626, by the program instead of the cwd.
fn program_paths_by_descriptor_lead_nowhere(ctx: &Ctx<'_>) -> Outcome {
    for fd in 3..12 {
        for path in [format!("/proc/self/fd/{fd}/bin/sh"), format!("/proc/1/fd/{fd}/../../bin/sh")] {
            let bundle = &mut ctx.bundle()?;
            let reply = ctx.run(bundle.args(&[&path, "-c", "echo out of the container"]))?;
            check!(reply.code != 0 && !reply.out.contains("out of"), "{path} ran a program of the host");
        }
    }
    Ok(())
}

fn waiting<'a>(ctx: &'a Ctx<'a>) -> Result<crate::ctx::Container<'a>, Trouble> {
    let mut bundle = ctx.bundle()?;
    ctx.created(bundle.ops(&["sleep"]))
}

/// A directory would be a way out of the root, a file of the host a way to write it. The gate may be a fifo in the state root.
fn a_waiting_init_holds_no_directory_of_the_host(ctx: &Ctx<'_>) -> Outcome {
    let container = waiting(ctx)?;
    for entry in fs::read_dir(format!("/proc/{}/fd", container.pid))? {
        let path = entry?.path();
        let (Ok(link), Ok(meta)) = (fs::read_link(&path), fs::metadata(&path)) else { continue };
        let kind = meta.file_type();
        let link = link.to_string_lossy();
        let anonymous = link.starts_with("/memfd:") || !link.starts_with('/');
        let known = kind.is_fifo() || kind.is_socket() || kind.is_char_device();
        check!(!kind.is_dir() && (known || anonymous), "{} is {link}", path.display());
    }
    Ok(())
}

/// CVE-2019-5736: what a container can reach through /proc/PID/exe must not be the runtime's file, nor another container's.
fn a_waiting_init_runs_from_a_copy_of_its_own(ctx: &Ctx<'_>) -> Outcome {
    let containers = [waiting(ctx)?, waiting(ctx)?];
    let image = |pid: i32| fs::metadata(format!("/proc/{pid}/exe")).map(|meta| (meta.dev(), meta.ino()));
    let [first, second] = [image(containers[0].pid)?, image(containers[1].pid)?];
    check!(first != second, "two containers share one image of init");
    if let Some(cli) = ctx.driver.cli() {
        let runtime = fs::metadata(cli.path())?;
        check!(first != (runtime.dev(), runtime.ino()), "init is the runtime's own file");
    }
    Ok(())
}

/// The neighbour shares the pid namespace and is root there, without CAP_SYS_PTRACE. It looks when it is told to.
fn a_waiting_init_cannot_be_looked_into_by_its_neighbours(ctx: &Ctx<'_>) -> Outcome {
    let mut ops = vec!["pid".to_string(), "say".into(), "cat".into()];
    for pid in 2..40 {
        let parts = ["environ", "maps", "mem", "root/", "cwd/", "exe"];
        ops.extend(parts.iter().map(|part| format!("open:/proc/{pid}/{part}")));
    }
    let mut bundle = ctx.bundle()?;
    let ops: Vec<&str> = ops.iter().map(String::as_str).collect();
    let (stdin, tell) = sys::pipe()?;
    let mut neighbour = ctx.created_with(bundle.ops(&ops), Some(stdin))?;
    neighbour.start()?;
    neighbour.report()?;
    let mut joiner = ctx.bundle()?;
    joiner.join("pid", &format!("/proc/{}/ns/pid", neighbour.pid));
    let waiting = ctx.created(joiner.ops(&["sleep"]))?;
    drop(tell);
    let report = neighbour.report()?;
    let tried = report.0.as_object().into_iter().flatten().filter(|(_, result)| *result != "ENOENT");
    let tried: Vec<_> =
        tried.map(|(op, result)| (op.as_str(), result.as_str().unwrap_or_default())).collect();
    check!(tried.len() >= 6, "the neighbour saw no process to look into: {tried:?}");
    for (op, result) in tried {
        check!(["EACCES", "EPERM", "ESRCH"].contains(&result), "{op}: {result}");
    }
    drop(waiting);
    Ok(())
}

fn the_root_s_parent_is_the_root(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let up = "../".repeat(30);
    let (list, stat) = (format!("list:/{up}"), format!("stat:/{up}"));
    let report = ctx.see(&mut bundle, &["list:/", "stat:/", &list, &stat])?;
    same!(report.get(&list), report.get("list:/"), "names");
    same!(report.get(&stat), report.get("stat:/"), "the directory");
    Ok(())
}

/// Whatever the runtime says, the canary tree behind the link stays as it is. The link itself is the test's to remove.
fn planted(ctx: &Ctx<'_>, plant: impl FnOnce(&Path) -> std::io::Result<()>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let place = ctx.driver.root().join(&bundle.id);
    plant(&place)?;
    let reply = ctx.driver.create(ctx.new_of(bundle.ops(&["pid"]))?);
    let (state, deleted) = (ctx.driver.state(&bundle.id), ctx.driver.delete(&bundle.id, true));
    let _ = fs::remove_file(&place);
    check!(reply.code == 1, "create: {reply:?}");
    check!(state.code == 1, "state: {state:?}");
    check!([0, 1].contains(&deleted.code), "delete: {deleted:?}");
    Ok(())
}

fn a_planted_link_in_the_state_root_is_not_followed(ctx: &Ctx<'_>) -> Outcome {
    planted(ctx, |place| symlink(ctx.host.canary.join("dir"), place))?;
    planted(ctx, |place| symlink(ctx.host.canary.join("new"), place))
}

fn a_planted_file_in_the_state_root_is_an_error(ctx: &Ctx<'_>) -> Outcome {
    planted(ctx, |place| fs::write(place, "planted"))
}

fn a_pid_file_that_is_a_link_is_not_followed(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let file = ctx.dir.join("pid");
    symlink(ctx.host.canary.join("secret"), &file)?;
    let new = ctx.new_of(bundle.ops(&["pid"]))?;
    let reply = ctx.driver.create(New { pid_file: Some(file), ..new });
    ctx.driver.delete(&bundle.id, true).good()?;
    check!([0, 1].contains(&reply.code), "create: {reply:?}");
    Ok(())
}

/// runc and crun append to what the link names.
fn a_log_that_is_a_link_is_not_followed(ctx: &Ctx<'_>) -> Outcome {
    let log = ctx.dir.join("log");
    symlink(ctx.host.canary.join("secret"), &log)?;
    let reply = ctx.cli()?.call(&["--log", &log.to_string_lossy(), "state", &ctx.id()]);
    check!(reply.code == 1, "exit code {}: {}", reply.code, reply.err);
    Ok(())
}
