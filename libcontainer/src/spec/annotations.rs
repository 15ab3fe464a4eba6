//! Annotations that mean something to the runtime: one table. Pure.
//!
//! They are often passed through from users, so `features` lists all of them as potentially unsafe.

use std::path::Path;

use oci_spec::runtime::Spec as Config;

use super::pointer;
use crate::{Error, ErrorKind, Result};

/// What becomes of an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has an effect: the file that gives it.
    Honoured(&'static str),
    /// It asks for what is so anyway, or belongs to something that this build has not (systemd, checkpoints): as in runc it is
    /// read and has no effect.
    Accepted(&'static str),
    /// It asks for protection that this build cannot give: an error, unless it is empty or `0`.
    Refused(&'static str),
    /// It belongs to another runtime and is ignored on purpose: why.
    NotSupported(&'static str),
}

/// An annotation, or with a dot at its end every one that begins so.
pub(crate) struct Annotation {
    /// Its name.
    pub name: &'static str,
    /// What it asks for.
    pub meaning: &'static str,
    /// What becomes of it.
    pub fate: Fate,
}

use Fate::{Accepted, Honoured, NotSupported, Refused};

// table: name, meaning, fate. A name comes before the prefix that it has.
#[rustfmt::skip]
pub(crate) const TABLE: &[Annotation] = &[
    row("org.systemd.property.",             "property of the container's unit",                 Honoured("plan/cgroup/systemd/annotations.rs")),
    row("org.criu.config",                   "configuration file of CRIU",                       Accepted("this build makes no checkpoints")),
    row("org.opencontainers.runc.clone-self-exe", "how runc protects its executable",            Accepted("init is always a sealed copy of a program of its own")),
    row("run.oci.keep_original_groups",      "the caller's supplementary groups stay",           Honoured("plan/namespaces.rs, plan/process.rs, plan/exec.rs")),
    row("run.oci.delegate-cgroup",           "a group below the container's, for it to manage",  Honoured("plan/cgroup/owner.rs")),
    row("run.oci.systemd.subgroup",          "a group in the container's scope",                 Honoured("plan/cgroup/owner.rs")),
    row("run.oci.systemd.force_cgroup_v1",   "a v1 mount for old guests",                        Accepted("only guests that boot systemd need it")),
    row("run.oci.mount_context_type",        "which label option mounts get",                    Honoured("plan/labels.rs")),
    row("run.oci.pidfd_receiver",            "a socket for a descriptor of init",                Honoured("prepare/receiver.rs")),
    row("run.oci.hooks.stdout",              "a file for the output of hooks",                   Honoured("launch/hook/streams.rs")),
    row("run.oci.hooks.stderr",              "a file for the errors of hooks",                   Honoured("launch/hook/streams.rs")),
    row("run.oci.seccomp.receiver",          "a socket for the descriptor of a notifying filter", Honoured("spec/filter.rs")),
    row("run.oci.seccomp_fail_unknown_syscall", "unknown names of system calls are an error",    Honoured("spec/filter.rs")),
    row("run.oci.seccomp_bpf_data",          "the filter itself, in base64",                     Honoured("spec/filter.rs")),
    row("run.oci.seccomp.plugins",           "libraries that handle notifications",              NotSupported("it would load code into the caller")),
    row("run.oci.handler",                   "another kind of container",                        NotSupported("only processes of this kernel are made")),
    row("run.oci.",                          "other options of crun",                            NotSupported("it is not known")),
    row("module.wasm.",                      "a module of WebAssembly",                          NotSupported("only processes of this kernel are made")),
    row("krun.",                             "a virtual machine",                                NotSupported("only processes of this kernel are made")),
    row("teu.mount.sysfs-fallback",          "the host's /sys where a new one is denied",        Honoured("plan/mounts.rs")),
    row("teu.cpu-affinity",                  "processors of the container's processes",          Honoured("plan/scheduling.rs")),
    row("teu.keyring",                       "the caller's session keyring stays",               Honoured("plan/mod.rs, plan/exec.rs")),
    row("teu.landlock",                      "rules of Landlock",                                Refused("this build has no rules of Landlock")),
    row("teu.core-sched",                    "processors shared with nobody",                    Refused("this build asks for no core scheduling")),
    row("teu.userns.auto",                   "a user namespace of subordinate ids",              Refused("name the user namespace and its mappings")),
    row("teu.",                              "options of this runtime",                          NotSupported("this version does not know it")),
];

/// A socket for a descriptor of init.
const PIDFD_RECEIVER: &str = "run.oci.pidfd_receiver";
/// Its place in config.json.
pub(crate) const PIDFD_RECEIVER_SITE: &str = "/annotations/run.oci.pidfd_receiver";
pub(crate) const SYSTEMD_PROPERTY: &str = "org.systemd.property.";

const fn row(name: &'static str, meaning: &'static str, fate: Fate) -> Annotation {
    Annotation { name, meaning, fate }
}

/// The row of an annotation; `None` for one that means nothing here.
pub(crate) fn find(name: &str) -> Option<&'static Annotation> {
    let is = |row: &&Annotation| name == row.name || row.name.ends_with('.') && name.starts_with(row.name);
    TABLE.iter().find(is)
}

/// Says in the log what is ignored. Nothing is looked at unless somebody listens.
pub(crate) fn log_ignored(config: &Config) {
    if !log::log_enabled!(log::Level::Debug) {
        return;
    }
    for name in config.annotations().iter().flatten().map(|(name, _)| name) {
        if let Some(Annotation { meaning, fate: NotSupported(why) | Accepted(why), .. }) = find(name) {
            log::debug!("annotation {name:?} ({meaning}) has no effect: {why}");
        }
    }
}

/// The socket that waits for a descriptor of init.
pub(crate) fn pidfd_receiver(config: &Config) -> Option<&Path> {
    let path = config.annotations().as_ref()?.get(PIDFD_RECEIVER)?;
    (!path.is_empty()).then(|| Path::new(path))
}

/// Checks the annotations that no chapter of the specification has.
pub(super) fn check(config: &Config) -> Result<()> {
    check_properties(config)?;
    check_refused(config)?;
    match pidfd_receiver(config) {
        Some(path) if !path.is_absolute() => {
            let message = format!("the receiver of the pidfd is not an absolute path: {}", path.display());
            Err(Error::new(ErrorKind::InvalidSpec, message).at(PIDFD_RECEIVER_SITE))
        }
        _ => Ok(()),
    }
}

fn check_refused(config: &Config) -> Result<()> {
    for (name, value) in config.annotations().iter().flatten() {
        let asked = !["", "0"].contains(&value.as_str());
        if let Some(Annotation { meaning, fate: Refused(why), .. }) = find(name).filter(|_| asked) {
            let message = format!("annotation {name} ({meaning}) cannot be honoured: {why}");
            return Err(Error::new(ErrorKind::Unsupported, message).at(pointer::join("/annotations", name)));
        }
    }
    Ok(())
}

/// Names of unit properties are letters, three at least: a check that does not wait for the systemd manager.
fn check_properties(config: &Config) -> Result<()> {
    let names = config.annotations().iter().flatten().map(|(name, _)| name);
    for property in names.filter_map(|name| name.strip_prefix(SYSTEMD_PROPERTY)) {
        if property.len() < 3 || !property.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            let place = pointer::join("/annotations", &format!("{SYSTEMD_PROPERTY}{property}"));
            let message = "the name of a systemd property has three letters or more, and nothing else";
            return Err(Error::new(ErrorKind::InvalidSpec, message).at(place));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_precise_row_is_found() {
        let fate = |name: &str| find(name).map(|row| row.fate);
        assert!(matches!(fate("run.oci.delegate-cgroup"), Some(Honoured(_))));
        assert!(matches!(fate("run.oci.seccomp.plugins"), Some(NotSupported(_))));
        assert!(matches!(fate("run.oci.unheard-of"), Some(NotSupported("it is not known"))));
        assert!(matches!(fate("module.wasm.image/variant"), Some(NotSupported(_))));
        assert!(matches!(fate("org.systemd.property.TimeoutStopUSec"), Some(Honoured(_))));
        assert_eq!(fate("com.example.run.oci.handler"), None);
        for (index, row) in TABLE.iter().enumerate() {
            let shadow = TABLE
                .iter()
                .take(index)
                .find(|before| before.name.ends_with('.') && row.name.starts_with(before.name));
            assert!(shadow.is_none(), "{} is never reached", row.name);
            assert!(!row.meaning.is_empty());
        }
    }

    #[test]
    fn every_annotation_that_is_not_ignored_is_listed_as_unsafe() {
        let listed = crate::features::unsafe_annotations();
        for row in TABLE.iter().filter(|row| !matches!(row.fate, NotSupported(_))) {
            let covered = listed
                .iter()
                .any(|name| *name == row.name || name.ends_with('.') && row.name.starts_with(name));
            assert!(covered, "{}", row.name);
        }
    }

    #[test]
    fn the_receiver_of_the_pidfd_is_an_absolute_path() {
        let config = |path: &str| {
            let config = serde_json::json!({"ociVersion": "1.3.0", "annotations": { PIDFD_RECEIVER: path }});
            serde_json::from_value(config).unwrap()
        };
        check(&config("/run/receiver")).unwrap();
        check(&config("")).unwrap();
        assert_eq!(pidfd_receiver(&config("")), None);
        for path in ["receiver", "./r", "../r", "\n/r"] {
            let error = check(&config(path)).unwrap_err();
            assert_eq!(error.pointer(), Some(PIDFD_RECEIVER_SITE), "{path:?}");
        }
    }

    #[test]
    fn what_this_build_cannot_give_is_refused() {
        let config = |name: &str, value: &str| {
            let config = serde_json::json!({"ociVersion": "1.3.0", "annotations": { name: value }});
            serde_json::from_value(config).unwrap()
        };
        for name in ["teu.landlock", "teu.core-sched", "teu.userns.auto"] {
            let error = check(&config(name, "1")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert_eq!(error.pointer(), Some(format!("/annotations/{name}").as_str()));
            check(&config(name, "0")).unwrap();
            check(&config(name, "")).unwrap();
        }
        // The specification: unknown annotations are no error.
        check(&config("teu.unheard-of", "1")).unwrap();
    }

    #[test]
    fn names_of_unit_properties_are_words() {
        let check = |name: &str| {
            let config = serde_json::json!({"ociVersion": "1.3.0", "annotations": { name: "1" }});
            check(&serde_json::from_value(config).unwrap())
        };
        check("org.systemd.property.CPUWeight").unwrap();
        check("org.systemd.properties").unwrap();
        for name in ["", "Ab", "CPU Weight", "CPU-Weight", "A1b2", "a/b/c", "Größe"] {
            let error = check(&format!("org.systemd.property.{name}")).unwrap_err();
            let place = error.pointer().unwrap_or_default();
            assert!(place.starts_with("/annotations/org.systemd.property."), "{name}: {place}");
        }
    }
}
