//! `linux.devices`: the nodes that the container gets.

use std::ops::RangeInclusive;

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType, Spec as Config};

use super::{Warnings, invalid, limit_entries, limit_path, list};
use crate::Result;

/// The widths of the two halves of the kernel's dev_t.
pub(super) const MAJOR: RangeInclusive<i64> = 0..=0xfff;
pub(super) const MINOR: RangeInclusive<i64> = 0..=0xf_ffff;
const NO_ID: u32 = u32::MAX;

pub fn devices(config: &Config, _: &mut Warnings) -> Result<()> {
    let devices = config.linux().as_ref().map_or(&[][..], |linux| list(linux.devices()));
    limit_entries(devices.len(), "/linux/devices")?;
    devices
        .iter()
        .enumerate()
        .try_for_each(|(index, device)| check(device, &format!("/linux/devices/{index}")))
}

fn check(device: &LinuxDevice, pointer: &str) -> Result<()> {
    let path = device.path();
    let at =
        |key: &str, why: String| Err(invalid(format!("{pointer}/{key}"), format!("device {path:?}: {why}")));
    if !path.is_absolute() {
        return at("path", "path is not absolute".into());
    }
    if path.file_name().is_none() {
        return at("path", "path does not name a file".into());
    }
    limit_path(path.as_os_str(), || format!("{pointer}/path"))?;
    match device.typ() {
        LinuxDeviceType::A => return at("type", "type a is for cgroup rules, not for nodes".into()),
        LinuxDeviceType::P => {}
        LinuxDeviceType::B | LinuxDeviceType::C | LinuxDeviceType::U => {
            for (number, range, key) in [(device.major(), MAJOR, "major"), (device.minor(), MINOR, "minor")] {
                if !range.contains(&number) {
                    return at(key, format!("{key} {number} is not within 0 and {}", range.end()));
                }
            }
        }
    }
    for (id, key) in [(device.uid(), "uid"), (device.gid(), "gid")] {
        if id == Some(NO_ID) {
            return at(key, format!("{key} {NO_ID} is not an id"));
        }
    }
    Ok(())
}
