//! The name of a container: a file name below the state root and a word on command lines, so its grammar is narrow. Pure.

use std::fmt;

use crate::{Error, ErrorKind, Result};

/// A container id: 1 to 255 of the characters `A-Z a-z 0-9 _ + . -`, not beginning with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

/// NAME_MAX: the id is the name of a directory.
const MAX_BYTES: usize = 255;

impl Id {
    /// Checks `id`.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty id, another character, a leading dot or more than 255 bytes.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        if id.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "container id cannot be empty"));
        }
        // A leading dot covers "." and "..", and keeps the runtime's own hidden files out of reach.
        let valid = id.len() <= MAX_BYTES && !id.starts_with('.') && id.bytes().all(is_allowed);
        match valid {
            true => Ok(Self(id)),
            false => Err(Error::new(ErrorKind::InvalidArgument, "invalid container ID format")),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'.' | b'-')
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Id;
    use crate::ErrorKind;

    #[test]
    fn accepts_the_grammar() {
        for id in ["a", "web-1", "A_b+c.d-e", "0", "-", "a..b", "+x", &"x".repeat(255)] {
            assert_eq!(Id::new(id).unwrap().as_str(), id);
            assert_eq!(Id::new(id).unwrap().to_string(), id);
        }
    }

    #[test]
    fn refuses_everything_else() {
        let long = "x".repeat(256);
        let longer = "x".repeat(1025);
        for id in
            [".", "..", ".hidden", "a/b", "/", "a b", "a\n", "a\0b", "ä", "a%b", "a:b", "～", &long, &longer]
        {
            let error = Id::new(id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{id:?}");
            assert_eq!(error.to_string(), "invalid container ID format", "{id:?}");
        }
    }

    #[test]
    fn an_empty_id_has_its_own_text() {
        assert_eq!(Id::new("").unwrap_err().to_string(), "container id cannot be empty");
    }
}
