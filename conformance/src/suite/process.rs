//! The process: identity, capabilities, limits, environment, arguments and working directory.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::tests;
use crate::ctx::Ctx;
use crate::driver::Driver;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, check, same};

tests! {
    user_and_groups_are_exact,
    root_without_groups_has_none,
    the_caller_s_groups_stay_if_an_annotation_says_so [Need::Cli],
    umask_defaults_to_0022,
    umask_is_set,
    umask_of_the_caller_is_not_inherited [Need::Cli],
    umask_of_the_caller_does_not_shape_what_is_made [Need::Cli],
    the_session_keyring_is_the_container_s_own_unless_an_annotation_says_otherwise,
    cwd_is_set,
    a_missing_cwd_is_made,
    a_cwd_only_the_user_may_enter_works,
    a_cwd_through_a_link_stays_inside,
    a_cwd_on_a_mount_works,
    a_cwd_by_a_descriptor_does_not_lead_out,
    environment_is_exact_and_in_order,
    of_duplicate_variables_the_last_wins,
    home_comes_from_the_container_s_passwd,
    home_of_the_configuration_stays,
    the_caller_s_environment_does_not_leak,
    arguments_arrive_exactly,
    the_program_is_found_in_the_container_s_path,
    the_program_is_not_searched_on_the_host,
    a_relative_program_starts_from_the_cwd,
    the_program_may_be_a_link,
    a_script_runs_through_its_interpreter [Need::Busybox],
    all_five_capability_sets_are_exact,
    no_capabilities_means_none,
    capabilities_survive_a_change_of_user,
    an_unknown_capability_is_ignored,
    rlimits_are_set,
    absent_rlimits_are_the_caller_s,
    an_unknown_rlimit_is_refused,
    a_duplicate_rlimit_is_refused,
    no_new_privileges_is_set,
    no_new_privileges_can_be_off,
    oom_score_is_raised,
    oom_score_of_the_caller_stays,
    descriptors_of_the_caller_do_not_leak,
    descriptors_of_the_runtime_do_not_leak,
    ignored_signals_of_the_caller_are_reset [Need::Cli],
    blocked_signals_of_the_caller_are_unblocked [Need::Cli],
    stdin_is_not_a_terminal,
    big_environments_and_arguments_work,
    a_config_without_capabilities_rlimits_and_user_works,
}

fn user_and_groups_are_exact(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 2000, "additionalGids": [7, 5, 3000] }));
    let report = ctx.see(&mut bundle, &["status"])?;
    same!(report.status("Uid"), "1000 1000 1000 1000", "uids");
    same!(report.status("Gid"), "2000 2000 2000 2000", "gids");
    same!(report.status("Groups"), "5 7 3000", "groups");
    Ok(())
}

fn root_without_groups_has_none(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["status"])?;
    same!(report.status("Uid"), "0 0 0 0", "uids");
    same!(report.status("Groups"), "", "groups");
    Ok(())
}

/// crun's annotation, which podman sets for `--group-add keep-groups`; in a user namespace as well (crun #2224).
fn the_caller_s_groups_stay_if_an_annotation_says_so(ctx: &Ctx<'_>) -> Outcome {
    let cli = ctx.cli()?.behind(&["setpriv", "--groups", "7,3000"]);
    for (annotation, user_namespace, groups) in
        [("1", false, "7 3000"), ("1", true, "7 3000"), ("0", false, ""), ("0", true, "")]
    {
        let mut bundle = ctx.bundle()?;
        bundle.set("/annotations", json!({ "run.oci.keep_original_groups": annotation }));
        // Ids that come from two places cannot be mapped as one range.
        if user_namespace && ctx.host.missing(Need::Root).is_none() {
            bundle.map_users(&[(0, 0, 65_536)])?;
        }
        let reply = cli.run(ctx.new_of(bundle.ops(&["status"]))?).good()?;
        same!(Report::parse(&reply.out)?.status("Groups"), groups, "groups with {annotation}");
    }
    Ok(())
}

/// crun sets it only if the configuration does.
fn umask_defaults_to_0022(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    same!(ctx.see(&mut bundle, &["status"])?.status("Umask"), "0022", "umask");
    Ok(())
}

fn umask_is_set(ctx: &Ctx<'_>) -> Outcome {
    for (umask, text) in [(0o077, "0077"), (0, "0000")] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/process/user/umask", umask);
        same!(ctx.see(&mut bundle, &["status"])?.status("Umask"), text, "umask");
    }
    Ok(())
}

fn below_umask_0177(ctx: &Ctx<'_>, ops: &[&str]) -> Result<Report, crate::Trouble> {
    let cli = ctx.cli()?.behind(&["/bin/sh", "-c", "umask 0177; exec \"$@\"", "sh"]);
    let mut bundle = ctx.bundle()?;
    bundle.mount("/made/here", "tmpfs", "tmpfs", &[]);
    let reply = cli.run(ctx.new_of(bundle.ops(ops))?).good()?;
    Report::parse(&reply.out)
}

fn umask_of_the_caller_is_not_inherited(ctx: &Ctx<'_>) -> Outcome {
    same!(below_umask_0177(ctx, &["status"])?.status("Umask"), "0022", "umask");
    Ok(())
}

/// runc and crun make directories with what the umask leaves of the mode.
fn umask_of_the_caller_does_not_shape_what_is_made(ctx: &Ctx<'_>) -> Outcome {
    let report = below_umask_0177(ctx, &["stat:/made", "lstat:/dev/null"])?;
    same!(report.field("stat:/made", "mode"), "0755", "mode of a made directory");
    same!(report.field("lstat:/dev/null", "mode"), "0666", "mode of a node");
    Ok(())
}

/// `/proc/keys` lists the keyrings that a process possesses.
fn the_session_keyring_is_the_container_s_own_unless_an_annotation_says_otherwise(ctx: &Ctx<'_>) -> Outcome {
    for (annotation, own) in [("", true), ("new", true), ("caller", false)] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/maskedPaths", json!([])).set("/annotations", json!({ "teu.keyring": annotation }));
        let report = ctx.see(&mut bundle, &["read:/proc/keys"])?;
        let named = report.text("read:/proc/keys").contains(&format!("_ses.{}", bundle.id));
        same!(named, own, "keyring of the container with {annotation:?}");
    }
    let mut bundle = ctx.bundle()?;
    ctx.refused(bundle.set("/annotations", json!({ "teu.keyring": "none" })), &["teu.keyring"])
}

fn cwd_is_set(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.dir("some/where", 0o755)?;
    bundle.set("/process/cwd", "/some/where");
    same!(ctx.see(&mut bundle, &["cwd"])?.text("cwd"), "/some/where", "cwd");
    Ok(())
}

fn a_missing_cwd_is_made(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/cwd", "/not/there/yet").set("/root/readonly", false);
    let report = ctx.see(&mut bundle, &["cwd", "stat:/not/there/yet"])?;
    same!(report.text("cwd"), "/not/there/yet", "cwd");
    same!(report.field("stat:/not/there/yet", "mode"), "0755", "mode");
    Ok(())
}

fn a_cwd_only_the_user_may_enter_works(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let home = bundle.dir("home", 0o700)?;
    std::os::unix::fs::chown(home, Some(1000), Some(1000))?;
    bundle.set("/process/cwd", "/home").set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    // Without CAP_DAC_OVERRIDE root cannot enter, so this needs the second chdir, after the change of user.
    same!(ctx.see(&mut bundle, &["cwd"])?.text("cwd"), "/home", "cwd");
    Ok(())
}

fn a_cwd_through_a_link_stays_inside(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.dir("real", 0o755)?;
    symlink("/../../real", bundle.path("link"))?;
    bundle.set("/process/cwd", "/link");
    same!(ctx.see(&mut bundle, &["cwd"])?.text("cwd"), "/real", "cwd");
    Ok(())
}

fn a_cwd_on_a_mount_works(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/srv", "tmpfs", "tmpfs", &[]).set("/process/cwd", "/srv/deep");
    same!(ctx.see(&mut bundle, &["cwd"])?.text("cwd"), "/srv/deep", "cwd");
    Ok(())
}

/// CVE-2024-21626. Both a refusal and a cwd inside the root are right.
fn a_cwd_by_a_descriptor_does_not_lead_out(ctx: &Ctx<'_>) -> Outcome {
    for cwd in (3..16).map(|fd| format!("/proc/self/fd/{fd}")) {
        let mut bundle = ctx.bundle()?;
        bundle.set("/process/cwd", cwd.clone());
        let reply = ctx.run(bundle.ops(&["list:.", "list:../../../..", "stat:/"]))?;
        if reply.code != 0 {
            continue;
        }
        let report = Report::parse(&reply.out)?;
        let shown = report.get("list:../../../..").to_string();
        check!(!shown.contains("\"etc\"") && !shown.contains("\"usr\""), "{cwd} leads to {shown}");
    }
    Ok(())
}

fn environment(report: &Report) -> Vec<&str> {
    report.get("env").as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn environment_is_exact_and_in_order(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let wanted = ["ZED=last letter", "PATH=/bin", "HOME=/h", "A=", "EMPTY==x=y", "UTF=ü\"\\"];
    bundle.set("/process/env", wanted);
    same!(environment(&ctx.see(&mut bundle, &["env"])?), wanted, "environment");
    Ok(())
}

/// runc 1.1 and crun leave the last at the place of the first.
fn of_duplicate_variables_the_last_wins(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/env", ["A=1", "HOME=/h", "B=1", "A=2", "C=1", "A=3"]);
    same!(environment(&ctx.see(&mut bundle, &["env"])?), ["HOME=/h", "B=1", "C=1", "A=3"], "environment");
    Ok(())
}

fn home_comes_from_the_container_s_passwd(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.file("etc/passwd", "root:x:0:0::/r:/bin/sh\nme:x:1000:1000::/home/of-me:/bin/sh\n", 0o644)?;
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    let report = ctx.see(&mut bundle, &["env"])?;
    check!(
        environment(&report).last() == Some(&"HOME=/home/of-me"),
        "environment: {:?}",
        environment(&report)
    );
    bundle.set("/process/user/uid", 7);
    let report = ctx.see(&mut bundle, &["env"])?;
    same!(environment(&report).last(), Some(&"HOME=/"), "home of an unknown user");
    Ok(())
}

fn home_of_the_configuration_stays(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.file("etc/passwd", "root:x:0:0::/from-passwd:/bin/sh\n", 0o644)?;
    bundle.set("/process/env", ["HOME=/mine"]);
    same!(environment(&ctx.see(&mut bundle, &["env"])?), ["HOME=/mine"], "environment");
    Ok(())
}

fn the_caller_s_environment_does_not_leak(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["env"])?;
    for entry in environment(&report) {
        let name = entry.split('=').next().unwrap_or_default();
        check!(["PATH", "TERM", "HOME"].contains(&name), "{name} came from somewhere");
    }
    Ok(())
}

fn arguments_arrive_exactly(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let odd =
        ["args", "print:", "print:  two  blanks ", "print:-x", "print:$HOME", "print:ü\t\"'\\", "print:a\nb"];
    let reply = ctx.run(bundle.ops(&odd))?.good()?;
    let seen = Report::parse(reply.out.lines().last().unwrap_or_default())?;
    let wanted: Vec<&str> = ["/probe"].into_iter().chain(odd).collect();
    same!(seen.get("args"), &json!(wanted), "arguments");
    Ok(())
}

fn the_program_is_found_in_the_container_s_path(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.dir("tools", 0o755)?;
    std::fs::hard_link(bundle.path("probe"), bundle.path("tools/the-probe"))?;
    bundle.file("first/the-probe", "not executable", 0o644)?;
    bundle.set("/process/env", ["PATH=/nowhere:/first:/tools"]).args(&["the-probe", "args"]);
    let reply = ctx.run(&bundle)?.good()?;
    same!(Report::parse(&reply.out)?.get("args"), &json!(["the-probe", "args"]), "arguments");
    Ok(())
}

fn the_program_is_not_searched_on_the_host(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/env", ["PATH=/bin:/usr/bin"]).args(&["sh"]);
    ctx.refused(&bundle, &["exec: \"sh\": executable file not found in $PATH"])
}

fn a_relative_program_starts_from_the_cwd(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.dir("tools", 0o755)?;
    std::fs::hard_link(bundle.path("probe"), bundle.path("tools/run"))?;
    bundle.set("/process/cwd", "/tools").args(&["./run", "cwd"]);
    same!(Report::parse(&ctx.run(&bundle)?.good()?.out)?.text("cwd"), "/tools", "cwd");
    Ok(())
}

fn the_program_may_be_a_link(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    symlink("/probe", bundle.path("link"))?;
    bundle.args(&["/link", "args"]);
    same!(Report::parse(&ctx.run(&bundle)?.good()?.out)?.get("args"), &json!(["/link", "args"]), "arguments");
    Ok(())
}

fn a_script_runs_through_its_interpreter(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.busybox(&["sh"])?;
    bundle.file("script", "#!/bin/sh\necho script $1\n", 0o755)?;
    bundle.args(&["/script", "ran"]);
    same!(ctx.run(&bundle)?.good()?.out, "script ran\n", "output");
    Ok(())
}

const SETS: [(&str, &str); 5] = [
    ("inheritable", "CapInh"),
    ("permitted", "CapPrm"),
    ("effective", "CapEff"),
    ("bounding", "CapBnd"),
    ("ambient", "CapAmb"),
];

/// The number of each capability used here.
const NUMBERS: [(&str, u32); 5] = [
    ("CAP_CHOWN", 0),
    ("CAP_KILL", 5),
    ("CAP_SETPCAP", 8),
    ("CAP_NET_BIND_SERVICE", 10),
    ("CAP_SYS_CHROOT", 18),
];

fn capabilities(ctx: &Ctx<'_>, user: u32, sets: &Value) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle
        .set("/process/user", json!({ "uid": user, "gid": user }))
        .set("/process/capabilities", sets.clone());
    let report = ctx.see(&mut bundle, &["status"])?;
    for (set, key) in SETS {
        let names = sets[set].as_array().cloned().unwrap_or_default();
        let bit = |name: &Value| {
            NUMBERS.iter().find(|(known, _)| name == known).map_or(0, |(_, number)| 1_u64 << number)
        };
        let wanted = names.iter().map(bit).fold(0, |all, bit| all | bit);
        same!(report.status(key), format!("{wanted:016x}"), "{set} set");
    }
    Ok(())
}

fn all_five_capability_sets_are_exact(ctx: &Ctx<'_>) -> Outcome {
    let sets = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT"],
        "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "effective": ["CAP_CHOWN", "CAP_KILL"],
        "inheritable": ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "ambient": ["CAP_KILL"]
    });
    // A user, since execve gives root everything in the bounding set that it may have.
    let mut user = sets.clone();
    user["permitted"] = json!(["CAP_KILL"]);
    user["effective"] = json!(["CAP_KILL"]);
    capabilities(ctx, 1000, &user)
}

fn no_capabilities_means_none(ctx: &Ctx<'_>) -> Outcome {
    capabilities(ctx, 1000, &json!({}))?;
    capabilities(ctx, 0, &json!({ "bounding": [], "permitted": [] }))
}

fn capabilities_survive_a_change_of_user(ctx: &Ctx<'_>) -> Outcome {
    let all = json!(["CAP_CHOWN", "CAP_SYS_CHROOT"]);
    let sets =
        json!({ "bounding": all, "permitted": all, "effective": all, "inheritable": all, "ambient": all });
    capabilities(ctx, 1000, &sets)
}

/// crun refuses it.
fn an_unknown_capability_is_ignored(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let names = json!(["CAP_KILL", "CAP_OF_TOMORROW"]);
    bundle.set("/process/capabilities", json!({ "bounding": names, "permitted": names, "effective": names }));
    same!(ctx.see(&mut bundle, &["status"])?.status("CapBnd"), format!("{:016x}", 1 << 5), "bounding set");
    Ok(())
}

fn rlimits_are_set(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set(
        "/process/rlimits",
        json!([
            { "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 },
            { "type": "RLIMIT_CORE", "soft": 0, "hard": 4096 },
            { "type": "RLIMIT_NPROC", "soft": 50, "hard": 60 },
            { "type": "RLIMIT_STACK", "soft": 1_048_576, "hard": 2_097_152 }
        ]),
    );
    let report = ctx.see(&mut bundle, &["limits"])?;
    let wanted = [
        ("Max open files", ["100", "200"]),
        ("Max core file size", ["0", "4096"]),
        ("Max processes", ["50", "60"]),
        ("Max stack size", ["1048576", "2097152"]),
    ];
    for (name, limits) in wanted {
        same!(report.get("limits")[name], json!(limits), "{name}");
    }
    Ok(())
}

fn absent_rlimits_are_the_caller_s(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.remove("/process/rlimits");
    let report = ctx.see(&mut bundle, &["limits"])?;
    let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_STACK)?;
    let text = |limit: u64| if limit == u64::MAX { "unlimited".to_string() } else { limit.to_string() };
    same!(report.get("limits")["Max stack size"], json!([text(soft), text(hard)]), "stack limit");
    Ok(())
}

fn an_unknown_rlimit_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.push("/process/rlimits", json!({ "type": "RLIMIT_PATIENCE", "soft": 1, "hard": 1 }));
    ctx.refused(&bundle, &["RLIMIT_PATIENCE", "/process/rlimits"])
}

/// runc 1.1 lets the last one win.
fn a_duplicate_rlimit_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let core = json!({ "type": "RLIMIT_CORE", "soft": 0, "hard": 0 });
    bundle.push("/process/rlimits", core.clone()).push("/process/rlimits", core);
    ctx.refused(&bundle, &["RLIMIT_CORE", "/process/rlimits"])
}

fn no_new_privileges_is_set(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    same!(ctx.see(&mut bundle, &["status"])?.status("NoNewPrivs"), "1", "no_new_privs");
    Ok(())
}

fn no_new_privileges_can_be_off(ctx: &Ctx<'_>) -> Outcome {
    for value in [Value::Bool(false), Value::Null] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/process/noNewPrivileges", value);
        same!(ctx.see(&mut bundle, &["status"])?.status("NoNewPrivs"), "0", "no_new_privs");
    }
    Ok(())
}

fn oom_score_is_raised(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/oomScoreAdj", 321);
    let report = ctx.see(&mut bundle, &["read:/proc/self/oom_score_adj"])?;
    same!(report.text("read:/proc/self/oom_score_adj"), "321", "oom_score_adj");
    Ok(())
}

fn oom_score_of_the_caller_stays(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["read:/proc/self/oom_score_adj"])?;
    let own = std::fs::read_to_string("/proc/self/oom_score_adj")?;
    same!(report.text("read:/proc/self/oom_score_adj"), own.trim(), "oom_score_adj");
    Ok(())
}

fn only_stdio(report: &Report) -> Outcome {
    let fds: Vec<String> =
        report.get("fds").as_object().into_iter().flatten().map(|(fd, to)| format!("{fd} {to}")).collect();
    let extra = fds.iter().filter(|line| !["0 ", "1 ", "2 "].iter().any(|stdio| line.starts_with(stdio)));
    same!(extra.collect::<Vec<_>>(), Vec::<&String>::new(), "descriptors beyond stdio");
    Ok(())
}

/// The caller holds twenty descriptors that survive an exec: directories of the host, files, pipes.
fn descriptors_of_the_caller_do_not_leak(ctx: &Ctx<'_>) -> Outcome {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let mut held = Vec::new();
    for index in 0..20 {
        let path = ["/", "/etc/passwd", "/proc/self/ns/mnt", "/dev/null"][index % 4];
        held.push(std::fs::File::open(path)?);
    }
    for fd in &held {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    let mut bundle = ctx.bundle()?;
    only_stdio(&ctx.see(&mut bundle, &["fds"])?)
}

fn descriptors_of_the_runtime_do_not_leak(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.bind(&ctx.host.canary, "/canary", &["rbind", "ro"]);
    only_stdio(&ctx.see(&mut bundle, &["fds"])?)?;
    let mut bundle = ctx.bundle()?;
    let (_container, report) = ctx.sleeping(&mut bundle, &["fds"])?;
    only_stdio(&report)
}

/// SIGPIPE is left out: the probe's own start-up ignores it. So is signal 32, which the C library keeps for itself.
/// runc 1.1 hands the caller's mask on.
fn signals(ctx: &Ctx<'_>, launcher: &[&str], key: &str) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let reply = ctx.cli()?.behind(launcher).run(ctx.new_of(bundle.ops(&["status"]))?).good()?;
    let mask = u64::from_str_radix(&Report::parse(&reply.out)?.status(key), 16)
        .map_err(|error| error.to_string())?;
    same!(mask & !(1 << 12 | 1 << 31), 0, "{key}");
    Ok(())
}

fn ignored_signals_of_the_caller_are_reset(ctx: &Ctx<'_>) -> Outcome {
    signals(ctx, &["/usr/bin/env", "--ignore-signal=HUP,INT,TERM,USR1,CHLD,WINCH"], "SigIgn")
}

fn blocked_signals_of_the_caller_are_unblocked(ctx: &Ctx<'_>) -> Outcome {
    signals(ctx, &["/usr/bin/env", "--block-signal=HUP,USR1,USR2,ALRM"], "SigBlk")
}

fn stdin_is_not_a_terminal(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["isatty:0", "stat:/dev/console"])?;
    same!(report.get("isatty:0"), &Value::Bool(false), "isatty");
    same!(report.text("stat:/dev/console"), "ENOENT", "/dev/console");
    Ok(())
}

fn big_environments_and_arguments_work(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let env: Vec<String> =
        (0..500).map(|index| format!("V{index}={}", "x".repeat(1000))).chain(["HOME=/".into()]).collect();
    bundle.set("/process/env", env.clone());
    let args: Vec<String> = (0..300).map(|index| format!("print:{index}{}", "y".repeat(1000))).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["env"]).collect();
    let reply = ctx.run(bundle.ops(&args))?.good()?;
    let report = Report::parse(reply.out.lines().last().unwrap_or_default())?;
    same!(environment(&report).len(), 501, "variables");
    same!(reply.out.lines().count(), 301, "lines printed");
    Ok(())
}

fn a_config_without_capabilities_rlimits_and_user_works(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    for key in ["capabilities", "rlimits", "noNewPrivileges", "env"] {
        bundle.remove(&format!("/process/{key}"));
    }
    let report = ctx.see(&mut bundle, &["status"])?;
    same!(report.status("CapEff"), "0".repeat(16), "effective set");
    same!(report.status("CapBnd"), "0".repeat(16), "bounding set");
    Ok(())
}
