//! A configuration with one more mount: the directory with the socket of `sd_notify`.

use std::path::Path;

use serde_json::{Value, json};

use super::{Spec, load};
use crate::{Error, ErrorKind, Result};

impl Spec {
    /// The same configuration with `directory` bound read-only at `target`, behind its own mounts.
    pub(crate) fn with_notify(&self, directory: &Path, target: &str) -> Result<Self> {
        let source = directory.to_str().ok_or_else(|| {
            let message = format!("the state root {} is no text", directory.display());
            Error::new(ErrorKind::InvalidArgument, message)
        })?;
        let mut whole = load::object(&self.json, "config.json")?;
        if let Some(whole) = whole.as_object_mut() {
            let options = ["bind", "nosuid", "noexec", "nodev", "ro"];
            let mount =
                json!({ "destination": target, "type": "bind", "source": source, "options": options });
            match whole.entry("mounts").or_insert(Value::Null) {
                Value::Array(mounts) => mounts.push(mount),
                absent => *absent = json!([mount]),
            }
        }
        Self::from_absolute(self.bundle.clone(), whole.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_comes_last_whether_there_are_others_or_not() {
        for (mounts, count) in [(r#""mounts": [{"destination": "/run", "type": "tmpfs"}],"#, 2), ("", 1)] {
            let json = format!(
                r#"{{"ociVersion": "1.3.0", {mounts} "root": {{"path": "r"}}, "linux": {{"namespaces": [{{"type": "mount"}}]}},
                "process": {{"cwd": "/", "args": ["sh"]}}}}"#
            );
            let spec = Spec::from_json("/b", json.as_bytes()).unwrap();
            let spec = spec.with_notify(Path::new("/run/teu/x/notify"), "/run/notify").unwrap();
            let mounts = spec.config().mounts().as_deref().unwrap_or_default();
            assert_eq!(mounts.len(), count);
            let last = mounts.last().unwrap();
            assert_eq!(last.destination(), Path::new("/run/notify"));
            assert_eq!(last.source().as_deref(), Some(Path::new("/run/teu/x/notify")));
        }
    }
}
