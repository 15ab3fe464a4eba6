//! Labels of the security modules: on the program and on its mounts, or refused where the machine has no such module.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use super::exec::{enter, process};
use super::tests;
use crate::bundle::Bundle;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::probe::Report;
use crate::{Outcome, Trouble, check, same};

tests! {
    an_apparmor_profile_without_apparmor_is_refused,
    a_selinux_label_without_selinux_is_refused,
    a_mount_label_without_selinux_is_refused,
    the_program_has_the_profile_of_the_configuration [Need::AppArmor],
    a_loaded_profile_confines_the_program_and_what_is_executed [Need::AppArmor],
    an_apparmor_profile_that_is_not_loaded_is_refused [Need::AppArmor],
    the_program_has_the_label_of_the_configuration [Need::Selinux],
    what_is_executed_has_the_label_that_it_asks_for [Need::Selinux],
    a_label_that_the_policy_does_not_know_is_refused [Need::Selinux],
    the_session_keyring_has_the_label_of_the_program [Need::Selinux],
    mounts_have_the_label_of_the_configuration [Need::Selinux],
    files_of_new_filesystems_have_the_label_of_the_configuration [Need::Selinux],
}

const NO_SELINUX: &str = "selinux label is specified in config, but selinux is disabled or not supported";
const PROCESS_LABEL: &str = "system_u:system_r:container_t:s0:c1,c2";
const MOUNT_LABEL: &str = "system_u:object_r:container_file_t:s0:c1,c2";

fn an_apparmor_profile_without_apparmor_is_refused(ctx: &Ctx<'_>) -> Outcome {
    const TEXT: &str = "apparmor: config provided but apparmor not supported";
    without_module(ctx, Need::AppArmor, "/process/apparmorProfile", "unconfined", TEXT)
}

fn a_selinux_label_without_selinux_is_refused(ctx: &Ctx<'_>) -> Outcome {
    without_module(ctx, Need::Selinux, "/process/selinuxLabel", PROCESS_LABEL, NO_SELINUX)
}

fn a_mount_label_without_selinux_is_refused(ctx: &Ctx<'_>) -> Outcome {
    without_module(ctx, Need::Selinux, "/linux/mountLabel", MOUNT_LABEL, NO_SELINUX)
}

/// A container without its label would be less confined than was asked for.
fn without_module(ctx: &Ctx<'_>, module: Need, place: &str, label: &str, text: &str) -> Outcome {
    if ctx.host.missing(module).is_none() {
        return Err(Trouble::Skipped(format!("the machine has {module:?}")));
    }
    let mut bundle = ctx.bundle()?;
    bundle.set(place, label);
    ctx.refused(&bundle, &[text])
}

/// The attribute is the module's that came first; a profile that every machine has is the one that confines nothing.
fn the_program_has_the_profile_of_the_configuration(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/apparmorProfile", "unconfined");
    let own = "read:/proc/self/attr/apparmor/current";
    same!(ctx.see(&mut bundle, &[own])?.text(own).trim(), "unconfined", "profile");
    Ok(())
}

/// One file is forbidden by the profile and by nothing else. A further process has the profile that it asks for.
fn a_loaded_profile_confines_the_program_and_what_is_executed(ctx: &Ctx<'_>) -> Outcome {
    let profile = Profile::load(ctx)?;
    let ops = ["read:/proc/self/attr/apparmor/current", "open:/forbidden", "open:/allowed"];
    let seen = |report: &Report| ops.map(|op| report.text(op).trim().to_owned());
    let confined = [format!("{} (enforce)", profile.name), "EACCES".to_owned(), "ok".to_owned()];
    let mut bundle = ctx.bundle()?;
    bundle.file("/forbidden", "", 0o644)?;
    bundle.file("/allowed", "", 0o644)?;
    bundle.set("/process/apparmorProfile", profile.name.as_str());
    let (container, report) = ctx.sleeping(&mut bundle, &ops)?;
    same!(seen(&report), confined, "label and files of the program");
    let mut process = process(&ops);
    let free = enter(ctx, &container.id, &process)?;
    same!(free.text(ops[1]), "ok", "the file without a profile");
    process["apparmorProfile"] = profile.name.as_str().into();
    same!(seen(&enter(ctx, &container.id, &process)?), confined, "label and files of what is executed");
    Ok(())
}

/// A profile in the kernel for as long as this lives.
struct Profile {
    name: String,
    file: PathBuf,
}

impl Profile {
    fn load(ctx: &Ctx<'_>) -> Result<Self, Trouble> {
        let name = format!("{}-profile", ctx.host.tag);
        let file = ctx.dir.join("profile");
        let allowed = "file, mount, umount, pivot_root, network, capability, signal, ptrace, unix,";
        let text = format!(
            "profile {name} flags=(attach_disconnected,mediate_deleted) {{ {allowed} deny /forbidden rw, }}\n"
        );
        fs::write(&file, text)?;
        let profile = Self { name, file };
        // The cache of the machine is left alone.
        if profile.parser(&["--replace", "--skip-cache"]) {
            return Ok(profile);
        }
        Err(Trouble::Skipped("apparmor_parser is not installed, or may not load a profile".into()))
    }

    fn parser(&self, args: &[&str]) -> bool {
        let mut command = Command::new("apparmor_parser");
        command.args(args).arg(&self.file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.parser(&["--remove"]);
    }
}

fn an_apparmor_profile_that_is_not_loaded_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/apparmorProfile", "teu-no-such-profile");
    ctx.refused(&bundle, &["teu-no-such-profile", "attr"])
}

fn the_program_has_the_label_of_the_configuration(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/selinuxLabel", PROCESS_LABEL);
    let own = "read:/proc/self/attr/current";
    same!(ctx.see(&mut bundle, &[own])?.text(own).trim_end_matches('\0'), PROCESS_LABEL, "label");
    Ok(())
}

/// A label of its own, or that of the container's process.
fn what_is_executed_has_the_label_that_it_asks_for(ctx: &Ctx<'_>) -> Outcome {
    const OTHER: &str = "system_u:system_r:container_t:s0:c3,c4";
    let own = "read:/proc/self/attr/current";
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/selinuxLabel", PROCESS_LABEL);
    let (container, _) = ctx.sleeping(&mut bundle, &[])?;
    let mut process = process(&[own, "keylabel"]);
    for label in [OTHER, PROCESS_LABEL] {
        process["selinuxLabel"] = label.into();
        let report = enter(ctx, &container.id, &process)?;
        same!(report.text(own).trim_end_matches('\0'), label, "label of what is executed");
        same!(report.text("keylabel"), PROCESS_LABEL, "label of the keyring, which is the container's");
    }
    Ok(())
}

fn a_label_that_the_policy_does_not_know_is_refused(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/selinuxLabel", "system_u:system_r:no_such_type_t:s0");
    ctx.refused(&bundle, &["attr", "invalid argument"])?;
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/mountLabel", "system_u:object_r:no_such_type_t:s0");
    ctx.refused(&bundle, &["invalid argument"])
}

fn the_session_keyring_has_the_label_of_the_program(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/process/selinuxLabel", PROCESS_LABEL);
    let report = ctx.see(&mut bundle, &["keyring", "keylabel"])?;
    same!(report.text("keyring"), format!("_ses.{}", bundle.id), "keyring");
    same!(report.text("keylabel"), PROCESS_LABEL, "label of the keyring");
    Ok(())
}

fn mounts_have_the_label_of_the_configuration(ctx: &Ctx<'_>) -> Outcome {
    for kind in ["context", "fscontext", "rootcontext"] {
        let report = ctx.see(&mut labelled(ctx, kind)?, &["read:/proc/self/mountinfo"])?;
        let mounts = report.text("read:/proc/self/mountinfo");
        let dev = mounts.lines().find(|line| line.contains(" /dev ")).unwrap_or_default();
        check!(dev.contains(&format!("{kind}=\"{MOUNT_LABEL}\"")), "label of /dev: {dev}");
    }
    // That one is for filesystems that keep labels on a disk.
    ctx.refused(labelled(ctx, "defcontext")?.mount("/scratch", "tmpfs", "tmpfs", &[]), &["invalid argument"])
}

fn labelled(ctx: &Ctx<'_>, kind: &str) -> Result<Bundle, Trouble> {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/mountLabel", MOUNT_LABEL);
    bundle.set("/annotations", json!({ "run.oci.mount_context_type": kind }));
    Ok(bundle)
}

/// The queues of messages have theirs by an attribute; what the kernel itself fills is labelled by the policy alone.
fn files_of_new_filesystems_have_the_label_of_the_configuration(ctx: &Ctx<'_>) -> Outcome {
    let mut bundle = ctx.bundle()?;
    bundle.set("/linux/mountLabel", MOUNT_LABEL);
    bundle.mount("/queues", "mqueue", "mqueue", &["nosuid"]);
    bundle.mount("/scratch", "tmpfs", "tmpfs", &["nosuid"]);
    let report = ctx
        .see(&mut bundle, &["mkdir:/scratch/made", "label:/scratch/made", "label:/queues", "label:/proc"])?;
    for place in ["label:/scratch/made", "label:/queues"] {
        same!(report.text(place), MOUNT_LABEL, "{place}");
    }
    check!(report.text("label:/proc") != MOUNT_LABEL, "label of /proc: {}", report.text("label:/proc"));
    Ok(())
}
