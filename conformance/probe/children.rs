//! Processes that the probe makes: many, in trees, and left behind.

use super::{SIGKILL, c_int, fork, kill, pipe, read, setsid, sleep, waitpid, write};

/// Forks until it fails or `wanted` children exist, then ends them. Returns how many there were.
pub fn forks(wanted: usize) -> usize {
    let mut children = Vec::new();
    while children.len() < wanted {
        // SAFETY: the probe has one thread, so the child may do anything.
        match unsafe { fork() } {
            0 => sleep(),
            pid if pid < 0 => break,
            pid => children.push(pid),
        }
    }
    for pid in &children {
        // SAFETY: these are our own children, not yet waited for.
        unsafe { kill(*pid, SIGKILL) };
        // SAFETY: no status is asked for.
        unsafe { waitpid(*pid, std::ptr::null_mut(), 0) };
    }
    children.len()
}

/// Makes a tree of `count` sleeping descendants and returns when all of them live.
pub fn tree_of(count: usize) -> usize {
    let mut ends: [c_int; 2] = [0; 2];
    // SAFETY: the array holds two descriptors.
    if unsafe { pipe(ends.as_mut_ptr()) } < 0 {
        return 0;
    }
    grow(count, ends[1]);
    let mut byte = [0_u8];
    // SAFETY: the buffer holds the one byte asked for.
    (0..count).take_while(|_| unsafe { read(ends[0], byte.as_mut_ptr().cast(), 1) } == 1).count()
}

/// Half of the descendants below the first child, half of the rest below the second, and so on.
fn grow(mut count: usize, ready: c_int) {
    while count > 0 {
        let share = count.div_ceil(2);
        // SAFETY: the probe has one thread, so the child may do anything.
        if unsafe { fork() } == 0 {
            grow(share - 1, ready);
            // SAFETY: the buffer holds the one byte written.
            unsafe { write(ready, c"x".as_ptr().cast(), 1) };
            sleep();
        }
        count -= share;
    }
}

/// The classic daemon: the first process ends, its child goes on in a session of its own.
pub fn daemon() {
    // SAFETY: the probe has one thread, so the child may do anything.
    if unsafe { fork() } != 0 {
        std::process::exit(0);
    }
    // SAFETY: takes no argument, touches no memory.
    unsafe { setsid() };
}
