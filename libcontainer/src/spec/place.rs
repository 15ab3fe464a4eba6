//! Where in a document its reader stopped: a count of bytes becomes a JSON pointer. Pure.
//!
//! serde_path_to_error tells the same, by a second copy of every type's reader: a sixth of libteu.

use super::pointer;

/// Why a reader stopped, as far as it says where the fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What it read last, or was about to read.
    Value,
    /// What it was inside of: something is missing there.
    Missing,
    /// A value of which it has read one byte: no word begins like this.
    Begun,
}

/// An object or an array that is open.
enum Open {
    /// The member that is read, once its key is known.
    Object {
        key: Option<String>,
    },
    Array {
        index: usize,
    },
}

/// What was read last.
enum Last {
    /// A value at the current place.
    Inner,
    /// The key of a member.
    Key,
    /// An object or an array: the pointer to its last member, if it had one.
    Closed(Option<String>),
    /// A sign behind which a value or a key comes.
    Sign,
}

/// The place at which `consumed` bytes of `text` were read; `text` is JSON without a space between its parts, as serde_json writes it.
pub fn of(text: &[u8], consumed: usize, fault: Fault) -> Option<String> {
    let consumed = consumed - usize::from(fault == Fault::Begun && consumed > 0);
    let (mut open, mut last, mut at) = (Vec::new(), Last::Sign, 0);
    while at < consumed.min(text.len()) {
        let rest = text.get(at..).unwrap_or_default();
        let (length, now) = step(&mut open, rest);
        (at, last) = (at + length, now);
    }
    let inner = match (last, fault) {
        (Last::Closed(member), Fault::Value) => member,
        (Last::Key, _) | (Last::Inner | Last::Sign, Fault::Missing) => return parent(&open),
        _ => None,
    };
    inner.or_else(|| pointer_to(&open))
}

/// Reads one part: its length, and what it was.
fn step(open: &mut Vec<Open>, rest: &[u8]) -> (usize, Last) {
    match (rest.first(), open.last_mut()) {
        (Some(b'{'), _) => open.push(Open::Object { key: None }),
        (Some(b'['), _) => open.push(Open::Array { index: 0 }),
        (Some(b'}' | b']'), _) => {
            let member = pointer_to(open);
            open.pop();
            return (1, Last::Closed(member));
        }
        (Some(b','), Some(Open::Array { index })) => *index += 1,
        (Some(b','), Some(Open::Object { key })) => *key = None,
        (Some(b',' | b':'), _) => {}
        (Some(b'"'), inside) => {
            let length = text_length(rest);
            let key = rest.get(..length).filter(|_| rest.get(length) == Some(&b':'));
            if let (Some(Open::Object { key: place }), Some(key)) = (inside, key) {
                *place = serde_json::from_slice(key).ok();
                return (length, Last::Key);
            }
            return (length, Last::Inner);
        }
        _ => {
            let length = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']'));
            return (length.unwrap_or(rest.len()), Last::Inner);
        }
    }
    (1, Last::Sign)
}

/// The length of the text that begins here, with its quotes.
fn text_length(rest: &[u8]) -> usize {
    let mut escaped = false;
    let end = rest.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |end| end + 2)
}

/// The pointer to the member of the innermost object or array that is being read; `None` outside of all.
fn pointer_to(open: &[Open]) -> Option<String> {
    let mut place = String::new();
    for inside in open {
        match inside {
            Open::Object { key: Some(key) } => pointer::push(&mut place, key),
            Open::Object { key: None } => {}
            Open::Array { index } => pointer::push(&mut place, &index.to_string()),
        }
    }
    (!place.is_empty()).then_some(place)
}

/// The pointer to the innermost object or array itself.
fn parent(open: &[Open]) -> Option<String> {
    pointer_to(open.split_last().map_or(open, |(_, outer)| outer))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = br#"{"a":[1,"x,\"]",{"b/c":true}],"d":{},"e":[{"f":-12}]}"#;

    fn place(before: &str, fault: Fault) -> String {
        let text = std::str::from_utf8(TEXT).unwrap();
        let consumed = text.find(before).unwrap() + before.len();
        of(TEXT, consumed, fault).unwrap_or_default()
    }

    #[test]
    fn a_value_that_was_read_or_comes_next_has_its_own_place() {
        for (before, expected) in [
            ("[1", "/a/0"),
            (r#","x,\"]""#, "/a/1"),
            (r#"{"a":"#, "/a"),
            (r#"{"a":["#, "/a/0"),
            (r#"[1,"x,\"]","#, "/a/2"),
            ("true", "/a/2/b~1c"),
            (r#""d":"#, "/d"),
            ("-12", "/e/0/f"),
            (r#""e":["#, "/e/0"),
        ] {
            assert_eq!(place(before, Fault::Value), expected, "{before}");
        }
    }

    #[test]
    fn a_fault_that_shows_at_an_end_is_that_of_the_last_member_or_of_the_whole() {
        assert_eq!(place("true}", Fault::Value), "/a/2/b~1c");
        assert_eq!(place("true}", Fault::Missing), "/a/2");
        assert_eq!(place(r#""d":{}"#, Fault::Missing), "/d");
        assert_eq!(place("-12}]}", Fault::Missing), "");
    }

    #[test]
    fn a_key_is_a_fault_of_the_whole() {
        assert_eq!(place(r#""b/c""#, Fault::Value), "/a/2");
        assert_eq!(place(r#""d""#, Fault::Value), "");
    }

    #[test]
    fn a_value_that_was_begun_has_its_own_place() {
        assert_eq!(place(r#""f":-"#, Fault::Begun), "/e/0/f");
        assert_eq!(place(r#"{"a":["#, Fault::Begun), "/a");
        assert_eq!(place(r#""d":{"#, Fault::Begun), "/d");
        assert_eq!(place(r#""d":{}"#, Fault::Begun), "/d");
        assert_eq!(place("[1", Fault::Begun), "/a/0");
    }

    #[test]
    fn no_count_of_bytes_is_too_much() {
        for consumed in 0..TEXT.len() + 3 {
            for fault in [Fault::Value, Fault::Missing, Fault::Begun] {
                of(TEXT, consumed, fault);
                of(&TEXT[..consumed.min(TEXT.len())], consumed, fault);
            }
        }
    }
}
