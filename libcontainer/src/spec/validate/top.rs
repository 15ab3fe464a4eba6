//! `ociVersion`, `root`, `hostname` and `domainname`.

use oci_spec::runtime::{LinuxNamespaceType, Spec as Config};

use super::{Warnings, invalid, limit_path, needs_mounts, needs_namespace};
use crate::Result;

/// __NEW_UTS_LEN.
const MAX_HOSTNAME: usize = 64;

pub fn version(config: &Config, _: &mut Warnings) -> Result<()> {
    let version = config.version();
    let refused = |why: &str| Err(invalid("/ociVersion", why));
    match major(version) {
        _ if version.is_empty() => refused("ociVersion is missing"),
        None => refused(&format!("ociVersion {version:?} is not a semantic version")),
        Some("1") => Ok(()),
        Some(_) => refused(&format!("ociVersion {version:?} is not supported, only 1.x is")),
    }
}

/// The major number of a semantic version (semver.org 2.0.0).
fn major(version: &str) -> Option<&str> {
    let (rest, build) = split_suffix(version, '+');
    let (core, pre_release) = split_suffix(rest, '-');
    let numbers: Vec<&str> = core.split('.').collect();
    let valid = numbers.len() == 3
        && numbers.iter().all(|number| is_number(number))
        && build.is_none_or(|build| build.split('.').all(is_identifier))
        && pre_release.is_none_or(|pre| pre.split('.').all(is_pre_release));
    valid.then(|| numbers.first().copied()).flatten()
}

fn split_suffix(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn is_number(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_pre_release(text: &str) -> bool {
    is_identifier(text) && (is_number(text) || text.bytes().any(|byte| !byte.is_ascii_digit()))
}

pub fn root(config: &Config, _: &mut Warnings) -> Result<()> {
    let Some(root) = config.root() else {
        return Err(invalid("/root", "root must be specified"));
    };
    if root.path().as_os_str().is_empty() {
        return Err(invalid("/root/path", "root path must not be empty"));
    }
    limit_path(root.path().as_os_str(), || "/root/path".into())?;
    if root.readonly() == Some(true) {
        let message = "unable to make the root read-only without a private mount namespace";
        needs_mounts(config, "/root/readonly", message)?;
    }
    Ok(())
}

pub fn hostname(config: &Config, _: &mut Warnings) -> Result<()> {
    for (name, key) in [(config.hostname(), "hostname"), (config.domainname(), "domainname")] {
        let Some(name) = name else { continue };
        let pointer = format!("/{key}");
        let message = format!("unable to set {key} without a private UTS namespace");
        needs_namespace(config, LinuxNamespaceType::Uts, &pointer, &message)?;
        if name.len() > MAX_HOSTNAME {
            return Err(invalid(pointer, format!("{key} is longer than {MAX_HOSTNAME} bytes")));
        }
    }
    Ok(())
}
