//! Times as options give them: Go's durations (`5s`, `1m30s`, `500ms`), or a number of seconds.

use std::time::Duration;

/// Nanoseconds of a unit.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// A time; `None` for what is none. One below zero is zero: no option takes it.
pub fn duration(text: &str) -> Option<Duration> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let nanoseconds = if is_number(rest) { rest.parse::<f64>().ok()? * 1e9 } else { parts(rest)? };
    // Go counts nanoseconds in 63 bits.
    if nanoseconds >= i64::MAX as f64 {
        return None;
    }
    let time = Duration::from_nanos(nanoseconds as u64);
    Some(if negative { Duration::ZERO } else { time })
}

fn is_number(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn parts(mut text: &str) -> Option<f64> {
    let mut sum = 0.0;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(end);
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(end);
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor)?;
        sum += number.parse::<f64>().ok()? * factor;
        text = rest;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn times_are_go_s_durations_or_seconds() {
        for (text, milliseconds) in [
            ("5s", 5000),
            ("5", 5000),
            ("0.5", 500),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("+2s", 2000),
            ("1h0m0s", 3_600_000),
            ("0", 0),
            ("0s", 0),
            ("-5s", 0),
            ("1000us", 1),
            ("1000µs", 1),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(duration("7ns"), Some(Duration::from_nanos(7)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["", "s", "5x", "5s3", "1m s", ".", "-", "1e3", "nan", "5 s", "9999999999999h", "..5s", "5ss"]
        {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }
}
