//! The init program on its way to execveat: an independent sealed copy for each container.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use teu_init::wire::SOCKET_FD;

/// The program, compiled by the build script.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/teu-init"));

/// Length of the embedded init program in bytes.
pub fn init_size() -> usize {
    PROGRAM.len()
}

/// Makes the copy. It shares no page with a file of the host or with another container, and nobody can write to it.
pub(super) fn init() -> io::Result<OwnedFd> {
    let mut file = File::from(memfd(c"teu-init", libc::MFD_EXEC)?);
    file.write_all(PROGRAM)?;
    let seals =
        SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    // The stub puts the conversation on its number before it executes this.
    crate::sys::fs::above(file.into(), SOCKET_FD)
}

/// Makes the file of a program: `encoded`, and zeros up to `len`. Its size is sealed, its content not: init keeps its progress there.
pub(super) fn program(encoded: &[u8], len: usize) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd(c"teu-program", libc::MFD_NOEXEC_SEAL)?);
    file.write_all(encoded)?;
    file.set_len(len as u64)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW))?;
    Ok(file.into())
}

fn memfd(name: &std::ffi::CStr, exec: u32) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    match memfd_create(name, flags | MFdFlags::from_bits_retain(exec)) {
        // Linux < 6.3 knows neither flag: every memfd is executable there.
        Err(nix::Error::EINVAL) => Ok(memfd_create(name, flags)?),
        other => Ok(other?),
    }
    .and_then(crate::sys::fs::above_stdio)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn init_never_lies_where_its_socket_goes() {
        // As many as it takes to have been offered every low number.
        let copies: Vec<OwnedFd> = (0..8).map(|_| init().unwrap()).collect();
        assert!(copies.iter().all(|copy| copy.as_raw_fd() > SOCKET_FD));
    }
}
