//! Calls that some architectures also, or only, make through `socketcall` or `ipc`, with the call's number as first argument.
//!
//! A rule for such a call is applied to both ways, as libseccomp does: a condition on the first
//! argument gives way to that number, the others stay, although they meet a pointer or nothing there.

use super::abi::{Abi, Call};

// table: name, through, number; sorted by name
const MULTIPLEXED: [(&str, &str, u64); 32] = [
    ("accept", "socketcall", 5),
    ("accept4", "socketcall", 18),
    ("bind", "socketcall", 2),
    ("connect", "socketcall", 3),
    ("getpeername", "socketcall", 7),
    ("getsockname", "socketcall", 6),
    ("getsockopt", "socketcall", 15),
    ("listen", "socketcall", 4),
    ("msgctl", "ipc", 14),
    ("msgget", "ipc", 13),
    ("msgrcv", "ipc", 12),
    ("msgsnd", "ipc", 11),
    ("recv", "socketcall", 10),
    ("recvfrom", "socketcall", 12),
    ("recvmmsg", "socketcall", 19),
    ("recvmsg", "socketcall", 17),
    ("semctl", "ipc", 3),
    ("semget", "ipc", 2),
    ("semop", "ipc", 1),
    ("semtimedop", "ipc", 4),
    ("send", "socketcall", 9),
    ("sendmmsg", "socketcall", 20),
    ("sendmsg", "socketcall", 16),
    ("sendto", "socketcall", 11),
    ("setsockopt", "socketcall", 14),
    ("shmat", "ipc", 21),
    ("shmctl", "ipc", 24),
    ("shmdt", "ipc", 22),
    ("shmget", "ipc", 23),
    ("shutdown", "socketcall", 13),
    ("socket", "socketcall", 1),
    ("socketpair", "socketcall", 8),
];

/// What a call may be made through: the number of that, and what its first argument is then.
pub type Through = (u32, u64);

/// The calls that `abi` multiplexes, sorted.
pub fn calls(abi: &Abi) -> Vec<(Call, Through)> {
    let number = |through| Call::named(through).and_then(|call| abi.number(call));
    let (socketcall, ipc) = (number("socketcall"), number("ipc"));
    if socketcall.is_none() && ipc.is_none() {
        return Vec::new();
    }
    let known = MULTIPLEXED.iter().filter_map(|(name, through, which)| {
        let through = if *through == "ipc" { ipc } else { socketcall };
        Some((Call::named(name)?, (through?, *which)))
    });
    let mut calls: Vec<_> = known.collect();
    calls.sort_unstable_by_key(|(call, _)| *call);
    calls
}

/// What `call` may be made through, from what [`calls`] gave.
pub fn through(calls: &[(Call, Through)], call: Call) -> Option<Through> {
    let place = calls.binary_search_by_key(&call, |(one, _)| *one).ok()?;
    calls.get(place).map(|(_, through)| *through)
}
