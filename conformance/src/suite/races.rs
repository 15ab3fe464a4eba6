//! Several commands at once on one id, and creators that are killed at any moment.

use std::fs;
use std::time::{Duration, Instant};

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::{Container, Ctx};
use crate::driver::{New, Reply};
use crate::host::Need;
use crate::{Outcome, Trouble, check, same, sys};

tests! {
    of_eight_creates_of_one_id_exactly_one_wins,
    of_two_starts_exactly_one_wins,
    of_two_deletes_one_wins_and_nothing_is_left,
    two_deletes_by_force_both_succeed,
    a_kill_during_delete_leaves_nothing,
    a_start_during_delete_leaves_nothing,
    state_during_create_is_an_answer_or_no_container,
    eight_containers_can_be_made_at_once,
    a_creator_killed_at_any_moment_leaves_what_delete_can_remove [Need::Cli],
    a_killed_creator_does_not_block_the_id [Need::Cli],
    a_killed_start_leaves_a_usable_container [Need::Cli],
    a_killed_delete_can_be_repeated [Need::Cli],
    a_killed_foreground_run_leaves_what_delete_can_remove [Need::Cli],
}

/// The same call from several threads at once.
fn at_once<T: Send>(count: usize, call: impl Fn() -> T + Sync) -> Vec<T> {
    let gate = std::sync::Barrier::new(count);
    std::thread::scope(|scope| {
        let one = || {
            gate.wait();
            call()
        };
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(one)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

/// Two different calls at once.
fn both<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B,
) -> Result<(A, B), Trouble> {
    let (first, second) = std::thread::scope(|scope| {
        let thread = scope.spawn(one);
        let second = other();
        (thread.join(), second)
    });
    Ok((first.map_err(|_| "a thread panicked")?, second))
}

fn winners(replies: &[Reply]) -> usize {
    replies.iter().filter(|reply| reply.code == 0).count()
}

fn sleeper(ctx: &Ctx<'_>) -> Result<Bundle, Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.ops(&["sleep"]);
    Ok(bundle)
}

/// runc 1.1 checks first and makes later: two can win, or a loser removes the winner's state.
fn of_eight_creates_of_one_id_exactly_one_wins(ctx: &Ctx<'_>) -> Outcome {
    for _ in 0..3 {
        let bundle = sleeper(ctx)?;
        bundle.write()?;
        let driver = ctx.driver;
        let new = || New { id: &bundle.id, bundle: bundle.dir.clone(), ..New::default() };
        let replies = at_once(8, || driver.create(new()));
        let status = ctx.status(&bundle.id);
        let deleted = driver.delete(&bundle.id, true);
        same!(winners(&replies), 1, "winners of {replies:?}");
        same!(status?, "created", "status");
        deleted.good()?;
        for loser in replies.iter().filter(|reply| reply.code != 0) {
            check!(loser.code == 1 && loser.err.contains("exist"), "a loser says {loser:?}");
        }
    }
    Ok(())
}

/// runc 1.1 can report success twice.
fn of_two_starts_exactly_one_wins(ctx: &Ctx<'_>) -> Outcome {
    for _ in 0..5 {
        let bundle = sleeper(ctx)?;
        let container = ctx.created(&bundle)?;
        let (driver, id) = (ctx.driver, container.id.as_str());
        let replies = at_once(2, || driver.start(id));
        same!(winners(&replies), 1, "winners of {replies:?}");
        same!(container.status()?, "running", "status");
    }
    Ok(())
}

fn of_two_deletes_one_wins_and_nothing_is_left(ctx: &Ctx<'_>) -> Outcome {
    for _ in 0..5 {
        let bundle = sleeper(ctx)?;
        let container = ctx.created(&bundle)?;
        let (driver, id) = (ctx.driver, container.id.as_str());
        let replies = at_once(2, || driver.delete(id, false));
        check!(winners(&replies) >= 1, "nobody won: {replies:?}");
        check!(ctx.driver.state(id).code == 1, "the container still exists: {replies:?}");
    }
    Ok(())
}

fn two_deletes_by_force_both_succeed(ctx: &Ctx<'_>) -> Outcome {
    for _ in 0..5 {
        let bundle = sleeper(ctx)?;
        let container = ctx.started(&bundle)?;
        let (driver, id) = (ctx.driver, container.id.as_str());
        let replies = at_once(2, || driver.delete(id, true));
        same!(winners(&replies), 2, "winners of {replies:?}");
    }
    Ok(())
}

fn a_kill_during_delete_leaves_nothing(ctx: &Ctx<'_>) -> Outcome {
    for _ in 0..5 {
        let bundle = sleeper(ctx)?;
        let container = ctx.started(&bundle)?;
        let (driver, id) = (ctx.driver, container.id.as_str());
        let (deleted, killed) = both(|| driver.delete(id, true), || driver.kill(id, "KILL", false))?;
        deleted.good()?;
        check!([0, 1].contains(&killed.code), "kill: {killed:?}");
        check!(driver.state(id).code == 1, "the container still exists");
    }
    Ok(())
}

fn a_start_during_delete_leaves_nothing(ctx: &Ctx<'_>) -> Outcome {
    for _ in 0..5 {
        let bundle = sleeper(ctx)?;
        let container = ctx.created(&bundle)?;
        let (driver, id) = (ctx.driver, container.id.as_str());
        let (deleted, started) = both(|| driver.delete(id, true), || driver.start(id))?;
        deleted.good()?;
        check!([0, 1].contains(&started.code), "start: {started:?}");
        check!(driver.state(id).code == 1, "the container still exists");
    }
    Ok(())
}

/// Asks all the time while a container is made.
fn state_during_create_is_an_answer_or_no_container(ctx: &Ctx<'_>) -> Outcome {
    let bundle = sleeper(ctx)?;
    bundle.write()?;
    let (driver, id) = (ctx.driver, bundle.id.as_str());
    let new = New { id, bundle: bundle.dir.clone(), ..New::default() };
    let done = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    let create = || {
        let reply = driver.create(new);
        done.store(true, order);
        reply
    };
    let ask = || {
        let mut odd = Vec::new();
        while !done.load(order) {
            let reply = driver.state(id);
            let known = reply.code == 1 && reply.err.contains("does not exist");
            let status =
                ["creating", "created"].iter().any(|word| reply.out.contains(&format!("\"{word}\"")));
            if !known && (reply.code != 0 || !status) {
                odd.push(reply);
            }
        }
        odd
    };
    let (created, odd) = both(create, ask)?;
    let deleted = driver.delete(id, true);
    created.good()?;
    deleted.good()?;
    check!(odd.is_empty(), "odd answers: {odd:?}");
    Ok(())
}

fn eight_containers_can_be_made_at_once(ctx: &Ctx<'_>) -> Outcome {
    let mut bundles = Vec::new();
    for _ in 0..8 {
        let mut bundle = ctx.bundle()?;
        bundle.ops(&["exit:5"]).write()?;
        bundles.push(bundle);
    }
    let driver = ctx.driver;
    let next = std::sync::atomic::AtomicUsize::new(0);
    let replies = at_once(8, || {
        let index = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        bundles
            .get(index)
            .map(|bundle| driver.run(New { id: &bundle.id, bundle: bundle.dir.clone(), ..New::default() }))
    });
    for reply in replies.into_iter().flatten() {
        same!(reply.code, 5, "exit code; stderr {:?}", reply.err);
    }
    Ok(())
}

/// How long one undisturbed call takes: the window in which the killed ones are killed.
fn duration_of(call: impl FnOnce() -> Result<(), Trouble>) -> Result<Duration, Trouble> {
    let started = Instant::now();
    call()?;
    Ok(started.elapsed())
}

fn words<'a>(verb: &'a str, bundle: &'a Bundle) -> Result<Vec<&'a str>, Trouble> {
    Ok(vec![verb, "--bundle", bundle.dir.to_str().ok_or("odd path")?, &bundle.id])
}

/// Kills the command of a fresh bundle at moment `part` of `parts` of its usual time.
fn killed(ctx: &Ctx<'_>, verb: &str, whole: Duration, part: u32, parts: u32) -> Result<Bundle, Trouble> {
    let bundle = sleeper(ctx)?;
    bundle.write()?;
    ctx.cli()?.spawn(&words(verb, &bundle)?)?.kill_after(whole * part / parts)?;
    Ok(bundle)
}

/// After a killed creator init ends by itself (nobody can open its gate), or a container is there that delete can remove.
/// What the oracle looks for afterwards: no process, no cgroup, no directory. runc and crun leave cgroups that no state
/// file knows of.
fn a_creator_killed_at_any_moment_leaves_what_delete_can_remove(ctx: &Ctx<'_>) -> Outcome {
    let whole = create_time(ctx)?;
    for part in 0..50 {
        let bundle = killed(ctx, "create", whole, part, 50)?;
        let reply = ctx.driver.delete(&bundle.id, true);
        check!(reply.code == 0, "after {part}/50 of {whole:?}: {reply:?}");
        let left = leftovers(ctx, &bundle.id)?;
        check!(left.is_empty(), "after {part}/50 of {whole:?}: {left:?}");
    }
    Ok(())
}

fn create_time(ctx: &Ctx<'_>) -> Result<Duration, Trouble> {
    let bundle = sleeper(ctx)?;
    duration_of(|| ctx.created(&bundle).map(drop))?;
    let bundle = sleeper(ctx)?;
    bundle.write()?;
    let driver = ctx.driver;
    let time = duration_of(|| Ok(driver.create(ctx.new_of(&bundle)?).good().map(drop)?))?;
    driver.delete(&bundle.id, true).good()?;
    Ok(time)
}

/// Processes are given the time to die of their broken lifeline.
fn leftovers(ctx: &Ctx<'_>, id: &str) -> Result<Vec<String>, Trouble> {
    let mut left = Vec::new();
    for hierarchy in &ctx.host.hierarchies {
        let dir = ctx.host.dir(hierarchy, id);
        if dir.exists() {
            left.push(dir.display().to_string());
        }
    }
    if ctx.driver.root().join(id).exists() {
        left.push(format!("state directory {id}"));
    }
    let end = Instant::now() + sys::PATIENCE;
    for pid in crate::oracle::living()? {
        if !sys::ended_within(pid, end.saturating_duration_since(Instant::now()))? {
            left.push(format!("process {pid}"));
        }
    }
    sys::reap();
    Ok(left)
}

fn a_killed_creator_does_not_block_the_id(ctx: &Ctx<'_>) -> Outcome {
    let whole = create_time(ctx)?;
    for part in 0..10 {
        let mut bundle = killed(ctx, "create", whole, part, 10)?;
        ctx.driver.delete(&bundle.id, true).good()?;
        let mut container = ctx.started(bundle.ops(&["pid"]))?;
        container.report()?;
    }
    Ok(())
}

/// Either the gate was opened or it was not; the container is created, running or, if the program ended, stopped.
fn a_killed_start_leaves_a_usable_container(ctx: &Ctx<'_>) -> Outcome {
    let bundle = sleeper(ctx)?;
    let container = ctx.created(&bundle)?;
    let whole = duration_of(|| container.start())?;
    for part in 0..10 {
        let bundle = sleeper(ctx)?;
        let container = ctx.created(&bundle)?;
        ctx.cli()?.spawn(&["start", &container.id])?.kill_after(whole * part / 10)?;
        if container.status()? == "created" {
            container.start()?;
        }
        same!(container.status()?, "running", "status after {part}/10");
    }
    Ok(())
}

fn a_killed_delete_can_be_repeated(ctx: &Ctx<'_>) -> Outcome {
    let time = |container: Container<'_>| duration_of(|| container.delete_by_force());
    let bundle = sleeper(ctx)?;
    let whole = time(ctx.started(&bundle)?)?;
    for part in 0..20 {
        let bundle = sleeper(ctx)?;
        let container = ctx.started(&bundle)?;
        ctx.cli()?.spawn(&["delete", "--force", &container.id])?.kill_after(whole * part / 20)?;
        container.delete_by_force()?;
        let left = leftovers(ctx, &container.id)?;
        check!(left.is_empty(), "after {part}/20 of {whole:?}: {left:?}");
    }
    Ok(())
}

fn a_killed_foreground_run_leaves_what_delete_can_remove(ctx: &Ctx<'_>) -> Outcome {
    let whole = create_time(ctx)? * 2;
    for part in 0..10 {
        let bundle = killed(ctx, "run", whole, part, 10)?;
        ctx.driver.delete(&bundle.id, true).good()?;
        let left = leftovers(ctx, &bundle.id)?;
        check!(left.is_empty(), "after {part}/10 of {whole:?}: {left:?}");
        let dir = fs::read_dir(ctx.driver.root())?.count();
        same!(dir, 0, "entries in the state root");
    }
    Ok(())
}
