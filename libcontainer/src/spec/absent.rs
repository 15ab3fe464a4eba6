//! An empty string is the same as absence, as in every Go implementation: `None` is the only spelling after this. Pure.

use oci_spec::runtime::{Linux, LinuxIntelRdt, Process, Spec as Config};

/// Makes empty strings of `config` absent.
pub fn normalize(config: &mut Config) {
    drop_empty(config.hostname_mut());
    drop_empty(config.domainname_mut());
    for mount in config.mounts_mut().iter_mut().flatten() {
        drop_empty(mount.typ_mut());
        drop_empty(mount.source_mut());
    }
    if let Some(process) = config.process_mut() {
        normalize_process(process);
    }
    if let Some(linux) = config.linux_mut() {
        normalize_linux(linux);
    }
}

fn normalize_process(process: &mut Process) {
    if is_empty(process.apparmor_profile()) {
        process.set_apparmor_profile(None);
    }
    if is_empty(process.selinux_label()) {
        process.set_selinux_label(None);
    }
}

fn normalize_linux(linux: &mut Linux) {
    drop_empty(linux.cgroups_path_mut());
    drop_empty(linux.rootfs_propagation_mut());
    drop_empty(linux.mount_label_mut());
    if let Some(rdt) = linux.intel_rdt_mut() {
        normalize_rdt(rdt);
    }
    for namespace in linux.namespaces_mut().iter_mut().flatten() {
        if is_empty(namespace.path()) {
            namespace.set_path(None);
        }
    }
}

fn normalize_rdt(rdt: &mut LinuxIntelRdt) {
    if is_empty(rdt.clos_id()) {
        rdt.set_clos_id(None);
    }
    if is_empty(rdt.l3_cache_schema()) {
        rdt.set_l3_cache_schema(None);
    }
    if is_empty(rdt.mem_bw_schema()) {
        rdt.set_mem_bw_schema(None);
    }
}

fn drop_empty<T: AsRef<std::ffi::OsStr>>(text: &mut Option<T>) {
    if is_empty(text) {
        *text = None;
    }
}

fn is_empty<T: AsRef<std::ffi::OsStr>>(text: &Option<T>) -> bool {
    text.as_ref().is_some_and(|text| text.as_ref().is_empty())
}
