//! `linux.devices` and the devices and links that every container has (runtime-spec "Default Devices").

use std::path::Path;

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use teu_init::abi::{S_IFCHR, S_IFIFO, S_IFMT};
use teu_init::program::{NewSlot, Op, Slot};

use super::Subject;
use super::mounts::open_tree;
use super::namespaces::kind;
use super::program::{Builder, Pointer};

const S_IFBLK: u32 = 0o060000;

/// Name and numbers of the nodes that every container has, all with mode 0666.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/random", 1, 8),
    ("/dev/full", 1, 7),
    ("/dev/tty", 5, 0),
    ("/dev/zero", 1, 5),
    ("/dev/urandom", 1, 9),
];

/// Links in `/dev`: path and target.
const LINKS: [(&str, &str); 6] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/core", "/proc/kcore"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// A node to make.
struct Node {
    path: String,
    mode: u32,
    device: (u32, u32),
    owner: (u32, u32),
    pointer: Pointer,
}

/// The nodes of a container; in a user namespace, where none can be made, the host's are bound instead.
pub(super) struct Devices {
    /// The kernel has a `/proc/kcore` to link to.
    core: bool,
    nodes: Vec<(Node, Option<NewSlot>)>,
}

impl Devices {
    /// Reads `linux.devices`; a device with the path of a default one replaces it.
    pub fn of(subject: &Subject<'_>) -> Self {
        let listed =
            subject.config.linux().as_ref().and_then(|linux| linux.devices().as_deref()).unwrap_or(&[]);
        let own: Vec<Node> =
            listed.iter().enumerate().map(|(index, device)| Node::of(device, index)).collect();
        let is_own = |path: &str| own.iter().any(|node| node.path == path);
        let default = DEFAULT.iter().filter(|(path, ..)| !is_own(path)).map(|&(path, major, minor)| Node {
            path: path.to_owned(),
            mode: S_IFCHR | 0o666,
            device: (major, minor),
            owner: (0, 0),
            pointer: Pointer::Borrowed(""),
        });
        let nodes: Vec<Node> = default.collect();
        Self {
            core: subject.host.kcore,
            nodes: nodes.into_iter().chain(own).map(|node| (node, None)).collect(),
        }
    }

    /// Opens the host's nodes if they are to be bound.
    pub fn push_sources(&mut self, subject: &Subject<'_>, out: &mut Builder) {
        if subject.namespaces.has(kind::USER) || subject.host.in_userns {
            for (node, tree) in
                self.nodes.iter_mut().filter(|(node, _)| node.mode & S_IFIFO == 0 || node.mode & S_IFCHR != 0)
            {
                *tree = Some(open_tree(out, Path::new(&node.path), false, &node.pointer));
            }
        }
    }

    /// Makes nodes and links.
    pub fn push(&self, out: &mut Builder) {
        for (node, tree) in &self.nodes {
            let path = out.text(&node.path);
            let op = match tree {
                Some(NewSlot(tree)) => node.bind(Slot(*tree), path),
                None => node.op(path),
            };
            out.push(op, node.pointer.clone());
        }
        for (path, target) in LINKS.into_iter().filter(|(path, _)| *path != "/dev/core" || self.core) {
            let (target, path) = (out.text(target), out.text(path));
            out.push(Op::Symlink { target, path }, "");
        }
    }
}

impl Node {
    fn of(device: &LinuxDevice, index: usize) -> Self {
        let kind = match device.typ() {
            LinuxDeviceType::B => S_IFBLK,
            LinuxDeviceType::P => S_IFIFO,
            _ => S_IFCHR,
        };
        let number = |value: i64| u32::try_from(value).unwrap_or(0);
        let fifo = kind == S_IFIFO;
        Self {
            path: device.path().to_string_lossy().into_owned(),
            mode: kind | device.file_mode().unwrap_or(0o666) & 0o7777,
            device: if fifo { (0, 0) } else { (number(device.major()), number(device.minor())) },
            owner: (device.uid().unwrap_or(0), device.gid().unwrap_or(0)),
            pointer: Pointer::Owned(format!("/linux/devices/{index}")),
        }
    }

    fn op(&self, path: teu_init::program::Str) -> Op {
        let ((major, minor), (uid, gid)) = (self.device, self.owner);
        Op::Device { path, mode: self.mode, major, minor, uid, gid }
    }

    /// Permissions and owner stay those of the host's node: `host/nodes.rs` warns where others were asked for.
    fn bind(&self, tree: Slot, path: teu_init::program::Str) -> Op {
        let (major, minor) = self.device;
        Op::BindDevice { tree, path, mode: self.mode & S_IFMT, major, minor }
    }
}
