//! Why a call fails, on its way to C: an error of the library with its code.

use teu::{Error, ErrorKind};

use crate::abi::teu_code;

/// An error, and the part of the call in which it arose if the error does not know better.
#[derive(Debug)]
pub(crate) struct Failure {
    pub code: teu_code,
    pub error: Error,
}

/// Kinds and codes. A kind that is not listed is TEU_ESYS.
const CODES: &[(ErrorKind, teu_code)] = &[
    (ErrorKind::InvalidSpec, teu_code::TEU_ESPEC),
    (ErrorKind::InvalidArgument, teu_code::TEU_EINVAL),
    (ErrorKind::InvalidState, teu_code::TEU_ESTATE),
    (ErrorKind::Paused, teu_code::TEU_EPAUSED),
    (ErrorKind::AlreadyExists, teu_code::TEU_EEXISTS),
    (ErrorKind::NotFound, teu_code::TEU_ENOTFOUND),
    (ErrorKind::NotRunning, teu_code::TEU_ENOTRUNNING),
    (ErrorKind::Busy, teu_code::TEU_EBUSY),
    (ErrorKind::Unsupported, teu_code::TEU_EUNSUPPORTED),
    (ErrorKind::Denied, teu_code::TEU_EPERM),
    (ErrorKind::CommandNotFound, teu_code::TEU_ECMDNOTFOUND),
    (ErrorKind::CommandNotExecutable, teu_code::TEU_ECMDNOPERM),
    (ErrorKind::Hook, teu_code::TEU_EHOOK),
    (ErrorKind::Cgroup, teu_code::TEU_ECGROUP),
    (ErrorKind::Mount, teu_code::TEU_EMOUNT),
    (ErrorKind::OutOfMemory, teu_code::TEU_EOOM),
    (ErrorKind::TimedOut, teu_code::TEU_ETIMEDOUT),
    (ErrorKind::Cancelled, teu_code::TEU_ECANCELED),
    (ErrorKind::Internal, teu_code::TEU_EINTERNAL),
];

impl Failure {
    /// A malformed argument.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidArgument, message).into()
    }

    /// A struct of the future.
    pub fn too_big(message: impl Into<String>) -> Self {
        let error = Error::new(ErrorKind::InvalidArgument, message);
        Self { code: teu_code::TEU_E2BIG, error }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = CODES.iter().find(|(kind, _)| *kind == error.kind());
        let code = code.map_or(teu_code::TEU_ESYS, |(_, code)| *code);
        let no_memory = code == teu_code::TEU_ESYS && error.errno() == Some(libc::ENOMEM);
        Self { code: if no_memory { teu_code::TEU_ENOMEM } else { code }, error }
    }
}
