//! `mounts`: each becomes a new filesystem, a bind of a tree that was opened before, or a change of a mount that exists.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;
use teu_init::abi::{MOUNT_ATTR__ATIME, MOUNT_ATTR_RDONLY};
use teu_init::program::{NewSlot, Op, Slot, mount_flag};

use super::mount_options::{Attributes, MountOptions};
use super::program::Builder;
use super::{Source, Subject, cgroup_mounts};
use crate::spec::INSIDE_PROC;
use crate::{Error, ErrorKind, Result};

/// One mount in the form that init knows.
#[derive(Debug)]
pub(super) struct Simple<'a> {
    pub what: What<'a>,
    pub target: Cow<'a, str>,
    pub top: Attributes,
    pub all: Attributes,
    pub propagation: u32,
    /// Becomes read-only after everything below it is in place.
    pub late_read_only: bool,
    pub flags: u32,
    pub pointer: String,
}

/// What is mounted.
#[derive(Debug)]
pub(super) enum What<'a> {
    /// A new filesystem with the options in the form of the program.
    New { fs: &'a str, source: Cow<'a, str>, options: Vec<Cow<'a, str>> },
    /// A tree of the host.
    Bind { source: PathBuf, recursive: bool },
    /// A symbolic link, part of a v1 cgroup mount.
    Link { to: String },
    /// Only attributes of what is there.
    Change,
}

/// The mounts of a container and the slots of their trees.
pub(super) struct Mounts<'a> {
    list: Vec<(Simple<'a>, Option<Slot>)>,
}

impl<'a> Mounts<'a> {
    /// Reads `mounts` and asks for the trees that the caller must open: those of a container with a user namespace, which init cannot reach.
    pub fn prepare(subject: &Subject<'a>, out: &mut Builder, sources: &mut Vec<Source>) -> Result<Self> {
        let mut list = Vec::new();
        let listed = subject.config.mounts().as_deref().unwrap_or(&[]);
        for (index, mount) in listed.iter().enumerate() {
            let pointer = format!("/mounts/{index}");
            for simple in simplify(subject, mount, &pointer).map_err(|error| error.at(pointer.clone()))? {
                let slot = match &simple.what {
                    What::Bind { source, recursive } if subject.caller_opens() => {
                        sources.push(Source::Tree {
                            path: source.clone(),
                            recursive: *recursive,
                            pointer: pointer.clone(),
                        });
                        Some(out.sends())
                    }
                    _ => None,
                };
                list.push((simple, slot));
            }
        }
        Ok(Self { list })
    }

    /// Opens the trees that init opens itself, before any target exists.
    pub fn push_sources(&mut self, out: &mut Builder) {
        for (simple, slot) in &mut self.list {
            if let (What::Bind { source, recursive }, None) = (&simple.what, &slot) {
                let tree = open_tree(out, source, *recursive, &simple.pointer);
                *slot = Some(Slot(tree.0));
            }
        }
    }

    /// Mounts everything in order.
    pub fn push(&self, out: &mut Builder) {
        for (simple, slot) in &self.list {
            simple.push(*slot, out);
        }
    }

    /// Read-only flags that had to wait.
    pub fn push_late(&self, out: &mut Builder) {
        for (simple, _) in self.list.iter().filter(|(simple, _)| simple.late_read_only) {
            let path = out.text(&*simple.target);
            out.push(Op::Attr { path, set: MOUNT_ATTR_RDONLY, clear: 0 }, simple.pointer.clone());
        }
    }

    /// Whether `/dev` comes from the host as it is.
    pub fn dev_is_bind(&self) -> bool {
        self.list.iter().any(|(simple, _)| {
            simple.target.trim_end_matches('/') == "/dev" && matches!(simple.what, What::Bind { .. })
        })
    }
}

/// Opens a tree of the host in init.
pub(super) fn open_tree(out: &mut Builder, path: &Path, recursive: bool, pointer: &str) -> NewSlot {
    let path = out.text(path.as_os_str().as_encoded_bytes());
    let tree = out.opens();
    out.push(Op::OpenTree { path, recursive: recursive.into(), tree }, pointer.to_owned());
    tree
}

impl Simple<'_> {
    fn push(&self, slot: Option<Slot>, out: &mut Builder) {
        let Attributes { set, clear } = self.top;
        let target = out.text(&*self.target);
        let op = match &self.what {
            What::New { fs, source, options } => Op::Mount {
                fs: out.text(fs),
                source: out.text(&**source),
                options: out.texts(options.iter().map(|option| option.as_bytes())),
                attr: set,
                flags: self.flags,
                propagation: self.propagation,
                target,
            },
            What::Bind { .. } => Op::Bind {
                tree: slot.unwrap_or(Slot(u32::MAX)), // a law refuses a plan with such a slot
                set,
                clear,
                set_all: self.all.set,
                clear_all: self.all.clear,
                propagation: self.propagation,
                flags: self.flags,
                target,
            },
            What::Link { to } => Op::Symlink { target: out.text(to), path: target },
            What::Change => Op::Attr { path: target, set, clear },
        };
        out.push(op, self.pointer.clone());
    }
}

fn simplify<'a>(subject: &Subject<'a>, mount: &'a Mount, pointer: &str) -> Result<Vec<Simple<'a>>> {
    let listed = mount.options().as_deref().unwrap_or(&[]);
    let options = MountOptions::parse(listed.iter().map(String::as_str));
    let target = target(mount)?;
    let kind = mount.typ().as_deref().unwrap_or("");
    if options.remount {
        return Ok(vec![change(options, target, pointer)?]);
    }
    if options.bind.is_some() || kind == "bind" {
        return Ok(vec![bind(subject, mount, options, target, pointer)?]);
    }
    if kind == "cgroup" {
        return cgroup_mounts::simplify(subject, &options, target, pointer);
    }
    Ok(vec![filesystem(subject, mount, options, target, pointer)?])
}

pub(super) fn plain<'a>(options: &MountOptions<'_>, target: Cow<'a, str>, pointer: &str) -> Simple<'a> {
    Simple {
        what: What::Change,
        target,
        top: options.top,
        all: options.all,
        propagation: options.propagation,
        late_read_only: false,
        flags: 0,
        pointer: pointer.to_owned(),
    }
}

fn target(mount: &Mount) -> Result<Cow<'_, str>> {
    let text = mount
        .destination()
        .to_str()
        .ok_or_else(|| Error::new(ErrorKind::InvalidSpec, "mount destination is not valid UTF-8"))?;
    // As runc: a relative destination is relative to the root.
    let target = if text.starts_with('/') { Cow::Borrowed(text) } else { Cow::Owned(format!("/{text}")) };
    if components(&target).is_empty() {
        let message = format!(
            "error mounting {:?} to rootfs at {text:?}: mountpoint is on the top of rootfs",
            source_text(mount)
        );
        return Err(Error::new(ErrorKind::InvalidSpec, message));
    }
    Ok(target)
}

fn source_text(mount: &Mount) -> String {
    mount.source().as_ref().map_or_else(String::new, |source| source.to_string_lossy().into_owned())
}

/// The path's components with `.` left out and `..` taken back, as far as the text tells.
fn components(path: &str) -> Vec<&str> {
    let mut kept = Vec::new();
    for component in path.split('/').filter(|component| !matches!(*component, "" | ".")) {
        match component {
            ".." => drop(kept.pop()),
            _ => kept.push(component),
        }
    }
    kept
}

/// What the target means for procfs: allowed there, only procfs, or refused.
fn proc_flags(target: &str, kind: &str, own_network: bool) -> Result<u32> {
    let parts = components(target);
    match parts.split_first() {
        Some((&"proc", [])) if kind == "proc" => Ok(mount_flag::IN_PROC),
        Some((&"proc", [])) if kind == "bind" => Ok(mount_flag::IN_PROC | mount_flag::ONLY_PROC),
        Some((&"proc", [])) => {
            let message = format!("{target:?} cannot be mounted because it is not of type proc");
            Err(Error::new(ErrorKind::InvalidSpec, message))
        }
        Some((&"proc", below)) if INSIDE_PROC.contains(&below.join("/").as_str()) => Ok(mount_flag::IN_PROC),
        // The sysctls of a network that is the container's alone.
        Some((&"proc", &["sys", "net", ..])) if own_network => Ok(mount_flag::IN_PROC),
        Some((&"proc", _)) => {
            let message = format!("{target:?} cannot be mounted because it is inside /proc");
            Err(Error::new(ErrorKind::InvalidSpec, message))
        }
        _ => Ok(0),
    }
}

/// A remount, with or without `bind`, of what an earlier entry or the rootfs has there.
fn change<'a>(options: MountOptions<'_>, target: Cow<'a, str>, pointer: &str) -> Result<Simple<'a>> {
    let attributes_only = options.data.is_empty()
        && options.superblock.is_empty()
        && options.all == Attributes::default()
        && options.propagation == 0;
    if !attributes_only {
        let message = "remount with other options than those of one mount is not supported yet by this build";
        return Err(Error::new(ErrorKind::Unsupported, message).at(format!("{pointer}/options")));
    }
    Ok(Simple { what: What::Change, ..plain(&options, target, pointer) })
}

fn bind<'a>(
    subject: &Subject<'_>,
    mount: &Mount,
    options: MountOptions<'_>,
    target: Cow<'a, str>,
    pointer: &str,
) -> Result<Simple<'a>> {
    if !options.data.is_empty() || !options.superblock.is_empty() {
        let message = "bind mounts cannot have any filesystem-specific options applied";
        return Err(Error::new(ErrorKind::InvalidSpec, message).at(format!("{pointer}/options")));
    }
    let source = mount.source().as_deref().filter(|source| !source.as_os_str().is_empty());
    let source = source.ok_or_else(|| Error::new(ErrorKind::InvalidSpec, "bind mount without a source"))?;
    let recursive = options.bind.unwrap_or(false);
    let flags = proc_flags(&target, "bind", subject.own_network())?;
    let what = What::Bind { source: subject.bundle.join(source), recursive };
    Ok(Simple { what, flags, ..plain(&options, target, pointer) })
}

fn filesystem<'a>(
    subject: &Subject<'_>,
    mount: &'a Mount,
    options: MountOptions<'a>,
    target: Cow<'a, str>,
    pointer: &str,
) -> Result<Simple<'a>> {
    let kind = mount.typ().as_deref().unwrap_or("");
    let flags = proc_flags(&target, kind, subject.own_network())?;
    let mut simple = Simple { flags, ..plain(&options, target, pointer) };
    // Nothing is mounted below a new mount: what is asked for all of it is asked for its top.
    simple.top.add(std::mem::take(&mut simple.all));
    // What init fills later must be writable until then.
    if simple.top.set & MOUNT_ATTR_RDONLY != 0 && (kind == "tmpfs" || components(&simple.target) == ["dev"]) {
        simple.top.set &= !MOUNT_ATTR_RDONLY;
        simple.late_read_only = true;
    }
    if matches!(kind, "proc" | "sysfs") {
        simple.flags |= mount_flag::NO_SYMLINKS;
    }
    if kind == "tmpfs" && !options.data.iter().any(|option| option.starts_with("mode=")) {
        simple.flags |= mount_flag::INHERIT_MODE;
    }
    let source = match mount.source() {
        Some(source) => source.to_string_lossy(),
        None => Cow::Borrowed(kind),
    };
    let read_only = simple.top.set & MOUNT_ATTR_RDONLY != 0;
    simple.what = What::New { fs: kind, source, options: fs_options(&options, read_only)? };
    new_attributes(&mut simple.top);
    Ok(simple)
}

/// A new mount starts without attributes: there is nothing to clear.
pub(super) fn new_attributes(attributes: &mut Attributes) {
    attributes.clear &= MOUNT_ATTR__ATIME;
}

/// Options as init hands them to the filesystem: a flag, or `=key` and its value.
pub(super) fn fs_options<'a>(options: &MountOptions<'a>, read_only: bool) -> Result<Vec<Cow<'a, str>>> {
    let mut list: Vec<Cow<'a, str>> = Vec::new();
    list.extend(read_only.then_some(Cow::Borrowed("ro")));
    list.extend(options.superblock.iter().map(|flag| Cow::Borrowed(*flag)));
    for option in options.data.iter().filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("", _)) => {
                return Err(Error::new(ErrorKind::InvalidSpec, format!("invalid mount option {option:?}")));
            }
            Some((key, value)) => list.extend([Cow::Owned(format!("={key}")), Cow::Borrowed(value)]),
            None => list.push(Cow::Borrowed(*option)),
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_files_of_procfs_may_be_covered() {
        assert_eq!(proc_flags("/proc", "proc", false).unwrap(), mount_flag::IN_PROC);
        assert_eq!(proc_flags("/proc/./meminfo", "bind", false).unwrap(), mount_flag::IN_PROC);
        assert!(proc_flags("/proc/self", "bind", true).is_err());
        assert!(proc_flags("/x/../proc/sys", "tmpfs", true).is_err());
        assert!(proc_flags("/proc", "tmpfs", true).is_err());
        assert_eq!(proc_flags("/proc/sys/net", "bind", true).unwrap(), mount_flag::IN_PROC);
        assert!(proc_flags("/proc/sys/net", "bind", false).is_err());
        assert_eq!(proc_flags("/process", "tmpfs", false).unwrap(), 0);
    }

    #[test]
    fn options_keep_their_order_and_empty_values() {
        let options = MountOptions::parse("size=1k,newinstance,x=".split(','));
        assert_eq!(fs_options(&options, true).unwrap(), ["ro", "=size", "1k", "newinstance", "=x", ""]);
    }
}
