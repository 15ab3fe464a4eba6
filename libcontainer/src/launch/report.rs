//! Turns what init said, or its silence, into one sentence with the place in config.json.

use teu_init::program::{List, Op, Str};
use teu_init::wire::step;

use super::hint::hint;
use super::talk::Heard;
use crate::cgroup::Cgroup;
use crate::plan::{Plan, Program, Source, rlimits};
use crate::sys;
use crate::sys::process::Ended;
use crate::until;
use crate::{Error, ErrorKind};

/// The words that engines look for, in this order.
const CONTEXT: &str = "unable to start container process: error during container init";

/// The same where nothing is started.
const LIVE: &str = "unable to change the mounts of the container";

fn context(plan: &Plan) -> &'static str {
    if plan.changes_mounts() { LIVE } else { CONTEXT }
}

/// An op failed.
pub(super) fn failure(plan: &Plan, heard: &Heard) -> Error {
    let (errno, detail) = (heard.frame.value as i32, heard.frame.detail);
    let index = heard.frame.op as usize;
    let Some(op) = plan.program.ops().get(index) else {
        return Error::os("init refused its program", errno)
            .kind_is(ErrorKind::Internal)
            .context(context(plan));
    };
    let error = sentence(plan, op, errno, detail, &heard.note).during(format!("init:{}", op.name()));
    let error = match hint(&plan.program, op, errno) {
        Some(meaning) => error.remark(meaning),
        None => error,
    };
    if let Some(filter) = filtered(plan, index).filter(|filter| *filter < index) {
        return error.remark(NEEDED).context(context(plan)).at(plan.program.site(filter));
    }
    let error = error.context(context(plan));
    match plan.program.site(index) {
        "" => error,
        pointer => error.at(pointer),
    }
}

fn sentence(plan: &Plan, op: &Op, errno: i32, detail: u32, note: &str) -> Error {
    let program = &plan.program;
    match *op {
        Op::CheckExec { .. } => lookup(plan, errno, detail),
        Op::Mount { source, target, .. } | Op::MountMapped { source, target, .. } => {
            let what =
                format!("error mounting {:?} to rootfs at {:?}", program.text(source), program.text(target));
            mount(&what, errno, detail, note)
        }
        Op::Bind { target, .. } => {
            mount(&format!("error mounting to rootfs at {:?}", program.text(target)), errno, detail, note)
        }
        Op::BindDevice { path, major, minor, .. } => {
            let what = format!("error mounting to rootfs at {:?}", program.text(path));
            if detail == step::MISMATCH {
                let why = format!("the host's is not the device {major}:{minor} of that type");
                return Error::new(ErrorKind::Mount, format!("{what}: {why}"))
                    .remark("in a user namespace devices are bound from the host");
            }
            mount(&what, errno, detail, note)
        }
        Op::OpenTree { path, .. } => {
            mount(&format!("error mounting {:?}: open the source", program.text(path)), errno, detail, note)
        }
        Op::Chdir { path, .. } | Op::MakeCwd { path } => {
            let what = format!("chdir to cwd ({:?}) set in config.json failed", program.text(path));
            if detail == step::OUTSIDE {
                let why = "the directory is outside of the container's root";
                return Error::new(ErrorKind::InvalidSpec, format!("{what}: {why}"));
            }
            Error::os(what, errno)
        }
        Op::ProcWrite { paths, value, .. } => setting(program, paths, value, errno, detail),
        Op::Terminal { .. } => terminal(errno, detail),
        Op::Scheduler { .. } if errno == libc::EPERM && plan.cgroup.has_file("cpuset.cpus") => {
            let message = "process scheduler can't be used together with AllowedCPUs";
            Error::new(ErrorKind::Denied, message)
        }
        Op::Scheduler { .. } => Error::os("error setting scheduler", errno),
        Op::IoPriority { .. } => Error::os("failed to set io priority", errno),
        Op::RespawnInto { cgroup } if matches!(errno, libc::EBUSY | libc::EOPNOTSUPP) => {
            let below = match plan.sources.get(cgroup.0 as usize) {
                Some(Source::CgroupBelow { path, .. }) if !path.is_empty() => format!("/{path}"),
                _ => String::new(),
            };
            let what = format!("error adding pid of the process to cgroups: {below}/cgroup.procs");
            Error::os(what, errno).remark("no process can be there beside the cgroups below")
        }
        Op::Affinity { .. } => Error::os(format!("set CPU affinity to {}", program.operands(op)), errno),
        Op::MemoryPolicy { .. } => Error::os(format!("set_mempolicy {}", program.operands(op)), errno),
        Op::Seccomp { flags, .. } => filter(flags, errno, detail),
        Op::Rlimit { resource, soft, hard } => limit(resource, soft, hard, errno),
        _ => {
            let operands = program.operands(op);
            let what = format!("{} {operands}", op.name());
            mount(what.trim_end(), errno, detail, note)
        }
    }
}

/// A file of procfs could not be written.
fn setting(program: &Program, paths: List, value: Str, errno: i32, detail: u32) -> Error {
    let paths: Vec<_> = program.texts(paths).map(|path| format!("`/proc/{path}`")).collect();
    let verb = if detail == step::TARGET { "open" } else { "write" };
    Error::os(format!("{verb} {}: {:?}", paths.join(" or "), program.text(value)), errno)
}

/// No terminal for the container.
fn terminal(errno: i32, detail: u32) -> Error {
    let what = "open a terminal";
    match detail {
        step::DEVPTS => Error::os(format!("{what}: /dev/pts of the container"), errno)
            .remark("a mount of type devpts is needed there"),
        step::NOT_PTY => Error::new(ErrorKind::Mount, format!("{what}: the slave is no pty")),
        step::TARGET => Error::os(format!("{what}: /dev/console of the container"), errno),
        step::ATTACH => Error::os(format!("{what}: bind it on /dev/console"), errno),
        _ => Error::os(what, errno),
    }
}

/// What a container's program needs before it runs, and every profile has to allow.
const NEEDED: &str =
    "under the seccomp profile init needs read, write, close and execve, without noNewPrivileges capset too";

/// The filter could not be loaded, or does not let init finish.
fn filter(flags: u32, errno: i32, detail: u32) -> Error {
    let unknown = FILTER_FLAGS.iter().find(|(flag, _)| flags & flag != 0 && !sys::seccomp::knows_flag(*flag));
    let what = "unable to init seccomp";
    match (errno, unknown) {
        _ if detail == step::READ => {
            Error::os(format!("{what}: read under the profile"), errno).remark(NEEDED)
        }
        _ if detail == step::LISTENER => {
            Error::os(format!("{what}: hand over the listener"), errno).remark(NEEDED)
        }
        (libc::EINVAL, Some((_, name))) => {
            let message = format!("{what}: the kernel does not know {name}");
            Error::new(ErrorKind::Unsupported, message).at("/linux/seccomp/flags")
        }
        (libc::EINVAL | libc::ENOSYS, None) if !sys::seccomp::knows_flag(0) => {
            Error::new(ErrorKind::Unsupported, format!("{what}: the kernel has no seccomp filters"))
        }
        (libc::EACCES, _) => {
            let why = "a profile without noNewPrivileges needs CAP_SYS_ADMIN";
            Error::os(format!("{what}: load the filter"), errno).remark(why)
        }
        (libc::EBUSY, _) => {
            let why = "an agent outside of the container listens already";
            Error::os(format!("{what}: load the filter"), errno).remark(why)
        }
        (libc::ENOMEM, _) => {
            let why = "the filters of a process may have 32768 instructions in all";
            Error::os(format!("{what}: load the filter"), errno).remark(why)
        }
        _ => Error::os(format!("{what}: load the filter"), errno),
    }
}

/// SECCOMP_FILTER_FLAG_* by the names of the specification, and what a listener needs.
const FILTER_FLAGS: [(u32, &str); 4] = [
    (2, "SECCOMP_FILTER_FLAG_LOG (Linux 4.14)"),
    (4, "SECCOMP_FILTER_FLAG_SPEC_ALLOW (Linux 4.17)"),
    (8, "listeners of SCMP_ACT_NOTIFY (Linux 5.0)"),
    // Known only together with a listener.
    (8 | 32, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19)"),
];

/// A limit could not be set, by init or by the caller.
pub(super) fn limit(resource: u32, soft: u64, hard: u64, errno: i32) -> Error {
    let name = rlimits::name(resource).to_uppercase();
    Error::os(format!("error setting rlimits: RLIMIT_{name} {soft}:{hard}"), errno)
}

/// The part of the op in words, if it is not the whole.
fn part(detail: u32) -> &'static str {
    match detail {
        step::TARGET => ": create mountpoint",
        step::FSOPEN => ": open the filesystem",
        step::OPTION => ": set option",
        step::SUPERBLOCK => ": make the filesystem",
        step::ATTACH => ": attach",
        step::ATTRIBUTES => ": change attributes",
        step::PROPAGATE => ": change propagation",
        step::MAP => ": map its ids",
        step::COPY => ": copy what it covers",
        step::LOCKED => ": cannot change locked flags",
        _ => "",
    }
}

fn mount(what: &str, errno: i32, detail: u32, note: &str) -> Error {
    let fixed = match detail {
        step::ON_ROOT => Some("mountpoint is on the top of rootfs"),
        step::INSIDE_PROC => Some("the target is inside /proc"),
        step::NOT_PROC => Some("cannot be mounted because it is not of type proc"),
        step::UNTRUSTED => Some("no procfs can be made or found that is surely one"),
        step::MISMATCH => Some("exists and is something else"),
        _ => None,
    };
    let error = match (fixed, detail) {
        (Some(why), _) => Error::new(ErrorKind::Mount, format!("{what}: {why}")),
        (None, step::TARGET) if errno == libc::ELOOP => Error::new(
            ErrorKind::Mount,
            format!("{what}: must be mounted on ordinary directory, not on a symlink"),
        ),
        (None, step::OPTION | step::COPY) => Error::os(format!("{what}{} {note}", part(detail)), errno),
        _ if note.is_empty() => Error::os(format!("{what}{}", part(detail)), errno),
        _ => Error::os(format!("{what}{}", part(detail)), errno).remark(note.trim_start_matches("; ")),
    };
    if error.kind() == ErrorKind::Kernel { error.kind_is(ErrorKind::Mount) } else { error }
}

fn lookup(plan: &Plan, errno: i32, detail: u32) -> Error {
    let exec = plan.program.ops().iter().find_map(|op| match op {
        Op::Exec { args, .. } => plan.program.texts(*args).next(),
        _ => None,
    });
    let name = exec.unwrap_or_default();
    let what = format!("exec: {name:?}");
    match detail {
        _ if !name.contains('/') => {
            Error::new(ErrorKind::CommandNotFound, format!("{what}: executable file not found in $PATH"))
        }
        step::NOT_FOUND => Error::os(what, errno).kind_is(ErrorKind::CommandNotFound),
        _ => Error::os(what, errno).kind_is(ErrorKind::CommandNotExecutable),
    }
}

/// Init ended at op `index` without saying why.
pub(super) fn obituary(plan: &Plan, cgroup: &Cgroup, index: usize, ended: Option<Ended>) -> Error {
    let killed = ended == Some(Ended::Signal(libc::SIGKILL));
    match cgroup.oom_kills() {
        Some(kills) if kills > 0 => out_of_memory(),
        None if killed && may_be_out_of_memory(plan) => out_of_memory(),
        _ => death(plan, index, ended),
    }
}

/// A scope goes with its last process, and what it has counted with it: then a limit of memory is the likely reason.
pub(crate) fn may_be_out_of_memory(plan: &Plan) -> bool {
    plan.cgroup.is_scope() && plan.cgroup.has_file("memory.max")
}

pub(crate) fn out_of_memory() -> Error {
    let message = "container init was OOM-killed (memory limit too low?)";
    Error::new(ErrorKind::OutOfMemory, message)
        .context("unable to start container process")
        .at("/linux/resources/memory/limit")
}

/// The same where no limit of its own can be the reason.
pub(super) fn death(plan: &Plan, index: usize, ended: Option<Ended>) -> Error {
    let place = plan.program.ops().get(index).map_or_else(String::new, |op| {
        format!(" at step {index:02} {} {}", op.name(), plan.program.operands(op)).trim_end().to_owned()
    });
    let how = match ended {
        Some(Ended::Signal(signal)) => format!("was killed by signal {signal}"),
        Some(Ended::Code(code)) => format!("exited with status {code}"),
        None => "ended".to_owned(),
    };
    let error = Error::new(ErrorKind::Died, format!("init {how}{place}"));
    if let Some(filter) = filtered(plan, index) {
        return error.remark(NEEDED).context(context(plan)).at(plan.program.site(filter));
    }
    let error = error.context(context(plan));
    match plan.program.site(index) {
        "" => error,
        pointer => error.at(pointer),
    }
}

/// The op that loaded a filter, if one was in force at op `index`.
fn filtered(plan: &Plan, index: usize) -> Option<usize> {
    let loads = |op: &Op| matches!(op, Op::Seccomp { .. });
    plan.program.ops().iter().take(index.saturating_add(1)).position(loads)
}

/// Nothing was heard in time, while init was at op `index`, or the socket failed.
pub(super) fn unheard(plan: &Plan, index: usize, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::TimedOut => {}
        _ if error.raw_os_error() == Some(libc::ECANCELED) => return until::cancelled(),
        _ => return Error::io("hear from init", error),
    }
    let step = plan.program.ops().get(index).map_or("?", Op::name);
    let error =
        Error::new(ErrorKind::TimedOut, format!("init is not ready in time: at step {index:02} {step}"));
    match plan.program.site(index) {
        "" => error.context(context(plan)),
        pointer => error.context(context(plan)).at(pointer),
    }
}
