//! The rest of `linux.resources`: pids, huge pages, network, rdma and unified.

use oci_spec::runtime::LinuxResources;

use super::table::Item;
use crate::spec::pointer;

pub(super) fn pids(resources: &LinuxResources) -> Option<String> {
    let limit = resources.pids().as_ref()?.limit();
    // As runc: no container lives with 0, and systemd does not know it.
    Some(if limit < 0 { "max".to_owned() } else { limit.max(1).to_string() })
}

pub(super) fn hugepages(resources: &LinuxResources) -> Vec<Item> {
    let limits = resources.hugepage_limits().as_deref().unwrap_or_default();
    let item = |(index, limit): (usize, &oci_spec::runtime::LinuxHugepageLimit)| Item {
        key: limit.page_size().clone(),
        ..Item::at(index, limit.limit().to_string())
    };
    limits.iter().enumerate().map(item).collect()
}

pub(super) fn class_id(resources: &LinuxResources) -> Option<String> {
    resources.network().as_ref()?.class_id().filter(|id| *id != 0).map(|id| id.to_string())
}

pub(super) fn priorities(resources: &LinuxResources) -> Vec<Item> {
    let network = resources.network().as_ref();
    let interfaces = network.and_then(|network| network.priorities().as_deref()).unwrap_or_default();
    let item = |(index, interface): (usize, &oci_spec::runtime::LinuxInterfacePriority)| {
        Item::at(index, format!("{} {}", interface.name(), interface.priority()))
    };
    interfaces.iter().enumerate().map(item).collect()
}

/// Sorted by device: a map has no order, and a plan is the same each time.
pub(super) fn rdma(resources: &LinuxResources) -> Vec<Item> {
    let mut devices: Vec<_> = resources.rdma().iter().flatten().collect();
    devices.sort_by_key(|(name, _)| *name);
    let item = |(name, limits): (&String, &oci_spec::runtime::LinuxRdma)| {
        let limits = [("hca_handle", limits.hca_handles()), ("hca_object", limits.hca_objects())];
        let limits = limits.iter().filter_map(|(key, limit)| Some(format!(" {key}={}", (*limit)?)));
        let value = std::iter::once(name.clone()).chain(limits).collect();
        Item { key: String::new(), value, below: pointer::join("", name) }
    };
    devices.into_iter().map(item).collect()
}

/// Sorted by file. Each line of a value is a write of its own: the files of cgroups take one line at a time.
pub(super) fn unified(resources: &LinuxResources) -> Vec<Item> {
    let mut files: Vec<_> = resources.unified().iter().flatten().collect();
    files.sort_by_key(|(file, _)| *file);
    let lines = |(file, text): (&String, &String)| {
        let item =
            |line: &str| Item { key: file.clone(), value: line.to_owned(), below: pointer::join("", file) };
        // An empty value is a value: it takes a setting back.
        if text.is_empty() { vec![item("\n")] } else { text.lines().map(item).collect() }
    };
    files.into_iter().flat_map(lines).collect()
}
