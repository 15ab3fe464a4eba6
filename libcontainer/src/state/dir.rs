//! The directory of a container below the state root: the claim on its id, its lock, its record and its gate.
//!
//! Everything after opening is relative to the directory's descriptor. `gate.new` is the gate of a container whose creator has not committed; its
//! rename to `gate` is the commit.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};
use nix::sys::stat::{Mode, SFlag, fchmod, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::format::Record;
use super::lock;
use crate::spec::Id;
use crate::until::Until;
use crate::{Error, ErrorKind, Result};

const RECORD: &str = "state.json";
const RECORD_NEW: &str = ".state.json.new";
/// The configuration as `create` read it.
const CONFIG: &str = "config.json";
const CONFIG_NEW: &str = ".config.json.new";
/// The name that runc has for it: who looks at the descriptors of a created container knows it.
const GATE: &str = "exec.fifo";
const GATE_NEW: &str = "exec.fifo.new";
const DOOR: &str = "door";
/// Room for a record, so that one read is enough mostly.
const RECORD_USUAL: usize = 4096;
/// Largest record that is read.
const RECORD_LIMIT: u64 = 64 << 20;

/// A container's directory.
#[derive(Debug)]
pub(crate) struct StateDir {
    root: File,
    pub(super) dir: File,
    path: PathBuf,
    id: Id,
}

/// What the gate's file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GateState {
    /// The creator has not committed.
    Unpublished,
    /// Init holds it: it waits.
    Closed,
    /// Init has passed it, or never came.
    Open,
}

impl StateDir {
    /// Claims the id: makes the directory, which must not exist, and takes its lock.
    ///
    /// # Errors
    /// `AlreadyExists`, or the state root cannot be written.
    pub fn claim(root: &Path, id: &Id) -> Result<Self> {
        let failed = |error: &io::Error| {
            Error::io(format!("create state directory {}", root.join(id.as_str()).display()), error)
        };
        let root_dir = open_or_make_root(root).map_err(|error| failed(&error))?;
        match mkdirat(&root_dir, id.as_str(), Mode::from_bits_truncate(0o711)) {
            Err(nix::Error::EEXIST) => return Err(exists()),
            other => other.map_err(|errno| failed(&errno.into()))?,
        }
        match open_in(&root_dir, id.as_str(), OFlag::O_DIRECTORY) {
            Ok(dir) => Self { root: root_dir, dir, path: root.join(id.as_str()), id: id.clone() }.lock_new(),
            Err(error) => {
                let _ = unlinkat(&root_dir, id.as_str(), UnlinkatFlags::RemoveDir);
                Err(failed(&error))
            }
        }
    }

    fn lock_new(self) -> Result<Self> {
        match self.lock() {
            Ok(()) if self.is_linked() => Ok(self),
            // Somebody deleted the empty directory before the lock was ours.
            Ok(()) => Err(exists()),
            Err(error) => {
                let _ = self.remove();
                Err(error)
            }
        }
    }

    /// Opens the directory of a container.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn open(root: &Path, id: &Id) -> Result<Self> {
        let failed = |error: &io::Error| match error.kind() {
            io::ErrorKind::NotFound => not_found(),
            _ => Error::io(format!("open {}", root.join(id.as_str()).display()), error),
        };
        let root_dir = open_directory(root).map_err(|error| failed(&error))?;
        let dir = open_in(&root_dir, id.as_str(), OFlag::O_DIRECTORY).map_err(|error| failed(&error))?;
        Ok(Self { root: root_dir, dir, path: root.join(id.as_str()), id: id.clone() })
    }

    /// Takes the lock. Check [`StateDir::is_linked`] afterwards: the holder before may have removed the container.
    pub fn lock(&self) -> Result<()> {
        self.lock_until(&Until::default())
    }

    /// The same with an end.
    pub fn lock_until(&self, until: &Until) -> Result<()> {
        lock::acquire(&self.dir, &self.path, until)
    }

    /// Gives the lock back and keeps the descriptor. Who waits for the lock waits for a descriptor of the directory to be closed, so one is.
    pub fn unlock(&self) {
        lock::release(&self.dir);
        let _ = open_in(&self.dir, ".", OFlag::O_DIRECTORY);
    }

    /// The container's id.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// The same directory behind another descriptor, with a lock of its own.
    pub fn reopen(&self) -> Result<Self> {
        let failed = |error: &io::Error| match error.kind() {
            io::ErrorKind::NotFound => not_found(),
            _ => self.failed("open", ".", error),
        };
        let dir = open_in(&self.dir, ".", OFlag::O_DIRECTORY).map_err(|error| failed(&error))?;
        let root = self.root.try_clone().map_err(|error| failed(&error))?;
        Ok(Self { root, dir, path: self.path.clone(), id: self.id.clone() })
    }

    /// Whether no operation is under way.
    pub fn is_idle(&self) -> bool {
        lock::is_free(&self.dir)
    }

    /// Whether the directory still has its name.
    pub fn is_linked(&self) -> bool {
        self.dir.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
    }

    /// The owner of the directory: who made the container.
    pub fn owner(&self) -> u32 {
        self.dir.metadata().map_or(0, |metadata| metadata.uid())
    }

    /// Writes the record, the first or another; a reader sees the old one or the new one, whole.
    pub fn write(&self, record: &Record) -> Result<()> {
        let done = self.write_new(record).and_then(|()| {
            renameat(&self.dir, RECORD_NEW, &self.dir, RECORD)
                .map_err(|errno| self.failed("replace", RECORD, &errno.into()))
        });
        if done.is_err() {
            self.remove_file(RECORD_NEW);
        }
        done
    }

    fn write_new(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_vec(record)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("state: {error}")))?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let written = open_in(&self.dir, RECORD_NEW, flags).and_then(|mut file| file.write_all(&text));
        written.map_err(|error| self.failed("write", RECORD, &error))
    }

    /// Reads the record.
    ///
    /// # Errors
    /// `NotFound` without a record, `Internal` for one that cannot be read.
    pub fn read(&self) -> Result<Record> {
        let file = match open_in(&self.dir, RECORD, OFlag::O_RDONLY) {
            // Neither a create nor a delete that was cut short leaves a configuration without a record.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(if self.has_config() { self.unreadable("it is gone") } else { not_found() });
            }
            other => other.map_err(|error| self.failed("open", RECORD, &error))?,
        };
        let mut text = Vec::with_capacity(RECORD_USUAL);
        file.take(RECORD_LIMIT)
            .read_to_end(&mut text)
            .map_err(|error| self.failed("read", RECORD, &error))?;
        serde_json::from_slice(&text).map_err(|error| self.unreadable(error))
    }

    fn unreadable(&self, why: impl std::fmt::Display) -> Error {
        let message = format!("container state is unreadable: {}: {why}", self.path.join(RECORD).display());
        Error::new(ErrorKind::Internal, message)
    }

    fn has_config(&self) -> bool {
        open_in(&self.dir, CONFIG, OFlag::O_PATH).is_ok()
    }

    /// Keeps the configuration that the container was made from.
    pub fn write_config(&self, json: &[u8]) -> Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let written = open_in(&self.dir, CONFIG, flags).and_then(|mut file| file.write_all(json));
        written.map_err(|error| self.failed("write", CONFIG, &error))
    }

    /// Writes the configuration of an update; it counts once it is committed.
    pub fn new_config(&self, json: &[u8]) -> Result<NewConfig<'_>> {
        // An update that was cut short may have left one.
        self.remove_file(CONFIG_NEW);
        let config = NewConfig(self);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let written = open_in(&self.dir, CONFIG_NEW, flags).and_then(|mut file| file.write_all(json));
        written.map(|()| config).map_err(|error| self.failed("write", CONFIG_NEW, &error))
    }

    /// The configuration that the container was made from, with its updates.
    ///
    /// # Errors
    /// `Internal` if it is gone.
    pub fn read_config(&self) -> Result<Vec<u8>> {
        let mut json = Vec::with_capacity(RECORD_USUAL);
        let file = open_in(&self.dir, CONFIG, OFlag::O_RDONLY);
        let read = file.and_then(|file| file.take(RECORD_LIMIT).read_to_end(&mut json));
        read.map_err(|error| self.failed("read", CONFIG, &error).kind_is(ErrorKind::Internal))?;
        Ok(json)
    }

    /// Makes the gate and opens both of its ends: whoever holds them waits for a byte and never sees an end of file.
    pub fn make_gate(&self) -> Result<OwnedFd> {
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let made = mknodat(&self.dir, GATE_NEW, SFlag::S_IFIFO, mode, 0).map_err(io::Error::from);
        let opened = made.and_then(|()| open_in(&self.dir, GATE_NEW, OFlag::O_RDWR));
        opened.map(OwnedFd::from).map_err(|error| self.failed("create", GATE_NEW, &error))
    }

    /// Makes the socket at which init hears `start`. Who may connect is who may write to the directory's files.
    pub fn make_door(&self) -> Result<OwnedFd> {
        let made = || -> io::Result<OwnedFd> {
            let door = door_socket()?;
            // Linux makes the file with the mode of the socket.
            fchmod(&door, Mode::S_IRUSR | Mode::S_IWUSR)?;
            bind(door.as_raw_fd(), &self.door_address()?)?;
            listen(&door, Backlog::new(16)?)?;
            Ok(door)
        };
        made().map_err(|error| self.failed("create", DOOR, &error))
    }

    /// Connects to the init that waits at the gate: it will hear us behind it. False if it is dead.
    pub fn knock(&self) -> Result<Option<OwnedFd>> {
        let connected = || -> io::Result<OwnedFd> {
            let socket = door_socket()?;
            connect(socket.as_raw_fd(), &self.door_address()?)?;
            Ok(socket)
        };
        match connected() {
            Ok(socket) => Ok(Some(socket)),
            Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("connect to", DOOR, &error)),
        }
    }

    /// Addresses are short, and the state root may be anywhere.
    fn door_address(&self) -> io::Result<UnixAddr> {
        Ok(UnixAddr::new(format!("/proc/self/fd/{}/{DOOR}", self.dir.as_raw_fd()).as_str())?)
    }

    /// Removes what `start` is done with.
    pub fn remove_gate(&self) {
        self.remove_file(GATE);
        self.remove_file(DOOR);
    }

    /// The commit: from here on the container is created.
    pub fn publish_gate(&self) -> Result<()> {
        renameat(&self.dir, GATE_NEW, &self.dir, GATE)
            .map_err(|errno| self.failed("publish", GATE, &errno.into()))
    }

    /// Looks at the gate.
    pub fn gate(&self) -> io::Result<GateState> {
        match self.open_gate() {
            Ok(_) => Ok(GateState::Closed),
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(GateState::Open),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(match open_in(&self.dir, GATE_NEW, OFlag::O_PATH) {
                    Ok(_) => GateState::Unpublished,
                    Err(_) => GateState::Open,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Lets init pass and removes the gate. False if nobody waits there.
    pub fn pass_gate(&self) -> Result<bool> {
        let passed = self.open_gate_for_init()?;
        if passed {
            self.remove_file(GATE);
        }
        Ok(passed)
    }

    /// Lets init pass; the gate tells that init is behind it as long as init keeps it. False if nobody waits there.
    pub fn open_gate_for_init(&self) -> Result<bool> {
        let mut gate = match self.open_gate() {
            Err(error)
                if error.raw_os_error() == Some(libc::ENXIO) || error.kind() == io::ErrorKind::NotFound =>
            {
                return Ok(false);
            }
            other => other.map_err(|error| self.failed("open", GATE, &error))?,
        };
        // With a reader of our own, an init that dies now does not make the write a SIGPIPE for our host.
        let _reader = open_in(&self.dir, GATE, OFlag::O_RDONLY | OFlag::O_NONBLOCK);
        gate.write_all(b"s").map_err(|error| self.failed("write", GATE, &error))?;
        Ok(true)
    }

    /// Succeeds only while somebody holds the reading end (ENXIO otherwise).
    fn open_gate(&self) -> io::Result<File> {
        open_in(&self.dir, GATE, OFlag::O_WRONLY | OFlag::O_NONBLOCK)
    }

    /// Removes the directory; the record goes last, so that an interrupted removal can be done again.
    pub fn remove(&self) -> Result<()> {
        for name in [GATE, GATE_NEW, DOOR, CONFIG_NEW, CONFIG, RECORD_NEW, RECORD] {
            self.remove_file(name);
        }
        let remove = || unlinkat(&self.root, self.id.as_str(), UnlinkatFlags::RemoveDir);
        let removed = match remove() {
            Err(nix::Error::ENOTEMPTY) => {
                self.remove_notify();
                remove()
            }
            other => other,
        };
        match removed {
            Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
            Err(errno) => Err(Error::os(format!("remove {}", self.path.display()), errno as i32)),
        }
    }

    pub(super) fn remove_file(&self, name: &str) {
        let _ = unlinkat(&self.dir, name, UnlinkatFlags::NoRemoveDir);
    }

    pub(super) fn failed(&self, verb: &str, name: &str, error: &io::Error) -> Error {
        Error::io(format!("{verb} {}", self.path.join(name).display()), error)
    }
}

/// The configuration of an update that is not committed yet. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct NewConfig<'a>(&'a StateDir);

impl NewConfig<'_> {
    /// From here on it is the container's: a reader sees the old one or the new one, whole.
    pub fn commit(self) -> Result<()> {
        renameat(&self.0.dir, CONFIG_NEW, &self.0.dir, CONFIG)
            .map_err(|errno| self.0.failed("replace", CONFIG, &errno.into()))
    }
}

impl Drop for NewConfig<'_> {
    fn drop(&mut self) {
        self.0.remove_file(CONFIG_NEW);
    }
}

fn door_socket() -> io::Result<OwnedFd> {
    let made = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    crate::sys::fs::above_stdio(made)
}

fn exists() -> Error {
    Error::new(ErrorKind::AlreadyExists, "container with given ID already exists")
}

pub(crate) fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "container does not exist")
}

/// The state root is the runtime's alone.
fn open_or_make_root(root: &Path) -> io::Result<File> {
    match open_directory(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(root)?;
            open_directory(root)
        }
        other => other,
    }
}

fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path).and_then(above_stdio)
}

pub(super) fn open_in(dir: &File, name: &str, flags: OFlag) -> io::Result<File> {
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let fd = openat(dir.as_fd(), name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    above_stdio(File::from(fd))
}

fn above_stdio(file: File) -> io::Result<File> {
    crate::sys::fs::above_stdio(file.into()).map(File::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("teu-dir-{name}-{}", std::process::id()))
    }

    #[test]
    fn who_waits_for_the_lock_is_woken_when_the_holder_keeps_its_descriptor() {
        let (root, id) = (temporary("lock"), Id::new("a").unwrap());
        let holder = StateDir::claim(&root, &id).unwrap();
        let waiter = StateDir::open(&root, &id).unwrap();
        assert!(!waiter.is_idle());
        let waiting = std::thread::spawn(move || waiter.lock());
        // The other thread may or may not wait yet: both orders must end well.
        std::thread::yield_now();
        holder.unlock();
        waiting.join().unwrap().unwrap();
        holder.remove().unwrap();
        std::fs::remove_dir(&root).unwrap();
    }

    #[test]
    fn a_gate_lets_pass_once_and_only_while_somebody_waits() {
        let (root, id) = (temporary("gate"), Id::new("a").unwrap());
        let dir = StateDir::claim(&root, &id).unwrap();
        let mut held = File::from(dir.make_gate().unwrap());
        assert_eq!(dir.gate().unwrap(), GateState::Unpublished);
        dir.publish_gate().unwrap();
        assert_eq!(dir.gate().unwrap(), GateState::Closed);
        assert!(dir.pass_gate().unwrap());
        let mut token = [0];
        held.read_exact(&mut token).unwrap();
        assert_eq!(&token, b"s");
        assert_eq!(dir.gate().unwrap(), GateState::Open);
        assert!(!dir.pass_gate().unwrap(), "the gate is gone");
        dir.remove().unwrap();
        std::fs::remove_dir(&root).unwrap();
    }
}
