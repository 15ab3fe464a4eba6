//! Compiles `linux.seccomp` to the program that the kernel runs before every system call. Pure: nothing is loaded here.
//!
//! ```text
//! LinuxSeccomp ─profile─► rules ─section─► spans of numbers per ABI ─code─► classic BPF, written from its end
//! ```
//!
//! Words: an *ABI* is one way of making calls (x86_64 and x32 share one token of the kernel); a *span* is a range of numbers
//! with the same verdict; a *guard* is a rule's conditions with its action.
//!
//! Laws: what a rule means is what libseccomp makes of it when runc adds it. A call that is allowed whatever its arguments
//! are is answered from the architecture and the number alone, so that the kernel's cache of allowed calls knows it. An
//! architecture that is not listed is killed.

mod abi;
mod code;
mod condition;
mod multiplexed;
mod names;
mod profile;
mod section;
#[rustfmt::skip]
mod syscalls;

use oci_spec::runtime::{Arch, LinuxSeccomp};

use self::abi::{Abi, Call, X32_BIT};
use self::code::{Code, Is};
use self::section::{Span, Verdict};
use crate::Result;
use crate::spec::Warning;

/// The architecture that teu runs on.
#[cfg(target_arch = "x86_64")]
pub const NATIVE: Arch = Arch::ScmpArchX86_64;
/// The architecture that teu runs on.
#[cfg(target_arch = "aarch64")]
pub const NATIVE: Arch = Arch::ScmpArchAarch64;
/// The architecture that teu runs on.
#[cfg(target_arch = "riscv64")]
pub const NATIVE: Arch = Arch::ScmpArchRiscv64;

/// SECCOMP_RET_KILL_THREAD: what libseccomp does to architectures that are not listed.
const KILL: u32 = 0;

/// Where `struct seccomp_data` holds the number and the architecture.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// A compiled profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// At most 4096 instructions, each a `struct sock_filter` as this machine keeps it in memory.
    pub insns: Vec<u64>,
    /// The flags of SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER included where `notifies`.
    pub flags: u32,
    /// Some rule asks the agent at `listenerPath`.
    pub notifies: bool,
    /// What of the profile has no effect.
    pub warnings: Vec<Warning>,
    /// Names that no architecture of Linux has, and their places: they are ignored, as runc does.
    pub unknown: Vec<Warning>,
}

/// Compiles `seccomp` for a machine of architecture `native`.
///
/// # Errors
/// `InvalidSpec` with a JSON pointer for what breaks a rule of the specification or exceeds the kernel's 4096 instructions;
/// `Unsupported` for an architecture of the other byte order.
pub fn compile(seccomp: &LinuxSeccomp, native: Arch) -> Result<Filter> {
    let profile = profile::read(seccomp)?;
    let abis = profile::abis(seccomp, native)?;
    let mut code = Code::new();
    let mut next = code.ret(KILL);
    for (index, abi) in abis.iter().enumerate().rev() {
        let token = abi.token;
        // x32 comes with x86_64.
        if abis.iter().take(index).any(|before| before.token == token) {
            continue;
        }
        let found = spans(&profile, &abis, token)?;
        let search = section::search(&mut code, &found);
        let section = code.load(NUMBER, search);
        next = code.branch(Is::Equal, token, section, next);
    }
    code.load(ARCHITECTURE, next);
    let insns = code.finish().map_err(|error| error.at("/linux/seccomp"))?;
    let profile::Profile { flags, notifies, warnings, unknown, .. } = profile;
    Ok(Filter { insns, flags, notifies, warnings, unknown })
}

/// The number of a system call on an architecture, as `seccomp_data.nr` holds it; `None` if it has no such call or is big-endian.
pub fn number(arch: Arch, name: &str) -> Option<u32> {
    Abi::named(arch)?.number(Call::named(name)?)
}

/// What a profile says once for all its rules: flags and whether it asks an agent.
///
/// # Errors
/// `InvalidSpec` with the place of what breaks a rule.
pub(crate) use self::profile::{Head, head};

/// Checks what can be known without a machine, and tells what has no effect.
///
/// # Errors
/// Those of [`compile`].
pub fn check(seccomp: &LinuxSeccomp) -> Result<Vec<Warning>> {
    profile::check(seccomp)
}

/// The spans of every number that comes with `token`.
fn spans(profile: &profile::Profile, abis: &[&Abi], token: u32) -> Result<Vec<Span>> {
    let of = |bit: u32| abis.iter().find(|abi| abi.token == token && abi.bit == bit);
    let mut found = Vec::new();
    match of(0) {
        Some(abi) => section::spans(profile, abi, 0, &mut found)?,
        None => section::push(&mut found, 0, Verdict::Always(KILL)),
    }
    match of(X32_BIT) {
        Some(x32) => section::spans(profile, x32, X32_BIT, &mut found)?,
        None if abi::has_x32(token) => {
            section::push(&mut found, X32_BIT, Verdict::Always(KILL));
            // -1 is no call of x32: it is how a tracer skips one.
            section::push(&mut found, u32::MAX, Verdict::Always(profile.default));
        }
        None => {}
    }
    Ok(found)
}
