//! Conditions on arguments: what they mean, which is asked first, and their code.

use std::cmp::Reverse;

use oci_spec::runtime::LinuxSeccompOperator as Operator;

use super::code::{Code, Is, Place, Test};

/// A question about one argument. NE, LT and LE are the negation of EQ, GE and GT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    pub argument: u8,
    pub is: Is,
    pub negated: bool,
    /// The bits that count.
    pub mask: u64,
    pub operand: u64,
}

impl Condition {
    /// `argument` below 6. `value` and `value_two` as the specification has them.
    pub fn new(argument: u8, op: Operator, value: u64, value_two: Option<u64>) -> Self {
        let (is, negated) = match op {
            Operator::ScmpCmpEq | Operator::ScmpCmpMaskedEq => (Is::Equal, false),
            Operator::ScmpCmpNe => (Is::Equal, true),
            Operator::ScmpCmpGe => (Is::AtLeast, false),
            Operator::ScmpCmpLt => (Is::AtLeast, true),
            Operator::ScmpCmpGt => (Is::Greater, false),
            Operator::ScmpCmpLe => (Is::Greater, true),
        };
        if op == Operator::ScmpCmpMaskedEq {
            // As in libseccomp, bits outside of the mask do not count on either side.
            return Self { argument, is, negated, mask: value, operand: value_two.unwrap_or(0) & value };
        }
        Self { argument, is, negated, mask: u64::MAX, operand: value }
    }

    /// Whether the argument is `operand`.
    pub fn equal(argument: u8, operand: u64) -> Self {
        Self { argument, is: Is::Equal, negated: false, mask: u64::MAX, operand }
    }

    /// What it asks where arguments have 32 bits.
    pub fn narrow(self) -> Self {
        let low = u64::from(u32::MAX);
        Self { mask: self.mask & low, operand: self.operand & low, ..self }
    }

    /// Whether it is met by every value: no bit counts.
    pub fn is_empty(&self) -> bool {
        self.mask == 0
    }

    /// Continues at `yes` if the condition is met, else at `no`.
    pub fn compile(&self, code: &mut Code, yes: Place, no: Place) -> Place {
        let (yes, no) = if self.negated { (no, yes) } else { (yes, no) };
        let [low, high] = halves(self.mask);
        let offset = 16 + 8 * u32::from(self.argument);
        let [low_operand, high_operand] = halves(self.operand);
        let low_test = Test { offset, mask: low, is: self.is, operand: low_operand };
        let high_test = Test { offset: offset + 4, mask: high, is: self.is, operand: high_operand };
        if high == 0 {
            return code.test(low_test, yes, no);
        }
        let by_low = if low == 0 { yes } else { code.test(low_test, yes, no) };
        if self.is == Is::Equal {
            return code.test(high_test, by_low, no);
        }
        let equal = code.test(Test { is: Is::Equal, ..high_test }, by_low, no);
        code.test(Test { is: Is::Greater, ..high_test }, yes, equal)
    }

    /// Which of two conditions on one call is asked first, as in libseccomp: the later argument, then equality before upper
    /// and upper before lower bounds, then the narrower bound.
    pub fn rank(&self) -> (Reverse<u8>, u8, u64) {
        let (kind, bound) = match (self.is, self.negated) {
            (Is::Equal, _) => (0, !self.operand),
            (_, true) => (1, self.operand),
            (_, false) => (2, !self.operand),
        };
        (Reverse(self.argument), kind, bound)
    }
}

/// The lower and the upper 32 bits.
fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}
