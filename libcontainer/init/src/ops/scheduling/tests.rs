//! What the kernel is asked to prefer, each in a process of its own.

use super::scheduler;
use crate::abi::EINVAL;
use crate::harness::in_process;
use crate::sys;

const BATCH: u32 = 3;

fn policy() -> libc::c_int {
    // SAFETY: asks for a number.
    unsafe { libc::sched_getscheduler(0) }
}

fn nice() -> libc::c_int {
    // SAFETY: asks for a number.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

#[test]
fn a_policy_comes_with_its_flags_and_a_signed_nice_value() {
    in_process(|| {
        const RESET_ON_FORK: u64 = 1;
        assert_eq!(scheduler(BATCH, RESET_ON_FORK, [7, 0], [0; 3]), Ok(()));
        assert_eq!(policy(), libc::SCHED_BATCH | libc::SCHED_RESET_ON_FORK);
        assert_eq!(nice(), 7);
    });
}

#[test]
fn what_no_kernel_knows_is_an_error() {
    in_process(|| {
        assert_eq!(scheduler(4, 0, [0, 0], [0; 3]), Err(EINVAL.into()), "SCHED_ISO");
        assert_eq!(scheduler(0, 1 << 40, [0, 0], [0; 3]), Err(EINVAL.into()), "a flag");
        assert_eq!(scheduler(1, 0, [0, 0], [0; 3]), Err(EINVAL.into()), "SCHED_FIFO without a priority");
        assert_eq!(scheduler(6, 0, [0, 0], [2, 1, 1]), Err(EINVAL.into()), "a runtime above its deadline");
    });
}

#[test]
fn the_io_priority_is_that_of_the_group() {
    in_process(|| {
        const BEST_EFFORT_6: u32 = 2 << 13 | 6;
        sys::setsid().unwrap(); // a group of its own
        assert_eq!(sys::set_io_priority(BEST_EFFORT_6), Ok(()));
        // SAFETY: takes numbers.
        let found = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) };
        assert_eq!(found, i64::from(BEST_EFFORT_6));
        assert_eq!(sys::set_io_priority(5 << 13), Err(EINVAL), "a class that does not exist");
    });
}

/// Mode and first word of the mask; `None` where the kernel has no memory policies.
fn memory_policy() -> Option<(libc::c_int, u64)> {
    let (mut mode, mut nodes): (libc::c_int, [u64; 16]) = (-1, [0; 16]);
    // SAFETY: the mask has as many bits as the kernel is told.
    let found =
        unsafe { libc::syscall(libc::SYS_get_mempolicy, &raw mut mode, nodes.as_mut_ptr(), 1024, 0, 0) };
    (found == 0).then_some((mode, nodes[0]))
}

#[test]
fn a_memory_policy_takes_a_mask_of_any_length() {
    in_process(|| {
        const BIND: u32 = 2;
        if memory_policy().is_none() {
            return;
        }
        let mask = |words: usize| {
            let mut bytes = vec![0; words * 8];
            bytes[0] = 1;
            bytes
        };
        for words in [1, 2, 16, 17, 512] {
            assert_eq!(sys::set_memory_policy(BIND, &mask(words)), Ok(()), "{words} words");
            assert_eq!(memory_policy(), Some((2, 1)), "{words} words");
        }
        const STATIC_NODES: u32 = 1 << 15;
        // With this flag the kernel keeps the mask as it was given.
        let ends = 1u64 | 1 << 63;
        assert_eq!(sys::set_memory_policy(BIND | STATIC_NODES, &ends.to_ne_bytes()), Ok(()));
        assert_eq!(memory_policy().map(|(_, nodes)| nodes), Some(ends));
        assert_eq!(sys::set_memory_policy(BIND, &mask(513)), Err(EINVAL), "more than a page of bits");
        assert_eq!(sys::set_memory_policy(BIND, &[]), Err(EINVAL), "no node");
        assert_eq!(sys::set_memory_policy(0, &[]), Ok(()));
        assert_eq!(memory_policy(), Some((0, 0)));
    });
}

/// The first word of the processors that the process may run on.
fn affinity() -> u64 {
    let mut cpus = [0u64; 128];
    // SAFETY: the mask has as many bytes as the kernel is told.
    let found =
        unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&cpus), cpus.as_mut_ptr()) };
    assert!(found > 0);
    cpus[0]
}

#[test]
fn an_affinity_is_a_mask_of_any_length_and_needs_a_processor_that_exists() {
    in_process(|| {
        let all = affinity();
        let lowest = all & all.wrapping_neg();
        assert_eq!(sys::set_affinity(&lowest.to_ne_bytes()), Ok(()));
        assert_eq!(affinity(), lowest);
        assert_eq!(sys::set_affinity(&[0; 8]), Err(EINVAL), "no processor");
        assert_eq!(affinity(), lowest);
        assert_eq!(sys::reset_affinity(), Ok(()));
        assert_eq!(affinity(), all);
    });
}
