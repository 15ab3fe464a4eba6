//! For tests: a child process with a user and a mount namespace of its own, and a machine in it whose root handle is a fresh tmpfs.
//!
//! Ops change the process that runs them, and the test program has threads. So each test of an op forks; the child has one thread, reports
//! through a pipe, and takes its mounts along when it ends. No right of root is needed.

use crate::machine::{Image, Machine};
use crate::program::{Blob, Header, List, NewSlot, Program, Slot, Str};
use crate::sys::{self, Fd};
use std::cell::RefCell;
use std::ffi::CString;
use std::io::Read as _;
use std::os::fd::FromRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, panic};

/// A hanging child ends after this time.
const SECONDS: u32 = 30;

/// Runs `body` in a child with new user and mount namespaces; panics with its message.
pub fn in_namespaces(body: impl FnOnce()) {
    let (uid, gid) = ids();
    in_child(move || {
        if let Err(error) = enter_namespaces(uid, gid) {
            return format!("SKIP no user namespace: {error}");
        }
        body();
        String::new()
    });
}

/// Runs `body` in a child as it is.
pub fn in_process(body: impl FnOnce()) {
    in_child(move || {
        body();
        String::new()
    });
}

std::thread_local! {
    /// Where a child of this thread makes its directories. The child leaves them: it may have mounted anything there, and a removal would follow.
    static BASE: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

fn in_child(body: impl FnOnce() -> String) {
    let base = Scratch::new("child");
    BASE.replace(Some(base.path().to_owned()));
    let said = fork(body);
    BASE.take();
    drop(base);
    match said.strip_prefix("SKIP ") {
        Some(reason) => eprintln!("skipped: {reason}"),
        None => assert_eq!(said, ""),
    }
}

/// What the child said, and how it ended if not well.
fn fork(body: impl FnOnce() -> String) -> String {
    let mut ends = [0; 2];
    // SAFETY: writes two numbers to an array of two.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: glibc makes its own state usable in the child; the test's threads are not touched.
    match unsafe { libc::fork() } {
        -1 => panic!("fork"),
        0 => child(ends[1], body),
        pid => parent(pid, ends),
    }
}

fn child(report: i32, body: impl FnOnce() -> String) -> ! {
    // SAFETY: a timer of this process.
    unsafe { libc::alarm(SECONDS) };
    let said = match panic::catch_unwind(panic::AssertUnwindSafe(body)) {
        Ok(said) => said,
        Err(payload) => payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(|text| String::from(*text)))
            .unwrap_or_else(|| String::from("panic")),
    };
    // SAFETY: the bytes are borrowed with their length.
    unsafe { libc::write(report, said.as_ptr().cast(), said.len()) };
    // SAFETY: ends the process without running what belongs to the test program.
    unsafe { libc::_exit(0) }
}

fn parent(pid: libc::pid_t, ends: [i32; 2]) -> String {
    sys::Fd(ends[1]).close();
    let mut said = String::new();
    // SAFETY: the pipe's end is ours and closed nowhere else.
    let mut pipe = unsafe { fs::File::from_raw_fd(ends[0]) };
    pipe.read_to_string(&mut said).unwrap();
    let mut status = 0;
    // SAFETY: waits for the child made above.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    if status == 0 { said } else { format!("{said}: the child ended with status {status:#x}") }
}

fn ids() -> (u32, u32) {
    // SAFETY: take no pointer.
    (unsafe { libc::geteuid() }, unsafe { libc::getegid() })
}

fn enter_namespaces(uid: u32, gid: u32) -> std::io::Result<()> {
    // SAFETY: takes no pointer; this process has one thread.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    sys::mount_flags(None, c"/", libc::MS_REC | libc::MS_SLAVE).map_err(std::io::Error::from_raw_os_error)
}

/// The strings of a program, gathered before its machine exists.
#[derive(Default)]
pub struct Script {
    arena: Vec<u8>,
}

impl Script {
    pub fn text(&mut self, text: &str) -> Str {
        let at = self.arena.len() as u32;
        self.arena.extend_from_slice(text.as_bytes());
        self.arena.push(0);
        Str { at, len: text.len() as u32 }
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Blob {
        let at = self.arena.len() as u32;
        self.arena.extend_from_slice(bytes);
        Blob { at, len: bytes.len() as u32 }
    }

    pub fn texts(&mut self, texts: &[&str]) -> List {
        let at = self.arena.len() as u32;
        for text in texts {
            self.text(text);
        }
        List { at, len: self.arena.len() as u32 - at, count: texts.len() as u32 }
    }

    /// A machine with these strings and eight empty slots; its memory lives as long as the child.
    pub fn machine(self, root: Fd) -> Machine<'static> {
        let header = Header { ops: 0, words: 0, arena: 0, pointers: 0, slots: 8 };
        let arena = self.arena.leak();
        let program = Program::check(&header, &[], arena).unwrap();
        let progress: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
        let (slots, pointers) = (vec![0; 32].leak(), vec![0; 64].leak());
        let image = Image { progress, program, slots, pointers };
        let mut machine = Machine::new(image, Fd::NONE);
        if root != Fd::NONE {
            machine.set_root(root).unwrap();
        }
        machine
    }
}

/// Puts a descriptor into a slot of `machine`.
pub fn fill(machine: &mut Machine<'_>, slot: u32, fd: Fd) -> Slot {
    machine.fill(NewSlot(slot), fd);
    Slot(slot)
}

/// A directory that disappears with its content.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = BASE.with_borrow(Clone::clone).unwrap_or_else(std::env::temp_dir);
        let path = base.join(format!("teu-init-{name}-{}-{count}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if BASE.with_borrow(Option::is_none) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// A fresh tmpfs over `scratch`, and its root handle. Only in the child's own mount namespace.
pub fn tmpfs_over(scratch: &Scratch) -> Fd {
    let target = c_string(scratch.path());
    // SAFETY: the strings end with NUL and are borrowed; a tmpfs takes no data.
    let mounted = unsafe {
        libc::mount(c"tmpfs".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, c"mode=755".as_ptr().cast())
    };
    assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
    handle(scratch.path())
}

/// An O_PATH descriptor.
pub fn handle(path: &Path) -> Fd {
    // SAFETY: the path ends with NUL and is borrowed.
    let fd = unsafe { libc::open(c_string(path).as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
    assert!(fd >= 0, "{}: {}", path.display(), std::io::Error::last_os_error());
    Fd(fd)
}

/// Where an open file is, by the kernel's word.
pub fn place_of(fd: Fd) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", fd.0)).unwrap()
}

pub fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).unwrap()
}
