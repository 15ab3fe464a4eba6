//! Standard streams that are the null device.

use super::mount::is_null_device;
use crate::abi::{
    AT_EMPTY_PATH, EINVAL, O_CLOEXEC, O_PATH, O_RDWR, OpenHow, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
};
use crate::machine::{At, Fault, Machine, Outcome};
use crate::sys::{self, Fd};
use crate::wire::step;

/// Opens standard streams on the host's null device again on the container's: through the host's, root could change its mode and owner.
pub fn null(machine: &mut Machine<'_>) -> Outcome {
    let mut null = None;
    for number in 0..3 {
        let stream = Fd(number);
        match sys::statx(stream, c"", AT_EMPTY_PATH) {
            Ok(found) if is_null_device(&found) => {}
            _ => continue,
        }
        let own = match null {
            Some(own) => own,
            None => own_null(machine)?,
        };
        null = Some(own);
        sys::dup3(own, stream, 0)?;
    }
    if let Some(own) = null {
        own.close();
    }
    Ok(())
}

fn own_null(machine: &Machine<'_>) -> Result<Fd, Fault> {
    let resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    // The handle first: opening another device or a fifo in its place could do something.
    for flags in [O_PATH, O_RDWR] {
        let how = OpenHow { flags: u64::from(flags | O_CLOEXEC), mode: 0, resolve };
        let opened = sys::openat2(machine.root, c"dev/null", &how).at(step::TARGET)?;
        if !is_null_device(&sys::statx(opened, c"", AT_EMPTY_PATH)?) {
            return Err(Fault { errno: EINVAL, step: step::MISMATCH });
        }
        if flags == O_RDWR {
            return Ok(opened);
        }
        opened.close();
    }
    Err(Fault::from(EINVAL))
}
