//! The program: what the caller wants done, as bytes.
//!
//! Layout: a [`Header`], the ops (32-bit words, a head word with code and length before each op's fields), the arena (NUL-ended strings
//! and byte blobs, named by offset), and room that init needs: its table of slots and the pointer arrays of `execve`. The caller encodes with
//! [`Words`], init decodes with [`Op::decode`]; both check every length, so a damaged program is refused and never followed.

use core::ffi::CStr;

/// First word of a program: "TEUP" in memory order.
pub const MAGIC: u32 = u32::from_le_bytes(*b"TEUP");
/// Version of the layout and of the op table. Init refuses any other: caller and init ship together.
pub const VERSION: u32 = 1;
/// Length of the header in bytes.
pub const HEADER_LEN: usize = 32;
/// Where in the header init keeps the index of the op it is at; the caller reads it after a sudden death.
pub const PROGRESS_OFFSET: usize = 28;
/// Most words one op may take, head included.
pub const MAX_OP_WORDS: usize = 24;
/// Most descriptors a program may name.
pub const MAX_SLOTS: usize = 1 << 16;

/// The lengths of the parts, in the order in which they follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of ops.
    pub ops: u32,
    /// Length of the ops in words.
    pub words: u32,
    /// Length of the arena in bytes, a multiple of eight.
    pub arena: u32,
    /// Length of the room for pointer arrays in bytes, a multiple of eight.
    pub pointers: u32,
    /// Number of slots.
    pub slots: u32,
}

impl Header {
    /// The header as bytes; the progress word is zero.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let words = [MAGIC, VERSION, self.ops, self.words, self.arena, self.pointers, self.slots];
        for (chunk, word) in out.chunks_exact_mut(4).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// The header of `bytes`, if it is one of this version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.get(..HEADER_LEN)?.chunks_exact(4).map_while(word);
        if words.next()? != MAGIC || words.next()? != VERSION {
            return None;
        }
        let mut next = || words.next();
        Some(Self { ops: next()?, words: next()?, arena: next()?, pointers: next()?, slots: next()? })
    }

    /// Lengths in bytes of ops, arena, slots and pointers, each padded to eight; `None` if one breaks a rule.
    pub fn parts(&self) -> Option<[usize; 4]> {
        if self.slots as usize > MAX_SLOTS || self.arena % 8 != 0 || self.pointers % 8 != 0 {
            return None;
        }
        let padded = |words: u32| (words as usize).checked_add(1)?.checked_mul(4).map(|bytes| bytes & !7);
        Some([padded(self.words)?, self.arena as usize, padded(self.slots)?, self.pointers as usize])
    }

    /// Length of the whole program in bytes.
    pub fn total(&self) -> Option<usize> {
        self.parts()?.into_iter().try_fold(HEADER_LEN, usize::checked_add)
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// A NUL-ended string of the arena; `len` leaves the NUL out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Str {
    /// Offset in the arena.
    pub at: u32,
    /// Length in bytes without the NUL.
    pub len: u32,
}

/// `count` NUL-ended strings that follow each other in the arena, `len` bytes with all NULs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    /// Offset in the arena.
    pub at: u32,
    /// Length in bytes.
    pub len: u32,
    /// Number of strings.
    pub count: u32,
}

/// `len` bytes of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Offset in the arena.
    pub at: u32,
    /// Length in bytes.
    pub len: u32,
}

/// A descriptor that an op reads: sent by the caller or written by an earlier op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub u32);

/// A descriptor that an op makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSlot(pub u32);

/// One field of an op as a printer or a law sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A number.
    Number(u64),
    /// A string.
    Text(Str),
    /// Strings.
    Texts(List),
    /// Bytes.
    Bytes(Blob),
    /// A slot that is read.
    Reads(Slot),
    /// A slot that is written.
    Writes(NewSlot),
}

/// A type that can be a field of an op.
trait Field: Copy {
    fn put(self, out: &mut Words);
    fn get(input: &mut Reader<'_>) -> Option<Self>;
    fn operand(self) -> Operand;
}

/// The words of one op while it is encoded.
#[derive(Debug)]
pub struct Words {
    buffer: [u32; MAX_OP_WORDS],
    len: usize,
}

impl Words {
    fn push(&mut self, word: u32) {
        if let Some(place) = self.buffer.get_mut(self.len) {
            *place = word;
            self.len += 1;
        }
    }

    /// The encoded op.
    pub fn as_slice(&self) -> &[u32] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Option<u32> {
        let (head, tail) = self.0.split_at_checked(4)?;
        self.0 = tail;
        word(head)
    }
}

macro_rules! plain_fields {
    ($($ty:ty { $($part:tt),* } as $operand:expr;)*) => {$(
        impl Field for $ty {
            fn put(self, out: &mut Words) { $(out.push(self.$part);)* }
            fn get(input: &mut Reader<'_>) -> Option<Self> { Some(Self { $($part: input.next()?),* }) }
            fn operand(self) -> Operand { ($operand)(self) }
        }
    )*};
}

plain_fields! {
    Str { at, len } as Operand::Text;
    List { at, len, count } as Operand::Texts;
    Blob { at, len } as Operand::Bytes;
    Slot { 0 } as Operand::Reads;
    NewSlot { 0 } as Operand::Writes;
}

impl Field for u32 {
    fn put(self, out: &mut Words) {
        out.push(self);
    }
    fn get(input: &mut Reader<'_>) -> Option<Self> {
        input.next()
    }
    fn operand(self) -> Operand {
        Operand::Number(self.into())
    }
}

impl Field for u64 {
    fn put(self, out: &mut Words) {
        out.push(self as u32);
        out.push((self >> 32) as u32);
    }
    fn get(input: &mut Reader<'_>) -> Option<Self> {
        let low = u64::from(input.next()?);
        Some(low | u64::from(input.next()?) << 32)
    }
    fn operand(self) -> Operand {
        Operand::Number(self)
    }
}

macro_rules! ops {
    ($($(#[$doc:meta])* $code:literal $name:ident $text:literal { $($field:ident: $ty:ty),* $(,)? })*) => {
        /// One step of init: as fat as one mount idea or one process idea. The table of everything init can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // the fields are described with their op
        pub enum Op { $($(#[$doc])* $name { $($field: $ty),* },)* }

        impl Op {
            /// Every op of the table, by code and word in a printed plan.
            pub const TABLE: &[(u32, &'static str)] = &[$(($code, $text)),*];

            /// The op's word in a printed plan.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name { .. } => $text,)* }
            }

            /// The op as words: code and length, then the fields.
            pub fn encode(&self) -> Words {
                let mut out = Words { buffer: [0; MAX_OP_WORDS], len: 1 };
                let code: u32 = match *self { $(Self::$name { $($field),* } => { $(Field::put($field, &mut out);)* $code })* };
                if let Some(head) = out.buffer.first_mut() {
                    *head = code | (out.len as u32) << 16;
                }
                out
            }

            /// The first op of `bytes` and what follows it; `None` if the bytes are not an op of this version.
            pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
                let head = Reader(bytes).next()?;
                let (body, rest) = bytes.split_at_checked((head >> 16) as usize * 4)?;
                let mut input = Reader(body.get(4..)?);
                let op = match head & 0xffff {
                    $($code => Self::$name { $($field: <$ty>::get(&mut input)?),* },)*
                    _ => return None,
                };
                input.0.is_empty().then_some((op, rest))
            }

            /// Shows every field, in the order of the table.
            pub fn visit(&self, see: &mut dyn FnMut(&'static str, Operand)) {
                match *self { $(Self::$name { $($field),* } => { $(see(stringify!($field), Field::operand($field));)* })* }
            }
        }
    };
}

ops! {
    /// Undoes what init inherits from the calling thread: signal mask, affinity, nice, timer slack, personality, umask. Signal dispositions too, unless they
    /// were before the program came, or can wait for the commit.
    1 Reset "reset" {}
    /// Starts a session, so that the caller's terminal is not ours.
    2 Setsid "setsid" {}
    /// Joins the session keyring of that name, or makes it; without quota or without keys in the kernel it is skipped.
    3 Keyring "keyring" { name: Str }
    /// Joins a namespace; `kind` is its CLONE_NEW* flag.
    4 Join "join" { kind: u32, namespace: Slot }
    /// Joins a namespace that somebody is still making: it comes through the socket `from`, and init waits for it.
    110 JoinMade "join-made" { kind: u32, from: Slot }
    /// Makes new namespaces in place (CLONE_NEW* flags).
    5 Unshare "unshare" { flags: u32 }
    /// Continues in a child that is the caller's child as well, with new namespaces (CLONE_NEW* flags); the first process ends.
    6 Respawn "respawn" { flags: u32 }
    /// The same with a child that is born in the cgroup2 directory of `cgroup` (Linux 5.7).
    91 RespawnInto "respawn-into" { cgroup: Slot }
    /// Waits until the caller has written the id maps.
    7 AwaitMaps "await-maps" {}
    /// Becomes root of the user namespace.
    8 BecomeRoot "become-root" { setgroups: u32 }
    /// Changes the propagation of the present root mount (MS_* bits with MS_REC).
    9 Propagation "propagation" { flags: u32 }
    /// Opens a tree of mounts as a detached copy: of the host, before any target exists, or of the container. `flags` are bits of [`tree_flag`].
    10 OpenTree "open-tree" { path: Str, flags: u32, tree: NewSlot }
    /// Makes a tree the root handle; `attach` 1 mounts it over the present root first, 2 on the directory at `path`, where hooks look for it,
    /// 0 takes a plain directory as it is.
    11 Root "root" { tree: Slot, attach: u32, path: Str }
    /// Sets the SELinux label of the directory at `path`, for a filesystem that takes none when it is mounted.
    76 Label "label" { path: Str, label: Str }
    /// Mounts a new filesystem: options, attributes, flags of [`mount_flag`], propagation (MS_*), target below the root handle.
    12 Mount "mount" { fs: Str, source: Str, options: List, attr: u64, flags: u32, propagation: u32, target: Str }
    /// Attaches a tree: attributes to set and to clear on its top, and on all of it, then propagation.
    13 Bind "bind" { tree: Slot, set: u64, clear: u64, set_all: u64, clear_all: u64, propagation: u32, flags: u32, target: Str }
    /// Mounts a new filesystem as [`Op::Mount`] does, with the ids of a user namespace for the mount.
    51 MountMapped "mount-mapped" { userns: Slot, fs: Str, source: Str, options: List, attr: u64, flags: u32, propagation: u32, target: Str }
    /// Stops until the caller has given a tree other ids, those of that index of its plan.
    111 MapTree "map-tree" { tree: Slot, index: u32 }
    /// Changes what is mounted at `path`: options of the filesystem if there are some, attributes of its top, attributes of all of it.
    50 Remount "remount" { options: List, set: u64, clear: u64, set_all: u64, clear_all: u64, path: Str }
    /// Takes the topmost mount at `path` away from a container that runs.
    93 Unmount "unmount" { path: Str }
    /// Changes the propagation of what is mounted at `path` (MS_* bits).
    54 Propagate "propagate" { path: Str, flags: u32 }
    /// Makes a device node, fifo included (`mode` with type bits), or accepts the right one that exists.
    14 Device "device" { path: Str, mode: u32, major: u32, minor: u32, uid: u32, gid: u32 }
    /// Attaches the tree of a device node of the host, in a user namespace, where none can be made; another node than that of `mode` (its type
    /// bits), `major` and `minor` is an error.
    55 BindDevice "bind-device" { tree: Slot, path: Str, mode: u32, major: u32, minor: u32 }
    /// Makes a symbolic link, or accepts the right one that exists.
    15 Symlink "symlink" { target: Str, path: Str }
    /// Sets and clears attributes of the mount at `path` (empty: the root), after everything else is mounted.
    16 Attr "attr" { path: Str, set: u64, clear: u64 }
    /// Makes the root handle the root and drops the old one.
    17 Pivot "pivot-root" {}
    /// Makes the root handle the root by chroot: for a container without a mount namespace, or a root that cannot be pivoted.
    18 Chroot "chroot" {}
    /// Takes the host's procfs and sysfs out of the namespace, where the old root is not dropped.
    52 HideHost "hide-host" {}
    /// Covers `path` if it exists: a file by the null device of `null`, a directory by an empty read-only tmpfs.
    19 Mask "masked" { null: Slot, path: Str }
    /// Makes `path` read-only if it exists.
    20 Readonly "readonly" { path: Str }
    /// Sets the host name.
    21 Hostname "hostname" { name: Str }
    /// Sets the NIS domain name.
    22 Domainname "domainname" { name: Str }
    /// Opens a procfs for writing to its files, before anything hostile can be reached. `whole` 0 leaves all but the processes out.
    40 Procfs "procfs" { whole: u32, proc: NewSlot }
    /// Writes `value` to the first of `paths`, below the procfs, that exists.
    41 ProcWrite "proc-write" { proc: Slot, paths: List, value: Str }
    /// Brings the loopback device up.
    23 Loopback "loopback" {}
    /// Sets the personality (PER_* number).
    58 Personality "personality" { persona: u32 }
    /// Binds the offsets of the time namespace that `unshare` made, while nobody is in it.
    60 TimeOffsets "time-offsets" { offsets: Str }
    /// Sends a netlink socket of init's network namespace up, and stops until the caller has moved its devices.
    59 NetDevices "net-devices" {}
    /// Sets no_new_privs.
    24 NoNewPrivs "no-new-privs" {}
    /// Drops every capability that is not in `keep` from the bounding set; `last` is the kernel's highest.
    25 CapsBound "caps-bound" { keep: u64, last: u32 }
    /// Sets exactly these supplementary groups (32-bit numbers).
    26 Groups "groups" { gids: Blob }
    /// Switches group, then user, and keeps the permitted capabilities across the switch.
    27 Ids "ids" { uid: u32, gid: u32 }
    /// Sets the capability sets, then the ambient set.
    28 Caps "caps" { effective: u64, permitted: u64, inheritable: u64, ambient: u64 }
    /// Sets the file mode creation mask.
    29 Umask "umask" { mask: u32 }
    /// Makes the working directory if it is missing, with the rights of the container's root.
    30 MakeCwd "make-cwd" { path: Str }
    /// Enters the working directory and checks that it is inside the container. Denied, the first try leaves it to a second
    /// (`again` 1) with the user's rights; after a first that succeeded the second does nothing.
    31 Chdir "chdir" { path: Str, again: u32 }
    /// Chooses the program: the first of `candidates` that may be executed.
    32 CheckExec "check-exec" { candidates: List }
    /// Puts a descriptor under a number.
    33 Fd "fd" { number: u32, from: Slot }
    /// Opens the standard streams that are the host's null device again on the container's.
    53 NullStdio "null-stdio" {}
    /// Closes every descriptor from `first` on but the conversation and the gate: from here on init holds nothing of the host.
    42 CloseRest "close-rest" { first: u32, gate: Slot }
    /// The same for a program that no gate holds back.
    90 CloseFrom "close-from" { first: u32 }
    /// Loads a filter of system calls (`struct sock_filter`) with SECCOMP_FILTER_FLAG_* bits; an empty one the caller makes while the program runs, and
    /// sends. `listener` is how the caller gets the descriptor that SECCOMP_FILTER_FLAG_NEW_LISTENER makes, see [`listener`].
    43 Seccomp "seccomp" { filter: Blob, flags: u32, listener: u32 }
    /// Sets the capability sets and nothing else: gives up what was kept to load a filter.
    44 CapsFinal "caps-final" { effective: u64, permitted: u64, inheritable: u64 }
    /// Tells the caller that all is done, then waits for its leave to outlive it.
    34 Ready "ready" {}
    /// Waits for `start`.
    35 Gate "gate" { gate: Slot }
    /// Executes the chosen program. What is still open closes itself.
    36 Exec "exec" { args: List, env: List }
    /// Moves init into a cgroup by writing 0 to its `tasks` file (v1, where a thread moves itself in microseconds) or `cgroup.procs` (v2).
    37 EnterCgroup "enter-cgroup" { tasks: Slot }
    /// Becomes undumpable: nobody who shares a namespace with init may look into it or trace it. A caller without privilege can write id maps only
    /// before.
    39 Hide "hide" {}
    /// Stops until the caller has done `what` (see [`ask`]) and says so.
    45 Ask "ask" { what: u32 }
    /// Runs a hook as a child with a process group of its own, and tells its end. The caller is asked for its standard streams. `cwd` empty: where
    /// init is.
    46 Hook "hook" { index: u32, path: Str, args: List, env: List, cwd: Str }
    /// Keeps a listening socket through `ready`: at the gate init takes the connection of `start` from it and speaks with it until exec.
    47 Door "door" { door: Slot }
    /// Sets a limit of the process (RLIMIT_* number), while it still has the rights of its caller.
    38 Rlimit "rlimit" { resource: u32, soft: u64, hard: u64 }
    /// Opens a pty on the container's `/dev/pts`, gives it a size unless `rows` or `columns` is 0, binds it on `/dev/console` if `console` is 1, makes it
    /// the controlling terminal and hands its master to the caller.
    65 Terminal "terminal" { rows: u32, columns: u32, console: u32, slave: NewSlot }
    /// Gives the pipes among the standard streams to the user, and with `terminal` 1 the pty they are.
    66 OwnStdio "own-stdio" { uid: u32, terminal: u32 }
    /// Chooses how the kernel schedules the process (struct sched_attr); `nice` is signed.
    67 Scheduler "scheduler" {
        policy: u32, nice: u32, priority: u32, flags: u64, runtime: u64, deadline: u64, period: u64,
    }
    /// Sets the I/O priority of the process group: class in the bits from 13 on, level below.
    68 IoPriority "io-priority" { priority: u32 }
    /// Runs the process on these processors only: a bit mask of whole 64-bit words, which the kernel cuts down to the cpuset.
    92 Affinity "affinity" { cpus: Blob }
    /// Chooses where memory comes from (MPOL_* mode with its flags); `nodes` is a bit mask of whole 64-bit words.
    69 MemoryPolicy "memory-policy" { mode: u32, nodes: Blob }
}

/// What [`Op::Ask`] asks the caller for. The caller's answers are the table in its `launch/ask.rs`.
pub mod ask {
    /// To run the hooks of the runtime's namespace: the mounts are made, the root is not switched.
    pub const RUNTIME_HOOKS: u32 = 1;
    /// To move the network devices, through the socket that comes with the question ([`super::Op::NetDevices`]).
    pub const NET_DEVICES: u32 = 2;
    /// To say whether the hook of that index (`detail` of the frame) runs now: the answer carries its standard streams and, optionally, its
    /// program as a descriptor. Asked by the op `hook` itself.
    pub const HOOK: u32 = 3;
    /// To give the tree that comes with the question other ids, those of that index (`detail` of the frame) of the plan
    /// ([`super::Op::MapTree`]).
    pub const MAP_TREE: u32 = 4;

    /// Every question, with its word in a printed plan.
    pub const TABLE: &[(u32, &str)] = &[
        (RUNTIME_HOOKS, "runtime-hooks"),
        (NET_DEVICES, "net-devices"),
        (HOOK, "hook"),
        (MAP_TREE, "map-tree"),
    ];
}

/// Bits of `flags` of [`Op::OpenTree`].
pub mod tree_flag {
    /// With everything mounted below.
    pub const RECURSIVE: u32 = 1;
    /// A path that is a symbolic link is opened itself.
    pub const KEEP_LINK: u32 = 2;
    /// The path lies below the root handle: a source that earlier mounts of the container have made.
    pub const IN_ROOT: u32 = 4;
}

/// How the caller gets the listener of [`Op::Seccomp`].
pub mod listener {
    /// It takes it: init needs no call but `write`.
    pub const TAKEN: u32 = 0;
    /// Init sends it, because the caller has no right to take it: init needs `sendmsg`.
    pub const SENT: u32 = 1;
}

/// Bits of `flags` of [`Op::Mount`] and [`Op::Bind`].
pub mod mount_flag {
    /// The target may not be reached through symbolic links.
    pub const NO_SYMLINKS: u32 = 1;
    /// Without a `mode` option a tmpfs takes the mode of the directory it covers.
    pub const INHERIT_MODE: u32 = 2;
    /// The target may lie on a procfs: it is on the list of files that may be covered there, or procfs itself is mounted.
    pub const IN_PROC: u32 = 8;
    /// The tree must be a procfs, because it goes onto `/proc`.
    pub const ONLY_PROC: u32 = 16;
    /// Attributes of a bind that are not named go, unless they are locked.
    pub const RESET: u32 = 32;
    /// The attributes of the source count as locked, although the caller, who may change them, opened it.
    pub const LOCKED: u32 = 64;
    /// A source that is a symbolic link is made again at the target.
    pub const COPY_LINK: u32 = 128;
    /// A target that is a symbolic link is covered itself.
    pub const KEEP_TARGET_LINK: u32 = 256;
    /// The new filesystem starts with a copy of the directory that it covers.
    pub const COPY_UP: u32 = 512;
    /// The only option is the filesystem's data as one string: a value is longer than one option of a context may be (255 bytes).
    pub const WHOLE_DATA: u32 = 1024;
}

/// A program that was checked: every op decodes, every reference lies inside the arena, every slot number is below `slots`.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    words: &'a [u8],
    arena: &'a [u8],
}

impl<'a> Program<'a> {
    /// Checks the parts against each other.
    pub fn check(header: &Header, words: &'a [u8], arena: &'a [u8]) -> Option<Self> {
        let program = Self { words, arena };
        let mut count = 0u32;
        for op in program.ops() {
            let mut good = true;
            op?.visit(&mut |_, operand| good &= program.holds(header.slots, operand));
            count = count.checked_add(1)?;
            good.then_some(())?;
        }
        (count == header.ops).then_some(program)
    }

    fn holds(&self, slots: u32, operand: Operand) -> bool {
        match operand {
            Operand::Number(_) => true,
            Operand::Text(text) => self.text(text).is_some(),
            Operand::Texts(list @ List { at, len, count }) => {
                self.bytes(Blob { at, len }).is_some() && self.texts(list).count() == count as usize
            }
            Operand::Bytes(blob) => self.bytes(blob).is_some(),
            Operand::Reads(Slot(slot)) | Operand::Writes(NewSlot(slot)) => slot < slots,
        }
    }

    /// The ops in order; `None` for bytes that are no op.
    pub fn ops(&self) -> impl Iterator<Item = Option<Op>> + use<'a> {
        let mut rest = self.words;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let decoded = Op::decode(rest);
            rest = decoded.map_or(&[], |(_, tail)| tail);
            Some(decoded.map(|(op, _)| op))
        })
    }

    /// The string at `text`, if it lies in the arena and has its only NUL at the end.
    pub fn text(&self, text: Str) -> Option<&'a CStr> {
        let start = text.at as usize;
        let end = start.checked_add(text.len as usize)?.checked_add(1)?;
        CStr::from_bytes_with_nul(self.arena.get(start..end)?).ok()
    }

    /// The strings at `list`; fewer than `list.count` if the list is damaged.
    pub fn texts(&self, list: List) -> impl Iterator<Item = &'a CStr> + use<'a> {
        let bytes = self.bytes(Blob { at: list.at, len: list.len }).unwrap_or(&[]);
        bytes.split_inclusive(|byte| *byte == 0).map_while(|part| CStr::from_bytes_with_nul(part).ok())
    }

    /// The bytes at `blob`.
    pub fn bytes(&self, blob: Blob) -> Option<&'a [u8]> {
        let start = blob.at as usize;
        self.arena.get(start..start.checked_add(blob.len as usize)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_op_survives_encoding() {
        let op = Op::Bind {
            tree: Slot(3),
            set: 1 << 40 | 5,
            clear: 2,
            set_all: 0,
            clear_all: 9,
            propagation: 7,
            flags: 1,
            target: Str { at: 8, len: 4 },
        };
        let mut bytes = [0u8; MAX_OP_WORDS * 4];
        let words = op.encode();
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(words.as_slice()) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        let used = &bytes[..words.as_slice().len() * 4];
        assert_eq!(Op::decode(used), Some((op, &[][..])));
        assert_eq!(Op::decode(&used[..used.len() - 4]), None, "a truncated op is refused");
    }

    #[test]
    fn an_unknown_code_is_refused() {
        assert_eq!(Op::decode(&(999u32 | 1 << 16).to_le_bytes()), None);
    }

    #[test]
    fn a_zero_length_op_is_refused() {
        assert_eq!(Op::decode(&2u32.to_le_bytes()), None);
    }

    #[test]
    fn references_outside_the_arena_are_refused() {
        let op = Op::Hostname { name: Str { at: 0, len: 8 } };
        let mut bytes = [0u8; 12];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(op.encode().as_slice()) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        let header = Header { ops: 1, words: 3, arena: 8, pointers: 0, slots: 0 };
        assert!(Program::check(&header, &bytes, b"12345678").is_none());
        let op = Op::Hostname { name: Str { at: 0, len: 7 } };
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(op.encode().as_slice()) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        assert!(Program::check(&header, &bytes, b"1234567\0").is_some());
        assert!(Program::check(&header, &bytes, b"12\x00456\x008").is_none(), "a NUL inside");
    }
}
