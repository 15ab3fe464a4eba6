//! `linux.sysctl`: only what belongs to a namespace of the container, so that nothing of the host changes. And
//! `linux.personality`, the other kernel setting.

use oci_spec::runtime::{LinuxNamespaceType, Spec as Config};

use super::{Warnings, invalid, list, namespace, warning};
use crate::Result;
use crate::spec::pointer;

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
    // Sorted: the same configuration is refused with the same words.
    let mut keys: Vec<&str> = sysctl.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys.into_iter().try_for_each(|key| check(config, key))
}

fn check(config: &Config, key: &str) -> Result<()> {
    let refused =
        |why: &str| Err(invalid(pointer::join("/linux/sysctl", key), format!("sysctl {key:?} {why}")));
    let path = path(key);
    if path.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return refused(SEPARATE);
    }
    if path == "kernel/hostname" {
        return refused("is not allowed as it conflicts with the OCI \"hostname\" field");
    }
    let owns = |name: &str| if name.ends_with('/') { path.starts_with(name) } else { path == name };
    match OWNED.iter().find(|(name, ..)| owns(name)) {
        Some((_, typ, _)) if namespace(config, *typ).is_some() => Ok(()),
        Some((.., why)) => refused(why),
        None => refused(SEPARATE),
    }
}

/// The path below /proc/sys. As in sysctl(8), the first separator of the two decides; the other one belongs to a name.
fn path(key: &str) -> String {
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
