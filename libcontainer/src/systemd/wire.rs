//! Messages of D-Bus as bytes: calls to be sent, and of what is received the parts that an answer or a signal of systemd consists of. Pure.
//!
//! Whatever the other side sends is bounded and checked: garbage is an error, never a panic, a large reservation or a long loop.

use crate::plan::cgroup::systemd::Value;

/// The longest message that is taken. The protocol allows 128 MiB; what is asked for here has a few hundred bytes.
const LONGEST: usize = 1 << 20;
/// The bytes of a message that tell how long it is.
pub(super) const PREFIX: usize = 16;
/// The version of the protocol.
const VERSION: u8 = 1;

/// Kinds of messages.
pub(super) const CALL: u8 = 1;
pub(super) const REPLY: u8 = 2;
pub(super) const ERROR: u8 = 3;
pub(super) const SIGNAL: u8 = 4;

/// A call of a method.
pub(super) struct Call<'a> {
    /// Whose; nobody's on a connection to one peer.
    pub destination: &'a str,
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
    pub body: &'a [Value],
}

impl Call<'_> {
    /// The whole message, with the least significant byte of numbers first.
    pub fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Writer::default();
        self.body.iter().for_each(|value| body.put(value));
        let signature: String = self.body.iter().map(Value::signature).collect();
        let field = |code: u8, value| Value::Struct(vec![Value::Byte(code), Value::Variant(Box::new(value))]);
        let mut fields = vec![
            field(1, Value::Path(self.path.to_owned())),
            field(2, Value::text(self.interface)),
            field(3, Value::text(self.member)),
            field(6, Value::text(self.destination)),
        ];
        if !signature.is_empty() {
            fields.push(field(8, Value::Signature(signature)));
        }
        let mut message = Writer(vec![b'l', CALL, 0, VERSION]);
        message.count(body.0.len());
        message.0.extend(serial.to_le_bytes());
        message.put(&Value::Array("(yv)".to_owned(), fields));
        message.pad(8);
        message.0.extend(body.0);
        message.0
    }
}

/// Values one after the other, each at a multiple of its alignment.
#[derive(Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn pad(&mut self, alignment: usize) {
        self.0.resize(self.0.len().next_multiple_of(alignment), 0);
    }

    pub fn count(&mut self, count: usize) {
        // The configuration that all of it comes from is shorter than 4 GiB.
        self.number(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    }

    pub fn number(&mut self, bytes: &[u8]) {
        self.pad(bytes.len());
        self.0.extend(bytes);
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    // table: kind of value, its bytes.
    pub fn put(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => self.number(&u32::from(*value).to_le_bytes()),
            Value::Byte(value) => self.0.push(*value),
            Value::Int16(value) => self.number(&value.to_le_bytes()),
            Value::Uint16(value) => self.number(&value.to_le_bytes()),
            Value::Int32(value) => self.number(&value.to_le_bytes()),
            Value::Uint32(value) => self.number(&value.to_le_bytes()),
            Value::Int64(value) => self.number(&value.to_le_bytes()),
            Value::Uint64(value) | Value::Double(value) => self.number(&value.to_le_bytes()),
            Value::Text(text) | Value::Path(text) => self.text(text),
            Value::Signature(text) => self.signature(text),
            Value::Array(element, values) => self.array(element, values),
            Value::Struct(fields) => {
                self.pad(8);
                fields.iter().for_each(|field| self.put(field));
            }
            Value::Entry(entry) => {
                self.pad(8);
                self.put(&entry.0);
                self.put(&entry.1);
            }
            Value::Variant(value) => {
                self.signature(&value.signature());
                self.put(value);
            }
        }
    }

    /// The length counts the elements without what stands between it and the first.
    fn array(&mut self, element: &str, values: &[Value]) {
        self.count(0);
        let place = self.0.len() - 4;
        self.pad(alignment(element.as_bytes().first().copied()));
        let start = self.0.len();
        values.iter().for_each(|value| self.put(value));
        let length = u32::try_from(self.0.len() - start).unwrap_or(u32::MAX).to_le_bytes();
        if let Some(place) = self.0.get_mut(place..place + 4) {
            place.copy_from_slice(&length);
        }
    }
}

fn alignment(first: Option<u8>) -> usize {
    match first {
        Some(b'n' | b'q') => 2,
        Some(b'b' | b'i' | b'u' | b's' | b'o' | b'a') => 4,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 1,
    }
}

/// A message that was received.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub kind: u8,
    /// The serial of the call that it answers.
    pub answers: u32,
    pub interface: String,
    pub member: String,
    /// The name of the error that it is.
    pub error: String,
    /// The values up to the first that is a list or a structure.
    pub body: Vec<Value>,
}

impl Message {
    /// The text at that place of the body.
    pub fn text(&self, index: usize) -> &str {
        match self.body.get(index) {
            Some(Value::Text(text) | Value::Path(text)) => text,
            _ => "",
        }
    }
}

/// What is wrong with bytes that are no message.
pub(super) type Garbage = &'static str;

/// How long the message is that begins so; `None` if these bytes do not tell yet.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, Garbage> {
    let Some(prefix) = bytes.get(..PREFIX) else { return Ok(None) };
    let mut reader = Reader::new(prefix)?;
    if prefix.get(3) != Some(&VERSION) {
        return Err("another version of the protocol");
    }
    reader.at = 4;
    let (body, _, fields) = (reader.count()?, reader.count()?, reader.count()?);
    match (PREFIX + fields).next_multiple_of(8) + body {
        all if all <= LONGEST => Ok(Some(all)),
        _ => Err("a message that is too long"),
    }
}

/// Reads a whole message.
pub(super) fn parse(bytes: &[u8]) -> Result<Message, Garbage> {
    let mut reader = Reader::new(bytes)?;
    let mut message = Message { kind: bytes.get(1).copied().unwrap_or(0), ..Message::default() };
    reader.at = 12;
    let end = PREFIX + reader.count()?;
    let mut signature = String::new();
    while reader.at < end {
        reader.align(8)?;
        let code = reader.byte()?;
        match (code, reader.variant()?) {
            (2, Value::Text(text)) => message.interface = text,
            (3, Value::Text(text)) => message.member = text,
            (4, Value::Text(text)) => message.error = text,
            (5, Value::Uint32(serial)) => message.answers = serial,
            (8, Value::Signature(text)) => signature = text,
            _ => {}
        }
    }
    reader.align(8)?;
    for kind in signature.bytes() {
        let Some(value) = reader.value(kind)? else { break };
        message.body.push(value);
    }
    Ok(message)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, Garbage> {
        let big = match bytes.first() {
            Some(b'l') => false,
            Some(b'B') => true,
            _ => return Err("bytes that are no message"),
        };
        Ok(Self { bytes, at: 0, big })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Garbage> {
        let end = self.at.checked_add(count).ok_or("a length that overflows")?;
        let taken = self.bytes.get(self.at..end).ok_or("a message that ends too early")?;
        self.at = end;
        Ok(taken)
    }

    fn align(&mut self, alignment: usize) -> Result<(), Garbage> {
        self.take(self.at.next_multiple_of(alignment) - self.at).map(drop)
    }

    fn byte(&mut self) -> Result<u8, Garbage> {
        Ok(self.take(1)?.first().copied().unwrap_or(0))
    }

    /// A number of up to 8 bytes, as it is without a sign.
    fn number(&mut self, size: usize) -> Result<u64, Garbage> {
        self.align(size)?;
        let bytes = self.take(size)?.iter();
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Ok(if self.big { bytes.fold(0, join) } else { bytes.rev().fold(0, join) })
    }

    fn count(&mut self) -> Result<usize, Garbage> {
        usize::try_from(self.number(4)?).map_err(|_| "a length that overflows")
    }

    fn text(&mut self, length: usize) -> Result<String, Garbage> {
        let text = String::from_utf8(self.take(length)?.to_vec()).map_err(|_| "a text that is not UTF-8")?;
        if self.byte()? == 0 { Ok(text) } else { Err("a text without an end") }
    }

    fn variant(&mut self) -> Result<Value, Garbage> {
        let length = usize::from(self.byte()?);
        let signature = self.text(length)?;
        let kind =
            signature.bytes().next().filter(|_| length == 1).ok_or("a field of a type that no field has")?;
        self.value(kind)?.ok_or("a field of a type that no field has")
    }

    /// A value that is not made of others; `None` for one that is. The sign of numbers is of no interest.
    fn value(&mut self, kind: u8) -> Result<Option<Value>, Garbage> {
        Ok(Some(match kind {
            b'y' => Value::Byte(self.byte()?),
            b'n' | b'q' => Value::Uint16(self.number(2)? as u16), // of two bytes
            b'b' | b'i' | b'u' | b'h' => Value::Uint32(self.number(4)? as u32), // of four bytes
            b'x' | b't' | b'd' => Value::Uint64(self.number(8)?),
            b's' | b'o' => {
                let length = self.count()?;
                Value::Text(self.text(length)?)
            }
            b'g' => {
                let length = usize::from(self.byte()?);
                Value::Signature(self.text(length)?)
            }
            b'v' => self.variant()?,
            b'a' | b'(' | b'{' => return Ok(None),
            _ => return Err("a type that is none"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: &[Value]) -> Vec<u8> {
        Call { destination: "a.b", path: "/p", interface: "i.j", member: "M", body }.encode(7)
    }

    #[test]
    fn a_message_reads_as_it_was_written() {
        let body = [
            Value::text("x"),
            Value::Uint32(9),
            Value::Bool(true),
            Value::Path("/q".into()),
            Value::Uint64(1),
            Value::Array("s".into(), vec![]),
        ];
        let bytes = call(&body);
        assert_eq!(length(&bytes), Ok(Some(bytes.len())));
        let message = parse(&bytes).unwrap();
        assert_eq!((message.kind, message.interface.as_str(), message.member.as_str()), (CALL, "i.j", "M"));
        assert_eq!((message.text(0), message.text(3), message.text(9)), ("x", "/q", ""));
        assert_eq!(message.body.len(), 5, "up to the list");
    }

    /// The bytes that another implementation makes of the same call.
    #[test]
    fn values_stand_where_their_alignment_wants_them() {
        let value = |value: Value| {
            let mut writer = Writer(vec![1]);
            writer.put(&value);
            writer.0
        };
        assert_eq!(value(Value::Uint64(2)), [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(value(Value::text("ab")), [1, 0, 0, 0, 2, 0, 0, 0, b'a', b'b', 0]);
        assert_eq!(value(Value::Signature("ab".into())), [1, 2, b'a', b'b', 0]);
        assert_eq!(value(Value::Variant(Box::new(Value::Byte(5)))), [1, 1, b'y', 0, 5]);
        let longs = Value::Array("t".into(), vec![Value::Uint64(3)]);
        assert_eq!(value(longs), [1, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        let none = Value::Array("(sv)".into(), Vec::new());
        assert_eq!(value(none), [1, 0, 0, 0, 0, 0, 0, 0], "padded although it is empty");
        let pair = Value::Struct(vec![Value::Byte(1), Value::Uint16(2)]);
        assert_eq!(value(pair), [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0]);
    }

    #[test]
    fn every_beginning_and_every_changed_byte_is_a_message_or_garbage() {
        let whole = call(&[Value::text("x"), Value::Variant(Box::new(Value::text("y")))]);
        for end in 0..whole.len() {
            let part = &whole[..end];
            assert!(parse(part).is_err(), "{end}");
            assert_eq!(length(part).unwrap().is_some(), end >= PREFIX);
        }
        for place in 0..whole.len() {
            for byte in [0, 1, 0x7f, 0xff, b'B', b'v', b'a'] {
                let mut changed = whole.clone();
                changed[place] = byte;
                let _ = (length(&changed), parse(&changed));
            }
        }
    }

    #[test]
    fn a_message_that_says_it_is_long_is_refused() {
        let mut bytes = call(&[]);
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(length(&bytes).is_err());
        bytes[4..8].copy_from_slice(&0u32.to_le_bytes());
        bytes[12..16].copy_from_slice(&(1u32 << 24).to_le_bytes());
        assert!(length(&bytes).is_err());
    }

    #[test]
    fn numbers_of_the_other_order_are_read() {
        let mut reader = Reader::new(b"B\0\0\0\0\0\x01\x02").unwrap();
        reader.at = 4;
        assert_eq!(reader.number(4), Ok(0x102));
    }
}
