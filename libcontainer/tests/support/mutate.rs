//! One change at one place of a configuration: what a careless or a hostile engine could write there.
#![allow(dead_code)] // each program that uses it takes its part

use serde_json::{Map, Value, json};

/// A small generator (splitmix64): the same seed, the same changes, on every machine.
pub struct Dice(u64);

impl Dice {
    /// Starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// One of `list`.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(list.len()).ok().filter(|count| *count > 0)?;
        list.get(usize::try_from(self.roll() % count).ok()?)
    }
}

/// A changed configuration.
pub struct Mutation {
    /// The configuration.
    pub document: Value,
    /// The place of the change, a JSON pointer.
    pub pointer: String,
    /// What was done, in a word.
    pub what: &'static str,
    /// What was there before; null if nothing was.
    pub before: Value,
    /// What is there now; null if nothing is.
    pub after: Value,
}

type Change = fn(&Value) -> Option<Value>;

/// So long is a text that is too long for anything.
const MIB: usize = 1 << 20;

// table: word, the new value of a place
const CHANGES: &[(&str, Change)] = &[
    ("a boolean", |_| Some(json!(true))),
    ("a number", |_| Some(json!(7))),
    ("a fraction", |_| Some(json!(0.5))),
    ("a text", |_| Some(json!("x"))),
    ("a list", |_| Some(json!(["x"]))),
    ("an object", |_| Some(json!({"x": {}}))),
    ("nothing in it", |value| match value {
        Value::String(_) => Some(json!("")),
        Value::Array(_) => Some(json!([])),
        Value::Object(_) => Some(json!({})),
        _ => Some(json!(0)),
    }),
    ("null", |_| Some(Value::Null)),
    ("minus one", |_| Some(json!(-1))),
    ("the least number", |_| Some(json!(i64::MIN))),
    ("the largest number", |_| Some(json!(u64::MAX))),
    ("the largest signed number", |_| Some(json!(i64::MAX))),
    ("the largest id", |_| Some(json!(u32::MAX))),
    ("beyond the largest id", |_| Some(json!(1_u64 << 32))),
    ("one more", |value| Some(json!(value.as_i64()?.checked_add(1)?))),
    ("half", |value| Some(json!(value.as_i64()? / 2))),
    ("the negative", |value| Some(json!(value.as_i64()?.checked_neg()?))),
    ("the opposite", |value| Some(json!(!value.as_bool()?))),
    ("one letter more", |value| Some(json!(format!("{}x", value.as_str()?)))),
    ("one letter less", |value| {
        let mut text = value.as_str()?.to_owned();
        text.pop().map(|_| json!(text))
    }),
    ("small letters", |value| Some(json!(value.as_str()?.to_lowercase()))),
    ("a newline", |value| Some(json!(format!("{}\nx", value.as_str()?)))),
    ("a NUL", |value| Some(json!(format!("{}\0", value.as_str()?)))),
    ("an escape", |value| Some(json!(format!("{}\u{1b}[2J", value.as_str()?)))),
    ("a space in front", |value| Some(json!(format!(" {}", value.as_str()?)))),
    ("a way up", |value| Some(json!(format!("{}/../..", value.as_str()?)))),
    ("only a way up", |value| value.as_str().map(|_| json!(".."))),
    ("a root", |value| value.as_str().map(|_| json!("/"))),
    ("a percent", |value| Some(json!(format!("{}%s", value.as_str()?)))),
    ("a mebibyte", |value| Some(json!(format!("{}/{}", value.as_str()?, "m".repeat(MIB))))),
    ("the last one twice", |value| edited(value, |list| list.last().cloned().map(|last| list.push(last)))),
    ("the last one first", |value| {
        edited(value, |list| list.len().checked_sub(2).map(|_| list.rotate_right(1)))
    }),
    ("without the last one", |value| edited(value, |list| list.pop().map(drop))),
    ("a null in the list", |value| {
        edited(value, |list| {
            list.push(Value::Null);
            Some(())
        })
    }),
    ("an unknown key", |value| {
        let mut map = value.as_object()?.clone();
        map.insert("x-unknown".to_owned(), json!([1, {"y": null}]));
        Some(Value::Object(map))
    }),
    ("another key of the map", |value| {
        let map: Map<String, Value> =
            value.as_object()?.iter().map(|(key, item)| (format!("{key}x"), item.clone())).collect();
        Some(Value::Object(map))
    }),
];

fn edited(value: &Value, edit: impl FnOnce(&mut Vec<Value>) -> Option<()>) -> Option<Value> {
    let mut list = value.as_array()?.clone();
    edit(&mut list)?;
    Some(Value::Array(list))
}

/// Changes one of these places of `base`, which has something everywhere.
pub fn mutate(base: &Value, places: &[String], dice: &mut Dice) -> Mutation {
    loop {
        let Some(pointer) = dice.pick(places).cloned() else { continue };
        let Some(before) = base.pointer(&pointer).cloned() else { continue };
        if let Some(mutation) = removed(base, &pointer, &before, dice) {
            return mutation;
        }
        let Some((what, change)) = dice.pick(CHANGES) else { continue };
        let Some(after) = change(&before).filter(|after| *after != before) else { continue };
        let mut document = base.clone();
        if let Some(place) = document.pointer_mut(&pointer) {
            *place = after.clone();
        }
        return Mutation { document, pointer, what, before, after };
    }
}

/// Now and then the place goes.
fn removed(base: &Value, pointer: &str, before: &Value, dice: &mut Dice) -> Option<Mutation> {
    let rarely = dice.pick(&[true, false, false, false, false, false, false, false])?;
    let mut document = base.clone();
    let gone = *rarely && remove(&mut document, pointer);
    gone.then(|| Mutation {
        document,
        pointer: pointer.to_owned(),
        what: "removed",
        before: before.clone(),
        after: Value::Null,
    })
}

/// Takes a place away; false if there is none.
pub fn remove(document: &mut Value, pointer: &str) -> bool {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return false };
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => map.remove(&key.replace("~1", "/").replace("~0", "~")).is_some(),
        Some(Value::Array(list)) => match key.parse() {
            Ok(index) if index < list.len() => {
                list.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// Every place below the root.
pub fn places(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(document, String::new(), &mut found);
    found
}

fn collect(value: &Value, place: String, out: &mut Vec<String>) {
    let below = |key: &str| format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(map) => map.iter().for_each(|(key, item)| collect(item, below(key), out)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, item)| collect(item, below(&index.to_string()), out));
        }
        _ => {}
    }
    if !place.is_empty() {
        out.push(place);
    }
}
