//! Changed configurations for real: whatever one place says, the runtime makes a container or refuses in one line, and nothing
//! is left of either.

use serde_json::json;

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::{Ctx, refusal};
use crate::host::Need;
use crate::{Outcome, Trouble, check};

#[path = "../../../libcontainer/tests/support/mutate.rs"]
mod mutate;

use mutate::{Dice, Mutation, mutate, places, remove};

tests! {
    a_hundred_changed_configurations_leave_nothing_behind,
    a_hundred_changed_configurations_of_a_user_namespace_leave_nothing_behind [Need::Users],
}

const CASES: u64 = 100;

/// Places that say where on the host something is made: a change there would be the test's own damage.
const OUTSIDE: [&str; 4] = ["/root", "/linux/cgroupsPath", "/linux/namespaces", "/ociVersion"];

fn a_hundred_changed_configurations_leave_nothing_behind(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = rich(ctx)?;
    changed(ctx, &mut bundle, 1)
}

fn a_hundred_changed_configurations_of_a_user_namespace_leave_nothing_behind(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = rich(ctx)?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    changed(ctx, &mut bundle, 2)
}

/// Something of every chapter that works on most machines.
fn rich(ctx: &Ctx<'_>) -> Result<Bundle, Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.dir("data", 0o755)?;
    let data = bundle.dir("source", 0o755)?;
    let hook = json!([{ "path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 5 }]);
    bundle
        .set("/domainname", "example")
        .set("/annotations", json!({ "org.example.key": "value" }))
        .set("/process/user", json!({ "uid": 7, "gid": 8, "umask": 23, "additionalGids": [9] }))
        .set("/process/oomScoreAdj", 500)
        .set("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 4 }))
        .set("/process/scheduler", json!({ "policy": "SCHED_BATCH", "nice": 5 }))
        .set("/linux/personality", json!({ "domain": "LINUX" }))
        .set("/linux/sysctl", json!({ "net.ipv4.ip_forward": "1", "kernel.msgmax": "65536" }))
        .set("/linux/devices", json!([{ "path": "/dev/pipe", "type": "p", "fileMode": 432 }]))
        .set("/linux/resources/pids", json!({ "limit": 100 }))
        .set("/linux/rootfsPropagation", "rprivate")
        .set(
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            { "names": ["keyctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38 }] }),
        )
        .set("/hooks", json!({ "createRuntime": hook, "createContainer": hook, "poststop": hook }))
        .mount("/data", "tmpfs", "tmpfs", &["mode=711", "size=64k", "nodev"])
        .bind(&data, "/srv", &["rbind", "ro", "rslave"]);
    Ok(bundle)
}

fn changed(ctx: &Ctx<'_>, bundle: &mut Bundle, seed: u64) -> Outcome {
    possible(ctx, bundle)?;
    let base = bundle.config.clone();
    let places: Vec<String> = places(&base)
        .into_iter()
        .filter(|place| !OUTSIDE.iter().any(|outside| place.starts_with(outside)))
        .collect();
    let (mut dice, mut made) = (Dice::new(seed), 0);
    for number in 0..CASES {
        let mutation = mutate(&base, &places, &mut dice);
        let case = format!("case {number}, {} at {}", mutation.what, mutation.pointer);
        made += usize::from(one(ctx, bundle, mutation).map_err(|trouble| trouble.at(case))?);
    }
    check!(made > 0, "no configuration became a container");
    Ok(())
}

/// Takes out what this machine or this build cannot do.
fn possible(ctx: &Ctx<'_>, bundle: &mut Bundle) -> Outcome {
    loop {
        let reply = ctx.driver.create(ctx.new_of(bundle)?);
        if reply.code == 0 {
            ctx.driver.delete(&bundle.id, true).good()?;
            return Ok(());
        }
        let place = reply.err.rsplit_once("config.json: ").and_then(|(_, place)| place.split(')').next());
        let removed = place.is_some_and(|place| remove(&mut bundle.config, place));
        check!(removed, "the configuration itself is refused: {}", reply.err);
    }
}

/// True if the change made a container, which is removed.
fn one(ctx: &Ctx<'_>, bundle: &mut Bundle, mutation: Mutation) -> Result<bool, Trouble> {
    bundle.config = mutation.document;
    let reply = ctx.driver.create(ctx.new_of(bundle)?);
    if reply.code == 0 {
        ctx.driver.delete(&bundle.id, true).good()?;
        return Ok(true);
    }
    refusal(&reply, &[])?;
    check!(ctx.driver.state(&bundle.id).code != 0, "the container exists after a failed create");
    Ok(false)
}
