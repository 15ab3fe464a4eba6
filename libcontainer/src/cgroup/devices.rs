//! Loads device filters once and attaches them to many cgroups.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use crate::sys::bpf;

/// How many different filters are kept: containers of one engine share one or two.
const KEPT: usize = 8;

/// Device filters that this process has loaded, the last used at the end. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct DeviceCache(Arc<Mutex<Vec<Filter>>>);

#[derive(Clone, Debug)]
struct Filter {
    insns: Arc<[u64]>,
    fd: Arc<OwnedFd>,
}

impl DeviceCache {
    /// The loaded filter. No lock is held while the kernel works.
    pub(super) fn load(&self, insns: &[u64]) -> io::Result<Arc<OwnedFd>> {
        let filter = match self.find(insns) {
            Some(filter) => filter,
            None => self.keep(Filter { insns: insns.into(), fd: Arc::new(bpf::load_device_filter(insns)?) }),
        };
        Ok(filter.fd)
    }

    fn find(&self, insns: &[u64]) -> Option<Filter> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = kept.iter().position(|filter| *filter.insns == *insns)?;
        let filter = kept.remove(index);
        kept.push(filter.clone());
        Some(filter)
    }

    fn keep(&self, filter: Filter) -> Filter {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have loaded the same filter meanwhile.
        kept.retain(|other| other.insns != filter.insns);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(filter.clone());
        filter
    }
}

/// Attaches a filter to a cgroup2 directory. Where one of ours may be attached already (`found`) it takes its place: the
/// kernel asks all filters, and the old one would refuse what the new one grants.
pub(super) fn attach(cgroup: BorrowedFd<'_>, filter: BorrowedFd<'_>, found: bool) -> io::Result<()> {
    if found { replace(cgroup, filter).map(drop) } else { bpf::attach_device_filter(cgroup, filter, None) }
}

/// Puts a filter in the place of ours, in one step, and gives back the one that was there.
pub(super) fn replace(cgroup: BorrowedFd<'_>, filter: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let attached = bpf::device_filters(cgroup)?;
    let mut own = attached.into_iter().filter(|attached| attached.own).map(|attached| attached.program);
    let first = own.next();
    bpf::attach_device_filter(cgroup, filter, first.as_ref().map(AsFd::as_fd))?;
    own.try_for_each(|program| bpf::detach_device_filter(cgroup, program.as_fd()))?;
    Ok(first)
}

#[cfg(test)]
impl DeviceCache {
    pub(super) fn kept(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}
