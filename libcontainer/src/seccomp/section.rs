//! The calls of one ABI: what happens to which number, as spans of equal verdict, and the search among them.

use super::abi::{ARM_PRIVATE, Abi, Call};
use super::code::{Code, Is, Place};
use super::condition::Condition;
use super::multiplexed::{self, Through};
use super::profile::{Profile, Rule};
use crate::{Error, ErrorKind, Result};

/// `SECCOMP_RET_ERRNO | ENOSYS`.
const NO_SUCH_CALL: u32 = 0x0005_0000 | 38;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same whatever its arguments are.
    Always(u32),
    /// The first guard that is met decides, else the default.
    Guarded(Vec<Guard>, u32),
}

/// Conditions that must all be met, and the action then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    conditions: Vec<Condition>,
    action: u32,
}

/// The calls from `start` up to the next span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first number.
    pub start: u32,
    /// What happens to its calls.
    pub verdict: Verdict,
}

/// What one rule says of one number.
struct Entry {
    number: u32,
    guard: Guard,
    /// The rule names this very call.
    direct: bool,
    rule: usize,
}

/// Appends the spans of `abi`, of which `start` is the first number.
///
/// # Errors
/// `InvalidSpec` if two rules give the same call two actions under the same conditions.
pub fn spans(profile: &Profile, abi: &Abi, start: u32, spans: &mut Vec<Span>) -> Result<()> {
    let mut last = None;
    let mut entries = Vec::with_capacity(512);
    let multiplexed = multiplexed::calls(abi);
    for rule in &profile.rules {
        for call in &rule.calls {
            let number = abi.number(*call);
            last = last.max(number.filter(|number| *number < ARM_PRIVATE || abi.bit != 0));
            if rule.action != profile.default {
                enter(rule, *call, abi, multiplexed::through(&multiplexed, *call), &mut entries);
            }
        }
    }
    // One number to compare: the call above, the place of its entry below.
    let mut order: Vec<u64> =
        entries.iter().zip(0..).map(|(entry, place)| u64::from(entry.number) << 32 | place).collect();
    order.sort_unstable();
    let mut beyond = last.filter(|_| profile.answers_new_calls).map(|last| last + 1);
    let mut otherwise = profile.default;
    push(spans, start, Verdict::Always(otherwise));
    let mut groups = order.chunk_by(|a, b| a >> 32 == b >> 32).peekable();
    while let Some(group) = groups.next() {
        let Some(number) = group.first().map(|first| (first >> 32) as u32) else { continue };
        let group = group.iter().filter_map(|place| entries.get(*place as u32 as usize));
        if let Some(beyond) = beyond.take_if(|beyond| *beyond <= number) {
            otherwise = NO_SUCH_CALL;
            push(spans, beyond, Verdict::Always(otherwise));
        }
        push(spans, number, verdict(group, profile.default)?);
        // Most calls have a neighbour with a verdict of its own.
        let next = groups.peek().and_then(|group| group.first()).map(|first| (first >> 32) as u32);
        if next != Some(number + 1) {
            push(spans, number + 1, Verdict::Always(otherwise));
        }
    }
    if let Some(beyond) = beyond {
        push(spans, beyond, Verdict::Always(NO_SUCH_CALL));
    }
    Ok(())
}

/// Appends a span, unless it only goes on with the one before; one that would be empty is replaced.
pub fn push(spans: &mut Vec<Span>, start: u32, verdict: Verdict) {
    if spans.last().is_some_and(|last| last.start == start) {
        spans.pop();
    }
    if spans.last().is_none_or(|last| last.verdict != verdict) {
        spans.push(Span { start, verdict });
    }
}

/// The entries of one rule for one call: itself, and the call that it may be made through.
fn enter(rule: &Rule, call: Call, abi: &Abi, through: Option<Through>, entries: &mut Vec<Entry>) {
    let fit = |one: Condition| if abi.wide { one } else { one.narrow() };
    let meant = |conditions: &[Condition]| -> Vec<Condition> {
        conditions.iter().copied().map(fit).filter(|one| !one.is_empty()).collect()
    };
    let mut push = |number, conditions, direct| {
        let guard = Guard { conditions, action: rule.action };
        entries.push(Entry { number, guard, direct, rule: rule.index });
    };
    for conditions in &rule.alternatives {
        if let Some((number, which)) = through {
            let mut conditions = meant(conditions);
            conditions.retain(|one| one.argument != 0);
            conditions.insert(0, fit(Condition::equal(0, which)));
            push(number, conditions, false);
        }
        if let Some(number) = abi.number(call) {
            push(number, meant(conditions), true);
        }
    }
}

/// As in libseccomp: the first rule without conditions decides alone. Otherwise the narrower condition is asked first.
fn verdict<'a>(group: impl Iterator<Item = &'a Entry> + Clone, default: u32) -> Result<Verdict> {
    if let Some(entry) = group.clone().find(|entry| entry.guard.conditions.is_empty()) {
        return Ok(Verdict::Always(entry.guard.action));
    }
    let mut entries: Vec<&Entry> = group.collect();
    entries.sort_by(|a, b| ranks(a).cmp(ranks(b)).then(severity(a).cmp(&severity(b))));
    let twice = entries.windows(2).find_map(|pair| match pair {
        [a, b] if contradict(a, b) => Some((a.rule.min(b.rule), a.rule.max(b.rule))),
        _ => None,
    });
    if let Some((first, second)) = twice {
        let message = format!(
            "the rule gives a call another action than /linux/seccomp/syscalls/{first} under the same conditions"
        );
        return Err(
            Error::new(ErrorKind::InvalidSpec, message).at(format!("/linux/seccomp/syscalls/{second}"))
        );
    }
    let mut guards: Vec<Guard> = entries.into_iter().map(|entry| entry.guard.clone()).collect();
    guards.dedup_by(|b, a| a.conditions == b.conditions);
    Ok(Verdict::Guarded(guards, default))
}

fn ranks(entry: &Entry) -> impl Iterator<Item = impl Ord> {
    entry.guard.conditions.iter().map(Condition::rank)
}

/// The kernel's order of actions: what is smaller as a signed number is stricter.
fn severity(entry: &Entry) -> i32 {
    i32::from_ne_bytes(entry.guard.action.to_ne_bytes())
}

/// Two rules for one call. Where they only meet in a multiplexed call, the stricter one holds.
fn contradict(a: &Entry, b: &Entry) -> bool {
    a.direct && b.direct && a.guard.conditions == b.guard.conditions && a.guard.action != b.guard.action
}

/// The code that finds the span of the number in the accumulator.
pub fn search(code: &mut Code, spans: &[Span]) -> Place {
    let leaves: Vec<(&Span, Place)> = spans.iter().map(|span| (span, leaf(code, &span.verdict))).collect();
    tree(code, &leaves)
}

fn leaf(code: &mut Code, verdict: &Verdict) -> Place {
    match verdict {
        Verdict::Always(action) => code.ret(*action),
        Verdict::Guarded(guards, default) => {
            let default = code.ret(*default);
            guards.iter().rev().fold(default, |no, guard| {
                let action = code.ret(guard.action);
                guard.conditions.iter().rev().fold(action, |yes, one| one.compile(code, yes, no))
            })
        }
    }
}

fn tree(code: &mut Code, leaves: &[(&Span, Place)]) -> Place {
    match leaves {
        [] => code.ret(0),
        [(_, place)] => *place,
        // One call among others: one question instead of two.
        [(before, place), (one, one_place), (behind, _)]
            if behind.start - one.start == 1 && before.verdict == behind.verdict =>
        {
            code.branch(Is::Equal, one.start, *one_place, *place)
        }
        _ => {
            let (left, right) = leaves.split_at(leaves.len() / 2);
            let start = right.first().map_or(0, |(span, _)| span.start);
            let right = tree(code, right);
            let left = tree(code, left);
            code.branch(Is::AtLeast, start, right, left)
        }
    }
}
