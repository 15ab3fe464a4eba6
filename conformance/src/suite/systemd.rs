//! Cgroups that systemd makes: units, their properties, and what is left of both when a container goes or never comes.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::signal::{SIGTERM, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::exec::{enter, process};
use super::tests;
use crate::bundle::Bundle;
use crate::ctx::{Container, Ctx, refusal};
use crate::driver::Cli;
use crate::host::{Need, of_systemd};
use crate::sys::PATIENCE;
use crate::{Outcome, Trouble, check, same};

const SYSTEMD: Need = Need::Systemd;
const MEMORY: Need = Need::Controller("memory");
const PIDS: Need = Need::Controller("pids");
const CPU: Need = Need::Controller("cpu");

tests! {
    a_machine_without_systemd_says_so [Need::NoSystemd],
    a_bus_that_hangs_up_or_talks_nonsense_is_an_error [Need::Cli],
    a_signal_ends_a_create_that_a_silent_bus_holds [Need::Cli],
    paths_of_another_form_are_refused,
    properties_that_are_no_values_are_refused,
    a_scope_has_its_properties_and_goes_with_its_container [SYSTEMD],
    the_program_is_in_the_scope_from_the_start [SYSTEMD, Need::V2],
    the_cgroup_namespace_begins_at_the_scope [SYSTEMD, Need::V2],
    limits_are_in_the_files_and_said_to_systemd [SYSTEMD, Need::V2, MEMORY, PIDS, CPU],
    one_process_is_enough_for_a_limit_of_one [SYSTEMD, Need::V2, PIDS],
    a_memory_limit_too_low_to_start_says_so [SYSTEMD, Need::V2, MEMORY],
    an_update_is_said_to_systemd_and_outlives_a_reload [SYSTEMD, Need::V2, MEMORY, PIDS, CPU],
    device_rules_outlive_a_reload [SYSTEMD, Need::V2, Need::Root],
    device_rules_of_an_update_outlive_a_reload [SYSTEMD, Need::V2, Need::Root],
    a_name_that_is_taken_is_told_and_its_owner_stays [SYSTEMD],
    a_name_that_has_failed_is_free [SYSTEMD],
    a_slice_is_below_those_that_its_name_begins_with [SYSTEMD, Need::V2],
    a_container_can_be_a_slice [SYSTEMD, Need::V2],
    a_slice_that_nobody_moves_a_process_into_goes_with_an_error [Need::Cli, Need::V2, Need::Login],
    properties_of_annotations_reach_the_unit [SYSTEMD],
    a_group_in_the_scope_is_the_container_s [SYSTEMD, Need::V2, PIDS],
    a_group_that_is_no_name_is_refused,
    a_property_that_systemd_does_not_know_is_refused_with_its_place [SYSTEMD],
    a_further_process_is_in_the_scope [SYSTEMD, Need::V2],
    a_paused_scope_goes_on_and_can_be_deleted [SYSTEMD, Need::V2],
    a_create_that_fails_leaves_no_unit [SYSTEMD],
    a_unit_that_was_stopped_behind_our_back_is_a_stopped_container [SYSTEMD],
}

/// A bundle whose container is the scope `teu-ID.scope`.
pub(super) fn scoped(ctx: &Ctx<'_>) -> Result<Bundle, Trouble> {
    let mut bundle = ctx.bundle()?;
    let path = format!("{}:teu:{}", slice(ctx), bundle.id);
    bundle.set("/linux/cgroupsPath", path);
    Ok(bundle)
}

/// The slice that systemd puts containers into if nobody says otherwise.
fn slice(ctx: &Ctx<'_>) -> &'static str {
    if ctx.host.manager.is_empty() { "system.slice" } else { "user.slice" }
}

pub(super) fn unit(id: &str) -> String {
    format!("teu-{id}.scope")
}

fn created<'a>(ctx: &'a Ctx<'_>, bundle: &Bundle) -> Result<Container<'a>, Trouble> {
    ctx.created_by(bundle, |new| new.systemd = true)
}

pub(super) fn sleeping<'a>(ctx: &'a Ctx<'_>, bundle: &mut Bundle) -> Result<Container<'a>, Trouble> {
    let mut container = created(ctx, bundle.ops(&["pid", "sleep"]))?;
    container.start()?;
    container.report()?;
    Ok(container)
}

fn refused(ctx: &Ctx<'_>, bundle: &Bundle, text: &str) -> Outcome {
    ctx.refused_by(bundle, |new| new.systemd = true, &[text])
}

fn systemctl(args: &[&str]) -> Result<String, Trouble> {
    let output = of_systemd("systemctl").args(args).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    check!(output.status.success(), "systemctl {args:?}: {}", err.trim_end());
    Ok(out.trim_end().to_owned())
}

/// The path of a container's scope in cgroup2.
fn place(ctx: &Ctx<'_>, id: &str) -> String {
    ctx.host.below_manager(&format!("{}/{}", slice(ctx), unit(id)))
}

/// A property as systemd shows it.
fn shown(unit: &str, property: &str) -> Result<String, Trouble> {
    systemctl(&["show", "--value", "--property", property, unit])
}

fn are_shown(unit: &str, properties: &[(&str, &str)]) -> Outcome {
    for (property, wanted) in properties {
        same!(shown(unit, property)?, *wanted, "{property} of {unit}");
    }
    Ok(())
}

/// systemd may take a moment to see that a unit has become empty.
pub(super) fn is_gone(unit: &str) -> Outcome {
    becomes(unit, "LoadState", "not-found")
}

fn becomes(unit: &str, property: &str, wanted: &str) -> Outcome {
    let until = Instant::now() + PATIENCE;
    loop {
        let now = shown(unit, property)?;
        if now == wanted {
            return Ok(());
        }
        check!(Instant::now() < until, "{property} of {unit} is {now:?} still, not {wanted:?}");
    }
}

/// The unit's cgroup on a host with cgroup v2.
fn folder(unit: &str) -> Result<PathBuf, Trouble> {
    let path = shown(unit, "ControlGroup")?;
    check!(!path.is_empty(), "{unit} has no cgroup");
    Ok(PathBuf::from(format!("/sys/fs/cgroup{path}")))
}

fn are_written(unit: &str, files: &[(&str, &str)]) -> Outcome {
    for (file, wanted) in files {
        let text =
            fs::read_to_string(folder(unit)?.join(file)).map_err(|error| format!("{file}: {error}"))?;
        same!(text.trim_end(), *wanted, "{file} of {unit}");
    }
    Ok(())
}

fn a_machine_without_systemd_says_so(ctx: &Ctx<'_>) -> Outcome {
    refused(ctx, &scoped(ctx)?, "systemd cannot be asked for a cgroup: ")
}

/// The command with a bus of the test's own, which says that and hangs up.
fn with_bus(ctx: &Ctx<'_>, name: &str, says: &'static [u8]) -> Result<Cli, Trouble> {
    let path = ctx.dir.join(name);
    let listener = UnixListener::bind(&path)?;
    std::thread::spawn(move || {
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(says).and_then(|()| stream.shutdown(Shutdown::Write));
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    at_bus(ctx, &path)
}

/// The command with that socket for a bus, the machine's as well as the user's.
fn at_bus(ctx: &Ctx<'_>, path: &Path) -> Result<Cli, Trouble> {
    let named = |bus: &str| format!("DBUS_{bus}_BUS_ADDRESS=unix:path={}", path.display());
    Ok(ctx.cli()?.behind(&["env", &named("SYSTEM"), &named("SESSION")]))
}

fn a_bus_that_hangs_up_or_talks_nonsense_is_an_error(ctx: &Ctx<'_>) -> Outcome {
    let table: [(&[u8], &str); 5] = [
        (b"", "systemd: "),
        (b"REJECTED KERBEROS\r\n", "login refused: REJECTED KERBEROS"),
        (b"DATA\r\nOK 0\r\n", "systemd: "),
        (b"OK 0\r\nGET / HTTP/1.1\r\n", "bytes that are no message"),
        (
            b"OK 0\r\nl\x02\x00\x01\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00",
            "a message that is too long",
        ),
    ];
    for (index, (says, text)) in table.into_iter().enumerate() {
        let bundle = scoped(ctx)?;
        bundle.write()?;
        let cli = with_bus(ctx, &format!("bus{index}"), says)?;
        let dir = bundle.dir.to_string_lossy();
        refusal(&cli.call(&["--systemd-cgroup", "create", "--bundle", &dir, &bundle.id]), &[text])?;
        check!(ctx.driver.state(&bundle.id).code != 0, "the container exists after a failed create");
    }
    Ok(())
}

fn a_signal_ends_a_create_that_a_silent_bus_holds(ctx: &Ctx<'_>) -> Outcome {
    let path = ctx.dir.join("bus");
    let listener = UnixListener::bind(&path)?;
    let bundle = scoped(ctx)?;
    bundle.write()?;
    let dir = bundle.dir.to_string_lossy();
    let args = ["--systemd-cgroup", "create", "--bundle", &dir, &bundle.id];
    let running = at_bus(ctx, &path)?.spawn(&args)?;
    // It is connected, and nobody will ever answer.
    let _silent = listener.accept()?;
    kill(Pid::from_raw(running.pid()), SIGTERM)?;
    let reply = running.finish();
    same!(reply.code, 128 + SIGTERM as i32, "exit code: {}", reply.err);
    check!(ctx.driver.state(&bundle.id).code != 0, "the container exists after an interrupted create");
    Ok(())
}

fn paths_of_another_form_are_refused(ctx: &Ctx<'_>) -> Outcome {
    for path in ["/a/b", "a.slice:b", "a:b:c", "a--b.slice:c:d", "a.slice:b:c/d", "../a.slice:b:c"] {
        let mut bundle = scoped(ctx)?;
        bundle.set("/linux/cgroupsPath", path);
        refused(ctx, &bundle, "/linux/cgroupsPath")?;
    }
    Ok(())
}

fn properties_that_are_no_values_are_refused(ctx: &Ctx<'_>) -> Outcome {
    for (name, value) in [
        ("MemoryMax", "lots"),
        ("TimeoutStopSec", "'5s'"),
        ("Slice", "'a.slice'"),
        ("Foo", ""),
        ("Foo", "[]"),
    ] {
        let mut bundle = scoped(ctx)?;
        bundle.set("/annotations", json!({ format!("org.systemd.property.{name}"): value }));
        refused(ctx, &bundle, &format!("/annotations/org.systemd.property.{name}"))?;
    }
    Ok(())
}

fn a_scope_has_its_properties_and_goes_with_its_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    let unit = unit(&bundle.id);
    let container = sleeping(ctx, &mut bundle)?;
    are_shown(
        &unit,
        &[
            ("ActiveState", "active"),
            ("Slice", slice(ctx)),
            ("Delegate", "yes"),
            ("DefaultDependencies", "no"),
            ("CollectMode", "inactive-or-failed"),
            ("MemoryAccounting", "yes"),
            // The manager of a user may load no filter.
            ("DevicePolicy", if ctx.host.manager.is_empty() { "strict" } else { "auto" }),
        ],
    )?;
    container.kill("KILL")?;
    container.ended()?;
    container.delete()?;
    is_gone(&unit)
}

fn the_program_is_in_the_scope_from_the_start(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    bundle.without_namespace("cgroup");
    let mut container = created(ctx, bundle.ops(&["cgroup"]))?;
    are_written(&unit(&bundle.id), &[("cgroup.procs", &container.pid.to_string())])?;
    container.start()?;
    let report = container.report()?;
    let wanted = format!("0::/{}", place(ctx, &bundle.id));
    let lines = report.get("cgroup").as_array().cloned().unwrap_or_default();
    check!(lines.contains(&Value::from(wanted.as_str())), "it ran in {lines:?}");
    Ok(())
}

fn the_cgroup_namespace_begins_at_the_scope(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    let mut container = created(ctx, bundle.ops(&["cgroup"]))?;
    container.start()?;
    let report = container.report()?;
    let lines = report.get("cgroup").as_array().cloned().unwrap_or_default();
    check!(lines.contains(&Value::from("0::/")), "it saw itself in {lines:?}");
    Ok(())
}

fn limited(ctx: &Ctx<'_>) -> Result<Bundle, Trouble> {
    let mut bundle = scoped(ctx)?;
    bundle.set("/linux/resources/memory", json!({ "limit": 64 << 20, "reservation": 32 << 20 }));
    bundle.set("/linux/resources/cpu", json!({ "shares": 512, "quota": 33333, "period": 100_000 }));
    bundle.set("/linux/resources/pids", json!({ "limit": 100 }));
    Ok(bundle)
}

/// 64 MiB.
const SMALL: &str = "67108864";
/// 128 MiB.
const LARGE: &str = "134217728";

fn limits_are_in_the_files_and_said_to_systemd(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = limited(ctx)?;
    let unit = unit(&bundle.id);
    let _container = sleeping(ctx, &mut bundle)?;
    let (files, properties) = (
        [
            ("memory.max", SMALL),
            ("memory.low", "33554432"),
            ("cpu.weight", "59"),
            ("cpu.max", "34000 100000"),
            ("pids.max", "100"),
        ],
        [
            ("MemoryMax", SMALL),
            ("MemoryLow", "33554432"),
            ("CPUWeight", "59"),
            ("CPUQuotaPerSecUSec", "340ms"),
            ("TasksMax", "100"),
        ],
    );
    are_written(&unit, &files)?;
    are_shown(&unit, &properties)?;
    systemctl(&["daemon-reload"])?;
    are_written(&unit, &files)?;
    are_shown(&unit, &properties)
}

fn one_process_is_enough_for_a_limit_of_one(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    bundle.set("/linux/resources/pids", json!({ "limit": 1 }));
    let _container = sleeping(ctx, &mut bundle)?;
    are_written(&unit(&bundle.id), &[("pids.max", "1"), ("pids.current", "1")])
}

fn a_memory_limit_too_low_to_start_says_so(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    bundle.set("/linux/resources/memory", json!({ "limit": 4096, "swap": 4096 }));
    refused(ctx, &bundle, "memory limit too low")?;
    is_gone(&unit(&bundle.id))
}

fn update(ctx: &Ctx<'_>, id: &str, resources: &Value) -> Outcome {
    ctx.driver.update(id, &resources.to_string()).good()?;
    Ok(())
}

fn an_update_is_said_to_systemd_and_outlives_a_reload(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = limited(ctx)?;
    let unit = unit(&bundle.id);
    let container = sleeping(ctx, &mut bundle)?;
    let limits =
        json!({ "memory": { "limit": 128 << 20 }, "pids": { "limit": 50 }, "cpu": { "quota": 50000 } });
    update(ctx, &container.id, &limits)?;
    let files =
        [("memory.max", LARGE), ("pids.max", "50"), ("cpu.max", "50000 100000"), ("cpu.weight", "59")];
    let properties =
        [("MemoryMax", LARGE), ("TasksMax", "50"), ("CPUQuotaPerSecUSec", "500ms"), ("CPUWeight", "59")];
    are_written(&unit, &files)?;
    are_shown(&unit, &properties)?;
    systemctl(&["daemon-reload"])?;
    // Every change makes systemd write all that it knows.
    systemctl(&["set-property", "--runtime", &unit, "MemoryHigh=100M"])?;
    are_written(&unit, &files)?;
    update(ctx, &container.id, &json!({ "pids": { "limit": -1 } }))?;
    are_shown(&unit, &[("TasksMax", "infinity"), ("MemoryMax", LARGE)])
}

/// Whether a node that no container has by default may be opened, be there a device behind it or not, and one that everybody may.
fn opens(ctx: &Ctx<'_>, container: &Container<'_>) -> Result<(bool, bool), Trouble> {
    let report = enter(ctx, &container.id, &process(&["open:/dev/fuse", "openrw:/dev/null"]))?;
    let may = |op: &str| !["EPERM", "EACCES"].contains(&report.text(op));
    Ok((may("open:/dev/fuse"), may("openrw:/dev/null")))
}

fn with_node(ctx: &Ctx<'_>, rules: Value) -> Result<Bundle, Trouble> {
    let mut bundle = scoped(ctx)?;
    let node = json!({ "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 0 });
    bundle.push("/linux/devices", node);
    bundle.set("/linux/resources/devices", rules);
    Ok(bundle)
}

fn device_rules_outlive_a_reload(ctx: &Ctx<'_>) -> Outcome {
    let granted =
        json!([{ "allow": false }, { "allow": true, "type": "c", "major": 10, "minor": 229, "access": "r" }]);
    for (rules, wanted) in [(granted, true), (json!([{ "allow": false }]), false)] {
        let container = sleeping(ctx, &mut with_node(ctx, rules)?)?;
        let wanted = (wanted, true);
        same!(opens(ctx, &container)?, wanted, "before the reload");
        systemctl(&["daemon-reload"])?;
        systemctl(&["set-property", "--runtime", &unit(&container.id), "CPUWeight=50"])?;
        same!(opens(ctx, &container)?, wanted, "after the reload");
    }
    Ok(())
}

fn device_rules_of_an_update_outlive_a_reload(ctx: &Ctx<'_>) -> Outcome {
    let container = sleeping(ctx, &mut with_node(ctx, json!([{ "allow": false }]))?)?;
    let granted =
        json!([{ "allow": false }, { "allow": true, "type": "c", "major": 10, "minor": 229, "access": "r" }]);
    for (rules, wanted) in [(granted, true), (json!([{ "allow": false }]), false)] {
        update(ctx, &container.id, &json!({ "devices": rules }))?;
        let wanted = (wanted, true);
        same!(opens(ctx, &container)?, wanted, "before the reload");
        systemctl(&["daemon-reload"])?;
        same!(opens(ctx, &container)?, wanted, "after the reload");
    }
    Ok(())
}

fn a_name_that_is_taken_is_told_and_its_owner_stays(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    let container = sleeping(ctx, &mut bundle)?;
    let mut second = scoped(ctx)?;
    second.set("/linux/cgroupsPath", format!("{}:teu:{}", slice(ctx), bundle.id));
    let text = format!("systemd: cannot start unit {}: a unit of that name exists already", unit(&bundle.id));
    refused(ctx, &second, &text)?;
    same!(container.status()?, "running", "the owner of the name");
    are_shown(&unit(&bundle.id), &[("ActiveState", "active")])
}

fn a_name_that_has_failed_is_free(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    let name = format!("teu-{}", bundle.id);
    let service = format!("--unit={name}.service");
    // A scope of that name that has failed: killed, and told to stay.
    let scope = format!("--unit={name}.scope");
    let args =
        ["--scope", &scope, "--property=CollectMode=inactive", "--property=RuntimeMaxSec=1ms", "sleep", "60"];
    let output = of_systemd("systemd-run").args(args).output()?;
    check!(!output.status.success(), "{service}: systemd-run: {}", String::from_utf8_lossy(&output.stderr));
    becomes(&unit(&bundle.id), "ActiveState", "failed")?;
    let _container = sleeping(ctx, &mut bundle)?;
    are_shown(&unit(&bundle.id), &[("ActiveState", "active")])
}

fn a_slice_is_below_those_that_its_name_begins_with(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    let id = bundle.id.clone();
    let slice = id.replace('-', "_");
    bundle.set("/linux/cgroupsPath", format!("{slice}-pods.slice:teu:{id}"));
    let container = sleeping(ctx, &mut bundle)?;
    let wanted = format!("{slice}.slice/{slice}-pods.slice/{}", unit(&id));
    let wanted = format!("/{}", ctx.host.below_manager(&wanted));
    are_shown(&unit(&id), &[("ControlGroup", &wanted), ("Slice", &format!("{slice}-pods.slice"))])?;
    container.delete_by_force()?;
    systemctl(&["stop", &format!("{slice}.slice")])?;
    Ok(())
}

fn a_container_can_be_a_slice(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    let slice = format!("{}.slice", bundle.id.replace('-', "_"));
    bundle.set("/linux/cgroupsPath", format!("{}:teu:{slice}", self::slice(ctx)));
    bundle.without_namespace("cgroup");
    let mut container = created(ctx, bundle.ops(&["cgroup", "sleep"]))?;
    container.start()?;
    let report = container.report()?;
    let wanted = format!("/{}", ctx.host.below_manager(&slice));
    are_written(&slice, &[("cgroup.procs", &container.pid.to_string())])?;
    are_shown(&slice, &[("ControlGroup", &wanted)])?;
    let further = enter(ctx, &container.id, &process(&["cgroup"]))?;
    for (who, report) in [("it", report), ("a further process", further)] {
        let lines = report.get("cgroup").as_array().cloned().unwrap_or_default();
        check!(lines.contains(&Value::from(format!("0::{wanted}"))), "{who} ran in {lines:?}");
    }
    container.delete_by_force()?;
    check!(shown(&slice, "ActiveState")? != "active", "the slice is active still");
    Ok(())
}

/// The machine's manager is asked to do it, and is not there.
fn a_slice_that_nobody_moves_a_process_into_goes_with_an_error(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    let slice = format!("{}.slice", bundle.id.replace('-', "_"));
    bundle.set("/linux/cgroupsPath", format!("{}:teu:{slice}", self::slice(ctx))).write()?;
    let path = ctx.dir.join("bus");
    let listener = UnixListener::bind(&path)?;
    let hangs_up = std::thread::spawn(move || listener.accept().map(drop));
    let cli = ctx.cli()?.behind(&["env", &format!("DBUS_SYSTEM_BUS_ADDRESS=unix:path={}", path.display())]);
    let args = ["--systemd-cgroup", "create", "--bundle", &bundle.dir.to_string_lossy(), &bundle.id];
    refusal(
        &cli.call(&args),
        &[
            "systemd: cannot attach a process to unit user@",
            &format!(".service/{slice}: "),
            "systemd-run --user --scope",
        ],
    )?;
    check!(hangs_up.join().is_ok_and(|heard| heard.is_ok()), "the machine's bus was not asked");
    check!(ctx.driver.state(&bundle.id).code != 0, "the container exists after a failed create");
    becomes(&slice, "ActiveState", "inactive")
}

fn properties_of_annotations_reach_the_unit(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    let property = |name: &str| format!("org.systemd.property.{name}");
    bundle.set(
        "/annotations",
        json!({
            property("TimeoutStopSec"): "7",
            property("Documentation"): "['man:teu(8)']",
            property("CPUWeight"): "uint64 77",
        }),
    );
    let _container = sleeping(ctx, &mut bundle)?;
    are_shown(
        &unit(&bundle.id),
        &[("TimeoutStopUSec", "7s"), ("Documentation", "\"man:teu(8)\""), ("CPUWeight", "77")],
    )
}

const SUBGROUP: &str = "run.oci.systemd.subgroup";

/// Its limits are those of the scope as well, for which systemd keeps them.
fn a_group_in_the_scope_is_the_container_s(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    bundle
        .set("/annotations", json!({ SUBGROUP: "payload" }))
        .set("/linux/resources/pids", json!({ "limit": 30 }));
    let mut container = created(ctx, bundle.without_namespace("cgroup").ops(&["cgroup", "sleep"]))?;
    container.start()?;
    let report = container.report()?;
    let further = enter(ctx, &container.id, &process(&["cgroup"]))?;
    let wanted = format!("0::/{}/payload", place(ctx, &bundle.id));
    for (who, report) in [("it", report), ("a further process", further)] {
        let lines = report.get("cgroup").as_array().cloned().unwrap_or_default();
        check!(lines.contains(&Value::from(wanted.as_str())), "{who} ran in {lines:?}");
    }
    let unit = unit(&bundle.id);
    are_shown(&unit, &[("TasksMax", "30")])?;
    are_written(&unit, &[("cgroup.procs", ""), ("pids.max", "30"), ("payload/pids.max", "30")])?;
    update(ctx, &container.id, &json!({ "pids": { "limit": 40 } }))?;
    are_written(&unit, &[("pids.max", "40"), ("payload/pids.max", "40")])?;
    ctx.driver.pause(&container.id).good()?;
    container.delete_by_force()?;
    is_gone(&unit)
}

fn a_group_that_is_no_name_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for name in ["..", "a/b", "cgroup.procs"] {
        let mut bundle = scoped(ctx)?;
        bundle.set("/annotations", json!({ SUBGROUP: name }));
        refused(ctx, &bundle, "/annotations/run.oci.systemd.subgroup")?;
    }
    Ok(())
}

fn a_property_that_systemd_does_not_know_is_refused_with_its_place(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    bundle.set("/annotations", json!({ "org.systemd.property.NoSuchThing": "true" }));
    refused(ctx, &bundle, "/annotations/org.systemd.property.NoSuchThing")?;
    is_gone(&unit(&bundle.id))
}

fn a_further_process_is_in_the_scope(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    bundle.without_namespace("cgroup");
    let container = sleeping(ctx, &mut bundle)?;
    let report = enter(ctx, &container.id, &process(&["cgroup"]))?;
    let wanted = format!("0::/{}", place(ctx, &bundle.id));
    let lines = report.get("cgroup").as_array().cloned().unwrap_or_default();
    check!(lines.contains(&Value::from(wanted.as_str())), "it ran in {lines:?}");
    Ok(())
}

fn a_paused_scope_goes_on_and_can_be_deleted(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    let container = sleeping(ctx, &mut bundle)?;
    ctx.driver.pause(&container.id).good()?;
    same!(container.status()?, "paused", "the status");
    ctx.driver.resume(&container.id).good()?;
    same!(container.status()?, "running", "the status");
    ctx.driver.pause(&container.id).good()?;
    container.delete_by_force()?;
    is_gone(&unit(&bundle.id))
}

fn a_create_that_fails_leaves_no_unit(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    bundle.args(&["/no/such/program"]);
    refused(ctx, &bundle, "no such file or directory")?;
    is_gone(&unit(&bundle.id))
}

fn a_unit_that_was_stopped_behind_our_back_is_a_stopped_container(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = scoped(ctx)?;
    let container = sleeping(ctx, &mut bundle)?;
    systemctl(&["kill", "--signal=KILL", &unit(&bundle.id)])?;
    container.ended()?;
    is_gone(&unit(&bundle.id))?;
    same!(container.status()?, "stopped", "the status");
    container.delete()
}
