//! Bad input: a clear error of one line with the JSON pointer or the path, exit code 1, and nothing left behind.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::MsFlags;
use serde_json::json;

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::{Ctx, refusal};
use crate::driver::{Driver, New};
use crate::host::Need;
use crate::{Outcome, check, sys};

tests! {
    a_missing_config_is_refused,
    a_missing_bundle_is_refused,
    a_config_that_is_not_json_is_refused,
    a_truncated_config_is_refused,
    an_empty_config_is_refused,
    a_config_of_64_mib_is_refused_or_used_quickly,
    a_deeply_nested_config_is_refused,
    a_hundred_thousand_mounts_are_refused,
    an_unknown_version_is_refused,
    a_missing_version_is_refused,
    a_newer_minor_version_is_accepted,
    unknown_fields_are_ignored,
    a_wrong_type_is_refused_with_its_place,
    a_config_without_root_is_refused,
    empty_arguments_are_refused,
    a_missing_program_is_refused_at_create,
    a_program_missing_in_the_path_is_refused,
    a_program_that_is_not_executable_is_refused,
    a_program_that_is_a_directory_is_refused,
    a_program_behind_a_file_is_refused,
    a_program_of_no_known_format_fails_at_start,
    a_missing_rootfs_is_refused,
    a_rootfs_that_is_a_file_is_refused,
    a_rootfs_that_is_a_dangling_link_is_refused,
    an_empty_root_path_is_refused,
    a_relative_cwd_is_refused,
    an_empty_cwd_is_refused,
    a_cwd_that_cannot_be_made_is_refused,
    a_cwd_that_is_a_file_is_refused,
    an_environment_entry_without_a_value_is_refused,
    a_nul_in_a_string_is_refused,
    bad_ids_are_refused,
    an_id_that_starts_with_a_dot_is_refused,
    an_empty_id_is_refused,
    a_missing_argument_is_refused [Need::Cli],
    a_mount_error_names_source_and_destination,
    a_failed_create_reads_like_the_contract [Need::Cli],
    a_failed_create_writes_exactly_one_line,
    an_unusable_state_root_is_refused [Need::Cli],
    a_read_only_state_root_is_refused [Need::Cli],
    a_full_state_root_is_refused [Need::Cli],
    too_few_descriptors_are_an_error [Need::Cli],
    cgroups_that_cannot_be_written_are_refused [Need::Cli],
    a_pid_file_that_cannot_be_written_is_refused,
    rdt_on_a_machine_without_it_is_refused,
    a_failed_create_can_be_repeated_rightly,
}

/// Puts raw bytes in place of the configuration and asks for a container.
fn raw_config(ctx: &Ctx<'_>, config: &[u8], texts: &[&str]) -> Outcome {
    let bundle = ctx.bundle()?;
    fs::write(bundle.dir.join("config.json"), config)?;
    let new = New { id: &bundle.id, bundle: bundle.dir.clone(), ..New::default() };
    refusal(&ctx.driver.create(new), texts)
}

fn edited(ctx: &Ctx<'_>, edit: impl FnOnce(&mut Bundle) -> &mut Bundle, texts: &[&str]) -> Outcome {
    let mut bundle = ctx.bundle()?;
    edit(&mut bundle);
    ctx.refused(&bundle, texts)
}

fn a_missing_config_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let bundle = ctx.bundle()?;
    let new = New { id: &bundle.id, bundle: bundle.dir.clone(), ..New::default() };
    refusal(&ctx.driver.create(new), &["JSON specification file config.json not found"])
}

fn a_missing_bundle_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let id = ctx.id();
    let new = New { id: &id, bundle: ctx.dir.join("nowhere"), ..New::default() };
    refusal(&ctx.driver.create(new), &["nowhere", "no such file or directory"])
}

fn a_config_that_is_not_json_is_refused(ctx: &Ctx<'_>) -> Outcome {
    raw_config(ctx, b"this is not JSON", &["invalid character", "config.json", "expected"])
}

fn a_truncated_config_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let bundle = ctx.bundle()?;
    let whole = bundle.config.to_string();
    let half = whole.get(..whole.len() / 2).unwrap_or_default();
    raw_config(
        ctx,
        half.as_bytes(),
        &["unexpected end of JSON input", "unexpected EOF", "EOF", "config.json"],
    )
}

fn an_empty_config_is_refused(ctx: &Ctx<'_>) -> Outcome {
    raw_config(ctx, b"", &["EOF", "config.json"])?;
    raw_config(ctx, b"{}", &[])?;
    raw_config(ctx, b"[]", &["config.json", "cannot unmarshal array"])
}

/// The bulk is in an annotation. Using such a configuration is allowed by the specification, so the only wrong answers are
/// a hang, a crash, and something left behind.
fn a_config_of_64_mib_is_refused_or_used_quickly(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/annotations/org.example.big", "x".repeat(64 << 20));
    let reply = ctx.driver.create(ctx.new_of(&bundle)?);
    if reply.code == 0 {
        ctx.driver.delete(&bundle.id, true).good()?;
        return Ok(());
    }
    refusal(&reply, &[])
}

fn a_deeply_nested_config_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let nested = format!("{{\"annotations\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    raw_config(ctx, nested.as_bytes(), &[])
}

/// The kernel's limit is 100,000 in one namespace; the tree must not be left half mounted anywhere.
fn a_hundred_thousand_mounts_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let mount = json!({ "destination": "/m", "type": "nosuchfs", "source": "x", "options": ["ro"] });
    bundle.set("/mounts", vec![mount; 100_000]);
    ctx.refused(&bundle, &[])
}

/// runc 1.1 does not look at it, nor at a missing one.
fn an_unknown_version_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for version in ["2.0.0", "0.9.0", "x", "1", "1.x.0"] {
        edited(ctx, |bundle| bundle.set("/ociVersion", version), &["ociVersion", "ersion"])?;
    }
    Ok(())
}

fn a_missing_version_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(ctx, |bundle| bundle.remove("/ociVersion"), &["ociVersion", "ersion"])
}

/// Debian's crun 1.8 refuses more than 1.0.
fn a_newer_minor_version_is_accepted(ctx: &Ctx<'_>) -> Outcome {
    for version in ["1.0.0", "1.0.2-dev", "1.1.0+dev", "1.2.1", "1.3.0", "1.99.0"] {
        let mut bundle = ctx.bundle()?;
        ctx.run(bundle.set("/ociVersion", version).ops(&[]))?
            .good()
            .map_err(|error| format!("{version}: {error}"))?;
    }
    Ok(())
}

fn unknown_fields_are_ignored(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    for place in [
        "/future",
        "/process/future",
        "/linux/future",
        "/root/future",
        "/mounts/0/future",
        "/linux/resources/future",
    ] {
        bundle.set(place, json!({ "of": ["any", 1] }));
    }
    ctx.run(bundle.ops(&[]))?.good()?;
    Ok(())
}

fn a_wrong_type_is_refused_with_its_place(ctx: &Ctx<'_>) -> Outcome {
    let cases = [
        ("/process/args", json!("sh"), "args"),
        ("/process/user/uid", json!("root"), "uid"),
        ("/process/user/uid", json!(-1), "uid"),
        ("/mounts/1/options", json!(7), "options"),
        ("/linux/namespaces", json!({}), "namespaces"),
        ("/root/readonly", json!("yes"), "readonly"),
    ];
    for (place, value, name) in cases {
        edited(ctx, |bundle| bundle.set(place, value), &[name, place])?;
    }
    Ok(())
}

fn a_config_without_root_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(ctx, |bundle| bundle.remove("/root"), &["root", "Root"])
}

fn empty_arguments_are_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(ctx, |bundle| bundle.args(&[]), &["args must not be empty"])?;
    edited(ctx, |bundle| bundle.remove("/process/args"), &["args must not be empty"])?;
    edited(
        ctx,
        |bundle| bundle.args(&[""]),
        &["executable file not found in $PATH", "no such file or directory"],
    )
}

fn a_missing_program_is_refused_at_create(ctx: &Ctx<'_>) -> Outcome {
    edited(
        ctx,
        |bundle| bundle.args(&["/nowhere/x"]),
        &["exec: \"/nowhere/x\": stat /nowhere/x: no such file or directory", "no such file or directory"],
    )
}

fn a_program_missing_in_the_path_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(
        ctx,
        |bundle| bundle.args(&["nowhere"]),
        &["exec: \"nowhere\": executable file not found in $PATH"],
    )
}

fn a_program_that_is_not_executable_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.file("data", "data", 0o644)?;
    ctx.refused(bundle.args(&["/data"]), &["exec: \"/data\": permission denied", "permission denied"])
}

fn a_program_that_is_a_directory_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.dir("data", 0o755)?;
    ctx.refused(bundle.args(&["/data"]), &["is a directory", "permission denied"])
}

fn a_program_behind_a_file_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(ctx, |bundle| bundle.args(&["/probe/x"]), &["not a directory"])
}

/// Nothing looks into the file before execve does: create succeeds, and the container ends by itself.
fn a_program_of_no_known_format_fails_at_start(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.file("junk", "\u{1}junk", 0o755)?;
    let container = ctx.created(bundle.args(&["/junk"]))?;
    // Whether start itself reports it or not, init is gone.
    let _ = container.start();
    container.ended()?;
    check!(container.exit_code()? != 0, "exit code 0");
    Ok(())
}

fn a_missing_rootfs_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(ctx, |bundle| bundle.set("/root/path", "nowhere"), &["nowhere"])?;
    edited(ctx, |bundle| bundle.set("/root/path", "/nowhere/at/all"), &["/nowhere/at/all"])
}

fn a_rootfs_that_is_a_file_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(ctx, |bundle| bundle.set("/root/path", "rootfs/probe"), &["rootfs/probe", "not a directory"])
}

fn a_rootfs_that_is_a_dangling_link_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    symlink("nowhere", bundle.dir.join("link"))?;
    ctx.refused(bundle.set("/root/path", "link"), &["link", "nowhere"])
}

/// runc 1.1 takes the bundle for the rootfs.
fn an_empty_root_path_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(ctx, |bundle| bundle.set("/root/path", ""), &["root"])
}

fn a_relative_cwd_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(ctx, |bundle| bundle.set("/process/cwd", "tmp"), &["Cwd must be an absolute path"])
}

fn an_empty_cwd_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(ctx, |bundle| bundle.set("/process/cwd", ""), &["Cwd property must not be empty"])
}

fn a_cwd_that_cannot_be_made_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(ctx, |bundle| bundle.set("/process/cwd", "/proc/nowhere"), &["/proc/nowhere"])?;
    edited(ctx, |bundle| bundle.set("/process/cwd", "/probe/below"), &["/probe", "not a directory"])
}

fn a_cwd_that_is_a_file_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(ctx, |bundle| bundle.set("/process/cwd", "/probe"), &["not a directory"])
}

/// runc 1.1 words it otherwise.
fn an_environment_entry_without_a_value_is_refused(ctx: &Ctx<'_>) -> Outcome {
    edited(
        ctx,
        |bundle| bundle.set("/process/env", ["A=1", "B"]),
        &["invalid environment variable", "/process/env"],
    )?;
    edited(
        ctx,
        |bundle| bundle.set("/process/env", ["=1"]),
        &["invalid environment variable", "/process/env"],
    )
}

/// runc refuses some of these late, in init; crun cuts the string.
fn a_nul_in_a_string_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let cases = [
        ("/process/args", json!(["/probe", "a\0b"])),
        ("/process/env", json!(["A=x\0y"])),
        ("/process/cwd", json!("/\0tmp")),
        ("/hostname", json!("a\0b")),
        ("/root/path", json!("rootfs\0x")),
        ("/mounts/0/destination", json!("/proc\0x")),
        ("/mounts/1/options", json!(["size=1k\0x"])),
        ("/linux/maskedPaths", json!(["/proc/\0keys"])),
    ];
    for (place, value) in cases {
        edited(ctx, |bundle| bundle.set(place, value), &[]).map_err(|error| error.at(place))?;
    }
    Ok(())
}

fn bad_ids_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let long = "x".repeat(1025);
    let ids = ["..", ".", "a/b", "../x", "/x", "ünï", "a b", "a\nb", "a%n", "a:b", "a*", &long];
    for id in ids {
        let bundle = ctx.bundle()?;
        let reply = ctx.driver.create(New { id, ..ctx.new_of(&bundle)? });
        if reply.code == 0 {
            ctx.driver.delete(id, true);
        }
        refusal(&reply, &["invalid container ID format", "invalid id format", "file name too long"])
            .map_err(|error| error.at(format_args!("{id:?}")))?;
        for reply in [ctx.driver.state(id), ctx.driver.start(id), ctx.driver.delete(id, false)] {
            check!(reply.code == 1, "{id:?}: exit code {} without a container", reply.code);
        }
    }
    Ok(())
}

/// It would be hidden, and could be a temporary of the state root. runc and crun allow it.
fn an_id_that_starts_with_a_dot_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.id = format!(".{}", bundle.id);
    ctx.refused(&bundle, &["invalid container ID format"])
}

fn an_empty_id_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let bundle = ctx.bundle()?;
    let reply = ctx.driver.create(New { id: "", ..ctx.new_of(&bundle)? });
    refusal(&reply, &["container id cannot be empty", "invalid container ID format", "invalid id format"])
}

fn a_missing_argument_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for command in ["create", "start", "state", "kill", "delete"] {
        let reply = ctx.cli()?.call(&[command]);
        check!(reply.code == 1, "{command}: exit code {}: {}", reply.code, reply.err);
        check!(!reply.err.is_empty(), "{command}: no message");
    }
    Ok(())
}

fn a_mount_error_names_source_and_destination(ctx: &Ctx<'_>) -> Outcome {
    let text = "error mounting \"the-source\" to rootfs at \"/the/target\": ";
    edited(ctx, |bundle| bundle.mount("/the/target", "nosuchfs", "the-source", &[]), &[text])
}

fn a_failed_create_reads_like_the_contract(ctx: &Ctx<'_>) -> Outcome {
    let text =
        "create failed: unable to start container process: error during container init: error mounting";
    edited(ctx, |bundle| bundle.mount("/the/target", "nosuchfs", "x", &[]), &[text])
}

/// No warning before it: an engine reads the whole log as one message. runc 1.1 warns on cgroup v2.
fn a_failed_create_writes_exactly_one_line(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let reply = ctx.driver.create(ctx.new_of(bundle.args(&["/nowhere"]))?);
    refusal(&reply, &[])?;
    check!(reply.err.trim_end().lines().count() == 1, "stderr: {}", reply.err);
    check!(reply.out.is_empty(), "stdout: {}", reply.out);
    Ok(())
}

/// Runs create with another state root, and checks that the refusal leaves the root as it was.
fn refused_at(ctx: &Ctx<'_>, root: &Path, texts: &[&str]) -> Outcome {
    let bundle = ctx.bundle()?;
    let cli = ctx.cli()?.at_root(root);
    let reply = cli.create(ctx.new_of(&bundle)?);
    if reply.code == 0 {
        cli.delete(&bundle.id, true);
    }
    refusal(&reply, texts)?;
    check!(!root.join(&bundle.id).exists(), "a directory is left in the state root");
    Ok(())
}

fn an_unusable_state_root_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let file = ctx.dir.join("file");
    fs::write(&file, "")?;
    refused_at(ctx, &file.join("root"), &["not a directory", "file"])
}

fn on_tmpfs(ctx: &Ctx<'_>, options: &str, body: impl FnOnce(&Path) -> Outcome) -> Outcome {
    let root = ctx.dir.join("small");
    fs::create_dir(&root)?;
    sys::mount("tmpfs".as_ref(), &root, "tmpfs", MsFlags::empty(), options)?;
    let outcome = body(&root);
    nix::mount::umount2(&root, nix::mount::MntFlags::MNT_DETACH)?;
    outcome
}

fn a_read_only_state_root_is_refused(ctx: &Ctx<'_>) -> Outcome {
    on_tmpfs(ctx, "mode=700", |root| {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        sys::mount("tmpfs".as_ref(), root, "tmpfs", flags, "")?;
        refused_at(ctx, root, &["read-only file system"])
    })
}

/// With no room for a byte and with no room for an inode. runc 1.1 loses the cause.
fn a_full_state_root_is_refused(ctx: &Ctx<'_>) -> Outcome {
    on_tmpfs(ctx, "mode=700,size=4k", |root| {
        fs::write(root.join("filler"), vec![0; 4096])?;
        refused_at(ctx, root, &["no space left on device"])
    })?;
    fs::remove_dir(ctx.dir.join("small"))?;
    on_tmpfs(ctx, "mode=700,nr_inodes=1", |root| refused_at(ctx, root, &["no space left on device"]))
}

/// At every limit either the container is made whole or there is one error and nothing left; never a panic.
/// Go's runtime dies with its own words below about ten. Where not even the dynamic linker works, the runtime had no say.
fn too_few_descriptors_are_an_error(ctx: &Ctx<'_>) -> Outcome {
    for limit in 3..24 {
        let bundle = ctx.bundle()?;
        let script = format!("ulimit -n {limit}; exec \"$@\"");
        let cli = ctx.cli()?.behind(&["/bin/sh", "-c", &script, "sh"]);
        let reply = cli.create(ctx.new_of(&bundle)?);
        if reply.code == 0 {
            ctx.driver.delete(&bundle.id, true).good()?;
            continue;
        }
        if reply.err.contains("error while loading shared libraries") {
            continue;
        }
        refusal(&reply, &[]).map_err(|error| error.at(format_args!("{limit} descriptors")))?;
        check!(ctx.driver.state(&bundle.id).code == 1, "{limit} descriptors: the container exists");
    }
    Ok(())
}

/// The caller's mount namespace has every cgroup mount read-only. runc 1.1 warns on a second line.
fn cgroups_that_cannot_be_written_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let script = "for dir in $(awk '$9 ~ /^cgroup/ || $10 ~ /^cgroup/ { print $5 }' /proc/self/mountinfo); \
                  do mount -o remount,bind,ro $dir 2>/dev/null; done; exec \"$@\"";
    let cli = ctx.cli()?.behind(&["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, "sh"]);
    let bundle = ctx.bundle()?;
    let reply = cli.create(ctx.new_of(&bundle)?);
    if reply.code == 0 {
        ctx.driver.delete(&bundle.id, true);
    }
    refusal(&reply, &["read-only file system", "cgroup"])
}

fn a_pid_file_that_cannot_be_written_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let bundle = ctx.bundle()?;
    let file = ctx.dir.join("nowhere/pid");
    let reply = ctx.driver.create(New { pid_file: Some(file), ..ctx.new_of(&bundle)? });
    refusal(&reply, &["no such file or directory"])?;
    check!(ctx.driver.state(&bundle.id).code == 1, "the container exists after a failed create");
    Ok(())
}

/// runc 1.1 does without. Stands for every feature that the kernel or the machine lacks.
fn rdt_on_a_machine_without_it_is_refused(ctx: &Ctx<'_>) -> Outcome {
    if Path::new("/sys/fs/resctrl/info").exists() {
        return Err(crate::Trouble::Skipped("the machine has Intel RDT".into()));
    }
    edited(
        ctx,
        |bundle| bundle.set("/linux/intelRdt/closID", "x"),
        &["intelRdt is specified in config, but Intel RDT is not", "linux/intelRdt"],
    )
}

fn a_failed_create_can_be_repeated_rightly(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    ctx.refused(bundle.args(&["/nowhere"]), &[])?;
    let mut container = ctx.started(bundle.ops(&["pid"]))?;
    container.report()?;
    Ok(())
}
