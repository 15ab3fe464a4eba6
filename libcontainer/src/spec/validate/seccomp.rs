//! `linux.seccomp`: everything that does not depend on the machine. Unknown actions, operators, flags and architectures never
//! get here: the types of the specification refuse them.

use oci_spec::runtime::Spec as Config;

use super::{Warnings, limit_entries, list};
use crate::Result;
use crate::seccomp;

pub fn seccomp(config: &Config, warnings: &mut Warnings) -> Result<()> {
    let Some(seccomp) = config.linux().as_ref().and_then(|linux| linux.seccomp().as_ref()) else {
        return Ok(());
    };
    limit_entries(list(seccomp.syscalls()).len(), "/linux/seccomp/syscalls")?;
    warnings.extend(seccomp::check(seccomp)?);
    Ok(())
}
