//! The containers of a root.

use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use crate::abi::{teu_error_t, teu_list_t, teu_state, teu_t};
use crate::boundary::{boundary, quietly};
use crate::container::brief;
use crate::context::CONTEXTS;
use crate::documents;
use crate::failure::Failure;
use crate::ffi::{Filled, Place};
use crate::handle::Table;

static LISTS: Table<List> = Table::new(6, "list");

/// The containers of one moment, and how many of them were told.
struct List {
    entries: Vec<(CString, teu::Result<teu_state>)>,
    told: Mutex<usize>,
}

impl List {
    fn next(&self) -> Option<&(CString, teu::Result<teu_state>)> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = self.entries.get(*told)?;
        *told += 1;
        Some(entry)
    }
}

/// Looks at every container of the root, sorted by id. Takes no lock.
///
/// Errors: TEU_EINVAL, TEU_EPERM, TEU_ESYS. A root that does not exist has no containers.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_list(teu: *mut teu_t, out: *mut *mut teu_list_t, err: *mut *mut teu_error_t) -> c_int {
    boundary("list", err, || {
        let out = Place::at(out, ptr::null_mut())?;
        let context = CONTEXTS.get(teu)?;
        let listed = context.logging(|| context.runtime.list())?;
        let entries = listed.into_iter().map(|entry| {
            let state = entry.state.map(|state| brief(&state.summary()));
            (CString::new(entry.id).unwrap_or_default(), state)
        });
        out.put(LISTS.insert(List { entries: entries.collect(), told: Mutex::new(0) })?);
        Ok(0)
    })
}

/// The next container: 1, or 0 at the end. `*id` is borrowed until `teu_list_free`; `state` may be NULL.
///
/// Errors: TEU_EINVAL; any other: what cannot be told of this one, which `*id` names; the next call goes on.
/// Threads: any; callers of one handle take turns.
#[unsafe(no_mangle)]
pub extern "C" fn teu_list_next(
    list: *mut teu_list_t,
    id: *mut *const c_char,
    state: *mut teu_state,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("list", err, || {
        let id = Place::at(id, ptr::null())?;
        let state = if state.is_null() { None } else { Some(Filled::at(state)?) };
        let list = LISTS.get(list)?;
        let Some((name, found)) = list.next() else { return Ok(0) };
        id.put(name.as_ptr());
        let found = found.as_ref().map_err(|error| Failure::from(error.clone()))?;
        state.into_iter().for_each(|state| state.put(found));
        Ok(1)
    })
}

/// Gives a list back. NULL is ignored.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_list_free(list: *mut teu_list_t) {
    quietly((), || LISTS.give_back(list));
}

/// The states of all containers whose state can be told, as an array of the specification's JSON. Freed by `teu_free`; `len` may
/// be NULL.
///
/// Errors: those of `teu_list`, TEU_ENOMEM.
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn teu_list_json(
    teu: *mut teu_t,
    out: *mut *mut c_char,
    len: *mut usize,
    err: *mut *mut teu_error_t,
) -> c_int {
    boundary("list", err, || {
        documents::give(out, len, || {
            let context = CONTEXTS.get(teu)?;
            let listed = context.logging(|| context.runtime.list())?;
            let states = listed.into_iter().filter_map(|entry| entry.state.ok());
            let states: Vec<String> = states.map(|state| state.to_json()).collect();
            Ok(format!("[{}]", states.join(",")))
        })
    })
}
