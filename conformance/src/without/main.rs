//! `teu-without CALL... -- PROGRAM [ARGUMENT]...`: runs a program on a kernel that seems to lack these system calls.
//!
//! A seccomp filter answers them with ENOSYS, and a flag that an older kernel would not know with EINVAL. It holds for everything that the program
//! starts, containers as well. For the caller with CAP_SYS_ADMIN: `no_new_privs` stays as it is.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// What can be taken away: a call, or a flag of a call.
struct Call {
    name: &'static str,
    number: libc::c_long,
    /// The argument and the bit that alone make the kernel refuse it.
    flag: Option<(u32, u32)>,
}

const fn call(name: &'static str, number: libc::c_long) -> Call {
    Call { name, number, flag: None }
}

const MFD_EXEC: u32 = 0x10;

// table: name, number
const CALLS: &[Call] = &[
    call("openat2", libc::SYS_openat2),
    call("clone3", libc::SYS_clone3),
    call("mount_setattr", libc::SYS_mount_setattr),
    call("close_range", libc::SYS_close_range),
    call("pidfd_open", libc::SYS_pidfd_open),
    call("pidfd_send_signal", libc::SYS_pidfd_send_signal),
    call("fsopen", libc::SYS_fsopen),
    call("fsconfig", libc::SYS_fsconfig),
    call("fsmount", libc::SYS_fsmount),
    call("open_tree", libc::SYS_open_tree),
    call("move_mount", libc::SYS_move_mount),
    call("memfd_create", libc::SYS_memfd_create),
    call("execveat", libc::SYS_execveat),
    call("bpf", libc::SYS_bpf),
    Call { flag: Some((1, MFD_EXEC)), ..call("MFD_EXEC", libc::SYS_memfd_create) },
];

const USAGE: &str = "usage: teu-without CALL... -- PROGRAM [ARGUMENT]...";

fn main() -> ExitCode {
    let Err(reason) = run();
    eprintln!("teu-without: {reason}");
    ExitCode::from(125)
}

fn run() -> Result<std::convert::Infallible, String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let dashes = words.iter().position(|word| word == "--").ok_or(USAGE)?;
    let (names, command) = words.split_at(dashes);
    let [_, program, args @ ..] = command else { return Err(USAGE.into()) };
    let calls = names.iter().map(|name| known(name)).collect::<Result<Vec<_>, _>>()?;
    install(&calls).map_err(|error| format!("seccomp: {error}"))?;
    Err(format!("{program}: {}", Command::new(program).args(args).exec()))
}

fn known(name: &str) -> Result<&'static Call, String> {
    CALLS.iter().find(|call| call.name == name).ok_or_else(|| format!("no call \"{name}\" is known here"))
}

/// Offsets in the kernel's `struct seccomp_data`, on machines of little endian.
const NUMBER: u32 = 0;
const ARGUMENTS: u32 = 16;

/// The program: for each call a comparison and its answer; what is left is allowed.
fn filter(calls: &[&Call]) -> Vec<libc::sock_filter> {
    let mut code = Vec::new();
    for call in calls {
        code.push(op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NUMBER, 0));
        let number = u32::try_from(call.number).unwrap_or(u32::MAX);
        code.push(op(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            number,
            if call.flag.is_some() { 3 } else { 1 },
        ));
        let errno = match call.flag {
            Some((argument, bit)) => {
                code.push(op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, ARGUMENTS + 8 * argument, 0));
                code.push(op(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bit, 1));
                libc::EINVAL
            }
            None => libc::ENOSYS,
        };
        code.push(op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs(), 0));
    }
    code.push(op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0));
    code
}

/// One instruction; a comparison that does not hold skips `over` instructions.
fn op(code: u32, k: u32, over: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or_default(), jt: 0, jf: over, k }
}

fn install(calls: &[&Call]) -> std::io::Result<()> {
    let mut code = filter(calls);
    let length = u16::try_from(code.len()).map_err(std::io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: code.as_mut_ptr() };
    // SAFETY: the program points to `length` instructions that live until after the call, which copies them.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, std::ptr::from_ref(&program))
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter answers: a tiny interpreter of the instructions in use.
    fn answer(code: &[libc::sock_filter], number: u32, flags: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let op = &code[at];
            at += 1;
            match u32::from(op.code) & 0x07 {
                libc::BPF_LD => value = if op.k == NUMBER { number } else { flags },
                libc::BPF_JMP => {
                    let holds = if u32::from(op.code) & 0xf0 == libc::BPF_JSET {
                        value & op.k != 0
                    } else {
                        value == op.k
                    };
                    at += usize::from(if holds { op.jt } else { op.jf });
                }
                _ => return op.k,
            }
        }
    }

    #[test]
    fn the_calls_that_are_named_are_absent_and_no_others() {
        let code = filter(&[known("openat2").unwrap(), known("MFD_EXEC").unwrap(), known("fsopen").unwrap()]);
        let errno = |errno: i32| libc::SECCOMP_RET_ERRNO | errno.unsigned_abs();
        let number = |call: libc::c_long| u32::try_from(call).unwrap();
        assert_eq!(answer(&code, number(libc::SYS_openat2), 0), errno(libc::ENOSYS));
        assert_eq!(answer(&code, number(libc::SYS_fsopen), MFD_EXEC), errno(libc::ENOSYS));
        assert_eq!(answer(&code, number(libc::SYS_memfd_create), MFD_EXEC | 1), errno(libc::EINVAL));
        assert_eq!(answer(&code, number(libc::SYS_memfd_create), 1), libc::SECCOMP_RET_ALLOW);
        assert_eq!(answer(&code, number(libc::SYS_clone3), 0), libc::SECCOMP_RET_ALLOW);
    }
}
