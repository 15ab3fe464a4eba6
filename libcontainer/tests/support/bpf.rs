//! An interpreter of classic BPF over `struct seccomp_data`, and the kernel's analysis of what a filter always allows.
#![allow(missing_docs, dead_code)] // each test program uses its part

/// What a filter sees of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    pub number: u32,
    pub arch: u32,
    pub args: [u64; 6],
}

pub const ALLOW: u32 = 0x7fff_0000;

struct Insn {
    code: u16,
    if_true: usize,
    if_false: usize,
    k: u32,
}

fn decode(word: u64) -> Insn {
    let [a, b, jt, jf, k @ ..] = word.to_ne_bytes();
    let code = u16::from_ne_bytes([a, b]);
    Insn { code, if_true: jt.into(), if_false: jf.into(), k: u32::from_ne_bytes(k) }
}

impl Data {
    fn word(&self, offset: u32) -> Result<u32, String> {
        match offset {
            0 => Ok(self.number),
            4 => Ok(self.arch),
            16..64 if offset % 4 == 0 => {
                let arg = self.args[(offset as usize - 16) / 8];
                Ok(if offset % 8 == 0 { arg as u32 } else { (arg >> 32) as u32 })
            }
            _ => Err(format!("load from {offset}")),
        }
    }
}

/// What the filter returns; an error for a program that the kernel would refuse.
pub fn run(program: &[u64], data: &Data) -> Result<u32, String> {
    walk(program, data, |_| Ok(()))
}

/// Whether the kernel's cache learns that the call is always allowed: it walks programs that look at number and architecture
/// only, and gives up at anything else.
pub fn is_always_allowed(program: &[u64], number: u32, arch: u32) -> bool {
    let data = Data { number, arch, args: [0; 6] };
    let only_number_and_arch = |insn: &Insn| match insn.code {
        0x20 if insn.k > 4 => Err("an argument".to_owned()),
        _ => Ok(()),
    };
    walk(program, &data, only_number_and_arch) == Ok(ALLOW)
}

fn walk(program: &[u64], data: &Data, allowed: impl Fn(&Insn) -> Result<(), String>) -> Result<u32, String> {
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let insn = decode(*program.get(at).ok_or_else(|| format!("jump to {at}"))?);
        allowed(&insn)?;
        let holds = |answer: bool| if answer { insn.if_true } else { insn.if_false };
        at += 1;
        match insn.code {
            0x20 => accumulator = data.word(insn.k)?,
            0x54 => accumulator &= insn.k,
            0x05 => at += insn.k as usize,
            0x15 => at += holds(accumulator == insn.k),
            0x25 => at += holds(accumulator > insn.k),
            0x35 => at += holds(accumulator >= insn.k),
            0x45 => at += holds(accumulator & insn.k != 0),
            0x06 => return Ok(insn.k),
            code => return Err(format!("instruction {code:#x}")),
        }
    }
}
