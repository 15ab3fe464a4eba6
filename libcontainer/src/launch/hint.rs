//! What an errno of a namespace or a kernel setting means: the kernel's own word for it says little.

use teu_init::program::Op;

use crate::plan::Program;
use crate::plan::namespaces::kind;

/// The meaning, where one is known.
// table: op and errno, meaning
pub(super) fn hint(program: &Program, op: &Op, errno: i32) -> Option<&'static str> {
    match (*op, errno) {
        (Op::ProcWrite { paths, .. }, _) if program.texts(paths).all(|path| path.starts_with("sys/")) => {
            sysctl(errno)
        }
        (Op::TimeOffsets { .. }, libc::ERANGE) => Some("a clock would be negative or beyond the year 2262"),
        (Op::Unshare { flags: kind::TIME }, libc::EINVAL) => {
            Some("time namespaces aren't enabled in the kernel")
        }
        (Op::Affinity { .. }, libc::EINVAL) => Some("none of these processors is there for the process"),
        (Op::Join { .. }, libc::EPERM) => Some("the caller has no rights over the owner of this namespace"),
        (Op::Join { kind: kind::USER, .. }, libc::EINVAL) => {
            Some("it is the caller's own user namespace, or one around it")
        }
        _ => None,
    }
}

fn sysctl(errno: i32) -> Option<&'static str> {
    match errno {
        libc::ENOENT => Some("the kernel has no such sysctl in the container's namespaces"),
        libc::EACCES | libc::EPERM => {
            Some("the container's user namespace does not own it, or it is read-only")
        }
        libc::EINVAL | libc::ERANGE => Some("the kernel does not take this value"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::program::Builder;

    #[test]
    fn settings_and_namespaces_have_hints_and_labels_have_none() {
        let mut out = Builder::default();
        let proc = out.sends();
        let mut write = |path: &str| Op::ProcWrite { proc, paths: out.texts([path]), value: out.text("1") };
        let (sysctl, label) = (write("sys/net/core/somaxconn"), write("self/attr/exec"));
        let program = out.finish();
        assert!(hint(&program, &sysctl, libc::ENOENT).is_some_and(|hint| hint.contains("no such sysctl")));
        assert_eq!(hint(&program, &sysctl, libc::EIO), None);
        assert_eq!(hint(&program, &label, libc::ENOENT), None);
        let join = |kind| Op::Join { kind, namespace: proc };
        assert!(hint(&program, &join(kind::NETWORK), libc::EPERM).is_some());
        assert_eq!(hint(&program, &join(kind::NETWORK), libc::EINVAL), None);
        assert!(hint(&program, &join(kind::USER), libc::EINVAL).is_some());
    }
}
