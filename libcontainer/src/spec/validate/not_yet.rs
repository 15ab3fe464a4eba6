//! What this build cannot do yet. It is refused, never ignored; a line goes when the feature comes. Empty values are absent.

use oci_spec::runtime::Spec as Config;

use super::Warnings;
use crate::{Error, ErrorKind, Result};

type Wanted = fn(&Config) -> bool;

/// Nothing at present: what comes with the next version of the specification starts its life here.
const NOT_YET: &[(&str, Wanted)] = &[];

pub fn not_yet(config: &Config, _: &mut Warnings) -> Result<()> {
    match NOT_YET.iter().find(|(_, wanted)| wanted(config)) {
        Some((pointer, _)) => Err(unsupported(*pointer, &pointer.trim_start_matches('/').replace('/', "."))),
        None => Ok(()),
    }
}

fn unsupported(pointer: impl Into<String>, what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} is not supported yet by this build")).at(pointer)
}
