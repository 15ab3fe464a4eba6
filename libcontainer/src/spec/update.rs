//! Other limits for a configuration that a container was made from.

use oci_spec::runtime::{LinuxResources, Spec as Config};
use serde_json::{Value, json};

use super::{Spec, Warning, load, merge, validate};
use crate::{Error, ErrorKind, Result};

const MEMORY: [&str; 3] = ["kernel", "kernelTCP", "useHierarchy"];

/// A configuration with an update laid over it.
#[derive(Debug)]
pub(crate) struct Updated {
    /// The limits that were given, alone.
    pub given: LinuxResources,
    /// The configuration with them.
    pub spec: Spec,
    /// What of the given limits is ignored or doubtful.
    pub warnings: Vec<Warning>,
}

impl Spec {
    /// Lays `given`, a `linux.resources` as JSON, over the limits of this configuration; see `merge`. `files` tells which files these limits stand for.
    ///
    /// # Errors
    /// `InvalidSpec` with the place in what was given, or of the pair that contradicts.
    pub(crate) fn with_resources(
        &self,
        given: &[u8],
        files: impl FnOnce(&LinuxResources) -> Vec<String>,
    ) -> Result<Updated> {
        let document = load::object(given, "resources")?;
        let alone = parse(&document, &mut Vec::new())?;
        let mut whole = load::object(&self.json, "config.json")?;
        let present = whole.pointer("/linux/resources").cloned().unwrap_or_else(|| json!({}));
        let merged = merge::resources(&present, &document, &files(&alone));
        let mut warnings = Vec::new();
        check(document, &merged, &mut warnings)?;
        put(&mut whole, "resources", merged);
        let spec = Self::from_absolute(self.bundle.clone(), whole.to_string().as_bytes())?;
        Ok(Updated { given: alone, spec, warnings })
    }

    /// The same configuration with other lines for its resctrl group; what is absent stays.
    ///
    /// # Errors
    /// `InvalidSpec` with the place of a malformed line; `Unsupported` if the configuration asks for no group.
    pub(crate) fn with_schemata(&self, cache: Option<&str>, bandwidth: Option<&str>) -> Result<Self> {
        let mut whole = load::object(&self.json, "config.json")?;
        let rdt = whole.pointer_mut("/linux/intelRdt").and_then(Value::as_object_mut);
        let rdt = rdt.ok_or_else(|| {
            let message = "updating a non-existent Intel RDT configuration is not supported";
            Error::new(ErrorKind::Unsupported, message).at("/linux/intelRdt")
        })?;
        for (key, line) in [("l3CacheSchema", cache), ("memBwSchema", bandwidth)] {
            if let Some(line) = line {
                rdt.insert(key.to_owned(), json!(line));
            }
        }
        Self::from_absolute(self.bundle.clone(), whole.to_string().as_bytes())
    }
}

/// The entries of lists have their places as they were given; of memory and cpu, where one limit bounds another, all of them count.
fn check(mut given: Value, merged: &Value, warnings: &mut Vec<Warning>) -> Result<()> {
    let kernel = given.get("memory").cloned().unwrap_or_default();
    for part in ["memory", "cpu"] {
        given[part] = merged.get(part).cloned().unwrap_or_default();
    }
    if let Some(memory) = given["memory"].as_object_mut() {
        let fields = MEMORY.iter().filter_map(|key| Some(((*key).to_owned(), kernel.get(key)?.clone())));
        memory.extend(fields);
    }
    let config = config(&given, warnings)?;
    validate::resources(&config, warnings)
}

fn parse(resources: &Value, warnings: &mut Vec<Warning>) -> Result<LinuxResources> {
    let config = config(resources, warnings)?;
    Ok(config.linux().as_ref().and_then(|linux| linux.resources().clone()).unwrap_or_default())
}

fn config(resources: &Value, warnings: &mut Vec<Warning>) -> Result<Config> {
    let document = json!({ "ociVersion": "1.0.0", "linux": { "resources": resources } });
    load::parse(document.to_string().as_bytes(), warnings)
}

fn put(whole: &mut Value, key: &str, value: Value) {
    if !whole["linux"].is_object() {
        whole["linux"] = json!({});
    }
    whole["linux"][key] = value;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(linux: Value) -> Spec {
        let document = json!({ "ociVersion": "1.3.0", "root": { "path": "rootfs" }, "linux": linux });
        Spec::from_json("/bundle", document.to_string().as_bytes()).unwrap()
    }

    fn updated(present: Value, given: &str) -> Result<Updated> {
        spec(json!({ "resources": present })).with_resources(given.as_bytes(), |_| Vec::new())
    }

    #[test]
    fn a_refusal_names_the_place_in_what_was_given() {
        let rate = |major: i64| json!({ "major": major, "minor": 0, "rate": 1 });
        let present = json!({ "memory": { "limit": 8192 }, "blockIO": { "throttleReadBpsDevice": [rate(8), rate(9)] } });
        for (given, place) in [
            (
                json!({ "blockIO": { "throttleReadBpsDevice": [rate(10), rate(-1)] } }),
                "/blockIO/throttleReadBpsDevice/1/major",
            ),
            (json!({ "memory": { "swap": 4096 } }), "/memory/swap"),
            (json!({ "memory": { "limit": -2 } }), "/memory/limit"),
            (json!({ "memory": { "limit": "64M" } }), "/memory/limit"),
            (json!({ "memory": { "limit": 1.5 } }), "/memory/limit"),
            (json!({ "memory": [] }), "/memory"),
            (json!({ "cpu": { "cpus": 5 } }), "/cpu/cpus"),
            (json!({ "pids": { "limit": -2 } }), "/pids/limit"),
            (json!({ "unified": { "a/b": "1" } }), "/unified/a~1b"),
            (json!({ "unified": { "memory.max": "1\u{0}" } }), "/unified/memory.max"),
            (json!({ "devices": [{ "allow": true }, { "allow": true, "type": "x" }] }), "/devices/1/type"),
            (json!({ "rdma": { "mlx": {} } }), "/rdma/mlx"),
        ] {
            let error = updated(present.clone(), &given.to_string()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSpec, "{given}: {error}");
            assert_eq!(
                error.pointer(),
                Some(format!("/linux/resources{place}").as_str()),
                "{given}: {error}"
            );
        }
        for text in ["", "{", "[]", "null", "{}{}", "{\"memory\":"] {
            let error = updated(present.clone(), text).unwrap_err();
            assert!(error.message().starts_with("resources is not"), "{text:?}: {error}");
        }
    }

    #[test]
    fn what_is_kept_is_a_configuration_of_its_own() {
        let given = r#"{"pids": {"limit": 0}, "memory": {"kernel": 5, "limit": null}}"#;
        let Updated { spec, warnings, .. } = updated(json!({ "cpu": { "shares": 9 } }), given).unwrap();
        let kept: Value = serde_json::from_slice(&spec.json()).unwrap();
        let expected = json!({ "cpu": { "shares": 9 }, "memory": {}, "pids": { "limit": 0 } });
        assert_eq!(kept["linux"]["resources"], expected);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(warnings[0].pointer, "/linux/resources/memory/kernel");
        let again = Spec::from_json("/bundle", &spec.json()).unwrap();
        assert_eq!(again.config(), spec.config());
    }

    #[test]
    fn a_configuration_without_limits_gets_some() {
        let document = br#"{"ociVersion": "1.3.0", "root": {"path": "rootfs"}}"#;
        let spec = Spec::from_json("/bundle", document).unwrap();
        let spec = spec.with_resources(br#"{"pids": {"limit": 3}}"#, |_| Vec::new()).unwrap().spec;
        let kept: Value = serde_json::from_slice(&spec.json()).unwrap();
        assert_eq!(kept["linux"], json!({ "resources": { "pids": { "limit": 3 } } }));
    }

    #[test]
    fn lines_of_schemata_are_for_a_configuration_with_a_group() {
        let error = spec(json!({})).with_schemata(Some("L3:0=f"), None).unwrap_err();
        assert_eq!(error.message(), "updating a non-existent Intel RDT configuration is not supported");
        let spec = spec(json!({ "intelRdt": { "memBwSchema": "MB:0=5" } }));
        let kept: Value =
            serde_json::from_slice(&spec.with_schemata(Some("L3:0=f"), None).unwrap().json()).unwrap();
        assert_eq!(kept["linux"]["intelRdt"], json!({ "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=5" }));
        let error = spec.with_schemata(None, Some("L3:0=f")).unwrap_err();
        assert_eq!(error.pointer(), Some("/linux/intelRdt/memBwSchema"));
    }
}
