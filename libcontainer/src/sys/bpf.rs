//! bpf(2): loads and attaches the device filter. nix has no wrapper.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::Padded;

const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const PROG_DETACH: libc::c_long = 9;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const PROG_QUERY: libc::c_long = 16;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
/// Since Linux 5.6.
const REPLACE: u32 = 4;
/// BPF_CGROUP_MAX_PROGS: so many programs fit one cgroup.
const MAX_PROGRAMS: usize = 64;
/// The name by which we know our programs again.
const NAME: &[u8] = b"teu_devices";

// Offsets in the forms of `union bpf_attr` that are used, and in `struct bpf_prog_info`.
const LOAD_TYPE: usize = 0;
const LOAD_COUNT: usize = 4;
const LOAD_INSNS: usize = 8;
const LOAD_LICENSE: usize = 16;
const LOAD_NAME: usize = 48;
const ATTACH_TARGET: usize = 0;
const ATTACH_PROGRAM: usize = 4;
const ATTACH_TYPE: usize = 8;
const ATTACH_FLAGS: usize = 12;
const ATTACH_REPLACED: usize = 16;
const QUERY_TARGET: usize = 0;
const QUERY_TYPE: usize = 4;
const QUERY_IDS: usize = 16;
const QUERY_COUNT: usize = 24;
const INFO_PROGRAM: usize = 0;
const INFO_LEN: usize = 4;
const INFO_ADDRESS: usize = 8;
const PROGRAM_NAME: usize = 64;

/// Loads a device filter. The descriptor is close-on-exec, as all of bpf(2) are.
pub(crate) fn load_device_filter(insns: &[u64]) -> io::Result<OwnedFd> {
    load_named(insns, NAME)
}

pub(crate) fn load_named(insns: &[u64], name: &[u8]) -> io::Result<OwnedFd> {
    let count = u32::try_from(insns.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let mut attr = Padded::new();
    attr.put(LOAD_TYPE, &PROG_TYPE_CGROUP_DEVICE.to_ne_bytes());
    attr.put(LOAD_COUNT, &count.to_ne_bytes());
    attr.put(LOAD_INSNS, &(insns.as_ptr() as u64).to_ne_bytes());
    // The program calls no helper, so the kernel asks for no particular license.
    attr.put(LOAD_LICENSE, &(c"Apache-2.0".as_ptr() as u64).to_ne_bytes());
    attr.put(LOAD_NAME, name);
    let fd = bpf(PROG_LOAD, &mut attr)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    super::fs::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a device filter to a cgroup2 directory, beside the filters of others, and in one step in the place of `replaced`.
pub(crate) fn attach_device_filter(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut attr = attachment(cgroup, program);
    let flags = if replaced.is_some() { ALLOW_MULTI | REPLACE } else { ALLOW_MULTI };
    attr.put(ATTACH_FLAGS, &flags.to_ne_bytes());
    if let Some(replaced) = replaced {
        attr.put(ATTACH_REPLACED, &replaced.as_raw_fd().to_ne_bytes());
    }
    bpf(PROG_ATTACH, &mut attr).map(drop)
}

/// Takes a device filter from a cgroup2 directory.
pub(crate) fn detach_device_filter(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    bpf(PROG_DETACH, &mut attachment(cgroup, program)).map(drop)
}

fn attachment(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Padded {
    let mut attr = Padded::new();
    attr.put(ATTACH_TARGET, &cgroup.as_raw_fd().to_ne_bytes());
    attr.put(ATTACH_PROGRAM, &program.as_raw_fd().to_ne_bytes());
    attr.put(ATTACH_TYPE, &ATTACH_CGROUP_DEVICE.to_ne_bytes());
    attr
}

/// A device filter that is attached to a cgroup2 directory.
#[derive(Debug)]
pub(crate) struct Attached {
    /// The program.
    pub program: OwnedFd,
    /// It is one of ours.
    pub own: bool,
}

/// The device filters that are attached to a cgroup2 directory itself, ours and those of others.
pub(crate) fn device_filters(cgroup: BorrowedFd<'_>) -> io::Result<Vec<Attached>> {
    let mut ids = [0_u32; MAX_PROGRAMS];
    let mut attr = Padded::new();
    attr.put(QUERY_TARGET, &cgroup.as_raw_fd().to_ne_bytes());
    attr.put(QUERY_TYPE, &ATTACH_CGROUP_DEVICE.to_ne_bytes());
    attr.put(QUERY_IDS, &(ids.as_mut_ptr() as u64).to_ne_bytes());
    attr.put(QUERY_COUNT, &(MAX_PROGRAMS as u32).to_ne_bytes());
    bpf(PROG_QUERY, &mut attr)?;
    let count = attr.get_u32(QUERY_COUNT).unwrap_or(0) as usize;
    let found = ids.iter().take(count).map(|id| open_program(*id));
    // One that is gone meanwhile is attached no more.
    found.filter(|opened| !matches!(opened, Err(e) if e.raw_os_error() == Some(libc::ENOENT))).collect()
}

fn open_program(id: u32) -> io::Result<Attached> {
    let mut attr = Padded::new();
    attr.put(0, &id.to_ne_bytes());
    let fd = bpf(PROG_GET_FD_BY_ID, &mut attr)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let program = super::fs::above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })?;
    let mut info = Padded::new();
    let mut attr = Padded::new();
    attr.put(INFO_PROGRAM, &program.as_raw_fd().to_ne_bytes());
    attr.put(INFO_LEN, &(Padded::SIZE as u32).to_ne_bytes());
    attr.put(INFO_ADDRESS, &(info.as_mut_ptr() as u64).to_ne_bytes());
    bpf(OBJ_GET_INFO_BY_FD, &mut attr)?;
    info.check();
    Ok(Attached { own: info.get(PROGRAM_NAME, NAME.len()) == Some(NAME), program })
}

/// EAGAIN is a signal that interrupted the verifier: the kernel asks for another try.
fn bpf(command: libc::c_long, attr: &mut Padded) -> io::Result<i32> {
    loop {
        // SAFETY: `attr` is a zeroed 256-byte `union bpf_attr`, and what it points to outlives the call.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), Padded::SIZE) };
        attr.check();
        match i32::try_from(result) {
            Ok(value) if value >= 0 => return Ok(value),
            _ => {
                let error = io::Error::last_os_error();
                if !matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: [u64; 2] = [0x0000_0001_0000_00b4, 0x95];

    #[test]
    fn the_kernel_writes_nothing_behind_the_attributes() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        // Padded::check() panics in debug builds when its guard changed.
        load_device_filter(&ALLOW).expect("load");
    }

    #[test]
    fn a_program_that_may_read_outside_its_context_is_refused_by_the_kernel() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        // r0 = *(u32 *)(r1 + 4096)
        let error = load_device_filter(&[0x0000_0000_1000_1061, 0x95]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    }
}
