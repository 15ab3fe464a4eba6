//! The configuration that `teu spec` writes: a shell in all the usual namespaces, or the same for an ordinary user.
//!
//! It differs from what runc writes in the version, the host name and a cgroup namespace on every host. No ambient capabilities: without inheritable
//! ones they have no effect.

use nix::unistd::{getegid, geteuid};

const EXAMPLE: &str = include_str!("example.json");
const ROOTLESS: &str = include_str!("example-rootless.json");

/// The text of an example config.json, indented by tabs. A rootless one maps the caller's ids and has no cgroup limits and
/// no network of its own.
pub fn example(rootless: bool) -> String {
    if !rootless {
        return EXAMPLE.to_owned();
    }
    ROOTLESS.replace("{uid}", &geteuid().to_string()).replace("{gid}", &getegid().to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::example;
    use crate::Spec;

    fn parsed(rootless: bool) -> Value {
        serde_json::from_str(&example(rootless)).unwrap()
    }

    #[test]
    fn both_are_accepted_without_a_warning() {
        for rootless in [false, true] {
            let spec = Spec::from_json("/bundle", example(rootless).as_bytes()).unwrap();
            assert_eq!(spec.warnings(), []);
            assert_eq!(spec.config().version(), "1.3.0");
        }
    }

    #[test]
    fn rootless_differs_in_namespaces_ids_cgroup_and_two_mounts_only() {
        let (mut root, mut rootless) = (parsed(false), parsed(true));
        assert_eq!(rootless["linux"]["uidMappings"][0]["hostID"], json!(nix::unistd::geteuid().as_raw()));
        assert_eq!(rootless["linux"]["gidMappings"][0]["hostID"], json!(nix::unistd::getegid().as_raw()));
        assert!(rootless["linux"].get("resources").is_none());
        let types = |spec: &Value| -> Vec<String> {
            let list = spec["linux"]["namespaces"].as_array().unwrap();
            list.iter().map(|namespace| namespace["type"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(types(&root), ["pid", "network", "ipc", "uts", "mount", "cgroup"]);
        assert_eq!(types(&rootless), ["pid", "ipc", "uts", "mount", "cgroup", "user"]);
        for spec in [&mut root, &mut rootless] {
            spec["linux"].as_object_mut().unwrap().retain(|key, _| key.ends_with("Paths"));
            spec["mounts"][2] = Value::Null;
            spec["mounts"][5] = Value::Null;
        }
        assert_eq!(root, rootless);
    }

    #[test]
    fn the_indent_is_a_tab() {
        assert!(
            example(false).starts_with("{\n\t\"ociVersion\": \"1.3.0\",\n\t\"process\": {\n\t\t\"terminal\"")
        );
    }
}
