//! The session keyring, and what SELinux calls it and a file.

use super::{CALLS, checked, path, syscall, text};
use std::ffi::{CString, c_char, c_int, c_void};
use std::io;

const SESSION: c_int = -3;
const ATTRIBUTE: &str = "security.selinux";

unsafe extern "C" {
    fn lgetxattr(path: *const c_char, name: *const c_char, value: *mut c_void, size: usize) -> isize;
}

/// The name of the session keyring.
pub fn keyring() -> io::Result<String> {
    const DESCRIBE: c_int = 6;
    let description = told(DESCRIBE)?;
    Ok(text(description.rsplit(';').next().unwrap_or_default()))
}

/// Its number, which no other key of the machine has.
pub fn key_serial() -> io::Result<String> {
    const GET_KEYRING_ID: c_int = 0;
    // SAFETY: takes numbers only.
    let serial = unsafe { syscall(CALLS[3], GET_KEYRING_ID, SESSION, 0) };
    checked(serial).map(|serial| text(&serial.to_string()))
}

/// Its label.
pub fn key_label() -> io::Result<String> {
    const GET_SECURITY: c_int = 17;
    Ok(text(&told(GET_SECURITY)?))
}

/// What one of the questions about the session keyring is answered with.
fn told(question: c_int) -> io::Result<String> {
    let mut answer = [0_u8; 256];
    // SAFETY: the kernel writes as many bytes as it is told.
    let call = unsafe { syscall(CALLS[3], question, SESSION, answer.as_mut_ptr(), answer.len()) };
    checked(call).map(|_| string(&answer))
}

/// The label of a file, which may be a symbolic link.
pub fn label(object: &str) -> io::Result<String> {
    let (file, name) = (path(object)?, CString::new(ATTRIBUTE)?);
    let mut label = [0_u8; 256];
    // SAFETY: both names outlive the call, and the kernel writes as many bytes as it is told.
    let length = unsafe { lgetxattr(file.as_ptr(), name.as_ptr(), label.as_mut_ptr().cast(), label.len()) };
    checked(length as i64).map(|_| text(&string(&label)))
}

fn string(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}
