//! `linux.cgroupsPath` for systemd: `slice:prefix:name`, and where the unit is in the tree of slices.

use std::path::Path;

use super::super::{invalid, path::POINTER};
use super::Manager;
use crate::error::Result;

/// What stands before the id in the name of a container's unit if nobody says otherwise.
const PREFIX: &str = "teu";
/// The slice above all others, which has no name in the tree.
const ROOT: &str = "-.slice";
/// The longest name of a unit (UNIT_NAME_MAX).
const LONGEST: usize = 255;

/// The unit of a container.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnitName {
    /// With its suffix: `.scope`, or `.slice` for a container that is a slice.
    pub name: String,
    /// The slice that it is in.
    pub slice: String,
}

/// Reads `slice:prefix:name`. Without a path, or with an empty slice, it is the manager's usual one.
///
/// # Errors
/// `InvalidSpec`: another form, or names that systemd does not take.
pub(super) fn unit_name(cgroups_path: Option<&Path>, id: &str, manager: Manager) -> Result<UnitName> {
    let usual = match manager {
        Manager::System => "system.slice",
        Manager::User => "user.slice",
    };
    let asked = cgroups_path.filter(|path| !path.as_os_str().is_empty());
    let Some(asked) = asked else {
        return checked(usual, scope(PREFIX, id)).map_err(|why| invalid(format!("id {id:?} {why}"), POINTER));
    };
    let text = asked.to_str().ok_or_else(|| invalid("cgroupsPath is not UTF-8", POINTER))?;
    let parts: Vec<&str> = text.split(':').collect();
    let [slice, prefix, name] = parts[..] else {
        let message = format!(
            "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {text:?} instead"
        );
        return Err(invalid(message, POINTER));
    };
    let slice = if slice.is_empty() { usual } else { slice };
    let unit = if name.ends_with(".slice") { name.to_owned() } else { scope(prefix, name) };
    checked(slice, unit).map_err(|why| invalid(format!("cgroupsPath {text:?} {why}"), POINTER))
}

fn scope(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { format!("{name}.scope") } else { format!("{prefix}-{name}.scope") }
}

fn checked(slice: &str, name: String) -> std::result::Result<UnitName, String> {
    if slice_path(slice).is_none() {
        return Err(format!("has {slice:?} for a slice, which systemd does not take"));
    }
    let of_slice = !name.ends_with(".slice") || slice_path(&name).is_some_and(|path| !path.is_empty());
    let stem = name.trim_end_matches(".scope").trim_end_matches(".slice");
    let plain = name.bytes().all(|byte| is_of_unit(byte) || byte == b'@');
    if stem.is_empty() || name.len() > LONGEST || !plain || !of_slice {
        return Err(format!("makes {name:?} of it, which is no name of a unit"));
    }
    Ok(UnitName { slice: parent(&name).unwrap_or_else(|| slice.to_owned()), name })
}

/// A slice is in the one that its own name says.
fn parent(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".slice")?;
    Some(stem.rsplit_once('-').map_or(ROOT.to_owned(), |(above, _)| format!("{above}.slice")))
}

/// The characters that systemd takes in names of units, `@` aside, which makes it an instance of a template.
fn is_of_unit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":-_.\\".contains(&byte)
}

/// Where a slice is: `a-b.slice` is in `a.slice`. Empty for the root; `None` if systemd does not take the name.
pub(super) fn slice_path(slice: &str) -> Option<String> {
    if slice == ROOT {
        return Some(String::new());
    }
    let stem = slice.strip_suffix(".slice")?;
    let parts: Vec<&str> = stem.split('-').collect();
    if slice.len() > LONGEST || parts.iter().any(|part| part.is_empty() || !part.bytes().all(is_of_unit)) {
        return None;
    }
    let ends = stem.match_indices('-').map(|(end, _)| end).chain([stem.len()]);
    let folders: Vec<_> = ends.filter_map(|end| Some(format!("{}.slice", stem.get(..end)?))).collect();
    Some(folders.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> String {
        match unit_name(Some(Path::new(path)), "web", Manager::System) {
            Ok(UnitName { name, slice }) => format!("{slice} {name}"),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn the_three_parts_name_slice_and_scope_and_each_may_be_absent() {
        for (path, expected) in [
            ("", "system.slice teu-web.scope"),
            ("::x", "system.slice x.scope"),
            (":runc:x", "system.slice runc-x.scope"),
            ("machine.slice:libpod:0f", "machine.slice libpod-0f.scope"),
            (
                "kubepods-besteffort-pod1_2.slice:cri-containerd:0f",
                "kubepods-besteffort-pod1_2.slice cri-containerd-0f.scope",
            ),
            ("-.slice:a:b", "-.slice a-b.scope"),
            ("x.slice:a:a-b.slice", "a.slice a-b.slice"),
            ("x.slice:a:b.slice", "-.slice b.slice"),
            ("a.slice:p:x.scope", "a.slice p-x.scope.scope"),
        ] {
            assert_eq!(of(path), expected, "{path:?}");
        }
        let user = unit_name(None, "web", Manager::User).unwrap();
        assert_eq!((user.slice.as_str(), user.name.as_str()), ("user.slice", "teu-web.scope"));
    }

    #[test]
    fn what_systemd_would_not_take_is_refused_with_its_place() {
        for path in [
            "/a/b",
            "a:b",
            "a.slice:b:c:d",
            "a:b:c",
            "a--b.slice:c:d",
            "-a.slice:c:d",
            ".slice:c:d",
            "a/b.slice:c:d",
            "a.slice:b:c/d",
            "a.slice::",
            "a@b.slice:c:d",
            "a.slice:b:c\nd",
            "a.slice:b:c d",
            "a.slice:b:\0",
            "a.slice:b:-.slice",
            "a.slice:b:c--d.slice",
            &format!("a.slice:b:{}", "x".repeat(256)),
            &format!("{}.slice:b:c", "x".repeat(256)),
        ] {
            let refused = unit_name(Some(Path::new(path)), "web", Manager::System)
                .map_err(|error| error.pointer().map(str::to_owned));
            assert_eq!(refused, Err(Some(POINTER.to_owned())), "{path:?}");
        }
        assert!(of("/a/b").starts_with("expected cgroupsPath to be of format \"slice:prefix:name\""));
    }

    #[test]
    fn a_slice_is_below_those_that_its_name_begins_with() {
        for (slice, path) in [
            ("-.slice", Some("")),
            ("a.slice", Some("a.slice")),
            ("a-b-c.slice", Some("a.slice/a-b.slice/a-b-c.slice")),
            ("a", None),
            ("a-.slice", None),
        ] {
            assert_eq!(slice_path(slice).as_deref(), path, "{slice}");
        }
    }
}
