//! The kernel's floor: a process that makes the kernel calls of a container and nothing else, no config, no state, no messages.
//!
//! [`Variant::Plain`] is one clone3 into a cgroup with six namespaces, the default mounts, devices, links, masked and
//! readonly paths, pivot_root, hostname, exec, wait and rmdir. [`Variant::Full`] adds what else the default config asks for:
//! the device program, the cgroup mount, the readonly root, loopback, keyring, rlimits, capabilities and ids. [`Variant::Gated`] does that in the two steps
//! that create and start are: it says that it is ready, and executes the program when it is told to.

mod child;
mod devices;

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::wait::{WaitStatus, waitpid};

use crate::failure::{Result, refuse};
use crate::sys::{self, Cloned};

const NAMESPACES: libc::c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWNET;

/// How much of the default config the floor does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Namespaces, mounts, devices, masks, exec.
    Plain,
    /// All that the default config asks for.
    Full,
    /// The same in two steps, as a container that is created and then started.
    Gated,
}

/// A floor that can be measured again and again.
pub struct Floor {
    variant: Variant,
    rootfs: CString,
    cgroups: PathBuf,
    program: Option<OwnedFd>,
    rounds: u64,
}

impl Floor {
    /// A floor on `rootfs` with its cgroups below `cgroup` (a name that is free); the device program is loaded here, once.
    pub fn new(variant: Variant, rootfs: &Path, cgroup: &Path) -> Result<Floor> {
        let program = match variant {
            Variant::Plain => None,
            Variant::Full | Variant::Gated => Some(sys::load_device_program(&devices::program())?),
        };
        let rootfs = CString::new(rootfs.as_os_str().as_encoded_bytes())?;
        Ok(Floor { variant, rootfs, cgroups: cgroup.to_owned(), program, rounds: 0 })
    }

    /// One container from nothing to nothing.
    pub fn cycle(&mut self) -> Result<Duration> {
        self.rounds += 1;
        let mut name = self.cgroups.clone().into_os_string();
        name.push(format!("-{}", self.rounds));
        let cgroup = PathBuf::from(name);
        let start = Instant::now();
        fs::create_dir(&cgroup)?;
        let ended = self.run(&cgroup);
        fs::remove_dir(&cgroup)?;
        let elapsed = start.elapsed();
        match ended? {
            WaitStatus::Exited(_, 0) => Ok(elapsed),
            other => refuse(format!("the floor's child: {other:?}")),
        }
    }

    fn run(&self, cgroup: &Path) -> Result<WaitStatus> {
        let cgroup = File::open(cgroup)?;
        if let Some(program) = &self.program {
            sys::attach_device_program(cgroup.as_fd(), program.as_fd())?;
        }
        let gate = (self.variant == Variant::Gated).then(UnixStream::pair).transpose()?;
        let (ours, theirs) = gate.unzip();
        match sys::clone_into(NAMESPACES, cgroup.as_fd())? {
            Cloned::Child => child::become_container(self.variant, &self.rootfs, theirs),
            Cloned::Parent(pid) => {
                // Only the child has its end: should it fail, the read ends.
                drop(theirs);
                let opened = ours.map_or(Ok(()), open_gate);
                let ended = waitpid(pid, None)?;
                opened.map(|()| ended)
            }
        }
    }
}

/// Waits for the child's word that it is ready, and lets it go on.
fn open_gate(mut gate: UnixStream) -> Result<()> {
    gate.read_exact(&mut [0])?;
    Ok(gate.write_all(&[0])?)
}
