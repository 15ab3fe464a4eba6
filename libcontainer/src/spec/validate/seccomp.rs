//! `linux.seccomp` and the annotations that speak about it: everything that does not depend on the machine. Unknown actions, operators, flags and
//! architectures never get here: the types of the specification refuse them.

use oci_spec::runtime::Spec as Config;

use super::{Warnings, limit_entries, list};
use crate::Result;
use crate::seccomp;
use crate::spec::filter;

pub fn seccomp(config: &Config, warnings: &mut Warnings) -> Result<()> {
    filter::check_listener(config)?;
    // A filter in an annotation takes the profile's place.
    if filter::instructions(config)?.is_some() {
        return Ok(());
    }
    let Some(seccomp) = filter::profile(config) else { return Ok(()) };
    limit_entries(list(seccomp.syscalls()).len(), "/linux/seccomp/syscalls")?;
    warnings.extend(seccomp::check(seccomp)?);
    Ok(())
}
