//! The configuration that `teu spec` writes: a shell in all the usual namespaces, or the same for an ordinary user.
//!
//! It differs from what runc writes in the version and the host name. No ambient capabilities: without inheritable ones they have no effect. As runc's
//! it has a cgroup namespace on hosts that have cgroup v2 alone: on the others a cgroup mount shows only the container's part anyway. The one of an
//! ordinary user, who has no part there, has it always.

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::{getegid, geteuid};

const EXAMPLE: &str = include_str!("example.json");
const ROOTLESS: &str = include_str!("example-rootless.json");

/// The namespace as it stands in the text: never the first of the list.
const CGROUP_NAMESPACE: &str = ",\n\t\t\t{\n\t\t\t\t\"type\": \"cgroup\"\n\t\t\t}";

/// The text of an example config.json, indented by tabs. A rootless one maps the caller's ids and has no cgroup limits and
/// no network of its own. The host decides one thing: see the module.
pub fn example(rootless: bool) -> String {
    let has_v2_alone = statfs("/sys/fs/cgroup").is_ok_and(|fs| fs.filesystem_type() == CGROUP2_SUPER_MAGIC);
    text(rootless, has_v2_alone)
}

pub(super) fn text(rootless: bool, cgroup_namespace: bool) -> String {
    let text = match (rootless, cgroup_namespace) {
        (true, _) => ROOTLESS.to_owned(),
        (false, true) => EXAMPLE.to_owned(),
        (false, false) => EXAMPLE.replacen(CGROUP_NAMESPACE, "", 1),
    };
    text.replace("{uid}", &geteuid().to_string()).replace("{gid}", &getegid().to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{example, text};
    use crate::Spec;

    fn parsed(rootless: bool, cgroup_namespace: bool) -> Value {
        serde_json::from_str(&text(rootless, cgroup_namespace)).unwrap()
    }

    fn types(spec: &Value) -> Vec<&str> {
        let list = spec["linux"]["namespaces"].as_array().unwrap();
        list.iter().map(|namespace| namespace["type"].as_str().unwrap()).collect()
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
        let (mut root, mut rootless) = (parsed(false, true), parsed(true, true));
        assert_eq!(rootless["linux"]["uidMappings"][0]["hostID"], json!(nix::unistd::geteuid().as_raw()));
        assert_eq!(rootless["linux"]["gidMappings"][0]["hostID"], json!(nix::unistd::getegid().as_raw()));
        assert!(rootless["linux"].get("resources").is_none());
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
    fn without_v2_alone_only_the_cgroup_namespace_is_missing() {
        assert_eq!(types(&parsed(false, false)), ["pid", "network", "ipc", "uts", "mount"]);
        assert_eq!(types(&parsed(true, false)), types(&parsed(true, true)));
        let (mut with, mut without) = (parsed(false, true), parsed(false, false));
        for spec in [&mut with, &mut without] {
            spec["linux"]["namespaces"] = Value::Null;
        }
        assert_eq!(with, without);
    }

    #[test]
    fn the_indent_is_a_tab() {
        assert!(
            example(false).starts_with("{\n\t\"ociVersion\": \"1.3.0\",\n\t\"process\": {\n\t\t\"terminal\"")
        );
    }
}
