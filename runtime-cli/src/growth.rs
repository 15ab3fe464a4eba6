//! A file that may not grow any more (RLIMIT_FSIZE) fails its write, and the command says so. By default a signal would end the command without a word.
#![allow(unsafe_code)]

use nix::sys::signal::{SigHandler, Signal, signal};

/// Has the kernel answer a write beyond the limit with EFBIG alone. Init gives its program the default again.
pub fn refused_is_an_error() {
    // SAFETY: no handler is installed, and no other thread is there yet. It fails for no signal that exists.
    let _ = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
}
