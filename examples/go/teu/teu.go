// Package teu runs OCI containers through libteu. Every failure is an *Error; descriptors that come out are *os.File.
//
// The library works on the calling thread and needs no LockOSThread. A signal handler of the host sees SIGCHLD for the init of a
// container; nobody has to wait for it but Container.Wait.
package teu

/*
#cgo pkg-config: teu
#include <stdlib.h>
#include <string.h>
#include <teu.h>
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"
)

// Error says why a call failed.
type Error struct {
	Code    int
	Errno   int
	Phase   string
	Pointer string // the place in the configuration, if there is one
	Message string
	Causes  []string
}

func (e *Error) Error() string { return e.Message }

// Codes that programs decide on.
const (
	EINVAL      = C.TEU_EINVAL
	ENOTFOUND   = C.TEU_ENOTFOUND
	EEXISTS     = C.TEU_EEXISTS
	ESTATE      = C.TEU_ESTATE
	ENOTRUNNING = C.TEU_ENOTRUNNING
	ESPEC       = C.TEU_ESPEC
	ECANCELED   = C.TEU_ECANCELED
	ETIMEDOUT   = C.TEU_ETIMEDOUT
)

// What a container is doing.
const (
	Creating = C.TEU_CREATING
	Created  = C.TEU_CREATED
	Running  = C.TEU_RUNNING
	Paused   = C.TEU_PAUSED
	Stopped  = C.TEU_STOPPED
)

func failure(result C.int, err *C.teu_error_t) error {
	if result >= 0 {
		return nil
	}
	defer C.teu_error_free(err)
	e := &Error{Code: int(result), Errno: int(C.teu_error_errno(err)), Phase: C.GoString(C.teu_error_phase(err))}
	e.Message = C.GoString(C.teu_error_message(err))
	if place := C.teu_error_pointer(err); place != nil {
		e.Pointer = C.GoString(place)
	}
	for i := C.size_t(0); i < C.teu_error_depth(err); i++ {
		e.Causes = append(e.Causes, C.GoString(C.teu_error_frame(err, i)))
	}
	if e.Message == "" {
		e.Message = C.GoString(C.teu_strerror(result))
	}
	return e
}

// memory is C's, for one call: everything in it is freed together.
type memory []unsafe.Pointer

func (m *memory) bytes(size int) unsafe.Pointer {
	p := C.calloc(1, C.size_t(size))
	*m = append(*m, p)
	return p
}

func (m *memory) text(s string) *C.char {
	if s == "" {
		return nil
	}
	p := C.CString(s)
	*m = append(*m, unsafe.Pointer(p))
	return p
}

func (m *memory) texts(all []string) (**C.char, C.size_t) {
	if len(all) == 0 {
		return nil, 0
	}
	p := (**C.char)(m.bytes(len(all) * int(unsafe.Sizeof((*C.char)(nil)))))
	for i, s := range all {
		unsafe.Slice(p, len(all))[i] = C.CString(s)
		*m = append(*m, unsafe.Pointer(unsafe.Slice(p, len(all))[i]))
	}
	return p, C.size_t(len(all))
}

func (m *memory) files(stdio map[int]*os.File) (*C.struct_teu_fd_map, C.size_t) {
	if len(stdio) == 0 {
		return nil, 0
	}
	p := (*C.struct_teu_fd_map)(m.bytes(len(stdio) * int(unsafe.Sizeof(C.struct_teu_fd_map{}))))
	i := 0
	for target, file := range stdio {
		unsafe.Slice(p, len(stdio))[i] = C.struct_teu_fd_map{target: C.int32_t(target), fd: C.int32_t(file.Fd())}
		i++
	}
	return p, C.size_t(len(stdio))
}

func (m *memory) call(timeout time.Duration) *C.struct_teu_call {
	p := (*C.struct_teu_call)(m.bytes(int(unsafe.Sizeof(C.struct_teu_call{}))))
	p.size, p.timeout_ns = C.size_t(unsafe.Sizeof(*p)), C.uint64_t(timeout)
	return p
}

func (m *memory) free() {
	for _, p := range *m {
		C.free(p)
	}
}

// Context is a state root and the containers below it.
type Context struct{ handle *C.teu_t }

// New makes a context; an empty root is /run/teu.
func New(root string) (*Context, error) {
	var m memory
	defer m.free()
	options := (*C.struct_teu_options)(m.bytes(int(unsafe.Sizeof(C.struct_teu_options{}))))
	options.size, options.root = C.size_t(unsafe.Sizeof(*options)), m.text(root)
	var handle *C.teu_t
	var err *C.teu_error_t
	if failed := failure(C.teu_new(options, &handle, &err), err); failed != nil {
		return nil, failed
	}
	return &Context{handle}, nil
}

// Close gives the context back; containers keep it as long as they need it.
func (c *Context) Close() { C.teu_unref(c.handle) }

// Options say what a container is made from.
type Options struct {
	Bundle  string
	Config  []byte           // the configuration; nil: config.json of the bundle
	Stdio   map[int]*os.File // number in the container, file
	Env     []string
	PidFile string
	Timeout time.Duration
}

func (m *memory) options(o Options) *C.struct_teu_create_options {
	p := (*C.struct_teu_create_options)(m.bytes(int(unsafe.Sizeof(C.struct_teu_create_options{}))))
	p.size, p.bundle, p.pid_file, p.call = C.size_t(unsafe.Sizeof(*p)), m.text(o.Bundle), m.text(o.PidFile), m.call(o.Timeout)
	p.config_json, p.config_len = m.text(string(o.Config)), C.size_t(len(o.Config))
	p.fds, p.n_fds = m.files(o.Stdio)
	p.env, p.n_env = m.texts(o.Env)
	return p
}

// Container is a container; Close gives the handle back and leaves the container alone.
type Container struct{ handle *C.teu_container_t }

// Exit says how a process ended.
type Exit struct{ Code, Signal, Status int }

// State is what a container is doing.
type State struct {
	Status  int
	Pid     int
	Created time.Time
}

// Create makes a container whose program waits for Start.
func (c *Context) Create(id string, o Options) (*Container, error) {
	var m memory
	defer m.free()
	var handle *C.teu_container_t
	var err *C.teu_error_t
	result := C.teu_create(c.handle, m.text(id), m.options(o), &handle, &err)
	runtime.KeepAlive(o)
	if failed := failure(result, err); failed != nil {
		return nil, failed
	}
	return &Container{handle}, nil
}

// Open finds a container.
func (c *Context) Open(id string) (*Container, error) {
	var m memory
	defer m.free()
	var handle *C.teu_container_t
	var err *C.teu_error_t
	if failed := failure(C.teu_open(c.handle, m.text(id), &handle, &err), err); failed != nil {
		return nil, failed
	}
	return &Container{handle}, nil
}

// Close gives the handle back.
func (c *Container) Close() { C.teu_container_unref(c.handle) }

// ID is the container's id.
func (c *Container) ID() string { return C.GoString(C.teu_container_id(c.handle)) }

// Start lets the program run.
func (c *Container) Start() error {
	var err *C.teu_error_t
	return failure(C.teu_container_start(c.handle, nil, &err), err)
}

// State asks what the container is doing.
func (c *Container) State() (State, error) {
	state := C.struct_teu_state{size: C.sizeof_struct_teu_state}
	var err *C.teu_error_t
	failed := failure(C.teu_container_state(c.handle, &state, &err), err)
	return State{int(state.status), int(state.pid), time.Unix(0, int64(state.created_ns))}, failed
}

// Kill sends a signal to init, or to everyone.
func (c *Container) Kill(signal int, everyone bool) error {
	var err *C.teu_error_t
	var flags C.uint64_t
	if everyone {
		flags = C.TEU_KILL_ALL
	}
	return failure(C.teu_container_kill(c.handle, C.int(signal), flags, &err), err)
}

// Wait waits for the end; 0 is without a limit.
func (c *Container) Wait(timeout time.Duration) (Exit, error) {
	var m memory
	defer m.free()
	exit := C.struct_teu_exit{size: C.sizeof_struct_teu_exit}
	var err *C.teu_error_t
	failed := failure(C.teu_container_wait(c.handle, m.call(timeout), &exit, &err), err)
	return Exit{int(exit.code), int(exit.signal), int(exit.status)}, failed
}

// Pause freezes the container, Resume lets it go on.
func (c *Container) Pause() error {
	var err *C.teu_error_t
	return failure(C.teu_container_pause(c.handle, nil, &err), err)
}

// Resume lets a paused container go on.
func (c *Container) Resume() error {
	var err *C.teu_error_t
	return failure(C.teu_container_resume(c.handle, nil, &err), err)
}

// Pidfd is readable when init has ended.
func (c *Container) Pidfd() (*os.File, error) {
	var err *C.teu_error_t
	fd := C.teu_container_pidfd(c.handle, &err)
	if failed := failure(fd, err); failed != nil {
		return nil, failed
	}
	return os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %s", c.ID())), nil
}

// Exec runs one more process and waits for its end.
func (c *Container) Exec(args []string, stdio map[int]*os.File) (Exit, error) {
	var m memory
	defer m.free()
	p := (*C.struct_teu_exec_options)(m.bytes(int(unsafe.Sizeof(C.struct_teu_exec_options{}))))
	p.size = C.size_t(unsafe.Sizeof(*p))
	p.argv, p.argc = m.texts(args)
	p.fds, p.n_fds = m.files(stdio)
	var process *C.teu_process_t
	var err *C.teu_error_t
	result := C.teu_container_exec(c.handle, p, &process, &err)
	runtime.KeepAlive(stdio)
	if failed := failure(result, err); failed != nil {
		return Exit{}, failed
	}
	defer C.teu_process_unref(process)
	exit := C.struct_teu_exit{size: C.sizeof_struct_teu_exit}
	failed := failure(C.teu_process_wait(process, nil, &exit, &err), err)
	return Exit{int(exit.code), int(exit.signal), int(exit.status)}, failed
}

// Event is something that happened to a container; its members are those of struct teu_event.
type Event struct {
	Type   int
	Detail int
	Value  uint64
}

// What can happen to a container.
const (
	EventOOM      = C.TEU_EV_OOM
	EventExit     = C.TEU_EV_EXIT
	EventEmpty    = C.TEU_EV_EMPTY
	EventFrozen   = C.TEU_EV_FROZEN
	EventThawed   = C.TEU_EV_THAWED
	EventPressure = C.TEU_EV_PRESSURE
)

// Events tells what happens to a container.
type Events struct{ handle *C.teu_events_t }

// Events listens to what happens from now on.
func (c *Container) Events() (*Events, error) {
	var handle *C.teu_events_t
	var err *C.teu_error_t
	if failed := failure(C.teu_events_open(c.handle, nil, &handle, &err), err); failed != nil {
		return nil, failed
	}
	return &Events{handle}, nil
}

// Wait waits for the next event; 0 is without a limit.
func (e *Events) Wait(timeout time.Duration) (Event, error) {
	var m memory
	defer m.free()
	event := C.struct_teu_event{size: C.sizeof_struct_teu_event}
	var err *C.teu_error_t
	failed := failure(C.teu_events_next(e.handle, &event, m.call(timeout), &err), err)
	return Event{int(event._type), int(event.detail), uint64(event.value)}, failed
}

// Close ends the telling and nothing else.
func (e *Events) Close() { C.teu_events_free(e.handle) }

// Stats is some of what a container uses now; what the kernel does not tell is 0.
type Stats struct {
	CPU          time.Duration
	Memory       uint64 // bytes
	Processes    uint64
	ProcessLimit uint64
}

// Stats asks what the container uses.
func (c *Container) Stats() (Stats, error) {
	stats := C.struct_teu_stats{size: C.sizeof_struct_teu_stats}
	var err *C.teu_error_t
	failed := failure(C.teu_container_stats(c.handle, &stats, &err), err)
	used := Stats{CPU: time.Duration(stats.cpu_usage_ns), Memory: uint64(stats.memory_usage)}
	used.Processes, used.ProcessLimit = uint64(stats.pids_current), uint64(stats.pids_limit)
	return used, failed
}

// Update changes limits: a linux.resources of the specification.
func (c *Container) Update(resources []byte) error {
	var m memory
	defer m.free()
	p := (*C.struct_teu_update_options)(m.bytes(int(unsafe.Sizeof(C.struct_teu_update_options{}))))
	p.size, p.resources_json, p.resources_len = C.size_t(unsafe.Sizeof(*p)), m.text(string(resources)), C.size_t(len(resources))
	var err *C.teu_error_t
	return failure(C.teu_container_update(c.handle, p, &err), err)
}

// AddMounts adds mounts while the container runs: a JSON array as in mounts of a configuration.
func (c *Container) AddMounts(mounts []byte) error {
	var m memory
	defer m.free()
	var err *C.teu_error_t
	return failure(C.teu_container_add_mounts(c.handle, m.text(string(mounts)), C.size_t(len(mounts)), nil, &err), err)
}

// RemoveMounts takes them away; destination counts.
func (c *Container) RemoveMounts(mounts []byte) error {
	var m memory
	defer m.free()
	var err *C.teu_error_t
	return failure(C.teu_container_remove_mounts(c.handle, m.text(string(mounts)), C.size_t(len(mounts)), nil, &err), err)
}

// Delete removes the container; with force one that runs as well.
func (c *Container) Delete(force bool) error {
	var err *C.teu_error_t
	var flags C.uint64_t
	if force {
		flags = C.TEU_DELETE_FORCE
	}
	return failure(C.teu_container_delete(c.handle, flags, nil, &err), err)
}

// Version is that of the loaded library.
func Version() string { return C.GoString(C.teu_version()) }
