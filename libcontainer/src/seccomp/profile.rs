//! A profile as the compiler wants it: numbers for names, defaults decided, and every rule of the specification checked.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompFilterFlag as Flag,
    LinuxSyscall,
};

use super::abi::{Abi, Call};
use super::condition::Condition;
use crate::spec::Warning;
use crate::{Error, ErrorKind, Result};

/// The kernel's largest errno; it cuts larger ones down.
const MAX_ERRNO: u32 = 4095;

const ARGUMENTS: u8 = 6;

/// Calls that init makes between the moment a filter is loaded and the moment somebody can answer its questions.
const UNANSWERED: [&str; 1] = ["write"];

const FLAG_LOG: u32 = 1 << 1;
const FLAG_SPEC_ALLOW: u32 = 1 << 2;
const FLAG_NEW_LISTENER: u32 = 1 << 3;
const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// All that a filter depends on.
#[derive(Debug)]
pub struct Profile {
    /// SECCOMP_RET_* with its data, for calls without a rule.
    pub default: u32,
    /// Calls newer than the profile fail with ENOSYS.
    pub answers_new_calls: bool,
    /// SECCOMP_FILTER_FLAG_*.
    pub flags: u32,
    /// Some rule asks an agent.
    pub notifies: bool,
    /// In the profile's order.
    pub rules: Vec<Rule>,
    /// What has no effect.
    pub warnings: Vec<Warning>,
    /// Names that no architecture has.
    pub unknown: Vec<Warning>,
}

/// One entry of `syscalls`.
#[derive(Debug)]
pub struct Rule {
    /// Its place in the list.
    pub index: usize,
    /// Those of its names that Linux knows.
    pub calls: Vec<Call>,
    /// SECCOMP_RET_* with its data.
    pub action: u32,
    /// Met if all conditions of one of these are.
    pub alternatives: Vec<Vec<Condition>>,
}

/// Reads and checks a profile.
///
/// # Errors
/// Those of [`check`].
pub fn read(seccomp: &LinuxSeccomp) -> Result<Profile> {
    let mut unknown = Vec::new();
    let syscalls = seccomp.syscalls().iter().flatten().enumerate();
    let rules = syscalls.map(|(index, syscall)| rule(index, syscall, &mut unknown));
    let rules = rules.collect::<Result<Vec<_>>>()?;
    let Head { default, notifies, flags, warnings } = head(seccomp)?;
    let answers_new_calls = answers_new_calls(seccomp);
    Ok(Profile { default, answers_new_calls, flags, notifies, rules, warnings, unknown })
}

/// Checks a profile and tells what has no effect, without asking what its names mean.
///
/// # Errors
/// `InvalidSpec` with the place of what breaks a rule.
pub fn check(seccomp: &LinuxSeccomp) -> Result<Vec<Warning>> {
    for (index, syscall) in seccomp.syscalls().iter().flatten().enumerate() {
        terms(index, syscall)?;
    }
    head(seccomp).map(|head| head.warnings)
}

/// What is said once for the whole profile.
pub struct Head {
    /// As in [`Profile`].
    pub default: u32,
    /// As in [`Profile`].
    pub notifies: bool,
    /// As in [`Profile`].
    pub flags: u32,
    /// What has no effect.
    pub warnings: Vec<Warning>,
}

/// Reads what is said once.
///
/// # Errors
/// `InvalidSpec` with the place of what breaks a rule.
pub fn head(seccomp: &LinuxSeccomp) -> Result<Head> {
    let default = returned(seccomp.default_action(), seccomp.default_errno_ret(), || {
        "/linux/seccomp/defaultErrnoRet".to_owned()
    })?;
    let asks = |syscall: &LinuxSyscall| syscall.action() == Action::ScmpActNotify;
    let notifies = seccomp.syscalls().iter().flatten().any(asks);
    listener(seccomp, notifies)?;
    unanswered(seccomp)?;
    let mut warnings = Vec::new();
    let flags = flags(seccomp, notifies, &mut warnings);
    Ok(Head { default, notifies, flags, warnings })
}

/// The ABIs that the filter covers, the native one first.
///
/// # Errors
/// `Unsupported` for an architecture of the other byte order.
pub fn abis(seccomp: &LinuxSeccomp, native: Arch) -> Result<Vec<&'static Abi>> {
    let listed = seccomp.architectures().as_deref().unwrap_or_default();
    let listed = listed.iter().enumerate().map(|(index, arch)| (Some(index), *arch));
    let mut abis = Vec::with_capacity(4);
    for (index, arch) in std::iter::once((None, native)).chain(listed) {
        let arch = if arch == Arch::ScmpArchNative { native } else { arch };
        let Some(abi) = Abi::named(arch) else {
            let message = format!("{arch} is big-endian and cannot be in a filter of this machine");
            let index = index.map_or_else(String::new, |index| format!("/{index}"));
            return Err(Error::new(ErrorKind::Unsupported, message)
                .at(format!("/linux/seccomp/architectures{index}")));
        };
        if !abis.contains(&abi) {
            abis.push(abi);
        }
    }
    Ok(abis)
}

fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSpec, message).at(pointer)
}

fn rule(index: usize, syscall: &LinuxSyscall, unknown: &mut Vec<Warning>) -> Result<Rule> {
    let (action, alternatives) = terms(index, syscall)?;
    let mut calls = Vec::with_capacity(syscall.names().len());
    for (at, name) in syscall.names().iter().enumerate() {
        match Call::named(name) {
            Some(call) => calls.push(call),
            None => unknown.push(Warning {
                pointer: format!("/linux/seccomp/syscalls/{index}/names/{at}"),
                message: format!("unknown system call {name:?} is ignored"),
            }),
        }
    }
    Ok(Rule { index, calls, action, alternatives })
}

/// All of a rule but what its names mean: the action, and the conditions of which one group must be met.
fn terms(index: usize, syscall: &LinuxSyscall) -> Result<(u32, Vec<Vec<Condition>>)> {
    let place = || format!("/linux/seccomp/syscalls/{index}");
    let action = returned(syscall.action(), syscall.errno_ret(), || place() + "/errnoRet")?;
    if let Some(at) = syscall.names().iter().position(String::is_empty) {
        return Err(invalid(format!("{}/names/{at}", place()), "empty string is not a valid syscall"));
    }
    let args = syscall.args().as_deref().unwrap_or_default();
    let conditions = args.iter().enumerate().map(|(at, arg)| {
        condition(arg).ok_or_else(|| {
            invalid(format!("{}/args/{at}/index", place()), format!("no argument {}: 0 to 5", arg.index()))
        })
    });
    Ok((action, alternatives(conditions.collect::<Result<Vec<_>>>()?)))
}

fn condition(arg: &LinuxSeccompArg) -> Option<Condition> {
    let argument = u8::try_from(arg.index()).ok().filter(|index| *index < ARGUMENTS)?;
    Some(Condition::new(argument, arg.op(), arg.value(), arg.value_two()))
}

/// All conditions must be met, unless two are on one argument: then any, as in runc.
fn alternatives(mut conditions: Vec<Condition>) -> Vec<Vec<Condition>> {
    conditions.sort_by_key(|condition| condition.argument);
    let shared = conditions.windows(2).any(|pair| matches!(pair, [a, b] if a.argument == b.argument));
    if shared { conditions.into_iter().map(|one| vec![one]).collect() } else { vec![conditions] }
}

/// SECCOMP_RET_* of an action. Only two take data.
fn returned(action: Action, data: Option<u32>, pointer: impl FnOnce() -> String) -> Result<u32> {
    let most = match action {
        Action::ScmpActErrno => MAX_ERRNO,
        Action::ScmpActTrace => u32::from(u16::MAX),
        _ if data.is_some() => return Err(invalid(pointer(), format!("{action} returns no errno"))),
        _ => return Ok(action.as_u32(None)),
    };
    match data {
        Some(data) if data > most => Err(invalid(pointer(), format!("{data} is more than {most}"))),
        data => Ok(action.as_u32(data)),
    }
}

fn flags(seccomp: &LinuxSeccomp, notifies: bool, warnings: &mut Vec<Warning>) -> u32 {
    let Some(listed) = seccomp.flags() else {
        return FLAG_SPEC_ALLOW | if notifies { FLAG_NEW_LISTENER } else { 0 };
    };
    let mut flags = if notifies { FLAG_NEW_LISTENER } else { 0 };
    for (index, flag) in listed.iter().enumerate() {
        flags |= match flag {
            Flag::SeccompFilterFlagLog => FLAG_LOG,
            Flag::SeccompFilterFlagSpecAllow => FLAG_SPEC_ALLOW,
            // Init has one thread when it loads the filter.
            Flag::SeccompFilterFlagTsync => 0,
            Flag::SeccompFilterFlagWaitKillableRecv if notifies => FLAG_WAIT_KILLABLE_RECV,
            Flag::SeccompFilterFlagWaitKillableRecv => {
                let pointer = format!("/linux/seccomp/flags/{index}");
                let message = format!("{flag} without a rule of SCMP_ACT_NOTIFY has no effect");
                warnings.push(Warning { pointer, message });
                0
            }
        };
    }
    flags
}

fn listener(seccomp: &LinuxSeccomp, notifies: bool) -> Result<()> {
    let path = seccomp.listener_path().as_ref().filter(|path| !path.as_os_str().is_empty());
    if notifies && path.is_none() {
        return Err(invalid("/linux/seccomp/listenerPath", "seccomp listenerPath is not set"));
    }
    if path.is_none() && seccomp.listener_metadata().as_ref().is_some_and(|data| !data.is_empty()) {
        let message = "listenerMetadata without listenerPath";
        return Err(invalid("/linux/seccomp/listenerMetadata", message));
    }
    Ok(())
}

/// A call that waits for an agent which cannot have the listener yet waits for ever.
fn unanswered(seccomp: &LinuxSeccomp) -> Result<()> {
    if seccomp.default_action() == Action::ScmpActNotify {
        let message = "SCMP_ACT_NOTIFY cannot be used as default action";
        return Err(invalid("/linux/seccomp/defaultAction", message));
    }
    for (index, syscall) in seccomp.syscalls().iter().flatten().enumerate() {
        if syscall.action() != Action::ScmpActNotify {
            continue;
        }
        let name = |name: &String| UNANSWERED.contains(&name.as_str());
        if let Some(at) = syscall.names().iter().position(name) {
            let pointer = format!("/linux/seccomp/syscalls/{index}/names/{at}");
            let call = syscall.names().get(at).map_or("", String::as_str);
            return Err(invalid(pointer, format!("SCMP_ACT_NOTIFY cannot be used for the {call} syscall")));
        }
    }
    Ok(())
}

/// What lets a call pass does so for new calls too, and a profile that answers ENOSYS anyway needs no second answer.
fn answers_new_calls(seccomp: &LinuxSeccomp) -> bool {
    let passes =
        matches!(seccomp.default_action(), Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace);
    let enosys = u32::try_from(libc::ENOSYS).ok();
    !passes && (seccomp.default_errno_ret().is_none() || seccomp.default_errno_ret() != enosys)
}
