//! What this build cannot do yet. It is refused, never ignored; a line goes when the feature comes. Empty values are absent.

use oci_spec::runtime::{Hook, Linux, LinuxNamespaceType, LinuxPersonalityDomain, Spec as Config};

use super::{Warnings, list, namespace};
use crate::{Error, ErrorKind, Result};

type Wanted = fn(&Config) -> bool;

const NOT_YET: &[(&str, Wanted)] = &[
    ("/hooks/prestart", |c| hooks(c, |h| h.prestart())),
    ("/hooks/createRuntime", |c| hooks(c, |h| h.create_runtime())),
    ("/hooks/createContainer", |c| hooks(c, |h| h.create_container())),
    ("/hooks/startContainer", |c| hooks(c, |h| h.start_container())),
    ("/hooks/poststart", |c| hooks(c, |h| h.poststart())),
    ("/hooks/poststop", |c| hooks(c, |h| h.poststop())),
    ("/linux/timeOffsets", |c| {
        linux(c).is_some_and(|l| l.time_offsets().as_ref().is_some_and(|t| !t.is_empty()))
    }),
    ("/linux/netDevices", |c| {
        linux(c).is_some_and(|l| l.net_devices().as_ref().is_some_and(|d| !d.is_empty()))
    }),
    ("/linux/sysctl", |c| linux(c).is_some_and(|l| l.sysctl().as_ref().is_some_and(|s| !s.is_empty()))),
    ("/linux/mountLabel", |c| linux(c).is_some_and(|l| l.mount_label().is_some())),
    // Even an empty object asks for a group.
    ("/linux/intelRdt", |c| linux(c).is_some_and(|l| l.intel_rdt().is_some())),
    ("/linux/personality", |c| linux(c).is_some_and(personality)),
];

pub fn not_yet(config: &Config, _: &mut Warnings) -> Result<()> {
    if namespace(config, LinuxNamespaceType::Time).is_some() {
        return Err(unsupported("/linux/namespaces", "a time namespace"));
    }
    joined_user_namespace(config)?;
    match NOT_YET.iter().find(|(_, wanted)| wanted(config)) {
        Some((pointer, _)) => Err(unsupported(*pointer, &pointer.trim_start_matches('/').replace('/', "."))),
        None => Ok(()),
    }
}

fn unsupported(pointer: impl Into<String>, what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} is not supported yet by this build")).at(pointer)
}

/// Allowed by runc if the mappings equal those of the joined namespace.
fn joined_user_namespace(config: &Config) -> Result<()> {
    let joined = namespace(config, LinuxNamespaceType::User).is_some_and(|user| user.path().is_some());
    let Some(linux) = linux(config).filter(|_| joined) else { return Ok(()) };
    for (mappings, key) in [(linux.uid_mappings(), "uidMappings"), (linux.gid_mappings(), "gidMappings")] {
        if !list(mappings).is_empty() {
            let what = format!("linux.{key} together with the path of a user namespace");
            return Err(unsupported(format!("/linux/{key}"), &what));
        }
    }
    Ok(())
}

fn linux(config: &Config) -> Option<&Linux> {
    config.linux().as_ref()
}

fn hooks(config: &Config, of: fn(&oci_spec::runtime::Hooks) -> &Option<Vec<Hook>>) -> bool {
    config.hooks().as_ref().is_some_and(|hooks| !list(of(hooks)).is_empty())
}

/// LINUX is what every process has; flags are ignored.
fn personality(linux: &Linux) -> bool {
    linux.personality().as_ref().is_some_and(|p| p.domain() != LinuxPersonalityDomain::PerLinux)
}
