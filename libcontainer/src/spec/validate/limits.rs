//! The limits of `linux.resources` that are lists or maps: `blockIO`, `hugepageLimits`, `network`, `rdma` and `unified`.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use oci_spec::runtime::{LinuxBlockIo, LinuxHugepageLimit, LinuxNetwork, LinuxResources};

use super::devices::{MAJOR, MINOR};
use super::{invalid, limit_entries, list};
use crate::Result;
use crate::spec::pointer;

const BLOCK_IO: &str = "/linux/resources/blockIO";
const WEIGHT: RangeInclusive<u16> = 10..=1000;

/// IFNAMSIZ without its NUL.
const MAX_INTERFACE: usize = 15;
/// NAME_MAX: a name of a file.
const MAX_NAME: usize = 255;
/// A value is one write of at most a page.
const MAX_VALUE: usize = 4096;

/// Files that are no settings: they move, stop or kill processes, which is not what a container is created for.
const NO_SETTINGS: [&str; 4] = ["cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.freeze"];

pub fn limits(resources: &LinuxResources) -> Result<()> {
    resources.block_io().as_ref().map_or(Ok(()), block_io)?;
    huge_pages(list(resources.hugepage_limits()))?;
    resources.network().as_ref().map_or(Ok(()), network)?;
    rdma(resources)?;
    unified(resources)
}

fn block_io(io: &LinuxBlockIo) -> Result<()> {
    for (value, key) in [(io.weight(), "weight"), (io.leaf_weight(), "leafWeight")] {
        weight(value, || format!("{BLOCK_IO}/{key}"))?;
    }
    let devices = list(io.weight_device());
    limit_entries(devices.len(), format_args!("{BLOCK_IO}/weightDevice"))?;
    for (index, device) in devices.iter().enumerate() {
        let place = format!("{BLOCK_IO}/weightDevice/{index}");
        numbers(device.major(), device.minor(), &place)?;
        if device.weight().is_none() && device.leaf_weight().is_none() {
            return Err(invalid(place, "neither weight nor leafWeight is given"));
        }
        weight(device.weight(), || format!("{place}/weight"))?;
        weight(device.leaf_weight(), || format!("{place}/leafWeight"))?;
    }
    throttles(io)
}

/// 0 is unset.
fn weight(weight: Option<u16>, place: impl FnOnce() -> String) -> Result<()> {
    match weight.filter(|weight| *weight != 0 && !WEIGHT.contains(weight)) {
        Some(weight) => Err(invalid(place(), format!("block I/O weight {weight} is not within 10 and 1000"))),
        None => Ok(()),
    }
}

fn throttles(io: &LinuxBlockIo) -> Result<()> {
    let lists = [
        (io.throttle_read_bps_device(), "throttleReadBpsDevice"),
        (io.throttle_write_bps_device(), "throttleWriteBpsDevice"),
        (io.throttle_read_iops_device(), "throttleReadIOPSDevice"),
        (io.throttle_write_iops_device(), "throttleWriteIOPSDevice"),
    ];
    for (devices, key) in lists {
        let place = format!("{BLOCK_IO}/{key}");
        limit_entries(list(devices).len(), &place)?;
        for (index, device) in list(devices).iter().enumerate() {
            numbers(device.major(), device.minor(), &format!("{place}/{index}"))?;
        }
    }
    Ok(())
}

fn numbers(major: i64, minor: i64, place: &str) -> Result<()> {
    for (number, range, key) in [(major, MAJOR, "major"), (minor, MINOR, "minor")] {
        if !range.contains(&number) {
            let message = format!("{key} {number} is not within 0 and {}", range.end());
            return Err(invalid(format!("{place}/{key}"), message));
        }
    }
    Ok(())
}

fn huge_pages(limits: &[LinuxHugepageLimit]) -> Result<()> {
    const PLACE: &str = "/linux/resources/hugepageLimits";
    limit_entries(limits.len(), PLACE)?;
    let mut seen = HashSet::new();
    for (index, limit) in limits.iter().enumerate() {
        let (size, place) = (limit.page_size(), format!("{PLACE}/{index}/pageSize"));
        if !is_page_size(size) {
            let message = format!("huge page size {size:?} is not of the form 64KB, 2MB or 1GB");
            return Err(invalid(place, message));
        }
        if !seen.insert(size) {
            return Err(invalid(place, format!("huge page size {size} is given twice")));
        }
        if limit.limit() < 0 {
            let message = format!("huge page limit {} is negative", limit.limit());
            return Err(invalid(format!("{PLACE}/{index}/limit"), message));
        }
    }
    Ok(())
}

/// A number without leading zeros, and a unit.
fn is_page_size(size: &str) -> bool {
    let number = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit)).unwrap_or_default();
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    digits && (1..=9).contains(&number.len()) && !number.starts_with('0')
}

fn network(network: &LinuxNetwork) -> Result<()> {
    const PLACE: &str = "/linux/resources/network/priorities";
    let priorities = list(network.priorities());
    limit_entries(priorities.len(), PLACE)?;
    let mut seen = HashSet::new();
    for (index, interface) in priorities.iter().enumerate() {
        let (name, place) = (interface.name(), format!("{PLACE}/{index}/name"));
        let fits = (1..=MAX_INTERFACE).contains(&name.len()) && ![".", ".."].contains(&name.as_str());
        if !fits || name.contains(|c: char| c.is_whitespace() || c.is_control() || "/:".contains(c)) {
            return Err(invalid(place, format!("{name:?} is no name of a network interface")));
        }
        if !seen.insert(name) {
            return Err(invalid(place, format!("network interface {name} is given twice")));
        }
    }
    Ok(())
}

fn rdma(resources: &LinuxResources) -> Result<()> {
    const PLACE: &str = "/linux/resources/rdma";
    let devices = resources.rdma().iter().flatten();
    limit_entries(devices.clone().count(), PLACE)?;
    for (name, limits) in devices {
        let place = pointer::join(PLACE, name);
        let fits = (1..=MAX_NAME).contains(&name.len());
        if !fits || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(invalid(place, "the name of an rdma device is empty, too long or has blanks in it"));
        }
        if limits.hca_handles().is_none() && limits.hca_objects().is_none() {
            return Err(invalid(place, "neither hcaHandles nor hcaObjects is given"));
        }
    }
    Ok(())
}

fn unified(resources: &LinuxResources) -> Result<()> {
    const PLACE: &str = "/linux/resources/unified";
    let files = resources.unified().iter().flatten();
    limit_entries(files.clone().count(), PLACE)?;
    for (name, value) in files {
        let place = pointer::join(PLACE, name);
        let shown: String = name.chars().take(MAX_INTERFACE).collect();
        if name.contains('/') || [".", ".."].contains(&name.as_str()) {
            return Err(invalid(
                place,
                format!("unified resource {shown:?} must be a file name (no slashes)"),
            ));
        }
        if !(1..=MAX_NAME).contains(&name.len()) || name.contains(char::is_control) {
            return Err(invalid(place, format!("unified resource {shown:?} is no name of a file")));
        }
        if NO_SETTINGS.contains(&name.as_str()) {
            return Err(invalid(place, format!("unified resource {shown:?} is no setting")));
        }
        if value.lines().any(|line| line.len() > MAX_VALUE) {
            return Err(invalid(place, "the value has a line of more than 4096 bytes"));
        }
    }
    Ok(())
}
