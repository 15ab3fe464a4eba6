//! The only code between clone3 and exec. It runs on the caller's memory, on a stack of its own, while the calling thread is suspended: raw system
//! calls on what was prepared before, no heap, no lock, no libc, no panic.
#![allow(unsafe_code)]

use teu_init::sys::{self, Fd};
use teu_init::wire::SOCKET_FD;

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
    /// Why exec failed: shared memory carries it back.
    pub errno: i32,
}

/// Places the socket and becomes init.
pub(super) extern "C" fn stub(task: *mut Task) -> ! {
    // SAFETY: the caller's `task` outlives the stub, and CLONE_VFORK keeps the caller from touching it until exec or exit.
    let task = unsafe { &mut *task };
    task.errno = match sys::dup3(Fd(task.socket), Fd(SOCKET_FD), 0) {
        // SAFETY: both arrays end with NULL and point to static strings.
        Ok(()) => unsafe {
            sys::execveat(Fd(task.program), task.args.as_ptr() as usize, task.env.as_ptr() as usize)
        },
        Err(errno) => errno,
    };
    sys::exit(1)
}
