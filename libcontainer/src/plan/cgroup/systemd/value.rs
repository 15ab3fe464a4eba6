//! Values as D-Bus has them: what properties of units are made of.

use std::fmt;

/// A value with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `y`
    Byte(u8),
    /// `n`
    Int16(i16),
    /// `q`
    Uint16(u16),
    /// `i`
    Int32(i32),
    /// `u`
    Uint32(u32),
    /// `x`
    Int64(i64),
    /// `t`
    Uint64(u64),
    /// `d`, as its bits: so that plans can be compared.
    Double(u64),
    /// `s`
    Text(String),
    /// `o`
    Path(String),
    /// `g`
    Signature(String),
    /// `a`, with the type of its elements.
    Array(String, Vec<Value>),
    /// `(...)`
    Struct(Vec<Value>),
    /// `{..}`, an element of an array.
    Entry(Box<(Value, Value)>),
    /// `v`
    Variant(Box<Value>),
}

impl Value {
    /// A text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A name and a value, as lists of properties have them.
    pub(crate) fn named(name: &str, value: Self) -> Self {
        Self::Struct(vec![Self::text(name), Self::Variant(Box::new(value))])
    }

    /// The type.
    pub fn signature(&self) -> String {
        let plain = match self {
            Self::Array(element, _) => return format!("a{element}"),
            Self::Struct(fields) => {
                return format!("({})", fields.iter().map(Self::signature).collect::<String>());
            }
            Self::Entry(entry) => return format!("{{{}{}}}", entry.0.signature(), entry.1.signature()),
            Self::Bool(_) => "b",
            Self::Byte(_) => "y",
            Self::Int16(_) => "n",
            Self::Uint16(_) => "q",
            Self::Int32(_) => "i",
            Self::Uint32(_) => "u",
            Self::Int64(_) => "x",
            Self::Uint64(_) => "t",
            Self::Double(_) => "d",
            Self::Text(_) => "s",
            Self::Path(_) => "o",
            Self::Signature(_) => "g",
            Self::Variant(_) => "v",
        };
        plain.to_owned()
    }
}

impl fmt::Display for Value {
    /// For people: the largest number of 64 bits is what systemd calls infinity, a list of bytes is in hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uint64(u64::MAX) => f.write_str("infinity"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Byte(value) => write!(f, "{value:02x}"),
            Self::Int16(value) => write!(f, "{value}"),
            Self::Uint16(value) => write!(f, "{value}"),
            Self::Int32(value) => write!(f, "{value}"),
            Self::Uint32(value) => write!(f, "{value}"),
            Self::Int64(value) => write!(f, "{value}"),
            Self::Uint64(value) => write!(f, "{value}"),
            Self::Double(bits) => write!(f, "{}", f64::from_bits(*bits)),
            Self::Text(text) | Self::Path(text) | Self::Signature(text) => write!(f, "{text:?}"),
            Self::Array(_, elements) => list(f, '[', elements, ']'),
            Self::Struct(fields) => list(f, '(', fields, ')'),
            Self::Entry(entry) => write!(f, "{}: {}", entry.0, entry.1),
            Self::Variant(value) => write!(f, "<{value}>"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, open: char, values: &[Value], close: char) -> fmt::Result {
    write!(f, "{open}")?;
    for (index, value) in values.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(f, "{separator}{value}")?;
    }
    write!(f, "{close}")
}
