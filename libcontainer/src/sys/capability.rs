//! capget(2) and prctl(2): the calling thread's own capabilities, and how many there are.
#![allow(unsafe_code)]

use std::io;

/// _LINUX_CAPABILITY_VERSION_3: two words for each set.
const VERSION: u32 = 0x2008_0522;

/// The effective set, one bit for each capability.
pub(crate) fn effective() -> io::Result<u64> {
    let mut header: [u32; 2] = [VERSION, 0];
    // For each of two words: effective, permitted, inheritable.
    let mut data = [[0u32; 3]; 2];
    // SAFETY: libc has no wrapper; both arrays have the size that version 3 writes and outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let [[low, ..], [high, ..]] = data;
    Ok(u64::from(high) << 32 | u64::from(low))
}

/// The highest capability that the kernel knows; `None` if it does not answer.
pub(crate) fn last() -> Option<u32> {
    /// The one of Linux 5.9 to 6.18, asked for first.
    const USUAL: u32 = 40;
    let known = |capability: &u32| {
        // SAFETY: takes no pointer.
        unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(*capability), 0, 0, 0) >= 0 }
    };
    let first = [USUAL, 0].into_iter().find(known)?;
    (first..64).take_while(known).last()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_capability_is_the_one_procfs_shows() {
        let shown = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
        assert_eq!(super::last().unwrap().to_string(), shown.trim());
    }

    #[test]
    fn the_effective_set_is_the_one_procfs_shows() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        assert_eq!(super::effective().unwrap(), u64::from_str_radix(line.trim(), 16).unwrap());
    }
}
