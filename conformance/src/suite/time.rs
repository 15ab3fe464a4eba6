//! Time namespaces: made, joined, and shifted.

use serde_json::json;

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::{Outcome, check, same, sys};

tests! {
    a_new_time_namespace_differs_from_the_host_s [Need::Time],
    without_a_time_namespace_the_host_s_is_used [Need::Time],
    init_and_its_children_are_in_the_time_namespace [Need::Time],
    time_offsets_shift_the_clocks [Need::Time],
    time_offsets_may_be_negative_and_have_nanoseconds [Need::Time],
    time_offsets_work_in_a_user_namespace [Need::Time, Need::Users],
    time_offsets_work_in_a_joined_user_namespace [Need::Time, Need::Users],
    time_offsets_work_in_a_joined_pid_namespace [Need::Time],
    the_host_s_clocks_are_left_alone [Need::Time],
    a_time_namespace_can_be_joined [Need::Time],
    time_offsets_that_turn_a_clock_negative_are_refused [Need::Time],
    time_offsets_out_of_range_are_refused,
    time_offsets_of_an_unknown_clock_are_refused,
    time_offsets_without_a_time_namespace_are_refused,
    time_offsets_of_a_joined_time_namespace_are_refused,
}

const MONOTONIC: &str = "clock:1";
const BOOTTIME: &str = "clock:7";
const SECOND: i64 = 1_000_000_000;

fn with_time(bundle: &mut Bundle) {
    bundle.push("/linux/namespaces", json!({ "type": "time" }));
}

fn shifted(
    ctx: &Ctx<'_>,
    monotonic: i64,
    boottime: i64,
    edit: impl FnOnce(&mut Bundle) -> Outcome,
) -> Outcome {
    let mut bundle = ctx.bundle()?;
    with_time(&mut bundle);
    let offset = |nanoseconds: i64| json!({ "secs": nanoseconds.div_euclid(SECOND), "nanosecs": nanoseconds.rem_euclid(SECOND) });
    bundle.set("/linux/timeOffsets", json!({ "monotonic": offset(monotonic), "boottime": offset(boottime) }));
    edit(&mut bundle)?;
    let before = [clock(libc::CLOCK_MONOTONIC)?, clock(libc::CLOCK_BOOTTIME)?];
    let report = ctx.see(&mut bundle, &[MONOTONIC, BOOTTIME])?;
    let after = [clock(libc::CLOCK_MONOTONIC)?, clock(libc::CLOCK_BOOTTIME)?];
    for (op, offset, (before, after)) in
        [(MONOTONIC, monotonic, (before[0], after[0])), (BOOTTIME, boottime, (before[1], after[1]))]
    {
        let inside = report.get(op).as_i64().ok_or("no clock")?;
        let shown = inside - offset;
        check!((before..=after).contains(&shown), "{op}: {shown} is not within {before} and {after}");
    }
    Ok(())
}

fn clock(number: i32) -> std::io::Result<i64> {
    let clock = nix::time::ClockId::from_raw(number);
    let now = nix::time::clock_gettime(clock)?;
    Ok(now.tv_sec() * SECOND + now.tv_nsec())
}

fn a_new_time_namespace_differs_from_the_host_s(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    with_time(&mut bundle);
    let report = ctx.see(&mut bundle, &["ns"])?;
    let (inside, host) = (report.field("ns", "time"), sys::namespace("self", "time")?);
    check!(!inside.is_empty() && inside != host, "inside {inside}, host {host}");
    Ok(())
}

fn without_a_time_namespace_the_host_s_is_used(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let report = ctx.see(&mut bundle, &["ns"])?;
    same!(report.field("ns", "time"), sys::namespace("self", "time")?, "time namespace");
    Ok(())
}

fn init_and_its_children_are_in_the_time_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    with_time(&mut bundle);
    let links = ["readlink:/proc/self/ns/time", "readlink:/proc/self/ns/time_for_children"];
    let report = ctx.see(&mut bundle, &links)?;
    same!(report.text(links[0]), report.text(links[1]), "the namespace of init and that of its children");
    Ok(())
}

fn time_offsets_shift_the_clocks(ctx: &Ctx<'_>) -> Outcome {
    shifted(ctx, 86_400 * SECOND, 1_000_000 * SECOND, |_| Ok(()))
}

fn time_offsets_may_be_negative_and_have_nanoseconds(ctx: &Ctx<'_>) -> Outcome {
    shifted(ctx, -SECOND + 999_999_999, 7 * SECOND + 1, |_| Ok(()))
}

fn time_offsets_work_in_a_user_namespace(ctx: &Ctx<'_>) -> Outcome {
    shifted(ctx, 500 * SECOND, 600 * SECOND, |bundle| {
        bundle.map_users(&[(0, 100_000, 65_536)])?;
        Ok(())
    })
}

fn time_offsets_work_in_a_joined_user_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut owner = ctx.bundle()?;
    owner.map_users(&[(0, 100_000, 65_536)])?;
    let (owner, _) = ctx.sleeping(&mut owner, &[])?;
    shifted(ctx, 500 * SECOND, 600 * SECOND, |bundle| {
        std::os::unix::fs::chown(bundle.rootfs(), Some(100_000), Some(100_000))?;
        bundle.join("user", &format!("/proc/{}/ns/user", owner.pid));
        Ok(())
    })
}

fn time_offsets_work_in_a_joined_pid_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut owner = ctx.bundle()?;
    let (owner, _) = ctx.sleeping(&mut owner, &[])?;
    shifted(ctx, 500 * SECOND, 600 * SECOND, |bundle| {
        bundle.join("pid", &format!("/proc/{}/ns/pid", owner.pid));
        Ok(())
    })
}

fn the_host_s_clocks_are_left_alone(ctx: &Ctx<'_>) -> Outcome {
    let ours = || {
        Ok::<_, std::io::Error>((
            sys::namespace("self", "time")?,
            sys::namespace("self", "time_for_children")?,
        ))
    };
    let before = ours()?;
    shifted(ctx, 500 * SECOND, 600 * SECOND, |_| Ok(()))?;
    same!(ours()?, before, "time namespaces of the caller");
    Ok(())
}

fn a_time_namespace_can_be_joined(ctx: &Ctx<'_>) -> Outcome {
    let mut owner = ctx.bundle()?;
    with_time(&mut owner);
    owner.set("/linux/timeOffsets", json!({ "boottime": { "secs": 7_000_000 } }));
    let (owner, theirs) = ctx.sleeping(&mut owner, &["ns"])?;
    let mut joiner = ctx.bundle()?;
    joiner.join("time", &format!("/proc/{}/ns/time", owner.pid));
    let before = clock(libc::CLOCK_BOOTTIME)?;
    let ours = ctx.see(&mut joiner, &["ns", BOOTTIME])?;
    same!(ours.field("ns", "time"), theirs.field("ns", "time"), "time namespace");
    check!(
        ours.get(BOOTTIME).as_i64().unwrap_or(0) >= before + 7_000_000 * SECOND,
        "the clock is not shifted"
    );
    Ok(())
}

fn time_offsets_that_turn_a_clock_negative_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    with_time(&mut bundle);
    bundle.set("/linux/timeOffsets", json!({ "boottime": { "secs": -9_000_000_000_i64 } }));
    ctx.refused(&bundle, &["/linux/timeOffsets", "result out of range", "out of range"])
}

fn refused_offsets(ctx: &Ctx<'_>, offsets: serde_json::Value, texts: &[&str]) -> Outcome {
    let mut bundle = ctx.bundle()?;
    with_time(&mut bundle);
    bundle.set("/linux/timeOffsets", offsets);
    ctx.refused(&bundle, texts)
}

fn time_offsets_out_of_range_are_refused(ctx: &Ctx<'_>) -> Outcome {
    refused_offsets(
        ctx,
        json!({ "boottime": { "nanosecs": SECOND } }),
        &["/linux/timeOffsets", "invalid argument"],
    )?;
    refused_offsets(ctx, json!({ "boottime": { "secs": i64::MAX } }), &["/linux/timeOffsets", "out of range"])
}

fn time_offsets_of_an_unknown_clock_are_refused(ctx: &Ctx<'_>) -> Outcome {
    refused_offsets(ctx, json!({ "realtime": { "secs": 1 } }), &["realtime", "invalid argument"])
}

fn time_offsets_without_a_time_namespace_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/timeOffsets", json!({ "boottime": { "secs": 1 } }));
    let text = "time namespace offsets specified, but time namespace isn't enabled in the config";
    ctx.refused(&bundle, &[text, "time namespace"])
}

fn time_offsets_of_a_joined_time_namespace_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.join("time", "/proc/self/ns/time").set("/linux/timeOffsets", json!({ "boottime": { "secs": 1 } }));
    ctx.refused(&bundle, &["both namespace path and time offsets specified", "/linux/timeOffsets", "time"])
}
