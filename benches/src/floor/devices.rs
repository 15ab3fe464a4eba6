//! The device program of a default container: deny all but the default devices, in eBPF.

const ACCESS_MKNOD: u8 = 1;
const ACCESS_ALL: u8 = 7;
const BLOCK: u8 = 1;
const CHARACTER: u8 = 2;

/// What the program allows: (type, major, minor, access); no number means any.
const ALLOWED: [(u8, Option<u8>, Option<u8>, u8); 11] = [
    (CHARACTER, None, None, ACCESS_MKNOD),
    (BLOCK, None, None, ACCESS_MKNOD),
    (CHARACTER, Some(1), Some(3), ACCESS_ALL),
    (CHARACTER, Some(1), Some(5), ACCESS_ALL),
    (CHARACTER, Some(1), Some(7), ACCESS_ALL),
    (CHARACTER, Some(1), Some(8), ACCESS_ALL),
    (CHARACTER, Some(1), Some(9), ACCESS_ALL),
    (CHARACTER, Some(5), Some(0), ACCESS_ALL),
    (CHARACTER, Some(5), Some(1), ACCESS_ALL),
    (CHARACTER, Some(5), Some(2), ACCESS_ALL),
    (CHARACTER, Some(136), None, ACCESS_ALL),
];

// The registers that hold the request while the rules are tried.
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbf;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const SET: u8 = 0xb7;
const JUMP_UNLESS: u8 = 0x55;
const JUMP_UNLESS_SAME: u8 = 0x5d;
const EXIT: u8 = 0x95;

/// One instruction: code, destination and source register, jump distance, immediate.
fn instruction(code: u8, to: u8, from: u8, offset: u8, immediate: u32) -> u64 {
    let registers = u64::from(to | from << 4);
    u64::from(code) | registers << 8 | u64::from(offset) << 16 | u64::from(immediate) << 32
}

/// The program: the request is {access << 16 | type, major, minor}, the answer 1 or 0.
pub fn program() -> Vec<u64> {
    let mut code = vec![
        instruction(LOAD_WORD, KIND, 1, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(LOAD_WORD, ACCESS, 1, 0, 0),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, 1, 4, 0),
        instruction(LOAD_WORD, MINOR, 1, 8, 0),
    ];
    for rule in ALLOWED {
        code.extend(allow(rule));
    }
    code.extend([instruction(SET, 0, 0, 0, 0), instruction(EXIT, 0, 0, 0, 0)]);
    code
}

/// One rule: each test that fails jumps over the rest of it, to the next rule.
fn allow((kind, major, minor, access): (u8, Option<u8>, Option<u8>, u8)) -> Vec<u64> {
    let mut tests = vec![instruction(JUMP_UNLESS, KIND, 0, 0, kind.into())];
    if access != ACCESS_ALL {
        tests.push(instruction(MOVE, 1, ACCESS, 0, 0));
        tests.push(instruction(AND, 1, 0, 0, access.into()));
        tests.push(instruction(JUMP_UNLESS_SAME, 1, ACCESS, 0, 0));
    }
    let numbers = [(MAJOR, major), (MINOR, minor)];
    tests.extend(
        numbers.into_iter().filter_map(|(r, n)| n.map(|n| instruction(JUMP_UNLESS, r, 0, 0, n.into()))),
    );
    tests.extend([instruction(SET, 0, 0, 0, 1), instruction(EXIT, 0, 0, 0, 0)]);
    let length = tests.len();
    for (index, test) in tests.iter_mut().enumerate() {
        if matches!(*test as u8, JUMP_UNLESS | JUMP_UNLESS_SAME) {
            *test |= ((length - index - 1) as u64) << 16;
        }
    }
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_test_jumps_to_the_next_rule() {
        let rule = allow((CHARACTER, Some(1), Some(3), ACCESS_ALL));
        let jumps: Vec<u64> = rule.iter().take(3).map(|code| code >> 16 & 0xffff).collect();
        assert_eq!(jumps, [4, 3, 2]);
    }
}
