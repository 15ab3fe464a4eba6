//! Device nodes, links and what the device cgroup lets through.

use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use super::tests;
use crate::ctx::Ctx;
use crate::driver::New;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, check, same};

tests! {
    default_nodes_exist_with_mode_0666,
    default_links_exist,
    default_nodes_work,
    host_devices_are_absent,
    devices_of_the_configuration_are_made,
    a_device_outside_dev_is_made,
    a_fifo_is_made,
    a_device_replaces_the_default_of_its_path,
    a_device_without_a_number_is_refused,
    a_device_of_unknown_type_is_refused,
    a_made_node_cannot_be_opened_by_default,
    a_block_device_of_the_host_is_denied,
    default_devices_are_always_allowed,
    an_allowed_device_can_be_opened,
    letters_that_are_no_access_are_ignored,
    later_device_rules_win,
    without_default_rules_only_listed_devices_are_allowed [Need::Library],
    a_bound_dev_is_left_alone,
    a_node_of_the_rootfs_stays_if_it_is_the_right_one,
    a_node_of_the_rootfs_that_is_another_is_refused,
    a_user_namespace_gets_the_host_s_node [Need::Users],
    a_mode_that_the_host_s_node_has_not_is_a_warning [Need::Users],
    a_user_namespace_gets_no_other_node [Need::Users],
}

const NODES: [(&str, &str); 6] = [
    ("null", "1:3"),
    ("zero", "1:5"),
    ("full", "1:7"),
    ("random", "1:8"),
    ("urandom", "1:9"),
    ("tty", "5:0"),
];

fn node(path: &str, kind: &str, major: u32, minor: u32, mode: u32) -> Value {
    json!({ "path": path, "type": kind, "major": major, "minor": minor, "fileMode": mode, "uid": 3, "gid": 4 })
}

fn default_nodes_exist_with_mode_0666(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let ops = NODES.map(|(name, _)| format!("lstat:/dev/{name}"));
    let report = ctx.see(&mut bundle, &ops.each_ref().map(String::as_str))?;
    for ((name, number), op) in NODES.iter().zip(&ops) {
        same!(report.field(op, "kind"), "c", "kind of {name}");
        same!(report.field(op, "rdev"), *number, "number of {name}");
        same!(report.field(op, "mode"), "0666", "mode of {name}");
        same!(
            (report.field(op, "uid"), report.field(op, "gid")),
            ("0".into(), "0".into()),
            "owner of {name}"
        );
    }
    Ok(())
}

fn default_links_exist(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let links = [
        ("readlink:/dev/fd", "/proc/self/fd"),
        ("readlink:/dev/stdin", "/proc/self/fd/0"),
        ("readlink:/dev/stdout", "/proc/self/fd/1"),
        ("readlink:/dev/stderr", "/proc/self/fd/2"),
        ("readlink:/dev/ptmx", "pts/ptmx"),
    ];
    let report = ctx.see(&mut bundle, &links.map(|(op, _)| op))?;
    for (op, target) in links {
        same!(report.text(op), target, "{op}");
    }
    Ok(())
}

fn default_nodes_work(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    let ops = [
        "write:/dev/null=x",
        "openrw:/dev/zero",
        "write:/dev/full=x",
        "open:/dev/random",
        "open:/dev/urandom",
    ];
    let report = ctx.see(&mut bundle, &ops)?;
    for (op, wanted) in ops.iter().zip(["ok", "ok", "ENOSPC", "ok", "ok"]) {
        same!(report.text(op), wanted, "{op}");
    }
    Ok(())
}

fn host_devices_are_absent(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["list:/dev"])?;
    let known =
        ["core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout"];
    let known: Vec<&str> = known.into_iter().chain(["tty", "urandom", "zero"]).collect();
    for name in report.get("list:/dev").as_array().into_iter().flatten() {
        check!(known.iter().any(|one| name == one), "/dev/{name} should not be there");
    }
    Ok(())
}

fn is_node(report: &Report, path: &str, kind: &str, number: &str, mode: &str) -> Outcome {
    let op = format!("lstat:{path}");
    same!(report.field(&op, "kind"), kind, "kind of {path}");
    same!(report.field(&op, "rdev"), number, "number of {path}");
    same!(report.field(&op, "mode"), mode, "mode of {path}");
    same!((report.field(&op, "uid"), report.field(&op, "gid")), ("3".into(), "4".into()), "owner of {path}");
    Ok(())
}

fn devices_of_the_configuration_are_made(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/linux/devices", node("/dev/fuse", "c", 10, 229, 0o640));
    bundle.push("/linux/devices", node("/dev/deep/loop", "b", 7, 300, 0o600));
    let report = ctx.see(&mut bundle, &["lstat:/dev/fuse", "lstat:/dev/deep/loop"])?;
    is_node(&report, "/dev/fuse", "c", "10:229", "0640")?;
    is_node(&report, "/dev/deep/loop", "b", "7:300", "0600")
}

fn a_device_outside_dev_is_made(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/linux/devices", node("/etc/null", "c", 1, 3, 0o604));
    let report = ctx.see(&mut bundle, &["lstat:/etc/null"])?;
    is_node(&report, "/etc/null", "c", "1:3", "0604")
}

fn a_fifo_is_made(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push(
        "/linux/devices",
        json!({ "path": "/dev/pipe", "type": "p", "fileMode": 0o620, "uid": 3, "gid": 4 }),
    );
    let report = ctx.see(&mut bundle, &["lstat:/dev/pipe"])?;
    is_node(&report, "/dev/pipe", "p", "0:0", "0620")
}

fn a_device_replaces_the_default_of_its_path(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/linux/devices", node("/dev/full", "c", 1, 5, 0o644));
    let report = ctx.see(&mut bundle, &["lstat:/dev/full"])?;
    is_node(&report, "/dev/full", "c", "1:5", "0644")
}

/// runc 1.1 makes a node of number 0:0.
fn a_device_without_a_number_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/linux/devices", json!({ "path": "/dev/x", "type": "c" }));
    ctx.refused(&bundle, &["/dev/x", "linux/devices"])
}

fn a_device_of_unknown_type_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/linux/devices", json!({ "path": "/dev/x", "type": "q", "major": 1, "minor": 3 }));
    ctx.refused(&bundle, &["/dev/x", "linux/devices", "invalid device type", "q"])
}

fn with_mknod(ctx: &Ctx<'_>, rules: &Value, ops: &[&str]) -> Result<Report, crate::Trouble> {
    let mut bundle = ctx.bundle()?;
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(&format!("/process/capabilities/{set}"), json!(["CAP_MKNOD"]));
    }
    for rule in rules.as_array().into_iter().flatten() {
        bundle.push("/linux/resources/devices", rule.clone());
    }
    ctx.see(&mut bundle, ops)
}

/// Making any node is allowed by the default rules, opening it is not.
fn a_made_node_cannot_be_opened_by_default(ctx: &Ctx<'_>) -> Outcome {
    let report = with_mknod(
        ctx,
        &json!([]),
        &["mknod:/dev/mem:c:1:1", "open:/dev/mem", "mknod:/dev/kmsg:c:1:11", "open:/dev/kmsg"],
    )?;
    same!(report.text("mknod:/dev/mem:c:1:1"), "ok", "mknod of /dev/mem");
    same!(report.text("open:/dev/mem"), "EPERM", "opening it");
    same!(report.text("open:/dev/kmsg"), "EPERM", "opening kmsg");
    Ok(())
}

fn a_block_device_of_the_host_is_denied(ctx: &Ctx<'_>) -> Outcome {
    let root = std::fs::metadata("/")?.dev();
    let (major, minor) = (nix::sys::stat::major(root), nix::sys::stat::minor(root));
    let make = format!("mknod:/dev/disk:b:{major}:{minor}");
    let report = with_mknod(ctx, &json!([]), &[&make, "open:/dev/disk", "openrw:/dev/disk"])?;
    same!(report.text(&make), "ok", "mknod");
    same!(report.text("open:/dev/disk"), "EPERM", "reading the host's disk");
    same!(report.text("openrw:/dev/disk"), "EPERM", "writing the host's disk");
    Ok(())
}

fn default_devices_are_always_allowed(ctx: &Ctx<'_>) -> Outcome {
    let ops =
        ["openrw:/dev/null", "openrw:/dev/zero", "openrw:/dev/full", "open:/dev/urandom", "openrw:/dev/ptmx"];
    let report = with_mknod(ctx, &json!([{ "allow": false, "access": "rwm" }]), &ops)?;
    for op in ops {
        same!(report.text(op), "ok", "{op}");
    }
    Ok(())
}

fn an_allowed_device_can_be_opened(ctx: &Ctx<'_>) -> Outcome {
    let rules = json!([{ "allow": true, "type": "c", "major": 1, "minor": 11, "access": "r" }]);
    let ops = ["mknod:/dev/kmsg:c:1:11", "open:/dev/kmsg", "openrw:/dev/kmsg"];
    let report = with_mknod(ctx, &rules, &ops)?;
    same!(report.text("openrw:/dev/kmsg"), "EPERM", "writing");
    // Reading wants CAP_SYSLOG as well, which the kernel checks after the device cgroup.
    check!(
        ["ok", "EPERM"].contains(&report.text("open:/dev/kmsg")),
        "reading: {}",
        report.text("open:/dev/kmsg")
    );
    let rules = json!([{ "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw" }]);
    let report = with_mknod(ctx, &rules, &["mknod:/dev/fuse:c:10:229", "openrw:/dev/fuse"])?;
    check!(report.text("openrw:/dev/fuse") != "EPERM", "an allowed device is denied");
    Ok(())
}

/// As runc: the letters that are there count.
fn letters_that_are_no_access_are_ignored(ctx: &Ctx<'_>) -> Outcome {
    let rules = json!([
        { "allow": true, "type": "c", "major": 10, "minor": 229, "access": "mwr" },
        { "allow": false, "type": "c", "major": 10, "minor": 229, "access": "xwa" }
    ]);
    let report =
        with_mknod(ctx, &rules, &["mknod:/dev/fuse:c:10:229", "open:/dev/fuse", "openrw:/dev/fuse"])?;
    check!(report.text("open:/dev/fuse") != "EPERM", "reading is denied");
    same!(report.text("openrw:/dev/fuse"), "EPERM", "writing");
    Ok(())
}

fn later_device_rules_win(ctx: &Ctx<'_>) -> Outcome {
    let rules = json!([
        { "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm" },
        { "allow": false, "type": "c", "major": 10, "minor": 229, "access": "w" }
    ]);
    let report =
        with_mknod(ctx, &rules, &["mknod:/dev/fuse:c:10:229", "open:/dev/fuse", "openrw:/dev/fuse"])?;
    check!(report.text("open:/dev/fuse") != "EPERM", "reading is denied");
    same!(report.text("openrw:/dev/fuse"), "EPERM", "writing");
    Ok(())
}

fn without_default_rules_only_listed_devices_are_allowed(ctx: &Ctx<'_>) -> Outcome {
    let ops = ["openrw:/dev/zero", "open:/dev/null", "openrw:/dev/full", "openrw:/dev/ptmx"];
    let mut bundle = ctx.bundle()?;
    let rule = json!({ "allow": true, "type": "c", "major": 1, "minor": 5, "access": "rw" });
    bundle.push("/linux/resources/devices", rule).ops(&ops);
    let new = New { no_default_device_rules: true, ..ctx.new_of(&bundle)? };
    let report = Report::parse(&ctx.driver.run(new).good()?.out)?;
    for (op, wanted) in ops.iter().zip(["ok", "EPERM", "EPERM", "EPERM"]) {
        same!(report.text(op), wanted, "{op}");
    }
    Ok(())
}

fn a_bound_dev_is_left_alone(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let dev = ctx.dir.join("dev");
    std::fs::create_dir(&dev)?;
    std::fs::write(dev.join("own"), "")?;
    // runc looks at /dev/null in any case.
    let (kind, mode) = (nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::from_bits_truncate(0o666));
    nix::sys::stat::mknod(&dev.join("null"), kind, mode, nix::sys::stat::makedev(1, 3))?;
    bundle.set("/mounts", json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]));
    bundle.bind(&dev, "/dev", &["bind"]);
    same!(ctx.see(&mut bundle, &["list:/dev"])?.get("list:/dev"), &json!(["null", "own"]), "names");
    Ok(())
}

/// A node that the image ships.
fn ship(bundle: &crate::bundle::Bundle, name: &str, major: u64, minor: u64) -> std::io::Result<()> {
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    let path = bundle.rootfs().join(name);
    Ok(mknod(&path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), makedev(major, minor))?)
}

fn a_node_of_the_rootfs_stays_if_it_is_the_right_one(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    ship(&bundle, "fuse", 10, 229)?;
    bundle.push("/linux/devices", node("/fuse", "c", 10, 229, 0o640));
    let report = ctx.see(&mut bundle, &["lstat:/fuse"])?;
    same!(report.field("lstat:/fuse", "rdev"), "10:229", "number");
    same!(report.field("lstat:/fuse", "kind"), "c", "kind");
    Ok(())
}

fn a_node_of_the_rootfs_that_is_another_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for (kind, minor) in [("c", 228), ("b", 229)] {
        let mut bundle = ctx.bundle()?;
        ship(&bundle, "fuse", 10, 229)?;
        bundle.push("/linux/devices", node("/fuse", kind, 10, minor, 0o640));
        ctx.refused(&bundle, &["/linux/devices/0"])?;
    }
    Ok(())
}

fn in_a_user_namespace(ctx: &Ctx<'_>, device: Value) -> Result<crate::bundle::Bundle, crate::Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?.push("/linux/devices", device);
    Ok(bundle)
}

fn a_user_namespace_gets_the_host_s_node(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = in_a_user_namespace(ctx, node("/dev/zero", "c", 1, 5, 0o600))?;
    let report = ctx.see(&mut bundle, &["lstat:/dev/zero", "openrw:/dev/zero"])?;
    same!(report.field("lstat:/dev/zero", "rdev"), "1:5", "number");
    same!(report.field("lstat:/dev/zero", "mode"), "0666", "mode");
    same!(report.text("openrw:/dev/zero"), "ok", "opening");
    Ok(())
}

/// runc says nothing.
fn a_mode_that_the_host_s_node_has_not_is_a_warning(ctx: &Ctx<'_>) -> Outcome {
    let cli = ctx.cli()?;
    for (mode, warned) in [(0o600, true), (0o666, false)] {
        let bundle = in_a_user_namespace(ctx, node("/dev/zero", "c", 1, 5, mode))?;
        bundle.write()?;
        let directory = bundle.dir.to_string_lossy();
        let reply =
            cli.call(&["--log-level", "warning", "create", "--bundle", &*directory, &bundle.id]).good()?;
        ctx.driver.delete(&bundle.id, true).good()?;
        let words = "/linux/devices/0: fileMode 0600 cannot be given to the host's node, which keeps 0666";
        same!(reply.err.contains(words), warned, "warning about {mode:o}: {:?}", reply.err);
    }
    Ok(())
}

/// runc binds whatever the host has at that path.
fn a_user_namespace_gets_no_other_node(ctx: &Ctx<'_>) -> Outcome {
    for (kind, minor) in [("c", 3), ("b", 5)] {
        let bundle = in_a_user_namespace(ctx, node("/dev/zero", kind, 1, minor, 0o600))?;
        ctx.refused(&bundle, &["/linux/devices/0"])
            .map_err(|trouble| trouble.at(format!("{kind} {minor}")))?;
    }
    Ok(())
}
