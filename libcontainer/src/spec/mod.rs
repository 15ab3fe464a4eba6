//! config.json becomes a [`Spec`]: parsed, made lenient where runc is lenient, and validated. Pure, except for reading the file.
//!
//! A refusal carries the JSON pointer (RFC 6901) of its place. What runc only warns about becomes a [`Warning`]; what this
//! build cannot do yet is refused and never ignored (`validate/not_yet.rs`). After loading, an empty string means the same as
//! absence and has become `None` (`absent.rs`).
//!
//! The types are those of the `oci-spec` crate, version 0.10. Where they differ from runtime-spec 1.3 and from runc:
//!
//! - They refuse what runc accepts. Mended in `lenient.rs`, where each case has its line: unknown capabilities, null where a
//!   value is mandatory, no `process.user`, an empty `linux.seccomp`, an empty `type` of a device rule, empty strings in
//!   `process.execCPUAffinity`, incomplete sections of other platforms, two scheduler flags whose names the crate has wrong.
//! - They make mandatory, as runc does in effect: `mounts[].destination`, `namespaces[].type`, `devices[].type`,
//!   `rlimits[].type`, `hooks.*[].path`, `personality.domain`, `scheduler.policy`, `memoryPolicy.mode`, `syscalls[].names`
//!   and `.action`.
//! - They lose things on Linux, found again by `lost.rs`: whether `linux.resources.pids.limit` is absent or 0 (`pids`
//!   goes when it is absent), how a capability is spelt (they also read `kill`, a name that runc ignores), the absent numbers
//!   of a device, and the absent class of `process.ioPriority`. Unknown to
//!   them and ignored here: `freebsd`, `vm.hwconfig`, the old names `intelRdt.enableCMT` and `enableMBM`.
//! - `hugepageLimits[].limit` is signed: values from 2^63 are refused.
//!
//! Kept different from runc on purpose: property names are case-sensitive as JSON's are, text after the document is an error,
//! and so is null as an element of an array.

mod absent;
pub(crate) mod annotations;
mod example;
pub(crate) mod filter;
mod id;
mod lenient;
mod load;
mod lost;
mod merge;
mod mounts;
mod notify;
pub(crate) mod numbers;
pub(crate) mod own;
mod place;
pub(crate) mod pointer;
mod strict;
mod update;
mod validate;

use std::borrow::Cow;
use std::fs::Metadata;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use serde_json::Value;

pub use example::example;
pub use id::Id;
#[cfg(test)]
pub(crate) use merge::resources as merge;
pub(crate) use pointer::join as pointer_to;
pub(crate) use update::Updated;
pub(crate) use validate::{DOMAINNAME, INSIDE_PROC, MAX_CPUS, MAX_NODES, sysctl_owner, sysctl_path};

use self::load::Members;
use crate::error::line;
use crate::{Error, ErrorKind, Result, sys};

/// An annotation of crun: the caller's supplementary groups stay.
pub(crate) const KEEP_GROUPS: &str = "run.oci.keep_original_groups";

/// Whether [`KEEP_GROUPS`] is on.
pub(crate) fn keeps_groups(config: &oci_spec::runtime::Spec) -> bool {
    config.annotations().as_ref().and_then(|all| all.get(KEEP_GROUPS)).is_some_and(|value| value == "1")
}

/// The stage of errors that come from here.
const STAGE: &str = "spec";
/// What errors call a configuration.
const CONFIG: &str = "config.json";
/// The sections that one more process has nothing to do with.
const OF_A_NEW_CONTAINER: [&str; 2] = ["mounts", "hooks"];

/// The configuration of a container and the directory that it came from.
#[derive(Clone, Debug)]
pub struct Spec {
    config: oci_spec::runtime::Spec,
    bundle: PathBuf,
    json: Arc<[u8]>,
    warnings: Vec<Warning>,
}

/// Something in the configuration that is ignored or doubtful, as runc warns about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The place, as an RFC 6901 pointer.
    pub pointer: String,
    /// What is ignored or doubtful.
    pub message: String,
}

impl Warning {
    fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: line(pointer.into()), message: line(message.into()) }
    }
}

impl Spec {
    /// Reads and validates `config.json` in the directory `bundle`.
    ///
    /// # Errors
    /// `InvalidArgument` for a bundle that cannot be entered, `InvalidSpec` for a file that is missing, too large, not JSON or
    /// against a rule, `Unsupported` for what this build cannot do yet.
    pub fn from_bundle(bundle: impl AsRef<Path>) -> Result<Self> {
        Self::from_file(bundle, "config.json")
    }

    /// Like [`Spec::from_bundle`] with another file; a relative `config` is below the bundle.
    ///
    /// # Errors
    /// Those of [`Spec::from_bundle`].
    pub fn from_file(bundle: impl AsRef<Path>, config: impl AsRef<Path>) -> Result<Self> {
        let given = bundle.as_ref();
        let bundle = plain(given).map_or_else(|| resolved(given), Ok)?;
        let json = load::read(&bundle, config.as_ref()).map_err(|error| error.during(STAGE))?;
        Self::from_absolute(bundle, &json)
    }

    /// Like [`Spec::from_bundle`] with the directory itself. The bundle's path is the one that the kernel knows for it now.
    ///
    /// # Errors
    /// Those of [`Spec::from_bundle`]; `InvalidArgument` for what is no directory, or one without a path.
    pub fn from_directory(bundle: BorrowedFd<'_>) -> Result<Self> {
        let bundle = Self::path_of(bundle)?;
        let json = load::read(&bundle, Path::new("config.json")).map_err(|error| error.during(STAGE))?;
        Self::from_absolute(bundle, &json)
    }

    /// The path of a bundle that is open: what [`Spec::from_json`] wants to know.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no directory, or one without a path.
    pub fn path_of(bundle: BorrowedFd<'_>) -> Result<PathBuf> {
        let refused =
            |why: &str| Error::new(ErrorKind::InvalidArgument, format!("the bundle's descriptor {why}"));
        let link = format!("/proc/self/fd/{}", bundle.as_raw_fd());
        let path = std::fs::read_link(&link).map_err(|error| {
            Error::io("the bundle's descriptor", &error).kind_is(ErrorKind::InvalidArgument)
        })?;
        let same = |found: &Metadata| {
            std::fs::metadata(&link).is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()))
        };
        match std::fs::metadata(&path) {
            Ok(found) if !found.is_dir() => Err(refused("is of no directory")),
            Ok(found) if same(&found) => Ok(path),
            _ => Err(refused("is of a directory without a path")),
        }
    }

    /// Validates a configuration in memory. Touches no file; `bundle` is what relative paths are below.
    ///
    /// # Errors
    /// Those of [`Spec::from_bundle`].
    ///
    /// # Example
    /// ```
    /// let json = br#"{"ociVersion": "1.3.0", "root": {"path": "rootfs"}, "process": {"cwd": "tmp", "args": ["sh"]}}"#;
    /// let error = teu::Spec::from_json("/bundles/web", json).unwrap_err();
    /// assert_eq!(error.to_string(), "Cwd must be an absolute path (config.json: /process/cwd)");
    /// ```
    pub fn from_json(bundle: impl AsRef<Path>, json: &[u8]) -> Result<Self> {
        let bundle = std::path::absolute(bundle.as_ref())
            .map_err(|error| Error::io("bundle", &error).kind_is(ErrorKind::InvalidArgument))?;
        Self::from_absolute(bundle, json)
    }

    fn from_absolute(bundle: PathBuf, json: &[u8]) -> Result<Self> {
        Self::checked(bundle, json).map_err(|error| error.during(STAGE))
    }

    fn checked(bundle: PathBuf, json: &[u8]) -> Result<Self> {
        if bundle.to_str().is_none() {
            let message = format!(
                "bundle {bundle:?} is not UTF-8, as the state of a container is (runtime-spec \"State\")"
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let mut warnings = Vec::new();
        let mut config = load::parse(json, &mut warnings)?;
        absent::normalize(&mut config);
        filter::name_receiver(&mut config);
        validate::validate(&config, &mut warnings)?;
        Ok(Self { config, bundle, json: json.into(), warnings })
    }

    /// The same configuration with another `process`: what `exec` runs. The whole is checked as if it had been written so. A process that says nothing of
    /// `execCPUAffinity` has that of the configuration, which is there for this.
    ///
    /// # Errors
    /// Those of [`Spec::from_bundle`], with places below `/process`.
    pub fn with_process(&self, process: &[u8]) -> Result<Self> {
        Self::joined(&self.bundle, load::members(&self.json, CONFIG)?, process)
    }

    /// The same from the text of a configuration that is not read otherwise, and without the sections that matter to a new container alone. The process
    /// is what `make` makes of the configuration's own, an empty object if it has none. `bundle` is absolute.
    pub(crate) fn of_process(
        bundle: &Path,
        json: &[u8],
        make: impl FnOnce(&str) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        let mut whole = load::members(json, CONFIG)?;
        let process = make(whole.get("process").map_or("{}", |process| process.get()))?;
        whole.retain(|name, _| !OF_A_NEW_CONTAINER.contains(&name.as_str()));
        Self::joined(bundle, whole, &process)
    }

    fn joined(bundle: &Path, whole: Members<'_>, process: &[u8]) -> Result<Self> {
        let process = with_affinity(process, &whole)?;
        Self::from_absolute(bundle.to_owned(), replaced(&whole, "process", &process).as_bytes())
    }

    /// The `process` of a configuration as it was written; an empty object if it has none.
    pub(crate) fn process_of(json: &[u8]) -> Result<String> {
        let whole = load::members(json, CONFIG)?;
        Ok(whole.get("process").map_or("{}", |process| process.get()).to_owned())
    }

    /// The text that it was read from.
    pub(crate) fn json(&self) -> Arc<[u8]> {
        Arc::clone(&self.json)
    }

    /// The configuration.
    pub fn config(&self) -> &oci_spec::runtime::Spec {
        &self.config
    }

    /// The absolute path of the bundle.
    pub fn bundle(&self) -> &Path {
        &self.bundle
    }

    /// What was ignored or is doubtful, in the order of the checks.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// The absolute path of a directory, if that is the path as it is given: without `..` and without symbolic links. The kernel says so in one call.
fn plain(given: &Path) -> Option<PathBuf> {
    // Without an empty component, which a slash at the end is.
    let path: PathBuf = std::path::absolute(given).ok()?.components().collect();
    let straight = path.components().all(|component| component != Component::ParentDir);
    (straight && sys::fs::open_directory_plain(&path).is_ok()).then_some(path)
}

/// The path that the kernel has for a directory. It resolves the given one at once; component by component, as realpath(3) does, costs three times as much.
fn resolved(given: &Path) -> Result<PathBuf> {
    let opened = open(given, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let opened = opened.map_err(|errno| {
        Error::os(format!("bundle {}", given.display()), errno as i32).kind_is(ErrorKind::InvalidArgument)
    })?;
    Spec::path_of(opened.as_fd()).map_err(|error| error.context(format!("bundle {}", given.display())))
}

/// The text of a further process, with the CPUs that the configuration names for such ones unless it names its own.
fn with_affinity<'a>(process: &'a [u8], whole: &Members<'_>) -> Result<Cow<'a, str>> {
    const KEY: &str = "execCPUAffinity";
    let members = load::members(process, "process");
    // Why it is no object is said best by whoever reads all of it.
    let members = members.map_err(|error| load::object(process, "process").err().unwrap_or(error))?;
    // A container may have no process of its own, which is null where it is written.
    let configured = whole.get("process").and_then(|own| load::members(own.get().as_bytes(), "process").ok());
    let affinity = configured.and_then(|own| own.get(KEY).map(|affinity| affinity.get()));
    Ok(match affinity {
        Some(affinity) if affinity != "null" && !members.contains_key(KEY) => {
            Cow::Owned(replaced(&members, KEY, affinity))
        }
        _ => String::from_utf8_lossy(process),
    })
}

/// The text of an object with another value for one of its keys.
fn replaced(whole: &Members<'_>, key: &str, value: &str) -> String {
    let kept =
        whole.iter().filter(|(name, _)| *name != key).map(|(name, value)| (name.as_str(), value.get()));
    let members = kept.chain([(key, value)]).map(|(name, value)| format!("{}:{value}", Value::from(name)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests;
