//! What `state`, `list` and the commands without a container print.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::tests;
use crate::ctx::{Container, Ctx, refusal};
use crate::host::Need;
use crate::{Outcome, Trouble, check, same, sys};

tests! {
    state_has_the_keys_of_the_contract_in_order,
    state_describes_the_bundle,
    state_of_a_stopped_container_has_pid_zero,
    state_pid_is_init_on_the_host,
    state_shows_annotations_and_no_internal_label,
    state_says_when_it_was_created,
    state_of_a_frozen_container_is_paused [Need::Controller("freezer")],
    state_changes_nothing,
    list_without_containers_is_null,
    list_shows_every_container,
    list_quietly_prints_ids [Need::Cli],
    list_as_a_table_has_the_header [Need::Cli],
    list_with_an_unknown_format_is_refused [Need::Cli],
    list_survives_junk_in_the_state_root,
    delete_by_force_removes_a_directory_without_state,
    delete_by_force_removes_a_directory_with_junk_for_a_state,
    delete_by_force_ends_a_created_container_whose_state_is_cut,
    delete_by_force_ends_a_running_container_whose_state_is_cut,
    delete_by_force_ends_a_frozen_container_whose_state_is_lost [Need::Controller("freezer")],
    delete_by_force_without_state_leaves_a_cgroup_that_has_another_container,
    delete_by_force_without_state_leaves_a_cgroup_with_a_process_of_the_host,
    version_names_the_program_and_the_spec [Need::Cli],
    features_is_json_with_versions_and_options [Need::Cli],
    spec_writes_a_configuration_that_runs [Need::Cli],
    spec_refuses_to_overwrite [Need::Cli],
    an_unknown_command_is_refused [Need::Cli],
}

fn keys(of: &serde_json::Value) -> Vec<&str> {
    of.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// crun prints other keys in another order.
fn state_has_the_keys_of_the_contract_in_order(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&[]))?;
    let text = ctx.driver.state(&container.id).good()?.out;
    let state = ctx.state(&container.id)?;
    let wanted = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"];
    same!(keys(&state), wanted, "keys");
    if ctx.driver.cli().is_some() {
        same!(text, serde_json::to_string_pretty(&state).unwrap_or_default(), "layout of the text");
    }
    Ok(())
}

fn state_describes_the_bundle(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&[]))?;
    let state = ctx.state(&container.id)?;
    same!(state["id"], container.id, "id");
    same!(state["bundle"], *bundle.dir.to_string_lossy(), "bundle");
    same!(state["rootfs"], *bundle.rootfs().to_string_lossy(), "rootfs");
    same!(state["owner"], "", "owner");
    Ok(())
}

fn state_of_a_stopped_container_has_pid_zero(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.started(bundle.ops(&[]))?;
    container.ended()?;
    let state = ctx.state(&container.id)?;
    same!(state["status"], "stopped", "status");
    same!(state["pid"], 0, "pid");
    Ok(())
}

fn state_pid_is_init_on_the_host(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, report) = ctx.sleeping(&mut bundle, &["ns"])?;
    same!(container.pid_now()?, container.pid, "pid after start");
    let inside = report.field("ns", "mnt");
    same!(sys::namespace(&container.pid.to_string(), "mnt")?, inside, "mount namespace of that pid");
    Ok(())
}

fn state_shows_annotations_and_no_internal_label(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/annotations/org.example.b", "2 <&>").set("/annotations/org.example.a", "");
    let container = ctx.created(bundle.ops(&[]))?;
    let state = ctx.state(&container.id)?;
    let wanted = serde_json::json!({ "org.example.a": "", "org.example.b": "2 <&>" });
    same!(state["annotations"], wanted, "annotations");
    if ctx.driver.cli().is_some() {
        let text = ctx.driver.state(&container.id).good()?.out;
        check!(text.contains(r"2 \u003c\u0026\u003e"), "not escaped like Go does: {text}");
    }
    Ok(())
}

fn state_says_when_it_was_created(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&[]))?;
    let created = ctx.state(&container.id)?["created"].as_str().unwrap_or_default().to_string();
    let shape: String = created.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    check!(
        shape.starts_with("9999-99-99T99:99:99") && shape.ends_with('Z'),
        "not RFC 3339 in UTC: {created}"
    );
    check!(
        !created.contains(".0Z") && !created.ends_with("0Z") || !created.contains('.'),
        "trailing zeros: {created}"
    );
    Ok(())
}

fn state_of_a_frozen_container_is_paused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let dir = ctx.host.cgroup("freezer", &container.id).ok_or("no freezer")?;
    let (file, frozen, thawed) =
        if ctx.host.is_v2() { ("cgroup.freeze", "1", "0") } else { ("freezer.state", "FROZEN", "THAWED") };
    fs::write(dir.join(file), frozen)?;
    let paused = container.status();
    fs::write(dir.join(file), thawed)?;
    same!(paused?, "paused", "status while frozen");
    same!(container.status()?, "running", "status afterwards");
    Ok(())
}

fn state_changes_nothing(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&[]))?;
    let scope = crate::oracle::Scope::of(ctx.host, ctx.driver.root(), &[ctx.driver.root().to_path_buf()]);
    let before = scope.look()?;
    for _ in 0..3 {
        container.status()?;
        ctx.driver.list().good()?;
    }
    same!(before.changes(&scope.look()?), Vec::<String>::new(), "changes");
    Ok(())
}

fn listed(ctx: &Ctx<'_>) -> Result<serde_json::Value, crate::Trouble> {
    let reply = ctx.driver.list().good()?;
    serde_json::from_str(&reply.out).map_err(|error| format!("{error}: {}", reply.out).into())
}

/// crun prints an empty array.
fn list_without_containers_is_null(ctx: &Ctx<'_>) -> Outcome {
    same!(listed(ctx)?, serde_json::Value::Null, "list");
    Ok(())
}

fn list_shows_every_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundles = [ctx.bundle()?, ctx.bundle()?];
    let mut containers = Vec::new();
    for bundle in &mut bundles {
        containers.push(ctx.created(bundle.ops(&["sleep"]))?);
    }
    containers.first().ok_or("no container")?.start()?;
    let list = listed(ctx)?;
    same!(list.as_array().map(Vec::len), Some(2), "entries");
    let mut seen: Vec<(String, String)> = Vec::new();
    for entry in list.as_array().into_iter().flatten() {
        seen.push((
            entry["id"].as_str().unwrap_or_default().into(),
            entry["status"].as_str().unwrap_or_default().into(),
        ));
        let wanted = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"];
        same!(keys(entry), wanted, "keys");
        same!(entry["owner"], "root", "owner");
    }
    seen.sort();
    let wanted: Vec<(String, String)> = containers
        .iter()
        .zip(["running", "created"])
        .map(|(one, status)| (one.id.clone(), status.into()))
        .collect();
    same!(seen, wanted, "ids and status");
    Ok(())
}

fn list_quietly_prints_ids(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&[]))?;
    same!(ctx.cli()?.call(&["list", "-q"]).good()?.out, format!("{}\n", container.id), "output");
    Ok(())
}

fn list_as_a_table_has_the_header(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&[]))?;
    let text = ctx.cli()?.call(&["list"]).good()?.out;
    let words = |line: Option<&str>| {
        line.unwrap_or_default().split_whitespace().map(String::from).collect::<Vec<_>>()
    };
    let mut lines = text.lines();
    same!(words(lines.next()), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], "header");
    let row = words(lines.next());
    same!(row.first(), Some(&container.id), "id");
    same!(row.get(1), Some(&container.pid.to_string()), "pid");
    same!(row.get(2).map(String::as_str), Some("created"), "status");
    Ok(())
}

fn list_with_an_unknown_format_is_refused(ctx: &Ctx<'_>) -> Outcome {
    refusal(&ctx.cli()?.call(&["list", "--format", "yaml"]), &["invalid format option"])
}

fn list_survives_junk_in_the_state_root(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let container = ctx.created(bundle.ops(&[]))?;
    let junk = ctx.driver.root().join("junk");
    fs::create_dir(&junk)?;
    fs::write(ctx.driver.root().join("file"), "not a container")?;
    let list = listed(ctx);
    fs::remove_dir(&junk)?;
    fs::remove_file(ctx.driver.root().join("file"))?;
    same!(list?[0]["id"], container.id, "the good entry");
    Ok(())
}

fn delete_by_force_removes_a_directory_without_state(ctx: &Ctx<'_>) -> Outcome {
    let id = ctx.id();
    let dir = ctx.driver.root().join(&id);
    fs::create_dir(&dir)?;
    refusal(&ctx.driver.state(&id), &["container does not exist"])?;
    ctx.driver.delete(&id, true).good()?;
    check!(!dir.exists(), "the directory is still there");
    Ok(())
}

/// Cuts a container's state to what `length` makes of its length.
fn cut(ctx: &Ctx<'_>, id: &str, length: impl Fn(u64) -> u64) -> Outcome {
    let file = OpenOptions::new().write(true).open(ctx.driver.root().join(id).join("state.json"))?;
    file.set_len(length(file.metadata()?.len()))?;
    Ok(())
}

/// The directories that the container's cgroup can have.
fn cgroups(ctx: &Ctx<'_>, id: &str) -> Vec<PathBuf> {
    ctx.host.hierarchies.iter().map(|hierarchy| ctx.host.dir(hierarchy, id)).collect()
}

/// Deletes by force a container whose state is lost; a command tells what became of it.
fn lost(ctx: &Ctx<'_>, id: &str, told: &str) -> Outcome {
    let reply = ctx.driver.delete(id, true).good()?;
    check!(!ctx.driver.root().join(id).exists(), "the directory is still there");
    if ctx.driver.cli().is_some() {
        let is_warning = |line: &&str| line.contains("level=warning") && line.contains("state.json");
        let warnings: Vec<&str> = reply.err.lines().filter(is_warning).collect();
        same!(warnings.len(), 1, "warnings");
        let warning = warnings.concat();
        check!(warning.contains(id) && warning.contains(told), "not {told:?} of {id}: {warning}");
    }
    Ok(())
}

const EMPTIED: &str = "its cgroups were found and emptied";
const LEFT: &str = "its processes and cgroups, if there are any, are left";

fn gone(ctx: &Ctx<'_>, container: &Container<'_>) -> Outcome {
    lost(ctx, &container.id, EMPTIED)?;
    container.ended()?;
    for dir in cgroups(ctx, &container.id) {
        check!(!dir.exists(), "{} is still there", dir.display());
    }
    Ok(())
}

fn delete_by_force_removes_a_directory_with_junk_for_a_state(ctx: &Ctx<'_>) -> Outcome {
    for junk in ["null", "{}", r#"{"schema": "2", "id": 7}"#, "a\nb\0c"] {
        let id = ctx.id();
        fs::create_dir(ctx.driver.root().join(&id))?;
        fs::write(ctx.driver.root().join(&id).join("state.json"), junk)?;
        refusal(&ctx.driver.delete(&id, false), &["state.json"])?;
        lost(ctx, &id, LEFT)?;
    }
    Ok(())
}

fn delete_by_force_ends_a_created_container_whose_state_is_cut(ctx: &Ctx<'_>) -> Outcome {
    for length in [|_| 0, |_| 1, |all| all / 2, |all| all - 1] {
        let mut bundle = ctx.bundle()?;
        let container = ctx.created(bundle.ops(&[]))?;
        cut(ctx, &container.id, length)?;
        let reply = ctx.driver.delete(&container.id, false);
        refusal(&reply, &["state.json"])?;
        check!(reply.err.contains("delete --force removes it"), "no advice: {}", reply.err);
        gone(ctx, &container)?;
    }
    Ok(())
}

fn delete_by_force_ends_a_running_container_whose_state_is_cut(ctx: &Ctx<'_>) -> Outcome {
    for shares_pids in [false, true] {
        let mut bundle = ctx.bundle()?;
        if shares_pids {
            bundle.without_namespace("pid");
        }
        let (container, _) = ctx.sleeping(&mut bundle, &[])?;
        cut(ctx, &container.id, |all| all / 2)?;
        refusal(&ctx.driver.delete(&container.id, false), &["state.json"])?;
        gone(ctx, &container)?;
    }
    Ok(())
}

fn delete_by_force_ends_a_frozen_container_whose_state_is_lost(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    ctx.driver.pause(&container.id).good()?;
    fs::remove_file(ctx.driver.root().join(&container.id).join("state.json"))?;
    refusal(&ctx.driver.delete(&container.id, false), &["state.json"])?;
    gone(ctx, &container)
}

fn delete_by_force_without_state_leaves_a_cgroup_that_has_another_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let ended = ctx.started(bundle.ops(&[]))?;
    ended.ended()?;
    let mut second = ctx.bundle()?;
    second.set("/linux/cgroupsPath", bundle.config["linux"]["cgroupsPath"].clone());
    let (other, _) = ctx.sleeping(&mut second, &[])?;
    cut(ctx, &ended.id, |_| 0)?;
    lost(ctx, &ended.id, LEFT)?;
    same!(other.status()?, "running", "the other container");
    Ok(())
}

fn delete_by_force_without_state_leaves_a_cgroup_with_a_process_of_the_host(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let mut stranger = Command::new("sleep").arg("1000").spawn()?;
    let dirs: Vec<PathBuf> = cgroups(ctx, &container.id).into_iter().filter(|dir| dir.exists()).collect();
    let place = |dir: &PathBuf| fs::write(dir.join("cgroup.procs"), stranger.id().to_string());
    let left = dirs.iter().try_for_each(place).map_err(Trouble::from).and_then(|()| {
        cut(ctx, &container.id, |_| 0)?;
        lost(ctx, &container.id, LEFT)
    });
    let stranger_lives = stranger.try_wait()?.is_none();
    stranger.kill()?;
    stranger.wait()?;
    let container_lives = nix::sys::signal::kill(Pid::from_raw(container.pid), Signal::SIGKILL).is_ok();
    container.ended()?;
    sys::reap_one(container.pid);
    dirs.iter().try_for_each(fs::remove_dir)?;
    left?;
    check!(stranger_lives && container_lives, "ended: the host's or the container's process");
    Ok(())
}

fn version_names_the_program_and_the_spec(ctx: &Ctx<'_>) -> Outcome {
    let text = ctx.cli()?.call(&["--version"]).good()?.out;
    let first: Vec<&str> = text.lines().next().unwrap_or_default().split(' ').collect();
    check!(first.len() == 3 && first.get(1) == Some(&"version"), "first line: {text}");
    check!(text.lines().any(|line| line.starts_with("commit: ")), "no commit line: {text}");
    check!(text.lines().any(|line| line.starts_with("spec: 1.")), "no spec line: {text}");
    Ok(())
}

fn features_is_json_with_versions_and_options(ctx: &Ctx<'_>) -> Outcome {
    let reply = ctx.cli()?.call(&["features"]).good()?;
    same!(reply.err, "", "stderr");
    let features: serde_json::Value = serde_json::from_str(&reply.out).map_err(|error| error.to_string())?;
    same!(features["ociVersionMin"], "1.0.0", "oldest version");
    let options = features["mountOptions"].as_array().cloned().unwrap_or_default();
    for option in ["bind", "rbind", "ro", "rro", "nosuid"] {
        check!(options.iter().any(|one| one == option), "{option} is not listed");
    }
    Ok(())
}

fn spec_writes_a_configuration_that_runs(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    ctx.cli()?.call_in(&bundle.dir, &["spec"]).good()?;
    let text = fs::read_to_string(bundle.dir.join("config.json"))?;
    bundle.config = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    same!(bundle.config["process"]["args"], serde_json::json!(["sh"]), "arguments");
    check!(bundle.config["root"]["readonly"] == true, "the root is writable");
    bundle.set("/process/terminal", false).set("/linux/cgroupsPath", ctx.host.cgroups_path("spec"));
    let report = ctx.see(&mut bundle, &["hostname", "pid"])?;
    same!(report.get("hostname"), &bundle.config["hostname"], "hostname");
    same!(report.field("pid", "pid"), "1", "pid");
    Ok(())
}

fn spec_refuses_to_overwrite(ctx: &Ctx<'_>) -> Outcome {
    let cli = ctx.cli()?;
    cli.call_in(&ctx.dir, &["spec"]).good()?;
    let before = fs::read(ctx.dir.join("config.json"))?;
    refusal(&cli.call_in(&ctx.dir, &["spec"]), &["exists"])?;
    same!(fs::read(ctx.dir.join("config.json"))?, before, "the file");
    Ok(())
}

/// runc 1.1 exits with 3.
fn an_unknown_command_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let reply = ctx.cli()?.call(&["frobnicate"]);
    check!(reply.code == 1, "exit code {}: {}", reply.code, reply.err);
    Ok(())
}
