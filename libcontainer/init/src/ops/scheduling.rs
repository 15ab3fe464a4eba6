//! Processor time, I/O and memory: what the kernel is asked to prefer.

use crate::abi::SchedAttr;
use crate::machine::Outcome;
use crate::sys;

/// Chooses how the process is scheduled. `nice` is signed and travels as the bits of an unsigned number.
pub fn scheduler(
    policy: u32,
    flags: u64,
    [nice, priority]: [u32; 2],
    [runtime, deadline, period]: [u64; 3],
) -> Outcome {
    let nice = nice as i32;
    let attr = SchedAttr { policy, flags, nice, priority, runtime, deadline, period, ..SchedAttr::default() };
    Ok(sys::sched_setattr(&attr)?)
}

#[cfg(test)]
mod tests;
