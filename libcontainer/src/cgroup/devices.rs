//! Loads device filters once and attaches them to many cgroups.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use crate::sys::bpf;

/// How many different filters are kept: containers of one engine share one or two.
const KEPT: usize = 8;

/// Device filters that this process has loaded, the last used at the end.
#[derive(Debug, Default)]
pub struct DeviceCache(Mutex<Vec<Filter>>);

#[derive(Clone, Debug)]
struct Filter {
    insns: Arc<[u64]>,
    fd: Arc<OwnedFd>,
}

impl DeviceCache {
    /// Attaches the filter to a cgroup2 directory. No lock is held while the kernel works.
    pub(super) fn attach(&self, cgroup: BorrowedFd<'_>, insns: &[u64]) -> io::Result<()> {
        let filter = match self.find(insns) {
            Some(filter) => filter,
            None => self.keep(Filter { insns: insns.into(), fd: Arc::new(bpf::load_device_filter(insns)?) }),
        };
        bpf::attach_device_filter(cgroup, filter.fd.as_fd())
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

#[cfg(test)]
impl DeviceCache {
    pub(super) fn kept(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}
