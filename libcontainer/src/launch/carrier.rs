//! The init program on its way to execveat: an independent sealed copy for each container.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use teu_init::wire::SOCKET_FD;

/// The program, compiled by the build script.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/teu-init"));

/// Length of the embedded init program in bytes.
pub fn init_size() -> usize {
    PROGRAM.len()
}

/// The copy for the next container, made while init works on the one before: who has made two containers will make a third.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spare(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    copy: Mutex<Option<OwnedFd>>,
    wanted: AtomicBool,
}

impl Spare {
    /// The copy that is there, or a new one.
    pub fn take(&self) -> io::Result<OwnedFd> {
        let ready = self.copy().take();
        ready.map_or_else(init, Ok)
    }

    /// Makes a copy ready, not yet when it is asked for the first time.
    pub fn refill(&self) {
        if self.0.wanted.swap(true, Ordering::Relaxed) {
            self.fill();
        }
    }

    /// Makes a copy ready. If that fails, so it will when it is needed, and is reported then.
    pub fn fill(&self) {
        if self.copy().is_none() {
            let made = init().ok();
            *self.copy() = made;
        }
    }

    fn copy(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        self.0.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

    use nix::sys::stat::fstat;

    use super::*;

    fn inode(file: BorrowedFd<'_>) -> u64 {
        fstat(file).unwrap().st_ino
    }

    #[test]
    fn init_never_lies_where_its_socket_goes() {
        // As many as it takes to have been offered every low number.
        let copies: Vec<OwnedFd> = (0..8).map(|_| init().unwrap()).collect();
        assert!(copies.iter().all(|copy| copy.as_raw_fd() > SOCKET_FD));
    }

    #[test]
    fn a_copy_is_ready_from_the_second_container_on_and_nobody_gets_it_twice() {
        let spare = Spare::default();
        spare.refill();
        assert!(spare.copy().is_none(), "nobody knows yet that there will be another container");
        spare.refill();
        let ready = spare.copy().as_ref().map(|copy| inode(copy.as_fd()));
        spare.refill();
        let copies = [spare.take().unwrap(), spare.take().unwrap()];
        let taken = copies.each_ref().map(|copy| inode(copy.as_fd()));
        assert_eq!(Some(taken[0]), ready, "one that is ready stays until it is taken");
        assert_ne!(taken[0], taken[1]);
        assert!(spare.copy().is_none());
    }
}
