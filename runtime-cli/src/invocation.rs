//! What the global options mean for every command: the name to print, the state root, the cgroup manager.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use teu::{CgroupManager, Error, ErrorKind, Result, Runtime};

use crate::args::{Arguments, parse};
use crate::paths;

/// Where containers' state is kept if nobody says otherwise.
const DEFAULT_ROOT: &str = "/run/teu";

/// The resolved global options.
#[derive(Debug)]
pub struct Invocation {
    /// `runc` if the program was called so, else `teu`.
    pub program: &'static str,
    /// The number of the log file's descriptor, if there is one.
    pub log_number: Option<i32>,
    root: Root,
    cgroup: Option<String>,
}

/// The state root and who chose it.
#[derive(Debug, PartialEq)]
enum Root {
    /// `--root`.
    Given(PathBuf),
    /// A directory of `XDG_RUNTIME_DIR`, for users other than root.
    OfUser(PathBuf),
    /// [`DEFAULT_ROOT`].
    Default,
}

impl Invocation {
    /// Checks the global options. Nothing is opened or made.
    pub fn new(program: &'static str, globals: &Arguments, log_number: Option<i32>) -> Result<Self> {
        check_rootless(globals)?;
        let systemd = globals.flag("systemd-cgroup").then_some(Cow::Borrowed("systemd"));
        let cgroup = systemd.or(globals.text("cgroup-manager")).map(Cow::into_owned);
        Ok(Self { program, log_number, root: root(globals.path("root"))?, cgroup })
    }

    /// The runtime over the state root.
    pub fn runtime(&self) -> Result<Runtime> {
        Runtime::at(self.root.path())
    }

    /// The same before a create: a user's own root is made here, sticky so that nobody cleans it up as an old file.
    pub fn runtime_for_create(&self) -> Result<Runtime> {
        if let Root::OfUser(path) = &self.root {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
            let made = made.and_then(|()| std::fs::set_permissions(path, PermissionsExt::from_mode(0o1700)));
            made.map_err(|error| Error::io(format!("mkdir {}", path.display()), &error))?;
        }
        self.runtime()
    }

    /// The root, if the caller named it: then it must exist.
    pub fn given_root(&self) -> Option<&Path> {
        match &self.root {
            Root::Given(path) => Some(path),
            Root::OfUser(_) | Root::Default => None,
        }
    }

    /// Which way cgroups are made. Asked by the commands that make one, so that the others accept every manager.
    pub fn cgroup_manager(&self) -> Result<CgroupManager> {
        match self.cgroup.as_deref() {
            None | Some("cgroupfs") => Ok(CgroupManager::Cgroupfs),
            Some("disabled") => Ok(CgroupManager::Disabled),
            Some("systemd") => Ok(CgroupManager::Systemd),
            Some(other) => Err(invalid(format!("unknown cgroup manager {other:?}"))),
        }
    }
}

/// The name to print: the base name of `argv[0]` when that is `runc`, because clients look for it.
pub fn program(argv0: &OsStr) -> &'static str {
    if Path::new(argv0).file_name() == Some(OsStr::new("runc")) { "runc" } else { "teu" }
}

impl Root {
    fn path(&self) -> &Path {
        match self {
            Self::Given(path) | Self::OfUser(path) => path,
            Self::Default => Path::new(DEFAULT_ROOT),
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

fn check_rootless(globals: &Arguments) -> Result<()> {
    match globals.value("rootless") {
        Some(value) if value != "auto" && parse::boolean(value).is_none() => {
            Err(invalid(parse::bad_boolean(value, "rootless")))
        }
        _ => Ok(()),
    }
}

fn root(given: Option<&Path>) -> Result<Root> {
    let Some(given) = given else {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        return Ok(default_root(is_unprivileged, variable));
    };
    let path = paths::absolute(given)?;
    if path == Path::new("/") {
        return Err(invalid("Option --root argument should not be set to /".into()));
    }
    Ok(Root::Given(path))
}

/// A real root user is never sent to `XDG_RUNTIME_DIR`, which may have been inherited through su or sudo.
fn default_root(
    is_unprivileged: impl Fn(Option<OsString>) -> bool,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Root {
    match variable("XDG_RUNTIME_DIR") {
        Some(directory) if is_unprivileged(variable("USER")) => {
            Root::OfUser(Path::new(&directory).join("teu"))
        }
        _ => Root::Default,
    }
}

/// Whether the caller is not the host's root: another user, or uid 0 of a user namespace that somebody else entered.
fn is_unprivileged(user: Option<OsString>) -> bool {
    if !nix::unistd::geteuid().is_root() {
        return true;
    }
    user.is_none_or(|name| name != "root") && in_user_namespace()
}

fn in_user_namespace() -> bool {
    // The initial namespace maps all ids to themselves, in one line.
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.is_empty() && !map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Root, default_root, program, root};

    #[test]
    fn the_name_is_runc_only_for_a_program_called_so() {
        let table = [
            ("/usr/bin/runc", "runc"),
            ("runc", "runc"),
            ("/usr/bin/teu", "teu"),
            ("buildkit-runc", "teu"),
            ("", "teu"),
        ];
        for (argv0, expected) in table {
            assert_eq!(program(argv0.as_ref()), expected, "{argv0:?}");
        }
    }

    #[test]
    fn a_given_root_is_made_absolute_and_is_never_the_whole_tree() {
        assert_eq!(root(Some("/run//a/./b/..".as_ref())).unwrap(), Root::Given("/run/a".into()));
        let cwd = std::env::current_dir().unwrap();
        assert_eq!(root(Some("r".as_ref())).unwrap(), Root::Given(cwd.join("r")));
        for all in ["/", "//", "/a/..", "/../.."] {
            let error = root(Some(all.as_ref())).unwrap_err();
            assert_eq!(error.to_string(), "Option --root argument should not be set to /", "{all:?}");
        }
    }

    #[test]
    fn the_default_root_is_the_users_own_only_without_privilege_and_with_a_runtime_directory() {
        let with = |name: &str| (name == "XDG_RUNTIME_DIR").then(|| "/run/user/7".into());
        let of_user = Root::OfUser(PathBuf::from("/run/user/7/teu"));
        assert_eq!(default_root(|_| true, with), of_user);
        assert_eq!(default_root(|_| false, with), Root::Default);
        assert_eq!(default_root(|_| true, |_| None), Root::Default);
    }
}
