//! The time of day as RFC 3339 text in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, with nanoseconds; trailing zeros of the fraction are left out.
pub(crate) fn now() -> String {
    format(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn format(since_epoch: Duration) -> String {
    let (days, seconds) = (since_epoch.as_secs() / 86_400, since_epoch.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let nanos = format!("{:09}", since_epoch.subsec_nanos());
    let fraction = match nanos.trim_end_matches('0') {
        "" => String::new(),
        digits => format!(".{digits}"),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// The date of a day since 1970 in the Gregorian calendar. Years begin in March here, so that the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_have_their_text() {
        assert_eq!(format(Duration::ZERO), "1970-01-01T00:00:00Z");
        assert_eq!(format(Duration::new(951_782_400, 120_000_000)), "2000-02-29T00:00:00.12Z");
        assert_eq!(format(Duration::new(1_767_323_045, 123_456_789)), "2026-01-02T03:04:05.123456789Z");
        assert_eq!(format(Duration::from_secs(4_107_542_399)), "2100-02-28T23:59:59Z");
    }
}
