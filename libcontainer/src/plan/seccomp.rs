//! `linux.seccomp`: the filter, loaded when all that init does itself is done.
//!
//! The kernel takes a filter from a process with no_new_privs or with CAP_SYS_ADMIN. runc therefore loads it early where `noNewPrivileges` is off, and
//! the profile must allow all that follows. Here the last step before it keeps that one capability, and the first after it gives it up (0031).

use std::path::PathBuf;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSyscall, Process, Spec as Config};
use teu_init::abi::SECCOMP_FILTER_FLAG_NEW_LISTENER;
use teu_init::program::{Blob, Op, listener};

use super::capabilities::Sets;
use super::program::Builder;
use super::{Plan, verify};
use crate::host::Host;
use crate::seccomp::{self, Head};
use crate::spec::filter as annotations;
use crate::{Error, ErrorKind, Result};

const SITE: &str = "/linux/seccomp";
const SYS_ADMIN: u64 = 1 << 21;

/// The filter of a container, of which the instructions may still have to be made.
#[derive(Debug)]
pub(super) struct Seccomp<'a> {
    pub code: Code<'a>,
    flags: u32,
    notifies: bool,
    site: &'static str,
    kept: bool,
}

/// Where the instructions of a filter come from.
#[derive(Debug)]
pub(crate) enum Code<'a> {
    /// From a profile; whether a name that no architecture has is an error.
    Profile(&'a LinuxSeccomp, bool),
    /// They were compiled elsewhere.
    Ready(Vec<u64>),
}

impl Code<'_> {
    /// The instructions.
    ///
    /// # Errors
    /// As [`seccomp::compile`]; `InvalidSpec` for an unknown name that is an error.
    pub(crate) fn instructions(self) -> Result<Vec<u8>> {
        let bytes = |insns: Vec<u64>| insns.iter().flat_map(|insn| insn.to_ne_bytes()).collect();
        let (profile, unknown_fails) = match self {
            Self::Profile(profile, unknown_fails) => (profile, unknown_fails),
            Self::Ready(insns) => return Ok(bytes(insns)),
        };
        let filter = seccomp::compile(profile, seccomp::NATIVE)?;
        match filter.unknown.first().filter(|_| unknown_fails) {
            Some(unknown) => {
                let message = unknown.message.replace(" is ignored", "");
                Err(Error::new(ErrorKind::InvalidSpec, message).at(unknown.pointer.clone()))
            }
            None => Ok(bytes(filter.insns)),
        }
    }
}

impl Plan {
    /// Gives the program the instructions of its filter.
    ///
    /// # Errors
    /// The profile does not make a filter: see [`seccomp::compile`].
    pub(crate) fn complete(&mut self, code: Option<Code<'_>>) -> Result<()> {
        if let Some(insns) = code.map(Code::instructions).transpose()? {
            self.program.set_filter(&insns);
        }
        debug_assert_eq!(verify::verify(&self.program), Ok(()));
        Ok(())
    }

    /// The code that may follow the program while init runs it. It is what init hears first: a program that asks for something before it is completed.
    ///
    /// # Errors
    /// As [`Plan::complete`].
    pub(crate) fn complete_or_follow<'a>(&mut self, code: Option<Code<'a>>) -> Result<Option<Code<'a>>> {
        if self.filter_may_follow(code.as_ref()) {
            debug_assert_eq!(verify::verify(&self.program), Ok(()));
            return Ok(code);
        }
        self.complete(code).map(|()| None)
    }

    /// Not where its instructions may be refused for a name, or where the refusal of a configuration would be the end of a container, whose hooks run.
    fn filter_may_follow(&self, code: Option<&Code<'_>>) -> bool {
        let silent = !self.program.ops().iter().any(verify::asks) && self.hooks.poststop.is_empty();
        let plain = matches!(code, Some(Code::Profile(_, false)));
        let filter = self.filter.as_ref();
        silent && plain && filter.is_some_and(|filter| filter.listener.is_none() && !filter.kept)
    }
}

/// What init calls under the filter before `create` gives the caller its listener.
pub(super) const BEFORE_GATE: Calls = &["read", "close", "capset", "sendmsg"];
/// The same for one more process.
pub(super) const BEFORE_PROGRAM: Calls = &["read", "close", "capset", "sendmsg", "execve"];

type Calls = &'static [&'static str];

/// What the caller does for a filter, and what a printed plan says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterPlan {
    /// What happens to system calls without a rule, as the profile names it.
    pub default: String,
    /// Who gets the listener.
    pub listener: Option<Listener>,
    /// The caller keeps the listener itself.
    pub kept: bool,
}

/// An agent that decides about system calls for the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its socket, absolute.
    pub path: PathBuf,
    /// Passed on as it is.
    pub metadata: String,
    /// The place in config.json.
    pub pointer: String,
}

impl<'a> Seccomp<'a> {
    /// The profile, or the filter that an annotation brings. If the caller keeps the listener, `unanswered` are the calls that would wait for it.
    ///
    /// # Errors
    /// `InvalidSpec` for what breaks a rule of the specification; `Unsupported` for a call that would wait for ever.
    pub fn of(config: &'a Config, host: &Host, unanswered: Option<&Calls>) -> Result<Option<Self>> {
        if let Some(insns) = annotations::instructions(config)? {
            return raw(config, insns).map(Some);
        }
        let Some(profile) = annotations::profile(config) else { return Ok(None) };
        if let Some(calls) = unanswered {
            refuse_deadlock(profile, calls, "while the caller keeps the listener")?;
        } else if handover(host) == listener::SENT {
            refuse_deadlock(profile, &["sendmsg"], "by a caller without privilege")?;
        }
        let Head { flags, notifies, .. } = seccomp::head(profile)?;
        let code = Code::Profile(profile, annotations::unknown_fails(config));
        Ok(Some(Self { code, flags, notifies, site: SITE, kept: unanswered.is_some() }))
    }

    /// Whether the filter can only be loaded with CAP_SYS_ADMIN.
    fn needs_right(process: &Process) -> bool {
        !process.no_new_privileges().unwrap_or(false)
    }

    /// The sets under which the filter is loaded: those of the process, and the right to load it.
    pub fn sets(sets: Sets, process: &Process) -> Sets {
        let right = if Self::needs_right(process) { SYS_ADMIN } else { 0 };
        Sets { effective: sets.effective | right, permitted: sets.permitted | right, ..sets }
    }

    /// Loads the filter, then gives up what the process has no right to.
    pub fn push(&self, sets: Sets, process: &Process, host: &Host, out: &mut Builder) {
        let (filter, flags, listener) = (Blob { at: 0, len: 0 }, self.flags, handover(host));
        out.push(Op::Seccomp { filter, flags, listener }, self.site);
        let Sets { effective, permitted, inheritable, .. } = sets;
        if Self::sets(sets, process) != sets {
            out.push(Op::CapsFinal { effective, permitted, inheritable }, "/process/capabilities");
        }
    }

    /// The caller's part.
    pub fn plan(&self, config: &Config) -> FilterPlan {
        let profile = annotations::profile(config);
        let default = match profile {
            Some(profile) if self.site == SITE => default(profile),
            _ => "its own".to_owned(),
        };
        let kept = self.kept && self.notifies;
        let agent = annotations::listener(config).filter(|_| self.notifies && !kept);
        let listener = agent.map(|(path, pointer)| Listener {
            path: path.to_owned(),
            metadata: profile.and_then(|profile| profile.listener_metadata().clone()).unwrap_or_default(),
            pointer: pointer.to_owned(),
        });
        FilterPlan { default, listener, kept }
    }
}

/// A filter that was compiled elsewhere. Which calls would wait for an agent is not known, so it has none.
fn raw(config: &Config, insns: Vec<u64>) -> Result<Seccomp<'static>> {
    if let Some((_, place)) = annotations::listener(config) {
        let message = "a seccomp agent together with a filter that is not compiled from a profile";
        return Err(Error::new(ErrorKind::Unsupported, message).at(place));
    }
    let mut empty = LinuxSeccomp::default();
    empty.set_flags(annotations::profile(config).and_then(|profile| profile.flags().clone()));
    let Head { flags, notifies, .. } = seccomp::head(&empty)?;
    Ok(Seccomp { code: Code::Ready(insns), flags, notifies, site: annotations::FILTER_SITE, kept: false })
}

/// What init calls before somebody has the listener must not wait for an answer.
fn refuse_deadlock(profile: &LinuxSeccomp, calls: &[&str], when: &str) -> Result<()> {
    let asks = |rule: &LinuxSyscall| rule.action() == LinuxSeccompAction::ScmpActNotify;
    for (index, rule) in profile.syscalls().iter().flatten().enumerate().filter(|(_, rule)| asks(rule)) {
        let named = rule.names().iter().enumerate().find(|(_, name)| calls.contains(&name.as_str()));
        if let Some((at, name)) = named {
            let message = format!("SCMP_ACT_NOTIFY cannot be used for the {name} syscall {when}");
            let pointer = format!("/linux/seccomp/syscalls/{index}/names/{at}");
            return Err(Error::new(ErrorKind::Unsupported, message).at(pointer));
        }
    }
    Ok(())
}

/// How the caller gets the listener: taking a descriptor out of another process is tracing it.
fn handover(host: &Host) -> u32 {
    if host.privileged || host.in_userns { listener::TAKEN } else { listener::SENT }
}

fn default(profile: &LinuxSeccomp) -> String {
    let action = profile.default_action().to_string();
    profile.default_errno_ret().map_or(action.clone(), |errno| format!("{action} {errno}"))
}

/// Words of SECCOMP_FILTER_FLAG_* bits.
pub(super) fn flag_words(flags: u32) -> Vec<&'static str> {
    FLAGS.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, word)| *word).collect()
}

const FLAGS: [(u32, &str); 4] =
    [(2, "log"), (4, "spec-allow"), (SECCOMP_FILTER_FLAG_NEW_LISTENER, "listener"), (32, "wait-killable")];
