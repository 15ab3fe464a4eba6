//! The way into the library and out: no panic passes, and an error becomes a number and an object.

use std::any::Any;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use teu::{Error, ErrorKind};

use crate::abi::teu_error_t;
use crate::error;
use crate::failure::Failure;
use crate::ffi;

/// Does `act`, which is what a function of C is for. `verb` names it in an error that does not know its place better.
pub(crate) fn boundary(
    verb: &'static str,
    err: *mut *mut teu_error_t,
    act: impl FnOnce() -> Result<c_int, Failure>,
) -> c_int {
    hush();
    let failure = match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(result)) => return result,
        Ok(Err(failure)) => failure,
        Err(payload) => Error::new(ErrorKind::Internal, format!("a bug of teu: {}", words(payload))).into(),
    };
    let code = failure.code as c_int;
    // Without memory for the object there is still the code.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if let Ok(Some(place)) = ffi::Place::maybe_at(err, std::ptr::null_mut()) {
            if let Ok(handle) = error::give(verb, failure) {
                place.put(handle);
            }
        }
    }));
    code
}

/// The same for functions without an error object: `otherwise` in place of what cannot be told.
pub(crate) fn quietly<T>(otherwise: T, act: impl FnOnce() -> T) -> T {
    hush();
    catch_unwind(AssertUnwindSafe(act)).unwrap_or(otherwise)
}

/// A panic is told by its error: stderr is the host's. The hook is this library's own, as its copy of std is.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}

fn words(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    // Its end is code that nobody knows.
    std::mem::forget(payload);
    text.unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;
    use crate::abi::teu_code;
    use crate::error::{teu_error_code, teu_error_free, teu_error_message};

    #[test]
    fn a_panic_becomes_an_error_and_the_next_call_works() {
        let mut err = std::ptr::null_mut();
        let code = boundary("test", &raw mut err, || panic!("number {}", 7));
        assert_eq!(code, teu_code::TEU_EINTERNAL as c_int);
        assert_eq!(teu_error_code(err), code);
        assert_eq!(ffi::text(teu_error_message(err), "message").unwrap(), "a bug of teu: number 7");
        teu_error_free(err);
        assert_eq!(boundary("test", std::ptr::null_mut(), || Ok(3)), 3);
        assert_eq!(quietly(5, || panic!("x")), 5);
    }
}
