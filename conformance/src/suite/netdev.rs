//! Network devices that move into the container. The caller of these tests has a network namespace of its own, so that the host's is left alone.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

use super::tests;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::{Outcome, Trouble, check, same};

tests! {
    a_device_moves_with_its_addresses_and_is_up [Need::Devices],
    a_device_takes_another_name [Need::Devices],
    a_device_keeps_no_temporary_address [Need::Devices],
    several_devices_move_and_may_swap_names [Need::Devices],
    a_device_moves_into_a_user_namespace [Need::Devices, Need::Users],
    a_device_moves_into_a_joined_network_namespace [Need::Devices],
    devices_go_back_when_the_container_fails [Need::Devices],
    devices_go_back_from_a_user_namespace_when_the_container_fails [Need::Devices, Need::Users],
    a_missing_device_is_refused_and_the_others_go_back [Need::Devices],
    a_device_whose_name_is_taken_inside_is_refused_and_stays [Need::Devices],
    a_device_that_cannot_move_is_refused,
    odd_device_names_are_refused,
    two_devices_of_one_name_are_refused,
    devices_without_a_network_namespace_are_refused,
    devices_for_the_host_s_network_namespace_are_refused,
}

/// What is in the caller's namespace: two pairs, of which `one` and `two` are moved.
const SETUP: [&str; 6] = [
    "link add one type veth peer name one-peer",
    "link add two type veth peer name two-peer",
    "addr add 192.0.2.1/24 brd 192.0.2.255 dev one",
    "addr add 2001:db8::1/64 dev one nodad",
    "addr add 198.51.100.1/32 dev two",
    "link set one up",
];

fn ip(words: &str) -> Result<String, Trouble> {
    let output = Command::new("ip").args(words.split(' ')).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    check!(output.status.success(), "ip {words}: {error}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a body in a thread with its own network namespace, in which the commands and the library find it.
fn apart(ctx: &Ctx<'_>, body: impl Fn(&Ctx<'_>) -> Outcome + Sync) -> Outcome {
    let (driver, host, dir) = (ctx.driver, ctx.host, ctx.dir.clone());
    let run = || -> Outcome {
        unshare(CloneFlags::CLONE_NEWNET)?;
        SETUP.iter().try_for_each(|words| ip(words).map(drop))?;
        body(&Ctx::new(driver, host, dir))
    };
    std::thread::scope(|scope| {
        scope.spawn(run).join().unwrap_or_else(|_| Err("the test itself panicked".into()))
    })
}

/// A device as `ip` shows it, without what changes on its own: name, whether it is up, addresses.
fn look(name: &str) -> Result<Value, Trouble> {
    let all: Value =
        serde_json::from_str(&ip(&format!("-json addr show dev {name}"))?).map_err(std::io::Error::from)?;
    let device = &all[0];
    let addresses: Vec<Value> = device["addr_info"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|address| address["scope"] == "global")
        .map(|address| json!([address["local"], address["prefixlen"], address["broadcast"]]))
        .collect();
    let is_up = device["flags"].as_array().into_iter().flatten().any(|flag| flag == "UP");
    Ok(json!({ "up": is_up, "addresses": addresses }))
}

fn snapshot() -> Result<[Value; 2], Trouble> {
    Ok([look("one")?, look("two")?])
}

const LIST: &str = "list:/sys/class/net";
const INET: &str = "read:/proc/net/fib_trie";
const INET6: &str = "read:/proc/net/if_inet6";

fn a_device_moves_with_its_addresses_and_is_up(ctx: &Ctx<'_>) -> Outcome {
    apart(ctx, |ctx| {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/netDevices", json!({ "one": {} }));
        let flags = "read:/sys/class/net/one/flags";
        let report = ctx.see(&mut bundle, &[LIST, INET, INET6, flags, "loopback"])?;
        same!(report.get(LIST), &json!(["lo", "one"]), "devices");
        for text in ["192.0.2.1", "192.0.2.255", "192.0.2.0/24"] {
            check!(report.text(INET).contains(text), "no {text} in {}", report.text(INET));
        }
        let six = report.text(INET6);
        check!(six.contains("20010db8000000000000000000000001"), "no IPv6 address: {six}");
        let flags = u32::from_str_radix(report.text(flags).trim_start_matches("0x"), 16).unwrap_or(0);
        check!(flags & 1 == 1, "the device is down");
        check!(ip("link show dev one").is_err(), "the device is in both namespaces");
        Ok(())
    })
}

fn a_device_takes_another_name(ctx: &Ctx<'_>) -> Outcome {
    apart(ctx, |ctx| {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/netDevices", json!({ "one": { "name": "data0" } }));
        let report = ctx.see(&mut bundle, &[LIST, INET])?;
        same!(report.get(LIST), &json!(["data0", "lo"]), "devices");
        check!(report.text(INET).contains("192.0.2.1"), "the address is lost");
        Ok(())
    })
}

/// Addresses with a lifetime are somebody's who renews them, and who cannot reach them there.
fn a_device_keeps_no_temporary_address(ctx: &Ctx<'_>) -> Outcome {
    apart(ctx, |ctx| {
        ip("addr add 203.0.113.9/24 dev one valid_lft 3600 preferred_lft 3600")?;
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/netDevices", json!({ "one": {} }));
        let report = ctx.see(&mut bundle, &[INET])?;
        check!(report.text(INET).contains("192.0.2.1"), "the permanent address is lost");
        check!(!report.text(INET).contains("203.0.113.9"), "the temporary address came along");
        Ok(())
    })
}

fn several_devices_move_and_may_swap_names(ctx: &Ctx<'_>) -> Outcome {
    apart(ctx, |ctx| {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/netDevices", json!({ "one": { "name": "two" }, "two": { "name": "one" } }));
        let addresses = "read:/proc/net/route";
        let report = ctx.see(&mut bundle, &[LIST, INET, addresses])?;
        same!(report.get(LIST), &json!(["lo", "one", "two"]), "devices");
        check!(report.text(INET).contains("198.51.100.1"), "an address is lost");
        // Its network is the first device's, which is called `two` now; there may be no route while a veth has no carrier.
        check!(!report.text(addresses).contains("one\t000200C0"), "the names were not swapped");
        Ok(())
    })
}

fn a_device_moves_into_a_user_namespace(ctx: &Ctx<'_>) -> Outcome {
    apart(ctx, |ctx| {
        let mut bundle = ctx.bundle()?;
        bundle.map_users(&[(0, 100_000, 65_536)])?;
        bundle.set("/linux/netDevices", json!({ "one": {} }));
        let report = ctx.see(&mut bundle, &[LIST, INET, "loopback"])?;
        same!(report.get(LIST), &json!(["lo", "one"]), "devices");
        same!(report.text("loopback"), "ok", "loopback");
        check!(report.text(INET).contains("192.0.2.1"), "the address is lost");
        Ok(())
    })
}

fn a_device_moves_into_a_joined_network_namespace(ctx: &Ctx<'_>) -> Outcome {
    apart(ctx, |ctx| {
        let mut owner = ctx.bundle()?;
        let (owner, _) = ctx.sleeping(&mut owner, &[])?;
        let mut joiner = ctx.bundle()?;
        joiner.join("network", &format!("/proc/{}/ns/net", owner.pid));
        joiner.set("/linux/netDevices", json!({ "one": {} }));
        same!(ctx.see(&mut joiner, &[LIST])?.get(LIST), &json!(["lo", "one"]), "devices");
        Ok(())
    })
}

fn devices_go_back_when_the_container_fails(ctx: &Ctx<'_>) -> Outcome {
    apart(ctx, |ctx| {
        let before = snapshot()?;
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/netDevices", json!({ "one": { "name": "x" }, "two": { "name": "one" } }));
        ctx.refused(bundle.args(&["/nowhere"]), &[])?;
        same!(snapshot()?, before, "devices of the caller");
        Ok(())
    })
}

fn devices_go_back_from_a_user_namespace_when_the_container_fails(ctx: &Ctx<'_>) -> Outcome {
    apart(ctx, |ctx| {
        let before = snapshot()?;
        let mut bundle = ctx.bundle()?;
        bundle.map_users(&[(0, 100_000, 65_536)])?;
        bundle.set("/linux/netDevices", json!({ "one": { "name": "x" }, "two": { "name": "one" } }));
        ctx.refused(bundle.args(&["/nowhere"]), &[])?;
        same!(snapshot()?, before, "devices of the caller");
        Ok(())
    })
}

fn a_missing_device_is_refused_and_the_others_go_back(ctx: &Ctx<'_>) -> Outcome {
    apart(ctx, |ctx| {
        let before = snapshot()?;
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/netDevices", json!({ "one": {}, "two": {}, "zero": {} }));
        ctx.refused(&bundle, &["network device \"zero\" does not exist", "zero", "Link not found"])?;
        same!(snapshot()?, before, "devices of the caller");
        Ok(())
    })
}

fn a_device_whose_name_is_taken_inside_is_refused_and_stays(ctx: &Ctx<'_>) -> Outcome {
    apart(ctx, |ctx| {
        let before = snapshot()?;
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/netDevices", json!({ "one": { "name": "lo" } }));
        ctx.refused(&bundle, &["file exists", "/linux/netDevices/one"])?;
        same!(snapshot()?, before, "devices of the caller");
        Ok(())
    })
}

fn a_device_that_cannot_move_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/netDevices", json!({ "lo": { "name": "lo2" } }));
    ctx.refused(&bundle, &["/linux/netDevices/lo", "invalid argument"])
}

fn odd_device_names_are_refused(ctx: &Ctx<'_>) -> Outcome {
    for name in ["a/b", "..", "a b", "sixteen-bytes-xx", ""] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/netDevices", json!({ name: {} }));
        ctx.refused(&bundle, &[&format!("invalid network device name {name:?}"), "invalid"])?;
    }
    Ok(())
}

fn two_devices_of_one_name_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/netDevices", json!({ "one": { "name": "x" }, "two": { "name": "x" } }));
    ctx.refused(&bundle, &["are both named \"x\"", "x"])
}

fn devices_without_a_network_namespace_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.without_namespace("network").set("/linux/netDevices", json!({ "one": {} }));
    ctx.refused(&bundle, &["network"])
}

fn devices_for_the_host_s_network_namespace_are_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.join("network", &format!("/proc/{}/ns/net", std::process::id()));
    bundle.set("/linux/netDevices", json!({ "lo": {} }));
    ctx.refused(&bundle, &["without a private network namespace", "network"])
}
