//! Labels of security modules: of the process and of what is mounted.

use oci_spec::runtime::Spec as Config;

use super::{Warnings, invalid};
use crate::Result;

/// What fits into one page with the word before it: the kernel takes no longer write to an attribute.
const MAX_LABEL: usize = 4000;

pub fn labels(config: &Config, _: &mut Warnings) -> Result<()> {
    if let Some(process) = config.process() {
        label(process.apparmor_profile(), "/process/apparmorProfile")?;
        label(process.selinux_label(), "/process/selinuxLabel")?;
    }
    config.linux().as_ref().map_or(Ok(()), |linux| label(linux.mount_label(), "/linux/mountLabel"))
}

/// The kernel cuts a longer label off and reads a newline as its end: neither may reach it.
fn label(label: &Option<String>, pointer: &str) -> Result<()> {
    let refused =
        |why: &str| Err(invalid(pointer, format!("{} {why}", pointer.rsplit('/').next().unwrap_or(pointer))));
    match label.as_deref() {
        Some(label) if label.len() > MAX_LABEL => refused("is longer than 4,000 bytes"),
        Some(label) if label.contains(|c: char| c.is_ascii_control()) => refused("has a control character"),
        _ => Ok(()),
    }
}
