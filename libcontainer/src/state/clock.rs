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

/// What [`now`] has written, as the time since 1970.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (seconds, fraction) =
        text.strip_suffix('Z')?.split_once('.').unwrap_or((text.strip_suffix('Z')?, ""));
    let (date, time) = seconds.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let since = days_since_1970(year, month, day)?.checked_mul(86_400)? + hour * 3600 + minute * 60 + second;
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 9)?;
    let nanos: u32 = if digits == 0 { 0 } else { fraction.parse().ok()? };
    Some(Duration::new(since, nanos * 10u32.pow(9 - digits)))
}

/// Three numbers of at most four digits.
fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between).map(|part| part.parse::<u16>().ok().map(u64::from));
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// The inverse of [`civil`].
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted = if month > 2 { month.checked_sub(3)? } else { month + 9 };
    let day_of_year = ((153 * shifted + 2) / 5 + day).checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
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
    fn what_is_written_is_read_and_what_is_not_is_nothing() {
        for (seconds, nanos) in
            [(0, 0), (951_782_400, 120_000_000), (1_767_323_045, 123_456_789), (4_107_542_399, 1)]
        {
            let time = Duration::new(seconds, nanos);
            assert_eq!(parse(&format(time)), Some(time));
        }
        let bad = [
            "",
            "Z",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04Z",
            "2026-01-02T03:04:05.1234567891Z",
            "1969-01-01T00:00:00Z",
            "2026-1-T1:1:1Z",
        ];
        for text in bad {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn known_instants_have_their_text() {
        assert_eq!(format(Duration::ZERO), "1970-01-01T00:00:00Z");
        assert_eq!(format(Duration::new(951_782_400, 120_000_000)), "2000-02-29T00:00:00.12Z");
        assert_eq!(format(Duration::new(1_767_323_045, 123_456_789)), "2026-01-02T03:04:05.123456789Z");
        assert_eq!(format(Duration::from_secs(4_107_542_399)), "2100-02-28T23:59:59Z");
    }
}
