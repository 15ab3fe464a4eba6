//! Mounts that are added to a container that runs, and taken away again.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::exec::{enter, process};
use super::tests;
use crate::ctx::{Container, Ctx, refusal};
use crate::driver::Reply;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same};

tests! {
    a_bind_appears_in_a_container_that_runs_and_goes_again [Need::Cli],
    a_read_only_bind_is_read_only [Need::Cli, Need::Kernel(5, 12)],
    a_new_filesystem_belongs_to_the_container [Need::Cli, Need::Users],
    a_target_behind_a_link_stays_in_the_container [Need::Cli],
    mounts_before_one_that_fails_are_taken_away [Need::Cli],
    what_cannot_be_added_is_refused [Need::Cli],
    a_mount_that_is_not_there_cannot_be_removed [Need::Cli],
    mounts_of_a_stopped_container_are_refused [Need::Cli],
}

fn mounts(ctx: &Ctx<'_>, verb: &str, id: &str, list: &Value) -> Result<Reply, Trouble> {
    let file = ctx.dir.join("mounts.json");
    fs::write(&file, list.to_string())?;
    Ok(ctx.cli()?.call(&["mounts", verb, id, &file.to_string_lossy()]))
}

fn shared(ctx: &Ctx<'_>) -> Result<String, Trouble> {
    let dir = ctx.dir.join("shared");
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("file"), "of the host")?;
    Ok(dir.to_string_lossy().into_owned())
}

fn bind(source: &str, destination: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": "bind", "source": source, "options": options })
}

fn inside(ctx: &Ctx<'_>, container: &Container<'_>, ops: &[&str]) -> Result<Report, Trouble> {
    enter(ctx, &container.id, &process(ops))
}

/// The number of mounts that init sees at a path.
fn count(container: &Container<'_>, path: &str) -> Result<usize, Trouble> {
    let all = fs::read_to_string(format!("/proc/{}/mountinfo", container.pid))?;
    Ok(all.lines().filter(|line| line.split(' ').nth(4) == Some(path)).count())
}

fn a_bind_appears_in_a_container_that_runs_and_goes_again(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/root/readonly", false);
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let list = json!([bind(&shared(ctx)?, "/added/here", &["rbind"])]);
    let reply = mounts(ctx, "add", &container.id, &list)?.good()?;
    same!((reply.out.as_str(), reply.err.as_str()), ("", ""), "output");
    let seen = inside(ctx, &container, &["read:/added/here/file", "write:/added/here/new=x"])?;
    same!(seen.text("read:/added/here/file"), "of the host", "file");
    same!(seen.text("write:/added/here/new=x"), "ok", "writing");
    check!(ctx.dir.join("shared/new").exists(), "the host does not see it");
    let kept = fs::read_to_string(ctx.driver.root().join(&container.id).join("config.json"))?;
    check!(kept.contains("/added/here"), "the configuration does not tell");
    mounts(ctx, "remove", &container.id, &list)?.good()?;
    same!(count(&container, "/added/here")?, 0, "mounts");
    check!(ctx.dir.join("shared/file").exists(), "the host's file is gone");
    let kept = fs::read_to_string(ctx.driver.root().join(&container.id).join("config.json"))?;
    check!(!kept.contains("/added/here"), "the configuration still tells");
    same!(container.status()?, "running", "status");
    Ok(())
}

fn a_read_only_bind_is_read_only(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/root/readonly", false);
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let list = json!([bind(&shared(ctx)?, "/ro", &["bind", "ro", "nosuid", "noexec"])]);
    mounts(ctx, "add", &container.id, &list)?.good()?;
    let seen = inside(ctx, &container, &["read:/ro/file", "write:/ro/new=x", "mounts"])?;
    same!(seen.text("read:/ro/file"), "of the host", "file");
    same!(seen.text("write:/ro/new=x"), "EROFS", "writing");
    let all = seen.get("mounts").as_array().cloned().unwrap_or_default();
    let mount = all.iter().map(Value::to_string).find(|mount| mount.contains("\"/ro\"")).ok_or("no mount")?;
    check!(mount.contains("nosuid") && mount.contains("noexec"), "{mount}");
    Ok(())
}

fn a_new_filesystem_belongs_to_the_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?.set("/root/readonly", false);
    bundle.dir("scratch", 0o777)?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let list = json!([
        { "destination": "/scratch", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k", "nodev", "mode=755"] },
    ]);
    mounts(ctx, "add", &container.id, &list)?.good()?;
    let seen = inside(ctx, &container, &["write:/scratch/x=y", "stat:/scratch", "statfs:/scratch"])?;
    same!(seen.text("write:/scratch/x=y"), "ok", "writing");
    same!(seen.get("stat:/scratch")["uid"], 0, "owner: {}", seen.get("stat:/scratch"));
    mounts(ctx, "remove", &container.id, &list)?.good()?;
    same!(count(&container, "/scratch")?, 0, "mounts");
    Ok(())
}

/// The container plants links that lead out by their text.
fn a_target_behind_a_link_stays_in_the_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/root/readonly", false);
    let outside = ctx.host.canary.join("dir");
    let text = outside.to_string_lossy().into_owned();
    std::os::unix::fs::symlink(&outside, bundle.path("trap"))?;
    std::os::unix::fs::symlink("../../../../../..", bundle.path("up"))?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    for (target, place) in
        [("/trap", text.clone()), ("/up/deep", "/deep".into()), ("/../../over", "/over".into())]
    {
        let list = json!([bind(&shared(ctx)?, target, &["bind"])]);
        mounts(ctx, "add", &container.id, &list)?.good()?;
        same!(count(&container, &place)?, 1, "mounts at {place}");
    }
    let own = fs::read_to_string("/proc/self/mountinfo")?;
    check!(!own.contains(&text) && !own.contains("/deep "), "the host has a mount more");
    check!(Path::new(&text).join("file").exists(), "the canary is covered");
    Ok(())
}

fn mounts_before_one_that_fails_are_taken_away(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/root/readonly", false);
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let config = ctx.driver.root().join(&container.id).join("config.json");
    let before = (fs::read(&config)?, fs::read_to_string(format!("/proc/{}/mountinfo", container.pid))?);
    let list = json!([
        bind(&shared(ctx)?, "/one", &["bind"]),
        { "destination": "/two", "type": "tmpfs", "source": "tmpfs" },
        { "destination": "/three", "type": "tmpfs", "source": "tmpfs", "options": ["no-such-option=1"] },
    ]);
    refusal(
        &mounts(ctx, "add", &container.id, &list)?,
        &["unable to change the mounts of the container: error mounting \"tmpfs\" to rootfs at \"/three\""],
    )?;
    let after = (fs::read(&config)?, fs::read_to_string(format!("/proc/{}/mountinfo", container.pid))?);
    check!(before == after, "something is left: {}", after.1);
    check!(!config.with_file_name("config.json.new").exists(), "a file is left");
    Ok(())
}

fn what_cannot_be_added_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let before = fs::read_to_string(format!("/proc/{}/mountinfo", container.pid))?;
    let nowhere = ctx.dir.join("nowhere").to_string_lossy().into_owned();
    let cases = [
        (json!({}), "no JSON array"),
        (json!(["x"]), "no JSON array"),
        (json!([bind(&nowhere, "/x", &["bind"])]), "no such file or directory"),
        (json!([bind("/", "/", &["bind"])]), "mountpoint is on the top of rootfs"),
        (json!([bind("/etc", "/proc/self", &["bind"])]), "is inside /proc"),
        (
            json!([{ "destination": "/x", "type": "cgroup", "source": "cgroup" }]),
            "a cgroup mount cannot be added",
        ),
        (json!([{ "destination": "/tmp", "options": ["remount", "ro"] }]), "a remount cannot be added"),
        (json!([{ "type": "tmpfs", "source": "tmpfs" }]), "destination"),
        (json!([{ "destination": "/x\u{0}y", "type": "tmpfs", "source": "tmpfs" }]), "/mounts/"),
        (json!([{ "destination": "/dev", "type": "nosuchfs", "source": "x" }]), "no such device"),
    ];
    for (list, text) in cases {
        refusal(&mounts(ctx, "add", &container.id, &list)?, &[text]).map_err(|trouble| trouble.at(&list))?;
    }
    same!(fs::read_to_string(format!("/proc/{}/mountinfo", container.pid))?, before, "mounts");
    let id = container.id.as_str();
    for (words, text) in [
        (["change", id, "/dev/null"], "is not add or remove"),
        (["add", id, &nowhere], "no such file or directory"),
        (["add", id, "/dev/null"], "EOF"),
        (["add", "no-such-container", "/etc/hostname"], "container does not exist"),
    ] {
        let words = [&["mounts"][..], &words].concat();
        refusal(&ctx.cli()?.call(&words), &[text]).map_err(|trouble| trouble.at(words.join(" ")))?;
    }
    Ok(())
}

fn a_mount_that_is_not_there_cannot_be_removed(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    let before = fs::read_to_string(format!("/proc/{}/mountinfo", container.pid))?;
    for (path, text) in [
        ("/bin", "unmount /bin"),
        ("/nowhere", "unmount /nowhere"),
        ("/nowhere/deep", "unmount /nowhere/deep"),
        ("/proc", "cannot be mounted because"),
        ("/proc/kcore", "cannot be mounted because"),
    ] {
        let list = json!([{ "destination": path, "type": "tmpfs", "source": "tmpfs" }]);
        refusal(&mounts(ctx, "remove", &container.id, &list)?, &[text])
            .map_err(|trouble| trouble.at(path))?;
    }
    same!(fs::read_to_string(format!("/proc/{}/mountinfo", container.pid))?, before, "mounts");
    Ok(())
}

fn mounts_of_a_stopped_container_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let (container, _) = ctx.sleeping(&mut ctx.bundle()?, &[])?;
    container.kill("KILL")?;
    container.ended()?;
    let list = json!([bind(&shared(ctx)?, "/x", &["bind"])]);
    for verb in ["add", "remove"] {
        refusal(&mounts(ctx, verb, &container.id, &list)?, &["container not running"])?;
    }
    Ok(())
}
