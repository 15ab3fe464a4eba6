//! New containers, and finding those that exist.

use std::ffi::{CString, c_char, c_int};
use std::sync::{Arc, Mutex};

use teu::{CreateOptions, Exit, FdMap, Id, Receiver, Spec, Stdio};

use crate::abi::{
    teu_container_t, teu_create_flag, teu_create_options, teu_error_t, teu_exit, teu_fd_map, teu_t,
};
use crate::boundary::boundary;
use crate::container::{CONTAINERS, Container, Once};
use crate::context::{CONTEXTS, Context, check_flags};
use crate::failure::Failure;
use crate::ffi::{self, Filled, Place};

const BUNDLE_FD: u64 = teu_create_flag::TEU_BUNDLE_FD as u64;
pub(crate) const CONSOLE_SOCKET_FD: u64 = teu_create_flag::TEU_CONSOLE_SOCKET_FD as u64;
pub(crate) const PIDFD_SOCKET_FD: u64 = teu_create_flag::TEU_PIDFD_SOCKET_FD as u64;
const NO_PIVOT: u64 = teu_create_flag::TEU_NO_PIVOT as u64;
pub(crate) const NO_NEW_KEYRING: u64 = teu_create_flag::TEU_NO_NEW_KEYRING as u64;
const NO_DEFAULT_DEVICES: u64 = teu_create_flag::TEU_NO_DEFAULT_DEVICES as u64;
pub(crate) const KEEP_SECCOMP_NOTIFY: u64 = teu_create_flag::TEU_KEEP_SECCOMP_NOTIFY as u64;
const NOTIFY_SOCKET: u64 = teu_create_flag::TEU_NOTIFY_SOCKET as u64;
const KNOWN: u64 = BUNDLE_FD
    | CONSOLE_SOCKET_FD
    | PIDFD_SOCKET_FD
    | NO_PIVOT
    | NO_NEW_KEYRING
    | NO_DEFAULT_DEVICES
    | KEEP_SECCOMP_NOTIFY
    | NOTIFY_SOCKET;

/// Creates a container, up to the point where its init waits for `teu_container_start`. On an error nothing is left of it.
///
/// Errors: TEU_EINVAL, TEU_E2BIG, TEU_ESPEC, TEU_EEXISTS, TEU_EUNSUPPORTED, TEU_EPERM, TEU_ECMDNOTFOUND, TEU_ECMDNOPERM, TEU_EHOOK,
/// TEU_ECGROUP, TEU_EMOUNT, TEU_EOOM, TEU_ESYS, TEU_ENOMEM, TEU_ETIMEDOUT, TEU_ECANCELED.
/// Threads: any; takes the lock of the container.
#[unsafe(no_mangle)]
pub extern "C" fn teu_create(
    teu: *mut teu_t,
    id: *const c_char,
    options: *const teu_create_options,
    out: *mut *mut teu_container_t,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("create", err, || {
        let out = Place::at(out, std::ptr::null_mut())?;
        let new = New::of(teu, id, options)?;
        let created = new.context.logging(|| new.context.runtime.create(&new.id, &new.spec, new.options))?;
        out.put(give(&new.context, created)?);
        Ok(0)
    })
}

/// Finds a container by its id, whoever made it.
///
/// Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_EINTERNAL (its record cannot be read).
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_open(
    teu: *mut teu_t,
    id: *const c_char,
    out: *mut *mut teu_container_t,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("open", err, || {
        let out = Place::at(out, std::ptr::null_mut())?;
        let context = CONTEXTS.get(teu)?;
        let id = Id::new(ffi::text(id, "id")?)?;
        out.put(give(&context, context.logging(|| context.runtime.open(&id))?)?);
        Ok(0)
    })
}

/// Creates and starts a container, waits for its end and removes it. `exit` tells how its program ended.
///
/// Errors: those of `teu_create` and `teu_container_start`; nothing is left of the container then.
/// Threads: any; takes the lock of the container.
#[unsafe(no_mangle)]
pub extern "C" fn teu_run(
    teu: *mut teu_t,
    id: *const c_char,
    options: *const teu_create_options,
    exit: *mut teu_exit,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("run", err, || {
        let exit = Filled::at(exit)?;
        let new = New::of(teu, id, options)?;
        let ended = new.context.logging(|| new.context.runtime.run(&new.id, &new.spec, new.options))?;
        exit.put(&how(ended));
        Ok(0)
    })
}

/// What `teu_create` would do, one line a step: for people. Freed by `teu_free`; `len` may be NULL. Touches nothing.
///
/// Errors: TEU_EINVAL, TEU_E2BIG, TEU_ESPEC, TEU_EUNSUPPORTED, TEU_ESYS.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_plan_text(
    teu: *mut teu_t,
    id: *const c_char,
    options: *const teu_create_options,
    out: *mut *mut c_char,
    len: *mut usize,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("plan", err, || {
        crate::documents::give(out, len, || {
            let new = New::of(teu, id, options)?;
            let plan = new.context.logging(|| new.context.runtime.plan(&new.id, &new.spec, &new.options))?;
            Ok(plan.to_string())
        })
    })
}

/// What the arguments of a creation mean.
struct New {
    context: Arc<Context>,
    id: Id,
    spec: Spec,
    options: CreateOptions,
}

impl New {
    fn of(teu: *mut teu_t, id: *const c_char, options: *const teu_create_options) -> Result<Self, Failure> {
        let context = Arc::clone(&*CONTEXTS.get(teu)?);
        let id = Id::new(ffi::text(id, "id")?)?;
        let given = ffi::read(options)?;
        check_flags(given.flags, KNOWN)?;
        let options = create_options(&context, &given)?;
        let spec = context.logging(|| spec(&given))?;
        context.warn(spec.warnings());
        Ok(Self { context, id, spec, options })
    }
}

fn spec(given: &teu_create_options) -> Result<Spec, Failure> {
    use std::os::fd::AsFd;
    let json = ffi::maybe_bytes(given.config_json, given.config_len, "config_json")?;
    let open =
        (given.flags & BUNDLE_FD != 0).then(|| ffi::copy_fd(given.bundle_fd, "bundle_fd")).transpose()?;
    Ok(match (ffi::maybe_path(given.bundle), open, json) {
        (Some(path), None, None) => Spec::from_bundle(path)?,
        (Some(path), None, Some(json)) => Spec::from_json(path, &json)?,
        (None, Some(fd), None) => Spec::from_directory(fd.as_fd())?,
        (None, Some(fd), Some(json)) => Spec::from_json(Spec::path_of(fd.as_fd())?, &json)?,
        _ => return Err(Failure::invalid("one of bundle and bundle_fd is needed")),
    })
}

fn create_options(context: &Context, given: &teu_create_options) -> Result<CreateOptions, Failure> {
    let is = |flag: u64| given.flags & flag != 0;
    let patience = context.patience(given.call)?;
    let (stdio, fds) = descriptors(given.fds, given.n_fds)?;
    let console = is(CONSOLE_SOCKET_FD).then_some(given.console_socket_fd);
    let pidfd = is(PIDFD_SOCKET_FD).then_some(given.pidfd_socket_fd);
    Ok(CreateOptions {
        stdio,
        fds,
        pid_file: ffi::maybe_path(given.pid_file),
        no_pivot: is(NO_PIVOT),
        no_new_keyring: is(NO_NEW_KEYRING),
        env: ffi::texts(given.env, given.n_env, "env")?,
        cgroup_manager: context.cgroup_manager,
        no_default_device_rules: is(NO_DEFAULT_DEVICES),
        keep_seccomp_listener: is(KEEP_SECCOMP_NOTIFY),
        notify_socket: is(NOTIFY_SOCKET),
        console_socket: receiver(given.console_socket, console, "console_socket")?,
        pidfd_socket: receiver(given.pidfd_socket, pidfd, "pidfd_socket")?,
        timeout: patience.timeout,
        cancel: patience.cancel,
    })
}

/// Who gets a descriptor: a path, a socket, or nobody.
pub(crate) fn receiver(
    path: *const c_char,
    socket: Option<c_int>,
    what: &str,
) -> Result<Option<Receiver>, Failure> {
    match (ffi::maybe_path(path), socket) {
        (None, None) => Ok(None),
        (Some(path), None) => Ok(Some(Receiver::Path(path))),
        (None, Some(fd)) => Ok(Some(Receiver::Socket(ffi::copy_fd(fd, what)?))),
        (Some(_), Some(_)) => Err(Failure::invalid(format!("{what}: a path and a descriptor"))),
    }
}

/// Copies of the caller's descriptors, each under its number.
pub(crate) fn descriptors(
    maps: *const teu_fd_map,
    count: usize,
) -> Result<([Stdio; 3], Vec<FdMap>), Failure> {
    let (mut stdio, mut fds) = ([Stdio::Null, Stdio::Null, Stdio::Null], Vec::new());
    for map in ffi::fd_maps(maps, count)? {
        let fd = ffi::copy_fd(map.fd, "fds")?;
        match usize::try_from(map.target).ok().and_then(|target| stdio.get_mut(target)) {
            Some(Stdio::Null) => stdio[map.target as usize] = Stdio::Fd(fd),
            Some(_) => return Err(Failure::invalid(format!("invalid target descriptor {}", map.target))),
            None => fds.push(FdMap { target: map.target, fd }),
        }
    }
    Ok((stdio, fds))
}

fn give(context: &Arc<Context>, mut container: teu::Container) -> Result<*mut teu_container_t, Failure> {
    let console = Once::of(container.take_terminal());
    let listener = Once::of(container.take_seccomp_listener());
    let id = CString::new(container.id().as_str()).unwrap_or_default();
    let usage = Mutex::new(None);
    CONTAINERS.insert(Container { context: Arc::clone(context), id, console, listener, usage, container })
}

/// An end in C's words.
pub(crate) fn how(exit: Exit) -> teu_exit {
    let (code, signal) = (exit.code.unwrap_or(-1), exit.signal.unwrap_or(0));
    teu_exit { size: 0, code, signal, status: exit.status(), reserved0: 0 }
}
