//! A mount of type `cgroup`: what stands behind it depends on the host's hierarchies and on the cgroup namespace.
//!
//! Always the container's own part, never the host's tree: with a cgroup namespace a fresh mount, which the namespace roots there; without one a bind
//! of the container's directories.

use std::borrow::Cow;

use teu_init::abi::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};

use super::mount_options::{Attributes, MountOptions};
use super::mounts::{Simple, What, new_attributes, plain};
use super::namespaces::kind;
use super::{CgroupDir, Subject};
use crate::Result;
use crate::host::CgroupLayout;

/// The mounts behind one entry of type `cgroup`.
pub(super) fn simplify<'a>(
    subject: &Subject<'a>,
    options: &MountOptions<'_>,
    target: Cow<'a, str>,
    pointer: &str,
) -> Result<Vec<Simple<'a>>> {
    let mut base = plain(options, target, pointer);
    // Each is one mount with nothing below it.
    base.top.add(std::mem::take(&mut base.all));
    match &subject.host.cgroup {
        CgroupLayout::None => Ok(vec![tmpfs(base)]),
        CgroupLayout::V2 { .. } => {
            let dir = subject.cgroup.dirs.first();
            if dir.is_none() && !subject.namespaces.has(kind::CGROUP) {
                return Ok(vec![tmpfs(base)]); // a fresh cgroup2 would be the host's whole tree
            }
            base.what = part(subject, dir, "cgroup2", Vec::new());
            Ok(vec![finish(base)])
        }
        CgroupLayout::V1 { .. } => Ok(v1(subject, base)),
    }
}

/// A tmpfs with one mount for each hierarchy, and links for the controllers that share one.
fn v1<'a>(subject: &Subject<'a>, base: Simple<'a>) -> Vec<Simple<'a>> {
    let mut list = vec![tmpfs(copy(&base, ""))];
    for dir in &subject.cgroup.dirs {
        let Some(name) = dir.root.file_name().and_then(|name| name.to_str()) else { continue };
        let (fs, options) = if dir.hierarchy.is_empty() {
            ("cgroup2", Vec::new())
        } else {
            ("cgroup", v1_options(&dir.hierarchy))
        };
        let mut mount = copy(&base, name);
        mount.what = part(subject, Some(dir), fs, options);
        list.push(finish(mount));
        for controller in dir
            .hierarchy
            .split(',')
            .filter(|controller| *controller != name && !controller.starts_with("name="))
        {
            if dir.hierarchy.contains(',') {
                list.push(Simple { what: What::Link { to: name.to_owned() }, ..copy(&base, controller) });
            }
        }
    }
    list
}

/// Controllers are flags of the filesystem, a name needs the flag "none" beside it.
fn v1_options(hierarchy: &str) -> Vec<Cow<'static, str>> {
    match hierarchy.strip_prefix("name=") {
        Some(name) => vec![Cow::Borrowed("none"), Cow::Borrowed("=name"), Cow::Owned(name.to_owned())],
        None => hierarchy.split(',').map(|controller| Cow::Owned(controller.to_owned())).collect(),
    }
}

fn part<'a>(
    subject: &Subject<'a>,
    dir: Option<&CgroupDir>,
    fs: &'a str,
    options: Vec<Cow<'a, str>>,
) -> What<'a> {
    let own_namespace = subject.namespaces.has(kind::CGROUP);
    match dir {
        Some(dir) if !own_namespace => What::bind(dir.root.join(&dir.path)),
        _ => What::New { fs, source: Cow::Borrowed("cgroup"), options },
    }
}

fn copy<'a>(base: &Simple<'a>, below: &str) -> Simple<'a> {
    let separator = if below.is_empty() { "" } else { "/" };
    Simple {
        what: What::Change { options: Vec::new() },
        target: Cow::Owned(format!("{}{separator}{below}", base.target.trim_end_matches('/'))),
        top: base.top,
        all: base.all,
        propagation: base.propagation.clone(),
        late_read_only: false,
        late_nosymfollow: base.late_nosymfollow,
        label: None,
        flags: base.flags,
        pointer: base.pointer.clone(),
    }
}

/// The directory that holds the v1 mounts: writable until they are in place.
fn tmpfs(mut base: Simple<'_>) -> Simple<'_> {
    base.late_read_only = base.top.set & MOUNT_ATTR_RDONLY != 0;
    base.top = Attributes { set: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, clear: 0 };
    let options = vec![Cow::Borrowed("=mode"), Cow::Borrowed("755")];
    base.what = What::New { fs: "tmpfs", source: Cow::Borrowed("tmpfs"), options };
    base
}

/// A new mount has nothing to clear. Its superblock may be the host's, so "ro" is a matter of the mount alone.
fn finish(mut mount: Simple<'_>) -> Simple<'_> {
    if matches!(mount.what, What::New { .. }) {
        new_attributes(&mut mount.top);
    }
    mount
}
