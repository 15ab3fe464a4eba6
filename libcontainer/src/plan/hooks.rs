//! `hooks`: programs that run beside the container's at the points of its life that have a name. Who runs them is decided by where they run:
//!
//! those of the runtime's namespace are children of a helper that the caller launches, those of the container's are children of init. Both are
//! the same op, so that a hook is started, watched and ended in one way only.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use oci_spec::runtime::Spec as Config;
use serde::{Deserialize, Serialize};
use teu_init::program::{List, Op, Slot, Str, ask};

use super::program::Builder;
use super::show::SITE_COLUMN;
use super::{Program, Source};

/// The points of a container's life at which hooks run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookKind {
    /// Deprecated: as `CreateRuntime`, before it.
    Prestart,
    /// In the runtime's namespaces, when the mounts are made and the root is not switched.
    CreateRuntime,
    /// In the container's namespaces, after those, before the root is switched.
    CreateContainer,
    /// In the container, after `start` was asked for, before the program.
    StartContainer,
    /// In the runtime's namespaces, when the program is executed.
    Poststart,
    /// In the runtime's namespaces, when the container is gone.
    Poststop,
}

impl HookKind {
    /// The name in the specification.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }
}

/// One hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Its program: absolute.
    pub path: PathBuf,
    /// Its arguments from the name on; empty means the path alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its environment, all of it; absent is empty, but for a `startContainer` hook that of the container's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// After how many seconds it is killed; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
}

/// All hooks of a container, each list in the order in which it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// See [`HookKind::Prestart`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prestart: Vec<Hook>,
    /// See [`HookKind::CreateRuntime`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create_runtime: Vec<Hook>,
    /// See [`HookKind::CreateContainer`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub create_container: Vec<Hook>,
    /// See [`HookKind::StartContainer`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub start_container: Vec<Hook>,
    /// See [`HookKind::Poststart`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poststart: Vec<Hook>,
    /// See [`HookKind::Poststop`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub poststop: Vec<Hook>,
}

impl Hooks {
    /// The hooks of a configuration that was validated.
    #[allow(deprecated)] // prestart
    pub(super) fn of(config: &Config) -> Self {
        let Some(hooks) = config.hooks() else { return Self::default() };
        Self {
            prestart: list(hooks.prestart()),
            create_runtime: list(hooks.create_runtime()),
            create_container: list(hooks.create_container()),
            start_container: list(hooks.start_container()),
            poststart: list(hooks.poststart()),
            poststop: list(hooks.poststop()),
        }
    }

    /// The hooks of a kind.
    pub fn list(&self, kind: HookKind) -> &[Hook] {
        match kind {
            HookKind::Prestart => &self.prestart,
            HookKind::CreateRuntime => &self.create_runtime,
            HookKind::CreateContainer => &self.create_container,
            HookKind::StartContainer => &self.start_container,
            HookKind::Poststart => &self.poststart,
            HookKind::Poststop => &self.poststop,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What `start` and `delete` have to know. Init has the words of `startContainer` hooks itself.
    pub(crate) fn later(&self) -> Self {
        let named = |hook: &Hook| Hook { path: hook.path.clone(), timeout: hook.timeout, ..Hook::default() };
        Self {
            start_container: self.start_container.iter().map(named).collect(),
            poststart: self.poststart.clone(),
            poststop: self.poststop.clone(),
            ..Self::default()
        }
    }

    /// Whether a hook may look for the container's mounts below the path of the rootfs.
    pub(super) fn look_at_the_rootfs(&self) -> bool {
        !self.prestart.is_empty() || !self.create_runtime.is_empty() || !self.create_container.is_empty()
    }

    /// Whether `start` has to hear what becomes of init behind the gate.
    pub(crate) fn need_door(&self) -> bool {
        !self.start_container.is_empty() || !self.poststart.is_empty()
    }

    /// Asks for the socket at which `start` is heard.
    pub(super) fn prepare(&self, out: &mut Builder, sources: &mut Vec<Source>) -> Option<Slot> {
        self.need_door().then(|| {
            sources.push(Source::Door);
            out.sends()
        })
    }

    /// Between the last mount and the switch of the root. As runc's, hooks of the container start in its root.
    pub(super) fn push_before_switch(&self, rootfs: &std::path::Path, out: &mut Builder) {
        let runtime = [HookKind::Prestart, HookKind::CreateRuntime];
        if let Some(kind) = runtime.into_iter().find(|kind| !self.list(*kind).is_empty()) {
            out.push(Op::Ask { what: ask::RUNTIME_HOOKS }, format!("/hooks/{}", kind.as_str()));
        }
        for (index, hook) in (0..).zip(&self.create_container) {
            let cwd = out.text(rootfs.as_os_str().as_encoded_bytes());
            let env = out.texts(hook.env.as_deref().unwrap_or_default());
            push(hook, HookKind::CreateContainer, index, Place { env, cwd }, out);
        }
    }

    /// Between the gate and the program: with its environment where a hook has none, in its directory.
    pub(super) fn push_behind_gate(&self, process_env: List, out: &mut Builder) {
        for (index, hook) in (0..).zip(&self.start_container) {
            let env = hook.env.as_ref().map_or(process_env, |env| out.texts(env));
            let cwd = out.text("");
            push(hook, HookKind::StartContainer, index, Place { env, cwd }, out);
        }
    }
}

/// What surrounds a hook.
struct Place {
    env: List,
    cwd: Str,
}

fn push(hook: &Hook, kind: HookKind, index: u32, place: Place, out: &mut Builder) {
    let path = hook.path.as_os_str().as_encoded_bytes();
    let args = match hook.args.as_slice() {
        [] => out.texts([path]),
        args => out.texts(args),
    };
    let path = out.text(path);
    let Place { env, cwd } = place;
    out.push(Op::Hook { index, path, args, env, cwd }, format!("/hooks/{}/{index}", kind.as_str()));
}

/// The program of the helper that runs hooks in the runtime's namespaces, one op each.
pub(crate) fn runtime_program(hooks: &[(HookKind, usize, &Hook)], bundle: &std::path::Path) -> Program {
    let mut out = Builder::default();
    out.push(Op::Reset {}, "");
    for (index, (kind, _, hook)) in (0..).zip(hooks) {
        let cwd = out.text(bundle.as_os_str().as_encoded_bytes());
        let env = out.texts(hook.env.as_deref().unwrap_or_default());
        push(hook, *kind, index, Place { env, cwd }, &mut out);
    }
    out.finish()
}

fn list(hooks: &Option<Vec<oci_spec::runtime::Hook>>) -> Vec<Hook> {
    let hook = |hook: &oci_spec::runtime::Hook| Hook {
        path: hook.path().clone(),
        args: hook.args().clone().unwrap_or_default(),
        env: hook.env().clone(),
        timeout: hook.timeout().and_then(|seconds| u64::try_from(seconds).ok()),
    };
    hooks.iter().flatten().map(hook).collect()
}

/// One line for each hook that the caller runs; those of init are ops.
impl Display for Hooks {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        use HookKind::{CreateContainer, CreateRuntime, Poststart, Poststop, Prestart, StartContainer};
        for kind in [Prestart, CreateRuntime, CreateContainer, StartContainer, Poststart, Poststop] {
            for (index, hook) in self.list(kind).iter().enumerate() {
                let env = hook.env.as_ref().map_or_else(|| "-".to_owned(), |env| env.len().to_string());
                let timeout = hook.timeout.map_or_else(String::new, |seconds| format!(" timeout {seconds}s"));
                let words: Vec<String> = hook.args.iter().map(|word| format!("{word:?}")).collect();
                let what = format!("{:?} args[{}] env[{env}]{timeout}", hook.path, words.join(" "));
                let line = format!("hook     {} {what}", kind.as_str());
                writeln!(f, "{line:<SITE_COLUMN$} /hooks/{}/{index}", kind.as_str())?;
            }
        }
        Ok(())
    }
}
