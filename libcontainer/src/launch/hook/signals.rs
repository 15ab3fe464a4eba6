//! What killed a process, in the words of Go: who knows runc's errors looks for them. Pure.

use std::borrow::Cow;

/// The words for a signal, or `signal N` for one without words.
pub(super) fn words(signal: i32) -> Cow<'static, str> {
    let index = usize::try_from(signal).ok().and_then(|signal| signal.checked_sub(1));
    match index.and_then(|index| WORDS.get(index)) {
        Some(words) => Cow::Borrowed(words),
        None => Cow::Owned(format!("signal {signal}")),
    }
}

/// From signal 1 on.
const WORDS: [&str; 31] = [
    "hangup",
    "interrupt",
    "quit",
    "illegal instruction",
    "trace/breakpoint trap",
    "aborted",
    "bus error",
    "floating point exception",
    "killed",
    "user defined signal 1",
    "segmentation fault",
    "user defined signal 2",
    "broken pipe",
    "alarm clock",
    "terminated",
    "stack fault",
    "child exited",
    "continued",
    "stopped (signal)",
    "stopped",
    "stopped (tty input)",
    "stopped (tty output)",
    "urgent I/O condition",
    "CPU time limit exceeded",
    "file size limit exceeded",
    "virtual timer expired",
    "profiling timer expired",
    "window changed",
    "I/O possible",
    "power failure",
    "bad system call",
];

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn signals_have_the_words_of_go() {
        let table = [
            (libc::SIGHUP, "hangup"),
            (libc::SIGKILL, "killed"),
            (libc::SIGSEGV, "segmentation fault"),
            (libc::SIGTERM, "terminated"),
            (libc::SIGSYS, "bad system call"),
            (34, "signal 34"),
            (0, "signal 0"),
        ];
        for (signal, expected) in table {
            assert_eq!(words(signal), expected);
        }
    }
}
