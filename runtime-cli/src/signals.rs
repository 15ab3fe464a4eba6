//! Signals by number and by name, as `kill` takes them.

/// The names of the standard signals on the architectures that this project supports (generic numbering).
const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// The real-time signals that programs use: the C library keeps 32 and 33.
const REALTIME: std::ops::RangeInclusive<i32> = 34..=64;

/// SIGTERM, what `kill` sends if nothing else is said.
pub const TERM: i32 = 15;

/// The number of the signal that `word` names: a number, a name in any case with or without `SIG`, `RTMIN+N`, `RTMAX-N`.
/// Zero asks only whether the process is there.
pub fn parse(word: &str) -> Option<i32> {
    if let Ok(number) = word.parse::<i32>() {
        return (0..=*REALTIME.end()).contains(&number).then_some(number);
    }
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let standard = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    standard.or_else(|| realtime(name))
}

fn realtime(name: &str) -> Option<i32> {
    let (base, offset) = match name.strip_prefix("RTMIN") {
        Some(offset) => (*REALTIME.start(), offset),
        None => (*REALTIME.end(), name.strip_prefix("RTMAX")?),
    };
    let offset = if offset.is_empty() { 0 } else { signed(offset)? };
    base.checked_add(offset).filter(|number| REALTIME.contains(number))
}

fn signed(offset: &str) -> Option<i32> {
    offset.starts_with(['+', '-']).then(|| offset.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_names_and_real_time_signals() {
        let table = [
            ("9", Some(9)),
            ("0", Some(0)),
            ("64", Some(64)),
            ("65", None),
            ("-9", None),
            ("KILL", Some(9)),
            ("SIGKILL", Some(9)),
            ("sigkill", Some(9)),
            ("term", Some(15)),
            ("SIGRTMIN+3", Some(37)),
            ("rtmin", Some(34)),
            ("RTMAX-1", Some(63)),
            ("RTMAX+1", None),
            ("RTMIN-1", None),
            ("RTMIN3", None),
            ("SIG", None),
            ("", None),
            ("SIGSIGTERM", None),
            ("nosuch", None),
        ];
        for (word, expected) in table {
            assert_eq!(parse(word), expected, "{word:?}");
        }
    }
}
