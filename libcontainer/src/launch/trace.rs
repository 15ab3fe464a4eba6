//! What the log tells of a launch at level debug. runc's tests and some people look for a few of its phrases, so they are used where they are true here.

use teu_init::program::Op;

use crate::plan::Plan;

/// The process `pid` has been cloned and will run the plan's program.
pub(super) fn cloned(plan: &Plan, pid: i32) {
    if !log::log_enabled!(log::Level::Debug) {
        return;
    }
    log::debug!("nsexec container setup: process {pid}, {} ops", plan.program.ops().len());
    for op in plan.program.ops() {
        match *op {
            Op::Affinity { cpus } => {
                log::debug!("nsexec container setup: affinity: {}", hexadecimal(plan.program.bytes(cpus)));
            }
            Op::Seccomp { flags, .. } => log::debug!("seccomp filter flags: {flags}"),
            _ => {}
        }
    }
}

/// A mask of the kernel, whose first byte is the lowest, as one number.
fn hexadecimal(mask: &[u8]) -> String {
    let digits: String = mask.iter().rev().map(|byte| format!("{byte:02x}")).collect();
    let digits = digits.trim_start_matches('0');
    format!("0x{}", if digits.is_empty() { "0" } else { digits })
}

#[cfg(test)]
mod tests {
    use super::hexadecimal;

    #[test]
    fn a_mask_is_one_number_without_leading_zeros() {
        let table: [(&[u8], &str); 4] =
            [(&[1, 0], "0x1"), (&[0, 1, 0], "0x100"), (&[0xf3, 0x0a], "0xaf3"), (&[], "0x0")];
        for (mask, expected) in table {
            assert_eq!(hexadecimal(mask), expected);
        }
    }
}
