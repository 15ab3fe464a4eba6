//! A new time namespace and `linux.timeOffsets`: init makes the namespace for its children and binds the offsets while nobody is in it.

use oci_spec::runtime::Spec;
use teu_init::program::Op;

use super::namespaces::kind;
use super::program::Builder;

/// Makes the namespace and binds the offsets.
pub(super) fn push(config: &Spec, out: &mut Builder) {
    out.push(Op::Unshare { flags: kind::TIME }, "/linux/namespaces");
    if let Some(offsets) = offsets(config) {
        let offsets = out.text(offsets);
        out.push(Op::TimeOffsets { offsets }, "/linux/timeOffsets");
    }
}

/// The lines of `/proc/PID/timens_offsets`: clock, seconds, nanoseconds.
fn offsets(config: &Spec) -> Option<String> {
    let offsets = config.linux().as_ref()?.time_offsets().as_ref()?;
    let mut lines: Vec<String> = offsets
        .iter()
        .map(|(clock, offset)| {
            format!("{clock} {} {}\n", offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0))
        })
        .collect();
    lines.sort();
    (!lines.is_empty()).then(|| lines.concat())
}
