//! The container's own network namespace. The kernel takes longer to make one than init takes for the mounts, so it is made beside everything else
//! (see `launch/network.rs`), and init joins it when something is about to look at it. With a user namespace, which has to own it, init is cloned
//! with it.

use teu_init::program::{Op, Slot};

use super::namespaces::kind;
use super::program::Builder;
use super::{Source, Subject, net_devices};

const SITE: &str = "/linux/namespaces";

/// Filesystems that are the same in every network namespace. What is not in the list may keep the one that it is made in, as sysfs does.
const BLIND: [&str; 8] = ["proc", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "overlay", "ext4"];

/// Whether a new filesystem of this type may depend on the network namespace of its maker.
pub fn sees_network(fs: &str) -> bool {
    !BLIND.contains(&fs)
}

/// What init does about the network namespace, once.
pub(super) struct Network {
    made_beside: Option<Slot>,
    loopback: bool,
    devices: bool,
}

impl Network {
    /// Asks for the namespace, if it is made beside.
    pub fn prepare(subject: &Subject<'_>, out: &mut Builder, sources: &mut Vec<Source>) -> Self {
        let made_beside = subject.namespaces.network_beside().then(|| {
            sources.push(Source::Network);
            out.sends()
        });
        let devices = !net_devices::net_devices(subject.config).is_empty();
        Self { made_beside, loopback: subject.own_network(), devices }
    }

    /// What need not wait.
    pub fn push_early(&mut self, out: &mut Builder) {
        if self.made_beside.is_none() {
            self.push(out);
        }
    }

    /// Everything that is still to be done.
    pub fn push(&mut self, out: &mut Builder) {
        if let Some(from) = self.made_beside.take() {
            out.push(Op::JoinMade { kind: kind::NETWORK, from }, SITE);
        }
        if std::mem::take(&mut self.loopback) {
            out.push(Op::Loopback {}, SITE);
        }
        if std::mem::take(&mut self.devices) {
            out.push(Op::NetDevices {}, "/linux/netDevices");
        }
    }
}

/// Whether the caller has a network namespace made beside everything else.
pub fn made_beside(sources: &[Source]) -> bool {
    sources.contains(&Source::Network)
}
