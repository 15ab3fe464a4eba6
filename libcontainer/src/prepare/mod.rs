//! Effects of the caller, first half: claims the id, makes the cgroup and the gate, opens what the plan names. No process yet.
//!
//! A [`Prepared`] owns all of it, and dropping it takes all of it back.

mod claim;
mod receiver;
mod sources;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use self::claim::Claim;
pub(crate) use self::receiver::Receivers;
use crate::cgroup::{Cgroup, CgroupRecord, DeviceCache};
use crate::options::CreateOptions;
use crate::plan::Plan;
use crate::resctrl::{self, Resctrl};
use crate::state::{Record, clock, format};
use crate::{Error, ErrorKind, Result};

/// Everything that a container needs before its first process.
#[derive(Debug)]
pub struct Prepared {
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
    /// When init must be ready.
    pub(crate) deadline: Option<Instant>,
}

impl Plan {
    /// Does everything up to the first process: see [`Prepared`].
    ///
    /// # Errors
    /// `AlreadyExists`, a file that cannot be opened, a cgroup that cannot be made. Nothing is left then.
    pub(crate) fn prepare(
        self,
        root: &std::path::Path,
        devices: &DeviceCache,
        mut options: CreateOptions,
    ) -> Result<Prepared> {
        let receivers = Receivers::connect(&mut options)?;
        let encoded = self.program.encode()?;
        let len = self
            .program
            .encoded_len(&encoded)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "program without a length"))?;
        let claim = Claim::new(root, &self.id)?;
        let mut record = self.record();
        claim.dir().write(&record)?;
        let pid_file = options.pid_file.clone();
        let deadline = options.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // The cgroup first: a mount of the container may be a bind of it.
        let cgroup = Cgroup::create(&self.cgroup, devices)?;
        let opener = sources::Opener::new(&claim, options);
        let mut slots = opener.open(&self.sources)?;
        record.cgroup = cgroup.record();
        let resctrl = self.intel_rdt.as_ref().map(Resctrl::create).transpose()?;
        record.intel_rdt = resctrl.as_ref().map(Resctrl::made).unwrap_or_default();
        sources::add_entrances(&self, &cgroup, resctrl.as_ref(), &mut slots)?;
        let slots = slots.into_iter().flatten().collect();
        let program = (encoded, len);
        Ok(Prepared {
            plan: self,
            record,
            cgroup,
            resctrl,
            claim,
            slots,
            program,
            pid_file,
            receivers,
            deadline,
        })
    }

    fn record(&self) -> Record {
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
            hooks: self.hooks.later(),
            intel_rdt: self.intel_rdt.as_ref().map(resctrl::intent).unwrap_or_default(),
        }
    }
}
