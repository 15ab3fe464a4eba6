//! Labels of the security modules: on the program and on its mounts, or refused where the machine has no such module.

use serde_json::json;

use super::tests;
use crate::ctx::Ctx;
use crate::host::Need;
use crate::{Outcome, Trouble, check, same};

tests! {
    an_apparmor_profile_without_apparmor_is_refused,
    a_selinux_label_without_selinux_is_refused,
    a_mount_label_without_selinux_is_refused,
    the_program_has_the_profile_of_the_configuration [Need::AppArmor],
    an_apparmor_profile_that_is_not_loaded_is_refused [Need::AppArmor],
    the_program_has_the_label_of_the_configuration [Need::Selinux],
    mounts_have_the_label_of_the_configuration [Need::Selinux],
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

fn mounts_have_the_label_of_the_configuration(ctx: &Ctx<'_>) -> Outcome {
    for kind in ["context", "fscontext", "defcontext", "rootcontext"] {
        let mut bundle = ctx.bundle()?;
        bundle.set("/linux/mountLabel", MOUNT_LABEL);
        bundle.set("/annotations", json!({ "run.oci.mount_context_type": kind }));
        let report = ctx.see(&mut bundle, &["read:/proc/self/mountinfo"])?;
        let mounts = report.text("read:/proc/self/mountinfo");
        let dev = mounts.lines().find(|line| line.contains(" /dev ")).unwrap_or_default();
        check!(dev.contains(&format!("{kind}=\"{MOUNT_LABEL}\"")), "label of /dev: {dev}");
    }
    Ok(())
}
