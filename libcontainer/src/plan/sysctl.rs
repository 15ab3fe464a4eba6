//! `linux.sysctl`: one write each, below the procfs that nothing can cover, sorted by file.

use oci_spec::runtime::Spec;
use teu_init::program::Op;

use super::namespaces;
use super::procfs::Procfs;
use super::program::Builder;
use crate::spec::{DOMAINNAME, pointer_to, sysctl_owner, sysctl_path};

const POINTER: &str = "/linux/sysctl";

/// One sysctl.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sysctl<'a> {
    /// Its file below `/proc/sys`.
    path: String,
    key: &'a str,
    value: &'a str,
}

fn sysctls(config: &Spec) -> Vec<Sysctl<'_>> {
    let sysctls = config.linux().as_ref().and_then(|linux| linux.sysctl().as_ref());
    let mut sysctls: Vec<_> = sysctls
        .into_iter()
        .flatten()
        .map(|(key, value)| Sysctl {
            path: sysctl_path(key),
            key,
            value: value.strip_suffix('\n').unwrap_or(value),
        })
        .collect();
    sysctls.sort();
    sysctls
}

/// Writes them all.
pub(super) fn push(config: &Spec, procfs: Option<Procfs>, out: &mut Builder) {
    for Sysctl { path, key, value } in sysctls(config) {
        let site = pointer_to(POINTER, key);
        match procfs {
            // Its file belongs to the machine's root, whatever the user namespace; the call asks who owns the UTS namespace.
            _ if path == DOMAINNAME => {
                let name = out.text(value);
                out.push(Op::Domainname { name }, site);
            }
            Some(procfs) => procfs.write(&[&format!("sys/{path}")], value, site, out),
            None => {}
        }
    }
}

/// Why a namespace of `kind` may not be the caller's own, and the place: a sysctl of it would change the host.
pub(super) fn refusal(config: &Spec, kind: u32) -> Option<(String, String)> {
    let of_kind = |sysctl: &Sysctl<'_>| {
        sysctl_owner(&sysctl.path).filter(|(typ, _)| namespaces::flag(*typ) == kind).map(|(_, why)| why)
    };
    sysctls(config).iter().find_map(|sysctl| {
        let why = of_kind(sysctl)?;
        Some((format!("sysctl {:?} {why}", sysctl.key), pointer_to(POINTER, sysctl.key)))
    })
}
