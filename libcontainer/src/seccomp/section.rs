//! The calls of one ABI: what happens to which number, as spans of equal verdict, and the search among them.

use super::abi::{ARM_PRIVATE, Abi};
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

/// What the rules say of the calls of one ABI.
#[derive(Default)]
struct Calls {
    /// What the first rule without conditions does to a call, by its number without the ABI's bit.
    always: Vec<Option<u32>>,
    /// What is said under conditions, and all of numbers far behind the others.
    entries: Vec<Entry>,
    /// The highest number that a rule names.
    last: Option<u32>,
}

/// Numbers from here on are few.
const FAR: usize = 8192;

impl Calls {
    fn of(profile: &Profile, abi: &Abi) -> Self {
        let mut calls = Self::default();
        let multiplexed = multiplexed::calls(abi);
        for rule in &profile.rules {
            let terms = Terms::of(rule, abi);
            for call in &rule.calls {
                let number = abi.number(*call);
                calls.last = calls.last.max(number.filter(|number| *number < ARM_PRIVATE || abi.bit != 0));
                if rule.action == profile.default {
                    continue;
                }
                if let Some(through) = multiplexed::through(&multiplexed, *call) {
                    calls.enter_through(&terms, through);
                }
                if let Some(number) = number {
                    calls.enter(&terms, number, abi.bit);
                }
            }
        }
        // Stable: of one number in the order of the rules.
        calls.entries.sort_by_key(|entry| entry.number);
        calls
    }

    /// What a rule says of a call itself.
    fn enter(&mut self, terms: &Terms<'_>, number: u32, bit: u32) {
        let place = (number & !bit) as usize;
        if terms.unconditional && place < FAR {
            if place >= self.always.len() {
                self.always.resize(place + 1, None);
            }
            if let Some(always) = self.always.get_mut(place) {
                always.get_or_insert(terms.rule.action);
            }
            return;
        }
        for conditions in &terms.alternatives {
            self.push(terms, number, conditions.clone(), true);
        }
    }

    /// What it says of the call that one may be made through, whose first argument tells which one is meant.
    fn enter_through(&mut self, terms: &Terms<'_>, (number, which): Through) {
        for conditions in &terms.alternatives {
            let others = conditions.iter().copied().filter(|one| one.argument != 0);
            let meant = terms.fit(Condition::equal(0, which));
            self.push(terms, number, std::iter::once(meant).chain(others).collect(), false);
        }
    }

    fn push(&mut self, terms: &Terms<'_>, number: u32, conditions: Vec<Condition>, direct: bool) {
        let guard = Guard { conditions, action: terms.rule.action };
        self.entries.push(Entry { number, guard, direct, rule: terms.rule.index });
    }

    /// Each number of which something is said, in order, and what happens to its calls.
    fn verdicts(&self, default: u32, bit: u32) -> impl Iterator<Item = Result<(u32, Verdict)>> {
        let number = |entries: &&[Entry]| entries.first().map(|entry| entry.number);
        let mut always = (bit..).zip(&self.always).filter_map(|(number, action)| Some((number, (*action)?)));
        let mut always_next = always.next();
        let mut groups = self.entries.chunk_by(|a, b| a.number == b.number).peekable();
        std::iter::from_fn(move || {
            let guarded = groups.peek().and_then(number);
            match always_next {
                Some((number, action)) if guarded.is_none_or(|guarded| number <= guarded) => {
                    if guarded == Some(number) {
                        groups.next();
                    }
                    always_next = always.next();
                    Some(Ok((number, Verdict::Always(action))))
                }
                _ => Some(verdict(groups.next()?, default).map(|verdict| (guarded.unwrap_or(0), verdict))),
            }
        })
    }
}

/// The conditions of a rule as an ABI compares them.
struct Terms<'a> {
    rule: &'a Rule,
    alternatives: Vec<Vec<Condition>>,
    /// One of the alternatives asks nothing.
    unconditional: bool,
    wide: bool,
}

impl<'a> Terms<'a> {
    fn of(rule: &'a Rule, abi: &Abi) -> Self {
        let mut terms = Self { rule, alternatives: Vec::new(), unconditional: false, wide: abi.wide };
        let meant = |conditions: &Vec<Condition>| -> Vec<Condition> {
            conditions.iter().map(|one| terms.fit(*one)).filter(|one| !one.is_empty()).collect()
        };
        let alternatives: Vec<_> = rule.alternatives.iter().map(meant).collect();
        terms.unconditional = alternatives.iter().any(Vec::is_empty);
        terms.alternatives = alternatives;
        terms
    }

    fn fit(&self, one: Condition) -> Condition {
        if self.wide { one } else { one.narrow() }
    }
}

/// Appends the spans of `abi`, of which `start` is the first number.
///
/// # Errors
/// `InvalidSpec` if two rules give the same call two actions under the same conditions.
pub fn spans(profile: &Profile, abi: &Abi, start: u32, spans: &mut Vec<Span>) -> Result<()> {
    let calls = Calls::of(profile, abi);
    let mut beyond = calls.last.filter(|_| profile.answers_new_calls).map(|last| last + 1);
    let mut otherwise = profile.default;
    push(spans, start, Verdict::Always(otherwise));
    let mut verdicts = calls.verdicts(profile.default, abi.bit).peekable();
    while let Some(next) = verdicts.next() {
        let (number, verdict) = next?;
        if let Some(beyond) = beyond.take_if(|beyond| *beyond <= number) {
            otherwise = NO_SUCH_CALL;
            push(spans, beyond, Verdict::Always(otherwise));
        }
        push(spans, number, verdict);
        // Most calls have a neighbour with a verdict of its own.
        let neighbour =
            verdicts.peek().is_some_and(|next| matches!(next, Ok((next, _)) if *next == number + 1));
        if !neighbour {
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

/// As in libseccomp: the first rule without conditions decides alone. Otherwise the narrower condition is asked first.
fn verdict(group: &[Entry], default: u32) -> Result<Verdict> {
    if let Some(entry) = group.iter().find(|entry| entry.guard.conditions.is_empty()) {
        return Ok(Verdict::Always(entry.guard.action));
    }
    let mut entries: Vec<&Entry> = group.iter().collect();
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
