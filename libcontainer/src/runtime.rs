//! The entry point: a state root and what is worth keeping between containers. No globals, no environment, no logging set-up.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::cgroup::{self, DeviceCache, Oom};
use crate::container::{Container, Exit, remove};
use crate::host::{Host, nodes};
use crate::image;
use crate::launch::network;
use crate::options::{CreateOptions, Delete};
use crate::plan::{self, Code, Plan, Shape};
use crate::prepare::Prepared;
use crate::spec::{Id, Spec, Warning, annotations};
use crate::state::{State, StateDir, notify};
use crate::until::Patience;
use crate::{Error, Result};

/// Creates and finds the containers below one state root.
///
/// Cheap to clone, safe to share between threads. Several processes may use one root at a time.
///
/// ```no_run
/// use teu::{CreateOptions, Delete, Id, Runtime, Spec};
/// let runtime = Runtime::at("/run/teu")?;
/// let spec = Spec::from_bundle("/bundles/web")?;
/// let container = runtime.create(&Id::new("web-1")?, &spec, CreateOptions::default())?;
/// container.start()?;
/// println!("{}", container.wait()?.status());
/// container.delete(Delete::OnlyStopped)?;
/// # Ok::<(), teu::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Runtime {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    host: OnceLock<Host>,
    devices: DeviceCache,
}

/// One entry of [`Runtime::list`].
#[derive(Debug)]
pub struct Listed {
    /// The container's id.
    pub id: String,
    /// Its state, or why it cannot be told.
    pub state: Result<State>,
}

impl Runtime {
    /// A runtime with its state below `root`, which the first `create` makes.
    ///
    /// # Errors
    /// None at present.
    pub fn at(root: impl Into<PathBuf>) -> Result<Self> {
        let shared = Shared { root: root.into(), host: OnceLock::new(), devices: DeviceCache::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The state root.
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    /// Decides everything about a container and does nothing. The result prints itself. Beside the machine, the container's passwd is asked for a home
    /// that the configuration does not name.
    ///
    /// # Errors
    /// `InvalidSpec` with a JSON pointer; `Unsupported`; `Kernel` if the facts about this machine cannot be read.
    ///
    /// ```no_run
    /// use teu::{CreateOptions, Id, Runtime, Spec};
    /// let (runtime, spec) = (Runtime::at("/run/teu")?, Spec::from_bundle("/bundles/web")?);
    /// let plan = runtime.plan(&Id::new("web-1")?, &spec, &CreateOptions::default())?;
    /// println!("{plan}");
    /// let prepared = runtime.prepare(plan, CreateOptions::default())?; // dropped now, it would take everything back
    /// let container = prepared.launch()?;
    /// # Ok::<(), teu::Error>(())
    /// ```
    pub fn plan(&self, id: &Id, spec: &Spec, options: &CreateOptions) -> Result<Plan> {
        let spec = self.notified(id, spec, options)?;
        let decided = self.decide(id, &spec, options);
        let completed = decided.and_then(|(mut plan, code)| plan.complete(code).map(|()| plan));
        completed.map_err(|error| error.during("plan"))
    }

    /// The plan and what is left of it to do: see [`plan::decide`].
    fn decide<'a>(
        &self,
        id: &Id,
        spec: &'a Spec,
        options: &CreateOptions,
    ) -> Result<(Plan, Option<Code<'a>>)> {
        let mut shape = Shape::of(options)?;
        if let (Some(uid), Ok(rootfs)) = (plan::wants_home(spec), plan::rootfs_path(spec)) {
            shape.home = Some(format!("HOME={}", image::home(&rootfs, uid)));
        }
        let mut host = self.host()?;
        if plan::wants_security_modules(spec.config()) {
            host.probe_security_modules();
        }
        if plan::intel_rdt::wants_resctrl(spec.config()) {
            host.probe_resctrl();
        }
        annotations::log_ignored(spec.config());
        nodes::warn(spec.config(), &host);
        let (mut plan, code) = plan::decide(id, spec, &host, &shape)?;
        for warning in &plan.cgroup.ignored {
            log::warn!("config.json: {}: {}", warning.pointer, warning.message);
        }
        let reach = plan.into_cgroup.map_or(Oom::Nobody, |_| cgroup::oom(&plan.cgroup, &host.own_cgroup));
        plan.suspends = reach == Oom::Victim || plan.cgroup.unit.is_some();
        if reach != Oom::Everybody {
            return Ok((plan, code));
        }
        shape.clone_outside = true;
        plan::decide(id, spec, &host, &shape)
    }

    /// The configuration, with the directory of the socket for `sd_notify` if the caller wants it.
    fn notified<'a>(&self, id: &Id, spec: &'a Spec, options: &CreateOptions) -> Result<Cow<'a, Spec>> {
        if !options.notify_socket {
            return Ok(Cow::Borrowed(spec));
        }
        let failed = |error| Error::io(format!("find {}", self.shared.root.display()), &error);
        let root = std::path::absolute(&self.shared.root).map_err(failed);
        let directory = root.map(|root| root.join(id.as_str()).join(notify::DIRECTORY));
        let spec = directory.and_then(|directory| spec.with_notify(&directory, notify::INSIDE));
        spec.map(Cow::Owned).map_err(|error| error.during("plan"))
    }

    /// Does everything up to the first step of init: claims the id, makes the cgroup, opens what the plan names. Dropping the result undoes it.
    ///
    /// # Errors
    /// `AlreadyExists`; what cannot be opened or made.
    pub fn prepare(&self, mut plan: Plan, options: CreateOptions) -> Result<Prepared> {
        // Limits may have come since it was made.
        plan.suspends = true;
        let prepared = plan.prepare(&self.shared.root, &self.shared.devices, options, None);
        prepared.map_err(|error| error.during("prepare"))
    }

    /// Creates a container: on success its init waits for [`Container::start`], on failure nothing is left.
    ///
    /// # Errors
    /// As [`Runtime::plan`] and [`Runtime::prepare`], and what init reports.
    pub fn create(&self, id: &Id, spec: &Spec, options: CreateOptions) -> Result<Container> {
        // What takes the kernel longest begins first: everything else is decided meanwhile.
        let network = network::begin_for(spec, &options).map_err(|error| error.during("prepare"))?;
        let spec = self.notified(id, spec, &options)?;
        let decided = self.decide(id, &spec, &options);
        let decided = decided.and_then(|(mut plan, code)| Ok((plan.complete_or_follow(code)?, plan)));
        let (code, plan) = decided.map_err(|error| error.during("plan"))?;
        let prepared = plan.prepare(&self.shared.root, &self.shared.devices, options, network);
        let prepared = prepared.map_err(|error| error.during("prepare"))?;
        prepared.launch_with(code).map_err(|error| error.during("launch"))
    }

    /// Creates and starts a container, waits for its end and removes it. What fails on the way ends and removes it too.
    ///
    /// # Errors
    /// As [`Runtime::create`] and [`Container::start`]; `TimedOut` and `Cancelled` at any moment.
    pub fn run(&self, id: &Id, spec: &Spec, options: CreateOptions) -> Result<Exit> {
        let patience = Patience { timeout: options.timeout, cancel: options.cancel.clone() };
        let begun = Instant::now();
        let container = self.create(id, spec, options)?;
        let left = patience.timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
        let rest = Patience { timeout: left, ..patience };
        let ended = container.start().and_then(|()| container.wait_within(&rest));
        container.delete(Delete::Force)?;
        ended
    }

    /// Asks now what `create` has to know about the machine; the first `create` does it otherwise.
    ///
    /// # Errors
    /// `Kernel`: it cannot be read.
    pub fn probe(&self) -> Result<()> {
        self.host().map(drop)
    }

    /// Finds a container.
    ///
    /// # Errors
    /// `NotFound`; `Internal` if its record cannot be read; what keeps the kernel from telling whether init lives.
    pub fn open(&self, id: &Id) -> Result<Container> {
        let dir = StateDir::open(&self.shared.root, id)?;
        let record = dir.read()?;
        Container::opened(Arc::new(dir), record)
    }

    /// Every container below the root, sorted by id. Takes no lock, makes and removes nothing; what is no container is skipped.
    ///
    /// # Errors
    /// The root cannot be read; that it does not exist means that there are no containers.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let failed =
            |error: &std::io::Error| Error::io(format!("read {}", self.shared.root.display()), error);
        let entries = match std::fs::read_dir(&self.shared.root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| failed(&error))?,
        };
        let mut list = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(&error))?;
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if let (true, Ok(id)) = (is_directory, Id::new(entry.file_name().to_string_lossy())) {
                let state = self.open(&id).and_then(|container| container.state());
                list.push(Listed { id: id.to_string(), state });
            }
        }
        list.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(list)
    }

    /// Removes a container, also one whose creation was cut short at any point. Then its `poststop` hooks run; what they do wrong is a warning, and
    /// the container is gone all the same. [`Delete::Force`] removes one whose record cannot be read too, with the cgroups and processes that are surely
    /// its own by its configuration; what became of it is logged as a warning, and no hook runs.
    ///
    /// # Errors
    /// `NotFound` (not with [`Delete::Force`]); `InvalidState` if it is not stopped; `Busy`; what could not be removed.
    pub fn delete(&self, id: &Id, mode: Delete) -> Result<Vec<Warning>> {
        remove::remove(&self.shared.root, id, mode)
    }

    /// Facts about the machine, asked once; the caller's cgroup is asked each time.
    fn host(&self) -> Result<Host> {
        match self.shared.host.get() {
            Some(host) => {
                let mut host = host.clone();
                host.refresh()?;
                Ok(host)
            }
            None => {
                let host = Host::probe()?;
                Ok(self.shared.host.get_or_init(|| host).clone())
            }
        }
    }
}
