//! `linux.timeOffsets`: clocks that a time namespace shifts, by what the kernel can hold.

use oci_spec::runtime::{LinuxNamespaceType, LinuxTimeOffset, Spec as Config};

use super::{Warnings, invalid, namespace};
use crate::Result;
use crate::spec::pointer;

const POINTER: &str = "/linux/timeOffsets";
/// The clocks of a time namespace; `realtime` is not among them.
const CLOCKS: [&str; 2] = ["monotonic", "boottime"];
/// KTIME_SEC_MAX.
const MAX_SECS: i64 = i64::MAX / NANOSECONDS as i64;
const NANOSECONDS: u32 = 1_000_000_000;

pub fn time_offsets(config: &Config, _: &mut Warnings) -> Result<()> {
    let Some(offsets) = config.linux().as_ref().and_then(|linux| linux.time_offsets().as_ref()) else {
        return Ok(());
    };
    if offsets.is_empty() {
        return Ok(());
    }
    let Some(time) = namespace(config, LinuxNamespaceType::Time) else {
        let message = "time namespace offsets specified, but time namespace isn't enabled in the config";
        return Err(invalid(POINTER, message));
    };
    if time.path().is_some() {
        let message = "time namespace enabled, but both namespace path and time offsets specified -- you may only provide one";
        return Err(invalid(POINTER, message));
    }
    // Sorted: the same configuration is refused with the same words.
    let mut offsets: Vec<_> = offsets.iter().collect();
    offsets.sort_by_key(|(clock, _)| *clock);
    offsets.into_iter().try_for_each(|(clock, offset)| check(clock, offset))
}

fn check(clock: &str, offset: &LinuxTimeOffset) -> Result<()> {
    let place = pointer::join(POINTER, clock);
    if !CLOCKS.contains(&clock) {
        let message = format!("clock {clock:?} is neither \"monotonic\" nor \"boottime\"");
        return Err(invalid(place, message));
    }
    match (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0)) {
        (secs, _) if !(-MAX_SECS..=MAX_SECS).contains(&secs) => {
            let message = format!("secs {secs} is not within -{MAX_SECS} and {MAX_SECS}");
            Err(invalid(place + "/secs", message))
        }
        (_, nanosecs) if nanosecs >= NANOSECONDS => {
            let message = format!("nanosecs {nanosecs} is not within 0 and {}", NANOSECONDS - 1);
            Err(invalid(place + "/nanosecs", message))
        }
        _ => Ok(()),
    }
}
