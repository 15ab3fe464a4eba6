//! The device filter: `linux.resources.devices` as v1 file writes or as an eBPF program.
//!
//! Law: everything is denied first, then the rules act in order, for each kind of access (read, write, mknod) on its own,
//! and the last one that matches decides. A request is granted if each access in it is. The rules that every container
//! needs come last, so that no configuration turns them off.

mod program;
mod v1;

use std::borrow::Cow;
use std::fmt;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

pub(super) use self::program::program;
pub(crate) use self::v1::device_transition;
pub(super) use self::v1::writes;
use super::invalid;
use crate::error::Result;

/// The device filter of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DevicePlan {
    /// The rules in order, the ones every container needs at the end.
    pub rules: Vec<DeviceRule>,
    /// The rules as a program; on v1 they are file writes instead.
    pub program: Option<DeviceProgram>,
}

/// A device filter for a cgroup2 directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceProgram {
    /// Index of the directory in the plan.
    pub dir: usize,
    /// eBPF instructions, each as the kernel's 64 bits.
    pub insns: Vec<u64>,
    /// A missing permission is no error: the caller is unprivileged.
    pub tolerate_denied: bool,
    /// When it is attached.
    pub when: When,
}

/// When a device filter comes into force. The container's program and its hooks always find it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before there is an init.
    BeforeInit,
    /// While init, which needs no filter, makes the container: the kernel takes long to check one.
    BesideInit,
    /// When init is ready: before, init could not make the nodes that it makes.
    AtReady,
}

/// One rule. `None` for a number matches every number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Grant or refuse.
    pub allow: bool,
    /// Which type of device.
    pub kind: DeviceKind,
    /// Major number.
    pub major: Option<u32>,
    /// Minor number.
    pub minor: Option<u32>,
    /// Sum of `BPF_DEVCG_ACC_MKNOD` (1), `BPF_DEVCG_ACC_READ` (2) and `BPF_DEVCG_ACC_WRITE` (4).
    pub access: u8,
    /// The place in config.json; `default` for the rules that every container needs.
    pub pointer: Cow<'static, str>,
}

/// Type of device that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// Both.
    Any,
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// The pointer of a rule that every container needs.
pub(crate) const DEFAULT_RULE: &str = "default";

/// Making the node (BPF_DEVCG_ACC_MKNOD).
pub const MKNOD: u8 = 1;
/// Reading (BPF_DEVCG_ACC_READ).
pub const READ: u8 = 2;
/// Writing (BPF_DEVCG_ACC_WRITE).
pub const WRITE: u8 = 4;
/// Every access.
pub const ALL: u8 = MKNOD | READ | WRITE;

/// What every container may use: any node may be made, these may be opened.
#[rustfmt::skip]
const DEFAULTS: [(DeviceKind, Option<u32>, Option<u32>, u8); 11] = [
    (DeviceKind::Char,  None,      None,      MKNOD),
    (DeviceKind::Block, None,      None,      MKNOD),
    (DeviceKind::Char,  Some(1),   Some(3),   ALL),   // null
    (DeviceKind::Char,  Some(1),   Some(8),   ALL),   // random
    (DeviceKind::Char,  Some(1),   Some(7),   ALL),   // full
    (DeviceKind::Char,  Some(5),   Some(0),   ALL),   // tty
    (DeviceKind::Char,  Some(1),   Some(5),   ALL),   // zero
    (DeviceKind::Char,  Some(1),   Some(9),   ALL),   // urandom
    (DeviceKind::Char,  Some(136), None,      ALL),   // pts
    (DeviceKind::Char,  Some(5),   Some(2),   ALL),   // ptmx
    (DeviceKind::Char,  Some(10),  Some(200), ALL),   // tun
];

/// The rules of the configuration and, after them if `defaults`, the ones that every container needs.
pub(super) fn rules(configured: &[LinuxDeviceCgroup], defaults: bool) -> Result<Vec<DeviceRule>> {
    let configured = configured.iter().enumerate().map(|(index, device)| rule(index, device));
    let defaults = DEFAULTS.iter().filter(|_| defaults).map(|&(kind, major, minor, access)| {
        Ok(DeviceRule { allow: true, kind, major, minor, access, pointer: Cow::Borrowed(DEFAULT_RULE) })
    });
    configured.chain(defaults).collect()
}

fn rule(index: usize, device: &LinuxDeviceCgroup) -> Result<DeviceRule> {
    let pointer = format!("/linux/resources/devices/{index}");
    let kind = match device.typ() {
        None | Some(LinuxDeviceType::A) => DeviceKind::Any,
        Some(LinuxDeviceType::B) => DeviceKind::Block,
        Some(LinuxDeviceType::C) => DeviceKind::Char,
        Some(other) => {
            return Err(invalid(
                format!("invalid cgroup device type {:?}", other.as_str()),
                format!("{pointer}/type"),
            ));
        }
    };
    Ok(DeviceRule {
        allow: device.allow(),
        kind,
        major: number(device.major(), || format!("{pointer}/major"))?,
        minor: number(device.minor(), || format!("{pointer}/minor"))?,
        access: access(device.access().as_deref(), || format!("{pointer}/access"))?,
        pointer: Cow::Owned(pointer),
    })
}

/// Absent and -1 match every number.
fn number(value: Option<i64>, pointer: impl Fn() -> String) -> Result<Option<u32>> {
    match value {
        None | Some(-1) => Ok(None),
        Some(value) => match u32::try_from(value) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(invalid(format!("invalid cgroup device number {value}"), pointer())),
        },
    }
}

/// Absent means every access, as an absent type or number means every one. Letters that say nothing change nothing.
fn access(text: Option<&str>, pointer: impl Fn() -> String) -> Result<u8> {
    let text = text.filter(|text| !text.is_empty()).unwrap_or("rwm");
    let bit = |letter| match letter {
        'r' => READ,
        'w' => WRITE,
        'm' => MKNOD,
        _ => 0,
    };
    match text.chars().fold(0, |bits, letter| bits | bit(letter)) {
        0 => Err(invalid(format!("invalid cgroup device access {text:?}"), pointer())),
        bits => Ok(bits),
    }
}

impl DeviceRule {
    /// Whether the rule speaks about that device.
    pub fn matches(&self, kind: DeviceKind, major: u32, minor: u32) -> bool {
        (self.kind == DeviceKind::Any || self.kind == kind)
            && self.major.is_none_or(|number| number == major)
            && self.minor.is_none_or(|number| number == minor)
    }
}

/// `c 1:3 rwm`, the kernel's form.
struct Entry(char, Option<u32>, Option<u32>, u8);

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
        write!(f, "{} {}:{} ", self.0, number(self.1), number(self.2))?;
        let letters = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')];
        letters.iter().filter(|(bit, _)| self.3 & bit != 0).try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::Any => 'a',
            DeviceKind::Block => 'b',
            DeviceKind::Char => 'c',
        };
        let verb = if self.allow { "allow" } else { "deny" };
        write!(f, "{verb} {}", Entry(kind, self.major, self.minor, self.access))
    }
}

impl fmt::Display for DevicePlan {
    /// The rules in order if a program stands for them; on v1 they are among the writes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(program) = &self.program else { return Ok(()) };
        for rule in &self.rules {
            writeln!(f, "devices  {:<42} {}", rule.to_string(), rule.pointer)?;
        }
        let when = match program.when {
            When::BeforeInit => "",
            When::BesideInit => ", beside init",
            When::AtReady => ", when init is ready",
        };
        writeln!(f, "devices  program of {} insns{when}", program.insns.len())
    }
}

#[cfg(test)]
mod tests;
