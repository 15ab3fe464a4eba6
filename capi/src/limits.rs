//! The limits of a container and what it has used.

use std::ffi::c_int;

use teu::UpdateOptions;

use crate::abi::{teu_container_t, teu_error_t, teu_update_options};
use crate::boundary::boundary;
use crate::container::CONTAINERS;
use crate::context::check_flags;
use crate::ffi;

/// Changes limits of a container that exists, all of them or none. What is ignored is logged as a warning.
///
/// Errors: TEU_EINVAL, TEU_E2BIG, TEU_ENOTFOUND, TEU_ENOTRUNNING, TEU_ESPEC with the place, TEU_EUNSUPPORTED, TEU_EBUSY, TEU_EPERM,
/// TEU_ECGROUP.
#[unsafe(no_mangle)]
pub extern "C" fn teu_container_update(
    container: *mut teu_container_t,
    options: *const teu_update_options,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("update", err, || {
        let (found, given) = (CONTAINERS.get(container)?, ffi::read(options)?);
        check_flags(given.flags, 0)?;
        let json = ffi::maybe_bytes(given.resources_json, given.resources_len, "resources_json")?;
        let options = UpdateOptions {
            l3_cache_schema: ffi::maybe_utf8(given.l3_cache_schema, "l3_cache_schema")?,
            mem_bw_schema: ffi::maybe_utf8(given.mem_bw_schema, "mem_bw_schema")?,
        };
        let json = json.as_deref().unwrap_or(b"{}");
        let warnings = found.context.logging(|| found.container.update(json, &options))?;
        found.context.warn(&warnings);
        Ok(0)
    })
}
