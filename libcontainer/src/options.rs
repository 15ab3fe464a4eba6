//! What a caller may choose beside config.json: plain data with defaults, one shape for Rust, C and the CLI.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use crate::Cancel;

/// How `create` treats the container.
#[derive(Debug, Default)]
pub struct CreateOptions {
    /// Standard input, output and error of the container's program.
    pub stdio: [Stdio; 3],
    /// More descriptors for the program, each under a number of 3 or above.
    pub fds: Vec<FdMap>,
    /// Where to write init's pid: decimal digits, no newline, renamed into place when the container is created.
    pub pid_file: Option<PathBuf>,
    /// Enter the rootfs by moving the mount and chroot, for roots that cannot be pivoted (an initramfs).
    pub no_pivot: bool,
    /// Keep the caller's session keyring instead of joining a new one named `_ses.ID`.
    pub no_new_keyring: bool,
    /// Variables (`NAME=VALUE`) for the program behind those of the configuration, such as `LISTEN_FDS=1`; of two of one name the last wins.
    pub env: Vec<String>,
    /// Let the program tell that it is ready, as systemd's services do: it finds a socket named by `NOTIFY_SOCKET` in its environment. The socket is
    /// there if whoever starts the container binds it first: [`crate::Container::bind_notify_socket`].
    pub notify_socket: bool,
    /// Which way the cgroup is made.
    pub cgroup_manager: CgroupManager,
    /// Leave out the device rules that every container gets after those of `linux.resources.devices`: any node may be made, the
    /// default devices, terminals and tun may be opened. What the configuration does not allow is denied then, from the moment
    /// on that init has made the container's own nodes.
    pub no_default_device_rules: bool,
    /// Who gets the master of the terminal, with the name of its slave in the container as the message. Only for a process with `terminal`; without
    /// a receiver the caller takes it from the container ([`crate::Container::take_terminal`]).
    pub console_socket: Option<Receiver>,
    /// Who gets a descriptor of init, with the message `standard`.
    pub pidfd_socket: Option<Receiver>,
    /// Keep the listener of a filter with SCMP_ACT_NOTIFY for the caller ([`crate::Container::take_seccomp_listener`]); nobody connects to `listenerPath`
    /// then, which the profile must have all the same. What init itself calls cannot be asked for.
    pub keep_seccomp_listener: bool,
    /// The longest that init, and the hooks of `create`, may take until the container is created; then everything is undone and the error is
    /// `TimedOut`. Absent: for ever, so a filesystem that does not answer holds `create`. What the caller opens itself before (sources of bind
    /// mounts, the rootfs) is not bounded. The monotonic clock counts.
    pub timeout: Option<Duration>,
    /// Takes everything back when it is triggered while init or the hooks of `create` are waited for.
    pub cancel: Option<Cancel>,
}

/// What `update` changes beside `linux.resources`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateOptions {
    /// A line such as `L3:0=ff;1=f0` for `linux.intelRdt.l3CacheSchema` and for the container's resctrl group; absent or empty: it stays.
    pub l3_cache_schema: Option<String>,
    /// A line such as `MB:0=70` for `linux.intelRdt.memBwSchema`, likewise.
    pub mem_bw_schema: Option<String>,
}

/// How `exec` treats the process that it adds to a container.
#[derive(Debug, Default)]
pub struct ExecOptions {
    /// Standard input, output and error of the program.
    pub stdio: [Stdio; 3],
    /// More descriptors for the program, each under a number of 3 or above.
    pub fds: Vec<FdMap>,
    /// Where to write the pid of the process, as [`CreateOptions::pid_file`].
    pub pid_file: Option<PathBuf>,
    /// Keep the caller's session keyring instead of joining the container's.
    pub no_new_keyring: bool,
    /// Variables (`NAME=VALUE`) behind those of the process; of two of one name the last wins.
    pub env: Vec<String>,
    /// Who gets the master of the terminal, as [`CreateOptions::console_socket`]; without a receiver the caller takes it
    /// ([`crate::Process::take_terminal`]).
    pub console_socket: Option<Receiver>,
    /// Who gets a descriptor of the process, with the message `setns`.
    pub pidfd_socket: Option<Receiver>,
    /// Keep the listener of the filter for the caller ([`crate::Process::take_seccomp_listener`]), as [`CreateOptions::keep_seccomp_listener`].
    pub keep_seccomp_listener: bool,
    /// In which cgroup it runs.
    pub cgroup: ExecCgroup,
    /// Enter a paused container too: the process runs, and `exec` returns, when the container goes on.
    pub ignore_paused: bool,
    /// How long it may take until the program runs; no limit if absent.
    pub timeout: Option<Duration>,
    /// Ends the attempt when it is triggered before the program runs.
    pub cancel: Option<Cancel>,
}

/// In which cgroup a further process of a container runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ExecCgroup {
    /// The container's own, or that of its init where the container has moved its processes down to enable controllers below.
    #[default]
    Container,
    /// The one at this path below the container's cgroup, which must exist; `/` is the container's own and no other. On a v1 host it counts in every
    /// hierarchy with controllers.
    Below(String),
    /// On a v1 host: paths of some controllers, each below the container's cgroup of that controller.
    ByController(Vec<(String, String)>),
}

/// A unix stream socket at which somebody waits for a descriptor.
#[derive(Debug)]
pub enum Receiver {
    /// The path of a listening socket, of any length that a path may have.
    Path(PathBuf),
    /// A connected socket.
    Socket(OwnedFd),
}

/// One standard stream of the container's program.
#[derive(Debug, Default)]
pub enum Stdio {
    /// `/dev/null`.
    #[default]
    Null,
    /// The caller's own stream of the same number.
    Inherit,
    /// This descriptor.
    Fd(OwnedFd),
}

/// A descriptor and the number under which the container's program finds it.
#[derive(Debug)]
pub struct FdMap {
    /// The number in the container, 3 or above.
    pub target: i32,
    /// The descriptor; the caller keeps no copy.
    pub fd: OwnedFd,
}

impl FdMap {
    /// A copy of the caller's descriptor `number`, which the container's program finds under the same number.
    ///
    /// # Errors
    /// `Kernel` with EBADF if the caller has no such descriptor.
    pub fn inherited(number: i32) -> crate::Result<Self> {
        let copy = crate::sys::fs::duplicate(number, 3);
        let fd = copy.map_err(|error| crate::Error::io(format!("copy descriptor {number}"), &error))?;
        Ok(Self { target: number, fd })
    }
}

/// Who makes the cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupManager {
    /// This library writes the cgroup filesystem.
    #[default]
    Cgroupfs,
    /// systemd makes it, as a transient unit: a scope, or a slice if the path's name ends so. `linux.cgroupsPath` is `slice:prefix:name` then; absent, the
    /// unit is `teu-ID.scope` of `system.slice`. A caller without privilege asks its own manager, whose usual slice is `user.slice`.
    Systemd,
    /// No cgroup is made; limits in the configuration are then an error.
    Disabled,
}

/// Which containers `delete` may remove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delete {
    /// Only a stopped container, or a created one whose program never ran.
    #[default]
    OnlyStopped,
    /// Any: its processes are killed first. An unknown id is success.
    Force,
}
