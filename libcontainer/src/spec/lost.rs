//! What the types of `oci-spec` do not keep, found by a second look at the text, which builds nothing. Pure.

use std::fmt;

use oci_spec::runtime::Spec as Config;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

/// What a configuration says beyond its types.
#[derive(Debug, Default, PartialEq)]
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

/// Looks at a text that was parsed before: all of it, or what is needed to judge `typed`, in which its types took it as it is. No key is given twice then, and
/// what follows the last section that matters is passed over: often a profile for seccomp, most of the text.
pub fn find(json: &str, typed: Option<&Config>) -> Lost {
    let wanted = typed.map(Wanted::of);
    let mut document = Document { wanted, ..Document::default() };
    if document.is_whole() {
        return of(document);
    }
    let read = Look(&mut document).deserialize(&mut serde_json::Deserializer::from_str(json));
    if read.is_ok() || document.is_whole() {
        return of(document);
    }
    // A key is given twice, or a name has an escape: a tree has neither.
    let Ok(tree) = serde_json::from_slice::<Value>(json.as_bytes()) else { return Lost::default() };
    let mut document = Document::default();
    Look(&mut document).deserialize(&tree).map(|()| of(document)).unwrap_or_default()
}

/// The sections in which something may have been lost.
#[derive(Clone, Copy)]
struct Wanted {
    process: bool,
    resources: bool,
    devices: bool,
}

impl Wanted {
    fn of(config: &Config) -> Self {
        let process = config.process().as_ref();
        let linux = config.linux().as_ref();
        let resources = linux.and_then(|linux| linux.resources().as_ref());
        Self {
            process: process
                .is_some_and(|process| process.capabilities().is_some() || process.io_priority().is_some()),
            resources: resources.is_some_and(|resources| resources.pids().is_some()),
            devices: linux.is_some_and(|linux| linux.devices().as_ref().is_some_and(|all| !all.is_empty())),
        }
    }
}

fn of(document: Document) -> Lost {
    let process = document.process.flatten().unwrap_or_default();
    let capabilities = process.capabilities.unwrap_or_default();
    let sets = [
        capabilities.bounding,
        capabilities.effective,
        capabilities.inheritable,
        capabilities.permitted,
        capabilities.ambient,
    ];
    let pids = document.resources.flatten().and_then(|resources| resources.pids);
    Lost {
        odd_capability: sets.iter().flatten().flatten().any(|name| !name.spelt_out),
        pids_limit: pids.is_some_and(|pids| pids.limit.is_some()),
        device_number: document.devices.flatten().as_deref().and_then(incomplete),
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

/// The sections that matter: `None` as long as they have not been met, `Some(None)` for null.
#[derive(Default)]
struct Document<'a> {
    /// What ends the reading; `None` reads to the end.
    wanted: Option<Wanted>,
    process: Option<Option<Process>>,
    resources: Option<Option<Resources>>,
    devices: Option<Option<Vec<Device<'a>>>>,
}

impl Document<'_> {
    /// Whether all that is wanted has been found.
    fn is_whole(&self) -> bool {
        let Some(Wanted { process, resources, devices }) = self.wanted else { return false };
        (!process || self.process.is_some())
            && (!resources || self.resources.is_some())
            && (!devices || self.devices.is_some())
    }
}

/// Reads the whole configuration, or until the document is whole: that ends the reading with an error, and the document stays.
struct Look<'a, 'de>(&'a mut Document<'de>);

/// Reads `linux` in the same way.
struct LookAtLinux<'a, 'de>(&'a mut Document<'de>);

/// Puts a section in its place, once.
fn put<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    place: &mut Option<Option<T>>,
    map: &mut A,
) -> Result<(), A::Error> {
    match place.replace(map.next_value()?) {
        None => Ok(()),
        Some(_) => Err(de::Error::custom("given twice")),
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Look<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a configuration")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(document) = self;
        let mut linux = false;
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "process" => put(&mut document.process, &mut map)?,
                "linux" if linux => return Err(de::Error::custom("given twice")),
                "linux" => {
                    linux = true;
                    map.next_value_seed(LookAtLinux(document))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            if document.is_whole() {
                return Err(de::Error::custom("enough"));
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for LookAtLinux<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for LookAtLinux<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the section linux")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(document) = self;
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "resources" => put(&mut document.resources, &mut map)?,
                "devices" => put(&mut document.devices, &mut map)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            if document.is_whole() {
                return Err(de::Error::custom("enough"));
            }
        }
        Ok(())
    }
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

    #[test]
    fn the_same_is_found_by_a_reading_that_ends_early() {
        let process = r#""process": {"cwd": "/", "user": {"uid": 0, "gid": 0}, "capabilities": {"bounding": ["CHOWN"]}, "ioPriority": {"priority": 1}}"#;
        let plain = r#""process": {"cwd": "/", "user": {"uid": 0, "gid": 0}}"#;
        let pids = r#""resources": {"pids": {"limit": 3}}"#;
        let devices = r#""devices": [{"path": "/dev/x", "type": "c", "major": 1}]"#;
        let masked = r#""maskedPaths": ["/proc/kcore"]"#;
        let table = [
            (
                format!("{process}, \"linux\": {{{pids}, {devices}, {masked}}}"),
                (true, true, Some((0, "minor"))),
            ),
            (
                format!("\"linux\": {{{masked}, {devices}, {pids}}}, {process}"),
                (true, true, Some((0, "minor"))),
            ),
            (format!("\"linux\": {{{devices}}}, {plain}"), (false, false, Some((0, "minor")))),
            (format!("{plain}, \"linux\": {{{masked}, {pids}}}"), (false, true, None)),
            (format!("{process}, \"linux\": {{\"resources\": {{\"pids\": {{}}}}}}"), (true, false, None)),
            (plain.to_owned(), (false, false, None)),
        ];
        for (members, (odd_capability, pids_limit, device_number)) in table {
            let json = format!("{{\"ociVersion\": \"1.3.0\", {members}}}");
            let whole = find(&json, None);
            let expected = Lost { odd_capability, pids_limit, device_number, no_io_class: odd_capability };
            assert_eq!(whole, expected, "{json}");
            match serde_json::from_str::<Config>(&json) {
                Ok(config) => assert_eq!(find(&json, Some(&config)), expected, "{json}"),
                Err(error) => panic!("{json}: {error}"),
            }
        }
    }
}
