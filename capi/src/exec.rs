//! One more process in a container.

use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;

use teu::{ExecCgroup, ExecOptions};

use crate::abi::{
    teu_call, teu_container_t, teu_error_t, teu_exec_flag, teu_exec_options, teu_exit, teu_process_t,
};
use crate::boundary::{boundary, quietly};
use crate::container::{CONTAINERS, NO_LISTENER, NO_TERMINAL, Once, copy};
use crate::context::{Context, check_flags};
use crate::create::{
    CONSOLE_SOCKET_FD, KEEP_SECCOMP_NOTIFY, NO_NEW_KEYRING, PIDFD_SOCKET_FD, descriptors, how, receiver,
};
use crate::failure::Failure;
use crate::ffi::{self, Filled, Place};
use crate::handle::Table;

static PROCESSES: Table<Process> = Table::new(5, "process");

const IGNORE_PAUSED: u64 = teu_exec_flag::TEU_EXEC_IGNORE_PAUSED as u64;
const KNOWN: u64 = CONSOLE_SOCKET_FD | PIDFD_SOCKET_FD | NO_NEW_KEYRING | IGNORE_PAUSED | KEEP_SECCOMP_NOTIFY;

/// What a `teu_process_t` stands for.
struct Process {
    context: Arc<Context>,
    console: Once,
    listener: Once,
    process: teu::Process,
}

/// Starts one more process in a container; when this returns, its program runs. On an error nothing is left of it.
///
/// Errors: TEU_EINVAL, TEU_E2BIG, TEU_ENOTFOUND, TEU_ESTATE (it is stopped), TEU_EPAUSED, TEU_ESPEC, TEU_ECMDNOTFOUND, TEU_ECMDNOPERM,
/// TEU_EUNSUPPORTED, TEU_EPERM, TEU_ECGROUP, TEU_ESYS, TEU_ENOMEM, TEU_ETIMEDOUT, TEU_ECANCELED.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_exec(
    container: *mut teu_container_t,
    options: *const teu_exec_options,
    out: *mut *mut teu_process_t,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("exec", err, || {
        let out = Place::at(out, ptr::null_mut())?;
        let found = CONTAINERS.get(container)?;
        let given = ffi::read(options)?;
        check_flags(given.flags, KNOWN)?;
        let options = exec_options(&found.context, &given)?;
        let started = found.context.logging(|| start(&found.container, &given, options));
        out.put(give(&found.context, started?)?);
        Ok(0)
    })
}

/// Its pid in the caller's pid namespace. A pid may be used again: to act on the process, use `teu_process_pidfd`. -1 if
/// `process` is none.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_process_pid(process: *const teu_process_t) -> libc::pid_t {
    quietly(-1, || PROCESSES.find(process).map_or(-1, |process| process.process.pid()))
}

/// A descriptor of the process, readable when it has ended. Returns it, 0 or above; it is the caller's, close-on-exec.
///
/// Errors: TEU_EINVAL, TEU_ESYS.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_process_pidfd(process: *mut teu_process_t, err: *mut *mut teu_error_t) -> c_int {
    boundary("pidfd", err, || copy(PROCESSES.get(process)?.process.pidfd()))
}

/// The master of its terminal, once. Returns it, 0 or above; it is the caller's, close-on-exec.
///
/// Errors: TEU_EINVAL, TEU_ESTATE (there is none, or it was taken or sent to a socket).
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_process_take_console(process: *mut teu_process_t, err: *mut *mut teu_error_t) -> c_int {
    boundary("console", err, || PROCESSES.get(process)?.console.take(NO_TERMINAL))
}

/// The listener of its filter, once, of a process that was started with TEU_KEEP_SECCOMP_NOTIFY: as `teu_container_take_seccomp_notify`.
///
/// Errors: TEU_EINVAL, TEU_ESTATE (none was to be kept, or it was taken).
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_process_take_seccomp_notify(
    process: *mut teu_process_t,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("seccomp", err, || PROCESSES.get(process)?.listener.take(NO_LISTENER))
}

/// Sends a signal to the process.
///
/// Errors: TEU_EINVAL (also for a number that is no signal), TEU_ENOTRUNNING, TEU_EPERM, TEU_ESYS.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_process_kill(
    process: *mut teu_process_t,
    signal: c_int,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("kill", err, || {
        PROCESSES.get(process)?.process.kill(signal)?;
        Ok(0)
    })
}

/// Waits for the end of the process and tells how it ended; again and again the same. The process goes on if the time is over.
///
/// Errors: TEU_EINVAL, TEU_ETIMEDOUT, TEU_ECANCELED, TEU_ESYS.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_process_wait(
    process: *mut teu_process_t,
    call: *const teu_call,
    exit: *mut teu_exit,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("wait", err, || {
        let (found, exit) = (PROCESSES.get(process)?, Filled::at(exit)?);
        let patience = found.context.patience(call)?;
        exit.put(&how(found.process.wait_within(&patience)?));
        Ok(0)
    })
}

/// One more reference to a process. Returns `process`, or NULL if it is none.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_process_ref(process: *mut teu_process_t) -> *mut teu_process_t {
    quietly(ptr::null_mut(), || PROCESSES.add_reference(process))
}

/// Gives a reference back. The process itself goes on. NULL is ignored.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_process_unref(process: *mut teu_process_t) {
    quietly((), || PROCESSES.give_back(process));
}

fn give(context: &Arc<Context>, mut process: teu::Process) -> Result<*mut teu_process_t, Failure> {
    let console = Once::of(process.take_terminal());
    let listener = Once::of(process.take_seccomp_listener());
    PROCESSES.insert(Process { context: Arc::clone(context), console, listener, process })
}

/// The process that the caller gave, or the container's own with what the caller changes.
fn start(
    container: &teu::Container,
    given: &teu_exec_options,
    options: ExecOptions,
) -> Result<teu::Process, Failure> {
    let json = ffi::maybe_bytes(given.process_json, given.process_len, "process_json")?;
    let args = ffi::texts(given.argv, given.argc, "argv")?;
    let cwd = (!given.cwd.is_null()).then(|| ffi::text(given.cwd, "cwd")).transpose()?;
    match json {
        Some(json) if args.is_empty() && cwd.is_none() => Ok(container.exec(&json, options)?),
        Some(_) => Err(Failure::invalid("argv and cwd are for a process without process_json")),
        None if args.is_empty() => Err(Failure::invalid("one of process_json and argv is needed")),
        None => Ok(container.exec_program(&args, cwd.as_deref(), options)?),
    }
}

/// Where it runs: below the container's cgroup, or by controller and path.
fn cgroup(given: &teu_exec_options) -> Result<ExecCgroup, Failure> {
    let mut words = ffi::texts(given.cgroups, given.n_cgroups, "cgroups")?.into_iter();
    let mut pairs = Vec::new();
    while let Some(controller) = words.next() {
        let path = words.next().ok_or_else(|| Failure::invalid("cgroups are pairs"))?;
        pairs.push((controller, path));
    }
    match ffi::maybe_utf8(given.cgroup, "cgroup")? {
        Some(path) if pairs.is_empty() => Ok(ExecCgroup::Below(path)),
        Some(_) => Err(Failure::invalid("cgroups are in place of cgroup")),
        None if pairs.is_empty() => Ok(ExecCgroup::Container),
        None => Ok(ExecCgroup::ByController(pairs)),
    }
}

fn exec_options(context: &Context, given: &teu_exec_options) -> Result<ExecOptions, Failure> {
    let is = |flag: u64| given.flags & flag != 0;
    let patience = context.patience(given.call)?;
    let (stdio, fds) = descriptors(given.fds, given.n_fds)?;
    let console = is(CONSOLE_SOCKET_FD).then_some(given.console_socket_fd);
    let pidfd = is(PIDFD_SOCKET_FD).then_some(given.pidfd_socket_fd);
    Ok(ExecOptions {
        stdio,
        fds,
        pid_file: ffi::maybe_path(given.pid_file),
        no_new_keyring: is(NO_NEW_KEYRING),
        keep_seccomp_listener: is(KEEP_SECCOMP_NOTIFY),
        env: ffi::texts(given.env, given.n_env, "env")?,
        console_socket: receiver(given.console_socket, console, "console_socket")?,
        pidfd_socket: receiver(given.pidfd_socket, pidfd, "pidfd_socket")?,
        ignore_paused: is(IGNORE_PAUSED),
        timeout: patience.timeout,
        cancel: patience.cancel,
        cgroup: cgroup(given)?,
    })
}
