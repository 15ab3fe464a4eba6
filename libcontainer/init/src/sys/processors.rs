//! On which processors the caller runs.

use super::arch::{nr, syscall};
use super::{Result, at_mut, done};

/// Allows every processor; the kernel cuts that down to the cpuset.
pub fn reset_affinity() -> Result<()> {
    // 8,192 processors, the most that Linux supports on any architecture.
    set_affinity(&[u8::MAX; 1024])
}

/// `cpus` are whole words of a bit mask.
pub fn set_affinity(cpus: &[u8]) -> Result<()> {
    // SAFETY: the mask is borrowed with its length. The kernel copies it without alignment.
    done(unsafe { syscall(nr::SCHED_SETAFFINITY, [0, cpus.len(), cpus.as_ptr() as usize, 0, 0, 0]) })
}

/// The number of the processor that the caller runs on at this moment.
pub fn processor() -> Result<u32> {
    let mut number = 0u32;
    // SAFETY: the number is borrowed for writing; the other pointers are NULL.
    done(unsafe { syscall(nr::GETCPU, [at_mut(&mut number), 0, 0, 0, 0, 0]) })?;
    Ok(number)
}
