//! The functions of a library that is loaded.

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Err;
use super::abi::{
    teu_call, teu_container_t, teu_create_options, teu_error_t, teu_event, teu_event_options, teu_events_t,
    teu_exec_options, teu_exit, teu_options, teu_process_t, teu_t, teu_update_options,
};

macro_rules! functions {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of the loaded library.
        #[allow(clippy::type_complexity, missing_docs)]
        pub struct Functions { $(pub $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)* }

        impl Functions {
            /// Loads a library for good.
            ///
            /// # Errors
            /// It cannot be loaded, or lacks a function.
            pub fn load(path: &Path) -> io::Result<Self> {
                let library = open(path)?;
                Ok(Self {
                    $($name: {
                        let found = find(library, concat!(stringify!($name), "\0"))?;
                        // SAFETY: the header gives the function of this name this type.
                        unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(found) }
                    },)*
                })
            }
        }
    };
}

functions! {
    teu_new(*const teu_options, *mut *mut teu_t, Err) -> c_int;
    teu_unref(*mut teu_t);
    teu_error_message(*const teu_error_t) -> *const c_char;
    teu_error_free(*mut teu_error_t);
    teu_free(*mut c_void);
    teu_create(*mut teu_t, *const c_char, *const teu_create_options, *mut *mut teu_container_t, Err) -> c_int;
    teu_run(*mut teu_t, *const c_char, *const teu_create_options, *mut teu_exit, Err) -> c_int;
    teu_open(*mut teu_t, *const c_char, *mut *mut teu_container_t, Err) -> c_int;
    teu_delete(*mut teu_t, *const c_char, u64, Err) -> c_int;
    teu_container_unref(*mut teu_container_t);
    teu_container_start(*mut teu_container_t, *const teu_call, Err) -> c_int;
    teu_container_wait(*mut teu_container_t, *const teu_call, *mut teu_exit, Err) -> c_int;
    teu_container_kill(*mut teu_container_t, c_int, u64, Err) -> c_int;
    teu_container_pause(*mut teu_container_t, *const teu_call, Err) -> c_int;
    teu_container_resume(*mut teu_container_t, *const teu_call, Err) -> c_int;
    teu_container_delete(*mut teu_container_t, u64, *const teu_call, Err) -> c_int;
    teu_container_state_json(*mut teu_container_t, *mut *mut c_char, *mut usize, Err) -> c_int;
    teu_container_take_console(*mut teu_container_t, Err) -> c_int;
    teu_container_ps(*mut teu_container_t, *mut *mut i32, *mut usize, Err) -> c_int;
    teu_container_exec(*mut teu_container_t, *const teu_exec_options, *mut *mut teu_process_t, Err) -> c_int;
    teu_process_wait(*mut teu_process_t, *const teu_call, *mut teu_exit, Err) -> c_int;
    teu_process_take_console(*mut teu_process_t, Err) -> c_int;
    teu_process_unref(*mut teu_process_t);
    teu_container_stats_json(*mut teu_container_t, *mut *mut c_char, *mut usize, Err) -> c_int;
    teu_container_update(*mut teu_container_t, *const teu_update_options, Err) -> c_int;
    teu_events_open(*mut teu_container_t, *const teu_event_options, *mut *mut teu_events_t, Err) -> c_int;
    teu_events_next(*mut teu_events_t, *mut teu_event, *const teu_call, Err) -> c_int;
    teu_events_free(*mut teu_events_t);
    teu_list_json(*mut teu_t, *mut *mut c_char, *mut usize, Err) -> c_int;
}

/// Loads a library for good.
fn open(path: &Path) -> io::Result<*mut c_void> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the name ends with NUL; what the library does when it is loaded is nothing.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if library.is_null() { Err(io::Error::other(format!("dlopen {}", path.display()))) } else { Ok(library) }
}

fn find(library: *mut c_void, name: &str) -> io::Result<*mut c_void> {
    // SAFETY: the library is loaded, and the name ends with NUL.
    let found = unsafe { libc::dlsym(library, name.as_ptr().cast()) };
    if found.is_null() { Err(io::Error::other(format!("the library has no {name}"))) } else { Ok(found) }
}
