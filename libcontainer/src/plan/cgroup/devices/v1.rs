//! The rules as writes to `devices.deny` and `devices.allow`.
//!
//! The v1 controller keeps one default verdict and a list of exceptions from it. The rules are played through here, and
//! only the end of the play is written: one write for the default, one for each exception. v1 cannot make an exception
//! from an exception; a rule that needs one is an error, because dropping it would open a device.

use std::borrow::Cow;

use super::super::{Care, FileWrite, Tolerate};
use super::{ALL, DeviceKind, DeviceRule, Entry};
use crate::error::{Error, ErrorKind, Result};

/// The writes for `rules` to the directory `dir` of the plan, whose filter is the one of its parent so far.
pub(in crate::plan::cgroup) fn writes(
    rules: &[DeviceRule],
    dir: usize,
    privileged: bool,
) -> Result<Vec<FileWrite>> {
    let mut list = List { allow: false, exceptions: Vec::new() };
    for rule in rules {
        list.apply(rule)?;
    }
    let (same, other) =
        if list.allow { ("devices.allow", "devices.deny") } else { ("devices.deny", "devices.allow") };
    let tolerate = if privileged { Tolerate::Nothing } else { Tolerate::Denied };
    let write = |file, value: String, pointer| {
        let care = Care::default();
        FileWrite { dir, file: Cow::Borrowed(file), value, pointer, tolerate, care }
    };
    let default = write(same, "a".to_owned(), Cow::Borrowed("default"));
    let exceptions = list.exceptions.into_iter().map(|e| write(other, e.entry().to_string(), e.pointer));
    Ok(std::iter::once(default).chain(exceptions).collect())
}

/// The planned writes for a directory that has rules already: where it denies by default, as the plan does, the rules that
/// differ. `present` is what `devices.list` says; a group that allows by default does not tell its exceptions there.
///
/// Fewer writes are the smaller gain: the kernel refuses a new default for a group that has groups below it.
pub(crate) fn device_transition(planned: &[FileWrite], present: &str) -> Vec<FileWrite> {
    let denies = |write: &FileWrite| write.file == "devices.deny" && write.value == "a";
    let allows_all = |line: &str| line.starts_with("a ");
    let Some(default) = planned.iter().find(|write| denies(write)) else { return planned.to_vec() };
    if present.lines().any(allows_all) {
        return planned.to_vec();
    }
    let is_rule = |write: &FileWrite| write.file == "devices.allow";
    let wanted = |line: &str| planned.iter().any(|write| is_rule(write) && write.value == line);
    let deny = |line: &str| FileWrite { value: line.to_owned(), ..default.clone() };
    let gone = present.lines().filter(|line| !wanted(line)).map(deny);
    let there = |write: &FileWrite| present.lines().any(|line| line == write.value);
    let rest = planned.iter().filter(|write| !(denies(write) || is_rule(write) && there(write))).cloned();
    gone.chain(rest).collect()
}

/// The state of the controller: what happens by default and which devices are exceptions from that.
struct List {
    allow: bool,
    exceptions: Vec<Exception>,
}

struct Exception {
    kind: DeviceKind,
    major: Option<u32>,
    minor: Option<u32>,
    access: u8,
    pointer: Cow<'static, str>,
}

impl List {
    fn apply(&mut self, rule: &DeviceRule) -> Result<()> {
        if rule.kind == DeviceKind::Any && rule.major.is_none() && rule.minor.is_none() && rule.access == ALL
        {
            *self = Self { allow: rule.allow, exceptions: Vec::new() };
            return Ok(());
        }
        // The kernel's type `a` has no numbers: both types are meant.
        let kinds: &[DeviceKind] = match rule.kind {
            DeviceKind::Any => &[DeviceKind::Block, DeviceKind::Char],
            DeviceKind::Block => &[DeviceKind::Block],
            DeviceKind::Char => &[DeviceKind::Char],
        };
        for &kind in kinds {
            if rule.allow == self.allow { self.remove(kind, rule)? } else { self.add(kind, rule) }
        }
        Ok(())
    }

    fn add(&mut self, kind: DeviceKind, rule: &DeviceRule) {
        let same = |e: &&mut Exception| (e.kind, e.major, e.minor) == (kind, rule.major, rule.minor);
        match self.exceptions.iter_mut().find(same) {
            Some(exception) => exception.access |= rule.access,
            None => {
                let (major, minor, pointer) = (rule.major, rule.minor, rule.pointer.clone());
                self.exceptions.push(Exception { kind, major, minor, access: rule.access, pointer });
            }
        }
    }

    fn remove(&mut self, kind: DeviceKind, rule: &DeviceRule) -> Result<()> {
        for exception in self.exceptions.iter_mut().filter(|e| e.kind == kind && e.access & rule.access != 0)
        {
            if within(exception.major, rule.major) && within(exception.minor, rule.minor) {
                exception.access &= !rule.access;
            } else if meets(exception.major, rule.major) && meets(exception.minor, rule.minor) {
                let message = format!("cgroup: v1 cannot {rule} after {}", exception.entry());
                return Err(Error::new(ErrorKind::Unsupported, message).at(rule.pointer.clone()));
            }
        }
        self.exceptions.retain(|e| e.access != 0);
        Ok(())
    }
}

impl Exception {
    fn entry(&self) -> Entry {
        let kind = if self.kind == DeviceKind::Block { 'b' } else { 'c' };
        Entry(kind, self.major, self.minor, self.access)
    }
}

/// Every number that `inner` matches is matched by `outer`.
fn within(inner: Option<u32>, outer: Option<u32>) -> bool {
    outer.is_none() || inner == outer
}

/// Some number is matched by both.
fn meets(a: Option<u32>, b: Option<u32>) -> bool {
    a.is_none() || b.is_none() || a == b
}
