//! The rules of the specification that concern the configuration alone, one chapter a file, in the order of config.md.
//! The first broken rule ends the check. What needs the host or the rootfs is checked where they are known. Pure.

mod devices;
mod hooks;
mod intel_rdt;
mod labels;
mod limits;
mod mappings;
mod mounts;
mod namespaces;
mod net_devices;
mod not_yet;
mod paths;
mod process;
mod resources;
mod scheduling;
mod seccomp;
mod sysctl;
mod time;
mod top;

pub(crate) use self::mounts::INSIDE_PROC;
pub(super) use self::resources::resources;
pub(crate) use self::scheduling::{MAX_CPUS, MAX_NODES};
pub(crate) use self::sysctl::{DOMAINNAME, owner as sysctl_owner, path as sysctl_path};
use std::ffi::OsStr;
use std::fmt::Display;

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Spec as Config};

use super::Warning;
use crate::{Error, ErrorKind, Result};

/// What a chapter may add to.
type Warnings = Vec<Warning>;
type Chapter = fn(&Config, &mut Warnings) -> Result<()>;

/// Lists that become mounts or nodes are no longer than this.
const MAX_ENTRIES: usize = 10_000;

/// PATH_MAX, with the final NUL.
const PATH_MAX: usize = 4096;

const CHAPTERS: &[Chapter] = &[
    top::version,
    top::root,
    |config, _| super::annotations::check(config),
    |config, _| super::own::check(config),
    mounts::mounts,
    process::process,
    labels::labels,
    scheduling::scheduling,
    top::hostname,
    namespaces::namespaces,
    mappings::mappings,
    time::time_offsets,
    net_devices::net_devices,
    devices::devices,
    resources::resources,
    intel_rdt::intel_rdt,
    seccomp::seccomp,
    sysctl::sysctl,
    sysctl::personality,
    paths::propagation,
    paths::masked_and_readonly,
    hooks::hooks,
    not_yet::not_yet,
];

/// Checks `config` against every chapter.
pub fn validate(config: &Config, warnings: &mut Warnings) -> Result<()> {
    CHAPTERS.iter().try_for_each(|chapter| chapter(config, warnings))
}

fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSpec, message).at(pointer)
}

fn warning(pointer: impl Into<String>, message: impl Into<String>) -> Warning {
    Warning::new(pointer, message)
}

/// An absent list is an empty one.
fn list<T>(list: &Option<Vec<T>>) -> &[T] {
    list.as_deref().unwrap_or_default()
}

fn namespaces_of(config: &Config) -> &[LinuxNamespace] {
    config.linux().as_ref().map_or(&[], |linux| list(linux.namespaces()))
}

/// The namespace of this type that the container gets, new or joined.
fn namespace(config: &Config, typ: LinuxNamespaceType) -> Option<&LinuxNamespace> {
    namespaces_of(config).iter().find(|namespace| namespace.typ() == typ)
}

fn needs_namespace(config: &Config, typ: LinuxNamespaceType, pointer: &str, message: &str) -> Result<()> {
    match namespace(config, typ) {
        Some(_) => Ok(()),
        None => Err(invalid(pointer, message)),
    }
}

/// Whether mounts can be made: in a namespace of their own, or on the host, where a user namespace would take the right to do it away.
fn needs_mounts(config: &Config, pointer: &str, message: &str) -> Result<()> {
    match namespace(config, LinuxNamespaceType::User) {
        Some(_) => needs_namespace(config, LinuxNamespaceType::Mount, pointer, message),
        None => Ok(()),
    }
}

fn limit_entries(count: usize, pointer: impl Display) -> Result<()> {
    if count > MAX_ENTRIES {
        return Err(invalid(
            pointer.to_string(),
            format!("{count} entries, at most {MAX_ENTRIES} are allowed"),
        ));
    }
    Ok(())
}

fn limit_path(path: &OsStr, pointer: impl FnOnce() -> String) -> Result<()> {
    if path.len() >= PATH_MAX {
        return Err(invalid(pointer(), "path is longer than 4095 bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
