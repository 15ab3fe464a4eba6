//! Mounts by descriptor: each is made detached, attached to a target that was resolved below the root handle, and only then changed.

use super::{attributes, copy_up, rootfs};
use crate::abi::{
    AT_EMPTY_PATH, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW, EACCES, EBUSY, EINVAL, ENOENT, EPERM,
    FSCONFIG_CMD_CREATE, FSCONFIG_CMD_RECONFIGURE, FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, MNT_DETACH,
    MOUNT_ATTR_IDMAP, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY,
    MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH, MountAttr, O_CLOEXEC, O_PATH, OPEN_TREE_CLOEXEC,
    OPEN_TREE_CLONE, OpenHow, PROC_SUPER_MAGIC, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, S_IFCHR, S_IFDIR,
    S_IFLNK, S_IFMT, Statx, UMOUNT_NOFOLLOW,
};
use crate::machine::{At, Fault, Machine, Outcome};
use crate::path::{self, Leaf};
use crate::program::{List, NewSlot, Slot, Str, ask, mount_flag, tree_flag};
use crate::sys::{self, Fd, Result};
use crate::talk;
use crate::wire::{self, Frame, step};
use core::ffi::CStr;

/// A new filesystem as the program describes it.
#[derive(Clone, Copy, Debug)]
pub struct NewMount {
    /// Its type.
    pub fs: Str,
    /// Its source, empty for none.
    pub source: Str,
    /// Options: a flag, or `=key` followed by its value.
    pub options: List,
    /// MOUNT_ATTR_* bits.
    pub attr: u64,
    /// Bits of [`mount_flag`].
    pub flags: u32,
    /// MS_* propagation bits, 0 for none.
    pub propagation: u32,
    /// Where, below the root handle.
    pub target: Str,
}

/// A tree to attach as the program describes it.
#[derive(Clone, Copy, Debug)]
pub struct Attach {
    /// The detached tree.
    pub tree: Slot,
    /// Attributes to set and clear on its top.
    pub top: [u64; 2],
    /// Attributes to set and clear on all of it.
    pub all: [u64; 2],
    /// MS_* propagation bits, 0 for none.
    pub propagation: u32,
    /// Bits of [`mount_flag`].
    pub flags: u32,
    /// Where, below the root handle.
    pub target: Str,
}

/// Changes the propagation of the root mount of the namespace, before any mount is made or after the root was switched.
pub fn propagation(flags: u32) -> Outcome {
    Ok(sys::mount_flags(None, c"/", flags.into())?)
}

/// Copies a tree of mounts, detached: of the host, or of the container as it is by now.
pub fn open_tree(machine: &mut Machine<'_>, path: Str, flags: u32, tree: NewSlot) -> Outcome {
    let keep_link = flags & tree_flag::KEEP_LINK != 0;
    let all = if flags & tree_flag::RECURSIVE != 0 { AT_RECURSIVE } else { 0 };
    let how = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | all;
    let path = machine.text(path);
    let opened = if flags & tree_flag::IN_ROOT != 0 {
        let source = if keep_link {
            path::open_link(machine.root, path)?
        } else {
            path::open(machine.root, path, false)?
        };
        let opened = sys::open_tree(source, c"", how | AT_EMPTY_PATH);
        source.close();
        opened?
    } else {
        sys::open_tree(Fd::CWD, path, if keep_link { how | AT_SYMLINK_NOFOLLOW } else { how })?
    };
    machine.fill(tree, opened);
    Ok(())
}

/// Has the caller give a tree other ids. It may in every namespace.
pub fn map_tree(machine: &Machine<'_>, tree: Slot, index: u32) -> Outcome {
    let frame = Frame { value: ask::MAP_TREE, detail: index, ..Frame::word(wire::ASK) };
    talk::send_fd(machine.socket, &frame, machine.slot(tree))?;
    Ok(talk::expect(machine.socket, wire::GO)?)
}

/// Makes the rootfs the root handle.
pub fn root(machine: &mut Machine<'_>, tree: Slot, attach: u32, path: Str) -> Outcome {
    let tree = machine.slot(tree);
    machine.root_below = attach == 2 && attach_below(machine, tree, path)?;
    if attach != 0 && !machine.root_below {
        // Over the present root: needs no path of the host, and pivot_root takes it from there.
        sys::move_mount(tree, Fd::CWD, c"/", MOVE_MOUNT_F_EMPTY_PATH).at(step::ATTACH)?;
    }
    Ok(machine.set_root(tree)?)
}

/// Attaches the tree to the directory that it is a copy of. False where the root of a user namespace has no way to that directory.
fn attach_below(machine: &Machine<'_>, tree: Fd, path: Str) -> core::result::Result<bool, Fault> {
    let how = OpenHow {
        flags: (O_PATH | O_CLOEXEC).into(),
        mode: 0,
        resolve: RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    let target = match sys::openat2(Fd::CWD, machine.text(path), &how) {
        Err(EACCES) => return Ok(false),
        other => other.at(step::TARGET)?,
    };
    let identity =
        |fd| sys::statx(fd, c"", AT_EMPTY_PATH).map(|found| (found.dev_major, found.dev_minor, found.ino));
    let same = identity(target)? == identity(tree)?;
    if !same {
        return Err(Fault { errno: EBUSY, step: step::MISMATCH });
    }
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    sys::move_mount(tree, target, c"", flags).at(step::ATTACH)?;
    target.close();
    Ok(true)
}

/// Mounts a new filesystem, with the ids of `userns` if there is one.
pub fn mount(machine: &mut Machine<'_>, new: NewMount, userns: Option<Slot>) -> Outcome {
    let mode = covered_mode(machine, &new);
    let target = open_target(machine, new.target, Leaf::Directory, new.flags)?;
    if new.flags & mount_flag::WHOLE_DATA != 0 {
        return mount_whole(machine, &new, target);
    }
    let context = sys::fsopen(machine.text(new.fs)).at(step::FSOPEN)?;
    let made = superblock(machine, context, &new, mode)
        .and_then(|()| sys::fsmount(context, new.attr).at(step::SUPERBLOCK));
    if made.is_err() {
        explain(machine, context);
    }
    let mount = made?;
    context.close();
    if let Some(userns) = userns {
        map(mount, machine.slot(userns))?;
    }
    if new.flags & mount_flag::COPY_UP != 0 {
        copy_up::copy(machine, target, mount)?;
    }
    attach(mount, target)?;
    attributes::propagate(mount, new.propagation)?;
    mount.close();
    Ok(())
}

/// With mount(2), on "." so that no path of the container is walked. The mount is found again at its target.
fn mount_whole(machine: &mut Machine<'_>, new: &NewMount, target: Fd) -> Outcome {
    let data = machine.texts(new.options).next().unwrap_or(c"");
    sys::fchdir(target)?;
    target.close();
    sys::mount_data(machine.text(new.source), c".", machine.text(new.fs), data).at(step::SUPERBLOCK)?;
    let mount = path::open(machine.root, machine.text(new.target), false).at(step::TARGET)?;
    attributes::change(mount, [new.attr, 0], 0)?;
    attributes::propagate(mount, new.propagation)?;
    mount.close();
    Ok(())
}

fn superblock(machine: &mut Machine<'_>, context: Fd, new: &NewMount, mode: Option<u16>) -> Outcome {
    let source = machine.text(new.source);
    if !source.is_empty() {
        sys::fsconfig(context, FSCONFIG_SET_STRING, Some(c"source"), Some(source)).at(step::OPTION)?;
    }
    if let Some(mode) = mode {
        set_mode(context, mode)?;
    }
    configure(machine, context, new.options)?;
    sys::fsconfig(context, FSCONFIG_CMD_CREATE, None, None).at(step::SUPERBLOCK)
}

/// Only a mount that is attached nowhere yet can be mapped.
fn map(mount: Fd, userns: Fd) -> Outcome {
    let userns = u64::try_from(userns.0).map_err(|_| EINVAL)?;
    let change = MountAttr { set: MOUNT_ATTR_IDMAP, userns, ..MountAttr::default() };
    sys::mount_setattr(mount, c"", AT_EMPTY_PATH, &change).at(step::MAP)
}

fn configure(machine: &mut Machine<'_>, context: Fd, options: List) -> Outcome {
    let mut options = machine.texts(options);
    while let Some(option) = options.next() {
        let result = match option.to_bytes_with_nul() {
            [b'=', key @ ..] => {
                let key = CStr::from_bytes_with_nul(key).map_err(|_| EINVAL)?;
                sys::fsconfig(context, FSCONFIG_SET_STRING, Some(key), options.next())
            }
            _ => sys::fsconfig(context, FSCONFIG_SET_FLAG, Some(option), None),
        };
        if result.is_err() {
            machine.note(option.to_bytes().strip_prefix(b"=").unwrap_or(option.to_bytes()));
        }
        result.at(step::OPTION)?;
    }
    Ok(())
}

/// The mode that a tmpfs keeps: that of the directory which is there before. One that is made for it has the mode of nobody's choice.
fn covered_mode(machine: &Machine<'_>, new: &NewMount) -> Option<u16> {
    let inherits = new.flags & mount_flag::INHERIT_MODE != 0;
    let covered =
        inherits.then(|| path::open(machine.root, machine.text(new.target), false).ok()).flatten()?;
    let found = stat(covered);
    covered.close();
    found.ok().map(|found| found.mode & 0o7777)
}

fn set_mode(context: Fd, mode: u16) -> Outcome {
    let digit = |shift: u16| b'0' + (mode >> shift & 7) as u8;
    let text = [digit(9), digit(6), digit(3), digit(0), 0];
    let text = CStr::from_bytes_with_nul(&text).map_err(|_| EINVAL)?;
    sys::fsconfig(context, FSCONFIG_SET_STRING, Some(c"mode"), Some(text)).at(step::OPTION)
}

/// The kernel's own words about a refused filesystem, if it has some ("e tmpfs: ...").
fn explain(machine: &mut Machine<'_>, context: Fd) {
    let mut text = [0u8; 120];
    if let Ok(length) = sys::read(context, &mut text) {
        let words = text.get(..length).unwrap_or(&[]);
        machine.note(b"; ");
        machine.note(words.strip_prefix(b"e ").unwrap_or(words).trim_ascii_end());
    }
}

/// Attaches a tree and gives it its attributes.
pub fn bind(machine: &mut Machine<'_>, bind: Attach) -> Outcome {
    let tree = machine.slot(bind.tree);
    let found = stat(tree)?;
    if bind.flags & mount_flag::COPY_LINK != 0 && u32::from(found.mode) & S_IFMT == S_IFLNK {
        return copy_link(machine, tree, bind.target);
    }
    let leaf = if is_directory(&found) { Leaf::Directory } else { Leaf::File };
    if bind.flags & mount_flag::ONLY_PROC != 0 && !on_proc(tree)? {
        return Err(Fault { errno: EINVAL, step: step::NOT_PROC });
    }
    let target = open_target(machine, bind.target, leaf, bind.flags)?;
    attach(tree, target)?;
    if bind.flags & mount_flag::LOCKED != 0 && attributes::takes([bind.top, bind.all]) {
        attributes::keep_locked(tree, || change(tree, &bind))?;
    } else {
        change(tree, &bind)?;
    }
    attributes::propagate(tree, bind.propagation)?;
    tree.close();
    Ok(())
}

/// Attaches the host's node, if it is the one of that type and number.
pub fn bind_device(
    machine: &mut Machine<'_>,
    tree: Slot,
    path: Str,
    mode: u32,
    device: (u32, u32),
) -> Outcome {
    let tree = machine.slot(tree);
    if !rootfs::is_node(&stat(tree)?, mode, device) {
        return Err(Fault { errno: EINVAL, step: step::MISMATCH });
    }
    let target = open_target(machine, path, Leaf::File, 0)?;
    attach(tree, target)?;
    tree.close();
    Ok(())
}

fn change(tree: Fd, bind: &Attach) -> Outcome {
    if bind.flags & mount_flag::RESET != 0 {
        attributes::reset(tree, bind.top, bind.flags & mount_flag::LOCKED != 0)?;
    } else {
        attributes::change(tree, bind.top, 0)?;
    }
    attributes::change(tree, bind.all, AT_RECURSIVE)
}

fn copy_link(machine: &mut Machine<'_>, tree: Fd, target: Str) -> Outcome {
    let mut text = [0u8; 4096];
    let length = sys::readlinkat(tree, c"", &mut text).at(step::TARGET)?;
    tree.close();
    let link = path::Name::<4096>::new(text.get(..length).ok_or(EINVAL)?)?;
    machine.keep_directory(None); // an earlier mount may have covered it
    rootfs::same_symlink(machine, link.as_c_str()?, target)
}

/// Changes the filesystem, the attributes and those of everything below of what is mounted at `path`.
pub fn remount(machine: &mut Machine<'_>, options: List, [top, all]: [[u64; 2]; 2], path: Str) -> Outcome {
    let mount = path::open(machine.root, machine.text(path), false).at(step::TARGET)?;
    if options.count != 0 {
        reconfigure(machine, mount, options)?;
    }
    attributes::change(mount, top, 0)?;
    attributes::change(mount, all, AT_RECURSIVE)?;
    mount.close();
    Ok(())
}

fn reconfigure(machine: &mut Machine<'_>, mount: Fd, options: List) -> Outcome {
    let context = sys::fspick(mount).at(step::FSOPEN)?;
    let done = configure(machine, context, options)
        .and_then(|()| sys::fsconfig(context, FSCONFIG_CMD_RECONFIGURE, None, None).at(step::SUPERBLOCK));
    if done.is_err() {
        explain(machine, context);
    }
    context.close();
    done
}

/// Changes the propagation of what is mounted at `path`.
pub fn propagate_at(machine: &mut Machine<'_>, path: Str, flags: u32) -> Outcome {
    let mount = path::open(machine.root, machine.text(path), false).at(step::TARGET)?;
    attributes::propagate(mount, flags)?;
    mount.close();
    Ok(())
}

/// Takes the topmost mount at `path` away. It is named from its directory, so that nothing on the way can be exchanged.
pub fn unmount(machine: &Machine<'_>, path: Str) -> Outcome {
    let (head, tail) = path::split(machine.text(path))?;
    let head = path::Name::<4096>::new(head)?;
    let directory = path::open(machine.root, head.as_c_str()?, false).at(step::TARGET)?;
    sys::fchdir(directory)?;
    sys::umount(path::Name::<256>::new(tail)?.as_c_str()?, MNT_DETACH | UMOUNT_NOFOLLOW)?;
    directory.close();
    Ok(())
}

/// Sets and clears attributes of a mount that stands in its place already.
pub fn attr(machine: &mut Machine<'_>, path: Str, change: [u64; 2]) -> Outcome {
    let mount = path::open(machine.root, machine.text(path), false).at(step::TARGET)?;
    attributes::change(mount, change, 0)?;
    mount.close();
    Ok(())
}

/// Covers a path if it exists.
pub fn mask(machine: &mut Machine<'_>, null: Slot, path: Str) -> Outcome {
    let Some(target) = find(machine, path)? else { return Ok(()) };
    let cover = if is_directory(&stat(target)?) { empty_cover(machine)? } else { null_cover(machine, null)? };
    attach(cover, target)?;
    if cover != machine.empty && cover != machine.slot(null) {
        cover.close();
    }
    Ok(())
}

/// Makes a path read-only if it exists.
pub fn readonly(machine: &mut Machine<'_>, path: Str) -> Outcome {
    let Some(target) = find(machine, path)? else { return Ok(()) };
    let tree = copy_of(target, c"", true)?;
    attach(tree, target)?;
    attributes::change(tree, [MOUNT_ATTR_RDONLY, 0], 0)?;
    tree.close();
    Ok(())
}

fn find(machine: &Machine<'_>, path: Str) -> core::result::Result<Option<Fd>, Fault> {
    match path::open(machine.root, machine.text(path), false) {
        Ok(target) => Ok(Some(target)),
        Err(ENOENT) => Ok(None),
        Err(errno) => Err(Fault { errno, step: step::TARGET }),
    }
}

/// The empty read-only tmpfs: made once and attached, then copied. Before Linux 6.15 only an attached mount can be copied.
fn empty_cover(machine: &mut Machine<'_>) -> core::result::Result<Fd, Fault> {
    if machine.empty != Fd::NONE {
        return Ok(copy_of(machine.empty, c"", false)?);
    }
    let context = sys::fsopen(c"tmpfs").at(step::FSOPEN)?;
    // Two inodes and no block: it cannot hold memory.
    for (key, value) in [(c"source", c"tmpfs"), (c"nr_inodes", c"2"), (c"size", c"4096"), (c"mode", c"755")] {
        sys::fsconfig(context, FSCONFIG_SET_STRING, Some(key), Some(value)).at(step::OPTION)?;
    }
    sys::fsconfig(context, FSCONFIG_SET_FLAG, Some(c"ro"), None).at(step::OPTION)?;
    sys::fsconfig(context, FSCONFIG_CMD_CREATE, None, None).at(step::SUPERBLOCK)?;
    let attr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    machine.empty = sys::fsmount(context, attr).at(step::SUPERBLOCK)?;
    context.close();
    Ok(machine.empty)
}

fn null_cover(machine: &mut Machine<'_>, null: Slot) -> core::result::Result<Fd, Fault> {
    let tree = machine.slot(null);
    if machine.null_used {
        return Ok(copy_of(tree, c"", false)?);
    }
    machine.null_used = true;
    let found = stat(tree)?;
    if !is_null_device(&found) {
        return Err(Fault { errno: EINVAL, step: step::MISMATCH });
    }
    Ok(tree)
}

/// Whether a file is the null device and no other.
pub(super) fn is_null_device(found: &Statx) -> bool {
    rootfs::is_node(found, S_IFCHR, (1, 3))
}

/// Opens the place where a mount goes, making it if it is missing; never the rootfs itself.
fn open_target(
    machine: &mut Machine<'_>,
    target: Str,
    leaf: Leaf,
    flags: u32,
) -> core::result::Result<Fd, Fault> {
    machine.keep_directory(None); // what is mounted may cover it
    let plain = flags & mount_flag::NO_SYMLINKS != 0;
    let text = machine.text(target);
    let kept = match flags & mount_flag::KEEP_TARGET_LINK {
        0 => None,
        _ => path::open_link(machine.root, text).ok(),
    };
    let target = match kept {
        Some(link) => link,
        None => path::open_or_make(machine.root, text, leaf, plain).at(step::TARGET)?,
    };
    let here = stat(target)?;
    if (here.mnt_id, here.ino) == machine.root_id {
        return Err(Fault { errno: EBUSY, step: step::ON_ROOT });
    }
    // Checked on the descriptor, because a link may lead there: what covers procfs files swallows label and sysctl writes.
    let inside_proc =
        || if here.mnt_id == machine.root_id.0 { Ok(machine.root_on_proc) } else { on_proc(target) };
    if flags & mount_flag::IN_PROC == 0 && inside_proc()? {
        return Err(Fault { errno: EPERM, step: step::INSIDE_PROC });
    }
    Ok(target)
}

fn on_proc(file: Fd) -> Result<bool> {
    Ok(sys::filesystem(file)?.kind == PROC_SUPER_MAGIC)
}

/// A detached copy of the mount at `path`, with what is mounted below it if `recursive`.
pub fn copy_of(directory: Fd, path: &CStr, recursive: bool) -> Result<Fd> {
    let empty = if path.is_empty() { AT_EMPTY_PATH } else { 0 };
    let all = if recursive { AT_RECURSIVE } else { 0 };
    sys::open_tree(directory, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | empty | all)
}

fn attach(mount: Fd, target: Fd) -> Outcome {
    let attached = sys::move_mount(mount, target, c"", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    target.close();
    attached.at(step::ATTACH)
}

fn stat(file: Fd) -> Result<Statx> {
    sys::statx(file, c"", AT_EMPTY_PATH)
}

fn is_directory(found: &Statx) -> bool {
    u32::from(found.mode) & S_IFMT == S_IFDIR
}

#[cfg(test)]
mod tests;
