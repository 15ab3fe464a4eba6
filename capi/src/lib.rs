//! libteu: the C interface of teu, declared in `include/teu.h`, which is generated from here.
//!
//! Every function checks its arguments, makes one call of the library and converts the result; no decision about containers is made here. What C gives is
//! made safe in `ffi.rs`, the one place with unsafe code; objects are numbers (`handle.rs`); no panic passes (`boundary.rs`).

mod abi;
mod boundary;
mod cancel;
mod container;
mod context;
mod create;
mod documents;
mod error;
mod events;
mod exec;
mod failure;
mod ffi;
mod handle;
mod limits;
mod list;
mod mounts;
mod version;

// Each exported function gets its version. Only the shared library wants it, and the linker must see functions and lines in one object.
#[cfg(teu_symver)]
std::arch::global_asm!(include_str!(concat!(env!("OUT_DIR"), "/symver.s")));
