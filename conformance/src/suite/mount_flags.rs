//! Flags of mounts: every word and the one that undoes it, binds of flagged sources, locks in a user namespace, all of a tree, remounts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::MsFlags;

use super::tests;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::probe::Report;
use crate::sys::Tmpfs;
use crate::{Outcome, Trouble, check, same};

tests! {
    every_flag_is_set_and_taken_back,
    access_times_follow_the_last_word,
    flags_of_the_filesystem_are_set_and_taken_back,
    words_without_effect_are_accepted,
    nosymfollow_stops_at_links [Need::Kernel(5, 10)],
    a_bind_without_flags_keeps_those_of_its_source,
    a_bind_with_a_flag_loses_the_others,
    access_times_of_a_bind_stay_until_one_is_named,
    locked_flags_stay_in_a_user_namespace [Need::Users],
    locked_flags_are_not_cleared_by_name [Need::Users],
    a_read_only_root_works_in_a_user_namespace [Need::Users],
    recursive_flags_reach_what_is_mounted_below [Need::Kernel(5, 12)],
    recursive_flags_work_on_new_filesystems [Need::Kernel(5, 12)],
    a_remount_changes_flags_and_filesystem,
    a_remount_of_a_bind_changes_the_mount_alone,
    a_remount_of_nothing_is_refused,
    a_remount_with_data_on_a_bind_is_refused,
}

/// The words of the mount at a point, without those of its filesystem.
fn words(report: &Report, point: &str) -> Vec<String> {
    let list = report.mount(point)["options"].as_str().unwrap_or_default();
    list.split(',').map(str::to_owned).collect()
}

fn has(report: &Report, point: &str, word: &str) -> bool {
    words(report, point).iter().any(|one| one == word)
}

/// The flags of mountinfo that tests look at, in its order.
fn flags(report: &Report, point: &str) -> String {
    let known = ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "nosymfollow"];
    let words = words(report, point);
    known.iter().filter(|flag| words.iter().any(|word| word == *flag)).copied().collect::<Vec<_>>().join(",")
}

const PAIRS: [(&str, &str); 6] = [
    ("ro", "rw"),
    ("nosuid", "suid"),
    ("nodev", "dev"),
    ("noexec", "exec"),
    ("nodiratime", "diratime"),
    ("noatime", "atime"),
];

fn every_flag_is_set_and_taken_back(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    for (set, clear) in PAIRS {
        bundle.mount(&format!("/{set}"), "tmpfs", "tmpfs", &["defaults", set]);
        bundle.mount(&format!("/{clear}"), "tmpfs", "tmpfs", &[set, clear]);
        bundle.mount(&format!("/{set}-again"), "tmpfs", "tmpfs", &[clear, set]);
    }
    let report = ctx.see(&mut bundle, &["mounts"])?;
    for (set, clear) in PAIRS {
        check!(has(&report, &format!("/{set}"), set), "{set}: {:?}", words(&report, &format!("/{set}")));
        check!(has(&report, &format!("/{set}-again"), set), "{clear},{set} is not {set}");
        let cleared = format!("/{clear}");
        check!(!has(&report, &cleared, set), "{set},{clear}: {:?}", words(&report, &cleared));
    }
    Ok(())
}

fn access_times_follow_the_last_word(ctx: &Ctx<'_>) -> Outcome {
    let cases: [(&[&str], &str); 7] = [
        (&[], "relatime"),
        (&["strictatime"], ""),
        (&["strictatime", "nostrictatime"], "relatime"),
        (&["noatime", "relatime"], "relatime"),
        (&["noatime", "norelatime"], "noatime"),
        (&["noatime", "strictatime"], ""),
        (&["strictatime", "noatime"], "noatime"),
    ];
    let mut bundle = ctx.bundle()?;
    for (index, (options, _)) in cases.iter().enumerate() {
        bundle.mount(&format!("/{index}"), "tmpfs", "tmpfs", options);
    }
    let report = ctx.see(&mut bundle, &["mounts"])?;
    for (index, (options, wanted)) in cases.iter().enumerate() {
        same!(flags(&report, &format!("/{index}")), *wanted, "{options:?}");
    }
    Ok(())
}

fn flags_of_the_filesystem_are_set_and_taken_back(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    let pairs = [("sync", "async"), ("mand", "nomand"), ("lazytime", "nolazytime")];
    for (set, clear) in pairs {
        bundle.mount(&format!("/{set}"), "tmpfs", "tmpfs", &[set]);
        bundle.mount(&format!("/{clear}"), "tmpfs", "tmpfs", &[set, clear]);
    }
    bundle.mount("/dirsync", "tmpfs", "tmpfs", &["dirsync"]);
    let report = ctx.see(&mut bundle, &["mounts"])?;
    for word in ["sync", "lazytime", "dirsync"] {
        let point = format!("/{word}");
        check!(report.mounted_with(&point, word), "no {word}: {}", report.mount(&point));
    }
    for (set, clear) in pairs {
        let point = format!("/{clear}");
        check!(!report.mounted_with(&point, set), "still {set}: {}", report.mount(&point));
    }
    Ok(())
}

/// What the kernel does anyway or cannot say of one mount, and crun's words that no flag stands behind.
fn words_without_effect_are_accepted(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount(
        "/a",
        "tmpfs",
        "tmpfs",
        &["defaults", "iversion", "noiversion", "silent", "loud", "async", "size=64k"],
    );
    bundle.bind(&ctx.host.canary, "/b", &["rbind", "ro", "rsync", "rasync", "rdirsync", "rmand", "rnomand"]);
    let report = ctx.see(&mut bundle, &["statfs:/a", "read:/b/dir/file"])?;
    same!(report.field("statfs:/a", "bytes"), "65536", "size");
    same!(report.text("read:/b/dir/file"), "canary dir/file", "content");
    Ok(())
}

fn nosymfollow_stops_at_links(ctx: &Ctx<'_>) -> Outcome {
    let source = ctx.dir.join("links");
    fs::create_dir(&source)?;
    fs::write(source.join("file"), "content")?;
    symlink("file", source.join("link"))?;
    let mut bundle = ctx.bundle()?;
    bundle.bind(&source, "/stops", &["bind", "nosymfollow"]);
    bundle.bind(&source, "/goes-on", &["bind", "nosymfollow", "symfollow"]);
    bundle.mount("/new", "tmpfs", "tmpfs", &["nosymfollow"]);
    let report = ctx.see(&mut bundle, &["read:/stops/link", "read:/goes-on/link", "mounts"])?;
    same!(report.text("read:/stops/link"), "ELOOP", "the link");
    same!(report.text("read:/goes-on/link"), "content", "the link after symfollow");
    check!(has(&report, "/new", "nosymfollow"), "a new filesystem: {:?}", words(&report, "/new"));
    Ok(())
}

/// A source with flags of its own: everything but ro.
fn flagged(ctx: &Ctx<'_>) -> Result<Tmpfs, Trouble> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOATIME;
    Ok(Tmpfs::new(ctx.dir.join("flagged"), flags)?)
}

/// The flags of a bind of the flagged source with these options.
fn bound(ctx: &Ctx<'_>, options: &[&str], users: bool) -> Result<String, Trouble> {
    let source = flagged(ctx)?;
    let mut bundle = ctx.bundle()?;
    if users {
        bundle.map_users(&[(0, 100_000, 65_536)])?;
    }
    bundle.bind(&source.0, "/b", options);
    Ok(flags(&ctx.see(&mut bundle, &["mounts"])?, "/b"))
}

fn a_bind_without_flags_keeps_those_of_its_source(ctx: &Ctx<'_>) -> Outcome {
    for options in [&["bind"] as &[&str], &["rbind", "rprivate"]] {
        same!(bound(ctx, options, false)?, "nosuid,nodev,noexec,noatime", "{options:?}");
    }
    Ok(())
}

/// As runc: "mount --bind -o ro" with no flag but that.
fn a_bind_with_a_flag_loses_the_others(ctx: &Ctx<'_>) -> Outcome {
    let cases: [(&[&str], &str); 3] = [
        (&["bind", "ro"], "ro,noatime"),
        (&["bind", "dev"], "noatime"),
        (&["bind", "ro", "nosuid", "relatime"], "ro,nosuid,relatime"),
    ];
    for (options, wanted) in cases {
        same!(bound(ctx, options, false)?, wanted, "{options:?}");
    }
    Ok(())
}

fn access_times_of_a_bind_stay_until_one_is_named(ctx: &Ctx<'_>) -> Outcome {
    let cases: [(&[&str], &str); 6] = [
        (&["bind", "suid"], "noatime"),
        (&["bind", "diratime"], "noatime"),
        (&["bind", "suid", "norelatime"], "noatime"),
        (&["bind", "suid", "nodiratime"], "nodiratime,relatime"),
        (&["bind", "suid", "nodiratime", "strictatime"], "nodiratime"),
        (&["bind", "suid", "atime"], "noatime"),
    ];
    for (options, wanted) in cases {
        same!(bound(ctx, options, false)?, wanted, "{options:?}");
    }
    Ok(())
}

fn locked_flags_stay_in_a_user_namespace(ctx: &Ctx<'_>) -> Outcome {
    let cases: [(&[&str], &str); 4] = [
        (&["bind"], "nosuid,nodev,noexec,noatime"),
        (&["bind", "ro"], "ro,nosuid,nodev,noexec,noatime"),
        (&["bind", "rw"], "nosuid,nodev,noexec,noatime"),
        (&["bind", "ro", "noatime"], "ro,nosuid,nodev,noexec,noatime"),
    ];
    for (options, wanted) in cases {
        same!(bound(ctx, options, true)?, wanted, "{options:?}");
    }
    Ok(())
}

fn locked_flags_are_not_cleared_by_name(ctx: &Ctx<'_>) -> Outcome {
    for word in ["suid", "dev", "exec", "relatime", "nodiratime"] {
        let source = flagged(ctx)?;
        let mut bundle = ctx.bundle()?;
        bundle.map_users(&[(0, 100_000, 65_536)])?.bind(&source.0, "/b", &["bind", word]);
        ctx.refused(&bundle, &["operation not permitted"]).map_err(|trouble| trouble.at(word))?;
    }
    let source = Tmpfs::new(ctx.dir.join("read-only"), MsFlags::empty())?;
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    crate::sys::mount(Path::new("none"), &source.0, "none", read_only, "")?;
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?.bind(&source.0, "/b", &["bind", "rw"]);
    ctx.refused(&bundle, &["operation not permitted"])
}

fn a_read_only_root_works_in_a_user_namespace(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.map_users(&[(0, 100_000, 65_536)])?.mount("/t", "tmpfs", "tmpfs", &["ro", "nosuid"]);
    let report = ctx.see(&mut bundle, &["write:/x", "write:/t/x", "mounts"])?;
    same!(report.text("write:/x"), "EROFS", "a write in the root");
    same!(report.text("write:/t/x"), "EROFS", "a write in a read-only tmpfs");
    Ok(())
}

/// A tree of two mounts, both with all flags.
fn tree(ctx: &Ctx<'_>, flags: MsFlags) -> Result<(Tmpfs, Tmpfs), Trouble> {
    let outer = Tmpfs::new(ctx.dir.join("outer"), MsFlags::empty())?;
    let inner = Tmpfs::new(outer.0.join("inner"), flags)?;
    crate::sys::mount(
        Path::new("none"),
        &outer.0,
        "none",
        flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND,
        "",
    )?;
    Ok((outer, inner))
}

fn recursive_flags_reach_what_is_mounted_below(ctx: &Ctx<'_>) -> Outcome {
    let all = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let all = all | MsFlags::MS_NOATIME | MsFlags::MS_NODIRATIME;
    let set = ["rro", "rnosuid", "rnodev", "rnoexec", "rnoatime", "rnodiratime"];
    let clear = ["rrw", "rsuid", "rdev", "rexec", "ratime", "rdiratime"];
    let every = "ro,nosuid,nodev,noexec,noatime,nodiratime";
    let cases: [(&[&str], MsFlags, &str); 6] = [
        (&set, MsFlags::empty(), every),
        (&clear, all, "relatime"),
        (&["rstrictatime"], all, "ro,nosuid,nodev,noexec,nodiratime"),
        (&["rrelatime"], all, "ro,nosuid,nodev,noexec,nodiratime,relatime"),
        (&["rnorelatime"], MsFlags::empty(), "relatime"),
        (&["rnosymfollow"], MsFlags::empty(), "relatime,nosymfollow"),
    ];
    for (words, source, wanted) in cases {
        let (outer, inner) = tree(ctx, source)?;
        let mut bundle = ctx.bundle()?;
        let options: Vec<&str> = ["rbind"].into_iter().chain(words.iter().copied()).collect();
        bundle.bind(&outer.0, "/b", &options);
        let report = ctx.see(&mut bundle, &["mounts"])?;
        for point in ["/b", "/b/inner"] {
            same!(flags(&report, point), wanted, "{point} with {words:?}");
        }
        drop((inner, outer));
    }
    Ok(())
}

/// runc does this for binds only.
fn recursive_flags_work_on_new_filesystems(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/t", "tmpfs", "tmpfs", &["rro", "rnosuid", "rnoexec"]);
    let report = ctx.see(&mut bundle, &["mounts", "write:/t/x"])?;
    same!(report.text("write:/t/x"), "EROFS", "a write");
    same!(flags(&report, "/t"), "ro,nosuid,noexec,relatime", "flags");
    Ok(())
}

fn a_remount_changes_flags_and_filesystem(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.mount("/t", "tmpfs", "tmpfs", &["size=64k", "nosuid", "sync"]);
    bundle.mount("/t", "tmpfs", "tmpfs", &["remount", "size=128k", "async", "noexec"]);
    bundle.mount("/r", "tmpfs", "tmpfs", &["size=64k"]);
    bundle.mount("/r/below", "tmpfs", "tmpfs", &["size=64k"]);
    bundle.mount("/r", "tmpfs", "tmpfs", &["remount", "rro", "shared"]);
    let report = ctx.see(&mut bundle, &["statfs:/t", "write:/t/x", "write:/r/below/x", "mounts"])?;
    same!(report.field("statfs:/t", "bytes"), "131072", "size");
    same!(report.text("write:/t/x"), "ok", "a write");
    same!(flags(&report, "/t"), "nosuid,noexec,relatime", "flags");
    check!(!report.mounted_with("/t", "sync"), "still sync: {}", report.mount("/t"));
    same!(report.text("write:/r/below/x"), "EROFS", "a write below a tree made read-only");
    let shared = report.mount("/r")["propagation"].as_str().unwrap_or_default().starts_with("shared:");
    check!(shared, "not shared: {}", report.mount("/r"));
    Ok(())
}

fn a_remount_of_a_bind_changes_the_mount_alone(ctx: &Ctx<'_>) -> Outcome {
    let source = Tmpfs::new(ctx.dir.join("source"), MsFlags::empty())?;
    let mut bundle = ctx.bundle()?;
    bundle.bind(&source.0, "/b", &["bind", "nosuid"]).bind(&source.0, "/b", &["bind", "remount", "ro"]);
    bundle.bind(&source.0, "/c", &["bind"]).mount("/c", "none", "none", &["remount", "ro"]);
    let report = ctx.see(&mut bundle, &["write:/b/x", "write:/c/x", "mounts"])?;
    for op in ["write:/b/x", "write:/c/x"] {
        same!(report.text(op), "EROFS", "{op}");
    }
    same!(flags(&report, "/b"), "ro,nosuid,relatime", "flags");
    // The oracle does not see flags of a superblock that is the host's: it must still take a write.
    fs::write(source.0.join("x"), "x")?;
    Ok(())
}

fn a_remount_of_nothing_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.dir("t", 0o755)?;
    bundle.mount("/t", "tmpfs", "tmpfs", &["remount", "ro"]);
    ctx.refused(&bundle, &["invalid argument"])
}

/// The options would be those of the host's filesystem.
fn a_remount_with_data_on_a_bind_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.bind(&ctx.host.canary, "/x", &["bind"]).mount("/x", "none", "none", &["remount", "size=1k"]);
    ctx.refused(&bundle, &["bind mounts cannot have any filesystem-specific options applied"])
}
