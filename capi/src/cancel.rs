//! Cancellation: one thread ends the calls of others.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};

use teu::Cancel;

use crate::abi::{teu_cancel_t, teu_error_t};
use crate::boundary::{boundary, quietly};
use crate::failure::Failure;
use crate::ffi::Place;
use crate::handle::Table;

static CANCELS: Table<Cancel> = Table::new(3, "cancellation");

/// What a call was given; NULL is none.
pub(crate) fn of(cancel: *const teu_cancel_t) -> Result<Option<Cancel>, Failure> {
    if cancel.is_null() { Ok(None) } else { Ok(Some(Cancel::clone(&*CANCELS.get(cancel)?))) }
}

/// Makes a cancellation that is not triggered. It may be given to any number of calls.
///
/// Errors: TEU_EINVAL, TEU_ESYS (no descriptor left).
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_cancel_new(out: *mut *mut teu_cancel_t, err: *mut *mut teu_error_t) -> c_int {
    boundary("cancel", err, || {
        let out = Place::at(out, std::ptr::null_mut())?;
        out.put(CANCELS.insert(Cancel::new()?)?);
        Ok(0)
    })
}

/// Ends every call that waits with it, now and later, with TEU_ECANCELED. From any thread; a signal handler writes to
/// `teu_cancel_fd` instead. NULL is ignored.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_cancel_trigger(cancel: *mut teu_cancel_t) {
    quietly((), || {
        if let Some(cancel) = CANCELS.find(cancel) {
            cancel.trigger();
        }
    });
}

/// Its eventfd, readable when it is triggered. Writing 8 bytes that are not all zero triggers it, also in a signal handler. Borrowed
/// until `teu_cancel_free`; -1 if `cancel` is none.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_cancel_fd(cancel: *const teu_cancel_t) -> c_int {
    quietly(-1, || CANCELS.find(cancel).map_or(-1, |cancel| cancel.as_fd().as_raw_fd()))
}

/// Gives a cancellation back; calls under way keep theirs. NULL is ignored.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_cancel_free(cancel: *mut teu_cancel_t) {
    quietly((), || CANCELS.give_back(cancel));
}
