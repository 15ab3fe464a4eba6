//! Mounts that come and go while the container runs.

use serde_json::Value;

use super::{Container, not_running};
use crate::host::Host;
use crate::launch::{Entering, Peer, reap};
use crate::options::ExecOptions;
use crate::plan::{self, Plan, Target, live_mounts};
use crate::prepare;
use crate::spec::Spec;
use crate::state::StateDir;
use crate::until::{Patience, Until};
use crate::{Error, ErrorKind, Result, Status};

impl Container {
    /// Adds mounts to the running container: a JSON array of entries as in `mounts` of a configuration. All are checked before the first is made; if one cannot
    /// be made, those before it are taken away again. They count as part of the container's configuration from then on.
    ///
    /// # Errors
    /// `NotRunning`; `InvalidSpec` and `Unsupported` with the place in the configuration; `Mount`: the kernel refuses.
    pub fn add_mounts(&self, mounts: &[u8]) -> Result<()> {
        self.add_mounts_within(mounts, &Patience::default())
    }

    /// The same, and no longer than `patience`.
    ///
    /// # Errors
    /// As [`Container::add_mounts`]; `TimedOut`, `Cancelled`: nothing is mounted.
    pub fn add_mounts_within(&self, mounts: &[u8], patience: &Patience) -> Result<()> {
        let until = Until::from(patience);
        until.check()?;
        let locked = self.locked_until(&until)?;
        self.current(|now| now.add(&locked, mounts, &until))
    }

    fn add(&self, locked: &StateDir, mounts: &[u8], until: &Until) -> Result<()> {
        let mut host = self.host_for_mounts()?;
        let before = self.spec()?;
        if plan::wants_security_modules(before.config()) {
            host.probe_security_modules();
        }
        let spec = before.with_mounts(mounts)?;
        let count = |spec: &Spec| spec.config().mounts().as_ref().map_or(0, Vec::len);
        let new = count(&before)..count(&spec);
        let target = Target { id: self.id(), spec: &spec, cgroup: &self.record.cgroup };
        let plans: Vec<_> = new
            .clone()
            .map(|index| live_mounts::compile_mount(&target, index, &host))
            .collect::<Result<_>>()?;
        let config = locked.new_config(&spec.json())?;
        for (done, plan) in plans.into_iter().enumerate() {
            if let Err(error) = self.enter_for(plan, until.clone()) {
                self.take_back(&target, new.start..new.start + done, &host);
                return Err(error);
            }
        }
        config.commit().inspect_err(|_| self.take_back(&target, new, &host))
    }

    /// Takes mounts away from the running container: a JSON array of entries, of which the `destination` counts. The topmost mount there goes; who has a file of
    /// it open keeps it. All are checked before the first goes.
    ///
    /// # Errors
    /// As [`Container::add_mounts`]; those before the one that failed are gone.
    pub fn remove_mounts(&self, mounts: &[u8]) -> Result<()> {
        self.remove_mounts_within(mounts, &Patience::default())
    }

    /// The same, and no longer than `patience`.
    ///
    /// # Errors
    /// As [`Container::remove_mounts`]; `TimedOut`, `Cancelled`.
    pub fn remove_mounts_within(&self, mounts: &[u8], patience: &Patience) -> Result<()> {
        let until = Until::from(patience);
        until.check()?;
        let locked = self.locked_until(&until)?;
        self.current(|now| now.take_away(&locked, mounts, &until))
    }

    fn take_away(&self, locked: &StateDir, mounts: &[u8], until: &Until) -> Result<()> {
        let host = self.host_for_mounts()?;
        let mut spec = self.spec()?;
        let wanted = spec.with_mounts(mounts)?;
        let given = serde_json::from_slice::<Vec<Value>>(mounts).map_or(0, |list| list.len());
        let all = wanted.config().mounts().as_deref().unwrap_or_default();
        let paths = all.iter().skip(all.len().saturating_sub(given));
        let paths: Vec<_> = paths.map(|mount| mount.destination().to_string_lossy().into_owned()).collect();
        let target = Target { id: self.id(), spec: &wanted, cgroup: &self.record.cgroup };
        let plans: Vec<_> = paths
            .iter()
            .map(|path| live_mounts::compile_unmount(&target, path, &host))
            .collect::<Result<_>>()?;
        for (plan, path) in plans.into_iter().zip(&paths) {
            self.enter_for(plan, until.clone())?;
            spec = spec.without_mount(path)?;
            locked.new_config(&spec.json())?.commit()?;
        }
        Ok(())
    }

    fn host_for_mounts(&self) -> Result<Host> {
        match self.observe()? {
            Status::Stopped => Err(not_running()),
            Status::Creating => Err(Error::new(ErrorKind::InvalidState, "the container is being created")),
            Status::Created | Status::Running | Status::Paused => Host::probe(),
        }
    }

    /// The last one first.
    fn take_back(&self, target: &Target<'_>, done: std::ops::Range<usize>, host: &Host) {
        let mounts = target.spec.config().mounts().as_deref().unwrap_or_default();
        for mount in mounts.get(done).unwrap_or_default().iter().rev() {
            let path = mount.destination().to_string_lossy();
            let undone = live_mounts::compile_unmount(target, &path, host)
                .and_then(|plan| self.enter_for(plan, Until::default()));
            if let Err(error) = undone {
                log::warn!("take back the mount at {path}: {error}");
            }
        }
    }

    /// Sends a process in, and waits until it is out again.
    fn enter_for(&self, plan: Plan, until: Until) -> Result<()> {
        let peer = Peer::begin(0, None, until)?;
        let slots = prepare::open_entry(&plan, self, ExecOptions::default())?;
        let receivers = prepare::Receivers::default();
        let entering = Entering::new(peer, plan, self.pid().unwrap_or(0), slots, receivers)?;
        reap::wait(&entering.enter(None)?.pidfd);
        Ok(())
    }
}
