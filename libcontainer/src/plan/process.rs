//! `process`: the half of the program that `create` and `exec` share, in the order of runc.

use oci_spec::runtime::{LinuxPersonalityDomain, Process, Spec};
use teu_init::program::{List, Op, Slot};

use super::capabilities::Sets;
use super::labels::Labels;
use super::namespaces::{Namespaces, kind};
use super::program::Builder;
use super::rlimits::{Rlimit, rlimits};
use super::seccomp::Seccomp;
use super::{Hooks, Shape, scheduling, terminal};
use crate::host::Host;
use crate::spec::keeps_groups;
use crate::{Error, ErrorKind, Result};

/// The umask of a process whose configuration names none.
const DEFAULT_UMASK: u32 = 0o022;
/// The personality of a 32-bit process (linux/personality.h). `reset` has set that of a usual one, PER_LINUX.
pub(super) const PER_LINUX32: u32 = 0x0008;

/// What the process half works on.
pub(super) struct Half<'a> {
    pub config: &'a Spec,
    pub process: &'a Process,
    pub host: &'a Host,
    pub namespaces: &'a Namespaces,
    pub shape: &'a Shape,
    pub labels: Labels<'a>,
    pub seccomp: Option<&'a Seccomp<'a>>,
    pub hooks: &'a Hooks,
}

/// Descriptors that the process half uses.
pub(super) struct Descriptors {
    /// Numbers in the container and the slots that go there.
    pub placed: Vec<(u32, Slot)>,
    /// The start gate, unless the program starts at once.
    pub gate: Option<Slot>,
    /// The container has a null device of its own, which takes the place of the host's in the standard streams.
    pub own_null: bool,
    /// The socket at which `start` is heard.
    pub door: Option<Slot>,
}

impl Half<'_> {
    /// Pushes everything from credentials to the program.
    pub fn push(&self, descriptors: &Descriptors, out: &mut Builder) -> Result<()> {
        let sets = Sets::of(self.process.capabilities().as_ref(), self.host);
        // Before any limit: placing may need a number above that of the last one.
        let mut first = 3;
        for &(number, from) in &descriptors.placed {
            out.push(Op::Fd { number, from }, "");
            first = first.max(number + 1);
        }
        terminal::push_owner(self.process, self.namespaces, out);
        if descriptors.own_null && !terminal::wanted(self.process) {
            out.push(Op::NullStdio {}, "");
        }
        if self.process.no_new_privileges().unwrap_or(false) {
            out.push(Op::NoNewPrivs {}, "/process/noNewPrivileges");
        }
        if is_32_bit(self.config) {
            out.push(Op::Personality { persona: PER_LINUX32 }, "/linux/personality");
        }
        scheduling::push(self.config, self.process, out);
        self.labels.push_label(out);
        sets.push_bounding(self.host, out);
        self.push_user(out)?;
        self.seccomp.map_or(sets, |_| Seccomp::sets(sets, self.process)).push(out);
        let mask = self.process.user().umask().unwrap_or(DEFAULT_UMASK);
        out.push(Op::Umask { mask }, "/process/user/umask");
        let (args, env) = match self.config.process() {
            Some(_) => self.push_program(out)?,
            // `start` refuses such a container, so that nobody opens its gate.
            None => (out.texts([""; 0]), out.texts([""; 0])),
        };
        if let Some(door) = descriptors.door {
            out.push(Op::Door { door }, "/hooks");
        }
        match descriptors.gate {
            Some(gate) => out.push(Op::CloseRest { first, gate }, ""),
            None => out.push(Op::CloseFrom { first }, ""),
        }
        if let Some(seccomp) = self.seccomp {
            seccomp.push(sets, self.process, self.host, out);
        }
        out.push(Op::Ready {}, "");
        if let Some(gate) = descriptors.gate {
            out.push(Op::Gate { gate }, "");
        }
        self.hooks.push_behind_gate(env, out);
        out.push(Op::Exec { args, env }, "/process/args");
        Ok(())
    }

    /// Law: groups, then gid, then uid. Dropping uid first loses the right to drop the rest.
    fn push_user(&self, out: &mut Builder) -> Result<()> {
        let user = self.process.user();
        let groups = user.additional_gids().as_deref().unwrap_or(&[]);
        if keeps_groups(self.config) {
            // Validation warns about groups that are listed all the same.
        } else if self.may_set_groups() {
            let bytes: Vec<u8> = groups.iter().flat_map(|gid| gid.to_ne_bytes()).collect();
            let gids = out.bytes(&bytes);
            out.push(Op::Groups { gids }, "/process/user/additionalGids");
        } else if !groups.is_empty() {
            let message = "cannot set any additional groups in a rootless container";
            return Err(Error::new(ErrorKind::InvalidSpec, message).at("/process/user/additionalGids"));
        }
        let cwd = self.process.cwd();
        let path = out.text(cwd.as_os_str().as_encoded_bytes());
        // First with the rights of root, as runc: a user may be given a directory that it could not enter itself.
        out.push(Op::Chdir { path, again: 0 }, "/process/cwd");
        if !self.namespaces.has(kind::USER) {
            for Rlimit { resource, soft, hard, index } in rlimits(self.process) {
                out.push(Op::Rlimit { resource, soft, hard }, format!("/process/rlimits/{index}"));
            }
        }
        out.push(Op::Ids { uid: user.uid(), gid: user.gid() }, "/process/user");
        out.push(Op::Chdir { path, again: 1 }, "/process/cwd");
        Ok(())
    }

    /// In a user namespace, new or joined, a caller without privilege has no right to set groups.
    fn may_set_groups(&self) -> bool {
        !self.namespaces.has(kind::USER) || self.host.sets_groups
    }

    fn push_program(&self, out: &mut Builder) -> Result<(List, List)> {
        let args = self.process.args().as_deref().unwrap_or(&[]);
        let configured = self.process.env().iter().flatten();
        let configured = configured.filter(|entry| self.shape.home.is_none() || !entry.starts_with("HOME="));
        let added = self.shape.home.iter().chain(&self.shape.env);
        let env = unique(configured.chain(added).map(String::as_str));
        let name = args.first().ok_or_else(|| {
            Error::new(ErrorKind::InvalidSpec, "args must not be empty").at("/process/args")
        })?;
        let candidates = candidates(name, &env);
        let candidates = out.texts(candidates.iter().map(String::as_bytes));
        out.push(Op::CheckExec { candidates }, "/process/args/0");
        Ok((out.texts(args.iter().map(String::as_bytes)), out.texts(env)))
    }
}

/// The process of a container without one: root with nothing, in `/`.
pub(super) fn nobody() -> Process {
    let mut process = Process::default();
    process
        .set_cwd("/".into())
        .set_args(None)
        .set_env(None)
        .set_capabilities(None)
        .set_rlimits(None)
        .set_no_new_privileges(None);
    process
}

/// Whether `linux.personality` asks for that of a 32-bit process.
fn is_32_bit(config: &Spec) -> bool {
    let personality = config.linux().as_ref().and_then(|linux| linux.personality().as_ref());
    personality.is_some_and(|personality| personality.domain() == LinuxPersonalityDomain::PerLinux32)
}

/// Of variables with one name the last wins, at its own place.
fn unique<'a>(env: impl Iterator<Item = &'a str> + Clone) -> Vec<&'a str> {
    let name = |entry: &'a str| entry.split_once('=').map_or(entry, |(name, _)| name);
    let last: std::collections::HashMap<&str, usize> =
        env.clone().enumerate().map(|(index, entry)| (name(entry), index)).collect();
    env.enumerate()
        .filter(|(index, entry)| last.get(name(entry)) == Some(index))
        .map(|(_, entry)| entry)
        .collect()
}

/// Whether the environment says where home is. As runc, an empty value says nothing.
pub(super) fn has_home(process: &Process) -> bool {
    let env = unique(process.env().iter().flatten().map(String::as_str));
    env.iter().any(|entry| entry.strip_prefix("HOME=").is_some_and(|home| !home.is_empty()))
}

/// Where the program may be: the name itself if it has a slash, else each absolute directory of the container's PATH.
fn candidates(name: &str, env: &[&str]) -> Vec<String> {
    if name.contains('/') {
        return vec![name.to_owned()];
    }
    let path = env.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or("");
    path.split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| format!("{directory}/{name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_variables_wins_at_its_own_place() {
        let env = ["A=1", "B=2", "A=3", "C=4", "AA=5"];
        assert_eq!(unique(env.into_iter()), ["B=2", "A=3", "C=4", "AA=5"]);
    }

    #[test]
    fn relative_directories_of_path_are_no_candidates() {
        assert_eq!(candidates("sh", &["PATH=/bin:.:/usr/bin:"]), ["/bin/sh", "/usr/bin/sh"]);
        assert_eq!(candidates("./sh", &["PATH=/bin"]), ["./sh"]);
        assert_eq!(candidates("sh", &[]), Vec::<String>::new());
    }
}
