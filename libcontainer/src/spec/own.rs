//! Annotations of this runtime that change the process: options that the specification has no field for. Pure.

use oci_spec::runtime::Spec as Config;

use super::MAX_CPUS;
use super::numbers;
use crate::{Error, ErrorKind, Result};

/// The processors of the container's processes, as a list such as `0-3,8`.
const CPUS: &str = "teu.cpu-affinity";
/// Which session keyring they have: `new`, the container's own, or `caller`.
const KEYRING: &str = "teu.keyring";

/// The place of [`CPUS`].
pub(crate) const CPUS_SITE: &str = "/annotations/teu.cpu-affinity";

fn value<'a>(config: &'a Config, key: &str) -> Option<&'a str> {
    config.annotations().as_ref()?.get(key).map(String::as_str).filter(|value| !value.is_empty())
}

/// The processors of the annotation; nothing without it.
pub(crate) fn cpus(config: &Config) -> &str {
    value(config, CPUS).unwrap_or_default()
}

/// Whether the caller's session keyring stays.
pub(crate) fn keeps_keyring(config: &Config) -> bool {
    value(config, KEYRING) == Some("caller")
}

/// Checks the values.
pub(super) fn check(config: &Config) -> Result<()> {
    let invalid = |key: &str, message: String| {
        Err(Error::new(ErrorKind::InvalidSpec, message).at(format!("/annotations/{key}")))
    };
    let list = cpus(config);
    if numbers::parse(list, MAX_CPUS).is_none() {
        return invalid(CPUS, format!("{list:?} is not a list of processors below {MAX_CPUS}"));
    }
    match value(config, KEYRING) {
        None | Some("new" | "caller") => Ok(()),
        Some(other) => invalid(KEYRING, format!("{other:?} is neither \"new\" nor \"caller\"")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(key: &str, value: &str) -> Config {
        let config = json!({"ociVersion": "1.3.0", "annotations": { key: value }});
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn processors_are_a_list() {
        for list in ["", "0", "0-3,8"] {
            check(&config(CPUS, list)).unwrap();
            assert_eq!(cpus(&config(CPUS, list)), list);
        }
        for list in ["a", "3-1", "-1", "8192", "0;1", "0x1", &"1".repeat(1 << 20)] {
            assert_eq!(check(&config(CPUS, list)).unwrap_err().pointer(), Some(CPUS_SITE));
        }
    }

    #[test]
    fn a_keyring_is_new_or_the_caller_s() {
        for (word, kept) in [("", false), ("new", false), ("caller", true)] {
            check(&config(KEYRING, word)).unwrap();
            assert_eq!(keeps_keyring(&config(KEYRING, word)), kept, "{word}");
        }
        for word in ["1", "Caller", "caller ", "none"] {
            let error = check(&config(KEYRING, word)).unwrap_err();
            assert_eq!(error.pointer(), Some("/annotations/teu.keyring"), "{word}");
        }
    }
}
