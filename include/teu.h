/* teu.h - the C interface of teu, an OCI container runtime. Generated from capi/, not to be edited.
 *
 *  results   0 or above is success; below 0 is an `enum teu_code`. The error object comes last: NULL if it is not wanted, written
 *            only on failure, freed by teu_error_free. `Errors:` lists the codes; TEU_EINTERNAL, a bug, is possible everywhere. errno is not used.
 *  outputs   Written on success; on failure pointers are NULL and descriptors -1. There is no partial success.
 *  inputs    Borrowed for the call. Descriptors are copied inside and stay the caller's; returned ones are the caller's, close-on-exec.
 *  strings   End with NUL; text is UTF-8, paths are bytes. Returned `char *` are freed by teu_free; `const char *` are borrowed.
 *  structs   Begin with `size`: sizeof, set by the caller. Zero is the default of every other member. A descriptor counts only with its flag.
 *            A shorter struct is filled up with zeros; a longer one is taken if what this library does not know is zero (else TEU_E2BIG).
 *  handles   Counted references. They are no addresses: a stale one is TEU_EINVAL. *_unref(NULL) and *_free(NULL) do nothing. The end of
 *            the last reference never ends a container.
 *  threads   `Threads:` tells what may be called where: every function from any thread, on the same handle too. The lock of a container is one for
 *            all processes. No function is for signal handlers; a handler may write to teu_cancel_fd.
 *  time      A `call` that is NULL and a timeout of 0 are the default of the context, and that may be: no limit.
 *  the host  No fork, no threads, no signal handlers, no output; cwd, umask, environment, limits and ids are left alone.
 */

#ifndef TEU_H
#define TEU_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The version of this header: 0xMMmmpp. */
#define TEU_VERSION_NUMBER 0x000100

typedef struct teu teu_t;                     /* a context: the state root and the options of a host */
typedef struct teu_container teu_container_t; /* a container */
typedef struct teu_process teu_process_t;     /* a process that teu_container_exec started */
typedef struct teu_list teu_list_t;           /* the containers of a root at one moment */
typedef struct teu_error teu_error_t;         /* why a call failed */
typedef struct teu_cancel teu_cancel_t;       /* ends calls from another thread */
typedef struct teu_events teu_events_t;       /* what happens to a container */

/* What a call can fail with. Stable numbers, never used again for something else. A program must bear numbers that it does
 * not know.
 */
enum teu_code {
    /* No error. */
    TEU_OK = 0,
    /* An argument is malformed: NULL, a stale handle, an id, a path, a signal, an unknown flag, a bad descriptor. */
    TEU_EINVAL = -1,
    /* There is no such container. */
    TEU_ENOTFOUND = -2,
    /* The id is in use. */
    TEU_EEXISTS = -3,
    /* Not allowed in the container's present status. */
    TEU_ESTATE = -4,
    /* The container or the process has ended. */
    TEU_ENOTRUNNING = -5,
    /* The container is paused. */
    TEU_EPAUSED = -6,
    /* Another operation holds the container and the deadline passed, or its cgroup is occupied. */
    TEU_EBUSY = -7,
    /* The configuration breaks a rule of the specification; `teu_error_pointer` names the place. */
    TEU_ESPEC = -8,
    /* The kernel, the host or this build lacks what was asked for. */
    TEU_EUNSUPPORTED = -9,
    /* The caller may not do this. */
    TEU_EPERM = -10,
    /* The program does not exist in the container; engines report 127. */
    TEU_ECMDNOTFOUND = -11,
    /* The program exists and cannot be executed; engines report 126. */
    TEU_ECMDNOPERM = -12,
    /* A hook failed. */
    TEU_EHOOK = -13,
    /* A cgroup operation failed. */
    TEU_ECGROUP = -14,
    /* A mount or another step of the root filesystem failed. */
    TEU_EMOUNT = -15,
    /* The filter of system calls failed. Not used yet: reported as TEU_ESYS or TEU_EUNSUPPORTED. */
    TEU_ESECCOMP = -16,
    /* A security module failed. Not used yet: reported as TEU_ESYS or TEU_EUNSUPPORTED. */
    TEU_ELSM = -17,
    /* CRIU failed. Not used yet. */
    TEU_ECRIU = -18,
    /* The kernel refused a call for another reason; `teu_error_errno` tells. */
    TEU_ESYS = -19,
    /* No memory. */
    TEU_ENOMEM = -20,
    /* The call was cancelled and taken back. */
    TEU_ECANCELED = -21,
    /* The call took too long and was taken back. */
    TEU_ETIMEDOUT = -22,
    /* The container's memory limit killed its init before the program ran. */
    TEU_EOOM = -23,
    /* A struct is newer than the library and has something in its unknown tail. */
    TEU_E2BIG = -24,
    /* A bug of this library. */
    TEU_EINTERNAL = -99,
};

/* The status of a container. */
enum teu_status {
    /* `teu_create` is at work. */
    TEU_CREATING = 1,
    /* Init waits for `teu_container_start`. */
    TEU_CREATED = 2,
    /* The program runs. */
    TEU_RUNNING = 3,
    /* The container is frozen. */
    TEU_PAUSED = 4,
    /* Init has ended. */
    TEU_STOPPED = 5,
};

/* How important a log record is; a context gets those up to its `log_level`. */
enum teu_level {
    /* Something went wrong. */
    TEU_LOG_ERROR = 1,
    /* Something was ignored or is doubtful. */
    TEU_LOG_WARNING = 2,
    /* Something happened. */
    TEU_LOG_INFO = 3,
    /* What the library chose to do. */
    TEU_LOG_DEBUG = 4,
};

/* Flags of `teu_options`. */
enum teu_flag {
    /* systemd makes the cgroup, as a scope or a slice; `linux.cgroupsPath` is `slice:prefix:name` then. */
    TEU_SYSTEMD_CGROUP = 1,
    /* Containers are made without a cgroup; limits in a configuration are then an error. */
    TEU_NO_CGROUP = 2,
};

/* Flags of `teu_create_options` and `teu_exec_options`. Those marked (exec) hold for both. */
enum teu_create_flag {
    /* Enter the root filesystem without pivot_root, for roots that cannot be pivoted (an initramfs). */
    TEU_NO_PIVOT = 1,
    /* (exec) Keep the caller's session keyring. */
    TEU_NO_NEW_KEYRING = 2,
    /* `bundle_fd` is valid. */
    TEU_BUNDLE_FD = 32,
    /* (exec) `console_socket_fd` is valid. */
    TEU_CONSOLE_SOCKET_FD = 64,
    /* (exec) `pidfd_socket_fd` is valid. */
    TEU_PIDFD_SOCKET_FD = 128,
    /* Leave out the device rules that every container gets after those of its configuration. */
    TEU_NO_DEFAULT_DEVICES = 256,
    /* (exec) Keep the listener of a filter with SCMP_ACT_NOTIFY for `teu_container_take_seccomp_notify`. Nobody connects to `listenerPath`,
     * which the profile must have all the same; calls that init makes itself (read, close, capset, sendmsg; exec: execve too) cannot be asked for.
     */
    TEU_KEEP_SECCOMP_NOTIFY = 512,
    /* Give the program a socket of `sd_notify`: `teu_container_bind_notify_socket`. */
    TEU_NOTIFY_SOCKET = 1024,
};

/* Flags of `teu_exec_options` alone. */
enum teu_exec_flag {
    /* Enter a paused container too; the call returns when the container goes on. */
    TEU_EXEC_IGNORE_PAUSED = 16384,
};

/* Flags of `teu_container_kill`. */
enum teu_kill_flag {
    /* Every process of the container, not init alone. */
    TEU_KILL_ALL = 1,
};

/* Flags of `teu_container_delete` and `teu_delete`. */
enum teu_delete_flag {
    /* Also a container that is not stopped: its processes are killed first. One that does not exist is success. */
    TEU_DELETE_FORCE = 1,
};

/* Flags of `teu_spec_json`. */
enum teu_spec_flag {
    /* A configuration that an ordinary user can run. */
    TEU_SPEC_ROOTLESS = 1,
};

/* Flags of `teu_event_options`. */
enum teu_events_flag {
    /* Leave out TEU_EV_OOM. */
    TEU_EVENTS_NO_OOM = 1,
};

/* What can happen to a container. A program must bear numbers that it does not know. */
enum teu_event_type {
    /* Memory ran out; told before the end that it caused. `value`: how many processes were killed for it up to now, or
     * UINT64_MAX if that is not known: the kernel does not count (cgroup v1 before Linux 4.13), or systemd had removed the unit's counters. Then, on
     * cgroup v2 alone, the kernel's log tells, or without the right to it the counters of the slice. Who is killed within a second of what was told
     * belongs to it and is not told again, unless the container's own limit was reached once more. `detail`: `enum teu_oom`.
     */
    TEU_EV_OOM = 1,
    /* Init has ended; `teu_container_wait` tells how. */
    TEU_EV_EXIT = 2,
    /* No process is left in the container's cgroup, or no cgroup (cgroup2, on hybrid hosts too). */
    TEU_EV_EMPTY = 3,
    /* All processes stand (cgroup2 alone). */
    TEU_EV_FROZEN = 4,
    /* They go on (cgroup2 alone). */
    TEU_EV_THAWED = 5,
    /* A threshold of pressure was passed. `value`: its index in `pressure`. */
    TEU_EV_PRESSURE = 6,
};

/* Whose limit was reached when memory ran out. */
enum teu_oom {
    /* The container's own. */
    TEU_OOM_LIMIT = 1,
    /* That of a group above, or of the machine. */
    TEU_OOM_OUTSIDE = 2,
};

/* What is waited for under pressure. */
enum teu_pressure_resource {
    /* CPUs. */
    TEU_PRESSURE_CPU = 1,
    /* Memory. */
    TEU_PRESSURE_MEMORY = 2,
    /* Block devices. */
    TEU_PRESSURE_IO = 3,
};

/* What is known of a container at one moment. */
struct teu_state {
    /* `sizeof(struct teu_state)`. */
    size_t size;
    /* `enum teu_status`. */
    int32_t status;
    /* Init's pid in the creator's pid namespace; 0 when stopped. To act on it, use `teu_container_pidfd`. */
    int32_t pid;
    /* When `teu_create` began: nanoseconds since 1970. */
    uint64_t created_ns;
};

/* How long one call may take, and what ends it before. */
struct teu_call {
    /* `sizeof(struct teu_call)`. */
    size_t size;
    /* Nanoseconds from now on the monotonic clock; 0: the default of the context. */
    uint64_t timeout_ns;
    /* Ends the call when it is triggered; may be NULL. */
    teu_cancel_t *cancel;
};

/* How a process ended. */
struct teu_exit {
    /* `sizeof(struct teu_exit)`. */
    size_t size;
    /* Its exit code; -1 if it was killed by a signal, or if nobody can tell any more. */
    int32_t code;
    /* The signal that killed it, or 0. */
    int32_t signal;
    /* One number as shells make it: the code, 128 and the signal, or 255 if nobody can tell. */
    int32_t status;
    /* 0. */
    int32_t reserved0;
};

/* One line of the log; valid during the callback only. */
struct teu_log_record {
    /* The size of the struct as the library knows it. */
    size_t size;
    /* `enum teu_level`. */
    int32_t level;
    /* 0. */
    int32_t reserved0;
    /* Nanoseconds since 1970. */
    uint64_t time_ns;
    /* The part of the library that speaks. */
    const char *target;
    /* One line of UTF-8. */
    const char *message;
};

/* Gets the log records of a context, on the thread whose call makes them and during that call. */
typedef void (*teu_log_fn)(void *data, const struct teu_log_record *record);

/* Runs once, when a context is gone and no record can come any more. */
typedef void (*teu_destroy_fn)(void *data);

/* The options of a context. */
struct teu_options {
    /* `sizeof(struct teu_options)`. */
    size_t size;
    /* `enum teu_flag`. */
    uint64_t flags;
    /* Where the state of containers is kept. NULL: /run/teu. */
    const char *root;
    /* Gets log records; NULL: there is no log. */
    teu_log_fn log_fn;
    /* Given to `log_fn` and `log_destroy`; may be NULL, and is never looked into. */
    void *log_data;
    /* Called when the context is gone; may be NULL. Not called if `teu_new` fails. */
    teu_destroy_fn log_destroy;
    /* `enum teu_level`; 0: warnings and errors. */
    int32_t log_level;
    /* 0. */
    int32_t reserved0;
    /* How long a call may take if it does not say so itself, nanoseconds; 0: for ever. */
    uint64_t default_timeout_ns;
};

/* A descriptor and the number under which the program finds it. Its layout never changes. */
struct teu_fd_map {
    /* The number in the container; 0, 1 and 2 are the standard streams. */
    int32_t target;
    /* The caller's descriptor; it stays the caller's. */
    int32_t fd;
};

/* What a container is made from. */
struct teu_create_options {
    /* `sizeof(struct teu_create_options)`. */
    size_t size;
    /* `enum teu_create_flag`. */
    uint64_t flags;
    /* How long the call may take; may be NULL. */
    const struct teu_call *call;
    /* The bundle, a path in the caller's root, in UTF-8 because the state names it; NULL: `bundle_fd` has it. */
    const char *bundle;
    /* The bundle, a directory. With TEU_BUNDLE_FD. */
    int32_t bundle_fd;
    /* A connected unix stream socket that gets the terminal. With TEU_CONSOLE_SOCKET_FD. */
    int32_t console_socket_fd;
    /* A connected unix stream socket that gets a pidfd of init. With TEU_PIDFD_SOCKET_FD. */
    int32_t pidfd_socket_fd;
    /* 0. */
    int32_t reserved0;
    /* The configuration; NULL: `config.json` of the bundle. Relative paths in it are below the bundle. */
    const char *config_json;
    /* Its length. */
    size_t config_len;
    /* Descriptors for the program; NULL: none. A standard stream that is not named is the null device. */
    const struct teu_fd_map *fds;
    /* Their number. */
    size_t n_fds;
    /* The path of a listening unix stream socket that gets the terminal, or NULL. */
    const char *console_socket;
    /* The path of a listening unix stream socket that gets a pidfd of init, or NULL. */
    const char *pidfd_socket;
    /* Where to write init's pid, in decimal digits, or NULL. */
    const char *pid_file;
    /* Variables (`NAME=VALUE`) behind those of the configuration, or NULL; of two of one name the last wins. */
    const char *const *env;
    /* Their number. */
    size_t n_env;
};

/* More waiting than `stall_ns` within `window_ns` (PSI). Its layout never changes. */
struct teu_pressure {
    /* `enum teu_pressure_resource`. */
    int32_t resource;
    /* 1: only the time in which all tasks wait; 0: that in which at least one does. */
    int32_t full;
    /* So much waiting, nanoseconds. */
    uint64_t stall_ns;
    /* Within so many nanoseconds: half a second to ten seconds, without CAP_SYS_RESOURCE a multiple of two seconds. */
    uint64_t window_ns;
};

/* Which events are wanted. */
struct teu_event_options {
    /* `sizeof(struct teu_event_options)`. */
    size_t size;
    /* `enum teu_events_flag`. */
    uint64_t flags;
    /* Thresholds of pressure, or NULL. */
    const struct teu_pressure *pressure;
    /* Their number. */
    size_t n_pressure;
};

/* Something that happened. */
struct teu_event {
    /* `sizeof(struct teu_event)`. */
    size_t size;
    /* `enum teu_event_type`. */
    int32_t type;
    /* As the type says; else 0. */
    int32_t detail;
    /* As the type says; else 0. */
    uint64_t value;
};

/* What one more process of a container is made from. */
struct teu_exec_options {
    /* `sizeof(struct teu_exec_options)`. */
    size_t size;
    /* `enum teu_exec_flag` and `enum teu_create_flag`. */
    uint64_t flags;
    /* How long the call may take; may be NULL. */
    const struct teu_call *call;
    /* The process as the specification has it (config.json, /process). NULL: as the container's own. */
    const char *process_json;
    /* Its length. */
    size_t process_len;
    /* The program and its arguments, in place of those of the process; NULL: as they are. */
    const char *const *argv;
    /* Their number. */
    size_t argc;
    /* Variables (`NAME=VALUE`) behind those of the process, or NULL; of two of one name the last wins. */
    const char *const *env;
    /* Their number. */
    size_t n_env;
    /* The working directory in place of that of the process, or NULL. */
    const char *cwd;
    /* Descriptors for the program; NULL: none. A standard stream that is not named is the null device. */
    const struct teu_fd_map *fds;
    /* Their number. */
    size_t n_fds;
    /* A connected unix stream socket that gets the terminal. With TEU_CONSOLE_SOCKET_FD. */
    int32_t console_socket_fd;
    /* A connected unix stream socket that gets a pidfd of the process. With TEU_PIDFD_SOCKET_FD. */
    int32_t pidfd_socket_fd;
    /* The path of a listening unix stream socket that gets the terminal, or NULL. */
    const char *console_socket;
    /* The path of a listening unix stream socket that gets a pidfd of the process, or NULL. */
    const char *pidfd_socket;
    /* Where to write the pid of the process, in decimal digits, or NULL. */
    const char *pid_file;
    /* The cgroup it runs in, a path below the container's, or NULL: the container's own. */
    const char *cgroup;
    /* On a machine with cgroup v1 hierarchies: controller, path, controller, path; else NULL. In place of `cgroup`. */
    const char *const *cgroups;
    /* Their number: twice that of the pairs. */
    size_t n_cgroups;
};

/* What `teu_container_update` changes. */
struct teu_update_options {
    /* `sizeof(struct teu_update_options)`. */
    size_t size;
    /* 0. */
    uint64_t flags;
    /* How long another operation on the container is waited for; may be NULL. */
    const struct teu_call *call;
    /* A `linux.resources` of the specification: what it does not name stays. NULL: `{}`. */
    const char *resources_json;
    /* Its length. */
    size_t resources_len;
    /* A line such as `L3:0=ff;1=f0` for the container's resctrl group, or NULL. */
    const char *l3_cache_schema;
    /* A line such as `MB:0=70` for it, or NULL. */
    const char *mem_bw_schema;
};

/* What a container uses. Bit n of `valid` says that the nth member behind it could be told. */
struct teu_stats {
    /* `sizeof(struct teu_stats)`. */
    size_t size;
    /* The members that are told: 1 for `cpu_usage_ns`, 2 for `cpu_user_ns`, 4 for the next, and so on. */
    uint64_t valid;
    /* Time on CPUs, nanoseconds. */
    uint64_t cpu_usage_ns;
    /* In programs, nanoseconds. */
    uint64_t cpu_user_ns;
    /* In the kernel, nanoseconds. */
    uint64_t cpu_system_ns;
    /* Periods of the quota that have passed. */
    uint64_t cpu_periods;
    /* Those in which the quota was used up. */
    uint64_t cpu_throttled_periods;
    /* Time spent waiting for the next period, nanoseconds. */
    uint64_t cpu_throttled_ns;
    /* Memory in use, bytes. */
    uint64_t memory_usage;
    /* Its limit, bytes; UINT64_MAX, or a number close to 2^63 on cgroup v1, for none. */
    uint64_t memory_limit;
    /* The most that was in use, bytes. */
    uint64_t memory_max;
    /* How often the limit was in the way. */
    uint64_t memory_failures;
    /* Swap, bytes; on cgroup v1 together with memory. */
    uint64_t swap_usage;
    /* Its limit, bytes; UINT64_MAX for none. */
    uint64_t swap_limit;
    /* Pages of files, bytes. */
    uint64_t memory_cache;
    /* How often memory ran out (cgroup v2). */
    uint64_t oom;
    /* How many processes were killed for it. */
    uint64_t oom_kill;
    /* Processes and threads. */
    uint64_t pids_current;
    /* Their limit, or UINT64_MAX. */
    uint64_t pids_limit;
    /* Bytes read from block devices. */
    uint64_t io_read_bytes;
    /* Bytes written to them. */
    uint64_t io_write_bytes;
    /* Reads. */
    uint64_t io_reads;
    /* Writes. */
    uint64_t io_writes;
    /* Time in which a task waited for a CPU (PSI), microseconds. */
    uint64_t cpu_some_us;
    /* Time in which a task waited for memory, microseconds. */
    uint64_t memory_some_us;
    /* Time in which all of them did, microseconds. */
    uint64_t memory_full_us;
    /* Time in which a task waited for a block device, microseconds. */
    uint64_t io_some_us;
    /* Time in which all of them did, microseconds. */
    uint64_t io_full_us;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* Makes a cancellation that is not triggered. It may be given to any number of calls.
 *
 * Errors: TEU_EINVAL, TEU_ESYS (no descriptor left).
 * Threads: any.
 */
int teu_cancel_new(teu_cancel_t **out, teu_error_t **err);

/* Ends every call that waits with it, now and later, with TEU_ECANCELED. From any thread; a signal handler writes to
 * `teu_cancel_fd` instead. NULL is ignored.
 *
 * Threads: any.
 */
void teu_cancel_trigger(teu_cancel_t *cancel);

/* Its eventfd, readable when it is triggered. Writing 8 bytes that are not all zero triggers it, also in a signal handler. Borrowed
 * until `teu_cancel_free`; -1 if `cancel` is none.
 *
 * Threads: any.
 */
int teu_cancel_fd(const teu_cancel_t *cancel);

/* Gives a cancellation back; calls under way keep theirs. NULL is ignored.
 *
 * Threads: any.
 */
void teu_cancel_free(teu_cancel_t *cancel);

/* One more reference to a container. Returns `container`, or NULL if it is none.
 *
 * Threads: any.
 */
teu_container_t *teu_container_ref(teu_container_t *container);

/* Gives a reference back. The container itself goes on; with the last reference a terminal that nobody took is closed. NULL is
 * ignored.
 *
 * Threads: any.
 */
void teu_container_unref(teu_container_t *container);

/* The id. Borrowed as long as the reference; NULL if `container` is none.
 *
 * Threads: any.
 */
const char *teu_container_id(const teu_container_t *container);

/* What the container is doing now.
 *
 * Errors: TEU_EINVAL, TEU_ENOTFOUND (it was deleted), TEU_ESYS.
 * Threads: any.
 */
int teu_container_state(teu_container_t *container, struct teu_state *state, teu_error_t **err);

/* The state as the specification's JSON. Freed by `teu_free`; `len` may be NULL.
 *
 * Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ESYS, TEU_ENOMEM.
 * Threads: any.
 */
int teu_container_state_json(teu_container_t *container, char **out, size_t *len, teu_error_t **err);

/* Lets init execute the container's program. With `startContainer` or `poststart` hooks it returns when they have run.
 *
 * Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ESTATE, TEU_ESPEC (there is no program), TEU_EBUSY, TEU_EHOOK, TEU_ETIMEDOUT, TEU_ECANCELED,
 * TEU_ESYS. When a hook fails or has no time any more, the container has been ended and is to be deleted.
 * Threads: any; takes the lock of the container.
 */
int teu_container_start(teu_container_t *container,
                        const struct teu_call *call,
                        teu_error_t **err);

/* Sends a signal to init; with TEU_KILL_ALL to every process of the container. Takes no lock and waits for nothing.
 *
 * Errors: TEU_EINVAL (also for a number that is no signal), TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_EPERM, TEU_ESYS.
 * Threads: any.
 */
int teu_container_kill(teu_container_t *container,
                       int signal,
                       uint64_t flags,
                       teu_error_t **err);

/* Removes the container; with TEU_DELETE_FORCE also one that runs. The handle stays valid and says TEU_ENOTFOUND from here on.
 *
 * Errors: TEU_EINVAL, TEU_ENOTFOUND (not with force), TEU_ESTATE, TEU_EBUSY, TEU_ECGROUP, TEU_ECANCELED, TEU_ESYS. What `poststop`
 * hooks do wrong is logged as a warning.
 * Threads: any; takes the lock of the container.
 */
int teu_container_delete(teu_container_t *container,
                         uint64_t flags,
                         const struct teu_call *call,
                         teu_error_t **err);

/* Removes a container by its id, also one whose creation was cut short so that it cannot be opened.
 *
 * Errors: those of `teu_container_delete`.
 * Threads: any; takes the lock of the container.
 */
int teu_delete(teu_t *teu, const char *id, uint64_t flags, teu_error_t **err);

/* Freezes every process of the container; returns when they stand.
 *
 * Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_ESTATE, TEU_EUNSUPPORTED, TEU_EBUSY, TEU_ETIMEDOUT, TEU_ECANCELED, TEU_EPERM,
 * TEU_ECGROUP.
 * Threads: any; takes the lock of the container.
 */
int teu_container_pause(teu_container_t *container,
                        const struct teu_call *call,
                        teu_error_t **err);

/* Lets the processes of a paused container go on.
 *
 * Errors: those of `teu_container_pause`.
 * Threads: any; takes the lock of the container.
 */
int teu_container_resume(teu_container_t *container, const struct teu_call *call, teu_error_t **err);

/* Waits for the end of init and tells how it ended; again and again the same. The container goes on if the time is over.
 *
 * Errors: TEU_EINVAL, TEU_ENOTRUNNING (it had ended before this handle was made), TEU_ETIMEDOUT, TEU_ECANCELED, TEU_ESYS.
 * Threads: any.
 */
int teu_container_wait(teu_container_t *container,
                       const struct teu_call *call,
                       struct teu_exit *exit,
                       teu_error_t **err);

/* A descriptor of init, readable when it has ended. Returns it, 0 or above; it is the caller's, close-on-exec.
 *
 * Errors: TEU_EINVAL, TEU_ENOTRUNNING (it had ended before this handle was made), TEU_ESYS.
 * Threads: any.
 */
int teu_container_pidfd(teu_container_t *container,
                        teu_error_t **err);

/* The master of the container's terminal, once, from the handle that `teu_create` gave. Returns it, 0 or above; it is the caller's,
 * close-on-exec. The last copy that is closed hangs the terminal up.
 *
 * Errors: TEU_EINVAL, TEU_ESTATE (there is none, or it was taken or sent to a socket).
 * Threads: any.
 */
int teu_container_take_console(teu_container_t *container,
                               teu_error_t **err);

/* The listener of the container's filter (`ioctl` SECCOMP_IOCTL_NOTIF_RECV), once, from the handle that `teu_create` gave with
 * TEU_KEEP_SECCOMP_NOTIFY. Returns it, 0 or above; it is the caller's, close-on-exec. When the last copy is closed, calls that wait for an answer get ENOSYS.
 *
 * Errors: TEU_EINVAL, TEU_ESTATE (none was to be kept, or it was taken).
 * Threads: any.
 */
int teu_container_take_seccomp_notify(teu_container_t *container,
                                      teu_error_t **err);

/* Binds the socket that the container's program finds through `NOTIFY_SOCKET`, in the place of one bound before; to be done before the start. Returns
 * a datagram socket, 0 or above, which receives what `sd_notify` sends (`READY=1`); it is the caller's, close-on-exec.
 *
 * Errors: TEU_EINVAL, TEU_ESTATE (it was made without TEU_NOTIFY_SOCKET), TEU_ESYS.
 * Threads: any.
 */
int teu_container_bind_notify_socket(teu_container_t *container,
                                     teu_error_t **err);

/* The pids of all processes of the container, in rising order, in the caller's pid namespace. `*pids` is freed by `teu_free`.
 *
 * Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_EUNSUPPORTED (it has no cgroup), TEU_ECGROUP, TEU_ENOMEM.
 * Threads: any.
 */
int teu_container_ps(teu_container_t *container,
                     pid_t **pids,
                     size_t *n,
                     teu_error_t **err);

/* Where the container's cgroup is: its path, freed by `teu_free`, and a descriptor of the directory (O_PATH), which is the
 * caller's. Either may be NULL. On a machine with cgroup v1 hierarchies it is the cgroup2 one, else the first.
 *
 * Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_EUNSUPPORTED (it has no cgroup), TEU_ESYS, TEU_ENOMEM.
 * Threads: any.
 */
int teu_container_cgroup(teu_container_t *container,
                         char **path,
                         int *fd,
                         teu_error_t **err);

/* Makes a context. The root is made by the first container.
 *
 * Errors: TEU_EINVAL, TEU_E2BIG. `options` may be NULL.
 * Threads: any.
 */
int teu_new(const struct teu_options *options, teu_t **out, teu_error_t **err);

/* One more reference to a context. Returns `teu`, or NULL if it is no context.
 *
 * Threads: any.
 */
teu_t *teu_ref(teu_t *teu);

/* Gives a reference back. Containers keep their context alive; when the last of them is gone too, `log_destroy` is called. NULL is
 * ignored.
 *
 * Threads: any.
 */
void teu_unref(teu_t *teu);

/* Asks now what `teu_create` has to know about the machine, so that the first one is as fast as the others.
 *
 * Errors: TEU_EINVAL, TEU_ESYS.
 * Threads: any.
 */
int teu_prepare(teu_t *teu, teu_error_t **err);

/* Creates a container, up to the point where its init waits for `teu_container_start`. On an error nothing is left of it.
 *
 * Errors: TEU_EINVAL, TEU_E2BIG, TEU_ESPEC, TEU_EEXISTS, TEU_EUNSUPPORTED, TEU_EPERM, TEU_ECMDNOTFOUND, TEU_ECMDNOPERM, TEU_EHOOK,
 * TEU_ECGROUP, TEU_EMOUNT, TEU_EOOM, TEU_ESYS, TEU_ENOMEM, TEU_ETIMEDOUT, TEU_ECANCELED.
 * Threads: any; takes the lock of the container.
 */
int teu_create(teu_t *teu,
               const char *id,
               const struct teu_create_options *options,
               teu_container_t **out,
               teu_error_t **err);

/* Finds a container by its id, whoever made it.
 *
 * Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_EINTERNAL (its record cannot be read).
 * Threads: any.
 */
int teu_open(teu_t *teu, const char *id, teu_container_t **out, teu_error_t **err);

/* Creates and starts a container, waits for its end and removes it. `exit` tells how its program ended.
 *
 * Errors: those of `teu_create` and `teu_container_start`; nothing is left of the container then.
 * Threads: any; takes the lock of the container.
 */
int teu_run(teu_t *teu,
            const char *id,
            const struct teu_create_options *options,
            struct teu_exit *exit,
            teu_error_t **err);

/* What `teu_create` would do, one line a step: for people. Freed by `teu_free`; `len` may be NULL. Touches nothing.
 *
 * Errors: TEU_EINVAL, TEU_E2BIG, TEU_ESPEC, TEU_EUNSUPPORTED, TEU_ESYS.
 * Threads: any.
 */
int teu_plan_text(teu_t *teu,
                  const char *id,
                  const struct teu_create_options *options,
                  char **out,
                  size_t *len,
                  teu_error_t **err);

/* Frees what a function of this library gave with the word that `teu_free` frees it, and nothing else. NULL is ignored.
 *
 * Threads: any.
 */
void teu_free(void *memory);

/* What this build can do: a features document of the specification. Freed by `teu_free`; `len` may be NULL.
 *
 * Errors: TEU_EINVAL, TEU_ENOMEM.
 * Threads: any.
 */
int teu_features_json(char **out, size_t *len, teu_error_t **err);

/* An example of a config.json: a shell in all the usual namespaces; with TEU_SPEC_ROOTLESS for an ordinary user. Freed by `teu_free`;
 * `len` may be NULL.
 *
 * Errors: TEU_EINVAL, TEU_ENOMEM.
 * Threads: any.
 */
int teu_spec_json(uint64_t flags,
                  char **out,
                  size_t *len,
                  teu_error_t **err);

/* Checks a configuration and touches nothing; `flags` is 0. What only this machine can refuse is seen by `teu_plan_text`.
 *
 * Errors: TEU_EINVAL, TEU_ESPEC with the place, TEU_EUNSUPPORTED.
 * Threads: any.
 */
int teu_validate(const char *json,
                 size_t len,
                 uint64_t flags,
                 teu_error_t **err);

/* The error's number (`enum teu_code`, negative); 0 if `error` is no error.
 *
 * Threads: any.
 */
int teu_error_code(const teu_error_t *error);

/* The errno of the system call that failed, or 0.
 *
 * Threads: any.
 */
int teu_error_errno(const teu_error_t *error);

/* What failed, where and why, on one line of UTF-8: the text that the command prints. Borrowed until `teu_error_free`; an empty
 * text if `error` is no error.
 *
 * Threads: any.
 */
const char *teu_error_message(const teu_error_t *error);

/* The part of the work in which it arose: "spec", "plan", "prepare", "launch", "init:STEP", or the name of the operation. Borrowed
 * until `teu_error_free`; an empty text if `error` is no error.
 *
 * Threads: any.
 */
const char *teu_error_phase(const teu_error_t *error);

/* The place in the configuration (RFC 6901, such as "/mounts/3/source"), or NULL. Borrowed until `teu_error_free`.
 *
 * Threads: any.
 */
const char *teu_error_pointer(const teu_error_t *error);

/* The length of the chain of causes: at least 1; 0 if `error` is no error.
 *
 * Threads: any.
 */
size_t teu_error_depth(const teu_error_t *error);

/* One cause: 0 is the outermost, the last is the first that went wrong. NULL beyond the end. Borrowed until `teu_error_free`.
 *
 * Threads: any.
 */
const char *teu_error_frame(const teu_error_t *error,
                            size_t index);

/* All of it as a JSON object: code, name, errno, phase, pointer, message, causes. Freed by `teu_free`; NULL without memory or
 * if `error` is no error.
 *
 * Threads: any.
 */
char *teu_error_json(const teu_error_t *error);

/* Gives an error back. NULL is ignored.
 *
 * Threads: any.
 */
void teu_error_free(teu_error_t *error);

/* What a code means, in a few words. Static; never NULL.
 *
 * Threads: any.
 */
const char *teu_strerror(int code);

/* Listens to what happens to the container from now on. `options` may be NULL. The container's own handle is not needed any more.
 *
 * Errors: TEU_EINVAL, TEU_E2BIG, TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_EUNSUPPORTED (pressure that the machine does not measure), TEU_EPERM, TEU_ESYS.
 * Threads: any.
 */
int teu_events_open(teu_container_t *container,
                    const struct teu_event_options *options,
                    teu_events_t **out,
                    teu_error_t **err);

/* The descriptor for poll and epoll: readable (POLLIN) when `teu_events_next` has something to say, and sometimes for nothing. Borrowed until
 * `teu_events_free`; -1 if `events` is none.
 *
 * Threads: any.
 */
int teu_events_fd(const teu_events_t *events);

/* The next event: 1 and the event, or 0 if nothing has happened. With `call` NULL it does not wait and allocates nothing; otherwise it waits for an
 * event. After TEU_EV_EXIT and TEU_EV_EMPTY nothing more comes. Threads that use one `events` wait for one another.
 *
 * Errors: TEU_EINVAL, TEU_ETIMEDOUT, TEU_ECANCELED, TEU_ESYS.
 * Threads: any; callers of one handle take turns.
 */
int teu_events_next(teu_events_t *events,
                    struct teu_event *event,
                    const struct teu_call *call,
                    teu_error_t **err);

/* Gives a source of events back, and its descriptor. NULL is ignored.
 *
 * Threads: any.
 */
void teu_events_free(teu_events_t *events);

/* Starts one more process in a container; when this returns, its program runs. On an error nothing is left of it.
 *
 * Errors: TEU_EINVAL, TEU_E2BIG, TEU_ENOTFOUND, TEU_ESTATE (it is stopped), TEU_EPAUSED, TEU_ESPEC, TEU_ECMDNOTFOUND, TEU_ECMDNOPERM,
 * TEU_EUNSUPPORTED, TEU_EPERM, TEU_ECGROUP, TEU_ESYS, TEU_ENOMEM, TEU_ETIMEDOUT, TEU_ECANCELED.
 * Threads: any.
 */
int teu_container_exec(teu_container_t *container,
                       const struct teu_exec_options *options,
                       teu_process_t **out,
                       teu_error_t **err);

/* Its pid in the caller's pid namespace. A pid may be used again: to act on the process, use `teu_process_pidfd`. -1 if
 * `process` is none.
 *
 * Threads: any.
 */
pid_t teu_process_pid(const teu_process_t *process);

/* A descriptor of the process, readable when it has ended. Returns it, 0 or above; it is the caller's, close-on-exec.
 *
 * Errors: TEU_EINVAL, TEU_ESYS.
 * Threads: any.
 */
int teu_process_pidfd(teu_process_t *process,
                      teu_error_t **err);

/* The master of its terminal, once. Returns it, 0 or above; it is the caller's, close-on-exec.
 *
 * Errors: TEU_EINVAL, TEU_ESTATE (there is none, or it was taken or sent to a socket).
 * Threads: any.
 */
int teu_process_take_console(teu_process_t *process, teu_error_t **err);

/* The listener of its filter, once, of a process that was started with TEU_KEEP_SECCOMP_NOTIFY: as `teu_container_take_seccomp_notify`.
 *
 * Errors: TEU_EINVAL, TEU_ESTATE (none was to be kept, or it was taken).
 * Threads: any.
 */
int teu_process_take_seccomp_notify(teu_process_t *process,
                                    teu_error_t **err);

/* Sends a signal to the process.
 *
 * Errors: TEU_EINVAL (also for a number that is no signal), TEU_ENOTRUNNING, TEU_EPERM, TEU_ESYS.
 * Threads: any.
 */
int teu_process_kill(teu_process_t *process, int signal, teu_error_t **err);

/* Waits for the end of the process and tells how it ended; again and again the same. The process goes on if the time is over.
 *
 * Errors: TEU_EINVAL, TEU_ETIMEDOUT, TEU_ECANCELED, TEU_ESYS.
 * Threads: any.
 */
int teu_process_wait(teu_process_t *process,
                     const struct teu_call *call,
                     struct teu_exit *exit,
                     teu_error_t **err);

/* One more reference to a process. Returns `process`, or NULL if it is none.
 *
 * Threads: any.
 */
teu_process_t *teu_process_ref(teu_process_t *process);

/* Gives a reference back. The process itself goes on. NULL is ignored.
 *
 * Threads: any.
 */
void teu_process_unref(teu_process_t *process);

/* Changes limits of a container that exists, all of them or none. What is ignored is logged as a warning.
 *
 * Errors: TEU_EINVAL, TEU_E2BIG, TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_ESPEC with the place, TEU_EUNSUPPORTED, TEU_EBUSY, TEU_EPERM,
 * TEU_ECGROUP, TEU_ETIMEDOUT, TEU_ECANCELED.
 * Threads: any; takes the lock of the container.
 */
int teu_container_update(teu_container_t *container,
                         const struct teu_update_options *options,
                         teu_error_t **err);

/* What the container uses now. The handle keeps the files of the cgroup open, some dozens of descriptors, until it is given back or the container is
 * deleted: so the next call is quick, allocates nothing, and after the end still tells what was used.
 *
 * Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ENOTRUNNING (it has ended, and this handle never asked before), TEU_EUNSUPPORTED (it has no cgroup), TEU_ESYS.
 * Threads: any; callers of one handle take turns.
 */
int teu_container_stats(teu_container_t *container,
                        struct teu_stats *stats,
                        teu_error_t **err);

/* All of it as the JSON that `events --stats` prints in its `data`. Freed by `teu_free`; `len` may be NULL.
 *
 * Errors: those of `teu_container_stats`, TEU_ENOMEM.
 * Threads: any.
 */
int teu_container_stats_json(teu_container_t *container, char **out, size_t *len, teu_error_t **err);

/* Looks at every container of the root, sorted by id. Takes no lock.
 *
 * Errors: TEU_EINVAL, TEU_EPERM, TEU_ESYS. A root that does not exist has no containers.
 * Threads: any.
 */
int teu_list(teu_t *teu, teu_list_t **out, teu_error_t **err);

/* The next container: 1, or 0 at the end. `*id` is borrowed until `teu_list_free`; `state` may be NULL.
 *
 * Errors: TEU_EINVAL; any other: what cannot be told of this one, which `*id` names; the next call goes on.
 * Threads: any; callers of one handle take turns.
 */
int teu_list_next(teu_list_t *list, const char **id, struct teu_state *state, teu_error_t **err);

/* Gives a list back. NULL is ignored.
 *
 * Threads: any.
 */
void teu_list_free(teu_list_t *list);

/* The states of all containers whose state can be told, as an array of the specification's JSON. Freed by `teu_free`; `len` may
 * be NULL.
 *
 * Errors: those of `teu_list`, TEU_ENOMEM.
 * Threads: any.
 */
int teu_list_json(teu_t *teu,
                  char **out,
                  size_t *len,
                  teu_error_t **err);

/* Adds mounts to the running container: a JSON array of entries as in `mounts` of a configuration, all of them or none. They count as part of the
 * container's configuration from then on.
 *
 * Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_ESTATE, TEU_ESPEC with the place, TEU_EUNSUPPORTED, TEU_EPERM, TEU_EMOUNT, TEU_EBUSY,
 * TEU_ETIMEDOUT, TEU_ECANCELED, TEU_ESYS.
 * Threads: any; takes the lock of the container.
 */
int teu_container_add_mounts(teu_container_t *container,
                             const char *json,
                             size_t len,
                             const struct teu_call *call,
                             teu_error_t **err);

/* Takes mounts away from the running container: a JSON array of entries, of which the `destination` counts. The topmost mount there goes; who has a
 * file of it open keeps it. Those before one that fails are gone.
 *
 * Errors: those of `teu_container_add_mounts`.
 * Threads: any; takes the lock of the container.
 */
int teu_container_remove_mounts(teu_container_t *container,
                                const char *json,
                                size_t len,
                                const struct teu_call *call,
                                teu_error_t **err);

/* The version as text, such as "0.1.0". Static: valid as long as the library is loaded, not to be freed.
 *
 * Threads: any.
 */
const char *teu_version(void);

/* The version as a number, `0xMMmmpp`; the header's `TEU_VERSION_NUMBER` is the one that the caller was compiled with.
 *
 * Threads: any.
 */
uint32_t teu_version_number(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TEU_H */
