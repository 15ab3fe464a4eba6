//! JSON as Go's encoder writes it, because engines and scripts compare bytes: `<`, `>`, `&`, U+2028 and U+2029 are escaped, and
//! the keys of an object stand in the order in which the caller put them.

use std::fmt::Write;

/// A JSON value.
#[derive(Clone, Debug)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as its digits.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, its keys in this order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// A string.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Without any white space.
    pub fn compact(&self) -> String {
        self.written("")
    }

    /// One key or element a line, each level indented by `indent`, a space behind the colon.
    pub fn pretty(&self, indent: &str) -> String {
        self.written(indent)
    }

    fn written(&self, indent: &str) -> String {
        let mut writer = Writer { out: String::new(), indent, depth: 0 };
        writer.value(self);
        writer.out
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Value::Object(fields) => {
                Self::Object(fields.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}

struct Writer<'a> {
    out: String,
    /// Empty: compact.
    indent: &'a str,
    depth: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Json) {
        match value {
            Json::Null => self.out.push_str("null"),
            Json::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Json::Number(digits) => self.out.push_str(digits),
            Json::Text(text) => escape(&mut self.out, text),
            Json::Array(items) => self.container(['[', ']'], items, |writer, item| writer.value(item)),
            Json::Object(fields) => self.container(['{', '}'], fields, Self::field),
        }
    }

    fn field(&mut self, (key, value): &(String, Json)) {
        escape(&mut self.out, key);
        self.out.push_str(if self.indent.is_empty() { ":" } else { ": " });
        self.value(value);
    }

    fn container<T>(&mut self, [open, close]: [char; 2], items: &[T], item: impl Fn(&mut Self, &T)) {
        self.out.push(open);
        self.depth += 1;
        for (index, entry) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.line();
            item(self, entry);
        }
        self.depth -= 1;
        if !items.is_empty() {
            self.line();
        }
        self.out.push(close);
    }

    fn line(&mut self) {
        if !self.indent.is_empty() {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(self.indent, self.depth));
        }
    }
}

/// `text` as a JSON string, with quotes.
fn escape(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn strings_are_escaped_as_go_does() {
        let text = Json::text("<a>&\"\\\n\r\t\u{8}\u{c}\u{1}\u{7f}\u{2028}\u{2029}ü");
        assert_eq!(
            text.compact(),
            "\"\\u003ca\\u003e\\u0026\\\"\\\\\\n\\r\\t\\b\\f\\u0001\u{7f}\\u2028\\u2029ü\""
        );
    }

    #[test]
    fn compact_has_no_white_space_and_pretty_one_key_a_line() {
        let value = Json::Object(vec![
            ("z".into(), Json::Array(vec![Json::Number("1".into()), Json::Bool(false)])),
            ("a".into(), Json::Object(vec![])),
            ("n".into(), Json::Null),
            ("e".into(), Json::Array(vec![])),
        ]);
        assert_eq!(value.compact(), r#"{"z":[1,false],"a":{},"n":null,"e":[]}"#);
        let expected = "{\n  \"z\": [\n    1,\n    false\n  ],\n  \"a\": {},\n  \"n\": null,\n  \"e\": []\n}";
        assert_eq!(value.pretty("  "), expected);
    }
}
