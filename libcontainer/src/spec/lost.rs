//! What the types of `oci-spec` do not keep, found by a second look at the text, which builds nothing. Pure.

use std::fmt;

use oci_spec::runtime::Spec as Config;
use serde::de::{Deserializer, IgnoredAny, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

/// What a configuration says beyond its types.
#[derive(Default)]
pub struct Lost {
    /// A capability is not named as the specification names it.
    pub odd_capability: bool,
    /// `linux.resources.pids.limit` is there.
    pub pids_limit: bool,
    /// The first of `linux.devices` that lacks a number it needs, and the name of that number.
    pub device_number: Option<(usize, &'static str)>,
    /// `process.ioPriority` is there, and has no class.
    pub no_io_class: bool,
}

/// Looks at a text that was parsed before.
pub fn find(json: &str) -> Lost {
    if let Ok(document) = serde_json::from_str(json) {
        return of(document);
    }
    // A key is given twice, or a name has an escape: a tree has neither.
    let Ok(tree) = serde_json::from_slice::<Value>(json.as_bytes()) else { return Lost::default() };
    Document::deserialize(&tree).map(of).unwrap_or_default()
}

fn of(document: Document) -> Lost {
    let (process, linux) = (document.process.unwrap_or_default(), document.linux.unwrap_or_default());
    let capabilities = process.capabilities.unwrap_or_default();
    let sets = [
        capabilities.bounding,
        capabilities.effective,
        capabilities.inheritable,
        capabilities.permitted,
        capabilities.ambient,
    ];
    let pids = linux.resources.and_then(|resources| resources.pids);
    Lost {
        odd_capability: sets.iter().flatten().flatten().any(|name| !name.spelt_out),
        pids_limit: pids.is_some_and(|pids| pids.limit.is_some()),
        device_number: linux.devices.as_deref().and_then(incomplete),
        no_io_class: process.io_priority.is_some_and(|priority| priority.class.is_none()),
    }
}

/// A fifo has no numbers; every other node needs both.
fn incomplete(devices: &[Device]) -> Option<(usize, &'static str)> {
    devices.iter().enumerate().filter(|(_, device)| device.kind != Some("p")).find_map(|(index, device)| {
        let missing = [(device.major, "major"), (device.minor, "minor")]
            .into_iter()
            .find(|(number, _)| number.is_none());
        missing.map(|(_, name)| (index, name))
    })
}

/// Absent is not 0, which is a limit.
pub fn forget_pids_limit(config: &mut Config) {
    if let Some(resources) = config.linux_mut().as_mut().and_then(|linux| linux.resources_mut().as_mut()) {
        resources.set_pids(None);
    }
}

/// Whether a limit of huge pages has no size: its key may be one that only Go reads.
pub fn has_no_page_size(config: &Config) -> bool {
    let resources = config.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let limits = resources.and_then(|resources| resources.hugepage_limits().as_deref());
    limits.unwrap_or_default().iter().any(|limit| limit.page_size().is_empty())
}

/// `CAP_` and capital letters. The types also read other spellings, and would grant what runc does not.
pub fn is_spelt_out(name: &str) -> bool {
    name.strip_prefix("CAP_").is_some_and(|rest| {
        !rest.starts_with("CAP_") && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    })
}

#[derive(Deserialize)]
struct Document<'a> {
    process: Option<Process>,
    #[serde(borrow)]
    linux: Option<Linux<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    capabilities: Option<Sets>,
    io_priority: Option<IoPriority>,
}

#[derive(Deserialize)]
struct IoPriority {
    class: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Sets {
    bounding: Option<Vec<Name>>,
    effective: Option<Vec<Name>>,
    inheritable: Option<Vec<Name>>,
    permitted: Option<Vec<Name>>,
    ambient: Option<Vec<Name>>,
}

#[derive(Default, Deserialize)]
struct Linux<'a> {
    resources: Option<Resources>,
    #[serde(borrow)]
    devices: Option<Vec<Device<'a>>>,
}

#[derive(Deserialize)]
struct Device<'a> {
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    major: Option<i64>,
    minor: Option<i64>,
}

#[derive(Deserialize)]
struct Resources {
    pids: Option<Pids>,
}

#[derive(Deserialize)]
struct Pids {
    limit: Option<i64>,
}

/// A capability's name, looked at where it lies in the text.
struct Name {
    spelt_out: bool,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a capability")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Name, E> {
        Ok(Name { spelt_out: is_spelt_out(name) })
    }
}
