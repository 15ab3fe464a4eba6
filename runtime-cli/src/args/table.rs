//! The option table: every command and option of this build. The parser and `--help` read it, and nothing else knows an option's
//! spelling except the command that asks for its value.

use crate::commands::{self, Run};

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A boolean: alone it is true, `=false` and Go's other spellings are understood.
    Flag,
    /// One value, named so in the help; of several the last wins.
    Value(&'static str),
    /// One value each time, named so in the help; all of them count, in order. A comma is part of a value.
    List(&'static str),
}

/// One option.
#[derive(Debug)]
pub struct Opt {
    /// The name, without dashes. One dash and two mean the same.
    pub long: &'static str,
    /// The one-letter names.
    pub letters: &'static str,
    /// Whether it takes a value.
    pub kind: Kind,
    /// One line for `--help`.
    pub help: &'static str,
}

/// How many operands a command takes.
#[derive(Debug)]
pub struct Arity {
    /// At least so many.
    pub min: usize,
    /// At most so many.
    pub max: usize,
}

/// One command.
pub struct Command {
    /// The word on the command line.
    pub name: &'static str,
    /// One line for the list of commands.
    pub about: &'static str,
    /// The operands as the usage line shows them.
    pub operands: &'static str,
    /// How many operands it takes.
    pub arity: Arity,
    /// Whether options end at the first operand (as runc does for commands that pass words on).
    pub operand_ends_options: bool,
    /// Its options, in groups that commands share.
    pub options: &'static [&'static [Opt]],
    /// The paragraph below the usage line.
    pub details: &'static str,
    /// The exit status of a failure.
    pub failure: u8,
    /// The function that does it.
    pub run: Run,
}

const fn flag(long: &'static str, letters: &'static str, help: &'static str) -> Opt {
    Opt { long, letters, kind: Kind::Flag, help }
}

const fn value(long: &'static str, letters: &'static str, name: &'static str, help: &'static str) -> Opt {
    Opt { long, letters, kind: Kind::Value(name), help }
}

const fn list(long: &'static str, letters: &'static str, name: &'static str, help: &'static str) -> Opt {
    Opt { long, letters, kind: Kind::List(name), help }
}

/// `--help`, an option of the program and of every command.
pub const HELP: &[Opt] = &[flag("help", "h", "show help")];

/// The options before the command.
pub const GLOBAL: &[Opt] = &[
    value("root", "r", "DIR", "directory of the containers' state (default: /run/teu)"),
    value(
        "log",
        "",
        "FILE",
        "append log lines to FILE, or send them to journald:NAME or syslog:NAME (default: stderr)",
    ),
    flag("systemd-log", "", "write log lines to the journal, as --log journald: does"),
    value("log-format", "", "text|json", "how log lines look (default: text)"),
    flag("debug", "", "log at level debug"),
    value(
        "log-level",
        "",
        "error|warning|info|debug",
        "the least of what is logged (default: warning, in a JSON log error)",
    ),
    flag(
        "systemd-cgroup",
        "s",
        "let systemd make the cgroup, as a scope; cgroupsPath is slice:prefix:name then",
    ),
    value("cgroup-manager", "", "cgroupfs|systemd|disabled", "who makes the cgroup (default: cgroupfs)"),
    value("rootless", "", "true|false|auto", "accepted without effect"),
    value("criu", "", "PATH", "the criu program; accepted without effect"),
    flag("version", "vV", "print the version"),
];

const BUNDLE: &[Opt] = &[value("bundle", "b", "DIR", "the bundle (default: the current directory)")];

const CONFIG: &[Opt] =
    &[value("config", "f", "FILE", "configuration to use instead of the bundle's config.json")];

const CREATION: &[Opt] = &[
    value("console-socket", "", "SOCKET", "send the master of the terminal to the unix socket SOCKET"),
    value("pidfd-socket", "", "SOCKET", "send a pidfd of init to the unix socket SOCKET"),
    value("pid-file", "", "FILE", "write init's pid to FILE once the container is created"),
    flag("no-pivot", "", "move the mount and chroot instead of pivot_root, for a rootfs on a ramdisk"),
    flag("no-new-keyring", "", "keep the caller's session keyring"),
    value("preserve-fds", "", "N", "pass N descriptors on, after stdio and those of LISTEN_FDS (default: 0)"),
];

const EXEC: &[Opt] = &[
    value("process", "p", "FILE", "the process as JSON; the other options about it count no more"),
    value("cwd", "", "DIR", "working directory in the container"),
    list("env", "e", "NAME=VALUE", "a variable, behind those of the container's process"),
    flag("tty", "t", "give the process a terminal"),
    value("user", "u", "UID[:GID]", "user, and group, of the process"),
    list("additional-gids", "g", "GID", "a supplementary group"),
    flag("detach", "d", "return when the program has started"),
    value("pid-file", "", "FILE", "write the pid of the process to FILE"),
    value("console-socket", "", "SOCKET", "send the master of the terminal to the unix socket SOCKET"),
    value("pidfd-socket", "", "SOCKET", "send a pidfd of the process to the unix socket SOCKET"),
    value("process-label", "", "LABEL", "SELinux label of the process"),
    value("apparmor", "", "PROFILE", "AppArmor profile of the process"),
    flag("no-new-privs", "", "the process can gain no privileges"),
    list("cap", "c", "CAP", "a capability more for the process"),
    value("preserve-fds", "", "N", "pass N descriptors on, after stdio and those of LISTEN_FDS (default: 0)"),
    list(
        "cgroup",
        "",
        "[CTRL[,CTRL]:]PATH",
        "run in the cgroup PATH below the container's, on v1 by controller if wanted",
    ),
    flag("ignore-paused", "", "enter a paused container too"),
];

const FOREGROUND: &[Opt] = &[
    flag("detach", "d", "return when the program has started"),
    flag("keep", "", "keep the container after its program has ended"),
    flag("no-subreaper", "", "leave orphans of the container to the next subreaper"),
];

/// What `kill` and `delete` share.
const REGEX: &[Opt] =
    &[flag("regex", "r", "the id is a regular expression: every container in whose id it is found")];

const KILL: &[Opt] = &[flag("all", "a", "signal every process of the container")];

const DELETE: &[Opt] = &[flag("force", "f", "kill a container that still runs; an unknown id is no error")];

const LIST: &[Opt] = &[
    value("format", "f", "table|json", "how the answer looks (default: table)"),
    flag("quiet", "q", "print ids only"),
];

const MAN: &[Opt] = &[value("into", "", "DIR", "write all pages as files into DIR")];

const SPEC: &[Opt] = &[
    flag("rootless", "", "a configuration for a container that an unprivileged user creates"),
    value("file", "f", "FILE", "name of the file in the bundle (default: config.json)"),
];

const PS: &[Opt] = &[value("format", "f", "table|json", "how the answer looks (default: table)")];

const EVENTS: &[Opt] = &[
    value("interval", "", "TIME", "time between two lines of stats, such as 500ms or 1m30s (default: 5s)"),
    flag("stats", "", "print one line of stats and end"),
];

const UPDATE: &[Opt] = &[
    value(
        "resources",
        "r",
        "FILE",
        "limits as JSON (linux.resources), - for stdin; then only the options about schemata count",
    ),
    value("blkio-weight", "", "WEIGHT", "share of block I/O, 10 to 1000"),
    value("cpu-period", "", "US", "period of the quota in microseconds"),
    value("cpu-quota", "", "US", "time on CPUs in a period, in microseconds; -1: no limit"),
    value("cpu-burst", "", "US", "time that may be saved up for later periods, in microseconds"),
    value("cpu-share", "", "SHARES", "share of CPUs, usually 1024"),
    value("cpu-rt-period", "", "US", "period of the realtime budget in microseconds"),
    value("cpu-rt-runtime", "", "US", "realtime budget in a period, in microseconds"),
    value("cpu-idle", "", "0|1", "1: run only when nobody else wants to"),
    value("cpuset-cpus", "", "LIST", "CPUs to run on, such as 0-2,7"),
    value("cpuset-mems", "", "LIST", "memory nodes to allocate from"),
    value("memory", "", "BYTES", "limit of memory, with a unit such as 512M; -1: no limit, neither of swap"),
    value("memory-reservation", "", "BYTES", "memory that is taken last"),
    value("memory-swap", "", "BYTES", "limit of memory and swap together; -1: no limit of swap"),
    value("kernel-memory", "", "BYTES", "accepted without effect"),
    value("kernel-memory-tcp", "", "BYTES", "accepted without effect"),
    value("pids-limit", "", "N", "limit of processes; -1: no limit"),
    value("l3-cache-schema", "", "LINE", "share of the L3 cache, such as L3:0=ff"),
    value("mem-bw-schema", "", "LINE", "share of memory bandwidth, such as MB:0=70"),
];

/// What a checkpoint and a restore share.
const IMAGE: &[Opt] = &[
    value("image-path", "", "DIR", "directory of the image (default: checkpoint)"),
    value("work-path", "", "DIR", "directory for the working files and logs of criu"),
    value("parent-path", "", "DIR", "image of an earlier pre-dump, relative to the image"),
    flag("tcp-established", "", "keep open TCP connections"),
    flag("ext-unix-sk", "", "allow unix sockets with a peer outside"),
    flag("shell-job", "", "allow a terminal of the caller"),
    flag("file-locks", "", "keep file locks"),
    flag("lazy-pages", "", "move memory when it is touched"),
    value("manage-cgroups-mode", "", "soft|full|strict|ignore", "what becomes of the cgroup"),
    value("network-lock", "", "iptables|nftables|skip", "how connections are held meanwhile"),
    list("empty-ns", "", "NAMESPACE", "make a namespace but not what is in it: network"),
    flag("auto-dedup", "", "drop memory of the parent image that is in this one"),
];

const CHECKPOINT: &[Opt] = &[
    flag("pre-dump", "", "dump memory only, and let the container run on"),
    flag("leave-running", "", "let the container run on"),
    flag("tcp-skip-in-flight", "", "skip connections that are not established yet"),
    flag("link-remap", "", "allow open files that were unlinked"),
    value("status-fd", "", "N", "descriptor that is told when criu is ready"),
    value("page-server", "", "ADDRESS:PORT", "send memory to a page server"),
];

const RESTORE: &[Opt] = &[
    flag("tcp-close", "", "close TCP connections"),
    flag("detach", "d", "return when the container runs"),
    value("pid-file", "", "FILE", "write init's pid to FILE"),
    value("console-socket", "", "SOCKET", "send the master of the terminal to the unix socket SOCKET"),
    flag("no-pivot", "", "move the mount and chroot instead of pivot_root"),
    flag("no-subreaper", "", "do not become a subreaper"),
    value("lsm-profile", "", "TYPE:NAME", "security profile of the processes"),
    value("lsm-mount-context", "", "CONTEXT", "security context of the mounts"),
];

const NOTHING: Arity = Arity { min: 0, max: 0 };
const ONE: Arity = Arity { min: 1, max: 1 };
const ID: &str = "<container-id>";
/// The exit status of a failure, for all commands but one.
const FAILURE: u8 = 1;

/// The commands, in the order of the help text.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "checkpoint",
        about: "save a running container to an image",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[IMAGE, CHECKPOINT],
        details: "Not supported by this build yet: the options are understood, and the container is left alone.",
        failure: FAILURE,
        run: commands::checkpoint::run,
    },
    Command {
        name: "completion",
        about: "print the completions of a shell",
        operands: "<bash|zsh|fish>",
        arity: ONE,
        operand_ends_options: false,
        options: &[],
        details: "bash: source it; zsh: as _teu in a directory of fpath; fish: as teu.fish in the directory of completions.",
        failure: FAILURE,
        run: commands::completion::run,
    },
    Command {
        name: "create",
        about: "make a container and park its init before the program",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[BUNDLE, CONFIG, CREATION],
        details: "Everything that config.json asks for is done; the program itself waits for `start`.",
        failure: FAILURE,
        run: commands::create::run,
    },
    Command {
        name: "delete",
        about: "remove what a container holds",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[DELETE, REGEX],
        details: "The container must be stopped, or created and never started, unless --force is given.",
        failure: FAILURE,
        run: commands::delete::run,
    },
    Command {
        name: "events",
        about: "print what a container uses, and when its memory runs out",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[EVENTS],
        details: "One JSON object a line, until the container ends.",
        failure: FAILURE,
        run: commands::events::run,
    },
    Command {
        name: "exec",
        about: "run one more process in a container",
        operands: "<container-id> <command> [args...]",
        arity: Arity { min: 1, max: usize::MAX },
        operand_ends_options: true,
        options: &[EXEC],
        details: "The container's namespaces, cgroup, filter and labels apply to it. The exit status is the program's, 128 and the signal that ended it, or \
                  255 if it could not be run.",
        failure: commands::exec::FAILED,
        run: commands::exec::run,
    },
    Command {
        name: "features",
        about: "print what this build can do, as JSON",
        operands: "",
        arity: NOTHING,
        operand_ends_options: false,
        options: &[],
        details: "The document follows the features chapter of the runtime specification.",
        failure: FAILURE,
        run: commands::features::run,
    },
    Command {
        name: "kill",
        about: "send a signal to a container's init",
        operands: "<container-id> [signal]",
        arity: Arity { min: 1, max: 2 },
        operand_ends_options: true,
        options: &[KILL, REGEX],
        details: "The signal is a number or a name, with or without SIG, or RTMIN+N; SIGTERM if none is given.",
        failure: FAILURE,
        run: commands::kill::run,
    },
    Command {
        name: "list",
        about: "list the containers of the state root",
        operands: "",
        arity: NOTHING,
        operand_ends_options: false,
        options: &[LIST],
        details: "An entry that cannot be read is reported on stderr and left out.",
        failure: FAILURE,
        run: commands::list::run,
    },
    Command {
        name: "man",
        about: "print a manual page",
        operands: "[command-name]",
        arity: Arity { min: 0, max: 1 },
        operand_ends_options: false,
        options: &[MAN],
        details: "The page of the program, or of one of its commands, in roff: man -l reads it.",
        failure: FAILURE,
        run: commands::man::run,
    },
    Command {
        name: "mounts",
        about: "add mounts to a running container, or take some away",
        operands: "<add|remove> <container-id> <file>",
        arity: Arity { min: 3, max: 3 },
        operand_ends_options: false,
        options: &[],
        details: "The file, or standard input if it is -, is a JSON array of mounts as in config.json. All are checked before the first is made; if one fails, those before it go again.",
        failure: FAILURE,
        run: commands::mounts::run,
    },
    Command {
        name: "pause",
        about: "stop all processes of a container",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[],
        details: "The freezer of the container's cgroup holds them until `resume`.",
        failure: FAILURE,
        run: commands::pause::run,
    },
    Command {
        name: "plan",
        about: "print what create would do, step by step",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[BUNDLE, CONFIG, CREATION],
        details: "Nothing is created or changed.",
        failure: FAILURE,
        run: commands::plan::run,
    },
    Command {
        name: "ps",
        about: "show the processes of a container",
        operands: "<container-id> [ps options]",
        arity: Arity { min: 1, max: usize::MAX },
        operand_ends_options: true,
        options: &[PS],
        details: "As a table, the host's ps is run with the options, or with -ef, and the lines of the container's processes are kept: its output must have a PID column. As JSON, their pids on the host.",
        failure: FAILURE,
        run: commands::ps::run,
    },
    Command {
        name: "restore",
        about: "bring a container back from an image",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[BUNDLE, IMAGE, RESTORE],
        details: "Not supported by this build yet: the options are understood, and nothing is made.",
        failure: FAILURE,
        run: commands::restore::run,
    },
    Command {
        name: "resume",
        about: "let the processes of a paused container go on",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[],
        details: "The container must be paused.",
        failure: FAILURE,
        run: commands::resume::run,
    },
    Command {
        name: "run",
        about: "create a container, start it and wait for its end",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[BUNDLE, CONFIG, CREATION, FOREGROUND],
        details: "Signals are passed on. The exit status is the program's, or 128 and the signal that ended it.",
        failure: FAILURE,
        run: commands::run::run,
    },
    Command {
        name: "spec",
        about: "write an example config.json",
        operands: "",
        arity: NOTHING,
        operand_ends_options: false,
        options: &[BUNDLE, SPEC],
        details: "An existing file is never overwritten.",
        failure: FAILURE,
        run: commands::spec::run,
    },
    Command {
        name: "start",
        about: "let a created container execute its program",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[],
        details: "The container must have been created and not started.",
        failure: FAILURE,
        run: commands::start::run,
    },
    Command {
        name: "state",
        about: "print a container's state, as JSON",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[],
        details: "The status is taken from the kernel at the time of the question.",
        failure: FAILURE,
        run: commands::state::run,
    },
    Command {
        name: "update",
        about: "change limits of a container",
        operands: ID,
        arity: ONE,
        operand_ends_options: false,
        options: &[UPDATE],
        details: "What is not named stays. If one limit is refused, none is changed.",
        failure: FAILURE,
        run: commands::update::run,
    },
];

impl Command {
    /// The command of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name == name)
    }
}
