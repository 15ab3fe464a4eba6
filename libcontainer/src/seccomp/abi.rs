//! The architectures a profile may name: the kernel's token for each, and how its calls are numbered.

use oci_spec::runtime::Arch;

use super::names;
use super::syscalls::{CALLS, INDEX, NONE, PRIVATE};

/// Marks the number of an x32 call: it comes with the token of x86_64.
pub const X32_BIT: u32 = 0x4000_0000;

/// ARM's private calls are numbered from here, far behind all others.
pub const ARM_PRIVATE: u32 = 0x000f_0000;

/// One way of making system calls.
#[derive(Debug, PartialEq, Eq)]
pub struct Abi {
    /// Its name in a profile.
    pub arch: Arch,
    /// AUDIT_ARCH_*: what `seccomp_data.arch` holds.
    pub token: u32,
    /// Arguments are compared as 64 bits. Otherwise the lower 32 count alone, as in libseccomp.
    pub wide: bool,
    /// Set in every number.
    pub bit: u32,
    /// Its column in the table of calls.
    column: usize,
}

const fn abi(arch: Arch, token: u32, wide: bool, column: usize) -> Abi {
    Abi { arch, token, wide, bit: 0, column }
}

// table: in the order of the columns.
static ABIS: [Abi; 12] = [
    abi(Arch::ScmpArchX86_64, 0xc000_003e, true, 0),
    abi(Arch::ScmpArchX86, 0x4000_0003, false, 1),
    Abi { arch: Arch::ScmpArchX32, token: 0xc000_003e, wide: false, bit: X32_BIT, column: 2 },
    abi(Arch::ScmpArchAarch64, 0xc000_00b7, true, 3),
    abi(Arch::ScmpArchArm, 0x4000_0028, false, 4),
    abi(Arch::ScmpArchRiscv64, 0xc000_00f3, true, 5),
    abi(Arch::ScmpArchLoongarch64, 0xc000_0102, true, 6),
    abi(Arch::ScmpArchPpc64le, 0xc000_0015, true, 7),
    abi(Arch::ScmpArchMipsel, 0x4000_0008, false, 8),
    abi(Arch::ScmpArchMipsel64, 0xc000_0008, true, 9),
    abi(Arch::ScmpArchMipsel64n32, 0xe000_0008, false, 10),
    abi(Arch::ScmpArchSh, 0x4000_002a, false, 11),
];

impl Abi {
    /// The ABI of that name. `None`: big-endian. A filter has one byte order, and every machine that teu runs on is little-endian.
    pub fn named(arch: Arch) -> Option<&'static Abi> {
        ABIS.iter().find(|abi| abi.arch == arch)
    }

    /// The number of a call, with the ABI's bit.
    pub fn number(&self, call: Call) -> Option<u32> {
        let (_, numbers) = CALLS.get(call.0)?;
        let number = *numbers.get(self.column)?;
        let whole = match number.checked_sub(PRIVATE) {
            Some(private) => ARM_PRIVATE + u32::from(private),
            None => u32::from(number),
        };
        (number != NONE).then_some(whole | self.bit)
    }
}

/// Whether numbers with [`X32_BIT`] mean another ABI of the same token.
pub fn has_x32(token: u32) -> bool {
    ABIS.iter().any(|abi| abi.token == token && abi.bit != 0)
}

/// A system call that some architecture knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call(usize);

impl Call {
    /// The call of that name.
    pub fn named(name: &str) -> Option<Call> {
        let rows =
            names::places(name).map_while(|place| INDEX.get(place).filter(|row| **row != names::VACANT));
        let mut calls = rows.map(|row| Call(usize::from(*row)));
        calls.find(|call| call.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        CALLS.get(self.0).map_or("", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_native_numbers_are_those_of_libc() {
        let native = Abi::named(super::super::NATIVE).unwrap();
        let number = |name: &str| i64::from(native.number(Call::named(name).unwrap()).unwrap());
        assert_eq!(number("read"), libc::SYS_read);
        assert_eq!(number("seccomp"), libc::SYS_seccomp);
        assert_eq!(number("clone3"), libc::SYS_clone3);
    }

    #[test]
    fn the_table_is_sorted_and_holds_what_each_architecture_calls_read() {
        assert!(CALLS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let read = Call::named("read").unwrap();
        let numbers: Vec<u32> = ABIS.iter().map(|abi| abi.number(read).unwrap()).collect();
        assert_eq!(numbers, [0, 3, X32_BIT, 63, 3, 63, 63, 3, 4003, 5000, 6000, 3]);
        assert_eq!(ABIS[0].number(Call::named("socketcall").unwrap()), None);
        assert_eq!(ABIS[4].number(Call::named("set_tls").unwrap()), Some(ARM_PRIVATE + 5));
        assert!(CALLS.iter().zip(0..).all(|((name, _), row)| Call::named(name) == Some(Call(row))));
        assert_eq!(
            ["no_such_call", "", "read\0", "a_name_that_is_longer_than_any"].map(Call::named),
            [None; 4]
        );
    }

    #[test]
    fn a_row_stands_in_the_place_of_its_column() {
        assert!(ABIS.iter().enumerate().all(|(place, abi)| abi.column == place));
    }
}
