//! What the kernel knows of filters of system calls.
#![allow(unsafe_code)]

/// Whether the kernel knows this SECCOMP_FILTER_FLAG_* bit.
pub(crate) fn knows_flag(flag: u32) -> bool {
    let none = std::ptr::null::<libc::sock_fprog>();
    // SAFETY: without a program nothing can be loaded: the kernel looks at the flags, then finds that there is nothing at NULL.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flag, none) };
    result == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

#[cfg(test)]
mod tests {
    use super::knows_flag;

    #[test]
    fn flags_are_known_since_their_kernel() {
        assert!(knows_flag(2), "SECCOMP_FILTER_FLAG_LOG, Linux 4.14");
        assert!(knows_flag(4), "SECCOMP_FILTER_FLAG_SPEC_ALLOW, Linux 4.17");
        assert!(!knows_flag(1 << 30));
    }
}
