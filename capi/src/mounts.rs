//! Mounts that come and go while the container runs.

use std::ffi::{c_char, c_int};

use crate::abi::{teu_call, teu_container_t, teu_error_t};
use crate::container::act_within;
use crate::failure::Failure;
use crate::ffi;

/// Adds mounts to the running container: a JSON array of entries as in `mounts` of a configuration, all of them or none. They count as part of the
/// container's configuration from then on.
///
/// Errors: TEU_EINVAL, TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_ESTATE, TEU_ESPEC with the place, TEU_EUNSUPPORTED, TEU_EPERM, TEU_EMOUNT, TEU_EBUSY,
/// TEU_ETIMEDOUT, TEU_ECANCELED, TEU_ESYS.
/// Threads: any; takes the lock of the container.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_add_mounts(
    container: *mut teu_container_t,
    json: *const c_char,
    len: usize,
    call: *const teu_call,
    err: *mut *mut teu_error_t,
) -> c_int {
    act_within("add mounts", container, call, err, |container, patience| {
        Ok(container.add_mounts_within(&given(json, len)?, patience)?)
    })
}

/// Takes mounts away from the running container: a JSON array of entries, of which the `destination` counts. The topmost mount there goes; who has a
/// file of it open keeps it. Those before one that fails are gone.
///
/// Errors: those of `teu_container_add_mounts`.
/// Threads: any; takes the lock of the container.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_remove_mounts(
    container: *mut teu_container_t,
    json: *const c_char,
    len: usize,
    call: *const teu_call,
    err: *mut *mut teu_error_t,
) -> c_int {
    act_within("remove mounts", container, call, err, |container, patience| {
        Ok(container.remove_mounts_within(&given(json, len)?, patience)?)
    })
}

fn given(json: *const c_char, len: usize) -> Result<Vec<u8>, Failure> {
    ffi::maybe_bytes(json, len, "json")?.ok_or_else(|| Failure::invalid("json is NULL"))
}
