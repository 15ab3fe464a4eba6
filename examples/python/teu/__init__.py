"""OCI containers through libteu.

    import teu
    with teu.Context("/run/engine") as context:
        with context.create("web1", bundle="/bundles/web", stdio={1: 1, 2: 2}) as container:
            container.start()
            print(container.wait().status)
            container.delete()

Every failure is a `teu.Error` with `code`, `errno`, `phase`, `pointer` and `causes`. Descriptors that come out are plain numbers and
the caller's to close; those that go in stay the caller's. Calls release the interpreter's lock, so other threads go on.
"""

import ctypes
import json
import os
from collections import namedtuple
from ctypes import POINTER, byref, c_char_p, c_int, c_int32, c_size_t, c_uint64, c_void_p, sizeof

_lib = ctypes.CDLL(os.environ.get("TEU_LIBRARY", "libteu.so.0"))

CREATING, CREATED, RUNNING, PAUSED, STOPPED = range(1, 6)
KILL_ALL = DELETE_FORCE = SPEC_ROOTLESS = 1
SYSTEMD_CGROUP, NO_CGROUP, NO_PIVOT, NO_NEW_KEYRING, BUNDLE_FD, NO_DEFAULT_DEVICES = 0x1, 0x2, 0x1, 0x2, 0x20, 0x100
KEEP_SECCOMP_NOTIFY, NOTIFY_SOCKET = 0x200, 0x400
EXEC_IGNORE_PAUSED = 0x4000
EV_OOM, EV_EXIT, EV_EMPTY, EV_FROZEN, EV_THAWED, EV_PRESSURE = range(1, 7)
OOM_LIMIT, OOM_OUTSIDE = 1, 2
PRESSURE_CPU, PRESSURE_MEMORY, PRESSURE_IO = 1, 2, 3
EINVAL, ENOTFOUND, EEXISTS, ESTATE, ENOTRUNNING, EPAUSED, EBUSY, ESPEC = range(-1, -9, -1)
EUNSUPPORTED, EPERM, ECMDNOTFOUND, ECMDNOPERM, EHOOK, ECGROUP, EMOUNT = range(-9, -16, -1)
ESYS, ENOMEM, ECANCELED, ETIMEDOUT, EOOM, E2BIG, EINTERNAL = -19, -20, -21, -22, -23, -24, -99

State = namedtuple("State", "status pid created_ns")
Exit = namedtuple("Exit", "code signal status")
Event = namedtuple("Event", "type detail value")


class _Struct(ctypes.Structure):
    """A struct of the header: it knows its size."""

    def __init__(self, **members):
        super().__init__(size=sizeof(self), **members)


class _Options(_Struct):
    _fields_ = [("size", c_size_t), ("flags", c_uint64), ("root", c_char_p), ("log_fn", c_void_p), ("log_data", c_void_p),
                ("log_destroy", c_void_p), ("log_level", c_int32), ("reserved0", c_int32), ("default_timeout_ns", c_uint64)]


class _Call(_Struct):
    _fields_ = [("size", c_size_t), ("timeout_ns", c_uint64), ("cancel", c_void_p)]


class _FdMap(ctypes.Structure):
    _fields_ = [("target", c_int32), ("fd", c_int32)]


class _Exit(_Struct):
    _fields_ = [("size", c_size_t), ("code", c_int32), ("signal", c_int32), ("status", c_int32), ("reserved0", c_int32)]


class _Create(_Struct):
    _fields_ = [("size", c_size_t), ("flags", c_uint64), ("call", POINTER(_Call)), ("bundle", c_char_p), ("bundle_fd", c_int32),
                ("console_socket_fd", c_int32), ("pidfd_socket_fd", c_int32), ("reserved0", c_int32), ("config_json", c_char_p),
                ("config_len", c_size_t), ("fds", POINTER(_FdMap)), ("n_fds", c_size_t), ("console_socket", c_char_p),
                ("pidfd_socket", c_char_p), ("pid_file", c_char_p), ("env", POINTER(c_char_p)), ("n_env", c_size_t)]


class _Exec(_Struct):
    _fields_ = [("size", c_size_t), ("flags", c_uint64), ("call", POINTER(_Call)), ("process_json", c_char_p),
                ("process_len", c_size_t), ("argv", POINTER(c_char_p)), ("argc", c_size_t), ("env", POINTER(c_char_p)),
                ("n_env", c_size_t), ("cwd", c_char_p), ("fds", POINTER(_FdMap)), ("n_fds", c_size_t), ("console_socket_fd", c_int32),
                ("pidfd_socket_fd", c_int32), ("console_socket", c_char_p), ("pidfd_socket", c_char_p), ("pid_file", c_char_p),
                ("cgroup", c_char_p), ("cgroups", POINTER(c_char_p)), ("n_cgroups", c_size_t)]


class _Update(_Struct):
    _fields_ = [("size", c_size_t), ("flags", c_uint64), ("call", POINTER(_Call)), ("resources_json", c_char_p), ("resources_len", c_size_t),
                ("l3_cache_schema", c_char_p), ("mem_bw_schema", c_char_p)]


class _Stats(_Struct):
    _fields_ = [("size", c_size_t), ("valid", c_uint64), ("cpu_usage_ns", c_uint64), ("cpu_user_ns", c_uint64),
                ("cpu_system_ns", c_uint64), ("cpu_periods", c_uint64), ("cpu_throttled_periods", c_uint64),
                ("cpu_throttled_ns", c_uint64), ("memory_usage", c_uint64), ("memory_limit", c_uint64), ("memory_max",
                c_uint64), ("memory_failures", c_uint64), ("swap_usage", c_uint64), ("swap_limit", c_uint64),
                ("memory_cache", c_uint64), ("oom", c_uint64), ("oom_kill", c_uint64), ("pids_current", c_uint64),
                ("pids_limit", c_uint64), ("io_read_bytes", c_uint64), ("io_write_bytes", c_uint64), ("io_reads", c_uint64),
                ("io_writes", c_uint64), ("cpu_some_us", c_uint64), ("memory_some_us", c_uint64), ("memory_full_us",
                c_uint64), ("io_some_us", c_uint64), ("io_full_us", c_uint64)]


class _Pressure(ctypes.Structure):
    _fields_ = [("resource", c_int32), ("full", c_int32), ("stall_ns", c_uint64), ("window_ns", c_uint64)]


class _EventOptions(_Struct):
    _fields_ = [("size", c_size_t), ("flags", c_uint64), ("pressure", POINTER(_Pressure)), ("n_pressure", c_size_t)]


class _Event(_Struct):
    _fields_ = [("size", c_size_t), ("type", c_int32), ("detail", c_int32), ("value", c_uint64)]


class _State(_Struct):
    _fields_ = [("size", c_size_t), ("status", c_int32), ("pid", c_int32), ("created_ns", c_uint64)]


def _declare(result, names):
    for name in names.split():
        getattr(_lib, "teu_" + name).restype = result


# What gives no int; handles and pointers are passed as c_void_p.
_declare(None, "unref error_free free cancel_trigger cancel_free container_unref process_unref list_free events_free")
_declare(c_int, "error_code error_errno")
_declare(c_void_p, "ref container_ref process_ref error_json")
_declare(c_size_t, "error_depth")
_declare(ctypes.c_uint32, "version_number")
_declare(c_char_p, "version strerror error_message error_phase error_pointer error_frame container_id")


class Error(Exception):
    """Why a call failed."""

    def __init__(self, handle):
        text = c_void_p(_lib.teu_error_json(c_void_p(handle)))
        parts = json.loads(ctypes.string_at(text)) if text else {}
        _lib.teu_free(text)
        _lib.teu_error_free(c_void_p(handle))
        super().__init__(parts.get("message", "unknown error"))
        self.code, self.name, self.errno = parts.get("code"), parts.get("name"), parts.get("errno")
        self.phase, self.pointer, self.causes = parts.get("phase"), parts.get("pointer"), parts.get("causes", [])


def _call(name, *arguments):
    """One call of the library; a failure is an exception."""
    err = c_void_p()
    result = getattr(_lib, "teu_" + name)(*arguments, byref(err))
    if result < 0:
        raise Error(err.value)
    return result


def _text(name, *arguments):
    out, length = c_void_p(), c_size_t()
    _call(name, *arguments, byref(out), byref(length))
    try:
        return ctypes.string_at(out, length.value).decode()
    finally:
        _lib.teu_free(out)


def _path(value):
    return None if value is None else os.fsencode(value)


def _texts(values):
    values = [os.fsencode(value) for value in values]
    return (c_char_p * len(values))(*values), len(values)


def _patience(timeout, cancel):
    return _Call(timeout_ns=int((timeout or 0) * 1e9), cancel=cancel._handle if cancel else None)


def _streams(stdio):
    maps = [_FdMap(target, fd if isinstance(fd, int) else fd.fileno()) for target, fd in (stdio or {}).items()]
    return (_FdMap * len(maps))(*maps), len(maps)


def version():
    return _lib.teu_version().decode()


def strerror(code):
    return _lib.teu_strerror(code).decode()


def features():
    return json.loads(_text("features_json"))


def spec(rootless=False):
    return json.loads(_text("spec_json", c_uint64(SPEC_ROOTLESS if rootless else 0)))


def validate(config):
    """Raises `Error` with the place of what is wrong in a configuration (a dictionary, or text)."""
    config = _config(config)
    _call("validate", config, c_size_t(len(config)), c_uint64(0))


def _config(config):
    if config is None or isinstance(config, bytes):
        return config
    return config.encode() if isinstance(config, str) else json.dumps(config).encode()


class _Handle:
    _end = None

    def __init__(self, handle):
        self._handle = handle

    def close(self):
        """Gives the handle back. What it stands for goes on."""
        handle, self._handle = self._handle, None
        getattr(_lib, "teu_" + self._end)(c_void_p(handle))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if getattr(self, "_handle", None):
            self.close()

    def _do(self, name, *arguments):
        return _call(name, c_void_p(self._handle), *arguments)


class Cancel(_Handle):
    """Ends calls that wait with it, from another thread."""
    _end = "cancel_free"

    def __init__(self):
        out = c_void_p()
        _call("cancel_new", byref(out))
        super().__init__(out.value)

    def trigger(self):
        _lib.teu_cancel_trigger(c_void_p(self._handle))

    def fileno(self):
        return _lib.teu_cancel_fd(c_void_p(self._handle))


class Process(_Handle):
    """One more process in a container."""
    _end = "process_unref"

    @property
    def pid(self):
        return _lib.teu_process_pid(c_void_p(self._handle))

    def pidfd(self):
        return self._do("process_pidfd")

    def take_console(self):
        return self._do("process_take_console")

    def take_seccomp_notify(self):
        return self._do("process_take_seccomp_notify")

    def kill(self, signal):
        self._do("process_kill", c_int(signal))

    def wait(self, timeout=None, cancel=None):
        exit = _Exit()
        self._do("process_wait", byref(_patience(timeout, cancel)), byref(exit))
        return Exit(exit.code, exit.signal, exit.status)


class Events(_Handle):
    """What happens to a container. Its fileno is for select and poll."""
    _end = "events_free"

    def fileno(self):
        return _lib.teu_events_fd(c_void_p(self._handle))

    def next(self):
        """An event that has happened, or None."""
        return self._next(None)

    def wait(self, timeout=None, cancel=None):
        return self._next(byref(_patience(timeout, cancel)))

    def _next(self, call):
        event = _Event()
        return Event(event.type, event.detail, event.value) if self._do("events_next", byref(event), call) else None


class Container(_Handle):
    """A container."""
    _end = "container_unref"

    @property
    def id(self):
        return _lib.teu_container_id(c_void_p(self._handle)).decode()

    def state(self):
        state = _State()
        self._do("container_state", byref(state))
        return State(state.status, state.pid, state.created_ns)

    def state_document(self):
        return json.loads(_text("container_state_json", c_void_p(self._handle)))

    def start(self, timeout=None, cancel=None):
        self._do("container_start", byref(_patience(timeout, cancel)))

    def kill(self, signal, everyone=False):
        self._do("container_kill", c_int(signal), c_uint64(KILL_ALL if everyone else 0))

    def wait(self, timeout=None, cancel=None):
        exit = _Exit()
        self._do("container_wait", byref(_patience(timeout, cancel)), byref(exit))
        return Exit(exit.code, exit.signal, exit.status)

    def delete(self, force=False, timeout=None, cancel=None):
        self._do("container_delete", c_uint64(DELETE_FORCE if force else 0), byref(_patience(timeout, cancel)))

    def pause(self, timeout=None, cancel=None):
        self._do("container_pause", byref(_patience(timeout, cancel)))

    def resume(self, timeout=None, cancel=None):
        self._do("container_resume", byref(_patience(timeout, cancel)))

    def update(self, resources, timeout=None, cancel=None):
        text, call = _config(resources), ctypes.pointer(_patience(timeout, cancel))
        self._do("container_update", byref(_Update(call=call, resources_json=text, resources_len=len(text))))

    def add_mounts(self, mounts, timeout=None, cancel=None):
        """Adds mounts while it runs: a list as in `mounts` of a configuration."""
        text = _config(mounts)
        self._do("container_add_mounts", text, c_size_t(len(text)), byref(_patience(timeout, cancel)))

    def remove_mounts(self, mounts, timeout=None, cancel=None):
        text = _config(mounts)
        self._do("container_remove_mounts", text, c_size_t(len(text)), byref(_patience(timeout, cancel)))

    def events(self, pressure=(), no_oom=False):
        """What happens to it from now on; `pressure` has tuples of a resource, 1 for all tasks or 0 for one, and two times in nanoseconds."""
        all, out = (_Pressure * len(pressure))(*(_Pressure(*one) for one in pressure)), c_void_p()
        options = _EventOptions(flags=1 if no_oom else 0, pressure=all, n_pressure=len(pressure))
        self._do("events_open", byref(options), byref(out))
        return Events(out.value)

    def stats(self):
        """What it uses now: a dictionary of what the kernel tells."""
        stats = _Stats()
        self._do("container_stats", byref(stats))
        names = [name for name, _ in _Stats._fields_[2:]]
        return {name: getattr(stats, name) for bit, name in enumerate(names) if stats.valid >> bit & 1}

    def stats_document(self):
        return json.loads(_text("container_stats_json", c_void_p(self._handle)))

    def pids(self):
        pids, count = POINTER(c_int)(), c_size_t()
        self._do("container_ps", byref(pids), byref(count))
        try:
            return pids[:count.value]
        finally:
            _lib.teu_free(pids)

    def cgroup(self):
        """The path of its cgroup."""
        out = c_void_p()
        self._do("container_cgroup", byref(out), None)
        try:
            return os.fsdecode(ctypes.string_at(out))
        finally:
            _lib.teu_free(out)

    def pidfd(self):
        return self._do("container_pidfd")

    def take_console(self):
        return self._do("container_take_console")

    def take_seccomp_notify(self):
        return self._do("container_take_seccomp_notify")

    def bind_notify_socket(self):
        """A datagram socket that hears what the program says by sd_notify; for a container made with NOTIFY_SOCKET, before the start."""
        return self._do("container_bind_notify_socket")

    def exec(self, args=(), process=None, env=(), cwd=None, stdio=None, cgroup=None, flags=0, timeout=None, cancel=None):
        """Starts one more process: `args` like the container's own, or a whole `process` of the specification."""
        (argv, argc), (env, n_env), (fds, n_fds) = _texts(args), _texts(env), _streams(stdio)
        text, out = _config(process), c_void_p()
        options = _Exec(flags=flags, call=ctypes.pointer(_patience(timeout, cancel)), process_json=text,
                        process_len=len(text or b""), argv=argv, argc=argc, env=env, n_env=n_env, cwd=_path(cwd), fds=fds,
                        n_fds=n_fds, cgroup=_path(cgroup))
        self._do("container_exec", byref(options), byref(out))
        return Process(out.value)


class Context(_Handle):
    """A state root and the containers below it."""
    _end = "unref"

    def __init__(self, root=None, flags=0, timeout=0):
        out = c_void_p()
        options = _Options(root=_path(root), flags=flags, default_timeout_ns=int(timeout * 1e9))
        _call("new", byref(options), byref(out))
        super().__init__(out.value)

    def probe(self):
        self._do("prepare")

    def _options(self, bundle, config, stdio, env, pid_file, flags, timeout, cancel):
        (env, n_env), (fds, n_fds), text = _texts(env), _streams(stdio), _config(config)
        by_fd = isinstance(bundle, int)
        return _Create(flags=flags | (BUNDLE_FD if by_fd else 0), call=ctypes.pointer(_patience(timeout, cancel)),
                       bundle=None if by_fd else _path(bundle), bundle_fd=bundle if by_fd else 0, config_json=text,
                       config_len=len(text or b""), fds=fds, n_fds=n_fds, pid_file=_path(pid_file), env=env, n_env=n_env)

    def create(self, id, bundle, config=None, stdio=None, env=(), pid_file=None, flags=0, timeout=None, cancel=None):
        """A created container. `bundle` is a path or an open directory; `stdio` maps numbers in the container to descriptors."""
        out = c_void_p()
        options = self._options(bundle, config, stdio, env, pid_file, flags, timeout, cancel)
        self._do("create", id.encode(), byref(options), byref(out))
        return Container(out.value)

    def run(self, id, bundle, config=None, stdio=None, env=(), pid_file=None, flags=0, timeout=None, cancel=None):
        """A container's whole life; tells how it ended."""
        exit = _Exit()
        options = self._options(bundle, config, stdio, env, pid_file, flags, timeout, cancel)
        self._do("run", id.encode(), byref(options), byref(exit))
        return Exit(exit.code, exit.signal, exit.status)

    def plan(self, id, bundle, config=None, flags=0):
        options = self._options(bundle, config, None, (), None, flags, None, None)
        return _text("plan_text", c_void_p(self._handle), id.encode(), byref(options))

    def open(self, id):
        out = c_void_p()
        self._do("open", id.encode(), byref(out))
        return Container(out.value)

    def delete(self, id, force=False):
        self._do("delete", id.encode(), c_uint64(DELETE_FORCE if force else 0))

    def list(self):
        """Pairs of an id and a `State`; an `Error` in its place for a container whose state cannot be told."""
        handle, found = c_void_p(), []
        self._do("list", byref(handle))
        try:
            while True:
                id, state = c_char_p(), _State()
                try:
                    if _call("list_next", handle, byref(id), byref(state)) == 0:
                        return found
                    found.append((id.value.decode(), State(state.status, state.pid, state.created_ns)))
                except Error as error:
                    found.append((id.value.decode(), error))
        finally:
            _lib.teu_list_free(handle)

    def documents(self):
        return json.loads(_text("list_json", c_void_p(self._handle)))
