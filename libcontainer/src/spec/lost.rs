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

/// Looks at a text that was parsed before, as `config`.
pub fn find(json: &str, config: &Config) -> Lost {
    if kept(config) { in_capabilities(json, config) } else { None }.unwrap_or_else(|| everywhere(json))
}

/// Whether the types have kept everything but the names of capabilities: nothing is there that may have been absent.
fn kept(config: &Config) -> bool {
    let linux = config.linux().as_ref();
    let pids = linux.and_then(|linux| linux.resources().as_ref()?.pids().as_ref());
    let devices = linux.and_then(|linux| linux.devices().as_deref()).unwrap_or_default();
    let class = config.process().as_ref().and_then(|process| process.io_priority().as_ref());
    class.is_none()
        && pids.is_none_or(|pids| pids.limit() != 0)
        && devices.iter().all(|device| device.major() != 0 && device.minor() != 0)
}

/// Looks at the names of capabilities alone; `None` if they are not found at once. The rest of the text, mostly the profile for seccomp, is not read.
fn in_capabilities(json: &str, config: &Config) -> Option<Lost> {
    const KEY: &str = "\"capabilities\"";
    let nothing = Lost { pids_limit: true, ..Lost::default() };
    if config.process().as_ref().is_none_or(|process| process.capabilities().is_none()) {
        return Some(nothing);
    }
    // A key may be written in escapes, or the word be something else.
    let mut places = json.match_indices(KEY);
    let (at, _) = places.next().filter(|_| !json.contains("\\u"))?;
    let value = json.get(at + KEY.len()..)?.trim_ascii_start().strip_prefix(':')?;
    if places.next().is_some() {
        return None;
    }
    let sets = Sets::deserialize(&mut serde_json::Deserializer::from_str(value)).ok()?;
    Some(Lost { odd_capability: sets.are_odd(), ..nothing })
}

fn everywhere(json: &str) -> Lost {
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
    let pids = linux.resources.and_then(|resources| resources.pids);
    Lost {
        odd_capability: capabilities.are_odd(),
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

impl Sets {
    fn are_odd(&self) -> bool {
        let sets = [&self.bounding, &self.effective, &self.inheritable, &self.permitted, &self.ambient];
        sets.into_iter().flatten().flatten().any(|name| !name.spelt_out)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(json: &str) -> (Option<bool>, bool) {
        let config: Config = serde_json::from_str(json).unwrap();
        let alone = kept(&config).then(|| in_capabilities(json, &config)).flatten();
        (alone.map(|lost| lost.odd_capability), everywhere(json).odd_capability)
    }

    /// A process whose `capabilities` are written as `key`, with `more` beside it.
    fn with(key: &str, names: &str, more: &str) -> String {
        format!(
            r#"{{"ociVersion":"1.2.0","process":{{"cwd":"/","user":{{"uid":0,"gid":0}},{key}:{{"bounding":[{names}]}}{more}}}}}"#
        )
    }

    #[test]
    fn capabilities_are_found_without_the_rest_wherever_nothing_else_is_doubtful() {
        const KEY: &str = r#""capabilities""#;
        let cases = [
            (with(KEY, r#""CAP_KILL""#, ""), Some(false), false),
            (with(r#""capabilities" "#, r#""CAP_KILL","KILL""#, ""), Some(true), true),
            (with(KEY, r#""KILL""#, r#","args":["capabilities"]"#), None, true),
            (with(r#""capabilit\u0069es""#, r#""KILL""#, r#","args":["capabilities"]"#), None, true),
            (with(r#""capabilit\u0069es""#, r#""KILL""#, ""), None, true),
            (with(KEY, r#""CAP_KILL""#, r#","env":["A=\"capabilities\":{}"]"#), Some(false), false),
            (with(KEY, r#""KILL""#, r#","ioPriority":{"class":"IOPRIO_CLASS_BE","priority":1}"#), None, true),
            (
                r#"{"ociVersion":"1.2.0","process":{"cwd":"/","user":{"uid":0,"gid":0}}}"#.to_owned(),
                Some(false),
                false,
            ),
        ];
        for (json, alone, odd) in cases {
            assert_eq!(looked(&json), (alone, odd), "{json}");
        }
    }

    #[test]
    fn what_may_have_been_absent_is_looked_for_in_the_whole_text() {
        let config = |linux: &str| {
            serde_json::from_str::<Config>(&format!(r#"{{"ociVersion":"1.2.0","linux":{linux}}}"#)).unwrap()
        };
        assert!(kept(&config("{}")) && kept(&config(r#"{"resources":{"pids":{"limit":7}}}"#)));
        assert!(kept(&config(r#"{"devices":[{"path":"/x","type":"c","major":1,"minor":3}]}"#)));
        for doubtful in [
            r#"{"resources":{"pids":{}}}"#,
            r#"{"resources":{"pids":{"limit":0}}}"#,
            r#"{"devices":[{"path":"/x","type":"c","major":1}]}"#,
            r#"{"devices":[{"path":"/x","type":"c","major":1,"minor":3},{"path":"/y","type":"c","minor":3}]}"#,
        ] {
            assert!(!kept(&config(doubtful)), "{doubtful}");
        }
    }
}
