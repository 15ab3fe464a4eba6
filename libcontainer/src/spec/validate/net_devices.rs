//! `linux.netDevices`: names that the kernel takes, each used once, and a network namespace to move to.

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxNamespaceType, Spec as Config};

use super::{Warnings, invalid, limit_entries, needs_namespace};
use crate::Result;
use crate::spec::pointer;

const POINTER: &str = "/linux/netDevices";
/// IFNAMSIZ, with the final NUL.
const NAME_MAX: usize = 16;

pub fn net_devices(config: &Config, _: &mut Warnings) -> Result<()> {
    let devices = config.linux().as_ref().and_then(|linux| linux.net_devices().as_ref());
    let Some(devices) = devices.filter(|devices| !devices.is_empty()) else { return Ok(()) };
    let message = "unable to move network devices without a private network namespace";
    needs_namespace(config, LinuxNamespaceType::Network, POINTER, message)?;
    limit_entries(devices.len(), POINTER)?;
    // Sorted: the same configuration is refused with the same words.
    let devices: BTreeMap<_, _> = devices.iter().collect();
    let mut targets = BTreeMap::new();
    for (name, device) in devices {
        let place = pointer::join(POINTER, name);
        let target = device.name().as_deref().filter(|target| !target.is_empty());
        for (name, place) in [(Some(name.as_str()), place.clone()), (target, format!("{place}/name"))] {
            if let Some(name) = name.filter(|name| !is_valid(name)) {
                return Err(invalid(place, format!("invalid network device name {name:?}")));
            }
        }
        if let Some(earlier) = targets.insert(target.unwrap_or(name), name) {
            let target = target.unwrap_or(name);
            let message = format!("network devices {earlier:?} and {name:?} are both named {target:?}");
            return Err(invalid(place, message));
        }
    }
    Ok(())
}

/// What dev_valid_name of the kernel takes; `%` would ask it for a number.
fn is_valid(name: &str) -> bool {
    let is_odd = |c: char| matches!(c, '/' | ':' | '%') || c.is_ascii_whitespace() || c.is_control();
    let length = 1..NAME_MAX;
    length.contains(&name.len()) && !matches!(name, "." | "..") && !name.contains(is_odd)
}
