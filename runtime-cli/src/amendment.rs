//! config.json as variables of the command's environment amend it.

use std::path::Path;

use serde_json::Value;
use teu::{Error, ErrorKind, Result, Spec};

/// The variable of crun that names a seccomp agent for profiles that name none.
const RECEIVER: &str = "RUN_OCI_SECCOMP_RECEIVER";
/// The annotation that does the same, and goes before the variable.
const ANNOTATION: &str = "run.oci.seccomp.receiver";

/// The spec in `bundle`.
pub fn spec(bundle: &Path, config: &Path) -> Result<Spec> {
    let Some(receiver) = receiver()? else { return Spec::from_file(bundle, config) };
    let amended = amend(bundle, config, |document| name_receiver(document, &receiver));
    // What cannot be read is the library's to explain.
    amended.unwrap_or_else(|| Spec::from_file(bundle, config))
}

fn receiver() -> Result<Option<String>> {
    let refused = |why: &str| {
        let message = format!("environment variable {RECEIVER}: the seccomp receiver {why}");
        Err(Error::new(ErrorKind::InvalidArgument, message))
    };
    match std::env::var_os(RECEIVER).filter(|path| !path.is_empty()).map(|path| path.into_string()) {
        None => Ok(None),
        Some(Err(_)) => refused("is not UTF-8"),
        Some(Ok(path)) if !path.starts_with('/') => refused("is not an absolute path"),
        Some(Ok(path)) => Ok(Some(path)),
    }
}

fn amend(bundle: &Path, config: &Path, edit: impl FnOnce(&mut Value)) -> Option<Result<Spec>> {
    let bundle = bundle.canonicalize().ok()?;
    let path = bundle.join(config);
    // Anything else would block, or never end.
    if !std::fs::metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut document: Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    edit(&mut document);
    Some(Spec::from_json(&bundle, document.to_string().as_bytes()))
}

/// Only a profile that names no agent by any means gets this one.
fn name_receiver(document: &mut Value, receiver: &str) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let annotated = text(document.get("annotations").and_then(|all| all.get(ANNOTATION)));
    let profile = document.pointer_mut("/linux/seccomp").and_then(Value::as_object_mut);
    if let Some(profile) = profile.filter(|profile| !annotated && !text(profile.get("listenerPath"))) {
        profile.insert("listenerPath".to_owned(), receiver.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_profile_without_an_agent_gets_the_receiver() {
        let named = |mut document: Value| {
            name_receiver(&mut document, "/r");
            document.pointer("/linux/seccomp/listenerPath").cloned()
        };
        assert_eq!(named(json!({"linux": {"seccomp": {}}})), Some("/r".into()));
        assert_eq!(named(json!({"linux": {"seccomp": {"listenerPath": ""}}})), Some("/r".into()));
        assert_eq!(named(json!({"linux": {"seccomp": {"listenerPath": "/l"}}})), Some("/l".into()));
        assert_eq!(named(json!({"annotations": {ANNOTATION: "/a"}, "linux": {"seccomp": {}}})), None);
        for without in [json!({}), json!({"linux": {}}), json!({"linux": {"seccomp": null}}), json!([])] {
            assert_eq!(named(without), None);
        }
    }
}
