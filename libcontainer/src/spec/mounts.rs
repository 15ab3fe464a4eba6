//! A configuration with other mounts: what `mounts add` and `mounts remove` make of it.

use serde_json::Value;

use super::{Spec, load};
use crate::{Error, ErrorKind, Result};

impl Spec {
    /// The same configuration with the entries of a JSON array behind its own mounts.
    pub(crate) fn with_mounts(&self, mounts: &[u8]) -> Result<Self> {
        let invalid = |why: &dyn std::fmt::Display| {
            Error::new(ErrorKind::InvalidSpec, format!("mounts is no JSON array of mounts: {why}"))
        };
        let mut new = match serde_json::from_slice(mounts) {
            Ok(Value::Array(new)) if new.iter().all(Value::is_object) => new,
            Ok(_) => return Err(invalid(&"expected an array of objects")),
            Err(error) => return Err(invalid(&error)),
        };
        self.edited(|all| all.append(&mut new))
    }

    /// The same configuration without the last of its mounts that has this destination, if there is one.
    pub(crate) fn without_mount(&self, destination: &str) -> Result<Self> {
        self.edited(|all| {
            let is_there = |mount: &Value| mount.get("destination").is_some_and(|there| there == destination);
            if let Some(last) = all.iter().rposition(is_there) {
                all.remove(last);
            }
        })
    }

    fn edited(&self, edit: impl FnOnce(&mut Vec<Value>)) -> Result<Self> {
        let mut whole = load::object(&self.json, "config.json")?;
        if let Some(whole) = whole.as_object_mut() {
            let place = whole.entry("mounts").or_insert(Value::Null);
            if !place.is_array() {
                *place = Value::Array(Vec::new());
            }
            if let Value::Array(all) = place {
                edit(all);
            }
        }
        Self::from_absolute(self.bundle.clone(), whole.to_string().as_bytes())
    }
}
