//! One pattern of a list of CPUs is all that oci-spec has for `regex`, and that crate would be more than a third of libteu. This one has its name and the
//! small engine that the command uses too; `\d` is a digit of ASCII here, as the kernel has it.

pub use regex_lite::Regex;
