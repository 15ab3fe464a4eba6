//! The only code between clone3 and exec, and the only code of a child that works beside the caller. It runs on the caller's memory, on a stack of its
//! own: raw system calls on what was prepared before, no heap, no lock, no libc, no panic.
#![allow(unsafe_code)]

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
    pub socket: i32,
    /// The init program.
    pub program: i32,
    /// NULL-ended argument pointers.
    pub args: [usize; 2],
    /// NULL-ended environment pointers: empty.
    pub env: [usize; 1],
    /// Zeroes: a mask of processors, for [`stay`]. On one that it cannot name `stay` does nothing.
    pub mask: [u8; 128],
    /// Why exec failed: shared memory carries it back.
    pub errno: i32,
}

/// Places the socket and becomes init.
pub(super) extern "C" fn stub(task: *mut Task) -> ! {
    // SAFETY: the caller's `task` outlives the stub, and CLONE_VFORK keeps the caller from touching it until exec or exit.
    let task = unsafe { &mut *task };
    stay(&mut task.mask);
    task.errno = match sys::dup3(Fd(task.socket), Fd(SOCKET_FD), 0) {
        // SAFETY: both arrays end with NULL and point to static strings.
        Ok(()) => unsafe {
            sys::execveat(Fd(task.program), task.args.as_ptr() as usize, task.env.as_ptr() as usize)
        },
        Err(errno) => errno,
    };
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
