//! `linux.sysctl`: only what belongs to a namespace of the container, so that nothing of the host changes. And
//! `linux.personality`, the other kernel setting.

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxNamespaceType, Spec as Config};

use super::{Warnings, invalid, limit_entries, list, namespace, warning};
use crate::Result;
use crate::spec::pointer;

const POINTER: &str = "/linux/sysctl";
/// The one sysctl that has a system call of its own.
pub(crate) const DOMAINNAME: &str = "kernel/domainname";
/// A number or a list of numbers; the kernel reads a page at most.
const MAX_VALUE: usize = 4000;
/// __NEW_UTS_LEN.
const MAX_DOMAINNAME: usize = 64;

const SEPARATE: &str = "is not in a separate kernel namespace";
const HOST_IPC: &str = "is not allowed in the hosts ipc namespace";
const HOST_NETWORK: &str = "not allowed in host network namespace";

/// Path below /proc/sys (a whole one, or a prefix that ends in a slash), the namespace that owns it, and the refusal without.
const OWNED: [(&str, LinuxNamespaceType, &str); 12] = [
    ("kernel/msgmax", LinuxNamespaceType::Ipc, HOST_IPC),
    ("kernel/msgmnb", LinuxNamespaceType::Ipc, HOST_IPC),
    ("kernel/msgmni", LinuxNamespaceType::Ipc, HOST_IPC),
    ("kernel/sem", LinuxNamespaceType::Ipc, HOST_IPC),
    ("kernel/shmall", LinuxNamespaceType::Ipc, HOST_IPC),
    ("kernel/shmmax", LinuxNamespaceType::Ipc, HOST_IPC),
    ("kernel/shmmni", LinuxNamespaceType::Ipc, HOST_IPC),
    ("kernel/shm_rmid_forced", LinuxNamespaceType::Ipc, HOST_IPC),
    ("fs/mqueue/", LinuxNamespaceType::Ipc, HOST_IPC),
    ("net/", LinuxNamespaceType::Network, HOST_NETWORK),
    ("kernel/domainname", LinuxNamespaceType::Uts, SEPARATE),
    ("user/", LinuxNamespaceType::User, SEPARATE),
];

pub fn sysctl(config: &Config, _: &mut Warnings) -> Result<()> {
    let Some(sysctl) = config.linux().as_ref().and_then(|linux| linux.sysctl().as_ref()) else {
        return Ok(());
    };
    limit_entries(sysctl.len(), POINTER)?;
    let mut files = BTreeMap::new();
    // Sorted: the same configuration is refused with the same words.
    for (key, value) in sysctl.iter().collect::<BTreeMap<_, _>>() {
        check(config, key, value)?;
        if let Some(earlier) = files.insert(path(key), key) {
            let message = format!("sysctl {key:?} names the same file as {earlier:?}");
            return Err(invalid(pointer::join(POINTER, key), message));
        }
    }
    Ok(())
}

fn check(config: &Config, key: &str, value: &str) -> Result<()> {
    let refused = |why: &str| Err(invalid(pointer::join(POINTER, key), format!("sysctl {key:?} {why}")));
    let path = path(key);
    if path.split('/').any(|name| matches!(name, "" | "." | "..")) || key.contains(char::is_control) {
        return refused(SEPARATE);
    }
    if path == "kernel/hostname" {
        return refused("is not allowed as it conflicts with the OCI \"hostname\" field");
    }
    match owner(&path) {
        Some((typ, _)) if namespace(config, typ).is_some() => {}
        Some((_, why)) => return refused(why),
        None => return refused(SEPARATE),
    }
    let named = config.domainname().as_deref();
    if path == DOMAINNAME && named.is_some_and(|name| name != value) {
        return refused("is not allowed as it conflicts with the OCI \"domainname\" field");
    }
    match value.strip_suffix('\n').unwrap_or(value) {
        // The kernel sees no write at all.
        "" => refused("has an empty value"),
        value if value.contains(['\n', '\r']) => refused("has a value of more than one line"),
        value if value.len() > MAX_VALUE => {
            refused(&format!("has a value of {} bytes, at most {MAX_VALUE} are allowed", value.len()))
        }
        value if path == DOMAINNAME && value.len() > MAX_DOMAINNAME => {
            refused(&format!("has a value of {} bytes, at most {MAX_DOMAINNAME} are allowed", value.len()))
        }
        _ => Ok(()),
    }
}

/// The namespace that owns the file of this path, and the refusal for the host's.
pub(crate) fn owner(path: &str) -> Option<(LinuxNamespaceType, &'static str)> {
    let owns = |name: &str| if name.ends_with('/') { path.starts_with(name) } else { path == name };
    OWNED.iter().find(|(name, ..)| owns(name)).map(|(_, typ, why)| (*typ, *why))
}

/// The path below /proc/sys. As in sysctl(8), the first separator of the two decides; the other one belongs to a name.
pub(crate) fn path(key: &str) -> String {
    match key.find(['.', '/']).and_then(|at| key.get(at..=at)) {
        Some(".") => key
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
        _ => key.to_owned(),
    }
}

/// The specification names no flag, and runc knows none.
pub fn personality(config: &Config, warnings: &mut Warnings) -> Result<()> {
    let personality = config.linux().as_ref().and_then(|linux| linux.personality().as_ref());
    if personality.is_some_and(|personality| !list(personality.flags()).is_empty()) {
        warnings.push(warning("/linux/personality/flags", "personality flags are ignored"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn both_spellings_name_the_same_file() {
        assert_eq!(path("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(path("net/ipv4/ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(path("net.ipv4.conf.eno2/100.rp_filter"), "net/ipv4/conf/eno2.100/rp_filter");
        assert_eq!(path("net/ipv4/conf/eno2.100/rp_filter"), "net/ipv4/conf/eno2.100/rp_filter");
    }
}
