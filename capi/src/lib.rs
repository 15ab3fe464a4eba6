//! libteu: the C interface of teu, declared in `include/teu.h`.
//!
//! A skeleton: it tells its version, which is enough to build, link and load it. Its rules, for what will be added: every function checks its
//! arguments, makes one call of the core and converts the result. No decision about containers is made here, and `unsafe` is only what edition 2024
//! calls so: the attribute that exports a symbol.

pub mod version;
