//! The only code between clone3 and exec, and the only code of a child that works beside the caller. It runs on the caller's memory, on a stack of its
//! own: raw system calls on what was prepared before, no heap, no lock, no libc, no panic.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use teu_init::abi::{O_CLOEXEC, OpenHow};
use teu_init::sys::{self, Fd};
use teu_init::talk;
use teu_init::wire::{Frame, READY, SOCKET_FD};

use crate::plan::namespaces::kind;
use crate::sys::process::Processors;

/// What the stub needs, prepared by the caller.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Task {
    /// Init's end of the conversation, above [`SOCKET_FD`].
    socket: i32,
    /// The init program.
    program: i32,
    /// NULL-ended argument pointers.
    args: [usize; 2],
    /// NULL-ended environment pointers: empty.
    env: [usize; 1],
    /// Why exec failed: shared memory carries it back.
    errno: AtomicI32,
}

impl Task {
    /// The way of `program`, the init program, to `socket`.
    pub fn new(socket: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Self {
        Self {
            socket: socket.as_raw_fd(),
            program: program.as_raw_fd(),
            args: [c"teu-init".as_ptr() as usize, 0],
            env: [0],
            errno: AtomicI32::new(0),
        }
    }

    /// Why init was not executed, if the stub has come to its end.
    pub fn executed(&self) -> io::Result<()> {
        match self.errno.load(Ordering::Acquire) {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// The same for a stub that the caller waits for.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Staying {
    pub task: Task,
    /// Zeroes: a mask of processors, for [`stay`]. On one that it cannot name `stay` does nothing.
    pub mask: [u8; 128],
}

/// Becomes init where the caller was.
pub(super) extern "C" fn stub(staying: *mut Staying) -> ! {
    // SAFETY: the caller's `staying` outlives the stub, and CLONE_VFORK keeps the caller from touching it until exec or exit.
    let staying = unsafe { &mut *staying };
    stay(&mut staying.mask);
    become_init(&staying.task)
}

/// Becomes init while the caller goes on.
pub(super) extern "C" fn stub_beside(task: *mut Task) -> ! {
    // SAFETY: the caller keeps `task` until this process has executed init or has ended, and has no `&mut` to it meanwhile.
    become_init(unsafe { &*task })
}

/// Places the socket and becomes init.
fn become_init(task: &Task) -> ! {
    let errno = match sys::dup3(Fd(task.socket), Fd(SOCKET_FD), 0) {
        // SAFETY: both arrays end with NULL and point to static strings.
        Ok(()) => unsafe {
            sys::execveat(Fd(task.program), task.args.as_ptr() as usize, task.env.as_ptr() as usize)
        },
        Err(errno) => errno,
    };
    task.errno.store(errno, Ordering::Release);
    sys::exit(1)
}

/// Keeps the process on its processor. The kernel would look for a better one at exec, and a thread of its own would carry the process there while both we and
/// the caller wait. Init, which is about to reset what it inherits, undoes that first of all.
fn stay(mask: &mut [u8]) {
    let here = sys::processor().unwrap_or(u32::MAX) as usize;
    if let Some(byte) = mask.get_mut(here / 8) {
        *byte = 1 << (here % 8);
        let _ = sys::set_affinity(mask);
    }
}

/// A network namespace in the making.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Making {
    /// Where it goes when it is made: a descriptor of the caller's.
    pub socket: i32,
    /// Where the child may run.
    pub processors: Option<Processors>,
    /// How it went, [`Making::UNDONE`] until then.
    pub errno: AtomicI32,
}

impl Making {
    /// The child has not come to its end.
    pub const UNDONE: i32 = -1;
}

/// Makes a network namespace and sends it.
pub(super) extern "C" fn make_network(making: *mut Making) -> ! {
    // SAFETY: the caller keeps `making` until this process has ended, and has no `&mut` to it meanwhile.
    let making = unsafe { &*making };
    // Left alone it would often stay on the caller's processor, and one of both would wait: to the scheduler an idle processor of a virtual machine
    // is no better. Who starts first moves the child.
    if let Some(processors) = &making.processors {
        if sys::processor() == Ok(processors.here()) {
            let _ = sys::set_affinity(processors.others());
        }
    }
    let sent = send_network(Fd(making.socket));
    making.errno.store(sent.err().unwrap_or(0), Ordering::Release);
    sys::exit(0)
}

fn send_network(socket: Fd) -> sys::Result<()> {
    let how = OpenHow { flags: u64::from(O_CLOEXEC), ..OpenHow::default() };
    sys::unshare(kind::NETWORK)?;
    // From here on the descriptors are the child's own: it can be killed at any moment, and what it has opened goes with it.
    sys::leave_table(socket.0 as u32 + 1)?;
    let namespace = sys::openat2(Fd::CWD, c"/proc/self/ns/net", &how)?;
    talk::send_fd(socket, &Frame::word(READY), namespace)
}
