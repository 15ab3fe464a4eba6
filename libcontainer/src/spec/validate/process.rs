//! `process`. Absent is allowed: such a container is created and cannot be started.

use oci_spec::runtime::{
    Capabilities, LinuxCapabilities, LinuxNamespaceType, PosixRlimit, Process, Spec as Config, User,
};

use super::{Warnings, invalid, limit_path, list, namespace, warning};
use crate::{Result, spec};

/// (uid_t)-1: "no change" for the kernel's calls.
const NO_ID: u32 = u32::MAX;
/// NGROUPS_MAX.
const MAX_GROUPS: usize = 65_536;
/// MAX_ARG_STRLEN, with the final NUL.
const MAX_STRING: usize = 131_072;

pub fn process(config: &Config, warnings: &mut Warnings) -> Result<()> {
    let Some(process) = config.process() else { return Ok(()) };
    user(process.user())?;
    args(process)?;
    environment(list(process.env()), "/process/env")?;
    cwd(process)?;
    if let Some(sets) = process.capabilities() {
        capabilities(sets, warnings)?;
    }
    rlimits(list(process.rlimits()))?;
    terminal(process, has_place_for_a_terminal(config))?;
    kept_groups(config, process, warnings);
    oom_score_adj(process.oom_score_adj())
}

fn user(user: &User) -> Result<()> {
    let groups = list(user.additional_gids());
    for (id, key) in [(user.uid(), "uid"), (user.gid(), "gid")] {
        if id == NO_ID {
            return Err(invalid(format!("/process/user/{key}"), format!("{key} {NO_ID} is not an id")));
        }
    }
    if groups.len() > MAX_GROUPS {
        let message = format!("{} groups, at most {MAX_GROUPS} are allowed", groups.len());
        return Err(invalid("/process/user/additionalGids", message));
    }
    if let Some(index) = groups.iter().position(|gid| *gid == NO_ID) {
        let pointer = format!("/process/user/additionalGids/{index}");
        return Err(invalid(pointer, format!("gid {NO_ID} is not an id")));
    }
    match user.umask() {
        Some(umask) if umask > 0o7777 => {
            Err(invalid("/process/user/umask", format!("umask 0{umask:o} is larger than 07777")))
        }
        _ => Ok(()),
    }
}

fn args(process: &Process) -> Result<()> {
    let args = list(process.args());
    if args.is_empty() {
        return Err(invalid("/process/args", "args must not be empty"));
    }
    args.iter().enumerate().try_for_each(|(index, arg)| fits(arg, || format!("/process/args/{index}")))
}

/// Values are secrets more often than not, so the entry is named by its place.
pub(super) fn environment(entries: &[String], pointer: &str) -> Result<()> {
    for (index, entry) in entries.iter().enumerate() {
        let refused =
            |why: &str| Err(invalid(format!("{pointer}/{index}"), format!("environment entry {why}")));
        match entry.find('=') {
            None => return refused("has no '='"),
            Some(0) => return refused("has an empty name"),
            Some(_) => fits(entry, || format!("{pointer}/{index}"))?,
        }
    }
    Ok(())
}

/// The kernel would refuse the string, but only when it is used.
pub(super) fn fits(text: &str, pointer: impl FnOnce() -> String) -> Result<()> {
    if text.len() >= MAX_STRING {
        let message = format!("{} bytes: argument list too long", text.len());
        return Err(invalid(pointer(), message));
    }
    Ok(())
}

fn cwd(process: &Process) -> Result<()> {
    let cwd = process.cwd();
    if cwd.as_os_str().is_empty() {
        return Err(invalid("/process/cwd", "Cwd property must not be empty"));
    }
    if !cwd.is_absolute() {
        return Err(invalid("/process/cwd", "Cwd must be an absolute path"));
    }
    limit_path(cwd.as_os_str(), || "/process/cwd".into())
}

fn capabilities(sets: &LinuxCapabilities, warnings: &mut Warnings) -> Result<()> {
    // The kernel refuses such a pair of sets (capset(2)).
    let excess = missing_from(sets.effective(), sets.permitted());
    if !excess.is_empty() {
        let message = format!("effective capabilities that are not permitted: {excess}");
        return Err(invalid("/process/capabilities/effective", message));
    }
    // The kernel raises an ambient one only where it is both (prctl(2)).
    for (set, name) in [(sets.inheritable(), "inheritable"), (sets.permitted(), "permitted")] {
        for dropped in missing_from(sets.ambient(), set).split_whitespace() {
            let message = format!("can't raise ambient capability {dropped}: it is not {name}");
            warnings.push(warning("/process/capabilities/ambient", message));
        }
    }
    Ok(())
}

/// The names of `part` that `whole` lacks, sorted.
fn missing_from(part: &Option<Capabilities>, whole: &Option<Capabilities>) -> String {
    let has = |capability| whole.as_ref().is_some_and(|whole| whole.contains(capability));
    let missing = part.iter().flatten().filter(|capability| !has(capability));
    let mut names: Vec<String> = missing.map(|capability| format!("CAP_{capability}")).collect();
    names.sort_unstable();
    names.join(" ")
}

fn rlimits(rlimits: &[PosixRlimit]) -> Result<()> {
    for (index, rlimit) in rlimits.iter().enumerate() {
        let refused = |why: String| {
            Err(invalid(format!("/process/rlimits/{index}"), format!("{} {why}", rlimit.typ())))
        };
        if rlimits.iter().take(index).any(|earlier| earlier.typ() == rlimit.typ()) {
            return refused("is given twice".into());
        }
        if rlimit.soft() > rlimit.hard() {
            return refused(format!("has soft limit {} above hard limit {}", rlimit.soft(), rlimit.hard()));
        }
    }
    Ok(())
}

/// In a mount namespace, or among mounts on the host: it is bound on a file, and comes from a devpts that is mounted.
fn has_place_for_a_terminal(config: &Config) -> bool {
    let on_host = namespace(config, LinuxNamespaceType::User).is_none() && !list(config.mounts()).is_empty();
    namespace(config, LinuxNamespaceType::Mount).is_some() || on_host
}

/// As the specification says, a size without a terminal is ignored.
fn terminal(process: &Process, own_mounts: bool) -> Result<()> {
    if process.terminal() != Some(true) {
        return Ok(());
    }
    if !own_mounts {
        let message = "a terminal needs a mount namespace, where it is bound on /dev/console";
        return Err(invalid("/process/terminal", message));
    }
    let Some(size) = process.console_size() else { return Ok(()) };
    for (value, key) in [(size.height(), "height"), (size.width(), "width")] {
        if value > u16::MAX.into() {
            let message = format!("console {key} {value} is larger than {}", u16::MAX);
            return Err(invalid(format!("/process/consoleSize/{key}"), message));
        }
    }
    Ok(())
}

fn kept_groups(config: &Config, process: &Process, warnings: &mut Warnings) {
    if spec::keeps_groups(config) && !list(process.user().additional_gids()).is_empty() {
        let message = format!("ignored, because of the annotation {}=1", spec::KEEP_GROUPS);
        warnings.push(warning("/process/user/additionalGids", message));
    }
}

fn oom_score_adj(value: Option<i32>) -> Result<()> {
    match value {
        Some(value) if !(-1000..=1000).contains(&value) => {
            Err(invalid("/process/oomScoreAdj", format!("oomScoreAdj {value} is not within -1000 and 1000")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
