//! `linux.netDevices`: which devices of the caller's network namespace go into the container's, and under what names.

use oci_spec::runtime::Spec;

/// A device that is moved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetDevice {
    /// Its name in the caller's network namespace.
    pub name: String,
    /// Its name in the container's.
    pub target: String,
}

impl NetDevice {
    /// The place in config.json.
    pub fn pointer(&self) -> String {
        crate::spec::pointer_to("/linux/netDevices", &self.name)
    }
}

/// The devices, sorted by name: what goes wrong goes wrong the same way each time.
pub fn net_devices(config: &Spec) -> Vec<NetDevice> {
    let devices = config.linux().as_ref().and_then(|linux| linux.net_devices().as_ref());
    let device = |(name, device): (&String, &oci_spec::runtime::LinuxNetDevice)| {
        let target = device.name().as_deref().filter(|target| !target.is_empty()).unwrap_or(name);
        NetDevice { name: name.clone(), target: target.to_owned() }
    };
    let mut devices: Vec<_> = devices.into_iter().flatten().map(device).collect();
    devices.sort();
    devices
}
