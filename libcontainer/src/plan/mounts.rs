//! `mounts`: each becomes a new filesystem, a bind of a tree that was opened before, or a change of a mount that exists.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;
use teu_init::abi::{MOUNT_ATTR__ATIME, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY};
use teu_init::program::{NewSlot, Op, Slot, mount_flag, tree_flag};

use super::idmap::{Mapped, MountIds};
use super::inner::{self, Inner, MappedTree};
use super::labels::MountLabel;
use super::mount_options::{Attributes, MountOptions};
use super::namespaces::kind;
use super::network::{Network, sees_network};
use super::program::Builder;
use super::{Source, Subject, Tree, cgroup_mounts, rootfs};
use crate::spec::INSIDE_PROC;
use crate::{Error, ErrorKind, Result};

/// One mount in the form that init knows.
#[derive(Debug)]
pub(super) struct Simple<'a> {
    pub what: What<'a>,
    pub target: Cow<'a, str>,
    pub top: Attributes,
    pub all: Attributes,
    pub propagation: Vec<u32>,
    /// Becomes read-only after everything below it is in place.
    pub late_read_only: bool,
    /// The kernel takes this flag only for a mount that exists.
    pub late_nosymfollow: bool,
    /// The SELinux label that it gets when it is mounted.
    pub label: Option<&'a str>,
    pub flags: u32,
    pub pointer: String,
}

/// What is mounted.
#[derive(Debug)]
pub(super) enum What<'a> {
    /// A new filesystem with the options in the form of the program.
    New { fs: &'a str, source: Cow<'a, str>, options: Vec<Cow<'a, str>> },
    /// A new filesystem with the ids of a user namespace.
    NewMapped { fs: &'a str, source: Cow<'a, str>, options: Vec<Cow<'a, str>>, ids: MountIds },
    /// A tree of the host.
    Bind { tree: Tree },
    /// A tree below the rootfs that earlier mounts have made.
    Inner(Inner),
    /// A symbolic link, part of a v1 cgroup mount.
    Link { to: String },
    /// What is there already: options for its filesystem, in the form of the program.
    Change { options: Vec<Cow<'a, str>> },
}

impl What<'_> {
    /// A bind of the mount at `path`.
    pub fn bind(path: PathBuf) -> Self {
        Self::Bind { tree: Tree::at(path) }
    }

    /// Whether it may depend on the network namespace of its maker.
    fn sees_network(&self) -> bool {
        matches!(self, Self::New { fs, .. } | Self::NewMapped { fs, .. } if sees_network(fs))
    }

    /// What the caller must open for it.
    fn source(&self, subject: &Subject<'_>, pointer: &str) -> Option<Source> {
        let pointer = pointer.to_owned();
        match self {
            Self::Bind { tree } if subject.caller_opens() || tree.ids.is_some() => {
                Some(Source::Tree { tree: tree.clone(), pointer })
            }
            Self::NewMapped { ids, .. } => Some(Source::MountIds { ids: ids.clone(), pointer }),
            _ => None,
        }
    }
}

/// The mounts of a container and the slots of their trees.
pub(super) struct Mounts<'a> {
    list: Vec<(Simple<'a>, Option<Slot>)>,
    /// Trees of the container that get other ids, in order.
    pub mapped: Vec<MappedTree>,
}

impl<'a> Mounts<'a> {
    /// Reads `mounts` and asks for what the caller must open: trees that init cannot reach or map.
    pub fn prepare(subject: &Subject<'a>, out: &mut Builder, sources: &mut Vec<Source>) -> Result<Self> {
        let listed = subject.config.mounts().as_deref().unwrap_or(&[]);
        let (mut list, mut mapped) = (Vec::with_capacity(listed.len()), Vec::new());
        let label = MountLabel::of(subject)?;
        for (index, mount) in listed.iter().enumerate() {
            let pointer = format!("/mounts/{index}");
            let before = list.iter().map(|(simple, _)| simple);
            let simples =
                simplify(subject, mount, &pointer, before).map_err(|error| error.at(pointer.clone()))?;
            for mut simple in simples {
                inner::find(subject, &mut simple, list.iter().map(|(before, _)| before), &mut mapped);
                if let Some(label) = &label {
                    label.add(&mut simple);
                }
                let slot = simple.what.source(subject, &pointer).map(|source| {
                    sources.push(source);
                    out.sends()
                });
                list.push((simple, slot));
            }
        }
        Ok(Self { list, mapped })
    }

    /// Opens the trees that init opens itself, before any target exists.
    pub fn push_sources(&mut self, out: &mut Builder) {
        for (simple, slot) in &mut self.list {
            if let (What::Bind { tree }, None) = (&simple.what, &slot) {
                let opened = open_with(out, &tree.path, tree.flags(), &simple.pointer);
                *slot = Some(Slot(opened.0));
            }
        }
    }

    /// Mounts everything in order, the network namespace entered before the first that may look at it.
    pub fn push(&self, network: &mut Network, out: &mut Builder) {
        for (simple, slot) in &self.list {
            if simple.what.sees_network() {
                network.push(out);
            }
            let slot = match &simple.what {
                What::Inner(inner) => Some(inner.push(&simple.pointer, out)),
                _ => *slot,
            };
            simple.push(slot, out);
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
    open_with(out, path, if recursive { tree_flag::RECURSIVE } else { 0 }, pointer)
}

/// The same with `tree_flag` bits.
pub(super) fn open_with(out: &mut Builder, path: &Path, flags: u32, pointer: &str) -> NewSlot {
    let path = out.text(path.as_os_str().as_encoded_bytes());
    let tree = out.opens();
    out.push(Op::OpenTree { path, flags, tree }, pointer.to_owned());
    tree
}

/// A slot that nothing fills: a law refuses a plan with it.
const NO_SLOT: Slot = Slot(u32::MAX);

impl Simple<'_> {
    pub fn push(&self, slot: Option<Slot>, out: &mut Builder) {
        let Attributes { set, clear } = self.top;
        let target = out.text(&*self.target);
        let (mut propagation, flags) = (self.propagation.iter().copied(), self.flags);
        let slot = slot.unwrap_or(NO_SLOT);
        let op = match &self.what {
            What::New { fs, source, options } => {
                let (fs, source) = (out.text(fs), out.text(&**source));
                let options = out.texts(options.iter().map(|option| option.as_bytes()));
                let propagation = propagation.next().unwrap_or(0);
                Op::Mount { fs, source, options, attr: set, flags, propagation, target }
            }
            What::NewMapped { fs, source, options, .. } => {
                let (fs, source) = (out.text(fs), out.text(&**source));
                let options = out.texts(options.iter().map(|option| option.as_bytes()));
                let propagation = propagation.next().unwrap_or(0);
                Op::MountMapped { userns: slot, fs, source, options, attr: set, flags, propagation, target }
            }
            What::Bind { .. } | What::Inner(_) => Op::Bind {
                tree: slot,
                set,
                clear,
                set_all: self.all.set,
                clear_all: self.all.clear,
                propagation: propagation.next().unwrap_or(0),
                flags,
                target,
            },
            What::Link { to } => Op::Symlink { target: out.text(to), path: target },
            What::Change { options } => Op::Remount {
                options: out.texts(options.iter().map(|option| option.as_bytes())),
                set,
                clear,
                set_all: self.all.set,
                clear_all: self.all.clear,
                path: target,
            },
        };
        out.push(op, self.pointer.clone());
        self.push_after(propagation, out);
    }

    /// What no call does together with the mount.
    fn push_after(&self, propagation: impl Iterator<Item = u32>, out: &mut Builder) {
        if let Some(label) = self.label {
            let (path, label) = (out.text(&*self.target), out.text(label));
            out.push(Op::Label { path, label }, "/linux/mountLabel");
        }
        if self.late_nosymfollow {
            let path = out.text(&*self.target);
            out.push(Op::Attr { path, set: MOUNT_ATTR_NOSYMFOLLOW, clear: 0 }, self.pointer.clone());
        }
        for flags in propagation {
            let path = out.text(&*self.target);
            out.push(Op::Propagate { path, flags }, self.pointer.clone());
        }
    }
}

/// The mount of that index alone.
pub(super) fn one<'a>(subject: &Subject<'a>, index: usize) -> Result<Simple<'a>> {
    let mount = subject.config.mounts().as_deref().and_then(|all| all.get(index));
    let mount = mount.ok_or_else(|| Error::new(ErrorKind::Internal, "no such mount"))?;
    if mount.typ().as_deref() == Some("cgroup") {
        let message = "a cgroup mount cannot be added to a container that runs";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let mut simples = simplify(subject, mount, &format!("/mounts/{index}"), std::iter::empty())?;
    let mut simple = simples.pop().ok_or_else(|| Error::new(ErrorKind::Internal, "a mount of nothing"))?;
    if let Some(label) = MountLabel::of(subject)? {
        label.add(&mut simple);
    }
    Ok(simple)
}

fn simplify<'a: 'b, 'b>(
    subject: &Subject<'a>,
    mount: &'a Mount,
    pointer: &str,
    before: impl Iterator<Item = &'b Simple<'a>>,
) -> Result<Vec<Simple<'a>>> {
    let listed = mount.options().as_deref().unwrap_or(&[]);
    let options = MountOptions::parse(listed.iter().map(String::as_str));
    let target = target(&subject.rootfs, mount)?;
    let kind = mount.typ().as_deref().unwrap_or("");
    kernel_knows(subject, &options).map_err(|error| error.at(format!("{pointer}/options")))?;
    if options.remount {
        return Ok(vec![change(options, target, pointer, before)?]);
    }
    if options.bind.is_some() || kind == "bind" {
        return Ok(vec![bind(subject, mount, options, target, pointer)?]);
    }
    if kind == "sysfs" && wants_host_sysfs(subject) {
        return Ok(vec![host_sysfs(subject, options, target, pointer)]);
    }
    if kind == "cgroup" {
        return cgroup_mounts::simplify(subject, &options, target, pointer);
    }
    Ok(vec![filesystem(subject, mount, options, target, pointer)?])
}

pub(super) fn plain<'a>(options: &MountOptions<'_>, target: Cow<'a, str>, pointer: &str) -> Simple<'a> {
    Simple {
        what: What::Change { options: Vec::new() },
        target,
        top: options.top,
        all: options.all,
        propagation: options.propagation.clone(),
        late_read_only: false,
        late_nosymfollow: false,
        label: None,
        flags: 0,
        pointer: pointer.to_owned(),
    }
}

fn target<'a>(rootfs: &Path, mount: &'a Mount) -> Result<Cow<'a, str>> {
    let text = mount
        .destination()
        .to_str()
        .ok_or_else(|| Error::new(ErrorKind::InvalidSpec, "mount destination is not valid UTF-8"))?;
    // As runc: a relative destination is relative to the root, and one that names the rootfs lies in it.
    let target = match inner::below(rootfs, mount.destination()) {
        Some(inside) => Cow::Owned(inside),
        None if text.starts_with('/') => Cow::Borrowed(text),
        None => Cow::Owned(format!("/{text}")),
    };
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
pub(super) fn components(path: &str) -> Vec<&str> {
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

/// What the running kernel is too old for is refused here: init would get an errno without a reason, or nothing at all.
fn kernel_knows(subject: &Subject<'_>, options: &MountOptions<'_>) -> Result<()> {
    let touches = |bits: u64| (options.all.set | options.all.clear) & bits != 0;
    let table = [
        (touches(u64::MAX), (5, 12), "recursive mount attributes"),
        (touches(MOUNT_ATTR_NOSYMFOLLOW), (5, 14), "recursive (no)symfollow"),
        (options.extras.mapped.is_some(), (5, 12), "id-mapped mounts"),
    ];
    match table.iter().find(|(wanted, since, _)| *wanted && subject.host.kernel < *since) {
        None => Ok(()),
        Some((_, (major, minor), what)) => {
            let (old_major, old_minor) = subject.host.kernel;
            let message = format!("{what} need Linux {major}.{minor}, this is {old_major}.{old_minor}");
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

/// A remount, with or without `bind`, of what an earlier entry or the rootfs has there.
fn change<'a: 'b, 'b>(
    options: MountOptions<'a>,
    target: Cow<'a, str>,
    pointer: &str,
    before: impl Iterator<Item = &'b Simple<'a>>,
) -> Result<Simple<'a>> {
    let place = components(&target);
    let there = before.filter(|simple| components(&simple.target) == place).last().map(|simple| &simple.what);
    let mut words = fs_options(&options, false)?;
    words.extend(options.superblock_off.iter().map(|(_, word)| Cow::Borrowed(*word)));
    // The superblock behind a bind is the host's.
    if !words.is_empty() && (options.bind.is_some() || !matches!(there, Some(What::New { .. }))) {
        let message = "bind mounts cannot have any filesystem-specific options applied";
        return Err(Error::new(ErrorKind::InvalidSpec, message).at(format!("{pointer}/options")));
    }
    // One that was made read-only as a whole must be told, too.
    let is_read_only = |what: &What<'_>| match what {
        What::New { options, .. } => options.iter().any(|option| option == "ro"),
        _ => false,
    };
    if options.bind.is_none() && options.top.clear & MOUNT_ATTR_RDONLY != 0 && there.is_some_and(is_read_only)
    {
        words.push(Cow::Borrowed("rw"));
    }
    Ok(Simple { what: What::Change { options: words }, ..plain(&options, target, pointer) })
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
    let ids = Mapped { subject, mount, options: &options, pointer }.ids()?;
    let mut simple = plain(&options, target, pointer);
    simple.flags = proc_flags(&simple.target, "bind", subject.own_network())? | bind_flags(&options);
    let changes = options.top != Attributes::default() || options.all != Attributes::default();
    if changes && subject.caller_opens() && ids.is_none() {
        simple.flags |= mount_flag::LOCKED;
    }
    if simple.flags & mount_flag::RESET != 0 {
        reset_atime(&mut simple.top);
    }
    let tree = Tree {
        path: subject.bundle.join(source),
        recursive: options.bind.unwrap_or(false),
        keep_link: options.extras.keep_source_link || options.extras.copy_link,
        private: rootfs::is_private(subject),
        ids,
    };
    simple.what = What::Bind { tree };
    Ok(simple)
}

/// As runc, and unlike mount(8): one flag that is named, set or cleared, takes away those of the source that are not.
fn bind_flags(options: &MountOptions<'_>) -> u32 {
    let table = [
        (options.top != Attributes::default(), mount_flag::RESET),
        (options.extras.copy_link, mount_flag::COPY_LINK),
        (options.extras.keep_target_link, mount_flag::KEEP_TARGET_LINK),
    ];
    table.iter().filter(|(wanted, _)| *wanted).fold(0, |flags, (_, flag)| flags | flag)
}

/// The access times of a bind change together: asking for one of them leaves none of the source's. As runc, taking one back alone changes nothing.
fn reset_atime(top: &mut Attributes) {
    if top.has_atime() || top.set & MOUNT_ATTR_NODIRATIME != 0 {
        top.clear |= MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME & !top.set;
    } else {
        top.clear &= !MOUNT_ATTR_NODIRATIME;
    }
}

/// The annotation that allows the host's sysfs where the kernel refuses a new one.
const SYSFS_FALLBACK: &str = "teu.mount.sysfs-fallback";

/// A user namespace may mount a sysfs only for a network that belongs to it.
fn wants_host_sysfs(subject: &Subject<'_>) -> bool {
    let allowed = subject.config.annotations().as_ref().and_then(|all| all.get(SYSFS_FALLBACK));
    allowed.is_some_and(|value| value == "1") && subject.namespaces.has(kind::USER) && !subject.own_network()
}

/// The host's sysfs, read-only throughout. A caller without privilege can copy it only with what is mounted below.
fn host_sysfs<'a>(
    subject: &Subject<'_>,
    options: MountOptions<'_>,
    target: Cow<'a, str>,
    pointer: &str,
) -> Simple<'a> {
    let tree = Tree { recursive: !subject.caller_opens(), ..Tree::at(PathBuf::from("/sys")) };
    let mut simple = Simple { what: What::Bind { tree }, ..plain(&options, target, pointer) };
    simple.flags = mount_flag::NO_SYMLINKS;
    simple.top.clear &= !MOUNT_ATTR_RDONLY;
    simple.all.clear &= !MOUNT_ATTR_RDONLY;
    simple.all.set |= MOUNT_ATTR_RDONLY;
    simple
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
    if options.extras.copy_up {
        simple.flags |= mount_flag::COPY_UP;
    }
    if simple.top.set & MOUNT_ATTR_NOSYMFOLLOW != 0 && subject.host.kernel < (5, 14) {
        simple.top.set &= !MOUNT_ATTR_NOSYMFOLLOW;
        simple.late_nosymfollow = true;
    }
    let source = match mount.source() {
        Some(source) => source.to_string_lossy(),
        None => Cow::Borrowed(kind),
    };
    let read_only = simple.top.set & MOUNT_ATTR_RDONLY != 0;
    let words = match whole_data(&options) {
        Some(data) => {
            simple.flags = simple.flags & !mount_flag::INHERIT_MODE | mount_flag::WHOLE_DATA;
            vec![Cow::Owned(data)]
        }
        None => fs_options(&options, read_only)?,
    };
    simple.what = match (Mapped { subject, mount, options: &options, pointer }).ids()? {
        None => What::New { fs: kind, source, options: words },
        Some((ids, _)) => What::NewMapped { fs: kind, source, options: words, ids },
    };
    new_attributes(&mut simple.top);
    Ok(simple)
}

/// Longest value that a filesystem context takes (`strndup_user` in fs/fsopen.c).
const MAX_VALUE: usize = 255;

/// The data of the filesystem as one string, if a value is too long for a context: the layers of an overlay, mostly. Not for a tmpfs, and not
/// together with words for the superblock: those have long values nowhere.
fn whole_data(options: &MountOptions<'_>) -> Option<String> {
    let long = |option: &&str| option.split_once('=').is_some_and(|(_, value)| value.len() > MAX_VALUE);
    let plain = options.superblock.is_empty() && !options.extras.copy_up && options.extras.mapped.is_none();
    (plain && options.data.iter().any(long)).then(|| options.data.join(","))
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
    fn access_times_of_a_bind_change_together_and_not_by_being_taken_back() {
        let cleared = |options: &str| {
            let mut top = MountOptions::parse(options.split(',')).top;
            reset_atime(&mut top);
            top.clear
        };
        let all = MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME;
        assert_eq!(cleared("relatime"), all);
        assert_eq!(cleared("relatime,nodiratime"), MOUNT_ATTR__ATIME);
        assert_eq!(cleared("nodiratime"), MOUNT_ATTR__ATIME);
        for nothing in ["diratime", "atime", "norelatime", "nostrictatime"] {
            assert_eq!(cleared(nothing), 0, "{nothing}");
        }
    }

    #[test]
    fn only_a_value_that_no_context_takes_goes_as_one_string() {
        let data = |value: usize, more: &str| {
            let text = format!("{more},lowerdir={}", "x".repeat(value));
            whole_data(&MountOptions::parse(text.split(','))).map(|data| data.len())
        };
        assert_eq!(data(255, "xino=on"), None);
        assert_eq!(data(256, "xino=on"), Some("xino=on,lowerdir=".len() + 256));
        assert_eq!(data(256, "nosuid"), Some("lowerdir=".len() + 256));
        assert_eq!(data(256, "sync"), None);
    }

    #[test]
    fn options_keep_their_order_and_empty_values() {
        let options = MountOptions::parse("size=1k,newinstance,x=".split(','));
        assert_eq!(fs_options(&options, true).unwrap(), ["ro", "=size", "1k", "newinstance", "=x", ""]);
    }
}
