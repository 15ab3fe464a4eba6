//! A container: its state, its life, its end.

use std::ffi::{CString, c_char, c_int};
use std::os::fd::OwnedFd;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use teu::stats::{Stats, StatsReader};
use teu::{Delete, Error, ErrorKind, Status, Summary};

use crate::abi::{
    teu_call, teu_container_t, teu_delete_flag, teu_error_t, teu_exit, teu_kill_flag, teu_state, teu_status,
    teu_t,
};
use crate::boundary::{boundary, quietly};
use crate::context::{CONTEXTS, Context, check_flags};
use crate::create::how;
use crate::documents;
use crate::failure::Failure;
use crate::ffi::{self, Filled, Place};
use crate::handle::Table;

pub(crate) static CONTAINERS: Table<Container> = Table::new(4, "container");

/// What a `teu_container_t` stands for.
pub(crate) struct Container {
    pub context: Arc<Context>,
    pub id: CString,
    pub console: Once,
    pub listener: Once,
    /// What `teu_container_stats` keeps open.
    pub usage: Mutex<Option<Usage>>,
    pub container: teu::Container,
}

/// The files that tell what a container uses, and the memory for what they say.
pub(crate) struct Usage {
    pub reader: StatsReader,
    pub stats: Stats,
}

/// A descriptor until somebody takes it.
pub(crate) struct Once(Mutex<Option<OwnedFd>>);

impl Once {
    pub fn of(fd: Option<impl Into<OwnedFd>>) -> Self {
        Self(Mutex::new(fd.map(Into::into)))
    }

    /// The descriptor, once; `none` says why there is none.
    pub fn take(&self, none: &str) -> Result<c_int, Failure> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(ffi::give_fd(taken.ok_or_else(|| Error::new(ErrorKind::InvalidState, none))?))
    }
}

pub(crate) const NO_TERMINAL: &str = "no terminal: it has none, or it was taken or sent to a socket";
pub(crate) const NO_LISTENER: &str = "no seccomp listener: none was to be kept, or it was taken";

/// One more reference to a container. Returns `container`, or NULL if it is none.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_ref(container: *mut teu_container_t) -> *mut teu_container_t {
    quietly(ptr::null_mut(), || CONTAINERS.add_reference(container))
}

/// Gives a reference back. The container itself goes on; with the last reference a terminal that nobody took is closed. NULL is
/// ignored.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_unref(container: *mut teu_container_t) {
    quietly((), || CONTAINERS.give_back(container));
}

/// The id. Borrowed as long as the reference; NULL if `container` is none.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_id(container: *const teu_container_t) -> *const c_char {
    quietly(ptr::null(), || CONTAINERS.find(container).map_or(ptr::null(), |found| found.id.as_ptr()))
}

/// What the container is doing now.
///
/// Errors: TEU_EINVAL, TEU_ENOTFOUND (it was deleted), TEU_ESYS.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_state(
    container: *mut teu_container_t,
    state: *mut teu_state,
    err: *mut *mut teu_error_t,
) -> c_int {
    act("state", container, err, |container| {
        let state = Filled::at(state)?;
        state.put(&brief(&container.summary()?));
        Ok(0)
    })
}

/// The state as the specification's JSON. Freed by `teu_free`; `len` may be NULL.
///
/// Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ESYS, TEU_ENOMEM.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_state_json(
    container: *mut teu_container_t,
    out: *mut *mut c_char,
    len: *mut usize,
    err: *mut *mut teu_error_t,
) -> c_int {
    act("state", container, err, |container| documents::give(out, len, || Ok(container.state()?.to_json())))
}

/// Lets init execute the container's program. With `startContainer` or `poststart` hooks it returns when they have run.
///
/// Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ESTATE, TEU_ESPEC (there is no program), TEU_EBUSY, TEU_EHOOK, TEU_ETIMEDOUT, TEU_ECANCELED,
/// TEU_ESYS. When a hook fails or has no time any more, the container has been ended and is to be deleted.
/// Threads: any; takes the lock of the container.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_start(
    container: *mut teu_container_t,
    call: *const teu_call,
    err: *mut *mut teu_error_t,
) -> c_int {
    act_within("start", container, call, err, |container, patience| Ok(container.start_within(patience)?))
}

/// Sends a signal to init; with TEU_KILL_ALL to every process of the container. Takes no lock and waits for nothing.
///
/// Errors: TEU_EINVAL (also for a number that is no signal), TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_EPERM, TEU_ESYS.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_kill(
    container: *mut teu_container_t,
    signal: c_int,
    flags: u64,
    err: *mut *mut teu_error_t,
) -> c_int {
    act("kill", container, err, |container| {
        let all = teu_kill_flag::TEU_KILL_ALL as u64;
        check_flags(flags, all)?;
        if flags & all != 0 {
            container.kill_all(signal)?
        } else {
            container.kill(signal)?
        }
        Ok(0)
    })
}

/// Removes the container; with TEU_DELETE_FORCE also one that runs. The handle stays valid and says TEU_ENOTFOUND from here on.
///
/// Errors: TEU_EINVAL, TEU_ENOTFOUND (not with force), TEU_ESTATE, TEU_EBUSY, TEU_ECGROUP, TEU_ECANCELED, TEU_ESYS. What `poststop`
/// hooks do wrong is logged as a warning.
/// Threads: any; takes the lock of the container.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_delete(
    container: *mut teu_container_t,
    flags: u64,
    call: *const teu_call,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("delete", err, || {
        let found = CONTAINERS.get(container)?;
        let (mode, patience) = (delete_mode(flags)?, found.context.patience(call)?);
        let warnings = found.context.logging(|| found.container.delete_within(mode, &patience))?;
        found.context.warn(&warnings);
        Ok(0)
    })
}

/// Removes a container by its id, also one whose creation was cut short so that it cannot be opened.
///
/// Errors: those of `teu_container_delete`.
/// Threads: any; takes the lock of the container.
#[unsafe(no_mangle)]
pub extern "C" fn teu_delete(
    teu: *mut teu_t,
    id: *const c_char,
    flags: u64,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("delete", err, || {
        let context = CONTEXTS.get(teu)?;
        let (id, mode) = (teu::Id::new(ffi::text(id, "id")?)?, delete_mode(flags)?);
        let warnings = context.logging(|| context.runtime.delete(&id, mode))?;
        context.warn(&warnings);
        Ok(0)
    })
}

/// Freezes every process of the container; returns when they stand.
///
/// Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_ESTATE, TEU_EUNSUPPORTED, TEU_EBUSY, TEU_ETIMEDOUT, TEU_ECANCELED, TEU_EPERM,
/// TEU_ECGROUP.
/// Threads: any; takes the lock of the container.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_pause(
    container: *mut teu_container_t,
    call: *const teu_call,
    err: *mut *mut teu_error_t,
) -> c_int {
    act_within("pause", container, call, err, |container, patience| Ok(container.pause_within(patience)?))
}

/// Lets the processes of a paused container go on.
///
/// Errors: those of `teu_container_pause`.
/// Threads: any; takes the lock of the container.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_resume(
    container: *mut teu_container_t,
    call: *const teu_call,
    err: *mut *mut teu_error_t,
) -> c_int {
    act_within("resume", container, call, err, |container, patience| Ok(container.resume_within(patience)?))
}

/// Waits for the end of init and tells how it ended; again and again the same. The container goes on if the time is over.
///
/// Errors: TEU_EINVAL, TEU_ENOTRUNNING (it had ended before this handle was made), TEU_ETIMEDOUT, TEU_ECANCELED, TEU_ESYS.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_wait(
    container: *mut teu_container_t,
    call: *const teu_call,
    exit: *mut teu_exit,
    err: *mut *mut teu_error_t,
) -> c_int {
    act_within("wait", container, call, err, |container, patience| {
        let exit = Filled::at(exit)?;
        exit.put(&how(container.wait_within(patience)?));
        Ok(())
    })
}

/// A descriptor of init, readable when it has ended. Returns it, 0 or above; it is the caller's, close-on-exec.
///
/// Errors: TEU_EINVAL, TEU_ENOTRUNNING (it had ended before this handle was made), TEU_ESYS.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_pidfd(container: *mut teu_container_t, err: *mut *mut teu_error_t) -> c_int {
    act("pidfd", container, err, |container| {
        let gone = || Error::new(ErrorKind::NotRunning, "container not running");
        copy(container.pidfd().ok_or_else(gone)?)
    })
}

/// The master of the container's terminal, once, from the handle that `teu_create` gave. Returns it, 0 or above; it is the caller's,
/// close-on-exec. The last copy that is closed hangs the terminal up.
///
/// Errors: TEU_EINVAL, TEU_ESTATE (there is none, or it was taken or sent to a socket).
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_take_console(
    container: *mut teu_container_t,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("console", err, || CONTAINERS.get(container)?.console.take(NO_TERMINAL))
}

/// The listener of the container's filter (`ioctl` SECCOMP_IOCTL_NOTIF_RECV), once, from the handle that `teu_create` gave with
/// TEU_KEEP_SECCOMP_NOTIFY. Returns it, 0 or above; it is the caller's, close-on-exec. When the last copy is closed, calls that wait for an answer get ENOSYS.
///
/// Errors: TEU_EINVAL, TEU_ESTATE (none was to be kept, or it was taken).
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_take_seccomp_notify(
    container: *mut teu_container_t,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("seccomp", err, || CONTAINERS.get(container)?.listener.take(NO_LISTENER))
}

/// Binds the socket that the container's program finds through `NOTIFY_SOCKET`, in the place of one bound before; to be done before the start. Returns
/// a datagram socket, 0 or above, which receives what `sd_notify` sends (`READY=1`); it is the caller's, close-on-exec.
///
/// Errors: TEU_EINVAL, TEU_ESTATE (it was made without TEU_NOTIFY_SOCKET), TEU_ESYS.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_bind_notify_socket(
    container: *mut teu_container_t,
    err: *mut *mut teu_error_t,
) -> c_int {
    act("notify socket", container, err, |container| {
        let none = || Error::new(ErrorKind::InvalidState, "the container was made without a notify socket");
        Ok(ffi::give_fd(container.bind_notify_socket()?.ok_or_else(none)?))
    })
}

/// The pids of all processes of the container, in rising order, in the caller's pid namespace. `*pids` is freed by `teu_free`.
///
/// Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_EUNSUPPORTED (it has no cgroup), TEU_ECGROUP, TEU_ENOMEM.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_ps(
    container: *mut teu_container_t,
    pids: *mut *mut libc::pid_t,
    n: *mut usize,
    err: *mut *mut teu_error_t,
) -> c_int {
    act("ps", container, err, |container| {
        let (pids, n) = (Place::at(pids, ptr::null_mut())?, Place::at(n, 0)?);
        let found = container.processes()?;
        pids.put(ffi::give_pids(&found)?);
        n.put(found.len());
        Ok(0)
    })
}

/// Where the container's cgroup is: its path, freed by `teu_free`, and a descriptor of the directory (O_PATH), which is the
/// caller's. Either may be NULL. On a machine with cgroup v1 hierarchies it is the cgroup2 one, else the first.
///
/// Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_EUNSUPPORTED (it has no cgroup), TEU_ESYS, TEU_ENOMEM.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_cgroup(
    container: *mut teu_container_t,
    path: *mut *mut c_char,
    fd: *mut c_int,
    err: *mut *mut teu_error_t,
) -> c_int {
    act("cgroup", container, err, |container| {
        let (path, fd) = (Place::maybe_at(path, ptr::null_mut())?, Place::maybe_at(fd, -1)?);
        let (found, directory) = container.cgroup_directory()?;
        if let Some(path) = path {
            path.put(ffi::give_text(&found.to_string_lossy())?.0);
        }
        if let Some(fd) = fd {
            fd.put(ffi::give_fd(directory));
        }
        Ok(0)
    })
}

/// One call on a container, whose log records go to its host.
pub(crate) fn act(
    verb: &'static str,
    handle: *const teu_container_t,
    err: *mut *mut teu_error_t,
    act: impl FnOnce(&teu::Container) -> Result<c_int, Failure>,
) -> c_int {
    boundary(verb, err, || {
        let found = CONTAINERS.get(handle)?;
        found.context.logging(|| act(&found.container))
    })
}

/// The same for a call that may wait.
pub(crate) fn act_within(
    verb: &'static str,
    handle: *const teu_container_t,
    call: *const teu_call,
    err: *mut *mut teu_error_t,
    act: impl FnOnce(&teu::Container, &teu::Patience) -> Result<(), Failure>,
) -> c_int {
    boundary(verb, err, || {
        let found = CONTAINERS.get(handle)?;
        let patience = found.context.patience(call)?;
        found.context.logging(|| act(&found.container, &patience)).map(|()| 0)
    })
}

/// A copy of a descriptor for the caller.
pub(crate) fn copy(fd: std::os::fd::BorrowedFd<'_>) -> Result<c_int, Failure> {
    let copy: std::io::Result<OwnedFd> = fd.try_clone_to_owned();
    Ok(ffi::give_fd(copy.map_err(|error| Error::io("copy the pidfd", &error))?))
}

fn delete_mode(flags: u64) -> Result<Delete, Failure> {
    let force = teu_delete_flag::TEU_DELETE_FORCE as u64;
    check_flags(flags, force)?;
    Ok(if flags & force != 0 { Delete::Force } else { Delete::OnlyStopped })
}

/// A summary in C's words.
pub(crate) fn brief(summary: &Summary) -> teu_state {
    let status = match summary.status {
        Status::Creating => teu_status::TEU_CREATING,
        Status::Created => teu_status::TEU_CREATED,
        Status::Running => teu_status::TEU_RUNNING,
        Status::Paused => teu_status::TEU_PAUSED,
        Status::Stopped => teu_status::TEU_STOPPED,
    };
    let created_ns = u64::try_from(summary.created.as_nanos()).unwrap_or(u64::MAX);
    teu_state { size: 0, status: status as i32, pid: summary.pid, created_ns }
}
