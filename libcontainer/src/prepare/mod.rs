//! Effects of the caller, first half: claims the id, makes the cgroup, begins init in it, and opens what the plan names. Init gets ready
//! meanwhile: it has no program, does nothing, and ends with us.
//!
//! A [`Prepared`] owns all of it, and dropping it takes all of it back.

mod claim;
mod host_root;
mod receiver;
mod sources;

use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use self::claim::Claim;
pub(crate) use self::host_root::{HostRoot, remove as remove_host_root};
pub(crate) use self::receiver::Receivers;
pub(crate) use self::sources::{cannot_map, ids_namespace};
use crate::cgroup::{Cgroup, CgroupRecord, DeviceCache};
use crate::container::Container;
use crate::launch::network::{Begun, Network};
use crate::launch::{self, Peer, report};
use crate::options::{CreateOptions, ExecOptions};
use crate::plan::network::made_beside;
use crate::plan::{self, Plan, Source, cgroup::CgroupPlan};
use crate::resctrl::{self, Resctrl};
use crate::state::{Record, clock, format};
use crate::until::{Patience, Until};
use crate::{Error, ErrorKind, Result};

/// Everything that a container needs, and its first process, which waits for what it is to do.
#[derive(Debug)]
pub struct Prepared {
    /// Init, which waits for its program. Goes before its cgroup.
    pub(crate) peer: Option<Peer>,
    /// Before the claim, which is the last that is given up.
    pub(crate) host_root: Option<HostRoot>,
    pub(crate) plan: Plan,
    pub(crate) record: Record,
    pub(crate) cgroup: Cgroup,
    pub(crate) resctrl: Option<Resctrl>,
    pub(crate) claim: Claim,
    /// Descriptors for slots 0 and up.
    pub(crate) slots: Vec<OwnedFd>,
    /// The program as init reads it, and the length of the file that holds it.
    pub(crate) program: (Vec<u8>, usize),
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) receivers: Receivers,
    /// The network namespace, while it is made.
    pub(crate) network: Option<Network>,
    /// When init must be ready.
    pub(crate) until: Until,
}

impl Plan {
    /// Does everything up to the first step of init: see [`Prepared`]. `network` is a network namespace that was begun before the plan was there.
    ///
    /// # Errors
    /// `AlreadyExists`, a file that cannot be opened, a cgroup that cannot be made. Nothing is left then.
    pub(crate) fn prepare(
        mut self,
        root: &std::path::Path,
        devices: &DeviceCache,
        mut options: CreateOptions,
        network: Option<Begun>,
    ) -> Result<Prepared> {
        let until = Until::from(&Patience { timeout: options.timeout, cancel: options.cancel.take() });
        until.check()?;
        let receivers = Receivers::connect(options.console_socket.take(), options.pidfd_socket.take())?;
        let receivers = receivers.and_annotated(self.pidfd_receiver.as_deref())?;
        let beside = made_beside(&self.sources).then(|| network.map_or_else(Network::begin, Ok));
        let (network, end) = beside.transpose()?.unzip();
        let end = RefCell::new(end);
        let claim = Claim::new(root, &self.id)?;
        let mut record = self.record();
        claim.dir().write(&record)?;
        if options.notify_socket {
            claim.dir().make_notify()?;
        }
        let pid_file = options.pid_file.clone();
        // The cgroup first: a mount of the container may be a bind of it.
        let (cgroup, peer) = self.make_cgroup(devices, &until)?;
        record.cgroup = cgroup.record();
        let program = self.encoded()?;
        let resctrl = self.intel_rdt.as_ref().map(Resctrl::create).transpose()?;
        record.intel_rdt = resctrl.as_ref().map(Resctrl::made).unwrap_or_default();
        let lacks = |source: &Source| Error::new(ErrorKind::Internal, format!("create has no {source}"));
        let opener = sources::Opener::new(options.stdio, options.fds);
        let slots = opener.open(&self.sources, |source| match source {
            Source::Gate => claim.dir().make_gate(),
            Source::Network => end.take().ok_or_else(|| lacks(source)),
            Source::Door => claim.dir().make_door(),
            Source::CgroupEntrance(index) => cgroup.entrance(&self.cgroup, *index),
            Source::DelegateEntrance => cgroup.delegate_entrance(&self.cgroup),
            Source::RdtEntrance { monitor } => {
                resctrl.as_ref().map_or_else(|| Err(lacks(source)), |groups| groups.entrance(*monitor))
            }
            other => Err(lacks(other)),
        })?;
        let host_root = self.sources.iter().position(|source| matches!(source, Source::HostRoot { .. }));
        let host_root = host_root.and_then(|index| slots.get(index));
        let host_root =
            host_root.map(|tree| HostRoot::attach(tree.as_fd(), &mut record, claim.dir())).transpose()?;
        Ok(Prepared {
            peer: Some(peer),
            host_root,
            plan: self,
            record,
            cgroup,
            resctrl,
            claim,
            slots,
            program,
            pid_file,
            receivers,
            until,
            network,
        })
    }

    /// The program as init reads it, and its length.
    fn encoded(&self) -> Result<(Vec<u8>, usize)> {
        let encoded = self.program.encode()?;
        let len = self.program.encoded_len(&encoded);
        let len = len.ok_or_else(|| Error::new(ErrorKind::Internal, "program without a length"))?;
        Ok((encoded, len))
    }

    /// The cgroup, and init in it: if systemd makes the cgroup it has to have a process first. The process is declared last: what fails ends it first.
    fn make_cgroup(&mut self, devices: &DeviceCache, until: &Until) -> Result<(Cgroup, Peer)> {
        let mut cgroup = Cgroup::begin(&self.cgroup);
        let peer = self.start_unit(&mut cgroup, until)?;
        cgroup.make_all(&self.cgroup, devices).map_err(|error| match &peer {
            Some(peer) if peer.is_dead() && report::may_be_out_of_memory(self) => report::out_of_memory(),
            _ => error,
        })?;
        let peer = peer.map_or_else(|| launch::begin(self, &cgroup, until.clone()), Ok)?;
        Ok((cgroup, peer))
    }

    /// A unit of systemd is started with init in it.
    fn start_unit(&mut self, cgroup: &mut Cgroup, until: &Until) -> Result<Option<Peer>> {
        let CgroupPlan { unit, dirs, .. } = &mut self.cgroup;
        let Some(unit) = unit else { return Ok(None) };
        if unit.is_slice() {
            return cgroup.start_unit(unit, None, dirs, until).map(|()| None);
        }
        let peer = Peer::begin_suspended(self.clone_flags, None, until.clone())?;
        cgroup.start_unit(unit, Some(peer.pid()), dirs, until)?;
        Ok(Some(peer))
    }

    fn record(&self) -> Record {
        let CgroupPlan { dirs, devices, .. } = &self.cgroup;
        let default_devices = devices.rules.iter().any(|rule| rule.pointer == plan::cgroup::DEFAULT_RULE);
        Record {
            schema: format::SCHEMA,
            id: self.id.to_string(),
            init: None,
            own_pid_namespace: self.own_pid_namespace,
            no_program: !self.has_program,
            bundle: self.bundle.clone(),
            rootfs: self.rootfs.clone(),
            created: clock::now(),
            annotations: self.annotations.clone(),
            cgroup: CgroupRecord::intent(&self.cgroup),
            no_default_device_rules: !dirs.is_empty() && !default_devices,
            hooks: self.hooks.later(),
            intel_rdt: self.intel_rdt.as_ref().map(resctrl::intent).unwrap_or_default(),
            root_mount: None,
        }
    }
}

/// Opens what the plan of one more process names.
pub(crate) fn open_entry(plan: &Plan, container: &Container, options: ExecOptions) -> Result<Vec<OwnedFd>> {
    let cgroup = container.cgroup()?;
    let lacks = |source: &Source| Error::new(ErrorKind::Internal, format!("exec has no {source}"));
    let opener = sources::Opener::new(options.stdio, options.fds);
    opener.open(&plan.sources, |source| match source {
        Source::Init => container.init(),
        Source::InitRoot => container.init_root(),
        Source::CgroupEntrance(index) => cgroup.tasks(*index),
        Source::CgroupBelow { index, path } => cgroup.below(*index, path),
        Source::CgroupDirectory(index) => cgroup.birthplace(*index, container.pid()),
        Source::RdtEntrance { monitor } => {
            plan.intel_rdt.as_ref().map_or_else(|| Err(lacks(source)), |rdt| resctrl::entrance(rdt, *monitor))
        }
        other => Err(lacks(other)),
    })
}
