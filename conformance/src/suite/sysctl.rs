//! Sysctls and the personality: what the kernel shows inside, and what must not reach the host.

use std::fs;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use serde_json::json;

use super::tests;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::{Outcome, check, same};

tests! {
    sysctls_are_set_inside_only,
    sysctls_take_both_spellings,
    sysctls_are_set_although_proc_sys_is_read_only,
    sysctls_are_set_without_a_proc_in_the_container,
    sysctls_are_set_behind_a_fake_proc_sys,
    sysctls_are_set_in_a_user_namespace [Need::Users],
    sysctls_of_the_user_namespace_are_set [Need::Users],
    sysctls_reach_a_joined_network_namespace,
    the_domain_name_can_be_a_sysctl,
    the_domain_name_can_be_a_sysctl_in_a_user_namespace [Need::Users],
    sysctls_of_the_host_are_refused,
    sysctls_of_a_joined_host_namespace_are_refused,
    unknown_sysctls_are_refused_by_name,
    a_value_that_the_kernel_refuses_is_told,
    sysctls_that_leave_their_folder_are_refused,
    two_spellings_of_one_sysctl_are_refused,
    the_personality_of_32_bits_changes_the_machine,
    the_personality_of_the_host_is_not_inherited,
    an_unknown_personality_is_refused,
}

const SOMAXCONN: &str = "read:/proc/sys/net/core/somaxconn";
const SHMMNI: &str = "read:/proc/sys/kernel/shmmni";
const MQUEUE: &str = "read:/proc/sys/fs/mqueue/msg_max";
const DOMAIN: &str = "read:/proc/sys/kernel/domainname";

fn host(op: &str) -> std::io::Result<String> {
    Ok(fs::read_to_string(op.trim_start_matches("read:"))?.trim().to_owned())
}

fn sysctls_are_set_inside_only(ctx: &Ctx<'_>) -> Outcome {
    let before = [host(SOMAXCONN)?, host(SHMMNI)?, host(MQUEUE)?];
    let mut bundle = ctx.bundle()?;
    let sysctls = json!({ "net.core.somaxconn": "777", "kernel.shmmni": "4097", "fs.mqueue.msg_max": "11" });
    bundle.set("/linux/sysctl", sysctls);
    let report = ctx.see(&mut bundle, &[SOMAXCONN, SHMMNI, MQUEUE])?;
    same!([SOMAXCONN, SHMMNI, MQUEUE].map(|op| report.text(op)), ["777", "4097", "11"], "inside");
    same!([host(SOMAXCONN)?, host(SHMMNI)?, host(MQUEUE)?], before, "on the host");
    Ok(())
}

fn sysctls_take_both_spellings(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let key = "net.ipv4.conf.lo.log_martians";
    bundle.set("/linux/sysctl", json!({ "net/core/somaxconn": "778\n", key: "1" }));
    let martians = "read:/proc/sys/net/ipv4/conf/lo/log_martians";
    let report = ctx.see(&mut bundle, &[SOMAXCONN, martians])?;
    same!([SOMAXCONN, martians].map(|op| report.text(op)), ["778", "1"], "inside");
    Ok(())
}

fn sysctls_are_set_although_proc_sys_is_read_only(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/readonlyPaths", json!(["/proc/sys"]));
    bundle.set("/linux/sysctl", json!({ "net.core.somaxconn": "779" }));
    let report = ctx.see(&mut bundle, &[SOMAXCONN, "write:/proc/sys/net/core/somaxconn=1"])?;
    same!(report.text(SOMAXCONN), "779", "inside");
    same!(report.text("write:/proc/sys/net/core/somaxconn=1"), "EROFS", "a write by the container");
    Ok(())
}

/// runc and crun write through the container's own /proc.
fn sysctls_are_set_without_a_proc_in_the_container(ctx: &Ctx<'_>) -> Outcome {
    let mut owner = ctx.bundle()?;
    owner.set("/linux/sysctl", json!({ "net.core.somaxconn": "780" }));
    owner
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]))
        .set("/mounts", json!([]));
    let container = ctx.started(owner.ops(&["sleep"]))?;
    let mut joiner = ctx.bundle()?;
    joiner.join("network", &format!("/proc/{}/ns/net", container.pid));
    same!(ctx.see(&mut joiner, &[SOMAXCONN])?.text(SOMAXCONN), "780", "seen from its network namespace");
    Ok(())
}

/// CVE-2025-52881: what the container puts over /proc/sys swallows no write.
fn sysctls_are_set_behind_a_fake_proc_sys(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let fake = bundle.dir("fake/net/core", 0o755)?;
    fs::write(fake.join("somaxconn"), "0")?;
    bundle.set("/linux/sysctl", json!({ "net.core.somaxconn": "781" }));
    let shown = ctx.see(&mut bundle, &[SOMAXCONN, "read:/fake/net/core/somaxconn"])?;
    same!(shown.text(SOMAXCONN), "781", "inside");
    same!(shown.text("read:/fake/net/core/somaxconn"), "0", "the fake");
    Ok(())
}

fn sysctls_are_set_in_a_user_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    bundle.set("/linux/sysctl", json!({ "net.core.somaxconn": "782", "kernel.shmmni": "4098" }));
    let report = ctx.see(&mut bundle, &[SOMAXCONN, SHMMNI])?;
    same!([SOMAXCONN, SHMMNI].map(|op| report.text(op)), ["782", "4098"], "inside");
    Ok(())
}

/// runc knows none of these.
fn sysctls_of_the_user_namespace_are_set(ctx: &Ctx<'_>) -> Outcome {
    let op = "read:/proc/sys/user/max_uts_namespaces";
    let before = host(op)?;
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    bundle.set("/linux/sysctl", json!({ "user.max_uts_namespaces": "3" }));
    same!(ctx.see(&mut bundle, &[op])?.text(op), "3", "inside");
    same!(host(op)?, before, "on the host");
    Ok(())
}

fn sysctls_reach_a_joined_network_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut owner = ctx.bundle()?;
    let (owner, _) = ctx.sleeping(&mut owner, &[])?;
    let mut joiner = ctx.bundle()?;
    joiner.join("network", &format!("/proc/{}/ns/net", owner.pid));
    joiner.set("/linux/sysctl", json!({ "net.core.somaxconn": "783" }));
    same!(ctx.see(&mut joiner, &[SOMAXCONN])?.text(SOMAXCONN), "783", "inside");
    Ok(())
}

fn the_domain_name_can_be_a_sysctl(ctx: &Ctx<'_>) -> Outcome {
    let before = host(DOMAIN)?;
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/sysctl", json!({ "kernel.domainname": "inside.example" }));
    same!(ctx.see(&mut bundle, &[DOMAIN])?.text(DOMAIN), "inside.example", "inside");
    same!(host(DOMAIN)?, before, "on the host");
    Ok(())
}

/// Its file belongs to root of the host; the system call does not mind.
fn the_domain_name_can_be_a_sysctl_in_a_user_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?;
    bundle.set("/linux/sysctl", json!({ "kernel.domainname": "mapped.example" }));
    same!(ctx.see(&mut bundle, &[DOMAIN])?.text(DOMAIN), "mapped.example", "inside");
    Ok(())
}

fn refused_sysctl(ctx: &Ctx<'_>, without: &str, key: &str, texts: &[&str]) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace(without).set("/linux/sysctl", json!({ key: "1" }));
    if without == "uts" {
        bundle.remove("/hostname");
    }
    ctx.refused(&bundle, texts)
}

fn sysctls_of_the_host_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let ipc = "sysctl \"kernel.shmmni\" is not allowed in the hosts ipc namespace";
    refused_sysctl(ctx, "ipc", "kernel.shmmni", &[ipc, "kernel.shmmni", "ipc"])?;
    let network = "sysctl \"net.core.somaxconn\" not allowed in host network namespace";
    refused_sysctl(ctx, "network", "net.core.somaxconn", &[network, "network"])?;
    let separate = "is not in a separate kernel namespace";
    refused_sysctl(ctx, "uts", "kernel.domainname", &[separate, "kernel.domainname"])?;
    refused_sysctl(ctx, "", "vm.swappiness", &[separate, "vm.swappiness"])?;
    let hostname =
        "sysctl \"kernel.hostname\" is not allowed as it conflicts with the OCI \"hostname\" field";
    refused_sysctl(ctx, "", "kernel.hostname", &[hostname, "kernel.hostname"])
}

/// The caller is in a network namespace of its own meanwhile: a runtime that does not refuse must not change the machine.
fn sysctls_of_a_joined_host_namespace_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let (driver, machine, dir) = (ctx.driver, ctx.host, ctx.dir.clone());
    let body = || -> Outcome {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let ctx = Ctx::new(driver, machine, dir);
        let before = host(SOMAXCONN)?;
        let mut bundle = ctx.bundle()?;
        bundle.join("network", &format!("/proc/{}/task/{}/ns/net", std::process::id(), gettid()));
        bundle.set("/linux/sysctl", json!({ "net.core.somaxconn": "784" }));
        let text = "sysctl \"net.core.somaxconn\" not allowed in host network namespace";
        ctx.refused(&bundle, &[text, "network"])?;
        same!(host(SOMAXCONN)?, before, "in the caller's namespace");
        Ok(())
    };
    std::thread::scope(|scope| {
        scope.spawn(body).join().unwrap_or_else(|_| Err("the test itself panicked".into()))
    })
}

fn unknown_sysctls_are_refused_by_name(ctx: &Ctx<'_>) -> Outcome {
    refused_sysctl(
        ctx,
        "",
        "net.ipv4.dream",
        &["the kernel has no such sysctl", "net/ipv4/dream", "net.ipv4.dream"],
    )
}

fn a_value_that_the_kernel_refuses_is_told(ctx: &Ctx<'_>) -> Outcome {
    for value in ["much", "1 more"] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/sysctl", json!({ "net.core.somaxconn": value }));
        ctx.refused(&bundle, &["net/core/somaxconn", "net.core.somaxconn"])?;
    }
    Ok(())
}

fn sysctls_that_leave_their_folder_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let before = fs::read_to_string("/proc/sys/kernel/pid_max")?;
    for key in ["net/../kernel/pid_max", "net...kernel.pid_max", "net/./core/somaxconn", "net.core.a\nb"] {
        refused_sysctl(ctx, "", key, &[])?;
    }
    same!(fs::read_to_string("/proc/sys/kernel/pid_max")?, before, "kernel.pid_max");
    Ok(())
}

/// runc and crun write both, in an order of chance.
fn two_spellings_of_one_sysctl_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/sysctl", json!({ "net.core.somaxconn": "1", "net/core/somaxconn": "2" }));
    ctx.refused(&bundle, &["names the same file as"])
}

fn the_personality_of_32_bits_changes_the_machine(ctx: &Ctx<'_>) -> Outcome {
    let machine = nix::sys::utsname::uname()?.machine().to_string_lossy().into_owned();
    let mut plain = ctx.bundle()?;
    plain.set("/linux/personality", json!({ "domain": "LINUX" }));
    same!(ctx.see(&mut plain, &["machine"])?.text("machine"), machine, "machine of LINUX");
    let mut narrow = ctx.bundle()?;
    narrow.set("/linux/personality", json!({ "domain": "LINUX32" }));
    let report = ctx.see(&mut narrow, &["machine", "read:/proc/self/personality"])?;
    check!(report.text("machine") != machine, "LINUX32 shows {machine}");
    if machine == "x86_64" {
        same!(report.text("machine"), "i686", "machine of LINUX32");
    }
    same!(report.text("read:/proc/self/personality"), "00000008", "personality");
    Ok(())
}

fn the_personality_of_the_host_is_not_inherited(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let op = "read:/proc/self/personality";
    same!(ctx.see(&mut bundle, &[op])?.text(op), "00000000", "personality");
    Ok(())
}

fn an_unknown_personality_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/personality", json!({ "domain": "SOLARIS" }));
    ctx.refused(&bundle, &["SOLARIS", "/linux/personality/domain"])
}
