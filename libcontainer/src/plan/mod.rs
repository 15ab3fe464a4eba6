//! The plan: everything about a container that is decided before the kernel is asked to do anything. Pure.
//!
//! `compile` is the table of contents: one call for each chapter of the specification, in the order of the container's life. The result is a value: it
//! can be printed (`teu plan`), compared (golden tests) and checked against laws (`verify`) without root.

pub mod capabilities;
pub mod cgroup;
mod cgroup_mounts;
mod devices;
mod exec;
mod exec_cgroup;
pub mod hooks;
mod idmap;
mod inner;
pub mod intel_rdt;
mod labels;
pub mod live_mounts;
mod masks;
pub mod mount_options;
mod mounts;
pub mod namespaces;
mod net_devices;
pub mod network;
mod process;
mod procfs;
pub mod program;
pub mod rlimits;
mod rootfs;
mod rootless;
mod scheduling;
mod seccomp;
mod show;
mod sysctl;
mod terminal;
mod time;
pub mod verify;

use std::path::{Path, PathBuf};

use teu_init::program::{Op, Slot, tree_flag};

pub use self::cgroup::{CgroupDir, CgroupPlan};
pub use self::exec::{Target, compile_exec};
pub use self::hooks::{Hook, HookKind, Hooks};
pub use self::idmap::{IdMaps, MountIds};
pub use self::inner::MappedTree;
pub use self::labels::wants_security_modules;
pub use self::net_devices::NetDevice;
pub use self::program::Program;
pub use self::rlimits::Rlimit;
pub(crate) use self::seccomp::Code;
pub use self::seccomp::{FilterPlan, Listener};
use crate::host::Host;
use crate::options::{CgroupManager, CreateOptions, ExecCgroup, ExecOptions, FdMap};
use crate::spec::{Id, Spec, own};
use crate::state::notify;
use crate::{Error, ErrorKind, Result};
use labels::Labels;
use namespaces::{Entry, Namespaces, kind};
use process::{Descriptors, Half};
use procfs::Procfs;
use program::Builder;
use seccomp::Seccomp;

/// A descriptor that the caller opens and sends with the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The start gate of the container.
    Gate,
    /// The socket at which `start` is heard.
    Door,
    /// The file by which init enters the cgroup directory of that index in the cgroup plan: `tasks` on v1, `cgroup.procs` on v2.
    CgroupEntrance(usize),
    /// The file by which init enters the container's resctrl group, or the monitoring group below it.
    RdtEntrance {
        /// The monitoring group.
        monitor: bool,
    },
    /// The file by which init enters the group that is delegated to it.
    DelegateEntrance,
    /// The cgroup2 directory of that index in the container's record, for one more process.
    CgroupDirectory(usize),
    /// The way into a cgroup below the container's: `tasks` of the v1 directory of that index in the container's record, the directory of cgroup2.
    CgroupBelow {
        /// Which directory.
        index: usize,
        /// The path below it; empty for itself.
        path: String,
    },
    /// A descriptor of the container's init, which stands for all of its namespaces.
    Init,
    /// The root directory of the container's init.
    InitRoot,
    /// A standard stream.
    Stdio(u32),
    /// The further descriptor of that index in `CreateOptions::fds`.
    Extra(usize),
    /// A detached copy of a tree of the host.
    Tree {
        /// Which, and how.
        tree: Tree,
        /// The place in config.json.
        pointer: String,
    },
    /// A copy of the rootfs that the caller puts over it, in its own mount namespace.
    HostRoot {
        /// Which, and how.
        tree: Tree,
    },
    /// A detached copy of a tree of the host that has its attributes already.
    Ready {
        /// Which, and with what.
        ready: Box<live_mounts::Ready>,
        /// The place in config.json.
        pointer: String,
    },
    /// A user namespace that maps the ids of a mount.
    MountIds {
        /// Its mappings.
        ids: MountIds,
        /// The place in config.json.
        pointer: String,
    },
    /// A directory of the host as it is.
    Directory {
        /// Its path on the host.
        path: PathBuf,
        /// The place in config.json.
        pointer: String,
    },
    /// The socket through which the network namespace comes that is made while the caller goes on.
    Network,
    /// A namespace.
    Namespace {
        /// Its CLONE_NEW* flag.
        kind: u32,
        /// The file that names it.
        path: PathBuf,
        /// The place in config.json.
        pointer: String,
        /// Why it may not be the caller's own, and the place that says so.
        foreign: Option<(String, String)>,
    },
}

/// A tree of the host, opened as a detached copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Its path on the host.
    pub path: PathBuf,
    /// With everything mounted below it.
    pub recursive: bool,
    /// A path that is a symbolic link is opened itself.
    pub keep_link: bool,
    /// Later mounts of the host below it do not appear in the container.
    pub private: bool,
    /// Whose ids it has, and whether what is mounted below has them too.
    pub ids: Option<(MountIds, bool)>,
}

impl Tree {
    /// The mount at a path, alone.
    fn at(path: PathBuf) -> Self {
        Self { path, recursive: false, keep_link: false, private: false, ids: None }
    }

    /// How init opens it.
    fn flags(&self) -> u32 {
        let link = if self.keep_link { tree_flag::KEEP_LINK } else { 0 };
        let all = if self.recursive { tree_flag::RECURSIVE } else { 0 };
        link | all
    }
}

/// Everything that will be done for one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The container's id.
    pub id: Id,
    /// The bundle, absolute.
    pub bundle: PathBuf,
    /// The rootfs, absolute.
    pub rootfs: PathBuf,
    /// The configuration as it was read: the container keeps a copy, because the bundle may change.
    pub config: std::sync::Arc<[u8]>,
    /// Annotations of the configuration, sorted.
    pub annotations: std::collections::BTreeMap<String, String>,
    /// The socket of the annotation that gets a descriptor of init.
    pub pidfd_receiver: Option<PathBuf>,
    /// Namespaces of the first clone (CLONE_NEW* flags).
    pub clone_flags: u32,
    /// Whether init goes on in a second process.
    pub respawns: bool,
    /// Whether the end of init ends every process of the container.
    pub own_pid_namespace: bool,
    /// The directory of the cgroup plan that init is cloned into: the cgroup2 one.
    pub into_cgroup: Option<usize>,
    /// Whether the caller is suspended until init has left its memory (CLONE_VFORK): where memory is limited above the container's cgroup, the kernel passes
    /// over such a child when it chooses whom to kill, and another one's end would be the caller's too.
    pub suspends: bool,
    /// The cgroup.
    pub cgroup: CgroupPlan,
    /// The resctrl group.
    pub intel_rdt: Option<intel_rdt::RdtPlan>,
    /// What the caller opens for slots 0 and up.
    pub sources: Vec<Source>,
    /// The maps of a new user namespace, or those that a joined one must have.
    pub id_maps: Option<IdMaps>,
    /// Trees of the container that the caller gives other ids when init asks for it.
    pub mapped_trees: Vec<MappedTree>,
    /// Devices that the caller moves into the container's network namespace, sorted by name.
    pub net_devices: Vec<NetDevice>,
    /// Limits that the caller sets on an init that is ready: those of a container with a user namespace.
    pub rlimits: Vec<Rlimit>,
    /// The OOM killer's preference, written for init before it runs; absent means as inherited.
    pub oom_score_adj: Option<OomScore>,
    /// Whether there is a program to start. Without `process` there is none, and init waits for ever.
    pub has_program: bool,
    /// The filter of system calls, as far as the caller has to do with it.
    pub filter: Option<FilterPlan>,
    /// The hooks; those of the container's namespaces are ops as well.
    pub hooks: Hooks,
    /// What init does.
    pub program: Program,
}

/// `process.oomScoreAdj`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomScore {
    /// -1000 to 1000.
    pub score: i32,
    /// A kernel that refuses it is no error: a caller without privilege cannot lower it.
    pub optional: bool,
}

/// What `CreateOptions` means for the plan, without its descriptors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Enter the rootfs without pivot_root.
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// Who makes the cgroup.
    pub cgroup_manager: CgroupManager,
    /// Only the device rules of the configuration.
    pub no_default_device_rules: bool,
    /// Init is cloned outside its cgroup and enters it by its own hand: see `cgroup/enter.rs`.
    pub clone_outside: bool,
    /// Numbers of further descriptors.
    pub targets: Vec<u32>,
    /// Variables added behind those of the configuration.
    pub env: Vec<String>,
    /// `HOME=...` from the container's passwd, for an environment that does not say.
    pub home: Option<String>,
    /// Somebody waits for the terminal.
    pub console_socket: bool,
    /// In which cgroup a further process runs.
    pub exec_cgroup: ExecCgroup,
    /// The caller keeps the listener of the filter.
    pub keep_listener: bool,
}

impl Shape {
    /// The shape of `options`.
    ///
    /// # Errors
    /// `InvalidArgument` for a descriptor number below 3 or one that comes twice.
    pub fn of(options: &CreateOptions) -> Result<Self> {
        let targets = targets(&options.fds)?;
        let mut env = options.env.clone();
        env.extend(options.notify_socket.then(|| notify::VARIABLE.to_owned()));
        Ok(Self {
            no_pivot: options.no_pivot,
            no_new_keyring: options.no_new_keyring,
            cgroup_manager: options.cgroup_manager,
            no_default_device_rules: options.no_default_device_rules,
            clone_outside: false,
            targets,
            env,
            home: None,
            console_socket: options.console_socket.is_some(),
            exec_cgroup: ExecCgroup::default(),
            keep_listener: options.keep_seccomp_listener,
        })
    }

    /// The shape of one more process.
    ///
    /// # Errors
    /// As [`Shape::of`].
    pub fn of_exec(options: &ExecOptions) -> Result<Self> {
        Ok(Self {
            no_new_keyring: options.no_new_keyring,
            targets: targets(&options.fds)?,
            env: options.env.clone(),
            console_socket: options.console_socket.is_some(),
            exec_cgroup: options.cgroup.clone(),
            keep_listener: options.keep_seccomp_listener,
            ..Self::default()
        })
    }
}

/// The numbers of further descriptors, each once and none of a standard stream.
fn targets(fds: &[FdMap]) -> Result<Vec<u32>> {
    let mut targets = Vec::with_capacity(fds.len());
    for map in fds {
        match u32::try_from(map.target) {
            Ok(number) if number >= 3 && !targets.contains(&number) => targets.push(number),
            _ => {
                let message = format!("invalid target descriptor {}", map.target);
                return Err(Error::new(ErrorKind::InvalidArgument, message));
            }
        }
    }
    Ok(targets)
}

/// Whether `compile` wants to be told the user's home: the configuration does not say.
pub fn wants_home(spec: &Spec) -> Option<u32> {
    let process = spec.config().process().as_ref()?;
    (!process::has_home(process)).then(|| process.user().uid())
}

/// What the chapters work on.
pub(crate) struct Subject<'a> {
    config: &'a oci_spec::runtime::Spec,
    bundle: &'a Path,
    rootfs: PathBuf,
    host: &'a Host,
    shape: &'a Shape,
    namespaces: &'a Namespaces,
    cgroup: &'a CgroupPlan,
    hooks: &'a Hooks,
    intel_rdt: Option<&'a intel_rdt::RdtPlan>,
}

impl Subject<'_> {
    /// The cgroup2 directory of the cgroup plan.
    fn unified(&self) -> Option<usize> {
        self.cgroup.dirs.iter().position(|dir| dir.hierarchy.is_empty())
    }

    /// The directory of the cgroup plan that init is cloned into.
    fn born_into(&self) -> Option<usize> {
        self.unified().filter(|_| !self.shape.clone_outside && !self.cgroup.is_placed())
    }

    /// Whether init is in all of its cgroup from birth: only then can its cgroup namespace be made by the clone.
    fn cgroup_at_birth(&self) -> bool {
        self.cgroup.v2 && self.born_into().is_some()
    }

    /// Whether the network namespace is the container's alone.
    fn own_network(&self) -> bool {
        self.namespaces.new & kind::NETWORK != 0
    }

    /// Whether the caller opens the sources of binds: init in a user namespace has other rights to the host's files than its caller, and in the host's
    /// mount namespace their copies must be cut off before they are attached.
    fn caller_opens(&self) -> bool {
        (self.namespaces.has(kind::USER) || !self.namespaces.has(kind::MOUNT)) && self.host.privileged
    }
}

/// Decides everything.
///
/// # Errors
/// `InvalidSpec` with a JSON pointer, or `Unsupported` where the host lacks what the configuration asks for.
pub fn compile(id: &Id, spec: &Spec, host: &Host, shape: &Shape) -> Result<Plan> {
    let (mut plan, code) = decide(id, spec, host, shape)?;
    plan.complete(code)?;
    Ok(plan)
}

/// Decides everything but the instructions of the filter, which [`Plan::complete`] adds: init can be begun without them.
///
/// # Errors
/// As [`compile`].
pub(crate) fn decide<'a>(
    id: &Id,
    spec: &'a Spec,
    host: &Host,
    shape: &Shape,
) -> Result<(Plan, Option<Code<'a>>)> {
    let config = spec.config();
    let nobody = process::nobody();
    let process = config.process().as_ref().unwrap_or(&nobody);
    terminal::check_receiver(process, shape.console_socket)?;
    let namespaces = Namespaces::of(config);
    namespaces.check(host)?;
    rootless::check(config, &namespaces, host)?;
    let cgroup = cgroup::plan(config, id.as_str(), host, shape)?;
    let intel_rdt = intel_rdt::plan(config, id.as_str(), host)?;
    let rootfs = rootfs_path(spec)?;
    let hooks = Hooks::of(config);
    let subject = Subject {
        config,
        bundle: spec.bundle(),
        rootfs,
        host,
        shape,
        namespaces: &namespaces,
        cgroup: &cgroup,
        hooks: &hooks,
        intel_rdt: intel_rdt.as_ref(),
    };
    let seccomp = Seccomp::of(config, host, shape.keep_listener.then_some(&seccomp::BEFORE_GATE))?;
    let (program, sources, mapped_trees) = compile_program(id, &subject, process, seccomp.as_ref())?;
    let plan = Plan {
        id: id.clone(),
        bundle: spec.bundle().to_owned(),
        rootfs: subject.rootfs.clone(),
        config: spec.json(),
        annotations: annotations(config),
        pidfd_receiver: crate::spec::annotations::pidfd_receiver(config).map(Path::to_owned),
        clone_flags: namespaces.first(subject.cgroup_at_birth(), host),
        respawns: namespaces.respawns(host),
        own_pid_namespace: namespaces.new & kind::PID != 0,
        into_cgroup: subject.born_into(),
        suspends: false,
        sources,
        id_maps: idmap::id_maps(config, &namespaces, host),
        mapped_trees,
        net_devices: net_devices::net_devices(config),
        rlimits: if namespaces.has(kind::USER) { rlimits::rlimits(process) } else { Vec::new() },
        oom_score_adj: process.oom_score_adj().map(|score| OomScore { score, optional: !host.privileged }),
        has_program: config.process().is_some(),
        filter: seccomp.as_ref().map(|seccomp| seccomp.plan(config)),
        program,
        cgroup,
        hooks,
        intel_rdt,
    };
    Ok((plan, seccomp.map(|seccomp| seccomp.code)))
}

/// The chapters in the order of the container's life. Descriptors that are sent come first, then the ops.
fn compile_program(
    id: &Id,
    subject: &Subject<'_>,
    process: &oci_spec::runtime::Process,
    seccomp: Option<&Seccomp<'_>>,
) -> Result<(Program, Vec<Source>, Vec<MappedTree>)> {
    let (mut out, mut sources) = (Builder::for_container(subject.config), Vec::new());
    let mut descriptors = descriptors(subject, process, &mut out, &mut sources);
    let tasks = cgroup_entrances(subject, &mut out, &mut sources);
    let delegated = subject.cgroup.delegate.as_ref().map(|_| {
        sources.push(Source::DelegateEntrance);
        out.sends()
    });
    let resctrl = intel_rdt::entrances(subject.intel_rdt, &mut out, &mut sources);
    let entry = Entry::prepare(subject, &mut out, &mut sources);
    let mut network = network::Network::prepare(subject, &mut out, &mut sources);
    let rootfs = rootfs::Rootfs::prepare(subject, &mut out, &mut sources)?;
    let mut mounts = mounts::Mounts::prepare(subject, &mut out, &mut sources)?;
    let mut devices = devices::Devices::of(subject);
    let own_dev = !mounts.dev_is_bind();
    descriptors.own_null = own_dev && !terminal::wanted(process);

    push_entry(subject, (tasks, delegated, &resctrl), entry, &mut out);
    let procfs = Procfs::push(subject.config, &mut out);
    let labels = Labels::of(process, subject.host, procfs)?;
    push_session(id, subject, &labels, &mut out);
    network.push_early(&mut out);
    if rootfs.peers() {
        mounts.push_sources(&mut out);
    }
    rootfs.push_isolation(&mut out);
    mounts.push_sources(&mut out);
    if own_dev {
        devices.push_sources(subject, &mut out);
    }
    let masks = masks::Masks::prepare(subject, &mut out);
    rootfs.push_root(subject.hooks, &mut out);
    mounts.push(&mut network, &mut out);
    network.push(&mut out);
    if own_dev {
        devices.push(&mut out);
    }
    subject.hooks.push_before_switch(&subject.rootfs, &mut out);
    rootfs.push_switch(subject, &mut out);
    push_cwd(process, &mut out);
    if let Some(slave) = terminal::push(process, true, &mut out) {
        descriptors.placed.splice(0..0, (0..3).map(|number| (number, slave)));
    }
    mounts.push_late(&mut out);
    rootfs.push_read_only(subject, &mut out);
    push_names(subject.config, &mut out);
    labels.push_profile(&mut out);
    sysctl::push(subject.config, procfs, &mut out);
    masks.push(&mut out);
    rootfs.push_propagation(&mut out);
    let Subject { config, host, namespaces, shape, .. } = *subject;
    let half = Half { config, process, host, namespaces, shape, labels, seccomp, hooks: subject.hooks };
    half.push(&descriptors, &mut out)?;
    Ok((out.finish(), sources, mounts.mapped))
}

/// Into the cgroups and namespaces: what makes init the container's.
fn push_entry(
    subject: &Subject<'_>,
    (tasks, delegated, resctrl): (Vec<Slot>, Option<Slot>, &[(Slot, &'static str)]),
    entry: Entry,
    out: &mut Builder,
) {
    if !subject.namespaces.hides_late(subject.host) {
        out.push(Op::Hide {}, "");
    }
    out.push(Op::Reset {}, "");
    for tasks in tasks {
        out.push(Op::EnterCgroup { tasks }, "/linux/cgroupsPath");
    }
    intel_rdt::push(resctrl, out);
    entry.push(subject, out);
    if let Some(tasks) = delegated {
        // The cgroup namespace has its root above it.
        out.push(Op::EnterCgroup { tasks }, "/annotations/run.oci.delegate-cgroup");
    }
}

/// The standard streams of a process with a terminal come from there.
fn descriptors(
    subject: &Subject<'_>,
    process: &oci_spec::runtime::Process,
    out: &mut Builder,
    sources: &mut Vec<Source>,
) -> Descriptors {
    let mut send = |source| {
        sources.push(source);
        out.sends()
    };
    let gate = send(Source::Gate);
    let streams = if terminal::wanted(process) { 0..0 } else { 0..3 };
    let mut placed: Vec<_> = streams.map(|number| (number, send(Source::Stdio(number)))).collect();
    placed.extend(
        subject.shape.targets.iter().enumerate().map(|(index, number)| (*number, send(Source::Extra(index)))),
    );
    let door = subject.hooks.prepare(out, sources);
    Descriptors { placed, gate: Some(gate), door, own_null: false }
}

/// The cgroup2 directory is entered by the clone, or systemd has put init there; the others are entered by init.
fn cgroup_entrances(subject: &Subject<'_>, out: &mut Builder, sources: &mut Vec<Source>) -> Vec<Slot> {
    let entered = if subject.cgroup.is_placed() { subject.unified() } else { subject.born_into() };
    let others = (0..subject.cgroup.dirs.len()).filter(|index| Some(*index) != entered);
    let slots = others.map(|index| {
        sources.push(Source::CgroupEntrance(index));
        out.sends()
    });
    slots.collect()
}

/// What belongs to the session before the rootfs is touched.
fn push_session(id: &Id, subject: &Subject<'_>, labels: &Labels<'_>, out: &mut Builder) {
    scheduling::push_own_affinity(subject.config, out);
    out.push(Op::Setsid {}, "");
    if !subject.shape.no_new_keyring && !own::keeps_keyring(subject.config) {
        push_keyring(id, labels, out);
    }
}

/// The session keyring of the container: the first process makes it, the others join it.
fn push_keyring(id: &Id, labels: &Labels<'_>, out: &mut Builder) {
    labels.push_keys(out);
    let name = out.text(format!("_ses.{}", id.as_str()));
    out.push(Op::Keyring { name }, "");
}

/// The working directory is made while the root is still writable, with the rights of the container's root.
fn push_cwd(process: &oci_spec::runtime::Process, out: &mut Builder) {
    let path = out.text(process.cwd().as_os_str().as_encoded_bytes());
    out.push(Op::MakeCwd { path }, "/process/cwd");
}

fn push_names(config: &oci_spec::runtime::Spec, out: &mut Builder) {
    if let Some(name) = config.hostname().as_deref().filter(|name| !name.is_empty()) {
        let name = out.text(name);
        out.push(Op::Hostname { name }, "/hostname");
    }
    if let Some(name) = config.domainname().as_deref().filter(|name| !name.is_empty()) {
        let name = out.text(name);
        out.push(Op::Domainname { name }, "/domainname");
    }
}

pub(crate) fn rootfs_path(spec: &Spec) -> Result<PathBuf> {
    let root = spec.config().root().as_ref();
    let root =
        root.ok_or_else(|| Error::new(ErrorKind::InvalidSpec, "root must be specified").at("/root"))?;
    Ok(spec.bundle().join(root.path()))
}

fn annotations(config: &oci_spec::runtime::Spec) -> std::collections::BTreeMap<String, String> {
    config.annotations().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}
