//! Rust source as a lint sees it: the text, and the same text with comments and literals blanked.

use std::ops::Range;

/// One file. `code` has the length of `text`; offsets mean the same in both.
pub struct Source<'a> {
    pub text: &'a str,
    code: Vec<u8>,
}

impl<'a> Source<'a> {
    pub fn new(text: &'a str) -> Source<'a> {
        Source { text, code: blank(text.as_bytes()) }
    }

    /// Where `word` stands as a word of its own.
    pub fn words(&self, word: &str) -> Vec<usize> {
        let found = self.code.windows(word.len()).enumerate().filter(|(_, bytes)| *bytes == word.as_bytes());
        let alone = |at: usize| !is_word(self.before(at)) && !is_word(self.at(at + word.len()));
        found.map(|(at, _)| at).filter(|at| alone(*at)).collect()
    }

    /// The line number of an offset, from 1.
    pub fn line(&self, at: usize) -> usize {
        1 + self.code.iter().take(at).filter(|byte| **byte == b'\n').count()
    }

    /// The next visible byte after the word at `at` opens a block.
    pub fn opens_block(&self, at: usize) -> bool {
        self.visible_after_word(at) == b'{'
    }

    /// The word at `at` is the head of an attribute: `#[unsafe(..)]`.
    pub fn is_attribute(&self, at: usize) -> bool {
        self.before(at) == b'[' && self.visible_after_word(at) == b'('
    }

    /// From the first `{` after `at` to behind its `}`. None if a `;` outside parentheses comes first.
    pub fn block_after(&self, at: usize) -> Option<Range<usize>> {
        let mut depth = 0_i32;
        let mut start = None;
        for (offset, byte) in self.code.iter().enumerate().skip(at) {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth -= 1,
                b';' if depth == 0 && start.is_none() => return None,
                b'{' => {
                    depth += 1;
                    start = start.or(Some(offset));
                }
                b'}' => {
                    depth -= 1;
                    if let (0, Some(start)) = (depth, start) {
                        return Some(start..offset + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The blocks that only tests compile.
    pub fn test_blocks(&self) -> Vec<Range<usize>> {
        const ATTRIBUTE: &[u8] = b"#[cfg(test)]";
        let found = self.code.windows(ATTRIBUTE.len()).enumerate().filter(|(_, bytes)| *bytes == ATTRIBUTE);
        found.filter_map(|(at, _)| Some(at..self.block_after(at + ATTRIBUTE.len())?.end)).collect()
    }

    /// The word that starts at or after `at`, if a word is the next visible thing.
    pub fn next_word(&self, at: usize) -> Option<&'a str> {
        let start = at + self.code.get(at..)?.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let length = self.code.get(start..)?.iter().take_while(|byte| is_word(**byte)).count();
        self.text.get(start..start + length).filter(|word| !word.is_empty())
    }

    fn visible_after_word(&self, at: usize) -> u8 {
        let rest = self.code.iter().skip(at).skip_while(|byte| is_word(**byte));
        rest.copied().find(|byte| !byte.is_ascii_whitespace()).unwrap_or(0)
    }

    fn at(&self, at: usize) -> u8 {
        self.code.get(at).copied().unwrap_or(0)
    }

    fn before(&self, at: usize) -> u8 {
        at.checked_sub(1).map_or(0, |at| self.at(at))
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Comments and literals become spaces; line ends stay.
fn blank(text: &[u8]) -> Vec<u8> {
    let mut code = text.to_vec();
    let mut at = 0;
    while at < text.len() {
        let length = hidden(text.get(at..).unwrap_or(&[]));
        for byte in code.iter_mut().skip(at).take(length).filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
        at += length.max(1);
    }
    code
}

/// How many bytes at the start of `rest` are one comment or literal; 0 if they are code.
fn hidden(rest: &[u8]) -> usize {
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => escaped(rest, b'"'),
        [b'\'', ..] => character(rest),
        [b'r' | b'b' | b'c', ..] => raw_string(rest),
        _ => 0,
    }
}

/// Rust's block comments nest.
fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") if depth == 1 => return at + 2,
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

/// A literal between two `quote`s, in which a backslash hides the next byte.
fn escaped(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' => at += 2,
            byte if *byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character literal; 0 for a lifetime, whose quote has no partner behind one character.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        return escaped(rest, b'\'');
    }
    let width = rest.get(1).map_or(0, |first| match first {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    });
    if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
}

/// `r"..."`, `br#"..."#` and their like; 0 for anything else that starts with such a letter.
fn raw_string(rest: &[u8]) -> usize {
    let letters = if rest.get(1) == Some(&b'r') { 2 } else { 1 };
    if rest.get(letters - 1) != Some(&b'r') {
        return 0;
    }
    let hashes = rest.iter().skip(letters).take_while(|byte| **byte == b'#').count();
    let body = letters + hashes + 1;
    if rest.get(body - 1) != Some(&b'"') {
        return 0;
    }
    let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let text = rest.get(body..).unwrap_or(&[]);
    text.windows(end.len()).position(|bytes| bytes == end).map_or(rest.len(), |at| body + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blanked(text: &str) -> String {
        String::from_utf8(Source::new(text).code).unwrap()
    }

    #[test]
    fn comments_and_literals_are_blanked_and_code_is_not() {
        // table: text, what is left
        for (text, left) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("{") + 1"#, "f(   ) + 1"),
            (r#"f("\"{") + 1"#, "f(     ) + 1"),
            (r##"f(r#"}"{"#) + 1"##, "f(        ) + 1"),
            ("f('{', '\\'', 'x')", "f(   ,     ,    )"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("let r = bar; ", "let r = bar; "),
            ("r#fn()", "r#fn()"),
        ] {
            assert_eq!(blanked(text), left, "{text}");
        }
    }

    #[test]
    fn a_block_ends_at_its_own_brace_whatever_strings_say() {
        let text = "fn f(a: [u8; 2]) { g(\"}\"); { h() } } fn g();";
        let source = Source::new(text);
        assert_eq!(source.block_after(0).map(|range| &text[range]), Some("{ g(\"}\"); { h() } }"));
        assert_eq!(source.block_after(text.find("fn g").unwrap()), None);
    }

    #[test]
    fn a_word_is_found_whole() {
        assert_eq!(Source::new("fn unsafe_fn() { unsafe { } }").words("unsafe"), [17]);
    }
}
