//! The limits of a container and what it has used.

use std::ffi::{c_char, c_int};
use std::sync::PoisonError;

use teu::UpdateOptions;
use teu::stats::{BlockIoEntry, Stats};

use crate::abi::{teu_container_t, teu_error_t, teu_stats, teu_update_options};
use crate::boundary::boundary;
use crate::container::{CONTAINERS, Usage, act};
use crate::context::check_flags;
use crate::documents;
use crate::ffi::{self, Filled};

/// Changes limits of a container that exists, all of them or none. What is ignored is logged as a warning.
///
/// Errors: TEU_EINVAL, TEU_E2BIG, TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_ESPEC with the place, TEU_EUNSUPPORTED, TEU_EBUSY, TEU_EPERM,
/// TEU_ECGROUP, TEU_ETIMEDOUT, TEU_ECANCELED.
/// Threads: any; takes the lock of the container.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_update(
    container: *mut teu_container_t,
    options: *const teu_update_options,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("update", err, || {
        let (found, given) = (CONTAINERS.get(container)?, ffi::read(options)?);
        check_flags(given.flags, 0)?;
        let json = ffi::maybe_bytes(given.resources_json, given.resources_len, "resources_json")?;
        let options = UpdateOptions {
            l3_cache_schema: ffi::maybe_utf8(given.l3_cache_schema, "l3_cache_schema")?,
            mem_bw_schema: ffi::maybe_utf8(given.mem_bw_schema, "mem_bw_schema")?,
        };
        let json = json.as_deref().unwrap_or(b"{}");
        let patience = found.context.patience(given.call)?;
        let warnings = found.context.logging(|| found.container.update_within(json, &options, &patience))?;
        found.context.warn(&warnings);
        Ok(0)
    })
}

/// What the container uses now. The handle keeps the files of the cgroup open, some dozens of descriptors, until it is given back or the container is
/// deleted: so the next call is quick, allocates nothing, and after the end still tells what was used.
///
/// Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ENOTRUNNING (it has ended, and this handle never asked before), TEU_EUNSUPPORTED (it has no cgroup), TEU_ESYS.
/// Threads: any; callers of one handle take turns.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_stats(
    container: *mut teu_container_t,
    stats: *mut teu_stats,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("stats", err, || {
        let (found, stats) = (CONTAINERS.get(container)?, Filled::at(stats)?);
        let mut kept = found.usage.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none() {
            *kept = Some(Usage { reader: found.container.stats_reader()?, stats: Stats::default() });
        }
        let filled = kept.as_mut().map(|usage| found.context.logging(|| usage.fill()));
        match filled {
            Some(Ok(all)) => stats.put(&all),
            Some(Err(error)) => {
                *kept = None;
                return Err(error.into());
            }
            None => {}
        }
        Ok(0)
    })
}

/// All of it as the JSON that `events --stats` prints in its `data`. Freed by `teu_free`; `len` may be NULL.
///
/// Errors: those of `teu_container_stats`, TEU_ENOMEM.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_stats_json(
    container: *mut teu_container_t,
    out: *mut *mut c_char,
    len: *mut usize,
    err: *mut *mut teu_error_t,
) -> c_int {
    act("stats", container, err, |container| documents::give(out, len, || Ok(container.stats()?.runc_json())))
}

impl Usage {
    fn fill(&mut self) -> teu::Result<teu_stats> {
        self.reader.fill(&mut self.stats)?;
        Ok(counted(&self.stats))
    }
}

/// Members in the order of their bits, and where they come from.
macro_rules! told {
    ($($member:ident: $number:expr),* $(,)?) => {{
        let (mut all, mut bit) = (teu_stats { size: 0, valid: 0, $($member: 0),* }, 1u64);
        $(
            if let Some(number) = $number {
                all.$member = number;
                all.valid |= bit;
            }
            bit <<= 1;
        )*
        let _ = bit;
        all
    }};
}

/// In C's words.
fn counted(stats: &Stats) -> teu_stats {
    told! {
        cpu_usage_ns: stats.cpu.usage,
        cpu_user_ns: stats.cpu.user,
        cpu_system_ns: stats.cpu.kernel,
        cpu_periods: stats.cpu.periods,
        cpu_throttled_periods: stats.cpu.throttled_periods,
        cpu_throttled_ns: stats.cpu.throttled,
        memory_usage: stats.memory.usage.usage,
        memory_limit: stats.memory.usage.limit,
        memory_max: stats.memory.usage.max,
        memory_failures: stats.memory.usage.failures,
        swap_usage: stats.memory.swap.usage,
        swap_limit: stats.memory.swap.limit,
        memory_cache: stats.memory.cache,
        oom: stats.memory.oom,
        oom_kill: stats.memory.oom_kill,
        pids_current: stats.pids.current,
        pids_limit: stats.pids.limit,
        io_read_bytes: done(&stats.block_io.bytes, "Read"),
        io_write_bytes: done(&stats.block_io.bytes, "Write"),
        io_reads: done(&stats.block_io.operations, "Read"),
        io_writes: done(&stats.block_io.operations, "Write"),
        cpu_some_us: stats.cpu.pressure.map(|psi| psi.some.total),
        memory_some_us: stats.memory.pressure.map(|psi| psi.some.total),
        memory_full_us: stats.memory.pressure.map(|psi| psi.full.total),
        io_some_us: stats.block_io.pressure.map(|psi| psi.some.total),
        io_full_us: stats.block_io.pressure.map(|psi| psi.full.total),
    }
}

/// The sum over all devices.
fn done(entries: &[BlockIoEntry], what: &str) -> Option<u64> {
    let of = entries.iter().filter(|entry| entry.op == what).map(|entry| entry.value);
    (!entries.is_empty()).then(|| of.sum())
}
