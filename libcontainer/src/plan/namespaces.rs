//! `linux.namespaces`: which are made by the first clone, which by a second one, which are joined, and in what order.
//!
//! An exec before the id maps are written loses the capabilities, and a joined pid namespace takes only children. In both cases
//! init clones once more (*respawn*) and goes on in the copy.
//!
//! A new time namespace is never made by a clone: its offsets must be bound before the first process is in it. Init makes it by itself, binds the
//! offsets, and enters it at the next clone or, since Linux 6.2, at the container's exec.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use teu_init::program::Op;

use super::program::Builder;
use super::{Source, Subject, idmap, net_devices, sysctl, time};
use crate::host::Host;
use crate::spec::keeps_groups;
use crate::{Error, ErrorKind, Result};

const SITE: &str = "/linux/namespaces";
/// Since this version an exec enters the time namespace that is meant for children.
const EXEC_ENTERS_TIME: (u32, u32) = (6, 2);

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
    pub fn respawns(&self, host: &Host) -> bool {
        self.has(kind::USER) || self.joins(kind::PID) || self.forks_into_time(host)
    }

    /// Whether a new time namespace is entered by a clone alone.
    fn forks_into_time(&self, host: &Host) -> bool {
        self.new & kind::TIME != 0 && host.kernel < EXEC_ENTERS_TIME
    }

    /// When a new time namespace is made.
    fn time(&self, host: &Host) -> Time {
        match self.new & kind::TIME {
            0 => Time::Never,
            _ if self.joins(kind::USER) => Time::Joined,
            _ if self.new & kind::USER != 0 && !self.forks_into_time(host) => Time::Mapped,
            _ => Time::First,
        }
    }

    /// What this host cannot do.
    ///
    /// # Errors
    /// `Unsupported`, with the place of the namespace.
    pub fn check(&self, host: &Host) -> Result<()> {
        // Made before the user namespace it needs the rights that only the user namespace would give.
        if self.forks_into_time(host) && self.new & kind::USER != 0 && !host.privileged {
            let message = "a time namespace for a caller without privilege needs Linux 6.2";
            return Err(Error::new(ErrorKind::Unsupported, message).at("/linux/namespaces"));
        }
        Ok(())
    }

    /// Whether init stays dumpable until its id maps are written: a caller without privilege could not write them otherwise.
    pub fn hides_late(&self, host: &Host) -> bool {
        self.new & kind::USER != 0 && !host.privileged
    }

    /// Whether a new network namespace is made beside the rest: no user namespace has to own it.
    pub fn network_beside(&self) -> bool {
        self.new & kind::NETWORK != 0 && !self.has(kind::USER)
    }

    /// Kinds for the first clone. The cgroup namespace is among them only if init is cloned into its cgroup.
    pub fn first(&self, into_cgroup: bool, host: &Host) -> u32 {
        let cgroup = if into_cgroup { 0 } else { kind::CGROUP };
        // The first process of a pid namespace cannot clone a sibling.
        let pid = if self.respawns(host) { kind::PID } else { 0 };
        match self.has(kind::USER) {
            true => 0, // they must belong to the user namespace
            false => self.new & !(kind::TIME | kind::NETWORK | cgroup | pid),
        }
    }

    /// Kinds that init makes later: by a respawn, or alone.
    fn late(&self, into_cgroup: bool, host: &Host) -> u32 {
        let elsewhere = kind::TIME | if self.network_beside() { kind::NETWORK } else { 0 };
        self.new & !elsewhere & !self.first(into_cgroup, host)
    }
}

/// When init makes a time namespace, which the user namespace of that moment will own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    Never,
    /// First of all, as the caller's: where no user namespace is entered, or where only the respawn enters both.
    First,
    /// In the joined user namespace.
    Joined,
    /// In the new user namespace.
    Mapped,
}

pub(super) fn flag(kind: LinuxNamespaceType) -> u32 {
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
    pub(super) fn prepare(subject: &Subject<'_>, out: &mut Builder, sources: &mut Vec<Source>) -> Self {
        let Subject { namespaces, host, .. } = *subject;
        let mut joined: Vec<&Joined> = namespaces.joined.iter().collect();
        // With rights over the others the user namespace comes last: they need not belong to it. Without, only it gives the right to join them.
        // The pid namespace takes only children, so its place does not matter.
        let capable = host.privileged || host.euid == 0;
        joined.sort_by_key(|joined| (joined.kind == kind::USER) == capable);
        let joins = joined.into_iter().map(|joined| {
            let slot = out.sends();
            sources.push(Source::Namespace {
                kind: joined.kind,
                path: joined.path.clone(),
                pointer: joined.pointer.clone(),
                foreign: foreign(subject.config, joined.kind),
            });
            (Op::Join { kind: joined.kind, namespace: slot }, joined.pointer.clone())
        });
        Self { joins: joins.collect() }
    }

    /// Enters the namespaces.
    pub(super) fn push(self, subject: &Subject<'_>, out: &mut Builder) {
        let Subject { namespaces, host, .. } = *subject;
        let time = namespaces.time(host);
        let make_time = |when: Time, out: &mut Builder| {
            if time == when {
                time::push(subject.config, out);
            }
        };
        make_time(Time::First, out);
        for (op, pointer) in self.joins {
            out.push(op, pointer);
        }
        make_time(Time::Joined, out);
        push_new(subject, out);
        if let Some(pointer) = idmap::pointer(subject.config, namespaces) {
            out.push(Op::AwaitMaps {}, pointer);
        }
        // Before the ids change, and before init hides: either takes the file of the offsets away from it.
        make_time(Time::Mapped, out);
        if namespaces.hides_late(host) {
            out.push(Op::Hide {}, "");
        }
        if namespaces.has(kind::USER) {
            // `run.oci.keep_original_groups`: the caller's supplementary groups stay, even where they could be set.
            let setgroups = !keeps_groups(subject.config) && host.sets_groups;
            out.push(Op::BecomeRoot { setgroups: setgroups.into() }, SITE);
        }
    }
}

/// Why a joined namespace of `kind` may not be the caller's own: the configuration changes it, and would change the host.
fn foreign(config: &Spec, kind: u32) -> Option<(String, String)> {
    let devices = kind == kind::NETWORK && !net_devices::net_devices(config).is_empty();
    let message = "unable to move network devices without a private network namespace";
    let devices = devices.then(|| (message.to_owned(), "/linux/netDevices".to_owned()));
    sysctl::refusal(config, kind).or(devices)
}

/// What the first clone has not made.
fn push_new(subject: &Subject<'_>, out: &mut Builder) {
    let Subject { namespaces, host, .. } = *subject;
    match (namespaces.respawns(host), namespaces.late(subject.cgroup_at_birth(), host)) {
        (false, 0) => {}
        // A cgroup namespace is rooted where init is: its pid was placed before the program came.
        (false, late) => out.push(Op::Unshare { flags: late }, SITE),
        (true, late) => out.push(Op::Respawn { flags: late }, SITE),
    }
}

#[cfg(test)]
mod tests;
