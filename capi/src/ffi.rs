//! The border: pointers of C become values of Rust and back. The only unsafe code of this crate.
//!
//! What the functions here trust is the contract of the header: a pointer is NULL or leads to what its type says, for the time of the call. What C allows
//! to be checked is checked: NULL, alignment, sizes, flags, negative descriptors.

use std::cell::Cell;
use std::ffi::{CStr, CString, OsString, c_char, c_int, c_void};
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::abi::{
    teu_call, teu_create_options, teu_destroy_fn, teu_event, teu_event_options, teu_exec_options, teu_exit,
    teu_fd_map, teu_log_fn, teu_log_record, teu_options, teu_pressure, teu_state, teu_stats,
    teu_update_options,
};
use crate::context::Log;
use crate::failure::Failure;

/// Larger structs are garbage.
const MAX_STRUCT: usize = 4096;
/// More elements are garbage.
const MAX_ELEMENTS: usize = 1 << 20;

/// A struct that begins with its size and grows at its end.
///
/// # Safety
/// `repr(C)`; the first member is `size: usize`; every member may have any bits, zeros among them; there is no padding.
pub(crate) unsafe trait Growing: Copy {
    const NAME: &'static str;
}

macro_rules! growing {
    ($($name:ident),*) => {
        // SAFETY: they are plain integers and pointers of C, in an order that leaves no gap; the layout test compares them with the header.
        $(unsafe impl Growing for $name { const NAME: &'static str = stringify!($name); })*
    };
}

growing!(
    teu_options,
    teu_call,
    teu_create_options,
    teu_exec_options,
    teu_update_options,
    teu_event_options,
    teu_event,
    teu_exit,
    teu_stats,
    teu_state
);

/// The size that the caller gave.
fn size_of_given<T: Growing>(given: *const T) -> Result<usize, Failure> {
    let name = T::NAME;
    if given.is_null() || !given.is_aligned() {
        return Err(Failure::invalid(format!("struct {name} is NULL or not aligned")));
    }
    // SAFETY: the first member is the size, and the caller promises that it is there.
    let size = unsafe { given.cast::<usize>().read() };
    match size {
        _ if size < size_of::<usize>() || size % align_of::<usize>() != 0 => Err(Failure::invalid(format!(
            "struct {name} has the size {size}: set it to sizeof(struct {name})"
        ))),
        _ if size > MAX_STRUCT => Err(Failure::too_big(format!("struct {name} has the size {size}"))),
        _ => Ok(size),
    }
}

/// Reads a struct of any version: what a short one lacks is zero, and what a long one has behind our end must be.
pub(crate) fn read<T: Growing>(given: *const T) -> Result<T, Failure> {
    let size = size_of_given(given)?;
    let tail = given.cast::<u8>().wrapping_add(size_of::<T>());
    // SAFETY: the caller promises `size` readable bytes, and these lie within them.
    let newer =
        (0..size.saturating_sub(size_of::<T>())).any(|at| unsafe { tail.wrapping_add(at).read() } != 0);
    if newer {
        return Err(Failure::too_big(format!(
            "struct {} has members that this library does not know",
            T::NAME
        )));
    }
    // SAFETY: zeros are a valid `Growing`.
    let mut value: T = unsafe { std::mem::zeroed() };
    let bytes = std::ptr::from_mut(&mut value).cast::<u8>();
    // SAFETY: both have so many bytes, and ours is a value of its own.
    unsafe { bytes.copy_from_nonoverlapping(given.cast(), size.min(size_of::<T>())) };
    Ok(value)
}

/// The same; NULL is all zeros.
pub(crate) fn read_or_default<T: Growing>(given: *const T) -> Result<T, Failure> {
    // SAFETY: zeros are a valid `Growing`.
    if given.is_null() { Ok(unsafe { std::mem::zeroed() }) } else { read(given) }
}

/// A struct of the caller that will be filled.
pub(crate) struct Filled<T: Growing> {
    place: *mut T,
    size: usize,
}

impl<T: Growing> Filled<T> {
    /// Checks the place before anything is done.
    pub fn at(place: *mut T) -> Result<Self, Failure> {
        Ok(Self { place, size: size_of_given(place)? })
    }

    /// Fills it up to the caller's size; `size` itself stays as it is.
    pub fn put(self, value: &T) {
        let own = self.size.min(size_of::<T>());
        let from = std::ptr::from_ref(value).cast::<u8>();
        let to = self.place.cast::<u8>();
        let head = size_of::<usize>();
        // SAFETY: the caller promises `size` writable bytes; ours are at least as many as are copied.
        unsafe { to.wrapping_add(head).copy_from_nonoverlapping(from.wrapping_add(head), own - head) };
        // SAFETY: as above; these are what the caller knows and we do not.
        unsafe { to.wrapping_add(own).write_bytes(0, self.size - own) };
    }
}

/// A place for a result: NULL, -1 or 0 until there is one.
pub(crate) struct Place<T>(*mut T);

impl<T> Place<T> {
    /// Checks the place and makes it empty.
    pub fn at(place: *mut T, empty: T) -> Result<Self, Failure> {
        if place.is_null() || !place.is_aligned() {
            return Err(Failure::invalid("the place for a result is NULL or not aligned"));
        }
        let place = Self(place);
        place.set(empty);
        Ok(place)
    }

    /// A place that may be NULL.
    pub fn maybe_at(place: *mut T, empty: T) -> Result<Option<Self>, Failure> {
        if place.is_null() { Ok(None) } else { Self::at(place, empty).map(Some) }
    }

    /// Writes the result.
    pub fn put(self, value: T) {
        self.set(value);
    }

    fn set(&self, value: T) {
        // SAFETY: it is not NULL and aligned, and the caller promises that it may be written.
        unsafe { self.0.write(value) };
    }
}

/// A text; NULL is none.
pub(crate) fn maybe_text(text: *const c_char) -> Option<Vec<u8>> {
    if text.is_null() {
        return None;
    }
    // SAFETY: it is not NULL, and the caller promises that it ends with NUL and stays as it is during the call.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes().to_vec())
}

/// A text of UTF-8.
pub(crate) fn text(text: *const c_char, what: &str) -> Result<String, Failure> {
    let bytes = maybe_text(text).ok_or_else(|| Failure::invalid(format!("{what} is NULL")))?;
    String::from_utf8(bytes).map_err(|_| Failure::invalid(format!("{what} is not UTF-8")))
}

/// The same; NULL is none.
pub(crate) fn maybe_utf8(given: *const c_char, what: &str) -> Result<Option<String>, Failure> {
    if given.is_null() { Ok(None) } else { text(given, what).map(Some) }
}

/// A path, of any bytes.
pub(crate) fn maybe_path(path: *const c_char) -> Option<PathBuf> {
    maybe_text(path).map(|bytes| OsString::from_vec(bytes).into())
}

/// The elements of an array.
fn elements<T: Copy>(array: *const T, count: usize, what: &str) -> Result<Vec<T>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if array.is_null() || !array.is_aligned() || count > MAX_ELEMENTS {
        return Err(Failure::invalid(format!("{what}: {count} elements at a bad place")));
    }
    // SAFETY: it is not NULL, aligned and no larger than a program can have, and the caller promises that the elements are there.
    Ok(unsafe { std::slice::from_raw_parts(array, count) }.to_vec())
}

/// Bytes with a length; NULL is none.
pub(crate) fn maybe_bytes(bytes: *const c_char, len: usize, what: &str) -> Result<Option<Vec<u8>>, Failure> {
    if bytes.is_null() {
        return if len == 0 {
            Ok(None)
        } else {
            Err(Failure::invalid(format!("{what} is NULL and has a length")))
        };
    }
    if len > MAX_BYTES {
        return Err(Failure::invalid(format!("{what} is larger than {MAX_BYTES} bytes")));
    }
    // SAFETY: it is not NULL, and the caller promises that so many bytes are there.
    Ok(Some(unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), len) }.to_vec()))
}

/// More than the library reads of a configuration.
const MAX_BYTES: usize = 64 << 20;

/// An array of texts of UTF-8.
pub(crate) fn texts(array: *const *const c_char, count: usize, what: &str) -> Result<Vec<String>, Failure> {
    elements(array, count, what)?.into_iter().map(|one| text(one, what)).collect()
}

/// An array of descriptors and their numbers.
pub(crate) fn fd_maps(array: *const teu_fd_map, count: usize) -> Result<Vec<teu_fd_map>, Failure> {
    elements(array, count, "fds")
}

/// An array of thresholds.
pub(crate) fn pressures(array: *const teu_pressure, count: usize) -> Result<Vec<teu_pressure>, Failure> {
    elements(array, count, "pressure")
}

/// A copy of a descriptor that the caller keeps, close-on-exec.
pub(crate) fn copy_fd(fd: c_int, what: &str) -> Result<OwnedFd, Failure> {
    let failed = |error: &std::io::Error| {
        let error = teu::Error::io(format!("{what}: descriptor {fd}"), error);
        Failure::from(error.kind_is(teu::ErrorKind::InvalidArgument))
    };
    if fd < 0 {
        return Err(failed(&std::io::Error::from_raw_os_error(libc::EBADF)));
    }
    // SAFETY: the number is not negative; if nothing is open there, the copy fails and nothing else is done with it.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned().map_err(|error| failed(&error))
}

/// A descriptor for the caller.
pub(crate) fn give_fd(fd: impl Into<OwnedFd>) -> c_int {
    fd.into().into_raw_fd()
}

/// A text for the caller, who frees it by `teu_free`.
pub(crate) fn give_text(text: &str) -> Result<(*mut c_char, usize), Failure> {
    let copy = give_bytes(text.as_bytes(), 1)?;
    // SAFETY: there is one byte more than the text has, and it is nobody else's yet.
    unsafe { copy.wrapping_add(text.len()).write(0) };
    Ok((copy.cast(), text.len()))
}

/// Numbers for the caller, who frees them by `teu_free`.
pub(crate) fn give_pids(pids: &[i32]) -> Result<*mut libc::pid_t, Failure> {
    let bytes: Vec<u8> = pids.iter().flat_map(|pid| pid.to_ne_bytes()).collect();
    // An empty array has a place too.
    Ok(give_bytes(&bytes, size_of::<libc::pid_t>())?.cast())
}

fn give_bytes(bytes: &[u8], more: usize) -> Result<*mut u8, Failure> {
    // SAFETY: malloc may be called with any size.
    let copy = unsafe { libc::malloc(bytes.len() + more) }.cast::<u8>();
    if copy.is_null() {
        return Err(teu::Error::os("malloc", libc::ENOMEM).into());
    }
    // SAFETY: malloc has just given at least so many bytes, which nobody else knows.
    unsafe { copy.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    Ok(copy)
}

/// Frees what `give_text` or `give_pids` gave.
pub(crate) fn take_back(memory: *mut c_void) {
    // SAFETY: the caller promises that it is NULL or one of ours, and not freed before; ours come from malloc.
    unsafe { libc::free(memory) };
}

/// Calls the host's logger.
pub(crate) fn log(function: teu_log_fn, data: *mut c_void, record: &teu_log_record) {
    if let Some(function) = function {
        function(data, record);
    }
}

/// Tells the host that its logger is not called any more.
pub(crate) fn destroy(function: teu_destroy_fn, data: *mut c_void) {
    if let Some(function) = function {
        function(data);
    }
}

/// A text of one line for C.
pub(crate) fn c_string(text: &str) -> CString {
    // Messages have no NUL: control characters are escaped where they are made.
    CString::new(text).unwrap_or_default()
}

/// What the host gave for its callbacks: it may be used on any thread, as the header says.
#[derive(Clone, Copy)]
pub(crate) struct HostData(pub *mut c_void);

// SAFETY: the pointer is only handed back to the host, which promised that its functions may run on any thread.
unsafe impl Send for HostData {}
// SAFETY: as above.
unsafe impl Sync for HostData {}

thread_local! {
    /// The logger of the call that is under way on this thread. A plain pointer: a thread that ends has nothing to clean up, so the library may be unloaded.
    static CURRENT: Cell<*const Log> = const { Cell::new(std::ptr::null()) };
}

/// Does something while `log` gets this thread's log records.
pub(crate) fn while_logging<T>(log: Option<&Log>, act: impl FnOnce() -> T) -> T {
    struct Restore(*const Log);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(log.map_or(std::ptr::null(), std::ptr::from_ref)));
    act()
}

/// The logger of this thread's call.
pub(crate) fn with_current_log(act: impl FnOnce(&Log)) {
    // SAFETY: NULL, or the logger of a call further up this thread's stack, which holds it.
    if let Some(log) = unsafe { CURRENT.get().as_ref() } {
        act(log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::teu_code;

    const OWN: usize = size_of::<teu_call>();

    /// A struct of `size` bytes with a guard behind it.
    fn bytes(size: usize, fill: u8) -> Vec<u64> {
        let mut words = vec![u64::from_ne_bytes([fill; 8]); 16];
        words[0] = size as u64;
        words
    }

    #[test]
    fn a_short_struct_is_filled_up_with_zeros_and_nothing_behind_it_is_read() {
        let given = bytes(16, 0xff);
        let read: teu_call = read(given.as_ptr().cast()).unwrap();
        assert_eq!((read.timeout_ns, read.cancel.is_null()), (u64::MAX, true));
    }

    #[test]
    fn a_long_struct_is_read_if_its_tail_is_zero_and_refused_otherwise() {
        let mut given = bytes(OWN + 16, 0);
        given[1] = 7;
        assert_eq!(read::<teu_call>(given.as_ptr().cast()).unwrap().timeout_ns, 7);
        given[4] = 1 << 56;
        let refused = read::<teu_call>(given.as_ptr().cast()).map(|_| ()).unwrap_err();
        assert_eq!(refused.code, teu_code::TEU_E2BIG);
    }

    #[test]
    fn garbage_in_place_of_a_size_is_refused() {
        for (size, code) in [
            (0, teu_code::TEU_EINVAL),
            (7, teu_code::TEU_EINVAL),
            (OWN + 3, teu_code::TEU_EINVAL),
            (MAX_STRUCT + 8, teu_code::TEU_E2BIG),
            (usize::MAX - 7, teu_code::TEU_E2BIG),
        ] {
            let given = bytes(size, 0);
            let refused = read::<teu_call>(given.as_ptr().cast()).map(|_| ()).unwrap_err();
            assert_eq!(refused.code, code, "{size}");
        }
        assert!(read::<teu_call>(std::ptr::null()).is_err());
        assert!(read::<teu_call>(std::ptr::without_provenance(4097)).is_err());
    }

    #[test]
    fn a_result_fills_what_the_caller_has_and_not_a_byte_more() {
        let value = teu_state { size: 0, status: 1, pid: 2, created_ns: 3 };
        for (size, expected) in [
            (8, [8, u64::MAX, u64::MAX, u64::MAX]),
            (16, [16, 0x2_0000_0001, u64::MAX, u64::MAX]),
            (24, [24, 0x2_0000_0001, 3, u64::MAX]),
            (32, [32, 0x2_0000_0001, 3, 0]),
        ] {
            let mut given = bytes(size, 0xff);
            Filled::<teu_state>::at(given.as_mut_ptr().cast()).unwrap().put(&value);
            assert_eq!(given[..4], expected);
            assert!(given[4..].iter().all(|word| *word == u64::MAX));
        }
    }
}
