//! JSON pointers (RFC 6901) as errors show them: on one line, whatever a key contains. Pure.

use std::fmt::Write as _;

/// Appends `/key` to `pointer`. A control character is written as JSON would escape it, so that a message stays one line.
pub fn push(pointer: &mut String, key: &str) {
    pointer.push('/');
    for c in key.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c if c.is_control() => {
                let _ = write!(pointer, "\\u{:04x}", u32::from(c));
            }
            c => pointer.push(c),
        }
    }
}

/// `base` followed by `/key`.
pub fn join(base: &str, key: &str) -> String {
    let mut pointer = base.to_owned();
    push(&mut pointer, key);
    pointer
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn keys_are_escaped() {
        assert_eq!(join("/annotations", "a/b~c"), "/annotations/a~1b~0c");
        assert_eq!(join("", "two\nlines"), "/two\\u000alines");
    }
}
