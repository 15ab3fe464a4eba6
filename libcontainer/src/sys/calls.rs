//! The calls that a kernel of teu's floor has, and which of them are not there.
#![allow(unsafe_code)]

use std::io;

// table: name, number, the first Linux that has it in the form that teu uses
const CALLS: &[(&str, libc::c_long, &str)] = &[
    ("bpf", libc::SYS_bpf, "4.15"),
    ("clone3", libc::SYS_clone3, "5.7"),
    ("close_range", libc::SYS_close_range, "5.9"),
    ("execveat", libc::SYS_execveat, "3.19"),
    ("fsconfig", libc::SYS_fsconfig, "5.2"),
    ("fsmount", libc::SYS_fsmount, "5.2"),
    ("fsopen", libc::SYS_fsopen, "5.2"),
    ("memfd_create", libc::SYS_memfd_create, "3.17"),
    ("mount_setattr", libc::SYS_mount_setattr, "5.12"),
    ("move_mount", libc::SYS_move_mount, "5.2"),
    ("open_tree", libc::SYS_open_tree, "5.2"),
    ("openat2", libc::SYS_openat2, "5.6"),
    ("pidfd_getfd", libc::SYS_pidfd_getfd, "5.6"),
    ("pidfd_open", libc::SYS_pidfd_open, "5.3"),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal, "5.1"),
];

/// Name and first Linux of each call that answers ENOSYS. For the way to an error: it makes all of these calls.
pub(crate) fn absent() -> Vec<(&'static str, &'static str)> {
    CALLS.iter().filter(|(_, number, _)| is_absent(*number)).map(|(name, _, since)| (*name, *since)).collect()
}

/// A descriptor or an address of -1, no size and no other argument: each of these calls refuses that before it does anything.
fn is_absent(number: libc::c_long) -> bool {
    // SAFETY: none of these calls reads or writes memory when its pointers are null or -1 and its sizes 0.
    let result = unsafe { libc::syscall(number, -1, 0, 0, 0, 0, 0) };
    result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_of_the_floor_has_them_all_and_asking_does_nothing() {
        assert!(absent().iter().all(|(name, _)| *name == "mount_setattr"), "{:?}", absent());
    }

    #[test]
    fn a_number_of_no_call_is_absent() {
        assert!(is_absent(100_000));
    }
}
