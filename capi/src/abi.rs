//! The types of the header: plain data, in C's layout. The comments are those of `teu.h`.
//!
//! Every struct that a caller fills begins with its size, so that it can grow; `Growing` in `ffi.rs` reads them. Nothing here is ever renumbered.
#![allow(non_camel_case_types, dead_code)]

use std::ffi::{c_char, c_void};

/// The state root and the options of a host. Opaque.
pub struct teu_t(());
/// A container. Opaque.
pub struct teu_container_t(());
/// A process that `teu_container_exec` started. Opaque.
pub struct teu_process_t(());
/// The containers of a root at one moment. Opaque.
pub struct teu_list_t(());
/// Why a call failed. Opaque.
pub struct teu_error_t(());
/// Ends calls from another thread or a signal handler. Opaque.
pub struct teu_cancel_t(());
/// What happens to a container. Opaque.
pub struct teu_events_t(());

/// What a call can fail with. Stable numbers, never used again for something else. A program must bear numbers that it does
/// not know.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_code {
    /// No error.
    TEU_OK = 0,
    /// An argument is malformed: NULL, a stale handle, an id, a path, a signal, an unknown flag, a bad descriptor.
    TEU_EINVAL = -1,
    /// There is no such container.
    TEU_ENOTFOUND = -2,
    /// The id is in use.
    TEU_EEXISTS = -3,
    /// Not allowed in the container's present status.
    TEU_ESTATE = -4,
    /// The container or the process has ended.
    TEU_ENOTRUNNING = -5,
    /// The container is paused.
    TEU_EPAUSED = -6,
    /// Another operation holds the container and the deadline passed, or its cgroup is occupied.
    TEU_EBUSY = -7,
    /// The configuration breaks a rule of the specification; `teu_error_pointer` names the place.
    TEU_ESPEC = -8,
    /// The kernel, the host or this build lacks what was asked for.
    TEU_EUNSUPPORTED = -9,
    /// The caller may not do this.
    TEU_EPERM = -10,
    /// The program does not exist in the container; engines report 127.
    TEU_ECMDNOTFOUND = -11,
    /// The program exists and cannot be executed; engines report 126.
    TEU_ECMDNOPERM = -12,
    /// A hook failed.
    TEU_EHOOK = -13,
    /// A cgroup operation failed.
    TEU_ECGROUP = -14,
    /// A mount or another step of the root filesystem failed.
    TEU_EMOUNT = -15,
    /// The filter of system calls failed. Not used yet: reported as TEU_ESYS or TEU_EUNSUPPORTED.
    TEU_ESECCOMP = -16,
    /// A security module failed. Not used yet: reported as TEU_ESYS or TEU_EUNSUPPORTED.
    TEU_ELSM = -17,
    /// CRIU failed. Not used yet.
    TEU_ECRIU = -18,
    /// The kernel refused a call for another reason; `teu_error_errno` tells.
    TEU_ESYS = -19,
    /// No memory.
    TEU_ENOMEM = -20,
    /// The call was cancelled and taken back.
    TEU_ECANCELED = -21,
    /// The call took too long and was taken back.
    TEU_ETIMEDOUT = -22,
    /// The container's memory limit killed its init before the program ran.
    TEU_EOOM = -23,
    /// A struct is newer than the library and has something in its unknown tail.
    TEU_E2BIG = -24,
    /// A bug of this library.
    TEU_EINTERNAL = -99,
}

/// The status of a container.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_status {
    /// `teu_create` is at work.
    TEU_CREATING = 1,
    /// Init waits for `teu_container_start`.
    TEU_CREATED = 2,
    /// The program runs.
    TEU_RUNNING = 3,
    /// The container is frozen.
    TEU_PAUSED = 4,
    /// Init has ended.
    TEU_STOPPED = 5,
}

/// How important a log record is; a context gets those up to its `log_level`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_level {
    /// Something went wrong.
    TEU_LOG_ERROR = 1,
    /// Something was ignored or is doubtful.
    TEU_LOG_WARNING = 2,
    /// Something happened.
    TEU_LOG_INFO = 3,
    /// What the library chose to do.
    TEU_LOG_DEBUG = 4,
}

/// Flags of `teu_options`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_flag {
    /// systemd makes the cgroup, as a scope or a slice; `linux.cgroupsPath` is `slice:prefix:name` then.
    TEU_SYSTEMD_CGROUP = 0x1,
    /// Containers are made without a cgroup; limits in a configuration are then an error.
    TEU_NO_CGROUP = 0x2,
}

/// Flags of `teu_create_options` and `teu_exec_options`. Those marked (exec) hold for both.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_create_flag {
    /// Enter the root filesystem without pivot_root, for roots that cannot be pivoted (an initramfs).
    TEU_NO_PIVOT = 0x1,
    /// (exec) Keep the caller's session keyring.
    TEU_NO_NEW_KEYRING = 0x2,
    /// `bundle_fd` is valid.
    TEU_BUNDLE_FD = 0x20,
    /// (exec) `console_socket_fd` is valid.
    TEU_CONSOLE_SOCKET_FD = 0x40,
    /// (exec) `pidfd_socket_fd` is valid.
    TEU_PIDFD_SOCKET_FD = 0x80,
    /// Leave out the device rules that every container gets after those of its configuration.
    TEU_NO_DEFAULT_DEVICES = 0x100,
    /// (exec) Keep the listener of a filter with SCMP_ACT_NOTIFY for `teu_container_take_seccomp_notify`. Nobody connects to `listenerPath`,
    /// which the profile must have all the same; calls that init makes itself (read, close, capset, sendmsg; exec: execve too) cannot be asked for.
    TEU_KEEP_SECCOMP_NOTIFY = 0x200,
    /// Give the program a socket of `sd_notify`: `teu_container_bind_notify_socket`.
    TEU_NOTIFY_SOCKET = 0x400,
}

/// Flags of `teu_exec_options` alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_exec_flag {
    /// Enter a paused container too; the call returns when the container goes on.
    TEU_EXEC_IGNORE_PAUSED = 0x4000,
}

/// Flags of `teu_container_kill`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_kill_flag {
    /// Every process of the container, not init alone.
    TEU_KILL_ALL = 0x1,
}

/// Flags of `teu_container_delete` and `teu_delete`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_delete_flag {
    /// Also a container that is not stopped: its processes are killed first. One that does not exist is success.
    TEU_DELETE_FORCE = 0x1,
}

/// Flags of `teu_event_options`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_events_flag {
    /// Leave out TEU_EV_OOM.
    TEU_EVENTS_NO_OOM = 0x1,
}

/// What can happen to a container. A program must bear numbers that it does not know.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_event_type {
    /// Memory ran out; told before the end that it caused. `value`: how many processes were killed for it up to now, or
    /// UINT64_MAX if that is not known: the kernel does not count (cgroup v1 before Linux 4.13), or systemd had removed the unit's counters. Then, on
    /// cgroup v2 alone, the kernel's log tells, or without the right to it the counters of the slice. Who is killed within a second of what was told
    /// belongs to it and is not told again, unless the container's own limit was reached once more. `detail`: `enum teu_oom`.
    TEU_EV_OOM = 1,
    /// Init has ended; `teu_container_wait` tells how.
    TEU_EV_EXIT = 2,
    /// No process is left in the container's cgroup, or no cgroup (cgroup2, on hybrid hosts too).
    TEU_EV_EMPTY = 3,
    /// All processes stand (cgroup2 alone).
    TEU_EV_FROZEN = 4,
    /// They go on (cgroup2 alone).
    TEU_EV_THAWED = 5,
    /// A threshold of pressure was passed. `value`: its index in `pressure`.
    TEU_EV_PRESSURE = 6,
}

/// Whose limit was reached when memory ran out.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_oom {
    /// The container's own.
    TEU_OOM_LIMIT = 1,
    /// That of a group above, or of the machine.
    TEU_OOM_OUTSIDE = 2,
}

/// What is waited for under pressure.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_pressure_resource {
    /// CPUs.
    TEU_PRESSURE_CPU = 1,
    /// Memory.
    TEU_PRESSURE_MEMORY = 2,
    /// Block devices.
    TEU_PRESSURE_IO = 3,
}

/// Flags of `teu_spec_json`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum teu_spec_flag {
    /// A configuration that an ordinary user can run.
    TEU_SPEC_ROOTLESS = 0x1,
}

/// One line of the log; valid during the callback only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_log_record {
    /// The size of the struct as the library knows it.
    pub size: usize,
    /// `enum teu_level`.
    pub level: i32,
    /// 0.
    pub reserved0: i32,
    /// Nanoseconds since 1970.
    pub time_ns: u64,
    /// The part of the library that speaks.
    pub target: *const c_char,
    /// One line of UTF-8.
    pub message: *const c_char,
}

/// Gets the log records of a context, on the thread whose call makes them and during that call.
pub type teu_log_fn = Option<extern "C" fn(data: *mut c_void, record: *const teu_log_record)>;

/// Runs once, when a context is gone and no record can come any more.
pub type teu_destroy_fn = Option<extern "C" fn(data: *mut c_void)>;

/// The options of a context.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_options {
    /// `sizeof(struct teu_options)`.
    pub size: usize,
    /// `enum teu_flag`.
    pub flags: u64,
    /// Where the state of containers is kept. NULL: /run/teu.
    pub root: *const c_char,
    /// Gets log records; NULL: there is no log.
    pub log_fn: teu_log_fn,
    /// Given to `log_fn` and `log_destroy`; may be NULL, and is never looked into.
    pub log_data: *mut c_void,
    /// Called when the context is gone; may be NULL. Not called if `teu_new` fails.
    pub log_destroy: teu_destroy_fn,
    /// `enum teu_level`; 0: warnings and errors.
    pub log_level: i32,
    /// 0.
    pub reserved0: i32,
    /// How long a call may take if it does not say so itself, nanoseconds; 0: for ever.
    pub default_timeout_ns: u64,
}

/// How long one call may take, and what ends it before.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_call {
    /// `sizeof(struct teu_call)`.
    pub size: usize,
    /// Nanoseconds from now on the monotonic clock; 0: the default of the context.
    pub timeout_ns: u64,
    /// Ends the call when it is triggered; may be NULL.
    pub cancel: *mut teu_cancel_t,
}

/// A descriptor and the number under which the program finds it. Its layout never changes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_fd_map {
    /// The number in the container; 0, 1 and 2 are the standard streams.
    pub target: i32,
    /// The caller's descriptor; it stays the caller's.
    pub fd: i32,
}

/// How a process ended.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_exit {
    /// `sizeof(struct teu_exit)`.
    pub size: usize,
    /// Its exit code; -1 if it was killed by a signal, or if nobody can tell any more.
    pub code: i32,
    /// The signal that killed it, or 0.
    pub signal: i32,
    /// One number as shells make it: the code, 128 and the signal, or 255 if nobody can tell.
    pub status: i32,
    /// 0.
    pub reserved0: i32,
}

/// What a container is made from.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_create_options {
    /// `sizeof(struct teu_create_options)`.
    pub size: usize,
    /// `enum teu_create_flag`.
    pub flags: u64,
    /// How long the call may take; may be NULL.
    pub call: *const teu_call,
    /// The bundle, a path in the caller's root, in UTF-8 because the state names it; NULL: `bundle_fd` has it.
    pub bundle: *const c_char,
    /// The bundle, a directory. With TEU_BUNDLE_FD.
    pub bundle_fd: i32,
    /// A connected unix stream socket that gets the terminal. With TEU_CONSOLE_SOCKET_FD.
    pub console_socket_fd: i32,
    /// A connected unix stream socket that gets a pidfd of init. With TEU_PIDFD_SOCKET_FD.
    pub pidfd_socket_fd: i32,
    /// 0.
    pub reserved0: i32,
    /// The configuration; NULL: `config.json` of the bundle. Relative paths in it are below the bundle.
    pub config_json: *const c_char,
    /// Its length.
    pub config_len: usize,
    /// Descriptors for the program; NULL: none. A standard stream that is not named is the null device.
    pub fds: *const teu_fd_map,
    /// Their number.
    pub n_fds: usize,
    /// The path of a listening unix stream socket that gets the terminal, or NULL.
    pub console_socket: *const c_char,
    /// The path of a listening unix stream socket that gets a pidfd of init, or NULL.
    pub pidfd_socket: *const c_char,
    /// Where to write init's pid, in decimal digits, or NULL.
    pub pid_file: *const c_char,
    /// Variables (`NAME=VALUE`) behind those of the configuration, or NULL; of two of one name the last wins.
    pub env: *const *const c_char,
    /// Their number.
    pub n_env: usize,
}

/// What one more process of a container is made from.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_exec_options {
    /// `sizeof(struct teu_exec_options)`.
    pub size: usize,
    /// `enum teu_exec_flag` and `enum teu_create_flag`.
    pub flags: u64,
    /// How long the call may take; may be NULL.
    pub call: *const teu_call,
    /// The process as the specification has it (config.json, /process). NULL: as the container's own.
    pub process_json: *const c_char,
    /// Its length.
    pub process_len: usize,
    /// The program and its arguments, in place of those of the process; NULL: as they are.
    pub argv: *const *const c_char,
    /// Their number.
    pub argc: usize,
    /// Variables (`NAME=VALUE`) behind those of the process, or NULL; of two of one name the last wins.
    pub env: *const *const c_char,
    /// Their number.
    pub n_env: usize,
    /// The working directory in place of that of the process, or NULL.
    pub cwd: *const c_char,
    /// Descriptors for the program; NULL: none. A standard stream that is not named is the null device.
    pub fds: *const teu_fd_map,
    /// Their number.
    pub n_fds: usize,
    /// A connected unix stream socket that gets the terminal. With TEU_CONSOLE_SOCKET_FD.
    pub console_socket_fd: i32,
    /// A connected unix stream socket that gets a pidfd of the process. With TEU_PIDFD_SOCKET_FD.
    pub pidfd_socket_fd: i32,
    /// The path of a listening unix stream socket that gets the terminal, or NULL.
    pub console_socket: *const c_char,
    /// The path of a listening unix stream socket that gets a pidfd of the process, or NULL.
    pub pidfd_socket: *const c_char,
    /// Where to write the pid of the process, in decimal digits, or NULL.
    pub pid_file: *const c_char,
    /// The cgroup it runs in, a path below the container's, or NULL: the container's own.
    pub cgroup: *const c_char,
    /// On a machine with cgroup v1 hierarchies: controller, path, controller, path; else NULL. In place of `cgroup`.
    pub cgroups: *const *const c_char,
    /// Their number: twice that of the pairs.
    pub n_cgroups: usize,
}

/// What a container uses. Bit n of `valid` says that the nth member behind it could be told.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_stats {
    /// `sizeof(struct teu_stats)`.
    pub size: usize,
    /// The members that are told: 1 for `cpu_usage_ns`, 2 for `cpu_user_ns`, 4 for the next, and so on.
    pub valid: u64,
    /// Time on CPUs, nanoseconds.
    pub cpu_usage_ns: u64,
    /// In programs, nanoseconds.
    pub cpu_user_ns: u64,
    /// In the kernel, nanoseconds.
    pub cpu_system_ns: u64,
    /// Periods of the quota that have passed.
    pub cpu_periods: u64,
    /// Those in which the quota was used up.
    pub cpu_throttled_periods: u64,
    /// Time spent waiting for the next period, nanoseconds.
    pub cpu_throttled_ns: u64,
    /// Memory in use, bytes.
    pub memory_usage: u64,
    /// Its limit, bytes; UINT64_MAX, or a number close to 2^63 on cgroup v1, for none.
    pub memory_limit: u64,
    /// The most that was in use, bytes.
    pub memory_max: u64,
    /// How often the limit was in the way.
    pub memory_failures: u64,
    /// Swap, bytes; on cgroup v1 together with memory.
    pub swap_usage: u64,
    /// Its limit, bytes; UINT64_MAX for none.
    pub swap_limit: u64,
    /// Pages of files, bytes.
    pub memory_cache: u64,
    /// How often memory ran out (cgroup v2).
    pub oom: u64,
    /// How many processes were killed for it.
    pub oom_kill: u64,
    /// Processes and threads.
    pub pids_current: u64,
    /// Their limit, or UINT64_MAX.
    pub pids_limit: u64,
    /// Bytes read from block devices.
    pub io_read_bytes: u64,
    /// Bytes written to them.
    pub io_write_bytes: u64,
    /// Reads.
    pub io_reads: u64,
    /// Writes.
    pub io_writes: u64,
    /// Time in which a task waited for a CPU (PSI), microseconds.
    pub cpu_some_us: u64,
    /// Time in which a task waited for memory, microseconds.
    pub memory_some_us: u64,
    /// Time in which all of them did, microseconds.
    pub memory_full_us: u64,
    /// Time in which a task waited for a block device, microseconds.
    pub io_some_us: u64,
    /// Time in which all of them did, microseconds.
    pub io_full_us: u64,
}

/// What `teu_container_update` changes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_update_options {
    /// `sizeof(struct teu_update_options)`.
    pub size: usize,
    /// 0.
    pub flags: u64,
    /// How long another operation on the container is waited for; may be NULL.
    pub call: *const teu_call,
    /// A `linux.resources` of the specification: what it does not name stays. NULL: `{}`.
    pub resources_json: *const c_char,
    /// Its length.
    pub resources_len: usize,
    /// A line such as `L3:0=ff;1=f0` for the container's resctrl group, or NULL.
    pub l3_cache_schema: *const c_char,
    /// A line such as `MB:0=70` for it, or NULL.
    pub mem_bw_schema: *const c_char,
}

/// More waiting than `stall_ns` within `window_ns` (PSI). Its layout never changes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_pressure {
    /// `enum teu_pressure_resource`.
    pub resource: i32,
    /// 1: only the time in which all tasks wait; 0: that in which at least one does.
    pub full: i32,
    /// So much waiting, nanoseconds.
    pub stall_ns: u64,
    /// Within so many nanoseconds: half a second to ten seconds, without CAP_SYS_RESOURCE a multiple of two seconds.
    pub window_ns: u64,
}

/// Which events are wanted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_event_options {
    /// `sizeof(struct teu_event_options)`.
    pub size: usize,
    /// `enum teu_events_flag`.
    pub flags: u64,
    /// Thresholds of pressure, or NULL.
    pub pressure: *const teu_pressure,
    /// Their number.
    pub n_pressure: usize,
}

/// Something that happened.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_event {
    /// `sizeof(struct teu_event)`.
    pub size: usize,
    /// `enum teu_event_type`.
    pub r#type: i32,
    /// As the type says; else 0.
    pub detail: i32,
    /// As the type says; else 0.
    pub value: u64,
}

/// What is known of a container at one moment.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct teu_state {
    /// `sizeof(struct teu_state)`.
    pub size: usize,
    /// `enum teu_status`.
    pub status: i32,
    /// Init's pid in the creator's pid namespace; 0 when stopped. To act on it, use `teu_container_pidfd`.
    pub pid: i32,
    /// When `teu_create` began: nanoseconds since 1970.
    pub created_ns: u64,
}
