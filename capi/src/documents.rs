//! Texts: what this build can do, an example of a configuration, whether one is valid.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use teu::Spec;

use crate::abi::{teu_error_t, teu_spec_flag};
use crate::boundary::{boundary, quietly};
use crate::context::check_flags;
use crate::failure::Failure;
use crate::ffi::{self, Place};

/// Frees what a function of this library gave with the word that `teu_free` frees it, and nothing else. NULL is ignored.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_free(memory: *mut c_void) {
    quietly((), || ffi::take_back(memory));
}

/// What this build can do: a features document of the specification. Freed by `teu_free`; `len` may be NULL.
///
/// Errors: TEU_EINVAL, TEU_ENOMEM.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_features_json(
    out: *mut *mut c_char,
    len: *mut usize,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("features", err, || give(out, len, || Ok(teu::features().to_string())))
}

/// An example of a config.json: a shell in all the usual namespaces; with TEU_SPEC_ROOTLESS for an ordinary user. Freed by `teu_free`;
/// `len` may be NULL.
///
/// Errors: TEU_EINVAL, TEU_ENOMEM.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_spec_json(
    flags: u64,
    out: *mut *mut c_char,
    len: *mut usize,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("spec", err, || {
        give(out, len, || {
            let rootless = teu_spec_flag::TEU_SPEC_ROOTLESS as u64;
            check_flags(flags, rootless)?;
            Ok(teu::spec::example(flags & rootless != 0))
        })
    })
}

/// Checks a configuration and touches nothing; `flags` is 0. What only this machine can refuse is seen by `teu_plan_text`.
///
/// Errors: TEU_EINVAL, TEU_ESPEC with the place, TEU_EUNSUPPORTED.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_validate(
    json: *const c_char,
    len: usize,
    flags: u64,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("validate", err, || {
        check_flags(flags, 0)?;
        let json = ffi::maybe_bytes(json, len, "json")?.ok_or_else(|| Failure::invalid("json is NULL"))?;
        Spec::from_json("/", &json)?;
        Ok(0)
    })
}

/// A text in the caller's places.
pub(crate) fn give(
    out: *mut *mut c_char,
    len: *mut usize,
    make: impl FnOnce() -> Result<String, Failure>,
) -> Result<c_int, Failure> {
    let (out, len) = (Place::at(out, ptr::null_mut())?, Place::maybe_at(len, 0)?);
    let (text, length) = ffi::give_text(&make()?)?;
    out.put(text);
    len.into_iter().for_each(|len| len.put(length));
    Ok(0)
}
