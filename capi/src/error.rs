//! Error objects: why a call failed. They never change and may be read from any thread.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use serde_json::json;

use crate::abi::{teu_code, teu_error_t};
use crate::boundary::quietly;
use crate::failure::Failure;
use crate::ffi;
use crate::handle::Table;

static ERRORS: Table<Told> = Table::new(1, "error");

/// An error in the words of C.
struct Told {
    code: teu_code,
    errno: c_int,
    message: CString,
    phase: CString,
    pointer: Option<CString>,
    frames: Vec<CString>,
    json: String,
}

/// A handle of an error.
pub(crate) fn give(verb: &str, failure: Failure) -> Result<*mut teu_error_t, Failure> {
    let Failure { code, error } = failure;
    let (message, phase) = (error.to_string(), error.stage().unwrap_or(verb));
    let causes = error.causes();
    let document = json!({
        "code": code as c_int,
        "name": name(code),
        "errno": error.errno(),
        "phase": phase,
        "pointer": error.pointer(),
        "message": message,
        "causes": causes,
    });
    ERRORS.insert(Told {
        code,
        errno: error.errno().unwrap_or(0),
        phase: ffi::c_string(phase),
        pointer: error.pointer().map(ffi::c_string),
        frames: causes.into_iter().map(ffi::c_string).collect(),
        message: ffi::c_string(&message),
        json: document.to_string(),
    })
}

/// The error's number (`enum teu_code`, negative); 0 if `error` is no error.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_error_code(error: *const teu_error_t) -> c_int {
    quietly(0, || ERRORS.find(error).map_or(0, |error| error.code as c_int))
}

/// The errno of the system call that failed, or 0.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_error_errno(error: *const teu_error_t) -> c_int {
    quietly(0, || ERRORS.find(error).map_or(0, |error| error.errno))
}

/// What failed, where and why, on one line of UTF-8: the text that the command prints. Borrowed until `teu_error_free`; an empty
/// text if `error` is no error.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_error_message(error: *const teu_error_t) -> *const c_char {
    quietly(c"".as_ptr(), || ERRORS.find(error).map_or(c"".as_ptr(), |error| error.message.as_ptr()))
}

/// The part of the work in which it arose: "spec", "plan", "prepare", "launch", "init:STEP", or the name of the operation. Borrowed
/// until `teu_error_free`; an empty text if `error` is no error.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_error_phase(error: *const teu_error_t) -> *const c_char {
    quietly(c"".as_ptr(), || ERRORS.find(error).map_or(c"".as_ptr(), |error| error.phase.as_ptr()))
}

/// The place in the configuration (RFC 6901, such as "/mounts/3/source"), or NULL. Borrowed until `teu_error_free`.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_error_pointer(error: *const teu_error_t) -> *const c_char {
    let place = || ERRORS.find(error).and_then(|error| error.pointer.as_ref().map(|place| place.as_ptr()));
    quietly(ptr::null(), || place().unwrap_or(ptr::null()))
}

/// The length of the chain of causes: at least 1; 0 if `error` is no error.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_error_depth(error: *const teu_error_t) -> usize {
    quietly(0, || ERRORS.find(error).map_or(0, |error| error.frames.len()))
}

/// One cause: 0 is the outermost, the last is the first that went wrong. NULL beyond the end. Borrowed until `teu_error_free`.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_error_frame(error: *const teu_error_t, index: usize) -> *const c_char {
    let frame = || ERRORS.find(error).and_then(|error| error.frames.get(index).map(|frame| frame.as_ptr()));
    quietly(ptr::null(), || frame().unwrap_or(ptr::null()))
}

/// All of it as a JSON object: code, name, errno, phase, pointer, message, causes. Freed by `teu_free`; NULL without memory or
/// if `error` is no error.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_error_json(error: *const teu_error_t) -> *mut c_char {
    let json = || ERRORS.find(error).and_then(|error| ffi::give_text(&error.json).ok());
    quietly(ptr::null_mut(), || json().map_or(ptr::null_mut(), |(text, _)| text))
}

/// Gives an error back. NULL is ignored.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_error_free(error: *mut teu_error_t) {
    quietly((), || ERRORS.give_back(error));
}

/// What a code means, in a few words. Static; never NULL.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_strerror(code: c_int) -> *const c_char {
    let row = MEANINGS.iter().find(|(known, _, _)| *known as c_int == code);
    row.map_or(c"unknown error", |(_, _, meaning)| meaning).as_ptr()
}

fn name(code: teu_code) -> &'static str {
    MEANINGS.iter().find(|(known, _, _)| *known == code).map_or("", |(_, name, _)| name)
}

/// Codes, their names and what `teu_strerror` says.
const MEANINGS: &[(teu_code, &str, &std::ffi::CStr)] = &[
    (teu_code::TEU_OK, "TEU_OK", c"success"),
    (teu_code::TEU_EINVAL, "TEU_EINVAL", c"invalid argument"),
    (teu_code::TEU_ENOTFOUND, "TEU_ENOTFOUND", c"container does not exist"),
    (teu_code::TEU_EEXISTS, "TEU_EEXISTS", c"container with given ID already exists"),
    (teu_code::TEU_ESTATE, "TEU_ESTATE", c"not allowed in this state"),
    (teu_code::TEU_ENOTRUNNING, "TEU_ENOTRUNNING", c"container not running"),
    (teu_code::TEU_EPAUSED, "TEU_EPAUSED", c"container is paused"),
    (teu_code::TEU_EBUSY, "TEU_EBUSY", c"container is busy"),
    (teu_code::TEU_ESPEC, "TEU_ESPEC", c"invalid configuration"),
    (teu_code::TEU_EUNSUPPORTED, "TEU_EUNSUPPORTED", c"not supported here"),
    (teu_code::TEU_EPERM, "TEU_EPERM", c"permission denied"),
    (teu_code::TEU_ECMDNOTFOUND, "TEU_ECMDNOTFOUND", c"executable file not found"),
    (teu_code::TEU_ECMDNOPERM, "TEU_ECMDNOPERM", c"file cannot be executed"),
    (teu_code::TEU_EHOOK, "TEU_EHOOK", c"hook failed"),
    (teu_code::TEU_ECGROUP, "TEU_ECGROUP", c"cgroup operation failed"),
    (teu_code::TEU_EMOUNT, "TEU_EMOUNT", c"mount failed"),
    (teu_code::TEU_ESECCOMP, "TEU_ESECCOMP", c"seccomp failed"),
    (teu_code::TEU_ELSM, "TEU_ELSM", c"security module failed"),
    (teu_code::TEU_ECRIU, "TEU_ECRIU", c"CRIU failed"),
    (teu_code::TEU_ESYS, "TEU_ESYS", c"system call failed"),
    (teu_code::TEU_ENOMEM, "TEU_ENOMEM", c"out of memory"),
    (teu_code::TEU_ECANCELED, "TEU_ECANCELED", c"cancelled"),
    (teu_code::TEU_ETIMEDOUT, "TEU_ETIMEDOUT", c"timed out"),
    (teu_code::TEU_EOOM, "TEU_EOOM", c"container init was OOM-killed (memory limit too low?)"),
    (teu_code::TEU_E2BIG, "TEU_E2BIG", c"struct is newer than the library"),
    (teu_code::TEU_EINTERNAL, "TEU_EINTERNAL", c"bug of teu"),
];
