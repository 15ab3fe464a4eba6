//! `linux.seccomp`: what each action does to a program, which calls a rule meets, and what init itself needs.

use serde_json::{Value, json};

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same};

tests! {
    a_call_with_errno_fails_with_it,
    errno_without_a_number_is_eperm,
    the_default_action_has_its_errno,
    a_call_that_kills_the_process_ends_it_by_sigsys,
    a_call_that_kills_the_thread_leaves_the_others,
    a_call_that_traps_ends_a_process_without_a_handler,
    a_traced_call_without_a_tracer_is_enosys,
    a_logged_call_is_allowed,
    an_allowed_call_of_a_strict_profile_works,
    operators_compare_whole_arguments,
    conditions_on_several_arguments_must_all_hold,
    conditions_on_one_argument_are_alternatives,
    conditions_may_be_as_many_as_the_kernel_takes,
    a_call_newer_than_the_profile_is_enosys,
    the_filter_is_in_force_with_no_new_privileges,
    the_filter_is_in_force_without_no_new_privileges,
    capabilities_are_exact_under_a_filter_without_no_new_privileges,
    the_right_to_load_a_filter_stays_where_it_was_given,
    a_filter_is_loaded_in_a_user_namespace [Need::Users],
    flags_may_be_absent_empty_or_named,
    init_needs_few_calls_with_no_new_privileges,
    init_needs_few_calls_without_no_new_privileges,
    a_profile_without_read_is_refused,
    a_profile_without_write_is_refused,
    a_profile_that_kills_at_close_is_refused,
    a_profile_without_execve_ends_at_start,
    debian_runs_a_shell_under_a_full_profile [Need::Debian],
    malformed_profiles_are_refused,
    a_profile_that_makes_no_filter_leaves_nothing,
    an_unknown_call_is_ignored_or_refused_as_asked,
    a_filter_may_come_compiled,
    features_name_what_profiles_may_say [Need::Cli],
}

/// Values of an argument that come to a filter of nearly 4096 instructions, each of four.
const MANY: u64 = 1000;

/// The guinea pig: nobody calls it, it takes any argument and does nothing.
pub(super) const CALL: &str = "sched_get_priority_max";

pub(super) fn call(args: &[u64]) -> String {
    let numbers = args.iter().map(|arg| format!(":{arg}")).collect::<String>();
    format!("call:{}{numbers}", libc::SYS_sched_get_priority_max)
}

pub(super) fn rule(names: &[&str], action: &str) -> Value {
    json!({ "names": names, "action": action })
}

pub(super) fn errno(names: &[&str], errno: u32) -> Value {
    json!({ "names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno })
}

pub(super) fn profile<'b>(bundle: &'b mut Bundle, default: &str, rules: &[Value]) -> &'b mut Bundle {
    bundle.set("/linux/seccomp", json!({ "defaultAction": default, "syscalls": rules }))
}

/// What the probe sees under a profile that allows the rest.
fn see(ctx: &Ctx<'_>, rules: &[Value], ops: &[&str]) -> Result<Report, Trouble> {
    let mut bundle = ctx.bundle()?;
    profile(&mut bundle, "SCMP_ACT_ALLOW", rules);
    ctx.see(&mut bundle, ops)
}

/// What the probe's call gives under one rule for it.
fn outcome(ctx: &Ctx<'_>, action: &str) -> Result<String, Trouble> {
    let op = format!("child:{}", call(&[0]));
    Ok(see(ctx, &[rule(&[CALL], action)], &[&op])?.text(&op).to_owned())
}

fn a_call_with_errno_fails_with_it(ctx: &Ctx<'_>) -> Outcome {
    let op = call(&[0]);
    for number in [0, 77, 4095] {
        let report = see(ctx, &[errno(&[CALL], number)], &[&op, "cwd"])?;
        let expected = if number == 0 { "ok".to_owned() } else { format!("errno {number}") };
        same!(report.text(&op), expected, "answer");
        same!(report.text("cwd"), "/", "a call without a rule");
    }
    Ok(())
}

fn errno_without_a_number_is_eperm(ctx: &Ctx<'_>) -> Outcome {
    let op = call(&[0]);
    same!(see(ctx, &[rule(&[CALL], "SCMP_ACT_ERRNO")], &[&op])?.text(&op), "EPERM", "answer");
    Ok(())
}

fn the_default_action_has_its_errno(ctx: &Ctx<'_>) -> Outcome {
    let op = call(&[0]);
    let mut bundle = ctx.bundle()?;
    full(&mut bundle).set("/linux/seccomp/defaultErrnoRet", 77);
    let names: Vec<&str> = FULL.split_whitespace().filter(|name| *name != CALL).collect();
    bundle.set("/linux/seccomp/syscalls/0/names", names);
    same!(ctx.see(&mut bundle, &[&op])?.text(&op), "errno 77", "answer");
    Ok(())
}

fn a_call_that_kills_the_process_ends_it_by_sigsys(ctx: &Ctx<'_>) -> Outcome {
    same!(outcome(ctx, "SCMP_ACT_KILL_PROCESS")?, "signal 31", "end of the process");
    let op = format!("child:thread:{}", call(&[0]));
    let report = see(ctx, &[rule(&[CALL], "SCMP_ACT_KILL_PROCESS")], &[&op])?;
    same!(report.text(&op), "signal 31", "end of the process of the thread");
    Ok(())
}

fn a_call_that_kills_the_thread_leaves_the_others(ctx: &Ctx<'_>) -> Outcome {
    let op = format!("thread:{}", call(&[0]));
    for action in ["SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL"] {
        same!(see(ctx, &[rule(&[CALL], action)], &[&op])?.text(&op), "the thread is gone", "{action}");
    }
    same!(see(ctx, &[], &[&op])?.text(&op), "the thread lives", "without a rule");
    Ok(())
}

fn a_call_that_traps_ends_a_process_without_a_handler(ctx: &Ctx<'_>) -> Outcome {
    same!(outcome(ctx, "SCMP_ACT_TRAP")?, "signal 31", "end of the process");
    Ok(())
}

fn a_traced_call_without_a_tracer_is_enosys(ctx: &Ctx<'_>) -> Outcome {
    let op = call(&[0]);
    same!(see(ctx, &[rule(&[CALL], "SCMP_ACT_TRACE")], &[&op])?.text(&op), "errno 38", "answer");
    Ok(())
}

fn a_logged_call_is_allowed(ctx: &Ctx<'_>) -> Outcome {
    same!(outcome(ctx, "SCMP_ACT_LOG")?, "exit 0", "end of the process");
    Ok(())
}

fn an_allowed_call_of_a_strict_profile_works(ctx: &Ctx<'_>) -> Outcome {
    let (allowed, denied) = (call(&[0]), format!("call:{}", libc::SYS_keyctl));
    let mut bundle = ctx.bundle()?;
    full(&mut bundle);
    let report = ctx.see(&mut bundle, &[&allowed, &denied])?;
    same!(report.text(&allowed), "ok", "allowed");
    same!(report.text(&denied), "EPERM", "not allowed");
    Ok(())
}

/// A rule for CALL, if its first argument compares.
fn compares(op: &str, value: u64, two: u64) -> Value {
    let args = json!([{ "index": 0, "value": value, "valueTwo": two, "op": op }]);
    json!({ "names": [CALL], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "args": args })
}

fn operators_compare_whole_arguments(ctx: &Ctx<'_>) -> Outcome {
    const HIGH: u64 = 1 << 32;
    let values = [0, 4, 5, 6, HIGH, HIGH + 4, HIGH + 5, HIGH + 6, u64::MAX];
    type Meets = fn(u64) -> bool;
    let cases: [(&str, u64, u64, Meets); 7] = [
        ("SCMP_CMP_NE", HIGH + 5, 0, |arg| arg != HIGH + 5),
        ("SCMP_CMP_LT", HIGH + 5, 0, |arg| arg < HIGH + 5),
        ("SCMP_CMP_LE", HIGH + 5, 0, |arg| arg <= HIGH + 5),
        ("SCMP_CMP_EQ", HIGH + 5, 0, |arg| arg == HIGH + 5),
        ("SCMP_CMP_GE", HIGH + 5, 0, |arg| arg >= HIGH + 5),
        ("SCMP_CMP_GT", HIGH + 5, 0, |arg| arg > HIGH + 5),
        ("SCMP_CMP_MASKED_EQ", HIGH | 1, HIGH, |arg| arg & (HIGH | 1) == HIGH),
    ];
    let ops: Vec<String> = values.iter().map(|value| call(&[*value])).collect();
    let ops: Vec<&str> = ops.iter().map(String::as_str).collect();
    for (op, value, two, meets) in cases {
        let report = see(ctx, &[compares(op, value, two)], &ops)?;
        for (arg, op_of_probe) in values.iter().zip(&ops) {
            same!(report.text(op_of_probe) == "errno 77", meets(*arg), "{op} {value:#x} met by {arg:#x}");
        }
    }
    Ok(())
}

/// Whether calls with these arguments meet a rule with these conditions of equality.
fn met(ctx: &Ctx<'_>, conditions: &[(u32, u64)], calls: &[&[u64]]) -> Result<Vec<bool>, Trouble> {
    let args: Vec<Value> = conditions
        .iter()
        .map(|(index, value)| json!({ "index": index, "value": value, "op": "SCMP_CMP_EQ" }))
        .collect();
    let rule = json!({ "names": [CALL], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "args": args });
    let ops: Vec<String> = calls.iter().map(|args| call(args)).collect();
    let ops: Vec<&str> = ops.iter().map(String::as_str).collect();
    let report = see(ctx, &[rule], &ops)?;
    Ok(ops.iter().map(|op| report.text(op) == "errno 77").collect())
}

fn conditions_on_several_arguments_must_all_hold(ctx: &Ctx<'_>) -> Outcome {
    let found =
        met(ctx, &[(0, 1), (5, 2)], &[&[1, 0, 0, 0, 0, 2], &[1, 0, 0, 0, 0, 3], &[0, 0, 0, 0, 0, 2]])?;
    same!(found, [true, false, false], "calls that meet the rule");
    Ok(())
}

fn conditions_on_one_argument_are_alternatives(ctx: &Ctx<'_>) -> Outcome {
    let found = met(ctx, &[(0, 1), (0, 2)], &[&[1], &[2], &[3]])?;
    same!(found, [true, true, false], "calls that meet the rule");
    Ok(())
}

fn conditions_may_be_as_many_as_the_kernel_takes(ctx: &Ctx<'_>) -> Outcome {
    let values: Vec<(u32, u64)> = (0..MANY).map(|value| (0, value << 16)).collect();
    let found = met(ctx, &values, &[&[0], &[(MANY - 1) << 16], &[MANY << 16], &[1]])?;
    same!(found, [true, true, false, false], "calls that meet the rule");
    Ok(())
}

/// runc's stub: a C library that finds ENOSYS falls back to an older call, one that finds EPERM does not.
fn a_call_newer_than_the_profile_is_enosys(ctx: &Ctx<'_>) -> Outcome {
    let (newer, older) = ("call:499", format!("call:{}", libc::SYS_keyctl));
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(full(&mut bundle), &[newer, &older])?;
    same!(report.text(newer), "errno 38", "a call that nobody knows yet");
    same!(report.text(&older), "EPERM", "a call that the profile leaves out");
    Ok(())
}

fn in_force(ctx: &Ctx<'_>, no_new_privileges: bool) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/noNewPrivileges", no_new_privileges);
    profile(&mut bundle, "SCMP_ACT_ALLOW", &[errno(&[CALL], 77)]);
    let op = call(&[0]);
    let report = ctx.see(&mut bundle, &["status", &op])?;
    same!(report.status("Seccomp"), "2", "mode");
    same!(report.status("Seccomp_filters"), "1", "filters");
    same!(report.status("NoNewPrivs"), u8::from(no_new_privileges).to_string(), "no_new_privs");
    same!(report.text(&op), "errno 77", "answer");
    Ok(())
}

fn the_filter_is_in_force_with_no_new_privileges(ctx: &Ctx<'_>) -> Outcome {
    in_force(ctx, true)
}

fn the_filter_is_in_force_without_no_new_privileges(ctx: &Ctx<'_>) -> Outcome {
    in_force(ctx, false)
}

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/// The five sets of a user with CAP_KILL in all of them, with and without a filter.
fn sets(ctx: &Ctx<'_>, filter: bool, capabilities: &[&str]) -> Result<Vec<String>, Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/noNewPrivileges", false).set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
        bundle.set(&format!("/process/capabilities/{set}"), capabilities);
    }
    if filter {
        profile(&mut bundle, "SCMP_ACT_ALLOW", &[errno(&[CALL], 77)]);
    }
    let report = ctx.see(&mut bundle, &["status"])?;
    same!(report.status("Seccomp"), if filter { "2" } else { "0" }, "mode");
    Ok(SETS.iter().map(|set| report.status(set)).collect())
}

fn capabilities_are_exact_under_a_filter_without_no_new_privileges(ctx: &Ctx<'_>) -> Outcome {
    same!(sets(ctx, true, &["CAP_KILL"])?, vec!["0000000000000020"; 5], "sets");
    same!(sets(ctx, true, &[])?, vec!["0000000000000000"; 5], "sets");
    Ok(())
}

fn the_right_to_load_a_filter_stays_where_it_was_given(ctx: &Ctx<'_>) -> Outcome {
    let given = ["CAP_KILL", "CAP_SYS_ADMIN"];
    same!(sets(ctx, true, &given)?, vec!["0000000000200020"; 5], "sets");
    Ok(())
}

fn a_filter_is_loaded_in_a_user_namespace(ctx: &Ctx<'_>) -> Outcome {
    for no_new_privileges in [true, false] {
        let mut bundle = ctx.bundle()?;
        bundle.map_users(&[(0, 200_000, 65_536)])?.set("/process/noNewPrivileges", no_new_privileges);
        profile(&mut bundle, "SCMP_ACT_ALLOW", &[errno(&[CALL], 77)]);
        let op = call(&[0]);
        let report = ctx.see(&mut bundle, &["status", &op])?;
        same!(report.status("Seccomp"), "2", "mode");
        same!(report.text(&op), "errno 77", "answer");
    }
    Ok(())
}

fn flags_may_be_absent_empty_or_named(ctx: &Ctx<'_>) -> Outcome {
    let all = ["LOG", "SPEC_ALLOW", "TSYNC"].map(|flag| format!("SECCOMP_FILTER_FLAG_{flag}"));
    for (flags, mitigated) in [
        (Value::Null, false),
        (json!([]), true),
        (json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]), false),
        (json!(all), false),
    ] {
        let mut bundle = ctx.bundle()?;
        profile(&mut bundle, "SCMP_ACT_ALLOW", &[errno(&[CALL], 77)]);
        if !flags.is_null() {
            bundle.set("/linux/seccomp/flags", flags.clone());
        }
        let report = ctx.see(&mut bundle, &["status"])?;
        same!(report.status("Seccomp"), "2", "mode with flags {flags}");
        let speculation = report.status("Speculation_Store_Bypass");
        // Whether the kernel mitigates for filtered threads depends on the processor and its command line.
        if speculation.starts_with("thread ") && !mitigated {
            check!(!speculation.contains("mitigated"), "flags {flags}: {speculation}");
        }
    }
    Ok(())
}

/// Under the profile nothing of what sets a process up may be called any more.
fn init_needs_few_calls(ctx: &Ctx<'_>, no_new_privileges: bool) -> Outcome {
    // Not what the probe itself begins with: prlimit64, fcntl, open.
    let set_up = [
        "prctl",
        "setgroups",
        "setresuid",
        "setresgid",
        "setuid",
        "setgid",
        "umask",
        "chdir",
        "fchdir",
        "close_range",
        "sendmsg",
        "recvmsg",
        "sendto",
        "recvfrom",
        "faccessat2",
        "getcwd",
        "mount",
        "pivot_root",
        "setsid",
        "dup3",
        "seccomp",
        "openat2",
        "kill",
        "keyctl",
        "unshare",
        "capget",
    ];
    let mut bundle = ctx.bundle()?;
    bundle
        .set("/process/noNewPrivileges", no_new_privileges)
        .set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    profile(&mut bundle, "SCMP_ACT_ALLOW", &[rule(&set_up, "SCMP_ACT_KILL_PROCESS")]);
    same!(ctx.see(&mut bundle, &["args"])?.get("args")[1], "args", "arguments");
    Ok(())
}

fn init_needs_few_calls_with_no_new_privileges(ctx: &Ctx<'_>) -> Outcome {
    init_needs_few_calls(ctx, true)
}

fn init_needs_few_calls_without_no_new_privileges(ctx: &Ctx<'_>) -> Outcome {
    init_needs_few_calls(ctx, false)
}

/// What init needs and does not get is an error of create that says so; it never hangs.
fn refused_for(ctx: &Ctx<'_>, call: &str, actions: &[&str]) -> Outcome {
    for action in actions {
        let mut bundle = ctx.bundle()?;
        profile(&mut bundle, "SCMP_ACT_ALLOW", &[rule(&[call], action)]);
        ctx.refused(&bundle, &["seccomp profile init needs read, write, close and execve"])
            .map_err(|trouble| trouble.at(action))?;
    }
    Ok(())
}

const HARD: [&str; 4] = ["SCMP_ACT_ERRNO", "SCMP_ACT_TRAP", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD"];

fn a_profile_without_read_is_refused(ctx: &Ctx<'_>) -> Outcome {
    refused_for(ctx, "read", &HARD)
}

fn a_profile_without_write_is_refused(ctx: &Ctx<'_>) -> Outcome {
    refused_for(ctx, "write", &HARD)
}

fn a_profile_that_kills_at_close_is_refused(ctx: &Ctx<'_>) -> Outcome {
    refused_for(ctx, "close", &HARD[1..])
}

/// As with runc: it shows when the program is to run, because only then it is called.
fn a_profile_without_execve_ends_at_start(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    profile(&mut bundle, "SCMP_ACT_ALLOW", &[rule(&["execve"], "SCMP_ACT_ERRNO")]);
    let container = ctx.created(&bundle)?;
    let _ = container.start();
    container.ended()?;
    same!(container.status()?, "stopped", "status");
    container.delete()
}

/// Most of what exists, as engines allow it by default.
const FULL: &str = include_str!("docker_like.txt");

fn full(bundle: &mut Bundle) -> &mut Bundle {
    let names: Vec<&str> = FULL.split_whitespace().collect();
    let arg = |index: u32, value: u64, two: u64, op: &str| json!([{ "index": index, "value": value, "valueTwo": two, "op": op }]);
    let with = |name: &str, args: Value| json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": args });
    let mut rules = vec![rule(&names, "SCMP_ACT_ALLOW"), with("socket", arg(0, 40, 0, "SCMP_CMP_NE"))];
    for persona in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] {
        rules.push(with("personality", arg(0, persona, 0, "SCMP_CMP_EQ")));
    }
    rules.push(with("clone", arg(0, 0x7e02_0000, 0, "SCMP_CMP_MASKED_EQ")));
    rules.push(errno(&["clone3"], 38));
    profile(bundle, "SCMP_ACT_ERRNO", &rules)
        .set("/linux/seccomp/defaultErrnoRet", 1)
        .set("/linux/seccomp/architectures", json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]))
}

fn debian_runs_a_shell_under_a_full_profile(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.debian()?;
    let script = "set -e; ls -l / | sort | wc -l > /tmp/n; test $(cat /tmp/n) -gt 5; (sleep 0 & wait); unshare -U true 2>/dev/null || echo denied";
    full(bundle.mount("/tmp", "tmpfs", "tmpfs", &["mode=1777"])).args(&["sh", "-c", script]);
    for no_new_privileges in [true, false] {
        bundle.set("/process/noNewPrivileges", no_new_privileges);
        same!(ctx.run(&bundle)?.good()?.out, "denied\n", "output");
    }
    Ok(())
}

fn malformed_profiles_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let cases = [
        ("/linux/seccomp/defaultAction", json!("SCMP_ACT_PERHAPS")),
        ("/linux/seccomp/defaultErrnoRet", json!(5)),
        ("/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_NONE"])),
        ("/linux/seccomp/architectures", json!(["SCMP_ARCH_PDP11"])),
        ("/linux/seccomp/syscalls/0/action", json!(7)),
        ("/linux/seccomp/syscalls/0/errnoRet", json!(4096)),
        ("/linux/seccomp/syscalls/0/errnoRet", json!(-1)),
        ("/linux/seccomp/syscalls/0/args", json!([{ "index": 6, "value": 0, "op": "SCMP_CMP_EQ" }])),
        ("/linux/seccomp/syscalls/0/args", json!([{ "index": 0, "value": 0, "op": "SCMP_CMP_IS" }])),
        ("/linux/seccomp/syscalls/0/args", json!([{ "index": 0, "value": -1, "op": "SCMP_CMP_EQ" }])),
    ];
    for (place, value) in cases {
        let mut bundle = ctx.bundle()?;
        profile(&mut bundle, "SCMP_ACT_ALLOW", &[errno(&[CALL], 77)]).set(place, value.clone());
        ctx.refused(&bundle, &[place]).map_err(|trouble| trouble.at(format!("{place} {value}")))?;
    }
    Ok(())
}

/// That is found when init runs already.
fn a_profile_that_makes_no_filter_leaves_nothing(ctx: &Ctx<'_>) -> Outcome {
    let values = (0..2 * MANY).map(|value| json!({ "index": 0, "value": value << 16, "op": "SCMP_CMP_EQ" }));
    let long = Value::from_iter(values);
    let cases = [
        (
            "/linux/seccomp/architectures",
            json!(["SCMP_ARCH_S390X"]),
            "of this machine (config.json: /linux/seccomp/architectures/0)",
        ),
        ("/linux/seccomp/syscalls/0/args", long, "argument conditions (config.json: /linux/seccomp)"),
    ];
    for (place, value, text) in cases {
        let mut bundle = ctx.bundle()?;
        profile(&mut bundle, "SCMP_ACT_ALLOW", &[errno(&[CALL], 77)]).set(place, value);
        ctx.refused(&bundle, &[text]).map_err(|trouble| trouble.at(place))?;
    }
    Ok(())
}

fn an_unknown_call_is_ignored_or_refused_as_asked(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    profile(&mut bundle, "SCMP_ACT_ALLOW", &[errno(&["make_coffee", CALL], 77)]);
    let op = call(&[0]);
    same!(ctx.see(&mut bundle, &[&op])?.text(&op), "errno 77", "the known one");
    bundle.set("/annotations", json!({ "run.oci.seccomp_fail_unknown_syscall": "1" }));
    ctx.refused(&bundle, &["/linux/seccomp/syscalls/0/names/0"])
}

fn a_filter_may_come_compiled(ctx: &Ctx<'_>) -> Outcome {
    // Load the number; if it is that of CALL return ERRNO 77, else allow.
    const TEXT: [&str; 2] =
        ["IAAAAAAAAAAVAAABkgAAAAYAAABNAAUABgAAAAAA/38=", "IAAAAAAAAAAVAAABfQAAAAYAAABNAAUABgAAAAAA/38="];
    let text = if cfg!(target_arch = "x86_64") { TEXT[0] } else { TEXT[1] };
    let mut bundle = ctx.bundle()?;
    profile(&mut bundle, "SCMP_ACT_KILL", &[]);
    bundle.set("/annotations", json!({ "run.oci.seccomp_bpf_data": text }));
    let op = call(&[0]);
    same!(ctx.see(&mut bundle, &[&op])?.text(&op), "errno 77", "answer");
    for bad in ["IAAA", "no base64", "AAAAAAAAAAA="] {
        bundle.set("/annotations", json!({ "run.oci.seccomp_bpf_data": bad }));
        ctx.refused(&bundle, &["run.oci.seccomp_bpf_data"]).map_err(|trouble| trouble.at(bad))?;
    }
    Ok(())
}

fn features_name_what_profiles_may_say(ctx: &Ctx<'_>) -> Outcome {
    let reply = ctx.cli()?.call(&["features"]).good()?;
    let features: Value = serde_json::from_str(&reply.out).map_err(|error| error.to_string())?;
    let seccomp = &features["linux"]["seccomp"];
    same!(seccomp["enabled"], true, "enabled");
    let counts = [("actions", 9), ("operators", 7), ("knownFlags", 4)];
    for (list, count) in counts {
        same!(seccomp[list].as_array().map(Vec::len), Some(count), "{list}");
    }
    let has =
        |list: &str, name: &str| seccomp[list].as_array().is_some_and(|list| list.contains(&json!(name)));
    check!(has("archs", "SCMP_ARCH_X86_64") && has("archs", "SCMP_ARCH_AARCH64"), "{seccomp}");
    check!(has("supportedFlags", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"), "{seccomp}");
    Ok(())
}
