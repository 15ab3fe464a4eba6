//! Values as text: GLib's text format of D-Bus values, as far as properties of units need it.
//!
//! `true`, `42`, `uint64 42`, `0x2a`, `1.5`, `'a'`, `"a"`, `['a', 'b']`, `@as []`, `('a', 1)`, `<'a'>`. A number without a type is an `int32`, or a
//! `double` if it has a point.

use super::Value;

/// How deep values may be nested in one another.
const DEEPEST: usize = 16;

type Parsed<T> = std::result::Result<T, String>;

/// Reads one value, which must be the whole text.
pub(super) fn parse(text: &str) -> Parsed<Value> {
    let mut reader = Reader { rest: text, depth: 0 };
    let value = reader.value(None)?;
    reader.skip();
    if reader.rest.is_empty() { Ok(value) } else { Err(format!("{:?} is left over", reader.rest)) }
}

/// Names of types before a value.
#[rustfmt::skip]
const TYPES: [(&str, &str); 12] = [
    ("boolean", "b"), ("byte", "y"), ("int16", "n"), ("uint16", "q"), ("int32", "i"), ("uint32", "u"),
    ("int64", "x"), ("uint64", "t"), ("double", "d"), ("string", "s"), ("objectpath", "o"), ("signature", "g"),
];

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, character: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, character: char) -> Parsed<()> {
        if self.take(character) {
            Ok(())
        } else {
            Err(format!("{character:?} is missing before {:?}", self.rest))
        }
    }

    /// The characters up to one that ends a word.
    fn word(&mut self) -> &'a str {
        self.skip();
        let end =
            self.rest.find(|c: char| c.is_whitespace() || ",:)]}>".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A value, of the type that is known already or of its own.
    fn value(&mut self, wanted: Option<&str>) -> Parsed<Value> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("it is nested too deep".to_owned());
        }
        self.skip();
        let value = match self.rest.chars().next() {
            None => Err("a value is missing".to_owned()),
            Some('\'' | '"') => self.quoted().and_then(|text| of_text(text, wanted.unwrap_or("s"))),
            Some('[') => self.array(wanted),
            Some('(') => self.structure(wanted),
            Some('<') => self.variant(),
            Some('@') => self.annotated(),
            Some(_) => self.scalar(wanted),
        };
        self.depth -= 1;
        let value = value?;
        match wanted {
            Some(wanted) if value.signature() != wanted => {
                Err(format!("{value} is not of the type {wanted:?}"))
            }
            _ => Ok(value),
        }
    }

    /// `@as [...]`: the type, then the value.
    fn annotated(&mut self) -> Parsed<Value> {
        self.take('@');
        let end = self.rest.find(char::is_whitespace).ok_or("a value is missing behind its type")?;
        let (signature, rest) = self.rest.split_at(end);
        if !is_type(signature) {
            return Err(format!("{signature:?} is not the type of one value"));
        }
        self.rest = rest;
        self.value(Some(signature))
    }

    fn scalar(&mut self, wanted: Option<&str>) -> Parsed<Value> {
        let word = self.word();
        if let Some((_, signature)) = TYPES.iter().find(|(name, _)| *name == word) {
            return self.value(Some(signature));
        }
        match word {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => number(word, wanted).ok_or_else(|| match wanted {
                Some(wanted) => format!("{word:?} is no value of the type {wanted:?}"),
                None => format!("{word:?} is no value (texts stand in quotes)"),
            }),
        }
    }

    fn quoted(&mut self) -> Parsed<String> {
        let mut characters = self.rest.char_indices();
        let quote = characters.next().map(|(_, quote)| quote).unwrap_or('\'');
        let mut text = String::new();
        while let Some((index, character)) = characters.next() {
            match character {
                '\\' => text.push(unescaped(characters.next().map(|(_, next)| next))?),
                end if end == quote => {
                    self.rest = self.rest.get(index + 1..).unwrap_or_default();
                    return Ok(text);
                }
                other => text.push(other),
            }
        }
        Err("a quote is not closed".to_owned())
    }

    fn array(&mut self, wanted: Option<&str>) -> Parsed<Value> {
        let mut element = wanted.and_then(|wanted| wanted.strip_prefix('a')).map(str::to_owned);
        let elements = self.list('[', ']', |reader, _| {
            let value = reader.value(element.as_deref())?;
            element.get_or_insert_with(|| value.signature());
            Ok(value)
        })?;
        let element = element.ok_or("an empty list needs its type, such as @as []")?;
        Ok(Value::Array(element, elements))
    }

    fn structure(&mut self, wanted: Option<&str>) -> Parsed<Value> {
        let types = wanted.and_then(|wanted| wanted.strip_prefix('(')?.strip_suffix(')')).map(split);
        let fields = self.list('(', ')', |reader, index| {
            let wanted = types.as_ref().map(|types| types.get(index).copied().ok_or("too many fields"));
            reader.value(wanted.transpose()?)
        })?;
        if fields.is_empty() {
            Err("a structure has no fields".to_owned())
        } else {
            Ok(Value::Struct(fields))
        }
    }

    fn variant(&mut self) -> Parsed<Value> {
        self.expect('<')?;
        let value = self.value(None)?;
        self.expect('>')?;
        Ok(Value::Variant(Box::new(value)))
    }

    fn list(
        &mut self,
        open: char,
        close: char,
        mut one: impl FnMut(&mut Self, usize) -> Parsed<Value>,
    ) -> Parsed<Vec<Value>> {
        self.expect(open)?;
        let mut values = Vec::new();
        while !self.take(close) {
            if !values.is_empty() {
                self.expect(',')?;
                if self.take(close) {
                    break; // ('a',) is a structure of one field
                }
            }
            values.push(one(self, values.len())?);
        }
        Ok(values)
    }
}

fn unescaped(character: Option<char>) -> Parsed<char> {
    match character {
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some('r') => Ok('\r'),
        Some(same @ ('\\' | '\'' | '"')) => Ok(same),
        Some(other) => Err(format!("\\{other} is not known")),
        None => Err("a quote is not closed".to_owned()),
    }
}

fn of_text(text: String, signature: &str) -> Parsed<Value> {
    match signature {
        _ if text.contains('\0') => Err("a text has a NUL in it".to_owned()),
        "o" if is_path(&text) => Ok(Value::Path(text)),
        "o" => Err(format!("{text:?} is no path of an object")),
        "g" if split(&text).concat() == text => Ok(Value::Signature(text)),
        "g" => Err(format!("{text:?} is no type")),
        _ => Ok(Value::Text(text)),
    }
}

fn is_path(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    text == "/" || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(part))
}

fn number(word: &str, wanted: Option<&str>) -> Option<Value> {
    let signature =
        wanted.unwrap_or(if word.contains(['.', 'e']) && !word.starts_with("0x") { "d" } else { "i" });
    if signature == "d" {
        let number: f64 = word.parse().ok()?;
        return Some(Value::Double(number.to_bits()));
    }
    let (negative, digits) =
        word.strip_prefix('-').map_or((false, word.strip_prefix('+').unwrap_or(word)), |rest| (true, rest));
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let magnitude = match digits.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok()?,
        None if digits.len() > 1 && digits.starts_with('0') => i128::from_str_radix(digits, 8).ok()?,
        None => digits.parse::<i128>().ok()?,
    };
    whole(if negative { magnitude.checked_neg()? } else { magnitude }, signature)
}

/// A whole number as one of its type; `None` if it does not fit.
pub(super) fn whole(number: i128, signature: &str) -> Option<Value> {
    Some(match signature {
        "y" => Value::Byte(number.try_into().ok()?),
        "n" => Value::Int16(number.try_into().ok()?),
        "q" => Value::Uint16(number.try_into().ok()?),
        "i" => Value::Int32(number.try_into().ok()?),
        "u" => Value::Uint32(number.try_into().ok()?),
        "x" => Value::Int64(number.try_into().ok()?),
        "t" => Value::Uint64(number.try_into().ok()?),
        _ => return None,
    })
}

/// The single types of a signature; what follows something that is none is left out.
fn split(signature: &str) -> Vec<&str> {
    let mut types = Vec::new();
    let mut rest = signature;
    while let Some(length) = one(rest, 0).filter(|length| *length > 0) {
        let (first, others) = rest.split_at(length);
        types.push(first);
        rest = others;
    }
    types
}

fn is_type(signature: &str) -> bool {
    one(signature, 0) == Some(signature.len()) && !signature.is_empty()
}

/// The length of the first type of a signature.
fn one(signature: &str, depth: usize) -> Option<usize> {
    let first = signature.bytes().next().filter(|_| depth < DEEPEST)?;
    let inner = |at: usize| one(signature.get(at..)?, depth + 1);
    match first {
        b'a' => Some(1 + inner(1)?),
        b'(' => {
            let mut at = 1;
            while signature.as_bytes().get(at)? != &b')' {
                at += inner(at)?;
            }
            (at > 1).then_some(at + 1)
        }
        b'b' | b'y' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd' | b's' | b'o' | b'g' | b'v' => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        parse(text).map_or_else(|why| format!("no: {why}"), |value| format!("{} {value}", value.signature()))
    }

    #[test]
    fn values_have_the_type_that_their_text_says() {
        for (text, expected) in [
            ("true", "b true"),
            (" false ", "b false"),
            ("42", "i 42"),
            ("-7", "i -7"),
            ("0x2a", "i 42"),
            ("010", "i 8"),
            ("1.5", "d 1.5"),
            ("uint64 42", "t 42"),
            ("uint64 18446744073709551615", "t infinity"),
            ("int64 -1", "x -1"),
            ("byte 0xff", "y ff"),
            ("double 3", "d 3"),
            ("'a b'", "s \"a b\""),
            ("\"it's\"", "s \"it's\""),
            (r"'it\'s\n'", "s \"it's\\n\""),
            ("objectpath '/a/b'", "o \"/a/b\""),
            ("signature 'a(sv)'", "g \"a(sv)\""),
            ("['a', 'b']", "as [\"a\", \"b\"]"),
            ("@as []", "as []"),
            ("[uint32 1, 2]", "au [1, 2]"),
            ("@at [1, 2]", "at [1, 2]"),
            ("@a(ss) [('/dev/null', 'rw')]", "a(ss) [(\"/dev/null\", \"rw\")]"),
            ("('a', 1, true)", "(sib) (\"a\", 1, true)"),
            ("('a',)", "(s) (\"a\")"),
            ("<uint16 3>", "v <3>"),
            ("@(st) ('a', 5)", "(st) (\"a\", 5)"),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_told_so() {
        let deep = "[".repeat(40);
        let deep_type = format!("@{}s []", "a".repeat(40));
        for text in [
            "",
            " ",
            "a",
            "'a",
            "'a' 'b'",
            "[]",
            "['a', 1]",
            "[1,,2]",
            "(",
            "()",
            "uint64",
            "uint64 -1",
            "byte 256",
            "2147483648",
            "int32 1.5",
            "objectpath 'a'",
            "objectpath '/a/'",
            "signature '('",
            "@a",
            "@aa",
            "@ss 'a'",
            "@(s) ('a', 'b')",
            "@s 1",
            "<1",
            "'\\q'",
            "'a\0b'",
            "1 2",
            "nan()",
            "--1",
            "true false",
            "@{sv} 1",
            &deep,
            &deep_type,
        ] {
            assert!(of(text).starts_with("no: "), "{text}: {}", of(text));
        }
    }
}
