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

/// Whether `abi` has such calls.
pub fn on(abi: &Abi) -> bool {
    Call::named("socketcall").is_some_and(|call| abi.number(call).is_some())
}

/// The number of the call that `name` may be made through on `abi`, and what its first argument is then.
pub fn through(name: &str, abi: &Abi) -> Option<(u32, u64)> {
    let row = MULTIPLEXED.binary_search_by(|(call, ..)| (*call).cmp(name)).ok()?;
    let (_, through, which) = MULTIPLEXED.get(row)?;
    Some((abi.number(Call::named(through)?)?, *which))
}
