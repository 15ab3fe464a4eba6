//! libseccomp as an oracle, if the machine has it: loaded at run time, so that nothing of teu is linked to it.
#![allow(unsafe_code)] // a C library
#![allow(missing_docs)] // helpers of tests
#![allow(dead_code)] // each program uses its part

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::{Read, Seek};
use std::mem::transmute_copy;
use std::os::fd::AsRawFd;

type Context = *mut c_void;

/// `struct scmp_arg_cmp`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ArgCmp {
    pub arg: c_uint,
    pub op: c_int,
    pub datum_a: u64,
    pub datum_b: u64,
}

const OPTIMIZE: c_int = 8;

/// The functions that are used.
#[derive(Clone, Copy)]
pub struct Library {
    init: extern "C" fn(u32) -> Context,
    release: extern "C" fn(Context),
    arch_add: extern "C" fn(Context, u32) -> c_int,
    arch_remove: extern "C" fn(Context, u32) -> c_int,
    attr_set: extern "C" fn(Context, c_int, u32) -> c_int,
    rule_add: extern "C" fn(Context, u32, c_int, c_uint, *const ArgCmp) -> c_int,
    resolve: extern "C" fn(*const c_char) -> c_int,
    resolve_arch: extern "C" fn(u32, *const c_char) -> c_int,
    export: extern "C" fn(Context, c_int) -> c_int,
}

impl Library {
    /// `$TEU_LIBSECCOMP`, or the system's.
    pub fn load() -> Option<Library> {
        let name = std::env::var("TEU_LIBSECCOMP").unwrap_or_else(|_| "libseccomp.so.2".to_owned());
        let name = CString::new(name).ok()?;
        // SAFETY: a NUL-terminated name; libseccomp's constructors have no demands on the process.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            return None;
        }
        Some(Library {
            init: symbol(library, c"seccomp_init")?,
            release: symbol(library, c"seccomp_release")?,
            arch_add: symbol(library, c"seccomp_arch_add")?,
            arch_remove: symbol(library, c"seccomp_arch_remove")?,
            attr_set: symbol(library, c"seccomp_attr_set")?,
            rule_add: symbol(library, c"seccomp_rule_add_array")?,
            resolve: symbol(library, c"seccomp_syscall_resolve_name")?,
            resolve_arch: symbol(library, c"seccomp_syscall_resolve_name_arch")?,
            export: symbol(library, c"seccomp_export_bpf")?,
        })
    }

    /// An empty filter for the native architecture.
    pub fn filter(self, default: u32) -> Filter {
        Filter { library: self, context: (self.init)(default) }
    }

    /// What the name stands for: a number of the native architecture, a negative one for a call of others; `None` if it is unknown.
    pub fn resolve(self, name: &str) -> Option<i32> {
        let name = CString::new(name).ok()?;
        let number = (self.resolve)(name.as_ptr());
        (number != -1).then_some(number)
    }

    /// The same for the architecture of that SCMP_ARCH_* token.
    pub fn resolve_arch(self, arch: u32, name: &str) -> Option<i32> {
        let name = CString::new(name).ok()?;
        let number = (self.resolve_arch)(arch, name.as_ptr());
        (number != -1).then_some(number)
    }
}

/// A function of the library as the type that its field has.
fn symbol<F: Copy>(library: *mut c_void, name: &CStr) -> Option<F> {
    // SAFETY: `library` is a handle of dlopen that is never closed.
    let found = unsafe { libc::dlsym(library, name.as_ptr()) };
    assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
    // SAFETY: F is the C type of `name`, which seccomp.h declares so since libseccomp 2.1.
    (!found.is_null()).then(|| unsafe { transmute_copy::<*mut c_void, F>(&found) })
}

/// A filter of libseccomp.
pub struct Filter {
    library: Library,
    context: Context,
}

impl Filter {
    /// An error is a negative errno.
    fn call(&self, function: impl Fn(&Library, Context) -> c_int) -> Result<(), i32> {
        match function(&self.library, self.context) {
            0 => Ok(()),
            error => Err(error),
        }
    }

    /// SCMP_ARCH_*
    pub fn add_arch(&self, arch: u32) -> Result<(), i32> {
        match self.call(|library, context| (library.arch_add)(context, arch)) {
            // It is there already.
            Err(error) if error == -libc::EEXIST => Ok(()),
            other => other,
        }
    }

    pub fn remove_arch(&self, arch: u32) -> Result<(), i32> {
        self.call(|library, context| (library.arch_remove)(context, arch))
    }

    /// The tree that runc asks for.
    pub fn optimize(&self) -> Result<(), i32> {
        self.call(|library, context| (library.attr_set)(context, OPTIMIZE, 2))
    }

    pub fn add_rule(&self, action: u32, call: i32, args: &[ArgCmp]) -> Result<(), i32> {
        let count = c_uint::try_from(args.len()).map_err(|_| -libc::EINVAL)?;
        self.call(|library, context| (library.rule_add)(context, action, call, count, args.as_ptr()))
    }

    /// The program, an instruction a word.
    pub fn program(&self) -> std::io::Result<Vec<u64>> {
        let mut file = memory_file()?;
        self.call(|library, context| (library.export)(context, file.as_raw_fd()))
            .map_err(|error| std::io::Error::from_raw_os_error(-error))?;
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        let words = bytes.chunks_exact(8).filter_map(|word| word.try_into().ok());
        Ok(words.map(u64::from_ne_bytes).collect())
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        (self.library.release)(self.context);
    }
}

fn memory_file() -> std::io::Result<File> {
    use std::os::fd::FromRawFd;
    // SAFETY: a NUL-terminated name.
    let fd = unsafe { libc::memfd_create(c"filter".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { File::from_raw_fd(fd) })
}
