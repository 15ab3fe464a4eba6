//! `hooks`: when each kind runs, where, with what, and what its failure means.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{seccomp, tests};
use crate::bundle::Bundle;
use crate::ctx::{Container, Ctx};
use crate::driver::New;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same, sys};

tests! {
    hooks_run_in_the_order_of_the_container_s_life [Need::Busybox],
    hooks_of_the_runtime_run_in_its_namespaces_and_in_the_bundle,
    create_container_hooks_run_in_the_container_s_namespaces_on_the_host_s_root,
    start_container_hooks_run_in_the_container,
    hooks_of_a_user_namespace_run_in_it [Need::Users],
    hooks_get_their_arguments_and_environment_and_nothing_of_the_process,
    start_container_hooks_without_an_environment_get_the_process_s,
    a_timeout_that_is_not_reached_changes_nothing,
    hooks_before_the_program_run_under_its_filter,
    hooks_lead_a_group_and_have_three_descriptors,
    hooks_read_the_state,
    hooks_before_the_switch_find_the_mounts_below_the_rootfs,
    a_mount_of_a_create_container_hook_is_in_the_container,
    hooks_of_a_container_without_pivot_root_work [Need::Cli],
    the_cgroup_is_there_when_hooks_run,
    the_status_is_creating_and_created_while_hooks_run,
    poststop_hooks_run_when_the_state_is_gone,
    a_foreground_run_runs_all_of_them_and_leaves_nothing,
    a_daemon_that_keeps_the_streams_holds_nobody,
    a_hook_that_reads_nothing_is_no_failure,
    files_of_annotations_get_the_output,
    wrong_hooks_are_refused,
}

const RUNTIME: [&str; 3] = ["prestart", "createRuntime", "poststart"];
pub(super) const OF_CREATE: [&str; 3] = ["prestart", "createRuntime", "createContainer"];

/// A hook that is a script of the host's shell.
pub(super) fn shell(script: &str) -> Value {
    json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"] })
}

/// A hook that is the probe: on the host by its path in the rootfs, in the container by its path there.
fn probe(bundle: &Bundle, kind: &str, out: &str, ops: &[&str]) -> Value {
    let path = if kind == "startContainer" { PathBuf::from("/probe") } else { bundle.path("probe") };
    let out = format!("to:{out}");
    let args: Vec<&str> = ["named", &out].into_iter().chain(ops.iter().copied()).collect();
    json!({ "path": path, "args": args, "env": ["A=1", "B=two words"] })
}

/// A directory that is `/out` in the container, for what hooks write.
fn out(ctx: &Ctx<'_>, bundle: &mut Bundle) -> Result<PathBuf, Trouble> {
    let dir = ctx.dir.join(format!("out-{}", bundle.id));
    fs::create_dir(&dir)?;
    bundle.bind(&dir, "/out", &["bind", "rw"]);
    Ok(dir)
}

/// Where a hook of this kind finds the file `name` of the directory.
fn place(dir: &Path, kind: &str, name: &str) -> String {
    if kind == "startContainer" { format!("/out/{name}") } else { dir.join(name).display().to_string() }
}

fn report(dir: &Path, name: &str) -> Result<Report, Trouble> {
    Report::parse(fs::read_to_string(dir.join(name)).unwrap_or_default().trim_end())
}

/// Waits for what a hook writes.
pub(super) fn written(path: &Path) -> Result<String, Trouble> {
    let end = Instant::now() + sys::PATIENCE;
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return Ok(text.trim_end().into()),
            _ if Instant::now() > end => return Err(format!("nothing in {}", path.display()).into()),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn gone(pid: &str) -> Outcome {
    let pid = pid.parse().map_err(|_| format!("odd pid {pid:?}"))?;
    check!(sys::ended_within(pid, sys::PATIENCE)?, "process {pid} of a hook still lives");
    Ok(())
}

/// A sleeper with one probe as the hook of each kind, which writes what it sees to a file of the kind's name.
fn watched<'a>(
    ctx: &'a Ctx<'_>,
    bundle: &mut Bundle,
    kinds: &[&str],
    ops: &[&str],
) -> Result<(Container<'a>, PathBuf), Trouble> {
    let dir = out(ctx, bundle)?;
    for kind in kinds {
        let hook = probe(bundle, kind, &place(&dir, kind, kind), ops);
        bundle.push(&format!("/hooks/{kind}"), hook);
    }
    Ok((ctx.started(bundle.ops(&["sleep"]))?, dir))
}

fn hooks_run_in_the_order_of_the_container_s_life(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.busybox(&["sh"])?;
    let dir = out(ctx, &mut bundle)?;
    let log = dir.join("log");
    for kind in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        for number in [1, 2] {
            bundle.push(
                &format!("/hooks/{kind}"),
                shell(&format!("echo {kind} {number} >> {}", log.display())),
            );
        }
    }
    let inside = "echo startContainer >> /out/log";
    bundle.push("/hooks/startContainer", json!({ "path": "/bin/sh", "args": ["sh", "-c", inside] }));
    bundle.args(&["/bin/sh", "-c", "read x; echo program >> /out/log"]);
    let (stdin, mut go) = {
        let (reader, writer) = sys::pipe()?;
        (reader, fs::File::from(writer))
    };
    let container = ctx.created_with(&bundle, Some(stdin))?;
    same!(fs::read_to_string(&log)?.lines().count(), 6, "hooks of create");
    container.start()?;
    // The program waits for us, so that its line has a place of its own.
    std::io::Write::write_all(&mut go, b"\n")?;
    container.ended()?;
    container.delete()?;
    let kinds = ["prestart", "createRuntime", "createContainer"];
    let mut wanted: Vec<String> =
        kinds.iter().flat_map(|kind| [format!("{kind} 1"), format!("{kind} 2")]).collect();
    wanted.extend(
        ["startContainer", "poststart 1", "poststart 2", "program", "poststop 1", "poststop 2"]
            .map(String::from),
    );
    same!(fs::read_to_string(&log)?.lines().collect::<Vec<_>>(), wanted, "order");
    Ok(())
}

fn hooks_of_the_runtime_run_in_its_namespaces_and_in_the_bundle(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let kinds = [&RUNTIME[..], &["poststop"]].concat();
    let (container, dir) = watched(ctx, &mut bundle, &kinds, &["ns", "cwd"])?;
    container.delete_by_force()?;
    for kind in kinds {
        let seen = report(&dir, kind)?;
        for namespace in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"] {
            same!(seen.field("ns", namespace), sys::namespace("self", namespace)?, "{namespace} of {kind}");
        }
        same!(seen.text("cwd"), bundle.dir.to_string_lossy(), "directory of {kind}");
    }
    Ok(())
}

fn create_container_hooks_run_in_the_container_s_namespaces_on_the_host_s_root(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let host = ctx.dir.join("of-the-host");
    fs::write(&host, "")?;
    let seen = format!("stat:{}", host.display());
    let (container, dir) = watched(ctx, &mut bundle, &["createContainer"], &["ns", "cwd", &seen])?;
    let hook = report(&dir, "createContainer")?;
    for namespace in ["mnt", "net", "ipc", "uts", "cgroup", "pid"] {
        let wanted = sys::namespace(&container.pid.to_string(), namespace)?;
        same!(hook.field("ns", namespace), wanted, "{namespace}");
    }
    same!(hook.text("cwd"), bundle.dir.join("rootfs").to_string_lossy(), "directory");
    same!(hook.field(&seen, "kind"), "f", "a file of the host");
    Ok(())
}

fn start_container_hooks_run_in_the_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.dir("/srv", 0o755)?;
    bundle.set("/process/cwd", "/srv").set("/process/user", json!({ "uid": 7, "gid": 8, "umask": 0o27 }));
    let dir = out(ctx, &mut bundle)?;
    sys::mount(Path::new("none"), &dir, "tmpfs", nix::mount::MsFlags::empty(), "mode=777")?;
    let hook = probe(&bundle, "startContainer", "/out/a", &["ns", "cwd", "status", "list:/", "pid"]);
    bundle.push("/hooks/startContainer", hook);
    let made = ctx.started(bundle.ops(&["sleep"]));
    let seen = made.and_then(|container| {
        let namespaces =
            ["mnt", "net", "ipc", "uts", "pid"].map(|one| sys::namespace(&container.pid.to_string(), one));
        Ok((report(&dir, "a")?, namespaces))
    });
    nix::mount::umount(&dir)?;
    let (seen, namespaces) = seen?;
    for (namespace, wanted) in ["mnt", "net", "ipc", "uts", "pid"].into_iter().zip(namespaces) {
        same!(seen.field("ns", namespace), wanted?, "{namespace}");
    }
    same!(seen.text("cwd"), "/srv", "directory");
    same!(seen.status("Uid"), "7 7 7 7", "user");
    same!(seen.status("Gid"), "8 8 8 8", "group");
    same!(seen.status("Umask"), "0027", "umask");
    check!(
        seen.get("list:/").as_array().is_some_and(|all| all.contains(&json!("probe"))),
        "the root is the container's: {seen:?}"
    );
    same!(seen.field("pid", "ppid"), "1", "parent");
    Ok(())
}

fn hooks_of_a_user_namespace_run_in_it(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    let dir = ctx.dir.join("open");
    fs::create_dir(&dir)?;
    std::os::unix::fs::chown(&dir, Some(100_000), Some(100_000))?;
    bundle.bind(&dir, "/out", &["bind", "rw"]);
    for kind in ["createContainer", "startContainer"] {
        let hook = probe(&bundle, kind, &place(&dir, kind, kind), &["ns"]);
        bundle.push(&format!("/hooks/{kind}"), hook);
    }
    let container = ctx.started(bundle.ops(&["sleep"]))?;
    let user = sys::namespace(&container.pid.to_string(), "user")?;
    for kind in ["createContainer", "startContainer"] {
        same!(report(&dir, kind)?.field("ns", "user"), user, "user namespace of {kind}");
    }
    Ok(())
}

/// A privileged hook must not be led by an environment that comes with an image.
fn hooks_get_their_arguments_and_environment_and_nothing_of_the_process(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/process/env", "LD_PRELOAD=/evil.so").push("/process/env", "BASH_ENV=/evil");
    let dir = out(ctx, &mut bundle)?;
    let kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    for kind in kinds {
        let hook = probe(&bundle, kind, &place(&dir, kind, kind), &["args", "env"]);
        bundle.push(&format!("/hooks/{kind}"), hook);
        if kind != "startContainer" {
            let mut bare = probe(&bundle, kind, &place(&dir, kind, &format!("{kind}-bare")), &["env"]);
            bare.as_object_mut().map(|hook| hook.shift_remove("env"));
            bundle.push(&format!("/hooks/{kind}"), bare);
        }
    }
    let container = ctx.started(bundle.ops(&["sleep"]))?;
    container.delete_by_force()?;
    for kind in kinds {
        let seen = report(&dir, kind)?;
        same!(*seen.get("env"), json!(["A=1", "B=two words"]), "environment of {kind}");
        same!(seen.get("args")[0], "named", "name of {kind}");
        if kind != "startContainer" {
            same!(*report(&dir, &format!("{kind}-bare"))?.get("env"), json!([]), "no environment of {kind}");
        }
    }
    Ok(())
}

fn start_container_hooks_without_an_environment_get_the_process_s(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/env", json!(["HOME=/x", "C=3"]));
    let dir = out(ctx, &mut bundle)?;
    bundle.push("/hooks/startContainer", json!({ "path": "/probe", "args": ["probe", "to:/out/a", "env"] }));
    let _container = ctx.started(bundle.ops(&["sleep"]))?;
    same!(*report(&dir, "a")?.get("env"), json!(["HOME=/x", "C=3"]), "environment");
    Ok(())
}

fn a_timeout_that_is_not_reached_changes_nothing(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let dir = out(ctx, &mut bundle)?;
    let kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    for kind in kinds {
        let mut hook = probe(&bundle, kind, &place(&dir, kind, kind), &["env"]);
        hook["timeout"] = json!(600);
        bundle.push(&format!("/hooks/{kind}"), hook);
    }
    let container = ctx.started(bundle.ops(&["sleep"]))?;
    container.delete_by_force()?;
    for kind in kinds {
        same!(*report(&dir, kind)?.get("env"), json!(["A=1", "B=two words"]), "environment of {kind}");
    }
    Ok(())
}

/// The filter is loaded before them, whichever of the two places it has; no other hook knows it.
fn hooks_before_the_program_run_under_its_filter(ctx: &Ctx<'_>) -> Outcome {
    let op = seccomp::call(&[0]);
    for no_new_privileges in [true, false] {
        let mut bundle = ctx.bundle()?;
        let rule = seccomp::errno(&[seccomp::CALL], 77);
        seccomp::profile(&mut bundle, "SCMP_ACT_ALLOW", &[rule]);
        bundle.set("/process/noNewPrivileges", no_new_privileges);
        let kinds = ["createRuntime", "createContainer", "startContainer", "poststart"];
        let (container, dir) = watched(ctx, &mut bundle, &kinds, &[&op])?;
        for kind in kinds {
            let wanted = if kind == "startContainer" { "errno 77" } else { "ok" };
            same!(report(&dir, kind)?.text(&op), wanted, "the call in {kind}");
        }
        container.delete_by_force()?;
    }
    Ok(())
}

fn hooks_lead_a_group_and_have_three_descriptors(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let kinds = [&RUNTIME[..], &["createContainer", "startContainer", "poststop"]].concat();
    let (container, dir) = watched(ctx, &mut bundle, &kinds, &["fds", "pid"])?;
    container.delete_by_force()?;
    for kind in kinds {
        let seen = report(&dir, kind)?;
        let numbers: Vec<&String> =
            seen.get("fds").as_object().into_iter().flat_map(|fds| fds.keys()).collect();
        same!(numbers, ["0", "1", "2"], "descriptors of {kind}");
        same!(seen.field("pid", "pgrp"), seen.field("pid", "pid"), "group of {kind}");
    }
    Ok(())
}

fn hooks_read_the_state(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/annotations", json!({ "com.example.a": "x \"y\"" }));
    let kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    let (container, dir) = watched(ctx, &mut bundle, &kinds, &["read:/proc/self/fd/0"])?;
    let pid = container.pid;
    container.delete_by_force()?;
    let status = ["creating", "creating", "creating", "created", "running", "stopped"];
    for (kind, status) in kinds.into_iter().zip(status) {
        let text = report(&dir, kind)?;
        let text = text.text("read:/proc/self/fd/0");
        let state: Value =
            serde_json::from_str(text).map_err(|error| format!("{kind}: {error}: {text:?}"))?;
        same!(state["status"], status, "status of {kind}");
        same!(state["id"], *container.id, "id of {kind}");
        same!(state["bundle"], *bundle.dir.to_string_lossy(), "bundle of {kind}");
        same!(state["annotations"], json!({ "com.example.a": "x \"y\"" }), "annotations of {kind}");
        check!(
            state["ociVersion"].as_str().is_some_and(|version| version.starts_with("1.")),
            "version of {kind}: {state}"
        );
        let wanted = match kind {
            "createContainer" | "startContainer" => json!(1),
            "poststop" => Value::Null,
            _ => json!(pid),
        };
        same!(state["pid"], wanted, "pid of {kind}");
    }
    Ok(())
}

/// Toolkits mount into the container from there: by its path for createContainer, through the namespace of init for the others.
fn hooks_before_the_switch_find_the_mounts_below_the_rootfs(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let dir = out(ctx, &mut bundle)?;
    let rootfs = bundle.rootfs().display().to_string();
    let pid = "PID=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')";
    for kind in ["prestart", "createRuntime"] {
        let script = format!(
            "{pid}; test -c /proc/$PID/root{rootfs}/dev/null && test -d /proc/$PID/root{rootfs}/proc/1 && echo yes > {}/{kind}",
            dir.display()
        );
        bundle.push(&format!("/hooks/{kind}"), shell(&script));
    }
    let script = format!(
        "test -c {rootfs}/dev/null && test -d {rootfs}/proc/1 && echo yes > {}/createContainer",
        dir.display()
    );
    bundle.push("/hooks/createContainer", shell(&script));
    let _container = ctx.created(bundle.ops(&["sleep"]))?;
    for kind in OF_CREATE {
        same!(fs::read_to_string(dir.join(kind)).unwrap_or_default(), "yes\n", "{kind}");
    }
    Ok(())
}

fn a_mount_of_a_create_container_hook_is_in_the_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let place = bundle.dir("/by-hook", 0o755)?;
    let script = format!("mount -t tmpfs hook {0} && echo hello > {0}/file", place.display());
    bundle.push("/hooks/createContainer", shell(&script));
    let seen = ctx.see(&mut bundle, &["read:/by-hook/file", "mounts"])?;
    same!(seen.text("read:/by-hook/file"), "hello", "file of the hook");
    same!(seen.mount("/by-hook")["type"], "tmpfs", "mount of the hook");
    check!(!place.join("file").exists(), "the mount is on the host");
    Ok(())
}

fn hooks_of_a_container_without_pivot_root_work(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let dir = out(ctx, &mut bundle)?;
    let script = format!("test -c {}/dev/null && echo yes > {}/a", bundle.rootfs().display(), dir.display());
    bundle.push("/hooks/createContainer", shell(&script)).ops(&["exit:7"]).write()?;
    let words = ["run", "--no-pivot", "--bundle", bundle.dir.to_str().ok_or("odd path")?, &bundle.id];
    let reply = ctx.cli()?.call(&words);
    same!(reply.code, 7, "exit code; {:?}", reply.err);
    same!(fs::read_to_string(dir.join("a")).unwrap_or_default(), "yes\n", "what the hook found");
    Ok(())
}

fn the_cgroup_is_there_when_hooks_run(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let dir = out(ctx, &mut bundle)?;
    let script =
        format!("PID=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); cat /proc/$PID/cgroup > {}/a", dir.display());
    bundle.push("/hooks/prestart", shell(&script));
    let _container = ctx.created(bundle.ops(&["sleep"]))?;
    let cgroups = fs::read_to_string(dir.join("a"))?;
    check!(cgroups.contains(&format!("/{}\n", bundle.id)), "cgroups of init: {cgroups}");
    Ok(())
}

/// A container whose hook of the kind says that it runs, and then waits for a file.
pub(super) fn waiting(ctx: &Ctx<'_>, kind: &str) -> Result<(Bundle, PathBuf), Trouble> {
    let mut bundle = if kind == "startContainer" { ctx.busybox(&["sh", "sleep"])? } else { ctx.bundle()? };
    let dir = out(ctx, &mut bundle)?;
    let [pid, go] = ["pid", "go"].map(|name| place(&dir, kind, name));
    // The shell's own number is one of the container's namespace there.
    let script =
        format!("read -r x y < /proc/self/stat; echo $$ > {pid}; while [ ! -e {go} ]; do sleep 0.05; done");
    let mut hook = shell(&script);
    if kind == "startContainer" {
        hook["path"] = json!("/bin/sh");
    }
    bundle.push(&format!("/hooks/{kind}"), hook);
    bundle.ops(&["sleep"]);
    bundle.write()?;
    Ok((bundle, dir))
}

fn the_status_is_creating_and_created_while_hooks_run(ctx: &Ctx<'_>) -> Outcome {
    for kind in OF_CREATE {
        let (bundle, dir) = waiting(ctx, kind)?;
        let new = New { id: &bundle.id, bundle: bundle.dir.clone(), ..New::default() };
        let seen = std::thread::scope(|scope| {
            let create = scope.spawn(|| ctx.driver.create(new));
            let seen = written(&dir.join("pid")).and_then(|_| ctx.status(&bundle.id));
            fs::write(dir.join("go"), "")?;
            let created = create.join().map_err(|_| "a thread panicked")?;
            let after = ctx.status(&bundle.id);
            ctx.driver.delete(&bundle.id, true).good()?;
            created.good()?;
            Ok::<_, Trouble>((seen?, after?))
        })?;
        same!(seen, ("creating".to_owned(), "created".to_owned()), "status in and after {kind}");
    }
    if ctx.host.busybox.is_none() {
        return Ok(());
    }
    let (bundle, dir) = waiting(ctx, "startContainer")?;
    let container = ctx.created(&bundle)?;
    let (driver, id) = (ctx.driver, container.id.as_str());
    let seen = std::thread::scope(|scope| {
        let start = scope.spawn(|| driver.start(id));
        let seen = written(&dir.join("pid")).and_then(|_| container.status());
        fs::write(dir.join("go"), "")?;
        start.join().map_err(|_| "a thread panicked")?.good()?;
        seen
    })?;
    same!(seen, "created", "status in startContainer");
    same!(container.status()?, "running", "status after start");
    Ok(())
}

/// Whether a process has the word in its command line.
pub(super) fn alive(word: &str) -> Result<bool, Trouble> {
    let lines = fs::read_dir("/proc")?.flatten().map(|entry| fs::read(entry.path().join("cmdline")));
    Ok(lines.flatten().any(|line| String::from_utf8_lossy(&line).contains(word)))
}

fn poststop_hooks_run_when_the_state_is_gone(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let (mark, state) = (ctx.dir.join("mark"), ctx.driver.root().join(&bundle.id));
    bundle
        .push("/hooks/poststop", shell(&format!("test -e {} || touch {}", state.display(), mark.display())));
    let container = ctx.created(bundle.ops(&["sleep"]))?;
    check!(state.exists(), "no state directory");
    container.delete()?;
    check!(mark.exists(), "the state directory was there when the hook ran");
    Ok(())
}

fn a_foreground_run_runs_all_of_them_and_leaves_nothing(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let log = ctx.dir.join("log");
    for kind in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        bundle.push(&format!("/hooks/{kind}"), shell(&format!("echo {kind} >> {}", log.display())));
    }
    bundle.push("/hooks/startContainer", json!({ "path": "/probe" }));
    let reply = ctx.run(bundle.ops(&["exit:5"]))?;
    same!(reply.code, 5, "exit code; {:?}", reply.err);
    same!(fs::read_to_string(&log)?.lines().count(), 5, "hooks");
    Ok(())
}

fn a_daemon_that_keeps_the_streams_holds_nobody(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let pid = ctx.dir.join("daemon");
    bundle.push("/hooks/createRuntime", shell(&format!("setsid sleep 1000 & echo $! > {}", pid.display())));
    let created = ctx.created(bundle.ops(&["sleep"]));
    let daemon = written(&pid)?;
    let number: i32 = daemon.parse().map_err(|_| format!("odd pid {daemon:?}"))?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(number), nix::sys::signal::SIGKILL)?;
    gone(&daemon)?;
    created.map(drop)
}

fn a_hook_that_reads_nothing_is_no_failure(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/annotations", json!({ "large": "x".repeat(1 << 20) }));
    let size = ctx.dir.join("size");
    bundle.push("/hooks/createRuntime", shell("exec <&-; exit 0"));
    bundle.push("/hooks/createRuntime", shell(&format!("wc -c > {}", size.display())));
    let _container = ctx.created(bundle.ops(&["sleep"]))?;
    let size: usize = fs::read_to_string(&size)?.trim().parse().unwrap_or_default();
    check!(size > 1 << 20, "a hook read {size} bytes");
    Ok(())
}

/// As crun has it.
fn files_of_annotations_get_the_output(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let [out, err] = ["out", "err"].map(|name| ctx.dir.join(name));
    bundle.set("/annotations", json!({ "run.oci.hooks.stdout": out, "run.oci.hooks.stderr": err }));
    for (kind, word) in [("prestart", "one"), ("createContainer", "two"), ("poststop", "three")] {
        bundle.push(&format!("/hooks/{kind}"), shell(&format!("echo {word}; echo {word} >&2")));
    }
    ctx.created(bundle.ops(&["sleep"]))?.delete()?;
    for file in [out, err] {
        same!(fs::read_to_string(&file)?, "one\ntwo\nthree\n", "{}", file.display());
    }
    Ok(())
}

fn wrong_hooks_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let cases = [
        (json!({ "path": "bin/true" }), "path"),
        (json!({ "path": "" }), "path"),
        (json!({ "path": "/bin/true", "timeout": 0 }), "timeout"),
        (json!({ "path": "/bin/true", "timeout": -1 }), "timeout"),
        (json!({ "path": "/bin/true", "env": ["A"] }), "env/0"),
        (json!({ "path": "/bin/true", "env": ["=A"] }), "env/0"),
    ];
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] {
        for (hook, key) in &cases {
            let mut bundle = ctx.bundle()?;
            bundle.push(&format!("/hooks/{kind}"), hook.clone());
            ctx.refused(&bundle, &[&format!("/hooks/{kind}/0/{key}")])?;
        }
    }
    Ok(())
}
