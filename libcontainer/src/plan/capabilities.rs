//! `process.capabilities`: five sets as 64-bit masks.

use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities};
use teu_init::program::Op;

use super::program::Builder;
use crate::host::Host;

/// Names in the order of their numbers (linux/capability.h), without `CAP_`.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The five sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// What the process may ever gain.
    pub bounding: u64,
    /// What is in force.
    pub effective: u64,
    /// What may be put in force.
    pub permitted: u64,
    /// What survives execve of a file with the same inheritable bits.
    pub inheritable: u64,
    /// What survives execve of any file: always a part of permitted and inheritable.
    pub ambient: u64,
}

impl Sets {
    /// Reads the sets; an absent object means empty sets. What the kernel does not know is left out.
    pub fn of(capabilities: Option<&LinuxCapabilities>, host: &Host) -> Self {
        let Some(sets) = capabilities else { return Self::default() };
        let known = u64::MAX >> 63u32.saturating_sub(host.last_cap);
        let read = |set: &Option<Capabilities>| set.as_ref().map_or(0, mask) & known;
        let (permitted, inheritable) = (read(sets.permitted()), read(sets.inheritable()));
        Self {
            bounding: read(sets.bounding()),
            effective: read(sets.effective()),
            permitted,
            inheritable,
            ambient: read(sets.ambient()) & permitted & inheritable,
        }
    }

    /// Drops the bounding set: before the user switch.
    pub fn push_bounding(&self, host: &Host, out: &mut Builder) {
        out.push(
            Op::CapsBound { keep: self.bounding, last: host.last_cap },
            "/process/capabilities/bounding",
        );
    }

    /// Sets the others: after the user switch.
    pub fn push(&self, out: &mut Builder) {
        let Self { effective, permitted, inheritable, ambient, .. } = *self;
        out.push(Op::Caps { effective, permitted, inheritable, ambient }, "/process/capabilities");
    }
}

fn mask(set: &Capabilities) -> u64 {
    set.iter().filter_map(number).fold(0, |mask, number| mask | 1 << number)
}

fn number(capability: &Capability) -> Option<usize> {
    let name = capability.to_string();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    NAMES.iter().position(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_config_types_has_its_number() {
        for (index, name) in NAMES.iter().enumerate() {
            let json = serde_json::Value::String(format!("CAP_{name}"));
            let capability: Capability = serde_json::from_value(json).unwrap();
            assert_eq!(number(&capability), Some(index), "{name}");
        }
    }
}
