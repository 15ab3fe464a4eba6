//! The printed plan: `teu plan`, the golden tests, and the first thing to look at when a container does not start.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

use teu_init::program::{Op, ask, listener, tree_flag};

use super::capabilities::NAMES;
use super::mount_options::{self, Attributes};
use super::process::PER_LINUX32;
use super::scheduling::{self, FIRST_NODE_FLAG, IO_CLASS_SHIFT, IO_CLASSES, MODES, NODE_FLAGS, POLICIES};
use super::{MappedTree, MountIds, OomScore, Plan, Program, Source, Tree, namespaces, rlimits, seccomp};

/// Column of the JSON pointer.
pub(super) const SITE_COLUMN: usize = 78;

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "plan     {}", self.id)?;
        self.show_clone(f)?;
        write!(f, "{}", self.cgroup)?;
        if let Some(intel_rdt) = &self.intel_rdt {
            write!(f, "{intel_rdt}")?;
        }
        for (slot, source) in self.sources.iter().enumerate() {
            writeln!(f, "send     {{{slot}}} {source}")?;
        }
        self.show_host_steps(f)?;
        write!(f, "{}", self.hooks)?;
        write!(f, "{}", self.program)
    }
}

impl Plan {
    fn show_clone(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut words = namespaces::words(self.clone_flags);
        words.extend(self.into_cgroup.map(|_| "into-cgroup"));
        words.extend(self.suspends.then_some("vfork"));
        writeln!(f, "clone    {} pidfd", words.join(" "))
    }

    fn show_host_steps(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(maps) = &self.id_maps {
            writeln!(
                f,
                "maps     {}uid {} gid {}",
                if maps.joined { "compare " } else { "" },
                maps.uids.trim().replace('\n', ", "),
                maps.gids.trim().replace('\n', ", ")
            )?;
        }
        for MappedTree { source, ids, below, .. } in &self.mapped_trees {
            let below = if *below { " and all below" } else { "" };
            writeln!(f, "mapped   {}{below}: {ids}", source.display())?;
        }
        for device in &self.net_devices {
            writeln!(f, "device   {} -> {}", device.name, device.target)?;
        }
        if let Some(OomScore { score, optional }) = self.oom_score_adj {
            writeln!(f, "oom      {score}{}", if optional { " if allowed" } else { "" })?;
        }
        if let Some(filter) = &self.filter {
            writeln!(f, "filter   default {}", filter.default)?;
        }
        if let Some(agent) = self.filter.as_ref().and_then(|filter| filter.listener.as_ref()) {
            writeln!(f, "agent    {} {:?}", agent.path.display(), agent.metadata)?;
        }
        if self.filter.as_ref().is_some_and(|filter| filter.kept) {
            writeln!(f, "agent    the caller")?;
        }
        if let Some(path) = &self.pidfd_receiver {
            writeln!(f, "pidfd    {}", path.display())?;
        }
        for limit in &self.rlimits {
            writeln!(f, "rlimit   {} {} {}", rlimits::name(limit.resource), limit.soft, limit.hard)?;
        }
        Ok(())
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate => f.write_str("gate"),
            Self::Door => f.write_str("door"),
            Self::CgroupEntrance(index) => write!(f, "entrance of cgroup {index}"),
            Self::RdtEntrance { monitor: false } => f.write_str("entrance of the resctrl group"),
            Self::RdtEntrance { monitor: true } => f.write_str("entrance of the monitoring group"),
            Self::DelegateEntrance => f.write_str("entrance of the delegated cgroup"),
            Self::CgroupDirectory(index) => write!(f, "directory of cgroup {index}"),
            Self::CgroupBelow { index, path } => write!(f, "cgroup {index} at /{path}"),
            Self::Init => f.write_str("namespaces of init"),
            Self::InitRoot => f.write_str("root of init"),
            Self::Stdio(number) => write!(f, "stdio {number}"),
            Self::Extra(index) => write!(f, "extra {index}"),
            Self::Tree { tree, .. } => write!(f, "{tree}"),
            Self::HostRoot { tree } => write!(f, "{tree}, put over it on the host"),
            Self::Ready { ready, .. } => {
                let top = mount_options::words(ready.top, 0).join(",");
                write!(f, "{} {top} {}", ready.tree, recursive_words(ready.all.set, ready.all.clear))
            }
            Self::MountIds { ids, .. } => write!(f, "ids {ids}"),
            Self::Network => f.write_str("network namespace"),
            Self::Directory { path, .. } => write!(f, "directory {}", path.display()),
            Self::Namespace { kind, path, .. } => {
                write!(f, "namespace {} {}", joined_word(*kind), path.display())
            }
        }
    }
}

impl Display for Tree {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "tree {}", self.path.display())?;
        let words = [(self.recursive, " rec"), (self.keep_link, " keep-link"), (self.private, " private")];
        for (_, word) in words.iter().filter(|(has, _)| *has) {
            f.write_str(word)?;
        }
        match &self.ids {
            None => Ok(()),
            Some((ids, below)) => write!(f, " {}ids {ids}", if *below { "r" } else { "" }),
        }
    }
}

impl Display for MountIds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let line = |maps: &str| maps.trim().replace('\n', ", ");
        match self {
            Self::Maps { uids, gids } => write!(f, "uid {} gid {}", line(uids), line(gids)),
            Self::Namespace(path) => write!(f, "of {}", path.display()),
        }
    }
}

impl Display for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, op) in self.ops().iter().enumerate() {
            let line = format!("{index:02} {:<13} {}", op.name(), self.operands(op));
            match self.site(index) {
                "" => writeln!(f, "{}", line.trim_end())?,
                site => writeln!(f, "{line:<SITE_COLUMN$} {site}")?,
            }
        }
        Ok(())
    }
}

fn joined_word(kind: u32) -> String {
    namespaces::words(kind).iter().map(|word| word.trim_start_matches("new")).collect::<Vec<_>>().join(" ")
}

impl Program {
    /// One op as people read it, without its name: also the subject of error messages.
    // table: one arm for each op.
    pub fn operands(&self, op: &Op) -> String {
        match *op {
            Op::Reset {}
            | Op::Setsid {}
            | Op::AwaitMaps {}
            | Op::Pivot {}
            | Op::Chroot {}
            | Op::Loopback {} => String::new(),
            Op::NoNewPrivs {}
            | Op::Hide {}
            | Op::HideHost {}
            | Op::NullStdio {}
            | Op::NetDevices {}
            | Op::Ready {} => String::new(),
            Op::TimeOffsets { offsets } => self.text(offsets).trim_end().replace('\n', ", "),
            Op::Personality { persona } => show_persona(persona),
            Op::CloseRest { first, gate } => format!("{first}- but {{{}}}", gate.0),
            Op::CloseFrom { first } => format!("{first}-"),
            Op::RespawnInto { cgroup } => format!("{{{}}}", cgroup.0),
            Op::Keyring { name } | Op::Hostname { name } | Op::Domainname { name } => quoted(self.text(name)),
            Op::JoinMade { kind, from } => format!("{} {{{}}}", joined_word(kind), from.0),
            Op::Join { kind, namespace } => format!("{} {{{}}}", joined_word(kind), namespace.0),
            Op::Unshare { flags } | Op::Respawn { flags } => namespaces::words(flags).join(" "),
            Op::BecomeRoot { setgroups } => {
                (if setgroups == 0 { "keep groups" } else { "no groups" }).to_owned()
            }
            Op::Propagation { flags } => {
                format!("/ {}", mount_options::words(Attributes::default(), flags).join(","))
            }
            Op::OpenTree { path, flags, tree } => {
                let words = [
                    (tree_flag::IN_ROOT, "in-root "),
                    (tree_flag::RECURSIVE, "rec "),
                    (tree_flag::KEEP_LINK, "keep-link "),
                ];
                let words = words.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| *word);
                format!("{} {}-> {{{}}}", quoted(self.text(path)), words.collect::<String>(), tree.0)
            }
            Op::Root { tree, attach: 2, path } => {
                format!("{{{}}} attach {}", tree.0, quoted(self.text(path)))
            }
            Op::Root { tree, attach, .. } => {
                format!("{{{}}}{}", tree.0, if attach == 0 { "" } else { " attach" })
            }
            Op::Mount { fs, source, options, attr, flags, propagation, target } => {
                let data: Vec<_> = self.texts(options).collect();
                let words = mount_options::words(Attributes { set: attr, clear: 0 }, propagation);
                let parts = [self.text(fs), self.text(source), self.text(target)].map(quoted).join(" ");
                join_words([parts, words.join(","), show_data(&data), show_flags(flags)])
            }
            Op::MountMapped { userns, fs, source, options, attr, flags, propagation, target } => {
                let plain = Op::Mount { fs, source, options, attr, flags, propagation, target };
                format!("ids {{{}}} {}", userns.0, self.operands(&plain))
            }
            Op::Remount { options, set, clear, set_all, clear_all, path } => {
                let data: Vec<_> = self.texts(options).collect();
                join_words([
                    quoted(self.text(path)),
                    mount_options::words(Attributes { set, clear }, 0).join(","),
                    recursive_words(set_all, clear_all),
                    show_data(&data),
                ])
            }
            Op::Propagate { path, flags } => {
                let words = mount_options::words(Attributes::default(), flags);
                format!("{} {}", quoted(self.text(path)), words.join(","))
            }
            Op::MapTree { tree, index } => format!("{{{}}} {index}", tree.0),
            Op::Bind { tree, set, clear, set_all, clear_all, propagation, flags, target } => {
                let top = mount_options::words(Attributes { set, clear }, propagation).join(",");
                let all = recursive_words(set_all, clear_all);
                join_words([
                    format!("{{{}}} {}", tree.0, quoted(self.text(target))),
                    top,
                    all,
                    show_flags(flags),
                ])
            }
            Op::Device { path, mode, major, minor, uid, gid } => {
                format!(
                    "{} {} {major}:{minor} {:#o} {uid}:{gid}",
                    quoted(self.text(path)),
                    node_kind(mode),
                    mode & 0o7777
                )
            }
            Op::BindDevice { tree, path, mode, major, minor } => {
                format!("{{{}}} {} {} {major}:{minor}", tree.0, quoted(self.text(path)), node_kind(mode))
            }
            Op::Symlink { target, path } => {
                format!("{} -> {}", quoted(self.text(path)), quoted(self.text(target)))
            }
            Op::Attr { path, set, clear } => {
                format!(
                    "{} {}",
                    quoted(self.text(path)),
                    mount_options::words(Attributes { set, clear }, 0).join(",")
                )
            }
            Op::Mask { null, path } => format!("{} {{{}}}", quoted(self.text(path)), null.0),
            Op::Readonly { path } | Op::Unmount { path } | Op::MakeCwd { path } => quoted(self.text(path)),
            Op::CapsBound { keep, last } => format!("keep {} of {}", show_mask(keep), last + 1),
            Op::Groups { gids } => show_groups(self.bytes(gids)),
            Op::Ids { uid, gid } => format!("gid {gid} uid {uid}"),
            Op::Caps { effective, permitted, inheritable, ambient } => format!(
                "eff {} perm {} inh {} amb {}",
                show_mask(effective),
                show_mask(permitted),
                show_mask(inheritable),
                show_mask(ambient)
            ),
            Op::Seccomp { filter, flags, listener } => join_words([
                format!("{} insns", filter.len / 8),
                seccomp::flag_words(flags).join(","),
                if listener == listener::SENT { "[sent]".to_owned() } else { String::new() },
                String::new(),
            ]),
            Op::CapsFinal { effective, permitted, inheritable } => format!(
                "eff {} perm {} inh {}",
                show_mask(effective),
                show_mask(permitted),
                show_mask(inheritable)
            ),
            Op::Umask { mask } => format!("{mask:04o}"),
            Op::Chdir { path, again } => {
                format!("{}{}", quoted(self.text(path)), if again == 0 { "" } else { " if denied before" })
            }
            Op::CheckExec { candidates } => self.texts(candidates).map(quoted).collect::<Vec<_>>().join(" "),
            Op::Label { path, label } => format!("{} {}", quoted(self.text(path)), quoted(self.text(label))),
            Op::Procfs { whole, proc } => {
                format!("{}-> {{{}}}", if whole == 0 { "pid " } else { "" }, proc.0)
            }
            Op::ProcWrite { proc, paths, value } => {
                let paths = self.texts(paths).map(quoted).collect::<Vec<_>>().join("|");
                format!("{{{}}} {paths} {:?}", proc.0, self.text(value))
            }
            Op::Fd { number, from } => format!("{number} {{{}}}", from.0),
            Op::Rlimit { resource, soft, hard } => format!("{} {soft} {hard}", rlimits::name(resource)),
            Op::Ask { what } => {
                let known = ask::TABLE.iter().find(|(number, _)| *number == what);
                known.map_or_else(|| what.to_string(), |(_, word)| (*word).to_owned())
            }
            Op::Terminal { rows, columns, console, slave } => {
                let size = show_size(rows, columns);
                format!("{size}{} -> {{{}}}", if console == 0 { "" } else { " on /dev/console" }, slave.0)
            }
            Op::OwnStdio { uid, terminal } => {
                format!("uid {uid}{}", if terminal == 0 { "" } else { " terminal" })
            }
            Op::Scheduler { policy, nice, priority, flags, runtime, deadline, period } => {
                let policy = word_of(&POLICIES, policy);
                let nice = nice as i32;
                format!(
                    "{policy} nice {nice} priority {priority} flags {flags:#x} times {runtime}/{deadline}/{period}"
                )
            }
            Op::IoPriority { priority } => {
                let class = word_of(&IO_CLASSES, priority >> IO_CLASS_SHIFT);
                format!("{class} {}", priority & ((1 << IO_CLASS_SHIFT) - 1))
            }
            Op::Affinity { cpus } => show_numbers(&scheduling::numbers_of(self.bytes(cpus))),
            Op::MemoryPolicy { mode, nodes } => show_memory_policy(mode, self.bytes(nodes)),
            Op::Hook { index, path, args, env, cwd } => {
                let args = self.texts(args).map(quoted).collect::<Vec<_>>().join(" ");
                let cwd =
                    if cwd.len == 0 { String::new() } else { format!(" in {}", quoted(self.text(cwd))) };
                format!("#{index} {} args[{args}] env[{}]{cwd}", quoted(self.text(path)), env.count)
            }
            Op::Door { door } => format!("{{{}}}", door.0),
            Op::EnterCgroup { tasks } => format!("{{{}}}", tasks.0),
            Op::Gate { gate } => format!("{{{}}}", gate.0),
            Op::Exec { args, env } => {
                let args = self.texts(args).map(quoted).collect::<Vec<_>>().join(" ");
                format!("{args} env[{}]", env.count)
            }
        }
    }
}

fn recursive_words(set: u64, clear: u64) -> String {
    let all = mount_options::words(Attributes { set, clear }, 0);
    all.iter().map(|word| format!("r{word}")).collect::<Vec<_>>().join(",")
}

fn join_words(words: [String; 4]) -> String {
    words.iter().filter(|word| !word.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Text that cannot be mistaken: quoted as soon as it has anything but plain letters.
fn quoted(text: Cow<'_, str>) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'{' | b'}');
    if !text.is_empty() && text.bytes().all(plain) { text.into_owned() } else { format!("{text:?}") }
}

/// `=key`, `value` as `key=value`.
fn show_data(data: &[Cow<'_, str>]) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut rest = data.iter();
    while let Some(option) = rest.next() {
        match option.strip_prefix('=') {
            Some(key) => shown.push(format!("{key}={}", rest.next().map_or("", |value| value))),
            None => shown.push(option.clone().into_owned()),
        }
    }
    shown.join(",")
}

fn show_flags(flags: u32) -> String {
    use teu_init::program::mount_flag;
    let table = [
        (mount_flag::NO_SYMLINKS, "no-symlinks"),
        (mount_flag::INHERIT_MODE, "inherit-mode"),
        (mount_flag::IN_PROC, "in-proc"),
        (mount_flag::ONLY_PROC, "only-proc"),
        (mount_flag::RESET, "reset"),
        (mount_flag::LOCKED, "locked"),
        (mount_flag::COPY_LINK, "copy-link"),
        (mount_flag::KEEP_TARGET_LINK, "keep-target-link"),
        (mount_flag::COPY_UP, "copy-up"),
        (mount_flag::WHOLE_DATA, "whole-data"),
    ];
    let words: Vec<_> = table.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| *word).collect();
    if words.is_empty() { String::new() } else { format!("[{}]", words.join(" ")) }
}

fn show_persona(persona: u32) -> String {
    if persona == PER_LINUX32 { "LINUX32".to_owned() } else { format!("{persona:#x}") }
}

fn node_kind(mode: u32) -> char {
    match mode & 0o170000 {
        0o060000 => 'b',
        0o010000 => 'p',
        _ => 'c',
    }
}

fn show_mask(mask: u64) -> String {
    let all = (1u64 << NAMES.len()) - 1;
    match mask & all {
        0 => "0".to_owned(),
        mask if mask == all => "all".to_owned(),
        mask => format!("{mask:#x}"),
    }
}

fn show_size(rows: u32, columns: u32) -> String {
    if rows == 0 || columns == 0 { "no size".to_owned() } else { format!("{rows} rows {columns} columns") }
}

fn word_of(words: &[&str], number: u32) -> String {
    words.get(number as usize).map_or_else(|| number.to_string(), |word| (*word).to_owned())
}

fn show_memory_policy(mode: u32, mask: &[u8]) -> String {
    let mut words = vec![word_of(&MODES, mode & ((1 << FIRST_NODE_FLAG) - 1))];
    words.extend(scheduling::numbers_of(mask).iter().map(u32::to_string));
    let flags = (FIRST_NODE_FLAG..).zip(NODE_FLAGS).filter(|(bit, _)| mode >> bit & 1 == 1);
    words.extend(flags.map(|(_, word)| word.to_owned()));
    words.join(" ")
}

/// Ascending numbers as the kernel writes them: `0-3,7`.
fn show_numbers(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let show = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    ranges.into_iter().map(show).collect::<Vec<_>>().join(",")
}

fn show_groups(bytes: &[u8]) -> String {
    let number = |chunk: &[u8]| chunk.try_into().map(u32::from_ne_bytes).unwrap_or(0).to_string();
    bytes.chunks_exact(4).map(number).collect::<Vec<_>>().join(" ")
}
