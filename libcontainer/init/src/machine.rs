//! The state of one run: descriptors, the root handle, and what an op leaves for a later one.

use crate::abi::{AT_EMPTY_PATH, PROC_SUPER_MAGIC};
use crate::program::{Blob, List, NewSlot, Program, Slot, Str};
use crate::sys::{self, Errno, Fd};
use crate::wire::{NOTE_LEN, step};
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};

/// Why an op failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kernel's answer.
    pub errno: Errno,
    /// Which part of the op (see [`step`]).
    pub step: u32,
}

/// What an op returns.
pub type Outcome = Result<(), Fault>;

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self { errno, step: step::OP }
    }
}

/// Names the part of an op to which an errno belongs.
pub trait At<T> {
    /// The same result, failing at `step`.
    fn at(self, step: u32) -> Result<T, Fault>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, step: u32) -> Result<T, Fault> {
        self.map_err(|errno| Fault { errno, step })
    }
}

/// The parts of the mapped program.
#[derive(Debug)]
pub struct Image<'a> {
    /// Index of the op being run, read by the caller after a sudden death.
    pub progress: &'a AtomicU32,
    /// The checked ops and their arena.
    pub program: Program<'a>,
    /// The slots: one number of four bytes each.
    pub slots: &'a mut [u8],
    /// Room for the pointer arrays of execve.
    pub pointers: &'a mut [u8],
}

/// One run of a program.
#[derive(Debug)]
pub struct Machine<'a> {
    image: Image<'a>,
    /// The conversation with the caller.
    pub socket: Fd,
    /// The root handle: every path of the container starts here.
    pub root: Fd,
    /// Mount and inode of the root handle.
    pub root_id: (u64, u64),
    /// Whether that mount is a procfs.
    pub root_on_proc: bool,
    /// A read-only, empty tmpfs that covers masked directories; the first use attaches it, later ones copy it.
    pub empty: Fd,
    /// The directory in which a file was made last, and its path.
    pub directory: Option<(&'a [u8], Fd)>,
    /// Whether the null device's tree has been attached once: from then on it is copied.
    pub null_used: bool,
    /// The chosen program.
    pub program_path: Option<&'a CStr>,
    /// Whether the working directory is still to be entered with the user's rights.
    pub cwd_denied: bool,
    /// The listener of the filter, until the caller has it.
    pub listener: Fd,
    /// The soft limit of open files that the caller had.
    pub nofile: Option<[u64; 2]>,
    /// The file mode creation mask that hooks get.
    pub umask: u32,
    /// Where `start` connects, if it has to be heard.
    pub door: Fd,
    /// Whether the root is attached below the old one and not over it.
    pub root_below: bool,
    /// Whether the caller's signal dispositions are undone.
    pub signals_reset: bool,
    note: [u8; NOTE_LEN],
    note_len: usize,
}

impl<'a> Machine<'a> {
    /// A machine at the start of `image`.
    pub fn new(image: Image<'a>, socket: Fd) -> Self {
        Self {
            image,
            socket,
            root: Fd::NONE,
            root_id: (0, 0),
            root_on_proc: false,
            empty: Fd::NONE,
            directory: None,
            null_used: false,
            program_path: None,
            cwd_denied: false,
            listener: Fd::NONE,
            nofile: None,
            umask: 0o022,
            door: Fd::NONE,
            root_below: false,
            signals_reset: false,
            note: [0; NOTE_LEN],
            note_len: 0,
        }
    }

    /// The program.
    pub fn program(&self) -> Program<'a> {
        self.image.program
    }

    /// Tells the caller's side where we are.
    pub fn progress(&self, op: u32) {
        self.image.progress.store(op, Ordering::Relaxed);
    }

    /// A string of the arena; the program was checked, so it is there.
    pub fn text(&self, text: Str) -> &'a CStr {
        self.image.program.text(text).unwrap_or(c"")
    }

    /// Strings of the arena.
    pub fn texts(&self, list: List) -> impl Iterator<Item = &'a CStr> + use<'a> {
        self.image.program.texts(list)
    }

    /// Bytes of the arena.
    pub fn bytes(&self, blob: Blob) -> &'a [u8] {
        self.image.program.bytes(blob).unwrap_or(&[])
    }

    /// The room for pointer arrays.
    pub fn pointers(&mut self) -> &mut [u8] {
        self.image.pointers
    }

    /// The descriptor in a slot.
    pub fn slot(&self, Slot(number): Slot) -> Fd {
        let at = number as usize * 4;
        let bytes = self.image.slots.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        // Stored plus one, so that the zeroed table means "none".
        bytes.map_or(Fd::NONE, |bytes| Fd(i32::from_ne_bytes(bytes) - 1))
    }

    /// Puts a descriptor into a slot.
    pub fn fill(&mut self, NewSlot(number): NewSlot, fd: Fd) {
        let at = number as usize * 4;
        if let Some(place) = self.image.slots.get_mut(at..at + 4) {
            place.copy_from_slice(&(fd.0 + 1).to_ne_bytes());
        }
    }

    /// Makes `root` the root handle.
    pub fn set_root(&mut self, root: Fd) -> Result<(), Errno> {
        let found = sys::statx(root, c"", AT_EMPTY_PATH)?;
        self.root = root;
        self.root_id = (found.mnt_id, found.ino);
        self.root_on_proc = sys::filesystem(root)?.kind == PROC_SUPER_MAGIC;
        Ok(())
    }

    /// Replaces the directory of the last made file.
    pub fn keep_directory(&mut self, directory: Option<(&'a [u8], Fd)>) {
        if let Some((_, old)) = core::mem::replace(&mut self.directory, directory) {
            old.close();
        }
    }

    /// Number of slots.
    pub fn slots(&self) -> u32 {
        (self.image.slots.len() / 4) as u32
    }

    /// Adds to the explanation that goes with a failure.
    pub fn note(&mut self, text: &[u8]) {
        let room = self.note.get_mut(self.note_len..).unwrap_or(&mut []);
        let added = room.iter_mut().zip(text).map(|(place, byte)| *place = *byte).count();
        self.note_len += added;
    }

    /// The explanation so far.
    pub fn notes(&self) -> &[u8] {
        self.note.get(..self.note_len).unwrap_or(&[])
    }
}
