//! `linux.namespaces`: each type once, paths absolute.

use oci_spec::runtime::Spec as Config;

use super::{Warnings, invalid, limit_path, namespaces_of};
use crate::Result;

pub fn namespaces(config: &Config, _: &mut Warnings) -> Result<()> {
    let namespaces = namespaces_of(config);
    for (index, namespace) in namespaces.iter().enumerate() {
        // Not Display: its words ("mnt", "net") are not those of the specification.
        let typ = format!("{:?}", namespace.typ()).to_lowercase();
        if namespaces.iter().take(index).any(|earlier| earlier.typ() == namespace.typ()) {
            let message = format!("namespace {typ} is given twice");
            return Err(invalid(format!("/linux/namespaces/{index}"), message));
        }
        let Some(path) = namespace.path() else { continue };
        let pointer = || format!("/linux/namespaces/{index}/path");
        if !path.is_absolute() {
            let message = format!("path {path:?} of namespace {typ} is not absolute");
            return Err(invalid(pointer(), message));
        }
        limit_path(path.as_os_str(), pointer)?;
    }
    Ok(())
}
