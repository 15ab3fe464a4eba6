//! `process.apparmorProfile` and `process.selinuxLabel`: written to attributes of init that count from its execve on.

use oci_spec::runtime::Process;

use super::procfs::Procfs;
use super::program::Builder;
use crate::host::Host;
use crate::{Error, ErrorKind, Result};

const APPARMOR: &str = "/process/apparmorProfile";
const SELINUX: &str = "/process/selinuxLabel";

/// With AppArmor beside another security module only the first of these is its own.
const APPARMOR_FILES: [&str; 2] = ["self/attr/apparmor/exec", "self/attr/exec"];
const SELINUX_EXEC: [&str; 1] = ["self/attr/exec"];
const SELINUX_KEYS: [&str; 1] = ["self/attr/keycreate"];

/// The labels of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Labels<'a> {
    apparmor: Option<(&'a str, Procfs)>,
    selinux: Option<(&'a str, Procfs)>,
}

/// Whether the plan depends on which security modules the host has.
pub fn wants_security_modules(config: &oci_spec::runtime::Spec) -> bool {
    let process = config.process().as_ref();
    process.is_some_and(|process| process.apparmor_profile().is_some() || process.selinux_label().is_some())
}

impl<'a> Labels<'a> {
    /// Reads the labels of `process`.
    ///
    /// # Errors
    /// `Unsupported` where the host does not have the security module: a container without its label is less confined than was asked for.
    pub fn of(process: &'a Process, host: &Host, procfs: Option<Procfs>) -> Result<Self> {
        let (profile, label) = (process.apparmor_profile().as_deref(), process.selinux_label().as_deref());
        if profile.is_some() && !host.apparmor {
            let message = "apparmor: config provided but apparmor not supported";
            return Err(Error::new(ErrorKind::Unsupported, message).at(APPARMOR));
        }
        if label.is_some() && !host.selinux {
            let message = "selinux label is specified in config, but selinux is disabled or not supported";
            return Err(Error::new(ErrorKind::Unsupported, message).at(SELINUX));
        }
        Ok(Self { apparmor: profile.zip(procfs), selinux: label.zip(procfs) })
    }

    /// Labels the keys that are made from now on.
    pub fn push_keys(&self, out: &mut Builder) {
        if let Some((label, procfs)) = self.selinux {
            procfs.write(&SELINUX_KEYS, label, SELINUX, out);
        }
    }

    /// Sets the AppArmor profile of the program.
    pub fn push_profile(&self, out: &mut Builder) {
        if let Some((profile, procfs)) = self.apparmor {
            procfs.write(&APPARMOR_FILES, &format!("exec {profile}"), APPARMOR, out);
        }
    }

    /// Sets the SELinux label of the program.
    pub fn push_label(&self, out: &mut Builder) {
        if let Some((label, procfs)) = self.selinux {
            procfs.write(&SELINUX_EXEC, label, SELINUX, out);
        }
    }
}
