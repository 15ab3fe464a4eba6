//! `process.apparmorProfile` and `process.selinuxLabel`: written to attributes of init that count from its execve on. `linux.mountLabel`: the SELinux
//! label of new filesystems.

use std::borrow::Cow;

use oci_spec::runtime::Process;

use super::Subject;
use super::mounts::{Simple, What};
use super::procfs::Procfs;
use super::program::Builder;
use crate::host::Host;
use crate::{Error, ErrorKind, Result};

const APPARMOR: &str = "/process/apparmorProfile";
const NO_SELINUX: &str = "selinux label is specified in config, but selinux is disabled or not supported";
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
    let mounts = config.linux().as_ref().is_some_and(|linux| linux.mount_label().is_some());
    mounts
        || process
            .is_some_and(|process| process.apparmor_profile().is_some() || process.selinux_label().is_some())
}

/// The label of new filesystems.
#[derive(Clone, Copy, Debug)]
pub(super) struct MountLabel<'a> {
    label: &'a str,
    /// The option of the filesystem, in the form of the program.
    option: &'static str,
}

/// Which of the options of SELinux says the label, by the value of the annotation.
const CONTEXTS: [(&str, &str); 4] = [
    ("context", "=context"),
    ("fscontext", "=fscontext"),
    ("defcontext", "=defcontext"),
    ("rootcontext", "=rootcontext"),
];
const CONTEXT_TYPE: &str = "run.oci.mount_context_type";

/// Labelled by the kernel's policy alone, as in runc.
const UNLABELLED: [&str; 4] = ["proc", "sysfs", "cgroup", "cgroup2"];

impl<'a> MountLabel<'a> {
    /// Reads `linux.mountLabel`.
    ///
    /// # Errors
    /// `Unsupported` where SELinux is off; `InvalidSpec` for an unknown kind in the annotation.
    pub fn of(subject: &Subject<'a>) -> Result<Option<Self>> {
        let linux = subject.config.linux().as_ref();
        let Some(label) = linux.and_then(|linux| linux.mount_label().as_deref()) else { return Ok(None) };
        if !subject.host.selinux {
            return Err(Error::new(ErrorKind::Unsupported, NO_SELINUX).at("/linux/mountLabel"));
        }
        let annotations = subject.config.annotations().as_ref();
        let kind = annotations.and_then(|all| all.get(CONTEXT_TYPE)).map_or("context", String::as_str);
        match CONTEXTS.iter().find(|(name, _)| *name == kind) {
            Some((_, option)) => Ok(Some(Self { label, option })),
            None => {
                let message =
                    format!("{CONTEXT_TYPE} {kind:?} is not context, fscontext, defcontext or rootcontext");
                let pointer = format!("/annotations/{CONTEXT_TYPE}");
                Err(Error::new(ErrorKind::InvalidSpec, message).at(pointer))
            }
        }
    }

    /// Labels a mount, if it is a new filesystem: by its option, or by its attribute where the kernel refuses the option.
    pub fn add(self, mount: &mut Simple<'a>) {
        let (What::New { fs, options, .. } | What::NewMapped { fs, options, .. }) = &mut mount.what else {
            return;
        };
        match *fs {
            "mqueue" => mount.label = Some(self.label),
            fs if UNLABELLED.contains(&fs) || options.iter().any(|option| option == self.option) => {}
            _ => options.extend([Cow::Borrowed(self.option), Cow::Borrowed(self.label)]),
        }
    }
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
            return Err(Error::new(ErrorKind::Unsupported, NO_SELINUX).at(SELINUX));
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
