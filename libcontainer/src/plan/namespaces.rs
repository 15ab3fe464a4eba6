//! `linux.namespaces`: which are made by the first clone, which by a second one, which are joined, and in what order.
//!
//! An exec before the id maps are written loses the capabilities, and a joined pid namespace takes only children. In both cases
//! init clones once more (*respawn*) and goes on in the copy.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use teu_init::program::Op;

use super::program::{Builder, Pointer};
use super::{Source, idmap};
use crate::host::Host;

/// CLONE_NEW* flags. They also name the kind of a namespace in `setns`.
pub mod kind {
    #![allow(missing_docs)]
    pub const MOUNT: u32 = 0x0002_0000;
    pub const CGROUP: u32 = 0x0200_0000;
    pub const UTS: u32 = 0x0400_0000;
    pub const IPC: u32 = 0x0800_0000;
    pub const USER: u32 = 0x1000_0000;
    pub const PID: u32 = 0x2000_0000;
    pub const NETWORK: u32 = 0x4000_0000;
    pub const TIME: u32 = 0x0000_0080;
}

/// Kinds and their words, in the order in which a plan prints them.
const WORDS: [(u32, &str); 8] = [
    (kind::USER, "newuser"),
    (kind::MOUNT, "newns"),
    (kind::PID, "newpid"),
    (kind::NETWORK, "newnet"),
    (kind::IPC, "newipc"),
    (kind::UTS, "newuts"),
    (kind::CGROUP, "newcgroup"),
    (kind::TIME, "newtime"),
];

/// The words of a set of kinds.
pub fn words(flags: u32) -> Vec<&'static str> {
    WORDS.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, word)| *word).collect()
}

/// The namespaces of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Kinds that are new.
    pub new: u32,
    /// Kinds that are joined, with the file that names the namespace.
    pub joined: Vec<Joined>,
}

/// A namespace that is joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its kind.
    pub kind: u32,
    /// The file.
    pub path: PathBuf,
    /// The place in config.json.
    pub pointer: String,
}

impl Namespaces {
    /// Reads `linux.namespaces`.
    pub fn of(spec: &Spec) -> Self {
        let listed = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref()).unwrap_or(&[]);
        let mut namespaces = Self::default();
        for (index, namespace) in listed.iter().enumerate() {
            let kind = flag(namespace.typ());
            match namespace.path() {
                Some(path) if !path.as_os_str().is_empty() => {
                    let pointer = format!("/linux/namespaces/{index}/path");
                    namespaces.joined.push(Joined { kind, path: path.clone(), pointer });
                }
                _ => namespaces.new |= kind,
            }
        }
        namespaces
    }

    /// Whether a namespace of `kind` is new or joined.
    pub fn has(&self, kind: u32) -> bool {
        self.new & kind != 0 || self.joins(kind)
    }

    /// Whether a namespace of `kind` is joined.
    pub fn joins(&self, kind: u32) -> bool {
        self.joined.iter().any(|joined| joined.kind == kind)
    }

    /// Whether init goes on in a second process.
    pub fn respawns(&self) -> bool {
        self.has(kind::USER) || self.joins(kind::PID)
    }

    /// Whether init stays dumpable until its id maps are written: a caller without privilege could not write them otherwise.
    pub fn hides_late(&self, host: &Host) -> bool {
        self.new & kind::USER != 0 && !host.privileged
    }

    /// Kinds for the first clone. The cgroup namespace is among them only if init is cloned into its cgroup.
    pub fn first(&self, into_cgroup: bool) -> u32 {
        match (self.has(kind::USER), into_cgroup) {
            (true, _) => 0, // they must belong to the user namespace
            (false, true) => self.new,
            (false, false) => self.new & !kind::CGROUP,
        }
    }
}

fn flag(kind: LinuxNamespaceType) -> u32 {
    match kind {
        LinuxNamespaceType::Mount => kind::MOUNT,
        LinuxNamespaceType::Cgroup => kind::CGROUP,
        LinuxNamespaceType::Uts => kind::UTS,
        LinuxNamespaceType::Ipc => kind::IPC,
        LinuxNamespaceType::User => kind::USER,
        LinuxNamespaceType::Pid => kind::PID,
        LinuxNamespaceType::Network => kind::NETWORK,
        LinuxNamespaceType::Time => kind::TIME,
    }
}

/// The descriptors of joined namespaces and the ops that enter them, in the right order.
pub struct Entry {
    joins: Vec<(Op, String)>,
}

impl Entry {
    /// Asks for the descriptors.
    pub fn prepare(
        namespaces: &Namespaces,
        host: &Host,
        out: &mut Builder,
        sources: &mut Vec<Source>,
    ) -> Self {
        let mut joined: Vec<&Joined> = namespaces.joined.iter().collect();
        // With privilege the user namespace comes last: the others need not belong to it. Without, only it gives the right to join them.
        // The pid namespace takes only children, so its place does not matter.
        joined.sort_by_key(|joined| (joined.kind == kind::USER) == host.privileged);
        let joins = joined.into_iter().map(|joined| {
            let slot = out.sends();
            sources.push(Source::Namespace {
                kind: joined.kind,
                path: joined.path.clone(),
                pointer: joined.pointer.clone(),
            });
            (Op::Join { kind: joined.kind, namespace: slot }, joined.pointer.clone())
        });
        Self { joins: joins.collect() }
    }

    /// Enters the namespaces.
    ///
    /// `keep_groups`: the caller's supplementary groups stay, even where they could be set.
    pub fn push(
        self,
        namespaces: &Namespaces,
        into_cgroup: bool,
        host: &Host,
        keep_groups: bool,
        out: &mut Builder,
    ) {
        let site = || Pointer::Borrowed("/linux/namespaces");
        for (op, pointer) in self.joins {
            out.push(op, pointer);
        }
        let user = namespaces.has(kind::USER);
        let late = namespaces.new & !namespaces.first(into_cgroup);
        match (namespaces.respawns(), late) {
            // A cgroup namespace is rooted where init is: its pid was placed before the program came.
            (false, 0) => {}
            (false, late) => out.push(Op::Unshare { flags: late }, site()),
            (true, late) => out.push(Op::Respawn { flags: late }, site()),
        }
        if namespaces.new & kind::USER != 0 {
            out.push(Op::AwaitMaps {}, "/linux/uidMappings");
        }
        if namespaces.hides_late(host) {
            out.push(Op::Hide {}, "");
        }
        if user {
            let setgroups = !keep_groups && idmap::may_set_groups(host);
            out.push(Op::BecomeRoot { setgroups: setgroups.into() }, site());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_owns_all_the_others() {
        let namespaces = Namespaces { new: kind::USER | kind::PID | kind::MOUNT, joined: Vec::new() };
        assert!(namespaces.respawns());
        assert_eq!(namespaces.first(true), 0);
    }

    #[test]
    fn without_a_cgroup_to_clone_into_its_namespace_comes_later() {
        let namespaces = Namespaces { new: kind::CGROUP | kind::PID, joined: Vec::new() };
        assert_eq!(namespaces.first(true), kind::CGROUP | kind::PID);
        assert_eq!(namespaces.first(false), kind::PID);
    }
}
