//! `linux.rootfsPropagation`, `linux.maskedPaths` and `linux.readonlyPaths`.

use oci_spec::runtime::{LinuxNamespaceType, Spec as Config};

use super::{Warnings, invalid, limit_entries, limit_path, list, needs_mounts, needs_namespace, warning};
use crate::Result;

const PROPAGATION: [&str; 8] =
    ["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"];

pub fn propagation(config: &Config, _: &mut Warnings) -> Result<()> {
    let Some(propagation) = config.linux().as_ref().and_then(|linux| linux.rootfs_propagation().as_ref())
    else {
        return Ok(());
    };
    let pointer = "/linux/rootfsPropagation";
    if !PROPAGATION.contains(&propagation.as_str()) {
        return Err(invalid(pointer, format!("rootfsPropagation {propagation:?} is not supported")));
    }
    let message = "unable to set rootfsPropagation without a private mount namespace";
    needs_namespace(config, LinuxNamespaceType::Mount, pointer, message)
}

pub fn masked_and_readonly(config: &Config, warnings: &mut Warnings) -> Result<()> {
    let Some(linux) = config.linux() else { return Ok(()) };
    for (paths, key) in [(linux.masked_paths(), "maskedPaths"), (linux.readonly_paths(), "readonlyPaths")] {
        let paths = list(paths);
        if !paths.is_empty() {
            check(config, paths, key, warnings)?;
        }
    }
    Ok(())
}

fn check(config: &Config, paths: &[String], key: &str, warnings: &mut Warnings) -> Result<()> {
    let pointer = format!("/linux/{key}");
    limit_entries(paths.len(), &pointer)?;
    let message = format!("unable to apply {key} without a private mount namespace");
    needs_mounts(config, &pointer, &message)?;
    for (index, path) in paths.iter().enumerate() {
        let pointer = || format!("{pointer}/{index}");
        if path.is_empty() {
            return Err(invalid(pointer(), "path must not be empty"));
        }
        limit_path(path.as_ref(), pointer)?;
        if !path.starts_with('/') {
            warnings
                .push(warning(pointer(), format!("{path:?} is not absolute, it is taken as relative to /")));
        }
    }
    Ok(())
}
