//! `linux.rootfsPropagation` and propagation of single mounts: what the fields of mountinfo say, and which mounts really cross.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;

use super::tests;
use crate::bundle::Bundle;
use crate::ctx::{Container, Ctx};
use crate::driver::New;
use crate::probe::Report;
use crate::sys::Tmpfs;
use crate::{Outcome, Trouble, check, same};

tests! {
    the_root_has_the_propagation_that_was_asked_for,
    recursive_words_reach_the_mounts_below_the_root,
    mounts_of_the_host_arrive_unless_the_root_is_private,
    mounts_of_the_container_reach_the_host_only_if_the_root_is_shared,
    a_private_bind_is_cut_off_even_below_a_shared_root,
    a_slave_can_be_shared_again,
    an_unknown_word_is_refused,
    private_without_pivot_root_is_refused,
    a_root_without_pivot_root_works,
}

/// A shared tmpfs of the host.
fn shared(ctx: &Ctx<'_>, name: &str) -> Result<Tmpfs, Trouble> {
    let made = Tmpfs::new(ctx.dir.join(name), MsFlags::empty())?;
    made.propagation(MsFlags::MS_SHARED)?;
    Ok(made)
}

/// A bundle whose rootfs lies on a shared mount, as those of engines do.
fn on_shared(ctx: &Ctx<'_>) -> Result<(Tmpfs, Bundle), Trouble> {
    let place = Tmpfs::new(ctx.dir.join("bundles"), MsFlags::empty())?;
    // The probe is larger than a mebibyte.
    crate::sys::mount(Path::new("none"), &place.0, "none", MsFlags::MS_REMOUNT, "size=64m")?;
    place.propagation(MsFlags::MS_SHARED)?;
    let id = ctx.id();
    let mut bundle = Bundle::with_probe(place.0.join(&id), &id)?;
    bundle.set("/linux/cgroupsPath", ctx.host.cgroups_path(&id));
    Ok((place, bundle))
}

fn field(report: &Report, point: &str) -> String {
    let text = report.mount(point)["propagation"].as_str().unwrap_or_default();
    text.split(' ').map(|word| word.split(':').next().unwrap_or_default()).collect::<Vec<_>>().join(" ")
}

fn the_root_has_the_propagation_that_was_asked_for(ctx: &Ctx<'_>) -> Outcome {
    let cases = [
        ("", "master"),
        ("slave", "master"),
        ("rslave", "master"),
        ("private", ""),
        ("rprivate", ""),
        ("unbindable", "unbindable"),
        ("runbindable", "unbindable"),
    ];
    for (word, wanted) in cases {
        let (_place, mut bundle) = on_shared(ctx)?;
        if !word.is_empty() {
            bundle.set("/linux/rootfsPropagation", word);
        }
        same!(field(&ctx.see(&mut bundle, &["mounts"])?, "/"), wanted, "{word:?}");
    }
    for word in ["shared", "rshared"] {
        let (_place, mut bundle) = on_shared(ctx)?;
        bundle.set("/linux/rootfsPropagation", word);
        let seen = field(&ctx.see(&mut bundle, &["mounts"])?, "/");
        check!(seen.starts_with("shared"), "{word}: {seen:?}");
    }
    Ok(())
}

fn recursive_words_reach_the_mounts_below_the_root(ctx: &Ctx<'_>) -> Outcome {
    let cases = [("shared", ""), ("rshared", "shared"), ("unbindable", ""), ("runbindable", "unbindable")];
    for (word, wanted) in cases {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/rootfsPropagation", word);
        same!(field(&ctx.see(&mut bundle, &["mounts"])?, "/dev"), wanted, "/dev with {word}");
    }
    Ok(())
}

/// A running container with a bind of the shared directory on /b, which may mount.
fn with_bind<'a>(
    ctx: &'a Ctx<'a>,
    source: &Path,
    word: &str,
    options: &[&str],
    ops: &[&str],
) -> Result<(Container<'a>, Report), Trouble> {
    let mut bundle = ctx.bundle()?;
    for set in ["bounding", "effective", "permitted"] {
        bundle.push(&format!("/process/capabilities/{set}"), "CAP_SYS_ADMIN");
    }
    bundle.set("/linux/rootfsPropagation", word).bind(source, "/b", options);
    ctx.sleeping(&mut bundle, ops)
}

/// Whether a process has a mount at this point.
fn has_mount(of: &str, point: &Path) -> Result<bool, Trouble> {
    let all = fs::read_to_string(format!("/proc/{of}/mountinfo"))?;
    Ok(all.lines().any(|line| line.split(' ').nth(4).map(PathBuf::from).as_deref() == Some(point)))
}

fn mounts_of_the_host_arrive_unless_the_root_is_private(ctx: &Ctx<'_>) -> Outcome {
    let cases =
        [("rslave", true), ("slave", true), ("rprivate", false), ("private", false), ("rshared", true)];
    for (word, wanted) in cases {
        let source = shared(ctx, &format!("source-{word}"))?;
        fs::create_dir(source.0.join("late"))?;
        let (container, _) = with_bind(ctx, &source.0, word, &["rbind"], &[])?;
        let late = Tmpfs::new(source.0.join("late"), MsFlags::empty())?;
        let arrived = has_mount(&container.pid.to_string(), Path::new("/b/late"))?;
        check!(arrived == wanted, "{word}: a later mount of the host arrived: {arrived}");
        drop((container, late));
    }
    Ok(())
}

fn mounts_of_the_container_reach_the_host_only_if_the_root_is_shared(ctx: &Ctx<'_>) -> Outcome {
    let cases: [(&str, &[&str], bool); 6] = [
        ("rslave", &["rbind"], false),
        ("rslave", &["rbind", "rshared"], false),
        ("rprivate", &["rbind", "rshared"], false),
        ("unbindable", &["rbind"], false),
        ("shared", &["rbind"], true),
        ("rshared", &["rbind", "rshared"], true),
    ];
    for (index, (word, options, wanted)) in cases.into_iter().enumerate() {
        let source = shared(ctx, &format!("source-{index}"))?;
        fs::create_dir(source.0.join("made"))?;
        let (container, report) = with_bind(ctx, &source.0, word, options, &["mount:tmpfs:/b/made"])?;
        same!(report.text("mount:tmpfs:/b/made"), "ok", "the container's mount");
        let reached = has_mount("self", &source.0.join("made"))?;
        check!(reached == wanted, "{word} {options:?}: a mount of the container reached the host: {reached}");
        drop(container);
    }
    Ok(())
}

fn a_private_bind_is_cut_off_even_below_a_shared_root(ctx: &Ctx<'_>) -> Outcome {
    for (option, arrives) in [("rprivate", false), ("rslave", true)] {
        let source = shared(ctx, &format!("source-{option}"))?;
        for name in ["made", "late"] {
            fs::create_dir(source.0.join(name))?;
        }
        let options = ["rbind", option];
        let (container, _) = with_bind(ctx, &source.0, "shared", &options, &["mount:tmpfs:/b/made"])?;
        check!(!has_mount("self", &source.0.join("made"))?, "{option}: the container's mount is on the host");
        let late = Tmpfs::new(source.0.join("late"), MsFlags::empty())?;
        let arrived = has_mount(&container.pid.to_string(), Path::new("/b/late"))?;
        check!(arrived == arrives, "{option}: the host's mount arrived: {arrived}");
        drop((container, late));
    }
    Ok(())
}

/// runc applies every word, in order.
fn a_slave_can_be_shared_again(ctx: &Ctx<'_>) -> Outcome {
    let source = shared(ctx, "source")?;
    let mut bundle = ctx.bundle()?;
    bundle.bind(&source.0, "/both", &["bind", "slave", "shared"]);
    bundle.bind(&source.0, "/last", &["bind", "shared", "private"]);
    let report = ctx.see(&mut bundle, &["mounts"])?;
    same!(field(&report, "/both"), "shared master", "slave and shared");
    same!(field(&report, "/last"), "", "shared, then private");
    Ok(())
}

fn an_unknown_word_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/rootfsPropagation", "sharedd");
    ctx.refused(&bundle, &["is not supported"])
}

fn private_without_pivot_root_is_refused(ctx: &Ctx<'_>) -> Outcome {
    for word in ["private", "rprivate"] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/rootfsPropagation", word);
        let reply = ctx.driver.create(New { no_pivot: true, ..ctx.new_of(&bundle)? });
        crate::ctx::refusal(&reply, &["rootfsPropagation of [r]private is not safe without pivot_root"])?;
    }
    Ok(())
}

fn a_root_without_pivot_root_works(ctx: &Ctx<'_>) -> Outcome {
    for word in ["rslave", "shared"] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/rootfsPropagation", word);
        let ops = ["list:/", "statfs:/proc", "write:/x", "stat:/..", "stat:/"];
        let reply = ctx.driver.run(New { no_pivot: true, ..ctx.new_of(bundle.ops(&ops))? }).good()?;
        let report = Report::parse(&reply.out)?;
        same!(report.get("list:/"), &serde_json::json!(["dev", "probe", "proc", "sys"]), "names in the root");
        same!(report.field("statfs:/proc", "type"), "9fa0", "filesystem of /proc");
        same!(report.text("write:/x"), "EROFS", "a write into the read-only root");
        same!(report.field("stat:/..", "ino"), report.field("stat:/", "ino"), "the root's parent");
    }
    Ok(())
}
